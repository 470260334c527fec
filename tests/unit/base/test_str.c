/* str: grows as it must, ends in NUL always, and parses plain text strictly. */

/* cmocka.h needs the headers above it. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "child.h"

static void all_appends_join(void **state)
{
    struct str str = { 0 };

    (void)state;
    str_append(&str, "abc", 2);
    str_puts(&str, "-cd-");
    str_putc(&str, 'e');
    str_printf(&str, "%s=%d", "key", 5);
    str_put_int(&str, -12);
    assert_string_equal(str.bytes, "ab-cd-ekey=5-12");
    assert_int_equal(str.len, strlen(str.bytes));
    str_free(&str);
    assert_null(str.bytes);
    assert_int_equal(str.len, 0);
    str_free(&str); /* twice is harmless */
}

static void markup_is_escaped(void **state)
{
    static const char text[] = "<a href=\"x\">Ng'ang'a & Söhne</a>";
    struct str str = { 0 };

    (void)state;
    for (size_t i = 0; i + 1 < sizeof text; i++) {
        str_put_markup(&str, text[i]);
    }
    assert_string_equal(str.bytes,
                        "&lt;a href=&quot;x&quot;&gt;Ng&#39;ang&#39;a &amp; Söhne&lt;/a&gt;");
    str_free(&str);
}

static void empty_appends_make_an_empty_text(void **state)
{
    struct str str = { 0 };

    (void)state;
    str_append(&str, NULL, 0);
    assert_string_equal(str.bytes, "");
    assert_int_equal(str.len, 0);
    str_free(&str);
}

static void it_grows_and_stays_terminated(void **state)
{
    struct str str = { 0 };

    (void)state;
    for (size_t i = 0; i < 100000; i++) {
        str_putc(&str, (char)('a' + i % 26));
        if (i % 997 == 0) {
            assert_int_equal(str.bytes[str.len], '\0');
        }
    }
    assert_int_equal(strlen(str.bytes), 100000);
    assert_int_equal(str.bytes[99999], 'a' + 99999 % 26);
    str_free(&str);
}

static void reset_keeps_the_memory(void **state)
{
    struct str str = { 0 };

    (void)state;
    str_reset(&str);
    assert_null(str.bytes);
    str_printf(&str, "%01000d", 1);
    char *bytes = str.bytes;
    size_t size = str.size;
    str_reset(&str);
    assert_ptr_equal(str.bytes, bytes);
    assert_int_equal(str.size, size);
    assert_int_equal(str.len, 0);
    assert_string_equal(str.bytes, "");
    str_free(&str);
}

static void room_written_to_its_end_is_terminated(void **state)
{
    struct str str = { 0 };

    (void)state;
    for (size_t len = 1; len < 300; len++) {
        memset(str_room(&str, len), 'r', len);
        str.len += len;
        assert_int_equal(strlen(str.bytes), str.len);
    }
    str_free(&str);
}

static void printf_of_every_length_is_whole(void **state)
{
    (void)state;
    for (int len = 1; len < 300; len++) {
        struct str str = { 0 };
        str_puts(&str, "<");
        str_printf(&str, "%0*d>", len, 3);
        assert_int_equal(str.len, (size_t)len + 2);
        assert_string_equal(str.bytes + str.len - 2, "3>");
        str_free(&str);
    }
}

static void ask_for_too_much(void *arg)
{
    struct str str = { .bytes = NULL, .len = 10, .size = 0 };

    (void)arg;
    str_room(&str, SIZE_MAX - 5);
}

static void an_impossible_size_panics(void **state)
{
    (void)state;
    assert_panics(ask_for_too_much, NULL, "string of ");
}

static void put_int_agrees_with_printf(void **state)
{
    static const int64_t values[] = { 0,     1,     -1,        9,         10,        -10,      99,
                                      12345, -9999, INT32_MIN, INT32_MAX, INT64_MIN, INT64_MAX };
    struct str str = { 0 };
    char want[32];

    (void)state;
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        str_reset(&str);
        str_put_int(&str, values[i]);
        snprintf(want, sizeof(want), "%" PRId64, values[i]);
        assert_string_equal(str.bytes, want);
        int64_t back = 1;
        assert_true(str_parse_int(want, INT64_MIN, INT64_MAX, &back));
        assert_int_equal(back, values[i]);
    }
    str_free(&str);
}

static void integers_are_read_whole_or_not_at_all(void **state)
{
    static const char *const wrong[] = { "",
                                         "-",
                                         "+1",
                                         " 1",
                                         "1 ",
                                         "1x",
                                         "0x10",
                                         "1.0",
                                         "1e3",
                                         "--1",
                                         "1-",
                                         "\t1",
                                         "१",
                                         "9223372036854775808",
                                         "-9223372036854775809",
                                         "99999999999999999999999" };
    int64_t value = 77;

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_false(str_parse_int(wrong[i], INT64_MIN, INT64_MAX, &value));
    }
    assert_false(str_parse_int(NULL, 0, 9, &value));
    assert_int_equal(value, 77);
    assert_true(str_parse_int("-9223372036854775808", INT64_MIN, INT64_MAX, &value));
    assert_true(value == INT64_MIN);
    assert_true(str_parse_int("007", 0, 9, &value));
    assert_int_equal(value, 7);
}

