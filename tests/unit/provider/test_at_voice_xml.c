/*
 * The XML that a callee hears, byte for byte.
 */
/* cmocka.h wants these before it. clang-format would sort them. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <stdlib.h>
#include <string.h>

#include "provider/at_voice_xml.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define URL "https://media.example/fees.mp3"

struct fixture {
    struct str out;
    struct err err;
};

static int begin(void **state)
{
    *state = calloc(1, sizeof(struct fixture));
    return *state == NULL;
}

static int end(void **state)
{
    struct fixture *fix = *state;
    str_free(&fix->out);
    free(fix);
    return 0;
}

static void assert_said(struct fixture *fix, const char *text, const char *expected)
{
    str_reset(&fix->out);
    assert_true(at_xml_say(&fix->out, NULL, text, &fix->err));
    assert_string_equal(fix->out.bytes, expected);
    assert_int_equal(fix->out.len, strlen(expected));
}

/* A refused element leaves what was written before it, and nothing of itself. */
static void assert_refused(struct fixture *fix, bool made, const char *what)
{
    assert_false(made);
    assert_int_equal(fix->err.kind, ERR_PERMANENT);
    assert_string_equal(fix->err.what, what);
    assert_string_equal(fix->out.bytes, "before");
    assert_int_equal(fix->out.len, 6);
}

static void a_whole_document(void **state)
{
    struct fixture *fix = *state;
    const struct at_xml_digits question = {
        .timeout_s = 10,
        .num_digits = 1,
        .finish_on_key = '#',
        .callback_url = "https://tuma.example/voice?token=a&step=\"2\"",
        .play_url = URL "?e=1&s=2",
    };

    at_xml_begin(&fix->out);
    assert_true(at_xml_digits(&fix->out, &question, &fix->err));
    assert_true(at_xml_say(&fix->out, "woman", "Kwaheri", &fix->err));
    assert_true(at_xml_play(&fix->out, URL, &fix->err));
    at_xml_end(&fix->out);
    assert_string_equal(
        fix->out.bytes,
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
        "<Response><GetDigits timeout=\"10\" numDigits=\"1\" finishOnKey=\"#\""
        " callbackUrl=\"https://tuma.example/voice?token=a&amp;step=&quot;2&quot;\">"
        "<Play url=\"" URL "?e=1&amp;s=2\"/></GetDigits>"
        "<Say voice=\"woman\">Kwaheri</Say><Play url=\"" URL "\"/></Response>\n");
}

static void a_question_may_be_spoken(void **state)
{
    struct fixture *fix = *state;
    const struct at_xml_digits question = {
        .timeout_s = AT_DIGITS_TIMEOUT_S_MAX,
        .num_digits = AT_DIGITS_MAX,
        .callback_url = "",
        .say_text = "1 < 2?",
        .say_voice = "en-US-Standard-C",
    };

    assert_true(at_xml_digits(&fix->out, &question, &fix->err));
    assert_string_equal(fix->out.bytes, "<GetDigits timeout=\"120\" numDigits=\"20\">"
                                        "<Say voice=\"en-US-Standard-C\">1 &lt; 2?</Say>"
                                        "</GetDigits>");
}

static void text_is_neutralised(void **state)
{
    struct fixture *fix = *state;

    assert_said(fix, "a&b<c>\"d\"'e'", "<Say>a&amp;b&lt;c&gt;&quot;d&quot;&#39;e&#39;</Say>");
    assert_said(fix, "</Say><Dial phoneNumbers=\"+2\"/>",
                "<Say>&lt;/Say&gt;&lt;Dial phoneNumbers=&quot;+2&quot;/&gt;</Say>");
    assert_said(fix, "]]><![CDATA[x", "<Say>]]&gt;&lt;![CDATA[x</Say>");
    assert_said(fix, "a\nb\tc\r", "<Say>a b c </Say>");
    assert_said(fix,
                "\x01"
                "a\x1B"
                "b\x7F"
                "c\xC2\x85"
                "d\xEF\xBF\xBF"
                "e",
                "<Say>abcde</Say>");
    assert_said(fix,
                "\xFF"
                "a\xC3"
                "b\xED\xA0\x80"
                "c\xC0\x80",
                "<Say>abc</Say>");
    assert_said(fix, "Karibu, Wanjik\xC5\xA9 \xF0\x9F\x98\x80 \xC2\xA0\xE2\x82\xAC",
                "<Say>Karibu, Wanjik\xC5\xA9 \xF0\x9F\x98\x80 \xC2\xA0\xE2\x82\xAC</Say>");
}

