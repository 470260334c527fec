/*
 * test_gsm7 - segments are counted as networks bill them
 *
 * The cases are mostly mistakes that other systems made and published. The properties compare with
 * fuzz_text_reference.h, which counts by writing the messages down.
 */

/* cmocka.h needs the headers above it. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <stdlib.h>
#include <string.h>

#include "fuzz_text_reference.h"
#include "random.h"
#include "text/gsm7.h"

static struct text_count count(const char *text)
{
    struct text_count result;

    assert_true(text_segments(text, strlen(text), &result));
    return result;
}

static const char *repeated(const char *what, size_t times, const char *then)
{
    static char buffer[40000];
    char *at = buffer;

    for (size_t i = 0; i < times; i++) {
        at = stpcpy(at, what);
    }
    strcpy(at, then);
    return buffer;
}

static void counts_known_cases(void **state)
{
    static const struct {
        const char *why;
        const char *what;
        size_t times;
        const char *then;
        enum text_encoding encoding;
        uint32_t units, segments;
    } cases[] = {
        { "nothing is not sent", "", 0, "", TEXT_GSM7, 0, 0 },
        { "one character", "a", 1, "", TEXT_GSM7, 1, 1 },
        { "a full message", "a", 160, "", TEXT_GSM7, 160, 1 },
        { "one too many", "a", 161, "", TEXT_GSM7, 161, 2 },
        { "two full parts", "a", 306, "", TEXT_GSM7, 306, 2 },
        { "one more than two parts", "a", 307, "", TEXT_GSM7, 307, 3 },
        { "310 is three parts, not two", "a", 310, "", TEXT_GSM7, 310, 3 },
        { "320 is three parts, not two", "a", 320, "", TEXT_GSM7, 320, 3 },
        { "300 is two", "a", 300, "", TEXT_GSM7, 300, 2 },
        { "918 is six parts", "a", 918, "", TEXT_GSM7, 918, 6 },
        { "919 is seven parts", "a", 919, "", TEXT_GSM7, 919, 7 },
        { "the longest text", "a", 1600, "", TEXT_GSM7, 1600, 11 },
        { "152 and a name of 9", "a", 152, "Wanjiku N", TEXT_GSM7, 161, 2 },
        { "146 and the suffix of a promotion", "a", 146, " STOP*456*9*5#", TEXT_GSM7, 160, 1 },
        { "147 and the suffix of a promotion", "a", 147, " STOP*456*9*5#", TEXT_GSM7, 161, 2 },
        { "extension characters count twice", "]", 80, "", TEXT_GSM7, 160, 1 },
        { "81 of them do not fit one message", "]", 81, "", TEXT_GSM7, 162, 2 },
        { "76 pairs fill a part", "]", 152, "", TEXT_GSM7, 304, 2 },
        { "a pair is not split: 306 septets, 3 parts", "]", 153, "", TEXT_GSM7, 306, 3 },
        { "every extension character", "^{}[]~\\|€\f", 1, "", TEXT_GSM7, 20, 1 },
        { "a pair across the edge", "a", 152, "[aaaaaaaaaa", TEXT_GSM7, 164, 2 },
        { "extension characters count once in UCS-2", "[", 69, "→", TEXT_UCS2, 70, 1 },
        { "one too many in UCS-2", "[", 70, "→", TEXT_UCS2, 71, 2 },
        { "two UCS-2 parts", "→", 134, "", TEXT_UCS2, 134, 2 },
        { "135 are three UCS-2 parts", "→", 135, "", TEXT_UCS2, 135, 3 },
        { "@ # and $ are in the alphabet", "@#$_%&", 1, "", TEXT_GSM7, 6, 1 },
        { "the naira sign is not", "₦", 1, "500", TEXT_UCS2, 4, 1 },
        { "nor are curly quotes", "‘hi’", 1, "", TEXT_UCS2, 4, 1 },
        { "nor is the backtick", "`", 1, "", TEXT_UCS2, 1, 1 },
        { "nor is the tab", "a\tb", 1, "", TEXT_UCS2, 3, 1 },
        { "nor is the no-break space", "a\u00A0b", 1, "", TEXT_UCS2, 3, 1 },
        { "nor is escape itself", "\x1B", 1, "", TEXT_UCS2, 1, 1 },
        { "CR LF are two", "a\r\nb", 1, "", TEXT_GSM7, 4, 1 },
        { "a composed accent is in the alphabet", "caf\u00E9", 1, "", TEXT_GSM7, 4, 1 },
        { "a decomposed one is not", "cafe\u0301", 1, "", TEXT_UCS2, 5, 1 },
        { "the capital C with cedilla is", "Ç", 1, "", TEXT_GSM7, 1, 1 },
        { "the small one is not", "ç", 1, "", TEXT_UCS2, 1, 1 },
        { "capital Greek is", "ΔΦΓΛΩΠΨΣΘΞ", 1, "", TEXT_GSM7, 10, 1 },
        { "but not the letters that look Latin", "Α", 1, "", TEXT_UCS2, 1, 1 },
        { "an emoji is two units", "😀", 1, "", TEXT_UCS2, 2, 1 },
        { "35 emoji fill a message", "😀", 35, "", TEXT_UCS2, 70, 1 },
        { "33 emoji fill a part", "😀", 66, "", TEXT_UCS2, 132, 2 },
        { "an emoji is not split: 134 units, 3 parts", "😀", 67, "", TEXT_UCS2, 134, 3 },
        { "the raw text counts, not its URL-encoded form", "%20", 1, "+", TEXT_GSM7, 4, 1 },
        { "one emoji makes 160 characters three parts", "a", 158, "😀", TEXT_UCS2, 160, 3 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct text_count got = count(repeated(cases[i].what, cases[i].times, cases[i].then));

        if (got.encoding != cases[i].encoding || got.units != cases[i].units ||
            got.segments != cases[i].segments) {
            fail_msg("%s: encoding %d, %u units, %u segments", cases[i].why, got.encoding,
                     got.units, got.segments);
        }
    }
}

static void tells_how_far_over_a_segment(void **state)
{
    static const struct {
        enum text_encoding encoding;
        uint32_t units, segments, over;
    } table[] = {
        { TEXT_GSM7, 0, 0, 0 },     { TEXT_GSM7, 160, 1, 0 }, { TEXT_GSM7, 161, 2, 1 },
        { TEXT_GSM7, 306, 2, 146 }, { TEXT_GSM7, 307, 3, 1 }, { TEXT_GSM7, 460, 4, 1 },
        { TEXT_GSM7, 306, 3, 1 }, /* an escape that could not be split */
        { TEXT_UCS2, 70, 1, 0 },    { TEXT_UCS2, 71, 2, 1 },  { TEXT_UCS2, 135, 3, 1 },
        { TEXT_UCS2, 144, 3, 10 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        const struct text_count count = {
            .encoding = table[i].encoding,
            .units = table[i].units,
            .segments = table[i].segments,
        };
        assert_int_equal(text_over(&count), table[i].over);
    }
}

