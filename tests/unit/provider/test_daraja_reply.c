/*
 * M-Pesa's replies as documented and observed, and what each allows us to conclude.
 */
#include "daraja_fixture.h"
#include "provider/daraja_reply.h"

#define ERROR(code, words)                                                                         \
    "{\"requestId\":\"11728-2929992-1\",\"errorCode\":\"" code "\",\"errorMessage\":\"" words "\"" \
    "}"
#define FAULT(code, words)                                                                         \
    "{\"fault\":{\"faultstring\":\"" words "\",\"detail\":{\"errorcode\":\"" code "\"}}}"
#define SPIKE                                                                                      \
    FAULT("policies.ratelimit.SpikeArrestViolation",                                               \
          "Spike arrest violation. Allowed rate : MessageRate{messagesPerPeriod=5, "               \
          "periodInMicroseconds=60000000, maxBurstMessageCount=1.0}")
#define INCAPSULA                                                                                  \
    "<html><head><title>Error</title></head><body>Request unsuccessful. Incapsula incident ID: "   \
    "434000160056178571-94471512331945130</body></html>"
#define TAKEN                                                                                      \
    "{\"MerchantRequestID\":\"29115-34620561-1\","                                                 \
    "\"CheckoutRequestID\":\"ws_CO_191220191020363925\",\"ResponseCode\":\"0\","                   \
    "\"ResponseDescription\":\"Success. Request accepted for processing\","                        \
    "\"CustomerMessage\":\"Success. Request accepted for processing\"}"
#define BUSY_TEXT                                                                                  \
    "Unable to lock subscriber, a transaction is already in process for the current subscriber"

static void a_push_that_was_taken_has_its_ids(void **state)
{
    struct http_reply reply = answer(200, TAKEN);
    struct daraja_answer got;

    memset(&got, 0xA5, sizeof(got));
    daraja_push_read(&reply, &got, *state);
    assert_int_equal(got.class, DARAJA_ACCEPTED);
    assert_string_equal(got.why, "accepted");
    assert_string_equal(got.detail, "");
    assert_string_equal(got.code, "0");
    assert_int_equal(got.status, 200);
    assert_int_equal(got.retry_after_s, 0);
    assert_string_equal(got.merchant_request_id, "29115-34620561-1");
    assert_string_equal(got.checkout_request_id, "ws_CO_191220191020363925");
}

static void types_may_wobble(void **state)
{
    struct http_reply reply =
        answer(200, "{\"CheckoutRequestID\":19122019,\"ResponseCode\":0,\"x\":[{}]}");
    struct daraja_answer got;

    daraja_push_read(&reply, &got, *state);
    assert_int_equal(got.class, DARAJA_ACCEPTED);
    assert_string_equal(got.checkout_request_id, "19122019");
    assert_string_equal(got.merchant_request_id, "");
}

struct act_case {
    int status;
    const char *body;
    enum daraja_class class;
    const char *why;
    int64_t wait_s;
};

static void check_act(void (*read)(const struct http_reply *, struct daraja_answer *,
                                   struct arena *),
                      const struct act_case *cases, size_t count, struct arena *arena)
{
    for (size_t i = 0; i < count; i++) {
        struct http_reply reply = answer(cases[i].status, cases[i].body);
        struct daraja_answer got;
        memset(&got, 0xA5, sizeof(got));
        read(&reply, &got, arena);
        if (got.class != cases[i].class || strcmp(got.why, cases[i].why) != 0 ||
            got.retry_after_s != cases[i].wait_s) {
            fail_msg("case %zu, %d %s: %s %s %lld", i, cases[i].status, cases[i].body,
                     daraja_class_name(got.class), got.why, (long long)got.retry_after_s);
        }
        assert_int_equal(got.status, cases[i].status);
        if (got.class != DARAJA_ACCEPTED) {
            assert_string_equal(got.checkout_request_id, "");
            assert_string_equal(got.merchant_request_id, "");
        }
    }
}

