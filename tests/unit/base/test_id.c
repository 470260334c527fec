/* id: sorted by birth, distinct, with one spelling. */

/* cmocka.h needs the headers above it. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <ctype.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/id.h"
#include "child.h"

#define NOW_MS ((int64_t)1795165964031)
#define EPOCH_MS ((int64_t)1735689600000)

static void ids_carry_their_birth(void **state)
{
    (void)state;
    for (int64_t ms = NOW_MS; ms < NOW_MS + 1000; ms++) {
        int64_t id = id_create(ms);
        assert_true(id > 0);
        assert_true(id_born_ms(id) == ms);
        assert_true(id >= id_floor(ms));
        assert_true(id < id_floor(ms + 1));
    }
    assert_int_equal(id_floor(EPOCH_MS), 0);
    assert_int_equal(id_floor(0), 0); /* before all ids */
    assert_true(id_create(0) > 0);
    assert_true(id_create(INT64_MAX) > 0);
}

static int compare(const void *a, const void *b)
{
    const int64_t *x = a;
    const int64_t *y = b;

    return (*x > *y) - (*x < *y);
}

static void assert_distinct(int64_t *ids, size_t count)
{
    qsort(ids, count, sizeof(*ids), compare);
    for (size_t i = 1; i < count; i++) {
        assert_true(ids[i] != ids[i - 1]);
    }
}

static void ids_of_one_millisecond_are_distinct(void **state)
{
    static int64_t ids[100000];

    (void)state;
    for (size_t i = 0; i < 100000; i++) {
        ids[i] = id_create(NOW_MS);
    }
    assert_distinct(ids, 100000);
}

static void say_id(void *arg)
{
    int64_t id = id_create(*(int64_t *)arg);
    char bytes[8];
    char hex[17];

    id_random(bytes, sizeof(bytes));
    id_hex(&id, sizeof(id), hex);
    (void)!write(STDERR_FILENO, hex, 16);
    (void)!write(STDERR_FILENO, "\n", 1);
    uint32_t jitter[2] = { id_random_below(UINT32_MAX), id_random_below(UINT32_MAX) };
    id_hex(jitter, sizeof(jitter), hex);
    (void)!write(STDERR_FILENO, hex, 16);
}

static void a_forked_child_does_not_repeat_its_parent(void **state)
{
    static char first[CHILD_SAID_BYTES];
    static char second[CHILD_SAID_BYTES];
    int64_t ms = NOW_MS;

    (void)state;
    id_create(ms); /* the state that would be inherited */
    id_random_below(10);
    assert_int_equal(run_in_child(say_id, &ms, first), 0);
    assert_int_equal(run_in_child(say_id, &ms, second), 0);
    assert_int_equal(strlen(first), 33);
    assert_true(strncmp(first, second, 16) != 0); /* equal by chance once in two million */
    assert_true(strcmp(first + 17, second + 17) != 0);
}

static void ids_are_written_and_read_back(void **state)
{
    static const int64_t ids[] = { 1, 31, 32, 0x123456789abcdef, INT64_MAX };
    char text[ID_TEXT_BYTES];
    int64_t back;

    (void)state;
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        id_format("cmp", ids[i], text);
        assert_int_equal(strlen(text), 17);
        back = 0;
        assert_true(id_parse("cmp", text, &back));
        assert_true(back == ids[i]);
        for (char *c = text + 4; *c != '\0'; c++) {
            *c = (char)tolower((unsigned char)*c);
        }
        assert_true(id_parse("cmp", text, &back));
        assert_true(back == ids[i]);
    }
    id_format("cmp", INT64_MAX, text);
    assert_string_equal(text, "cmp_7ZZZZZZZZZZZZ");
    id_format("abcdef", 1, text);
    assert_string_equal(text, "abcdef_0000000000001");
}

static void texts_sort_as_ids_do(void **state)
{
    char earlier[ID_TEXT_BYTES];
    char later[ID_TEXT_BYTES];

    (void)state;
    for (int64_t ms = NOW_MS; ms < NOW_MS + 500; ms++) {
        id_format("cmp", id_create(ms), earlier);
        id_format("cmp", id_create(ms + 1), later);
        assert_true(strcmp(earlier, later) < 0);
    }
}

