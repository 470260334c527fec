/*
 * Call requests as they go over the wire, settings, and what each reply makes of the numbers.
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

#include "base/str.h"
#include "provider/at_call.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define JSON "application/json"
#define TEXT "text/plain"
#define A 254700000001
#define B 254700000002
#define C 254700000003
#define SESSION_A "ATVId_00112233445566778899aabbccddeeff"
#define SESSION_B "ATVId_ffeeddccbbaa99887766554433221100"

struct fixture {
    struct arena *arena;
    struct at_call_outcome outcomes[3];
    struct at_verdict whole;
};

static const int64_t asked[] = { A, B, C };

static const struct at_call_conf live = {
    .url = "https://voice.africastalking.com",
    .username = "acme & co",
    .api_key = "atsk_0011",
    .caller_id = "+254711082000",
    .timeout_ms = 20000,
};

static int begin(void **state)
{
    static struct fixture fix;

    fix.arena = arena_create(16 << 20);
    *state = &fix;
    return 0;
}

static int end(void **state)
{
    struct fixture *fix = *state;
    arena_destroy(fix->arena);
    return 0;
}

static struct http_reply answer(int status, const char *type, const char *body)
{
    return (struct http_reply){
        .sent = HTTP_ANSWERED,
        .status = status,
        .content_type = type,
        .body = body,
        .body_len = strlen(body),
        .retry_after_s = -1,
    };
}

/* Reads a reply to a request for the first n of A, B, C; nothing of the outcomes may survive. */
static void read_reply(struct fixture *fix, struct http_reply reply, size_t n)
{
    memset(fix->outcomes, 0xA5, sizeof(fix->outcomes));
    memset(&fix->whole, 0xA5, sizeof(fix->whole));
    at_call_read(&reply, asked, n, fix->outcomes, &fix->whole, fix->arena);
}

static void read_entries(struct fixture *fix, const char *entries, size_t n)
{
    read_reply(
        fix,
        answer(200, JSON,
               arena_printf(fix->arena, "{\"entries\":[%s],\"errorMessage\":\"None\"}", entries)),
        n);
}

static void assert_all(const struct fixture *fix, size_t n, enum at_class class)
{
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(fix->outcomes[i].class, class);
        assert_string_equal(fix->outcomes[i].reason, fix->whole.why);
        assert_string_equal(fix->outcomes[i].word, "");
        assert_null(fix->outcomes[i].session_id);
    }
}

static void a_form_has_all_numbers_in_one_field(void **state)
{
    struct fixture *fix = *state;
    struct http_call call;
    struct err err;

    assert_true(at_call_request(&live, "", "00ff", asked, 2, &call, fix->arena, &err));
    assert_string_equal(call.method, "POST");
    assert_string_equal(call.url, "https://voice.africastalking.com/call");
    assert_string_equal(call.body, "username=acme+%26+co&from=%2B254711082000&clientRequestId=00ff"
                                   "&to=%2B254700000001%2C%2B254700000002");
    assert_int_equal(call.body_len, strlen(call.body));
    assert_int_equal(call.timeout_ms, 20000);
    assert_string_equal(call.headers[0], "apiKey: atsk_0011");
    assert_string_equal(call.headers[1], "Accept: application/json");
    assert_string_equal(call.headers[2], "Content-Type: application/x-www-form-urlencoded");
    assert_null(call.headers[3]);
    assert_true(at_call_request(&live, "+254711082999", "x", asked, 1, &call, fix->arena, &err));
    assert_string_equal(
        call.body,
        "username=acme+%26+co&from=%2B254711082999&clientRequestId=x&to=%2B254700000001");
}

static void a_full_request_fits(void **state)
{
    struct fixture *fix = *state;
    int64_t many[AT_CALL_NUMBERS_MAX];
    struct http_call call;
    struct err err;
    int commas = 0;

    for (int i = 0; i < AT_CALL_NUMBERS_MAX; i++) {
        many[i] = 999999999999999 - i;
    }
    assert_true(at_call_request(&live, NULL, "x", many, COUNT(many), &call, fix->arena, &err));
    for (const char *at = call.body; (at = strstr(at, "%2C")) != NULL; at++) {
        commas++;
    }
    assert_int_equal(commas, AT_CALL_NUMBERS_MAX - 1);
}