static void each_reply_to_a_push_is_one_of_six(void **state)
{
    static const struct act_case cases[] = {
        /* the payer's */
        { 400, ERROR("400.002.02", "Bad Request - Invalid PhoneNumber"), DARAJA_REFUSED,
          "invalid_phone", 0 },
        { 400, ERROR("400.002.02", "Bad Request - Invalid PartyA"), DARAJA_REFUSED, "invalid_phone",
          0 },
        { 400, ERROR("400.002.02", "Bad Request - Invalid Amount"), DARAJA_REFUSED,
          "invalid_amount", 0 },
        /* ours */
        { 400, ERROR("400.002.02", "Bad Request - Invalid CallBackURL"), DARAJA_MISCONFIGURED,
          "invalid_field", 0 },
        { 400, ERROR("400.002.02", "Bad Request - Invalid BusinessShortCode"), DARAJA_MISCONFIGURED,
          "invalid_field", 0 },
        { 400, ERROR("400.002.02", "Bad Request - Invalid PartyB"), DARAJA_MISCONFIGURED,
          "invalid_field", 0 },
        { 400, ERROR("400.002.05", "Invalid Request Payload"), DARAJA_MISCONFIGURED,
          "invalid_payload", 0 },
        { 400, "", DARAJA_MISCONFIGURED, "bad_request", 0 },
        { 404, ERROR("404.001.01", "Resource not found"), DARAJA_MISCONFIGURED, "wrong_path", 0 },
        { 405, ERROR("405.001", "Method Not Allowed"), DARAJA_MISCONFIGURED, "wrong_method", 0 },
        { 403, "<html>", DARAJA_MISCONFIGURED, "forbidden", 0 },
        { 415, "", DARAJA_MISCONFIGURED, "bad_request", 0 },
        { 301, "", DARAJA_MISCONFIGURED, "moved", 0 },
        { 308, "", DARAJA_MISCONFIGURED, "moved", 0 },
        { 500, ERROR("500.001.1001", "Merchant does not exist"), DARAJA_MISCONFIGURED,
          "merchant_unknown", 0 },
        { 500, ERROR("500.001.1001", "Wrong credentials"), DARAJA_MISCONFIGURED,
          "wrong_credentials", 0 },
        { 401,
          FAULT("keymanagement.service.InvalidAPICallAsNoApiProductMatchFound",
                "Invalid API call as no apiproduct match found"),
          DARAJA_MISCONFIGURED, "product_not_enabled", 0 },
        /* later */
        { 500, ERROR("500.001.1001", BUSY_TEXT), DARAJA_RETRY, "payer_busy", 30 },
        { 400, ERROR("500.001.1001", BUSY_TEXT), DARAJA_RETRY, "payer_busy", 30 },
        { 500, ERROR("500.003.02", "System is busy. Please try again in few minutes."),
          DARAJA_RETRY, "system_busy", 30 },
        { 503, ERROR("500.003.02", "Error Occurred: Spike Arrest Violation"), DARAJA_RETRY,
          "throttled", 30 },
        { 500, ERROR("500.003.02", "Error Occurred: Spike Arrest Violation"), DARAJA_RETRY,
          "throttled", 30 },
        { 500, ERROR("500.003.03", "Error Occurred: Quota Violation"), DARAJA_RETRY,
          "quota_exceeded", 30 },
        { 429, SPIKE, DARAJA_RETRY, "throttled", 30 },
        { 500, SPIKE, DARAJA_RETRY, "throttled", 30 },
        { 429, FAULT("policies.ratelimit.QuotaViolation", "Rate limit quota violation"),
          DARAJA_RETRY, "throttled", 30 },
        { 500, FAULT("policies.ratelimit.QuotaViolation", "Rate limit quota violation"),
          DARAJA_RETRY, "quota_exceeded", 30 },
        { 429, "", DARAJA_RETRY, "throttled", 30 },
        { 429, INCAPSULA, DARAJA_RETRY, "throttled", 30 },
        /* the token */
        { 404, ERROR("404.001.03", "Invalid Access Token"), DARAJA_TOKEN, "token_invalid", 0 },
        { 404, ERROR("404.001.04", "Invalid Authentication Header"), DARAJA_TOKEN, "token_invalid",
          0 },
        { 400, ERROR("400.003.01", "Invalid Access Token"), DARAJA_TOKEN, "token_invalid", 0 },
        { 401, ERROR("401.001", "Invalid Access Token"), DARAJA_TOKEN, "token_invalid", 0 },
        { 401, ERROR("401.002.01", "Error Occurred"), DARAJA_TOKEN, "token_invalid", 0 },
        { 400, ERROR("401.003.01", "Error Occurred"), DARAJA_TOKEN, "token_invalid", 0 },
        { 401, "", DARAJA_TOKEN, "token_invalid", 0 },
        { 403, ERROR("403.009", "Error Occurred - Invalid Access Token - x"), DARAJA_TOKEN,
          "token_invalid", 0 },
        /* it may have been taken */
        { 500, ERROR("500.003.1001", "Internal Server Error"), DARAJA_UNKNOWN, "provider_error",
          0 },
        { 500, ERROR("500.001.1001", "The transaction is being processed"), DARAJA_UNKNOWN,
          "provider_error", 0 },
        { 500, ERROR("500.001.1001", ""), DARAJA_UNKNOWN, "provider_error", 0 },
        { 500, ERROR("500.003.02", "Something else"), DARAJA_UNKNOWN, "provider_error", 0 },
        { 500, ERROR("404.001.03", "Invalid Access Token"), DARAJA_UNKNOWN, "provider_error", 0 },
        { 500, ERROR("400.002.02", "Bad Request - Invalid PhoneNumber"), DARAJA_UNKNOWN,
          "provider_error", 0 },
        { 503, INCAPSULA, DARAJA_UNKNOWN, "provider_error", 0 },
        { 502, "", DARAJA_UNKNOWN, "provider_error", 0 },
        { 504, "upstream request timeout", DARAJA_UNKNOWN, "provider_error", 0 },
        { 408, "", DARAJA_UNKNOWN, "provider_timeout", 0 },
        { 302, "", DARAJA_UNKNOWN, "unexpected_status", 0 },
        { 202, TAKEN, DARAJA_UNKNOWN, "unexpected_status", 0 },
        { 200, "", DARAJA_UNKNOWN, "unreadable_reply", 0 },
        { 200, INCAPSULA, DARAJA_UNKNOWN, "unreadable_reply", 0 },
        { 200, "[]", DARAJA_UNKNOWN, "unreadable_reply", 0 },
        { 200, "{\"ResponseCode\":\"0\"", DARAJA_UNKNOWN, "unreadable_reply", 0 },
        { 200, "{}", DARAJA_UNKNOWN, "unexpected_code", 0 },
        { 200, "{\"ResponseCode\":\"1\",\"CheckoutRequestID\":\"ws_1\"}", DARAJA_UNKNOWN,
          "unexpected_code", 0 },
        { 200, "{\"ResponseCode\":\"0\"}", DARAJA_UNKNOWN, "ids_missing", 0 },
        { 200, "{\"ResponseCode\":\"0\",\"CheckoutRequestID\":\"\"}", DARAJA_UNKNOWN, "ids_missing",
          0 },
        { 200, "{\"ResponseCode\":\"0\",\"CheckoutRequestID\":\"a b\"}", DARAJA_UNKNOWN,
          "ids_missing", 0 },
        { 200, "{\"ResponseCode\":\"0\",\"CheckoutRequestID\":{}}", DARAJA_UNKNOWN, "ids_missing",
          0 },
        { 200, ERROR("500.001.1001", ""), DARAJA_UNKNOWN, "error_with_200", 0 },
        { 200, ERROR("404.001.03", "Invalid Access Token"), DARAJA_UNKNOWN, "error_with_200", 0 },
        { 200, SPIKE, DARAJA_UNKNOWN, "error_with_200", 0 },
    };

    check_act(daraja_push_read, cases, COUNT(cases), *state);
}