static void text_has_its_limits(void **state)
{
    static char text[2 * AT_SAY_CHARS_MAX + 3];
    struct fixture *fix = *state;

    str_puts(&fix->out, "before");
    assert_refused(fix, at_xml_say(&fix->out, NULL, "", &fix->err), "say_empty");
    assert_refused(fix, at_xml_say(&fix->out, NULL, " \n\x01", &fix->err), "say_empty");
    for (size_t i = 0; i <= AT_SAY_CHARS_MAX; i++) {
        memcpy(text + 2 * i, "\xC3\xA9", 2);
    }
    assert_refused(fix, at_xml_say(&fix->out, NULL, text, &fix->err), "say_too_long");
    text[2 * AT_SAY_CHARS_MAX] = '\0'; /* counted in characters */
    assert_true(at_xml_say(&fix->out, NULL, text, &fix->err));
    assert_int_equal(fix->out.len, strlen("before<Say></Say>") + 2 * AT_SAY_CHARS_MAX);
}

static void voices(void **state)
{
    static const char *const bad[] = {
        "wo man",
        "\"",
        "w<",
        "\xC3\xA9",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    };
    struct fixture *fix = *state;

    str_puts(&fix->out, "before");
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_refused(fix, at_xml_say(&fix->out, bad[i], "x", &fix->err), "bad_voice");
    }
    assert_true(at_xml_say(&fix->out, "", "x", &fix->err));
    assert_string_equal(fix->out.bytes, "before<Say>x</Say>");
}

static void urls(void **state)
{
    static const char *const bad[] = {
        "",         "fees.mp3",       "ftp://a/b",    "javascript:x",       "https://",
        "http://",  "https://a/b c",  "https://a/\n", "https://a/\xC3\xA9", "file:///x",
        "HTTPS:/a", "https://a/\x7F",
    };
    struct fixture *fix = *state;
    static char url[AT_XML_URL_BYTES_MAX + 2];

    str_puts(&fix->out, "before");
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_refused(fix, at_xml_play(&fix->out, bad[i], &fix->err), "bad_url");
        assert_non_null(strstr(fix->err.detail, "Play url"));
    }
    memset(url, 'a', sizeof(url) - 1);
    memcpy(url, "http://", 7);
    assert_refused(fix, at_xml_play(&fix->out, url, &fix->err), "bad_url");
    url[AT_XML_URL_BYTES_MAX] = '\0';
    assert_true(at_xml_play(&fix->out, url, &fix->err));
}

static void questions_have_their_limits(void **state)
{
    static const struct {
        struct at_xml_digits digits;
        const char *what, *detail;
    } cases[] = {
        { { 0, 1, 0, NULL, URL, NULL, NULL }, "bad_digits", "timeout is 0" },
        { { 121, 1, 0, NULL, URL, NULL, NULL }, "bad_digits", "timeout is 121" },
        { { 1, 0, 0, NULL, URL, NULL, NULL }, "bad_digits", "numDigits is 0" },
        { { 1, 21, 0, NULL, URL, NULL, NULL }, "bad_digits", "numDigits is 21" },
        { { 1, 1, 'x', NULL, URL, NULL, NULL }, "bad_digits", "finishOnKey" },
        { { 1, 1, '"', NULL, URL, NULL, NULL }, "bad_digits", "finishOnKey" },
        { { 1, 1, 0, NULL, NULL, NULL, NULL }, "bad_digits", "one child" },
        { { 1, 1, 0, NULL, URL, "both", NULL }, "bad_digits", "one child" },
        { { 1, 1, 0, "nowhere", URL, NULL, NULL }, "bad_url", "callbackUrl" },
        { { 1, 1, 0, NULL, "nowhere", NULL, NULL }, "bad_url", "Play url" },
        { { 1, 1, 0, NULL, NULL, " ", NULL }, "say_empty", "nothing" },
        { { 1, 1, 0, NULL, NULL, "x", "<" }, "bad_voice", "voice" },
    };
    struct fixture *fix = *state;

    str_puts(&fix->out, "before");
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_refused(fix, at_xml_digits(&fix->out, &cases[i].digits, &fix->err), cases[i].what);
        assert_non_null(strstr(fix->err.detail, cases[i].detail));
    }
}

static void goodbyes(void **state)
{
    struct fixture *fix = *state;

    at_xml_goodbye(&fix->out);
    assert_string_equal(fix->out.bytes, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                                        "<Response><Say>Thank you. Goodbye.</Say></Response>\n");
    str_reset(&fix->out);
    at_xml_refusal(&fix->out);
    assert_string_equal(fix->out.bytes, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                                        "<Response><Reject/></Response>\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_whole_document, begin, end),
        cmocka_unit_test_setup_teardown(a_question_may_be_spoken, begin, end),
        cmocka_unit_test_setup_teardown(text_is_neutralised, begin, end),
        cmocka_unit_test_setup_teardown(text_has_its_limits, begin, end),
        cmocka_unit_test_setup_teardown(voices, begin, end),
        cmocka_unit_test_setup_teardown(urls, begin, end),
        cmocka_unit_test_setup_teardown(questions_have_their_limits, begin, end),
        cmocka_unit_test_setup_teardown(goodbyes, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