static void refuses_what_is_not_utf8(void **state)
{
    static const char *const bad[] = {
        "\x80",     "\xC3",         "\xC0\xAF",         "\xE2\x82",         "\xED\xA0\x80",
        "\xF8\x88", "abc\xFF",      "\xF4\x90\x80\x80", "\xE0\x80\x80",     "\xF0\x80\x80\x80",
        "\xC3\x28", "\xE2\x28\xA1", "a\xF0\x9F\x98",    "\xC1\xBF\xC1\xBF",
    };
    struct text_count got = { .segments = 77 };
    struct text_report report;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(text_segments(bad[i], strlen(bad[i]), &got));
        assert_false(text_inspect(bad[i], strlen(bad[i]), &report));
    }
    assert_false(text_segments("a\0b", 3, &got));
    assert_int_equal(got.segments, 77);
}

static void takes_the_sizes_of_a_network(void **state)
{
    static const struct text_sizes sizes = { 150, 150, 70, 66 };
    struct text_count got;

    (void)state;
    assert_true(text_segments_sized(repeated("a", 151, ""), 151, &sizes, &got));
    assert_int_equal(got.segments, 2);
    assert_true(text_segments_sized(repeated("a", 301, ""), 301, &sizes, &got));
    assert_int_equal(got.segments, 3);
    assert_true(text_segments_sized(repeated("→", 133, ""), 3 * 133, &sizes, &got));
    assert_int_equal(got.segments, 3);
}