static void no_connection_is_later_and_a_lost_answer_is_not(void **state)
{
    struct http_reply reply = { .sent = HTTP_NOT_SENT, .retry_after_s = -1 };
    struct daraja_answer got;

    err_fill(&reply.err, ERR_TEMPORARY, "http_no_connection", "refused");
    daraja_push_read(&reply, &got, *state);
    assert_int_equal(got.class, DARAJA_RETRY);
    assert_string_equal(got.why, "http_no_connection");
    assert_string_equal(got.detail, "refused");
    assert_int_equal(got.status, 0);
    assert_true(got.retry_after_s >= 1);

    reply.sent = HTTP_UNKNOWN;
    err_fill(&reply.err, ERR_UNKNOWN, "http_timeout", "20 s");
    daraja_push_read(&reply, &got, *state);
    assert_int_equal(got.class, DARAJA_UNKNOWN);
    assert_string_equal(got.why, "http_timeout");
    assert_int_equal(got.retry_after_s, 0);
}

static void retry_after_is_honoured_within_reason(void **state)
{
    static const struct {
        int64_t said, waited;
    } cases[] = { { -1, 30 }, { 0, 1 }, { 7, 7 }, { 3600, 3600 }, { 86400, 3600 } };

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct http_reply reply = answer(429, SPIKE);
        struct daraja_answer push;
        struct daraja_query_answer query;
        reply.retry_after_s = cases[i].said;
        daraja_push_read(&reply, &push, *state);
        assert_int_equal(push.retry_after_s, cases[i].waited);
        daraja_query_read(&reply, "ws_1", &query, *state);
        assert_int_equal(query.retry_after_s, cases[i].waited);
    }
}