static void a_request_needs_a_caller_and_a_tag(void **state)
{
    struct fixture *fix = *state;
    struct at_call_conf conf = live;
    struct http_call call = { .method = "untouched" };
    static const char *const callers[] = { "254711082000", "+0711082000",       "+25471",
                                           "ACME",         "+2547110820001234", "+25471108200x" };
    static const char *const tags[] = { "", "a b", "a&b", "\xC3\xA9" };
    char tag[AT_CALL_REQUEST_ID_BYTES_MAX + 2];
    struct err err;

    for (size_t i = 0; i < COUNT(callers); i++) {
        assert_false(at_call_request(&conf, callers[i], "x", asked, 1, &call, fix->arena, &err));
        assert_string_equal(err.what, "bad_caller_id");
        assert_int_equal(err.kind, ERR_PERMANENT);
    }
    for (size_t i = 0; i < COUNT(tags); i++) {
        assert_false(at_call_request(&conf, NULL, tags[i], asked, 1, &call, fix->arena, &err));
        assert_string_equal(err.what, "bad_request_id");
    }
    memset(tag, 'f', sizeof(tag) - 1);
    tag[sizeof(tag) - 1] = '\0';
    assert_false(at_call_request(&conf, NULL, tag, asked, 1, &call, fix->arena, &err));
    assert_string_equal(err.what, "bad_request_id");
    conf.caller_id = "";
    assert_false(at_call_request(&conf, NULL, "x", asked, 1, &call, fix->arena, &err));
    assert_string_equal(err.what, "no_caller_id");
    assert_string_equal(call.method, "untouched");
    tag[AT_CALL_REQUEST_ID_BYTES_MAX] = '\0';
    assert_true(at_call_request(&live, NULL, tag, asked, 1, &call, fix->arena, &err));
}

static void settings_are_checked(void **state)
{
    static const struct {
        struct at_call_conf conf;
        const char *fault; /* NULL for none */
    } cases[] = {
        { { "http://127.0.0.1:1", "u", "k", "", 1 }, NULL },
        { { "https://voice.example", "u", "k", "+254711082000", 1 }, NULL },
        { { "voice.example", "u", "k", "", 1 }, "AT_VOICE_URL must begin" },
        { { "", "u", "k", "", 1 }, "AT_VOICE_URL must begin" },
        { { "https://voice.example/", "u", "k", "", 1 }, "AT_VOICE_URL must not end" },
        { { "https://voice.example", "", "k", "", 1 }, "AT_USERNAME" },
        { { "https://voice.example", "u", "", "", 1 }, "AT_API_KEY" },
        { { "https://voice.example", "u", "k\n", "", 1 }, "AT_API_KEY" },
        { { "https://voice.example", "u", "k", "0711082000", 1 }, "AT_VOICE_CALLER_ID" },
    };
    struct err err;
    (void)state;

    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_int_equal(at_call_conf_check(&cases[i].conf, &err), cases[i].fault == NULL);
        if (cases[i].fault != NULL) {
            assert_string_equal(err.what, "bad_setting");
            assert_non_null(strstr(err.detail, cases[i].fault));
        }
    }
}

/* The account is the one of the SMS settings; only it must be set. */
static void settings_come_from_the_environment(void **state)
{
    struct fixture *fix = *state;
    struct at_call_conf conf;
    struct str problems = { 0 };
    struct err err;

    unsetenv("AT_USERNAME");
    setenv("AT_API_KEY", "atsk_0011", 1);
    setenv("VOICE_TIMEOUT", "26s", 1);
    assert_false(conf_load(at_call_conf_items, &conf, fix->arena, &problems));
    assert_non_null(strstr(problems.bytes, "AT_USERNAME"));
    assert_non_null(strstr(problems.bytes, "VOICE_TIMEOUT"));
    assert_null(strstr(problems.bytes, "AT_VOICE"));
    str_reset(&problems);
    setenv("AT_USERNAME", "acme", 1);
    unsetenv("VOICE_TIMEOUT");
    assert_true(conf_load(at_call_conf_items, &conf, fix->arena, &problems));
    assert_true(at_call_conf_check(&conf, &err));
    assert_string_equal(conf.username, "acme");
    assert_string_equal(conf.api_key, "atsk_0011");
    assert_string_equal(conf.url, "https://voice.africastalking.com");
    assert_string_equal(conf.caller_id, "");
    assert_int_equal(conf.timeout_ms, 20000);
    str_free(&problems);
}

