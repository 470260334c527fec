/*
 * Replies as recorded and documented, and what each makes of the recipients that were asked for.
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
#include "provider/africastalking.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define JSON "application/json"
#define TEXT "text/plain"
#define A 254700000001
#define B 254700000002
#define C 254700000003

struct fixture {
    struct arena *arena;
    struct at_outcome outcomes[3];
    struct at_verdict whole;
};

static const int64_t asked[] = { A, B, C };

static int begin(void **state)
{
    static struct fixture fix;

    fix.arena = arena_create(8 << 20);
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
    at_read(&reply, asked, n, fix->outcomes, &fix->whole, fix->arena);
}

static void read_json(struct fixture *fix, const char *recipients, size_t n)
{
    const char *body = arena_printf(
        fix->arena, "{\"SMSMessageData\":{\"Message\":\"Sent to 1/1\",\"Recipients\":[%s]}}",
        recipients);
    read_reply(fix, answer(201, JSON, body), n);
}

static void assert_all(const struct fixture *fix, size_t n, enum at_class class)
{
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(fix->outcomes[i].class, class);
        assert_int_equal(fix->outcomes[i].code, 0);
        assert_string_equal(fix->outcomes[i].reason, fix->whole.why);
        assert_string_equal(fix->outcomes[i].word, "");
        assert_null(fix->outcomes[i].message_id);
        assert_int_equal(fix->outcomes[i].cost_e4, -1);
        assert_string_equal(fix->outcomes[i].currency, "");
        assert_int_equal(fix->outcomes[i].parts, 0);
    }
}

static void mixed_results_each_have_their_own(void **state)
{
    struct fixture *fix = *state;

    read_reply(
        fix,
        answer(201, JSON,
               "{\"SMSMessageData\":{\"Message\":\"Sent to 1/2 Total Cost: KES 0.8000\","
               "\"Recipients\":["
               "{\"number\":\"+254700000001\",\"status\":\"Success\",\"statusCode\":101,"
               "\"messageId\":\"ATXid_00112233445566778899aabbccddeeff\","
               "\"cost\":\"KES 0.8000\",\"messageParts\":1},"
               "{\"number\":\"+254700000002\",\"status\":\"UserInBlacklist\",\"statusCode\":406,"
               "\"messageId\":\"None\",\"cost\":\"0\"}]}}"),
        2);
    assert_int_equal(fix->whole.state, AT_REQUEST_OK);
    assert_string_equal(fix->whole.why, "ok");
    assert_string_equal(fix->whole.detail, "");
    assert_int_equal(fix->whole.status, 201);
    assert_int_equal(fix->whole.unasked, 0);

    const struct at_outcome *sent = &fix->outcomes[0];
    assert_int_equal(sent->class, AT_ACCEPTED);
    assert_int_equal(sent->code, 101);
    assert_string_equal(sent->reason, "accepted");
    assert_string_equal(sent->word, "Success");
    assert_string_equal(sent->message_id, "ATXid_00112233445566778899aabbccddeeff");
    assert_int_equal(sent->cost_e4, 8000);
    assert_string_equal(sent->currency, "KES");
    assert_int_equal(sent->parts, 1);

    const struct at_outcome *refused = &fix->outcomes[1];
    assert_int_equal(refused->class, AT_SUPPRESS);
    assert_int_equal(refused->code, 406);
    assert_string_equal(refused->reason, "opted_out");
    assert_string_equal(refused->word, "UserInBlacklist");
    assert_null(refused->message_id);
    assert_int_equal(refused->cost_e4, 0);
    assert_string_equal(refused->currency, "");
    assert_int_equal(refused->parts, 0);
}

/* 100, 101 and 102 all say "Success", and none of the optional fields need be there. */
static void every_known_code_is_read_by_its_number(void **state)
{
    struct fixture *fix = *state;

    for (size_t i = 0; i < at_codes_count; i++) {
        const char *word = at_codes[i].class == AT_ACCEPTED ? "Success" : at_codes[i].word;
        read_json(fix,
                  arena_printf(fix->arena,
                               "{\"statusCode\":%d,\"number\":\"+254700000001\",\"status\":\"%s\"}",
                               at_codes[i].code, word),
                  1);
        assert_int_equal(fix->whole.state, AT_REQUEST_OK);
        assert_int_equal(fix->outcomes[0].class, at_codes[i].class);
        assert_int_equal(fix->outcomes[0].code, at_codes[i].code);
        assert_string_equal(fix->outcomes[0].reason, at_codes[i].reason);
        assert_string_equal(fix->outcomes[0].word, word);
        assert_int_equal(fix->outcomes[0].cost_e4, -1);
    }
}