static void details_show_no_phone(void **state)
{
    struct http_reply reply =
        answer(400, ERROR("400.002.02", "Invalid PhoneNumber 254700000001\\n"));
    struct daraja_answer got;

    daraja_push_read(&reply, &got, *state);
    assert_string_equal(got.detail, "Invalid PhoneNumber *********001?");
    assert_string_equal(got.code, "400.002.02");
}

static void registrations_and_reversals_are_read_alike(void **state)
{
    static const struct act_case registrations[] = {
        { 500, ERROR("500.003.1001", "Urls are already registered"), DARAJA_REFUSED,
          "already_registered", 0 },
        { 500, ERROR("500.003.1001", "Internal Server Error"), DARAJA_UNKNOWN, "provider_error",
          0 },
        { 400, ERROR("400.003.01", "Invalid Access Token"), DARAJA_TOKEN, "token_invalid", 0 },
        { 400, ERROR("400.002.02", "Bad Request - Invalid ShortCode"), DARAJA_MISCONFIGURED,
          "invalid_field", 0 },
    };
    static const struct act_case reversals[] = {
        { 404, ERROR("404.001.03", "Invalid Access Token"), DARAJA_TOKEN, "token_invalid", 0 },
        { 500, ERROR("500.001.1001", BUSY_TEXT), DARAJA_UNKNOWN, "provider_error", 0 },
        { 500, ERROR("500.003.1001", "Urls are already registered"), DARAJA_UNKNOWN,
          "provider_error", 0 },
        { 429, SPIKE, DARAJA_RETRY, "throttled", 30 },
        { 503, INCAPSULA, DARAJA_UNKNOWN, "provider_error", 0 },
    };
    struct http_reply reply;
    struct daraja_answer got;

    check_act(daraja_register_read, registrations, COUNT(registrations), *state);
    check_act(daraja_reversal_read, reversals, COUNT(reversals), *state);

    reply = answer(200, "{\"OriginatorCoversationID\":\"7619-37765134-1\",\"ResponseCode\":\"0\","
                        "\"ResponseDescription\":\"success\"}");
    daraja_register_read(&reply, &got, *state);
    assert_int_equal(got.class, DARAJA_ACCEPTED);
    assert_string_equal(got.originator_conversation_id, "7619-37765134-1");
    assert_string_equal(got.conversation_id, "");

    reply = answer(200, "{\"OriginatorConversationID\":\"f1e2-4b95\",\"ConversationID\":"
                        "\"AG_20210706_20106e9209f64bebd05b\",\"ResponseCode\":\"0\","
                        "\"ResponseDescription\":\"Accept the service request successfully.\"}");
    daraja_reversal_read(&reply, &got, *state);
    assert_int_equal(got.class, DARAJA_ACCEPTED);
    assert_string_equal(got.originator_conversation_id, "f1e2-4b95");
    assert_string_equal(got.conversation_id, "AG_20210706_20106e9209f64bebd05b");
}