static void each_number_has_its_own_outcome(void **state)
{
    struct fixture *fix = *state;

    /* In another order than asked. */
    read_entries(
        fix,
        "{\"phoneNumber\":\"+254700000003\",\"status\":\"InvalidPhoneNumber\","
        "\"sessionId\":\"None\"},"
        "{\"phoneNumber\":\"+254700000001\",\"status\":\"Queued\",\"sessionId\":\"" SESSION_A "\"}",
        3);
    assert_int_equal(fix->whole.state, AT_REQUEST_OK);
    assert_string_equal(fix->whole.why, "ok");
    assert_string_equal(fix->whole.detail, "");
    assert_int_equal(fix->whole.status, 200);
    assert_int_equal(fix->outcomes[0].class, AT_ACCEPTED);
    assert_string_equal(fix->outcomes[0].reason, "accepted");
    assert_string_equal(fix->outcomes[0].word, "Queued");
    assert_string_equal(fix->outcomes[0].session_id, SESSION_A);
    assert_int_equal(fix->outcomes[1].class, AT_DOUBT);
    assert_string_equal(fix->outcomes[1].reason, "missing_in_reply");
    assert_int_equal(fix->outcomes[2].class, AT_FINAL);
    assert_string_equal(fix->outcomes[2].reason, "invalid_number");
    assert_null(fix->outcomes[2].session_id);
}

static void every_word_has_its_class(void **state)
{
    static const struct {
        const char *word;
        enum at_class class;
        const char *reason;
    } cases[] = {
        { "Queued", AT_ACCEPTED, "accepted" },
        { "InvalidPhoneNumber", AT_FINAL, "invalid_number" },
        { "DestinationNotSupported", AT_FINAL, "no_route" },
        { "InsufficientCredit", AT_HOLD_ACCOUNT, "insufficient_balance" },
        { "Ringing", AT_DOUBT, "unknown_word" },
        { "", AT_DOUBT, "unknown_word" },
    };
    struct fixture *fix = *state;

    assert_int_equal(at_call_words_count, 4);
    for (size_t i = 0; i < COUNT(cases); i++) {
        read_entries(fix,
                     arena_printf(fix->arena,
                                  "{\"sessionId\":\"%s\",\"status\":\"%s\","
                                  "\"phoneNumber\":\"+254700000001\"}",
                                  SESSION_A, cases[i].word),
                     1);
        assert_int_equal(fix->outcomes[0].class, cases[i].class);
        assert_string_equal(fix->outcomes[0].reason, cases[i].reason);
        assert_string_equal(fix->outcomes[0].word, cases[i].word);
    }
}

/* Without a session no callback would find the call: it is looked for, not believed. */
static void queued_without_a_session_is_doubt(void **state)
{
    static const char *const sessions[] = {
        "\"None\"", "\"\"", "null", "[]", "\"a b\"", "\"<x>\""
    };
    struct fixture *fix = *state;

    for (size_t i = 0; i < COUNT(sessions); i++) {
        read_entries(fix,
                     arena_printf(fix->arena,
                                  "{\"phoneNumber\":\"+254700000001\",\"status\":\"Queued\","
                                  "\"sessionId\":%s}",
                                  sessions[i]),
                     1);
        assert_int_equal(fix->outcomes[0].class, AT_DOUBT);
        assert_string_equal(fix->outcomes[0].reason, "no_session");
        assert_null(fix->outcomes[0].session_id);
    }
}

static void one_odd_entry_spoils_no_other(void **state)
{
    struct fixture *fix = *state;

    read_entries(fix,
                 "7,null,{\"phoneNumber\":[]},{\"status\":\"Queued\"},"
                 "{\"phoneNumber\":\"+254700000002\",\"status\":{}},"
                 "{\"phoneNumber\":254700000001,\"status\":\"Queued\",\"sessionId\":\"" SESSION_A
                 "\"},{\"phoneNumber\":\"+254799999999\",\"status\":\"Queued\"}",
                 2);
    assert_int_equal(fix->whole.state, AT_REQUEST_OK);
    assert_int_equal(fix->whole.unasked, 5);
    assert_int_equal(fix->outcomes[0].class, AT_ACCEPTED);
    assert_int_equal(fix->outcomes[1].class, AT_DOUBT);
    assert_string_equal(fix->outcomes[1].reason, "unknown_word");
}