static void a_code_we_do_not_know_is_in_doubt_and_kept(void **state)
{
    struct fixture *fix = *state;

    read_json(fix,
              "{\"number\":\"+254700000001\",\"status\":\"Success\",\"statusCode\":103,"
              "\"messageId\":\"ATXid_1\"},"
              "{\"number\":\"+254700000002\",\"status\":\"Odd\",\"statusCode\":408}",
              2);
    assert_int_equal(fix->whole.state, AT_REQUEST_OK);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(fix->outcomes[i].class, AT_DOUBT);
        assert_string_equal(fix->outcomes[i].reason, "unknown_code");
        assert_int_equal(fix->outcomes[i].code, i == 0 ? 103 : 408);
    }
    assert_string_equal(fix->outcomes[0].message_id, "ATXid_1");
    assert_string_equal(fix->outcomes[1].word, "Odd");
}

static void recipients_are_matched_by_number(void **state)
{
    struct fixture *fix = *state;

    read_json(fix,
              "{\"number\":\"+254700000003\",\"statusCode\":403},"
              "{\"number\":\"+254711111111\",\"statusCode\":101},"
              "{\"number\":\"nonsense\",\"statusCode\":101},"
              "{\"number\":\"+254700000001\",\"statusCode\":102,\"messageId\":\"ATXid_a\"}",
              3);
    assert_int_equal(fix->whole.state, AT_REQUEST_OK);
    assert_int_equal(fix->whole.unasked, 2);
    assert_int_equal(fix->outcomes[0].class, AT_ACCEPTED);
    assert_string_equal(fix->outcomes[0].message_id, "ATXid_a");
    assert_int_equal(fix->outcomes[1].class, AT_DOUBT);
    assert_string_equal(fix->outcomes[1].reason, "missing_in_reply");
    assert_int_equal(fix->outcomes[1].code, 0);
    assert_int_equal(fix->outcomes[2].class, AT_FINAL);
}

static void a_number_named_twice_was_accepted_if_once_so(void **state)
{
    struct fixture *fix = *state;

    read_json(fix,
              "{\"number\":\"+254700000001\",\"statusCode\":500},"
              "{\"number\":\"+254700000001\",\"statusCode\":101,\"messageId\":\"ATXid_a\"},"
              "{\"number\":\"+254700000002\",\"statusCode\":101,\"messageId\":\"ATXid_b\"},"
              "{\"number\":\"+254700000002\",\"statusCode\":500},"
              "{\"number\":\"+254700000002\",\"statusCode\":101,\"messageId\":\"ATXid_c\"}",
              2);
    assert_int_equal(fix->outcomes[0].class, AT_ACCEPTED);
    assert_string_equal(fix->outcomes[0].message_id, "ATXid_a");
    assert_int_equal(fix->outcomes[1].class, AT_ACCEPTED);
    assert_string_equal(fix->outcomes[1].message_id, "ATXid_b");
    assert_int_equal(fix->whole.unasked, 3);
}

static void costs_and_ids_of_every_form(void **state)
{
    static const struct {
        const char *fields;
        const char *id;
        int64_t cost_e4;
        const char *currency;
        int parts;
    } cases[] = {
        { "", NULL, -1, "", 0 },
        { ",\"messageId\":\"None\",\"cost\":\"0\"", NULL, 0, "", 0 },
        { ",\"messageId\":\"\",\"cost\":\"\"", NULL, -1, "", 0 },
        { ",\"messageId\":null,\"cost\":null,\"messageParts\":null", NULL, -1, "", 0 },
        { ",\"messageId\":\"ATPid_1\",\"cost\":\"USD 0.0079\",\"messageParts\":5", "ATPid_1", 79,
          "USD", 5 },
        { ",\"messageId\":\"x\",\"cost\":\"free\"", "x", -1, "", 0 },
        { ",\"messageId\":\"x\",\"cost\":\"KES -1\"", "x", -1, "", 0 },
        /* Of another type than ever seen: what decides is still read. */
        { ",\"messageId\":\"x\",\"cost\":0.8,\"messageParts\":\"1\"", "x", -1, "", 0 },
        { ",\"messageId\":\"x\",\"status\":7", "x", -1, "", 0 },
    };
    struct fixture *fix = *state;

    for (size_t i = 0; i < COUNT(cases); i++) {
        read_json(fix,
                  arena_printf(fix->arena, "{\"number\":\"+254700000001\",\"statusCode\":101%s}",
                               cases[i].fields),
                  1);
        const struct at_outcome *outcome = &fix->outcomes[0];
        assert_int_equal(outcome->class, AT_ACCEPTED);
        if (cases[i].id == NULL) {
            assert_null(outcome->message_id);
        } else {
            assert_string_equal(outcome->message_id, cases[i].id);
        }
        assert_int_equal(outcome->cost_e4, cases[i].cost_e4);
        assert_string_equal(outcome->currency, cases[i].currency);
        assert_int_equal(outcome->parts, cases[i].parts);
    }
}