static size_t put_utf8(char *to, uint32_t c)
{
    if (c < 0x80) {
        to[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        to[0] = (char)(0xC0 | c >> 6);
        to[1] = (char)(0x80 | (c & 0x3F));
        return 2;
    }
    if (c < 0x10000) {
        to[0] = (char)(0xE0 | c >> 12);
        to[1] = (char)(0x80 | (c >> 6 & 0x3F));
        to[2] = (char)(0x80 | (c & 0x3F));
        return 3;
    }
    to[0] = (char)(0xF0 | c >> 18);
    to[1] = (char)(0x80 | (c >> 12 & 0x3F));
    to[2] = (char)(0x80 | (c >> 6 & 0x3F));
    to[3] = (char)(0x80 | (c & 0x3F));
    return 4;
}

static void check_against_reference(const char *text, size_t len)
{
    struct text_count got = { 0 };
    struct reference expected;
    bool valid = reference_count(text, len, &expected);

    assert_int_equal(text_segments(text, len, &got), valid);
    if (valid && (got.units != expected.units || got.segments != expected.segments ||
                  (got.encoding == TEXT_GSM7) != expected.gsm7)) {
        fail_msg("%zu bytes: got %u units %u segments, expected %u and %u", len, got.units,
                 got.segments, expected.units, expected.segments);
    }
}

static void agrees_on_single_characters(void **state)
{
    char text[4];

    (void)state;
    for (uint32_t c = 0; c < 0x120000; c += c < 0x3000 ? 1 : 61) {
        check_against_reference(text, put_utf8(text, c));
    }
}

static void agrees_on_random_texts(void **state)
{
    static const uint32_t specials[] = { '[', '^', 0x20AC, '\f', 0xE9, 0x394, '\n', 'z' };
    static const uint32_t odd[] = { 0x2019, 0x1F600, 0x1F64F, 0x20A6, 0x301, 0xE7 };
    char text[4 * 1000];
    uint64_t seed = 20261120;

    (void)state;
    for (int round = 0; round < 5000; round++) {
        size_t characters = random_below(&seed, random_below(&seed, 8) == 0 ? 1000 : 330);
        uint32_t special_of = 1 + random_below(&seed, 30);
        uint32_t odd_of = 1 + random_below(&seed, 30);
        bool unicode = random_below(&seed, 3) == 0;
        size_t len = 0;

        for (size_t i = 0; i < characters; i++) {
            uint32_t c = 'a' + random_below(&seed, 26);

            if (random_below(&seed, special_of) == 0) {
                c = specials[random_below(&seed, 8)];
            }
            if (unicode && random_below(&seed, odd_of) == 0) {
                c = odd[random_below(&seed, 6)];
            }
            len += put_utf8(text + len, c);
        }
        check_against_reference(text, len);
        if (len > 0 && random_below(&seed, 10) == 0) { /* damaged */
            text[random_below(&seed, (uint32_t)len)] = (char)random_below(&seed, 256);
            check_against_reference(text, len);
        }
    }
}

static void names_what_is_costly(void **state)
{
    static const char text[] = "It’s ₦500 – don’t wait…\u00A0😀";
    struct text_report report;

    (void)state;
    assert_true(text_inspect(text, strlen(text), &report));
    assert_int_equal(report.count.encoding, TEXT_UCS2);
    assert_int_equal(report.characters, 25);
    assert_int_equal(report.odd_count, 6);
    assert_false(report.odd_more);
    assert_int_equal(report.odd[0].code_point, 0x2019);
    assert_int_equal(report.odd[0].count, 2);
    assert_int_equal(report.odd[0].first_at, 2);
    assert_string_equal(report.odd[0].utf8, "’");
    assert_string_equal(report.odd[0].replacement, "'");
    assert_string_equal(report.odd[1].replacement, "N");
    assert_int_equal(report.odd[1].first_at, 5);
    assert_string_equal(report.odd[2].replacement, "-");
    assert_string_equal(report.odd[3].replacement, "...");
    assert_string_equal(report.odd[4].replacement, " ");
    assert_null(report.odd[5].replacement);
    assert_string_equal(report.odd[5].utf8, "😀");
    assert_false(report.replaceable);
    assert_int_equal(report.replaced.encoding, TEXT_GSM7);
    assert_int_equal(report.replaced.units, 25 + 2);
}

static void tells_what_replacing_saves(void **state)
{
    struct text_report report;
    const char *text = repeated("a", 150, "‘quoted’");
    struct str simple = { 0 };

    (void)state;
    assert_true(text_inspect(text, strlen(text), &report));
    assert_int_equal(report.count.segments, 3);
    assert_true(report.replaceable);
    assert_int_equal(report.replaced.segments, 1);
    assert_int_equal(report.replaced.units, 158);

    assert_true(text_simplify(text, strlen(text), &simple));
    assert_int_equal(simple.len, 158);
    assert_int_equal(count(simple.bytes).encoding, TEXT_GSM7);
    str_free(&simple);
}

static void leaves_alone_what_stays_unicode(void **state)
{
    struct str simple = { 0 };

    (void)state;
    str_puts(&simple, "> ");
    assert_false(text_simplify("‘hi’ 😀", strlen("‘hi’ 😀"), &simple));
    assert_string_equal(simple.bytes, "> ‘hi’ 😀");
    str_reset(&simple);
    assert_false(text_simplify("‘\xFF", 4, &simple));
    str_free(&simple);
}

static void lists_no_more_than_fit(void **state)
{
    struct text_report report;
    const char *alphabet = "абвгдежзийклмнопрстуфхцчшщъыьэюя";

    (void)state;
    assert_true(text_inspect(alphabet, strlen(alphabet), &report));
    assert_int_equal(report.odd_count, TEXT_ODD_MAX);
    assert_true(report.odd_more);
    assert_int_equal(report.replaced.units, 32);
    assert_true(text_inspect("plain", 5, &report));
    assert_int_equal(report.odd_count, 0);
    assert_true(report.replaceable);
    assert_int_equal(report.replaced.units, 5);
}

/* Every suggestion is itself GSM-7, and no character of the alphabet has one. */
static void suggests_gsm7_only(void **state)
{
    size_t suggestions = 0;
    char text[5];

    (void)state;
    for (uint32_t c = 1; c < 0x110000; c++) {
        const char *replacement = text_replacement(c);
        struct text_count one;

        if (replacement == NULL) {
            continue;
        }
        suggestions++;
        assert_int_equal(count(replacement).encoding, TEXT_GSM7);
        assert_true(text_segments(text, put_utf8(text, c), &one));
        assert_int_equal(one.encoding, TEXT_UCS2);
    }
    assert_true(suggestions > 800);
    assert_string_equal(text_replacement(0x1ECD), "o"); /* Yoruba o with dot below */
    assert_string_equal(text_replacement(0x0199), "k"); /* Hausa k with hook */
    assert_string_equal(text_replacement(0x0301), "");  /* combining acute */
    assert_string_equal(text_replacement(0x0153), "oe");
    assert_string_equal(text_replacement(0xFF0E), "."); /* full width */
    assert_string_equal(text_replacement(0xFF41), "a");
    assert_string_equal(text_replacement(0x00E7), "c");
    assert_null(text_replacement(0x0645)); /* Arabic */
    assert_null(text_replacement(0x1200)); /* Amharic */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_known_cases),
        cmocka_unit_test(tells_how_far_over_a_segment),
        cmocka_unit_test(refuses_what_is_not_utf8),
        cmocka_unit_test(takes_the_sizes_of_a_network),
        cmocka_unit_test(agrees_on_single_characters),
        cmocka_unit_test(agrees_on_random_texts),
        cmocka_unit_test(names_what_is_costly),
        cmocka_unit_test(tells_what_replacing_saves),
        cmocka_unit_test(leaves_alone_what_stays_unicode),
        cmocka_unit_test(lists_no_more_than_fit),
        cmocka_unit_test(suggests_gsm7_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