static void what_is_no_id_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "cmp",
        "cmp_",
        "cmp_000000000001",
        "cmp_00000000000001",
        "cmp_0000000000000",
        "cmp-0000000000001",
        "bat_0000000000001",
        "CMP_0000000000001",
        "cmpx_0000000000001",
        "cm_0000000000001",
        "cmp_000000000000I",
        "cmp_000000000000L",
        "cmp_000000000000O",
        "cmp_000000000000U",
        "cmp_000000000000-",
        "cmp_8000000000000",
        "cmp_ZZZZZZZZZZZZZ",
        " cmp_0000000000001",
        "cmp_0000000000001 ",
        "cmp_00000000000\xc3\xa9",
    };
    int64_t id = 77;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (id_parse("cmp", bad[i], &id)) {
            fail_msg("'%s' was read as an id", bad[i]);
        }
    }
    assert_false(id_parse("cmp", NULL, &id));
    assert_int_equal(id, 77);
}

static void format_long_kind(void *arg)
{
    char text[ID_TEXT_BYTES];

    id_format(arg, 1, text);
}

static void a_kind_that_is_too_long_panics(void **state)
{
    (void)state;
    assert_panics(format_long_kind, (char[]){ "campaign" }, "no id: kind 'campaign'");
}

static void message_ids_are_hexadecimal_and_differ(void **state)
{
    char one[ID_MESSAGE_BYTES];
    char two[ID_MESSAGE_BYTES];

    (void)state;
    id_message(one);
    id_message(two);
    assert_int_equal(strlen(one), 32);
    assert_int_equal(strspn(one, "0123456789abcdef"), 32);
    assert_string_not_equal(one, two);
}

static void hex_spells_every_byte(void **state)
{
    char text[9];

    (void)state;
    id_hex("\x00\x0f\xf0\xff", 4, text);
    assert_string_equal(text, "000ff0ff");
    id_hex("", 0, text);
    assert_string_equal(text, "");
}

static void random_numbers_stay_below_and_are_spread(void **state)
{
    int seen[10] = { 0 };

    (void)state;
    for (int i = 0; i < 100000; i++) {
        uint32_t value = id_random_below(10);
        assert_true(value < 10);
        seen[value]++;
    }
    for (int i = 0; i < 10; i++) {
        assert_in_range(seen[i], 9000, 11000); /* ten standard deviations */
    }
    for (int i = 0; i < 100; i++) {
        assert_int_equal(id_random_below(1), 0);
    }
}

static void ask_below_nothing(void *arg)
{
    (void)arg;
    id_random_below(0);
}

static void nothing_is_below_zero(void **state)
{
    (void)state;
    assert_panics(ask_below_nothing, NULL, "below 0");
}

static void *create_many(void *arg)
{
    int64_t *ids = arg;

    for (size_t i = 0; i < 1000; i++) {
        ids[i] = id_create(NOW_MS + (int64_t)i);
    }
    return NULL;
}

static void threads_do_not_share_their_state(void **state)
{
    static int64_t ids[4][1000];
    pthread_t threads[4];

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, create_many, ids[i]), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    size_t same = 0;
    for (size_t i = 0; i < 1000; i++) {
        same += ids[0][i] == ids[1][i] || ids[2][i] == ids[3][i];
    }
    assert_true(same < 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_carry_their_birth),
        cmocka_unit_test(ids_of_one_millisecond_are_distinct),
        cmocka_unit_test(a_forked_child_does_not_repeat_its_parent),
        cmocka_unit_test(ids_are_written_and_read_back),
        cmocka_unit_test(texts_sort_as_ids_do),
        cmocka_unit_test(what_is_no_id_is_refused),
        cmocka_unit_test(a_kind_that_is_too_long_panics),
        cmocka_unit_test(message_ids_are_hexadecimal_and_differ),
        cmocka_unit_test(hex_spells_every_byte),
        cmocka_unit_test(random_numbers_stay_below_and_are_spread),
        cmocka_unit_test(nothing_is_below_zero),
        cmocka_unit_test(threads_do_not_share_their_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