static const char empty_sender[] =
    "{\"SMSMessageData\":{\"Message\":\"InvalidSenderId\",\"Recipients\":[]}}";

/* Whole-request answers: HTTP status, content type, body, Retry-After. */
static void whole_requests(void **state)
{
    static const struct {
        int status;
        const char *type, *body;
        int64_t retry_after_s;
        enum at_request_state state;
        const char *why;
        enum at_class class;
    } cases[] = {
        { 201, JSON, empty_sender, -1, AT_REQUEST_REFUSED, "invalid_sender", AT_HOLD_ACCOUNT },
        { 200, JSON, empty_sender, -1, AT_REQUEST_REFUSED, "invalid_sender", AT_HOLD_ACCOUNT },
        { 201, JSON, "{\"SMSMessageData\":{\"Message\":\"SomethingNew\",\"Recipients\":[]}}", -1,
          AT_REQUEST_REFUSED, "request_refused", AT_HOLD_ACCOUNT },
        { 201, JSON,
          "{\"SMSMessageData\":{\"Message\":\"DoNotDisturbRejection\",\"Recipients\":[]}}", -1,
          AT_REQUEST_REFUSED, "do_not_disturb", AT_HOLD_WINDOW },
        { 201, JSON,
          "{\"SMSMessageData\":{\"Message\":\"Sent to 0/2 Total Cost: 0\",\"Recipients\":[]}}", -1,
          AT_REQUEST_REFUSED, "request_refused", AT_HOLD_ACCOUNT },
        { 201, JSON,
          "{\"SMSMessageData\":{\"Message\":\"Sent to 2/2 Total Cost: KES "
          "1.6\",\"Recipients\":[]}}",
          -1, AT_REQUEST_UNKNOWN, "recipients_missing", AT_DOUBT },
        { 201, JSON, "{\"SMSMessageData\":{\"Message\":\"\",\"Recipients\":[]}}", -1,
          AT_REQUEST_UNKNOWN, "recipients_missing", AT_DOUBT },
        { 201, JSON, "{\"SMSMessageData\":{\"Recipients\":[]}}", -1, AT_REQUEST_UNKNOWN,
          "recipients_missing", AT_DOUBT },
        { 201, JSON, "{\"SMSMessageData\":{\"Message\":\"Sent to 1/1\"}}", -1, AT_REQUEST_UNKNOWN,
          "unreadable_reply", AT_DOUBT },
        { 201, JSON, "{\"SMSMessageData\":{\"Recipients\":[{\"number\":\"+254700000001\"}]}}", -1,
          AT_REQUEST_UNKNOWN, "unreadable_reply", AT_DOUBT },
        { 201, JSON, "{\"SMSMessageData\":{\"Mess", -1, AT_REQUEST_UNKNOWN, "unreadable_reply",
          AT_DOUBT },
        { 201, JSON, "{}", -1, AT_REQUEST_UNKNOWN, "unreadable_reply", AT_DOUBT },
        { 201, JSON, "", -1, AT_REQUEST_UNKNOWN, "unreadable_reply", AT_DOUBT },
        { 201, "application/xml",
          "<AfricasTalkingResponse><SMSMessageData/></AfricasTalkingResponse>", -1,
          AT_REQUEST_UNKNOWN, "unreadable_reply", AT_DOUBT },
        { 200, TEXT, "OK", -1, AT_REQUEST_UNKNOWN, "unreadable_reply", AT_DOUBT },
        { 401, TEXT, "The supplied authentication is invalid", -1, AT_REQUEST_UNAUTHORISED,
          "bad_credentials", AT_HOLD_ACCOUNT },
        { 403, TEXT, "Forbidden", -1, AT_REQUEST_UNAUTHORISED, "forbidden", AT_HOLD_ACCOUNT },
        { 400, TEXT, "Request is missing required form field 'to'", -1, AT_REQUEST_MALFORMED,
          "bad_request", AT_HOLD_ACCOUNT },
        { 400, TEXT, "The request content was malformed:\nexpected", -1, AT_REQUEST_MALFORMED,
          "bad_request", AT_HOLD_ACCOUNT },
        { 404, TEXT, "The requested resource could not be found.", -1, AT_REQUEST_MALFORMED,
          "bad_request", AT_HOLD_ACCOUNT },
        { 413, TEXT, "", -1, AT_REQUEST_MALFORMED, "bad_request", AT_HOLD_ACCOUNT },
        { 308, TEXT, "", -1, AT_REQUEST_MALFORMED, "moved", AT_HOLD_ACCOUNT },
        { 303, TEXT, "", -1, AT_REQUEST_UNKNOWN, "unexpected_status", AT_DOUBT },
        { 408, TEXT, "", -1, AT_REQUEST_UNKNOWN, "provider_timeout", AT_DOUBT },
        { 409, TEXT, "Conflict", -1, AT_REQUEST_REFUSED, "do_not_disturb", AT_HOLD_WINDOW },
        { 409, JSON, "{\"odd\":1}", -1, AT_REQUEST_UNKNOWN, "unreadable_reply", AT_DOUBT },
        { 429, TEXT, "", -1, AT_REQUEST_THROTTLED, "throttled", AT_RETRY },
        { 429, TEXT, "Slow down", 30, AT_REQUEST_THROTTLED, "throttled", AT_RETRY },
        { 503, TEXT, "", 5, AT_REQUEST_THROTTLED, "throttled", AT_RETRY },
        { 503, TEXT, "", -1, AT_REQUEST_UNKNOWN, "provider_error", AT_DOUBT },
        { 503, TEXT,
          "The server was not able to produce a timely response to your request.\r\n"
          "Please try again in a short while!",
          5, AT_REQUEST_UNKNOWN, "provider_error", AT_DOUBT },
        { 500, TEXT, "There was an internal server error.", -1, AT_REQUEST_UNKNOWN,
          "provider_error", AT_DOUBT },
        { 502, TEXT, "", -1, AT_REQUEST_UNKNOWN, "provider_error", AT_DOUBT },
        { 504, TEXT, "", -1, AT_REQUEST_UNKNOWN, "provider_error", AT_DOUBT },
    };
    struct fixture *fix = *state;

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct http_reply reply = answer(cases[i].status, cases[i].type, cases[i].body);
        reply.retry_after_s = cases[i].retry_after_s;
        read_reply(fix, reply, 2);
        assert_int_equal(fix->whole.state, cases[i].state);
        assert_string_equal(fix->whole.why, cases[i].why);
        assert_int_equal(fix->whole.status, cases[i].status);
        assert_int_equal(fix->whole.retry_after_s, cases[i].retry_after_s);
        assert_int_equal(fix->whole.unasked, 0);
        assert_all(fix, 2, cases[i].class);
    }
}