#define ASKED "ws_CO_01112026101500700000001"
#define RESULT(code)                                                                               \
    "{\"ResponseCode\":\"0\",\"ResponseDescription\":\"The service request has been accepted "     \
    "successfully\",\"MerchantRequestID\":\"22205-34066-1\",\"CheckoutRequestID\":\"" ASKED        \
    "\",\"ResultCode\":" code ",\"ResultDesc\":\"in words\"}"

static void only_certainty_concludes_a_query(void **state)
{
    static const struct {
        int status;
        const char *body;
        enum daraja_query_class class;
        const char *why;
    } cases[] = {
        { 200, RESULT("\"0\""), DARAJA_QUERY_PAID, "paid" },
        { 200, RESULT("0"), DARAJA_QUERY_PAID, "paid" },
        { 200, RESULT("\"1\""), DARAJA_QUERY_FAILED, "insufficient_funds" },
        { 200, RESULT("\"1019\""), DARAJA_QUERY_FAILED, "expired" },
        { 200, RESULT("\"1032\""), DARAJA_QUERY_FAILED, "cancelled" },
        { 200, RESULT("1037"), DARAJA_QUERY_FAILED, "no_answer" },
        { 200, RESULT("\"2001\""), DARAJA_QUERY_FAILED, "wrong_pin" },
        { 200, RESULT("\"SFC_IC0003\""), DARAJA_QUERY_FAILED, "operator_unknown" },
        /* in flight, as observed */
        { 200, RESULT("\"4999\""), DARAJA_QUERY_UNDECIDED, "in_progress" },
        { 200, ERROR("500.001.1001", ""), DARAJA_QUERY_UNDECIDED, "in_progress" },
        { 500, ERROR("500.001.1001", "The transaction is being processed"), DARAJA_QUERY_UNDECIDED,
          "in_progress" },
        { 400, ERROR("400.002.02", "Bad Request - Invalid CheckoutRequestID"),
          DARAJA_QUERY_UNDECIDED, "id_not_known" },
        { 500, ERROR("500.001.1001", "The transaction does not Exist"), DARAJA_QUERY_UNDECIDED,
          "id_not_known" },
        { 500, ERROR("500.001.1001", ""), DARAJA_QUERY_UNDECIDED, "provider_error" },
        { 500, ERROR("500.001.1001", "Wrong credentials"), DARAJA_QUERY_UNDECIDED,
          "wrong_credentials" },
        /* no certainty */
        { 200, RESULT("\"26\""), DARAJA_QUERY_UNDECIDED, "unknown_result" },
        { 200, RESULT("\"00\""), DARAJA_QUERY_UNDECIDED, "unknown_result" },
        { 200, RESULT("0.0"), DARAJA_QUERY_UNDECIDED, "unknown_result" },
        { 200, RESULT("\"\""), DARAJA_QUERY_UNDECIDED, "unknown_result" },
        { 200, RESULT("null"), DARAJA_QUERY_UNDECIDED, "unknown_result" },
        { 200, RESULT("false"), DARAJA_QUERY_UNDECIDED, "unknown_result" },
        { 200, RESULT("[0]"), DARAJA_QUERY_UNDECIDED, "unknown_result" },
        { 500, RESULT("\"0\""), DARAJA_QUERY_UNDECIDED, "provider_error" },
        { 202, RESULT("\"0\""), DARAJA_QUERY_UNDECIDED, "unexpected_status" },
        { 200, "{\"ResponseCode\":\"1\",\"CheckoutRequestID\":\"" ASKED "\",\"ResultCode\":\"0\"}",
          DARAJA_QUERY_UNDECIDED, "unexpected_code" },
        { 200, "{\"CheckoutRequestID\":\"" ASKED "\",\"ResultCode\":\"0\"}", DARAJA_QUERY_UNDECIDED,
          "unexpected_code" },
        { 200, "{\"ResponseCode\":\"0\",\"CheckoutRequestID\":\"ws_CO_2\",\"ResultCode\":\"0\"}",
          DARAJA_QUERY_UNDECIDED, "other_id" },
        { 200, "{\"ResponseCode\":\"0\",\"ResultCode\":\"0\"}", DARAJA_QUERY_UNDECIDED,
          "other_id" },
        { 200,
          "{\"ResponseCode\":\"0\",\"CheckoutRequestID\":\"" ASKED
          "\",\"ResultCode\":\"0\",\"errorCode\":\"\"}",
          DARAJA_QUERY_UNDECIDED, "error_with_200" },
        { 200, SPIKE, DARAJA_QUERY_UNDECIDED, "error_with_200" },
        { 200, "", DARAJA_QUERY_UNDECIDED, "unreadable_reply" },
        { 200, INCAPSULA, DARAJA_QUERY_UNDECIDED, "unreadable_reply" },
        { 503, INCAPSULA, DARAJA_QUERY_UNDECIDED, "provider_error" },
        { 400, ERROR("400.002.02", "Bad Request - Invalid Timestamp"), DARAJA_QUERY_UNDECIDED,
          "query_refused" },
        { 404, ERROR("404.001.01", "Resource not found"), DARAJA_QUERY_UNDECIDED, "query_refused" },
        /* too fast */
        { 429, SPIKE, DARAJA_QUERY_THROTTLED, "throttled" },
        { 429, "", DARAJA_QUERY_THROTTLED, "throttled" },
        { 500, SPIKE, DARAJA_QUERY_THROTTLED, "throttled" },
        { 500, ERROR("500.003.02", "Spike Arrest Violation"), DARAJA_QUERY_THROTTLED, "throttled" },
        { 500, ERROR("500.003.02", "System is busy"), DARAJA_QUERY_THROTTLED, "system_busy" },
        { 500, ERROR("500.003.03", "Quota Violation"), DARAJA_QUERY_THROTTLED, "quota_exceeded" },
        /* the token */
        { 404, ERROR("404.001.03", "Invalid Access Token"), DARAJA_QUERY_TOKEN, "token_invalid" },
        { 401, "", DARAJA_QUERY_TOKEN, "token_invalid" },
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct http_reply reply = answer(cases[i].status, cases[i].body);
        struct daraja_query_answer got;
        memset(&got, 0xA5, sizeof(got));
        daraja_query_read(&reply, ASKED, &got, *state);
        if (got.class != cases[i].class || strcmp(got.why, cases[i].why) != 0) {
            fail_msg("case %zu, %d %s: %d %s", i, cases[i].status, cases[i].body, (int)got.class,
                     got.why);
        }
        assert_int_equal(got.retry_after_s, got.class == DARAJA_QUERY_THROTTLED ? 30 : 0);
        assert_int_equal(got.status, cases[i].status);
        assert_int_equal(got.ours, strcmp(got.why, "operator_unknown") == 0);
    }
}

