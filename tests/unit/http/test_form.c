/*
 * Forms come back as they went out, and what is not a form is refused.
 */
/* cmocka.h wants these before it. clang-format would sort them. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <string.h>

#include "base/str.h"
#include "http/http.h"

#define PAIRS 4

static int read_form(const char *body, struct http_pair *pairs, struct arena *arena,
                     struct err *err)
{
    return http_form_read(body, strlen(body), pairs, PAIRS, arena, err);
}

static void writes_what_a_form_may_hold(void **state)
{
    struct str out = { 0 };
    (void)state;

    http_form_add(&out, "to", "+254700000001,+254700000002", 27);
    http_form_add(&out, "message", "Habari ya asubuhi – 100% ~a_b.c-d", 35);
    http_form_add(&out, "a&b=c", "", 0);
    assert_string_equal(out.bytes,
                        "to=%2B254700000001%2C%2B254700000002"
                        "&message=Habari+ya+asubuhi+%E2%80%93+100%25+~a_b.c-d&a%26b%3Dc=");
    assert_int_equal(out.len, strlen(out.bytes));
    str_free(&out);
}

static void every_byte_but_nul_comes_back(void **state)
{
    char bytes[255];
    struct str out = { 0 };
    struct http_pair pairs[PAIRS];
    struct err err;
    struct arena *arena = arena_create(1 << 20);
    (void)state;

    for (int i = 0; i < 255; i++) {
        bytes[i] = (char)(i + 1);
    }
    http_form_add(&out, "k", bytes, sizeof(bytes));
    http_form_add(&out, "last", "x", 1);
    assert_int_equal(http_form_read(out.bytes, out.len, pairs, PAIRS, arena, &err), 2);
    assert_string_equal(pairs[0].key, "k");
    assert_int_equal(strlen(pairs[0].value), sizeof(bytes));
    assert_memory_equal(pairs[0].value, bytes, sizeof(bytes));
    assert_string_equal(http_form_find(pairs, 2, "last"), "x");
    assert_null(http_form_find(pairs, 2, "las"));
    str_free(&out);
    arena_destroy(arena);
}

static void reads_a_delivery_report(void **state)
{
    static const char body[] = "id=ATXid_0011&status=Failed&phoneNumber=%2B254700000001"
                               "&failureReason=UserInBlackList";
    struct http_pair pairs[PAIRS];
    struct err err;
    struct arena *arena = arena_create(1 << 20);
    (void)state;

    assert_int_equal(read_form(body, pairs, arena, &err), 4);
    assert_string_equal(http_form_find(pairs, 4, "id"), "ATXid_0011");
    assert_string_equal(http_form_find(pairs, 4, "phoneNumber"), "+254700000001");
    assert_string_equal(http_form_find(pairs, 4, "failureReason"), "UserInBlackList");
    assert_null(http_form_find(pairs, 4, "networkCode"));
    arena_destroy(arena);
}

static void reads_odd_but_legal_forms(void **state)
{
    static const struct {
        const char *body;
        int count;
        const char *key, *value; /* of the last pair */
    } cases[] = {
        { "", 0, NULL, NULL },
        { "&", 0, NULL, NULL },
        { "&&a=1&&", 1, "a", "1" },
        { "a", 1, "a", "" },
        { "a=", 1, "a", "" },
        { "a&b", 2, "b", "" },
        { "=x", 1, "", "x" },
        { "=", 1, "", "" },
        { "a=b=c", 1, "a", "b=c" },
        { "a=1&a=2", 2, "a", "2" },
        { "a+b=c+d", 1, "a b", "c d" },
        { "%61=%7A%7a", 1, "a", "zz" },
        { "text=%E2%82%AC", 1, "text", "\xE2\x82\xAC" },
        { "a=%26%3D", 1, "a", "&=" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct http_pair pairs[PAIRS];
        struct err err;
        struct arena *arena = arena_create(1 << 20);
        int count = read_form(cases[i].body, pairs, arena, &err);
        assert_int_equal(count, cases[i].count);
        if (count > 0) {
            assert_string_equal(pairs[count - 1].key, cases[i].key);
            assert_string_equal(pairs[count - 1].value, cases[i].value);
        }
        arena_destroy(arena);
    }
}

static void refuses_what_is_not_a_form(void **state)
{
    static const struct {
        const char *body;
        size_t len;
    } cases[] = {
        { "a=%", 3 },   { "a=%2", 4 },   { "a=%2x", 5 },     { "a=%x2", 5 },
        { "%=1", 3 },   { "a=%00", 5 },  { "a=x\0y", 5 },    { "a\0=1", 4 },
        { "a=%2&", 5 }, { "a=1&%0", 6 }, { "a&b&c&d&e", 9 }, { "a=%+1", 5 },
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct http_pair pairs[PAIRS];
        struct err err = { 0 };
        struct arena *arena = arena_create(1 << 20);
        assert_int_equal(http_form_read(cases[i].body, cases[i].len, pairs, PAIRS, arena, &err),
                         -1);
        assert_int_equal(err.kind, ERR_PERMANENT);
        assert_string_equal(err.what, "bad_form");
        arena_destroy(arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_what_a_form_may_hold),
        cmocka_unit_test(every_byte_but_nul_comes_back),
        cmocka_unit_test(reads_a_delivery_report),
        cmocka_unit_test(reads_odd_but_legal_forms),
        cmocka_unit_test(refuses_what_is_not_a_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