/* The document says both: 409 in the body of a 2xx, and 409 as the status of a body. */
static void status_409_with_recipients_is_read_like_2xx(void **state)
{
    struct fixture *fix = *state;

    read_reply(fix,
               answer(409, JSON,
                      "{\"SMSMessageData\":{\"Message\":\"Sent to 0/1 Total Cost: 0\","
                      "\"Recipients\":[{\"number\":\"+254700000001\",\"statusCode\":409,"
                      "\"status\":\"DoNotDisturbRejection\",\"messageId\":\"None\","
                      "\"cost\":\"0\"}]}}"),
               2);
    assert_int_equal(fix->whole.state, AT_REQUEST_OK);
    assert_int_equal(fix->outcomes[0].class, AT_HOLD_WINDOW);
    assert_string_equal(fix->outcomes[0].reason, "do_not_disturb");
    assert_int_equal(fix->outcomes[1].class, AT_DOUBT);
}

static void without_an_answer_the_client_says_whether_it_left(void **state)
{
    struct fixture *fix = *state;
    struct http_reply reply = { .sent = HTTP_NOT_SENT, .content_type = "", .body = "" };

    err_temporary(&reply.err, "http_connect_failed", "Connection refused");
    read_reply(fix, reply, 3);
    assert_int_equal(fix->whole.state, AT_REQUEST_NOT_SENT);
    assert_string_equal(fix->whole.why, "http_connect_failed");
    assert_string_equal(fix->whole.detail, "Connection refused");
    assert_int_equal(fix->whole.status, 0);
    assert_int_equal(fix->whole.retry_after_s, -1);
    assert_all(fix, 3, AT_RETRY);

    reply.sent = HTTP_UNKNOWN;
    err_unknown(&reply.err, "http_timeout", "timed out");
    read_reply(fix, reply, 3);
    assert_int_equal(fix->whole.state, AT_REQUEST_UNKNOWN);
    assert_string_equal(fix->whole.why, "http_timeout");
    assert_all(fix, 3, AT_DOUBT);
}