static void a_query_without_an_answer_is_undecided(void **state)
{
    struct http_reply reply = { .sent = HTTP_UNKNOWN, .retry_after_s = -1 };
    struct daraja_query_answer got;

    err_fill(&reply.err, ERR_UNKNOWN, "http_timeout", "20 s");
    daraja_query_read(&reply, ASKED, &got, *state);
    assert_int_equal(got.class, DARAJA_QUERY_UNDECIDED);
    assert_string_equal(got.why, "http_timeout");
    reply = answer(200, RESULT("\"0\""));
    daraja_query_read(&reply, "", &got, *state);
    assert_int_equal(got.class, DARAJA_QUERY_UNDECIDED);
    reply = answer(200, "{\"ResponseCode\":\"0\",\"ResultCode\":\"0\"}");
    daraja_query_read(&reply, "", &got, *state);
    assert_int_equal(got.class, DARAJA_QUERY_UNDECIDED);
}

/* Only these may ever end a payment as failed; whoever adds one changes this list too. */
static void the_table_of_results_is_as_agreed(void **state)
{
    static const char *const final[] = { "1",    "2",    "3",    "4",         "8",    "17",
                                         "1001", "1019", "1025", "1032",      "1037", "2001",
                                         "2028", "8006", "9999", "SFC_IC0003" };
    size_t failed = 0;
    (void)state;

    for (size_t i = 0; i < COUNT(final); i++) {
        assert_int_equal(daraja_stk_result(final[i])->state, DARAJA_FAILED);
    }
    for (size_t i = 0; i < daraja_stk_results_count; i++) {
        const struct daraja_result *row = &daraja_stk_results[i];
        failed += row->state == DARAJA_FAILED;
        assert_ptr_equal(daraja_stk_result(row->code), row);
        assert_int_equal(strspn(row->reason, "abcdefghijklmnopqrstuvwxyz_"), strlen(row->reason));
        assert_int_equal(row->state == DARAJA_PAID, strcmp(row->code, "0") == 0);
    }
    assert_int_equal(failed, COUNT(final));
    assert_int_equal(daraja_stk_result("26")->state, DARAJA_UNDECIDED);
    assert_int_equal(daraja_stk_result("")->state, DARAJA_UNDECIDED);
    assert_true(daraja_stk_result("2028")->ours);
    assert_false(daraja_stk_result("1032")->ours);
}