static void named_twice_one_acceptance_is_enough(void **state)
{
    struct fixture *fix = *state;
    const char *taken = "{\"phoneNumber\":\"+254700000001\",\"status\":\"Queued\","
                        "\"sessionId\":\"" SESSION_A "\"}";
    const char *refused = "{\"phoneNumber\":\"+254700000001\",\"status\":\"InsufficientCredit\"}";

    read_entries(fix, arena_printf(fix->arena, "%s,%s", taken, refused), 1);
    assert_int_equal(fix->outcomes[0].class, AT_ACCEPTED);
    assert_int_equal(fix->whole.unasked, 1);
    read_entries(fix, arena_printf(fix->arena, "%s,%s", refused, taken), 1);
    assert_int_equal(fix->outcomes[0].class, AT_ACCEPTED);
    assert_string_equal(fix->outcomes[0].session_id, SESSION_A);
}

static void a_refusal_comes_with_200(void **state)
{
    static const struct {
        const char *body;
        const char *why;
    } cases[] = {
        { "{\"entries\":[],\"errorMessage\":\"Invalid callerId: +254711082000\"}",
          "invalid_caller_id" },
        { "{\"errorMessage\":\"Invalid callbackUrl: <x>\"}", "invalid_callback_url" },
        { "{\"entries\":null,\"errorMessage\":\"InsufficientCredit\"}", "insufficient_balance" },
        { "{\"entries\":[],\"errorMessage\":\"Something new\"}", "request_refused" },
    };
    struct fixture *fix = *state;

    for (size_t i = 0; i < COUNT(cases); i++) {
        read_reply(fix, answer(200, JSON, cases[i].body), 3);
        assert_int_equal(fix->whole.state, AT_REQUEST_REFUSED);
        assert_string_equal(fix->whole.why, cases[i].why);
        assert_true(fix->whole.detail[0] != '\0');
        assert_all(fix, 3, AT_HOLD_ACCOUNT);
    }
    read_reply(fix, answer(200, JSON, cases[0].body), 1);
    assert_string_equal(fix->whole.detail, "Invalid callerId: +*********000");
    /* Our own callback address has a secret in it. */
    read_reply(fix,
               answer(200, JSON,
                      "{\"entries\":[],\"errorMessage\":\"Invalid callbackUrl: "
                      "https://tuma.example/api/communications/webhooks/voice?token=s3cret\"}"),
               1);
    assert_string_equal(fix->whole.why, "invalid_callback_url");
    assert_null(strstr(fix->whole.detail, "s3cret"));
    assert_string_equal(fix->whole.detail, "Invalid callbackUrl: <address>");
}

static void what_contradicts_itself_is_doubt(void **state)
{
    static const struct {
        const char *body;
        const char *why;
    } cases[] = {
        { "{\"entries\":[],\"errorMessage\":\"None\"}", "entries_missing" },
        { "{\"entries\":[]}", "entries_missing" },
        { "{}", "entries_missing" },
        { "{\"entries\":{\"a\":1},\"errorMessage\":\"Invalid callerId: x\"}", "entries_missing" },
        { "[]", "unreadable_reply" },
        { "\"Queued\"", "unreadable_reply" },
        { "", "unreadable_reply" },
        { "{\"entries\":[{\"phoneNumber\":", "unreadable_reply" },
        { "<Response/>", "unreadable_reply" },
    };
    struct fixture *fix = *state;

    for (size_t i = 0; i < COUNT(cases); i++) {
        read_reply(fix, answer(200, JSON, cases[i].body), 2);
        assert_int_equal(fix->whole.state, AT_REQUEST_UNKNOWN);
        assert_string_equal(fix->whole.why, cases[i].why);
        assert_all(fix, 2, AT_DOUBT);
    }
}

static void a_reply_too_long_is_doubt(void **state)
{
    struct fixture *fix = *state;
    char *body = arena_alloc(fix->arena, AT_CALL_REPLY_BYTES_MAX + 2);

    memset(body, ' ', AT_CALL_REPLY_BYTES_MAX + 1);
    memcpy(body, "{}", 2);
    read_reply(fix, answer(200, JSON, body), 1);
    assert_int_equal(fix->whole.state, AT_REQUEST_UNKNOWN);
    assert_non_null(strstr(fix->whole.detail, "65537 bytes"));
    body[AT_CALL_REPLY_BYTES_MAX] = '\0';
    read_reply(fix, answer(200, JSON, body), 1);
    assert_string_equal(fix->whole.why, "entries_missing");
}