static void the_detail_is_printable_bounded_and_names_no_number(void **state)
{
    struct fixture *fix = *state;
    char long_body[1000];

    read_reply(fix, answer(400, TEXT, "bad\r\n\x01\xE2 +254700000001, 1234567 123456 2"), 1);
    assert_string_equal(fix->whole.detail, "bad???? +*********001, ****567 123456 2");
    memset(long_body, 'x', sizeof(long_body));
    long_body[sizeof(long_body) - 1] = '\0';
    read_reply(fix, answer(400, TEXT, long_body), 1);
    assert_int_equal(strlen(fix->whole.detail), sizeof(fix->whole.detail) - 1);
    read_reply(fix, answer(201, JSON, empty_sender), 1);
    assert_string_equal(fix->whole.detail, "InvalidSenderId");
}

/* A thousand recipients, answered backwards, each with its own id. */
static void a_full_request_is_matched_in_any_order(void **state)
{
    struct fixture *fix = *state;
    struct str body = { 0 };
    int64_t many[AT_RECIPIENTS_MAX];
    static struct at_outcome outcomes[AT_RECIPIENTS_MAX];

    str_puts(&body, "{\"SMSMessageData\":{\"Message\":\"Sent to 1000/1000\",\"Recipients\":[");
    for (int i = AT_RECIPIENTS_MAX - 1; i >= 0; i--) {
        many[i] = 254700000000 + 7 * i;
        str_printf(&body, "%s{\"number\":\"+%lld\",\"statusCode\":%d,\"messageId\":\"ATXid_%d\"}",
                   i == AT_RECIPIENTS_MAX - 1 ? "" : ",", (long long)many[i],
                   i % 10 == 0 ? 403 : 102, i);
    }
    str_puts(&body, "]}}");
    struct http_reply reply = answer(201, JSON, body.bytes);
    at_read(&reply, many, AT_RECIPIENTS_MAX, outcomes, &fix->whole, fix->arena);
    assert_int_equal(fix->whole.state, AT_REQUEST_OK);
    assert_int_equal(fix->whole.unasked, 0);
    for (int i = 0; i < AT_RECIPIENTS_MAX; i++) {
        assert_int_equal(outcomes[i].class, i % 10 == 0 ? AT_FINAL : AT_ACCEPTED);
        assert_string_equal(outcomes[i].message_id, arena_printf(fix->arena, "ATXid_%d", i));
    }
    str_free(&body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(mixed_results_each_have_their_own, begin, end),
        cmocka_unit_test_setup_teardown(every_known_code_is_read_by_its_number, begin, end),
        cmocka_unit_test_setup_teardown(a_code_we_do_not_know_is_in_doubt_and_kept, begin, end),
        cmocka_unit_test_setup_teardown(recipients_are_matched_by_number, begin, end),
        cmocka_unit_test_setup_teardown(a_number_named_twice_was_accepted_if_once_so, begin, end),
        cmocka_unit_test_setup_teardown(costs_and_ids_of_every_form, begin, end),
        cmocka_unit_test_setup_teardown(whole_requests, begin, end),
        cmocka_unit_test_setup_teardown(status_409_with_recipients_is_read_like_2xx, begin, end),
        cmocka_unit_test_setup_teardown(without_an_answer_the_client_says_whether_it_left, begin,
                                        end),
        cmocka_unit_test_setup_teardown(the_detail_is_printable_bounded_and_names_no_number, begin,
                                        end),
        cmocka_unit_test_setup_teardown(a_full_request_is_matched_in_any_order, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