static void tokens_are_read_with_their_life(void **state)
{
    static const struct {
        const char *body;
        int64_t life_ms;
    } cases[] = {
        { "{\"access_token\":\"c9SQxWWhmdVRlyh0zh8gZDTkubVF\",\"expires_in\":3599}", 3599000 },
        { "{\"access_token\":\"c9SQxWWhmdVRlyh0zh8gZDTkubVF\",\"expires_in\":\"3599\"}", 3599000 },
        { "{\"access_token\":\"c9SQxWWhmdVRlyh0zh8gZDTkubVF\",\"expires_in\":\"5\"}", 5000 },
        { "{\"access_token\":\"c9SQxWWhmdVRlyh0zh8gZDTkubVF\"}", 3600000 },
        { "{\"access_token\":\"c9SQxWWhmdVRlyh0zh8gZDTkubVF\",\"expires_in\":\"soon\"}", 3600000 },
        { "{\"access_token\":\"c9SQxWWhmdVRlyh0zh8gZDTkubVF\",\"expires_in\":-1}", 3600000 },
        { "{\"access_token\":\"c9SQxWWhmdVRlyh0zh8gZDTkubVF\",\"expires_in\":1e99}", 3600000 },
        { "{\"access_token\":\"c9SQxWWhmdVRlyh0zh8gZDTkubVF\",\"expires_in\":99999999}", 3600000 },
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct http_reply reply = answer(200, cases[i].body);
        const char *token;
        int64_t life_ms;
        struct err err;
        assert_true(daraja_token_read(&reply, &token, &life_ms, *state, &err));
        assert_string_equal(token, "c9SQxWWhmdVRlyh0zh8gZDTkubVF");
        assert_int_equal(life_ms, cases[i].life_ms);
    }
}

