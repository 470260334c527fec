/*
 * Documents whose types wobble: numbers keep their text, faults are still faults.
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

#include "json/loose.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static int begin(void **state)
{
    *state = arena_create(8 << 20);
    return 0;
}

static int end(void **state)
{
    arena_destroy(*state);
    return 0;
}

static const struct loose *read(struct arena *arena, const char *body)
{
    const struct loose *root = NULL;
    struct err err;

    if (!loose_read(body, strlen(body), &root, arena, &err)) {
        fail_msg("%s: %s", body, err.detail);
    }
    return root;
}

static void numbers_keep_their_text(void **state)
{
    static const char *const numbers[] = { "0",
                                           "-0",
                                           "7",
                                           "-12",
                                           "50.00",
                                           "1.0",
                                           "254700000001",
                                           "20261101101500",
                                           "1e400",
                                           "1E+05",
                                           "-0.5e-3",
                                           "123456789012345678901234567890.10" };

    for (size_t i = 0; i < COUNT(numbers); i++) {
        const struct loose *root =
            read(*state, arena_printf(*state, "{\"a\":%s,\"b\":[%s ,\"%s\"]}", numbers[i],
                                      numbers[i], numbers[i]));
        assert_string_equal(loose_text(loose_member(root, "a")), numbers[i]);
        const struct loose *list = loose_member(root, "b");
        assert_int_equal(list->count, 2);
        assert_string_equal(loose_text(&list->items[0]), numbers[i]);
        assert_string_equal(loose_text(&list->items[1]), numbers[i]);
    }
}

static void what_is_no_json_is_refused(void **state)
{
    static const char *const bodies[] = {
        "",
        " ",
        "<html>",
        "5",
        "\"text\"",
        "{",
        "{\"a\":01}",
        "{\"a\":+1}",
        "{\"a\":1.}",
        "{\"a\":.5}",
        "{\"a\":1e}",
        "{\"a\":-}",
        "{\"a\":1 2}",
        "{\"a\":NaN}",
        "{\"a\":1x}",
        "{\"a\":0x10}",
        "{1:2}",
        "{1 :2}",
        "{\"a\":1,\"a\":2}",
        "{\"a\":\"b}",
        "{\"a\":\"\\u0000\"}",
        "{\"a\":\"\\x\"}",
        "{\"a\":1}}",
        "{\"a\":1} trailing",
        "{\"254700000001\":\"254700000001\"254700000001}",
    };

    for (size_t i = 0; i < COUNT(bodies); i++) {
        const struct loose *root = (const struct loose *)0x1;
        struct err err;
        if (loose_read(bodies[i], strlen(bodies[i]), &root, *state, &err)) {
            fail_msg("%s was read", bodies[i]);
        }
        assert_string_equal(err.what, "bad_json");
        assert_int_equal(err.kind, ERR_PERMANENT);
        assert_null(strstr(err.detail, "2547"));
        assert_ptr_equal(root, (const struct loose *)0x1);
    }
}

static void a_nul_is_refused_outside_strings_only(void **state)
{
    const struct loose *root;
    struct err err;

    assert_true(loose_read("{\"a\":\"x\0y\"}", 11, &root, *state, &err));
    assert_string_equal(loose_text(loose_member(root, "a")), "x y");
    assert_false(loose_read("{\"a\":1\0}", 8, &root, *state, &err));
    assert_false(loose_read("{\"a\":1}\0", 8, &root, *state, &err));
}

static void careless_strings_are_mended(void **state)
{
    const struct loose *root = read(
        *state, "{\"a\":\"J\xf3se \xe2\x82\xac\ttab\n\",\"b\":\"q\\\"1 2\\\\\",\"c\":\"\\u20ac\"}");

    assert_string_equal(loose_text(loose_member(root, "a")), "J\xef\xbf\xbdse \xe2\x82\xac tab ");
    assert_string_equal(loose_text(loose_member(root, "b")), "q\"1 2\\");
    assert_string_equal(loose_text(loose_member(root, "c")), "\xe2\x82\xac");
}

static void what_is_not_there_is_null(void **state)
{
    const struct loose *root = read(
        *state, "{\"n\":null,\"t\":true,\"l\":[],\"o\":{},\"s\":\"\",\"d\":{\"e\":{\"f\":1}}}");

    assert_null(loose_member(root, "x"));
    assert_null(loose_member(NULL, "x"));
    assert_null(loose_member(loose_member(root, "s"), "x"));
    assert_null(loose_member(loose_member(root, "l"), "x"));
    assert_null(loose_text(NULL));
    assert_null(loose_text(loose_member(root, "n")));
    assert_null(loose_text(loose_member(root, "t")));
    assert_null(loose_text(loose_member(root, "l")));
    assert_null(loose_text(loose_member(root, "o")));
    assert_string_equal(loose_text(loose_member(root, "s")), "");
    assert_string_equal(loose_text(loose_member(loose_member(loose_member(root, "d"), "e"), "f")),
                        "1");
    assert_string_equal(loose_kind_name(NULL), "missing");
    assert_string_equal(loose_kind_name(loose_member(root, "n")), "null or a boolean");
    assert_string_equal(loose_kind_name(loose_member(root, "l")), "a list");
    assert_string_equal(loose_kind_name(loose_member(root, "o")), "an object");
    assert_string_equal(loose_kind_name(loose_member(root, "s")), "text");
}

static void deep_and_wide_documents_fit_the_arena(void **state)
{
    enum { SIZE = 64 << 10 };
    char *body = arena_alloc(*state, SIZE + 1);
    const struct loose *root;
    struct err err;

    memset(body, '[', SIZE);
    assert_false(loose_read(body, SIZE, &root, *state, &err));
    memset(body, '[', SIZE / 64);
    memset(body + SIZE / 64, ']', SIZE / 64);
    assert_true(loose_read(body, SIZE / 32, &root, *state, &err));
    body[0] = '[';
    for (size_t i = 1; i < SIZE - 1; i += 2) {
        body[i] = '0';
        body[i + 1] = ',';
    }
    body[SIZE - 2] = ' ';
    body[SIZE - 3] = '1';
    body[SIZE - 1] = ']';
    assert_true(loose_read(body, SIZE, &root, *state, &err));
    assert_int_equal(root->count, SIZE / 2 - 1);
    assert_true(arena_used(*state) < 100 * SIZE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(numbers_keep_their_text, begin, end),
        cmocka_unit_test_setup_teardown(what_is_no_json_is_refused, begin, end),
        cmocka_unit_test_setup_teardown(a_nul_is_refused_outside_strings_only, begin, end),
        cmocka_unit_test_setup_teardown(careless_strings_are_mended, begin, end),
        cmocka_unit_test_setup_teardown(what_is_not_there_is_null, begin, end),
        cmocka_unit_test_setup_teardown(deep_and_wide_documents_fit_the_arena, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