static void integers_outside_the_bounds_are_refused(void **state)
{
    int64_t value = 77;

    (void)state;
    assert_false(str_parse_int("4", 5, 10, &value));
    assert_false(str_parse_int("11", 5, 10, &value));
    assert_int_equal(value, 77);
    assert_true(str_parse_int("5", 5, 10, &value));
    assert_true(str_parse_int("10", 5, 10, &value));
    assert_true(str_parse_int("-3", -3, -3, &value));
    assert_int_equal(value, -3);
}

static void integers_may_stand_in_longer_text(void **state)
{
    int64_t value = 77;

    (void)state;
    assert_true(str_parse_int_n("123456", 3, 0, 1000, &value));
    assert_int_equal(value, 123);
    assert_false(str_parse_int_n("12,3", 4, 0, 1000, &value));
    assert_false(str_parse_int_n("12\0", 3, 0, 1000, &value));
    assert_false(str_parse_int_n("", 0, 0, 1000, &value));
}

static const struct {
    const char *bytes;
    size_t len;
    bool good;
} utf8_cases[] = {
    { "", 0, true },
    { "plain text of more than eight letters", 37, true },
    { "Gr\xc3\xbc\xc3\x9f"
      "e",
      7, true },
    { "\xe2\x82\xac", 3, true },
    { "\xf0\x9f\x98\x80", 4, true },
    { "\xf4\x8f\xbf\xbf", 4, true },
    { "\xed\x9f\xbf\xee\x80\x80", 6, true },
    { "12345678\0", 9, false },
    { "1234\0"
      "5678",
      9, false },
    { "\x80", 1, false },             /* continuation alone */
    { "\xc3", 1, false },             /* cut short */
    { "\xe2\x82", 2, false },         /* cut short */
    { "\xf0\x9f\x98", 3, false },     /* cut short */
    { "\xc0\xaf", 2, false },         /* overlong */
    { "\xc1\xbf", 2, false },         /* overlong */
    { "\xe0\x9f\xbf", 3, false },     /* overlong */
    { "\xf0\x8f\xbf\xbf", 4, false }, /* overlong */
    { "\xed\xa0\x80", 3, false },     /* surrogate */
    { "\xed\xbf\xbf", 3, false },     /* surrogate */
    { "\xf4\x90\x80\x80", 4, false }, /* past U+10FFFF */
    { "\xf5\x80\x80\x80", 4, false },
    { "\xff", 1, false },
    { "12345678\xff", 9, false },
    { "1234567\xc3\xa9"
      "89abcdef",
      17, true },
    { "\xe2\x28\xa1", 3, false },
    { "\xe2\x82\x28", 3, false },
};

static void utf8_is_judged_as_rfc_3629_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(utf8_cases) / sizeof(utf8_cases[0]); i++) {
        /* An exact copy, so that a sanitizer sees a read beyond it. */
        char *copy = malloc(utf8_cases[i].len + 1);
        memcpy(copy, utf8_cases[i].bytes, utf8_cases[i].len);
        copy = realloc(copy, utf8_cases[i].len > 0 ? utf8_cases[i].len : 1);
        if (str_is_utf8(copy, utf8_cases[i].len) != utf8_cases[i].good) {
            fail_msg("case %zu", i);
        }
        free(copy);
    }
}

static void utf8_characters_have_their_length(void **state)
{
    (void)state;
    assert_int_equal(str_utf8_char("a", 1), 1);
    assert_int_equal(str_utf8_char("\xc3\xbcx", 3), 2);
    assert_int_equal(str_utf8_char("\xe2\x82\xac", 3), 3);
    assert_int_equal(str_utf8_char("\xf0\x9f\x98\x80", 4), 4);
    assert_int_equal(str_utf8_char("\xf0\x9f\x98\x80", 3), 0);
    assert_int_equal(str_utf8_char("", 0), 0);
    assert_int_equal(str_utf8_char("\0", 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_appends_join),
        cmocka_unit_test(markup_is_escaped),
        cmocka_unit_test(empty_appends_make_an_empty_text),
        cmocka_unit_test(it_grows_and_stays_terminated),
        cmocka_unit_test(reset_keeps_the_memory),
        cmocka_unit_test(room_written_to_its_end_is_terminated),
        cmocka_unit_test(printf_of_every_length_is_whole),
        cmocka_unit_test(an_impossible_size_panics),
        cmocka_unit_test(put_int_agrees_with_printf),
        cmocka_unit_test(integers_are_read_whole_or_not_at_all),
        cmocka_unit_test(integers_outside_the_bounds_are_refused),
        cmocka_unit_test(integers_may_stand_in_longer_text),
        cmocka_unit_test(utf8_is_judged_as_rfc_3629_says),
        cmocka_unit_test(utf8_characters_have_their_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