static void a_token_that_cannot_be_had_says_why(void **state)
{
    static const struct {
        int status;
        const char *body;
        enum err_kind kind;
        const char *what;
    } cases[] = {
        { 400, ERROR("400.008.01", "Invalid Authentication passed"), ERR_PERMANENT,
          "mpesa_bad_credentials" },
        { 400, ERROR("400.008.02", "Invalid grant type passed"), ERR_PERMANENT,
          "mpesa_bad_credentials" },
        { 401, "", ERR_PERMANENT, "mpesa_bad_credentials" },
        { 400, "", ERR_TEMPORARY, "mpesa_no_token" },
        { 403, INCAPSULA, ERR_TEMPORARY, "mpesa_no_token" },
        { 503, INCAPSULA, ERR_TEMPORARY, "mpesa_no_token" },
        { 429, SPIKE, ERR_TEMPORARY, "mpesa_no_token" },
        { 500, ERROR("500.003.1001", "Internal Server Error"), ERR_TEMPORARY, "mpesa_no_token" },
        { 200, "", ERR_TEMPORARY, "mpesa_no_token" },
        { 200, "{}", ERR_TEMPORARY, "mpesa_no_token" },
        { 200, "{\"access_token\":\"\"}", ERR_TEMPORARY, "mpesa_no_token" },
        { 200, "{\"access_token\":null}", ERR_TEMPORARY, "mpesa_no_token" },
        { 200, "{\"access_token\":\"sesame\\r\\nX-Injected: 1\"}", ERR_TEMPORARY,
          "mpesa_no_token" },
        { 200, "{\"access_token\":\"sesame\",", ERR_TEMPORARY, "mpesa_no_token" },
        { 201, "{\"access_token\":\"sesame\"}", ERR_TEMPORARY, "mpesa_no_token" },
    };
    struct http_reply reply;
    const char *token = "untouched";
    int64_t life_ms = 42;
    struct err err;

    for (size_t i = 0; i < COUNT(cases); i++) {
        reply = answer(cases[i].status, cases[i].body);
        assert_false(daraja_token_read(&reply, &token, &life_ms, *state, &err));
        assert_int_equal(err.kind, cases[i].kind);
        assert_string_equal(err.what, cases[i].what);
        assert_null(strstr(err.detail, "sesame"));
    }
    reply = (struct http_reply){ .sent = HTTP_UNKNOWN };
    err_fill(&reply.err, ERR_UNKNOWN, "http_timeout", "5 s");
    assert_false(daraja_token_read(&reply, &token, &life_ms, *state, &err));
    assert_int_equal(err.kind, ERR_TEMPORARY);
    assert_string_equal(err.what, "http_timeout");
    assert_string_equal(token, "untouched");
    assert_int_equal(life_ms, 42);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_ARENA(a_push_that_was_taken_has_its_ids),
        IN_ARENA(types_may_wobble),
        IN_ARENA(each_reply_to_a_push_is_one_of_six),
        IN_ARENA(no_connection_is_later_and_a_lost_answer_is_not),
        IN_ARENA(retry_after_is_honoured_within_reason),
        IN_ARENA(details_show_no_phone),
        IN_ARENA(registrations_and_reversals_are_read_alike),
        IN_ARENA(only_certainty_concludes_a_query),
        IN_ARENA(a_query_without_an_answer_is_undecided),
        IN_ARENA(the_table_of_results_is_as_agreed),
        IN_ARENA(tokens_are_read_with_their_life),
        IN_ARENA(a_token_that_cannot_be_had_says_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