static void errors_that_are_text_are_classed_as_for_sms(void **state)
{
    static const struct {
        int status;
        const char *body;
        enum at_request_state state;
        enum at_class class;
    } cases[] = {
        { 400, "Request is missing required form field 'from'", AT_REQUEST_MALFORMED,
          AT_HOLD_ACCOUNT },
        { 401, "The supplied authentication is invalid", AT_REQUEST_UNAUTHORISED, AT_HOLD_ACCOUNT },
        { 403, "", AT_REQUEST_UNAUTHORISED, AT_HOLD_ACCOUNT },
        { 408, "", AT_REQUEST_UNKNOWN, AT_DOUBT },
        { 429, "slow down", AT_REQUEST_THROTTLED, AT_RETRY },
        { 500, "{\"entries\":[],\"errorMessage\":\"Invalid callerId\"}", AT_REQUEST_UNKNOWN,
          AT_DOUBT },
        { 503, "The server was not able to produce a timely response to your request.",
          AT_REQUEST_UNKNOWN, AT_DOUBT },
        { 308, "", AT_REQUEST_MALFORMED, AT_HOLD_ACCOUNT },
    };
    struct fixture *fix = *state;

    for (size_t i = 0; i < COUNT(cases); i++) {
        read_reply(fix, answer(cases[i].status, TEXT, cases[i].body), 3);
        assert_int_equal(fix->whole.state, cases[i].state);
        assert_int_equal(fix->whole.status, cases[i].status);
        assert_string_equal(fix->whole.detail, cases[i].body);
        assert_all(fix, 3, cases[i].class);
    }
}

static void what_was_not_answered(void **state)
{
    struct fixture *fix = *state;
    struct http_reply reply = { .sent = HTTP_NOT_SENT, .body = "", .retry_after_s = -1 };

    reply.err = (struct err){ ERR_TEMPORARY, "http_connect", "refused" };
    read_reply(fix, reply, 2);
    assert_int_equal(fix->whole.state, AT_REQUEST_NOT_SENT);
    assert_string_equal(fix->whole.why, "http_connect");
    assert_all(fix, 2, AT_RETRY);
    reply.sent = HTTP_UNKNOWN;
    reply.err = (struct err){ ERR_UNKNOWN, "http_timeout", "no answer" };
    read_reply(fix, reply, 2);
    assert_int_equal(fix->whole.state, AT_REQUEST_UNKNOWN);
    assert_all(fix, 2, AT_DOUBT);
}

/* Some went, though the message complains: the entries count, the words are kept. */
static void entries_count_more_than_the_message(void **state)
{
    struct fixture *fix = *state;

    read_reply(fix,
               answer(201, JSON,
                      "{\"errorMessage\":\"Some were not called\",\"entries\":["
                      "{\"phoneNumber\":\"+254700000002\",\"status\":\"Queued\",\"sessionId\":"
                      "\"" SESSION_B "\"}]}"),
               2);
    assert_int_equal(fix->whole.state, AT_REQUEST_OK);
    assert_string_equal(fix->whole.detail, "Some were not called");
    assert_int_equal(fix->outcomes[0].class, AT_DOUBT);
    assert_int_equal(fix->outcomes[1].class, AT_ACCEPTED);
    assert_string_equal(fix->outcomes[1].session_id, SESSION_B);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_form_has_all_numbers_in_one_field, begin, end),
        cmocka_unit_test_setup_teardown(a_full_request_fits, begin, end),
        cmocka_unit_test_setup_teardown(a_request_needs_a_caller_and_a_tag, begin, end),
        cmocka_unit_test_setup_teardown(settings_are_checked, begin, end),
        cmocka_unit_test_setup_teardown(settings_come_from_the_environment, begin, end),
        cmocka_unit_test_setup_teardown(each_number_has_its_own_outcome, begin, end),
        cmocka_unit_test_setup_teardown(every_word_has_its_class, begin, end),
        cmocka_unit_test_setup_teardown(queued_without_a_session_is_doubt, begin, end),
        cmocka_unit_test_setup_teardown(one_odd_entry_spoils_no_other, begin, end),
        cmocka_unit_test_setup_teardown(named_twice_one_acceptance_is_enough, begin, end),
        cmocka_unit_test_setup_teardown(a_refusal_comes_with_200, begin, end),
        cmocka_unit_test_setup_teardown(what_contradicts_itself_is_doubt, begin, end),
        cmocka_unit_test_setup_teardown(a_reply_too_long_is_doubt, begin, end),
        cmocka_unit_test_setup_teardown(errors_that_are_text_are_classed_as_for_sms, begin, end),
        cmocka_unit_test_setup_teardown(what_was_not_answered, begin, end),
        cmocka_unit_test_setup_teardown(entries_count_more_than_the_message, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
