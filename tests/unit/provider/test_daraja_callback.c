/*
 * What M-Pesa posts to us, as documented, observed and imagined by those who wish us ill.
 */
#include "daraja_fixture.h"
#include "provider/daraja_callback.h"

#define IDS "\"MerchantRequestID\":\"29115-34620561-1\",\"CheckoutRequestID\":\"ws_CO_1\""
#define STK(rest) "{\"Body\":{\"stkCallback\":{" IDS "," rest "}}}"
#define PAID(items)                                                                                \
    STK("\"ResultCode\":0,\"ResultDesc\":\"The service request is processed successfully.\","      \
        "\"CallbackMetadata\":{\"Item\":" items "}")

static struct daraja_callback read(struct arena *arena, const char *body)
{
    struct daraja_callback got;
    struct err err;

    memset(&got, 0xA5, sizeof(got));
    if (!daraja_callback_read(body, strlen(body), &got, arena, &err)) {
        fail_msg("%s: %s", body, err.detail);
    }
    return got;
}

static void a_payment_has_receipt_amount_and_time(void **state)
{
    struct daraja_callback got =
        read(*state, PAID("[{\"Name\":\"Amount\",\"Value\":50.00},"
                          "{\"Name\":\"MpesaReceiptNumber\",\"Value\":\"UAB1CD2EF3\"},"
                          "{\"Name\":\"Balance\"},"
                          "{\"Name\":\"TransactionDate\",\"Value\":20261101101500},"
                          "{\"Name\":\"PhoneNumber\",\"Value\":254700000001}]"));

    assert_string_equal(got.merchant_request_id, "29115-34620561-1");
    assert_string_equal(got.checkout_request_id, "ws_CO_1");
    assert_string_equal(got.code, "0");
    assert_int_equal(got.result->state, DARAJA_PAID);
    assert_string_equal(got.description, "The service request is processed successfully.");
    assert_int_equal(got.amount_minor, 5000);
    assert_string_equal(got.receipt, "UAB1CD2EF3");
    assert_int_equal(got.paid_ms, INT64_C(1793517300000)); /* 07:15 UTC */
    assert_int_equal(got.msisdn, 254700000001);
    assert_null(got.odd);
}

static void order_and_types_do_not_matter(void **state)
{
    struct daraja_callback got = read(
        *state, "{\"Body\":{\"stkCallback\":{\"CallbackMetadata\":{\"Item\":["
                "{\"Value\":\"254700000001\",\"Name\":\"PhoneNumber\"},"
                "{\"Name\":\"Balance\",\"Value\":null},{\"Name\":\"New\",\"Value\":{\"a\":[1]}},"
                "null,7,\"x\",[],{},{\"Name\":5},{\"Value\":5},"
                "{\"Name\":\"TransactionDate\",\"Value\":\"20261101101500\"},"
                "{\"Name\":\"MpesaReceiptNumber\",\"Value\":\"uab1cd2ef3\",\"Extra\":1},"
                "{\"Name\":\"Amount\",\"Value\":\"1\"}]},\"ResultDesc\":7,\"ResultCode\":\"0\","
                "\"CheckoutRequestID\":\"ws_CO_1\",\"MerchantRequestID\":null}}}");

    assert_int_equal(got.result->state, DARAJA_PAID);
    assert_string_equal(got.merchant_request_id, "");
    assert_string_equal(got.description, "7");
    assert_int_equal(got.amount_minor, 100);
    assert_string_equal(got.receipt, "UAB1CD2EF3");
    assert_int_equal(got.msisdn, 254700000001);
    assert_int_equal(got.paid_ms, INT64_C(1793517300000));
    assert_null(got.odd);
}

static void a_failure_has_a_reason_and_no_money(void **state)
{
    static const struct {
        const char *code, *reason;
        enum daraja_state state;
    } cases[] = {
        { "1032", "cancelled", DARAJA_FAILED },
        { "\"1032\"", "cancelled", DARAJA_FAILED },
        { "1037", "no_answer", DARAJA_FAILED },
        { "1", "insufficient_funds", DARAJA_FAILED },
        { "2001", "wrong_pin", DARAJA_FAILED },
        { "1019", "expired", DARAJA_FAILED },
        { "1001", "payer_busy", DARAJA_FAILED },
        { "\"SFC_IC0003\"", "operator_unknown", DARAJA_FAILED },
        { "4999", "in_progress", DARAJA_UNDECIDED },
        { "26", "unknown_result", DARAJA_UNDECIDED },
        { "-1", "unknown_result", DARAJA_UNDECIDED },
        { "1032.0", "unknown_result", DARAJA_UNDECIDED },
        { "\"cancelled\"", "unknown_result", DARAJA_UNDECIDED },
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *body = arena_printf(
            *state,
            "{\"Body\":{\"stkCallback\":{" IDS ",\"ResultCode\":%s,\"ResultDesc\":\"words\","
            "\"CallbackMetadata\":{\"Item\":[{\"Name\":\"Amount\",\"Value\":5},"
            "{\"Name\":\"MpesaReceiptNumber\",\"Value\":\"UAB1CD2EF3\"}]}}}}",
            cases[i].code);
        struct daraja_callback got = read(*state, body);
        assert_string_equal(got.result->reason, cases[i].reason);
        assert_int_equal(got.result->state, cases[i].state);
        assert_int_equal(got.amount_minor, -1);
        assert_string_equal(got.receipt, "");
        assert_int_equal(got.paid_ms, 0);
        assert_int_equal(got.msisdn, 0);
        assert_null(got.odd);
    }
}

static void odd_metadata_of_a_payment_is_named(void **state)
{
    static const struct {
        const char *body, *odd;
        int64_t amount_minor;
        const char *receipt;
    } cases[] = {
        { STK("\"ResultCode\":0"), "amount_missing", -1, "" },
        { STK("\"ResultCode\":0,\"CallbackMetadata\":null"), "amount_missing", -1, "" },
        { STK("\"ResultCode\":0,\"CallbackMetadata\":[]"), "amount_missing", -1, "" },
        { STK("\"ResultCode\":0,\"CallbackMetadata\":{}"), "amount_missing", -1, "" },
        { PAID("{}"), "amount_missing", -1, "" },
        { PAID("[]"), "amount_missing", -1, "" },
        { PAID("[{\"Name\":\"Amount\"},{\"Name\":\"MpesaReceiptNumber\",\"Value\":\"UAB1\"}]"),
          "amount_missing", -1, "UAB1" },
        { PAID("[{\"Name\":\"Amount\",\"Value\":[5]},{\"Name\":\"MpesaReceiptNumber\","
               "\"Value\":\"UAB1\"}]"),
          "amount_missing", -1, "UAB1" },
        { PAID("[{\"Name\":\"Amount\",\"Value\":-5},{\"Name\":\"MpesaReceiptNumber\","
               "\"Value\":\"UAB1\"}]"),
          "amount_unreadable", -1, "UAB1" },
        { PAID("[{\"Name\":\"Amount\",\"Value\":1e3},{\"Name\":\"MpesaReceiptNumber\","
               "\"Value\":\"UAB1\"}]"),
          "amount_unreadable", -1, "UAB1" },
        { PAID("[{\"Name\":\"Amount\",\"Value\":1.005},{\"Name\":\"MpesaReceiptNumber\","
               "\"Value\":\"UAB1\"}]"),
          "amount_unreadable", -1, "UAB1" },
        { PAID("[{\"Name\":\"Amount\",\"Value\":\"\"},{\"Name\":\"MpesaReceiptNumber\","
               "\"Value\":\"UAB1\"}]"),
          "amount_unreadable", -1, "UAB1" },
        { PAID("[{\"Name\":\"Amount\",\"Value\":0.00},{\"Name\":\"MpesaReceiptNumber\","
               "\"Value\":\"UAB1\"}]"),
          "amount_zero", 0, "UAB1" },
        { PAID("[{\"Name\":\"Amount\",\"Value\":5},{\"Name\":\"Amount\",\"Value\":500},"
               "{\"Name\":\"MpesaReceiptNumber\",\"Value\":\"UAB1\"}]"),
          "amount_twice", -1, "UAB1" },
        { PAID("[{\"Name\":\"Amount\",\"Value\":5}]"), "receipt_missing", 500, "" },
        { PAID("[{\"Name\":\"Amount\",\"Value\":5},{\"Name\":\"MpesaReceiptNumber\","
               "\"Value\":\"\"}]"),
          "receipt_missing", 500, "" },
        { PAID("[{\"Name\":\"Amount\",\"Value\":5},{\"Name\":\"MpesaReceiptNumber\","
               "\"Value\":\"UAB1'; --\"}]"),
          "receipt_unreadable", 500, "" },
        { PAID("[{\"Name\":\"Amount\",\"Value\":5},{\"Name\":\"MpesaReceiptNumber\","
               "\"Value\":\"123456789012345678901\"}]"),
          "receipt_unreadable", 500, "" },
        { PAID("[{\"Name\":\"Amount\",\"Value\":5},{\"Name\":\"MpesaReceiptNumber\","
               "\"Value\":\"A1\"},{\"Name\":\"MpesaReceiptNumber\",\"Value\":\"A2\"}]"),
          "receipt_twice", 500, "" },
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct daraja_callback got = read(*state, cases[i].body);
        assert_int_equal(got.result->state, DARAJA_PAID);
        if (got.odd == NULL || strcmp(got.odd, cases[i].odd) != 0) {
            fail_msg("case %zu: %s", i, got.odd != NULL ? got.odd : "nothing odd");
        }
        assert_int_equal(got.amount_minor, cases[i].amount_minor);
        assert_string_equal(got.receipt, cases[i].receipt);
    }
}

static void a_masked_phone_or_odd_time_is_left_out(void **state)
{
    struct daraja_callback got =
        read(*state, PAID("[{\"Name\":\"Amount\",\"Value\":5},"
                          "{\"Name\":\"MpesaReceiptNumber\",\"Value\":\"UAB1\"},"
                          "{\"Name\":\"TransactionDate\",\"Value\":\"2026-11-01 10:15:00\"},"
                          "{\"Name\":\"PhoneNumber\",\"Value\":\"2547 ***** 126\"}]"));

    assert_null(got.odd);
    assert_int_equal(got.paid_ms, 0);
    assert_int_equal(got.msisdn, 0);
    got = read(*state, PAID("[{\"Name\":\"Amount\",\"Value\":5},"
                            "{\"Name\":\"MpesaReceiptNumber\",\"Value\":\"UAB1\"},"
                            "{\"Name\":\"PhoneNumber\",\"Value\":255754123456}]"));
    assert_int_equal(got.msisdn, 0);
}

static void a_list_of_one_may_lack_its_brackets(void **state)
{
    struct daraja_callback got = read(*state, PAID("{\"Name\":\"Amount\",\"Value\":5}"));

    assert_int_equal(got.amount_minor, 500);
    assert_string_equal(got.odd, "receipt_missing");
}

static void what_cannot_be_read_is_named(void **state)
{
    static const struct {
        const char *body, *what, *detail;
    } cases[] = {
        { "", "bad_json", "" },
        { "<html>", "bad_json", "" },
        { "Body=1&x=2", "bad_json", "" },
        { "{\"Body\":{\"stkCallback\":{" IDS ",\"ResultCode\":0}}", "bad_json", "" },
        { "[]", "bad_field", "document: is a list" },
        { "{}", "bad_field", "Body.stkCallback: is missing" },
        { "{\"Body\":5}", "bad_field", "Body.stkCallback: is missing" },
        { "{\"Body\":{\"stkCallback\":[]}}", "bad_field", "Body.stkCallback: is a list" },
        { "{\"Body\":{\"stkCallback\":{\"ResultCode\":0}}}", "bad_field",
          "CheckoutRequestID: is missing" },
        { "{\"Body\":{\"stkCallback\":{\"CheckoutRequestID\":\"\",\"ResultCode\":0}}}", "bad_field",
          "CheckoutRequestID: is text" },
        { "{\"Body\":{\"stkCallback\":{\"CheckoutRequestID\":\"a b\",\"ResultCode\":0}}}",
          "bad_field", "CheckoutRequestID: is text" },
        { "{\"Body\":{\"stkCallback\":{\"CheckoutRequestID\":null,\"ResultCode\":0}}}", "bad_field",
          "CheckoutRequestID: is null" },
        { "{\"Body\":{\"stkCallback\":{" IDS "}}}", "bad_field", "ResultCode: is missing" },
        { "{\"Body\":{\"stkCallback\":{" IDS ",\"ResultCode\":{}}}}", "bad_field",
          "ResultCode: is an object" },
        { "{\"Body\":{\"stkCallback\":{" IDS ",\"ResultCode\":false}}}", "bad_field",
          "ResultCode: is null or a boolean" },
        { "{\"Body\":{\"stkCallback\":{" IDS ",\"ResultCode\":\"\"}}}", "bad_field",
          "ResultCode: is text" },
        { "{\"Body\":{\"stkCallback\":{" IDS ",\"ResultCode\":0,\"ResultCode\":1}}}", "bad_json",
          "duplicate" },
    };
    struct daraja_callback untouched, got;
    struct err err;

    memset(&untouched, 0x5A, sizeof(untouched));
    got = untouched;
    for (size_t i = 0; i < COUNT(cases); i++) {
        if (daraja_callback_read(cases[i].body, strlen(cases[i].body), &got, *state, &err)) {
            fail_msg("%s was read", cases[i].body);
        }
        assert_int_equal(err.kind, ERR_PERMANENT);
        assert_string_equal(err.what, cases[i].what);
        if (strstr(err.detail, cases[i].detail) == NULL) {
            fail_msg("%s: %s", cases[i].body, err.detail);
        }
        assert_memory_equal(&got, &untouched, sizeof(got));
    }
}

static void an_oversize_body_is_refused_unread(void **state)
{
    const char *paid = PAID("[{\"Name\":\"Amount\",\"Value\":5}]");
    size_t len = strlen(paid);
    char *body = arena_alloc(*state, (64 << 10) + 2);
    struct daraja_callback got;
    struct err err;

    memset(body, ' ', (64 << 10) + 1);
    memcpy(body, paid, len);
    assert_true(daraja_callback_read(body, 64 << 10, &got, *state, &err));
    assert_false(daraja_callback_read(body, (64 << 10) + 1, &got, *state, &err));
    assert_string_equal(err.what, "body_too_long");
}

#define C2B(id, amount)                                                                            \
    "{\"TransactionType\":\"Pay Bill\",\"TransID\":" id ",\"TransTime\":\"20261101101500\","       \
    "\"TransAmount\":" amount ",\"BusinessShortCode\":\"600000\",\"BillRefNumber\":\" acme 7 \","  \
    "\"InvoiceNumber\":\"\",\"OrgAccountBalance\":\"49197.00\",\"ThirdPartyTransID\":\"tp-1\","    \
    "\"MSISDN\":\"2547 ***** 126\",\"FirstName\":\"NICHOLAS\",\"MiddleName\":\"\","                \
    "\"LastName\":\"O'MUI\"}"

static void a_confirmation_is_flat(void **state)
{
    const char *body = C2B("\"RKL51ZDR4F\"", "\"5.00\"");
    struct daraja_c2b got;
    struct err err;

    assert_true(daraja_c2b_read(body, strlen(body), &got, *state, &err));
    assert_string_equal(got.receipt, "RKL51ZDR4F");
    assert_int_equal(got.amount_minor, 500);
    assert_string_equal(got.type, "Pay Bill");
    assert_string_equal(got.shortcode, "600000");
    assert_string_equal(got.reference, " acme 7 ");
    assert_string_equal(got.invoice, "");
    assert_string_equal(got.third_party_id, "tp-1");
    assert_int_equal(got.paid_ms, INT64_C(1793517300000));
    assert_string_equal(got.msisdn, "2547 ***** 126");
    assert_string_equal(got.first_name, "NICHOLAS");
    assert_string_equal(got.middle_name, "");
    assert_string_equal(got.last_name, "O'MUI");
}

static void the_least_confirmation_is_receipt_and_amount(void **state)
{
    const char *body = "{\"TransID\":\"rkl51zdr4f\",\"TransAmount\":5,\"TransTime\":0,"
                       "\"BillRefNumber\":712345678,\"MSISDN\":254700000001,\"FirstName\":null}";
    struct daraja_c2b got;
    struct err err;

    assert_true(daraja_c2b_read(body, strlen(body), &got, *state, &err));
    assert_string_equal(got.receipt, "RKL51ZDR4F");
    assert_int_equal(got.amount_minor, 500);
    assert_int_equal(got.paid_ms, 0);
    assert_string_equal(got.reference, "712345678");
    assert_string_equal(got.msisdn, "254700000001");
    assert_string_equal(got.type, "");
    assert_string_equal(got.shortcode, "");
    assert_string_equal(got.first_name, "");
    assert_string_equal(got.last_name, "");
}

static void a_confirmation_that_cannot_be_read_is_named(void **state)
{
    static const struct {
        const char *body, *what, *detail;
    } cases[] = {
        { "{\"TransID\":\"A1\"\"TransAmount\":\"5.00\"}", "bad_json", "" },
        { "[]", "bad_field", "document" },
        { C2B("\"\"", "\"5.00\""), "bad_field", "TransID" },
        { C2B("null", "\"5.00\""), "bad_field", "TransID" },
        { C2B("\"A 1\"", "\"5.00\""), "bad_field", "TransID" },
        { C2B("{}", "\"5.00\""), "bad_field", "TransID" },
        { "{\"TransAmount\":\"5.00\"}", "bad_field", "TransID: is missing" },
        { "{\"TransID\":\"A1\"}", "bad_field", "TransAmount: is missing" },
        { C2B("\"A1\"", "\"\""), "bad_field", "TransAmount" },
        { C2B("\"A1\"", "\"-5\""), "bad_field", "TransAmount" },
        { C2B("\"A1\"", "\"5,00\""), "bad_field", "TransAmount" },
        { C2B("\"A1\"", "5e2"), "bad_field", "TransAmount" },
        { C2B("\"A1\"", "\"0.00\""), "bad_field", "above zero" },
        { C2B("\"A1\"", "[5]"), "bad_field", "TransAmount: is a list" },
    };
    struct daraja_c2b got;
    struct err err;

    for (size_t i = 0; i < COUNT(cases); i++) {
        if (daraja_c2b_read(cases[i].body, strlen(cases[i].body), &got, *state, &err)) {
            fail_msg("%s was read", cases[i].body);
        }
        assert_int_equal(err.kind, ERR_PERMANENT);
        assert_string_equal(err.what, cases[i].what);
        assert_non_null(strstr(err.detail, cases[i].detail));
    }
}

static void validations_are_answered_in_its_words(void **state)
{
    (void)state;
    assert_string_equal(daraja_validation_answer(DARAJA_VALID),
                        "{\"ResultCode\":\"0\",\"ResultDesc\":\"Accepted\"}");
    assert_non_null(strstr(daraja_validation_answer(DARAJA_BAD_ACCOUNT), "\"C2B00012\""));
    assert_non_null(strstr(daraja_validation_answer(DARAJA_BAD_AMOUNT), "\"C2B00013\""));
    assert_non_null(strstr(daraja_validation_answer(DARAJA_BAD_SHORTCODE), "\"C2B00015\""));
    assert_non_null(strstr(daraja_validation_answer(DARAJA_BAD_OTHER), "\"C2B00016\""));
}

#define REVERSAL(code)                                                                             \
    "{\"Result\":{\"ResultType\":0,\"ResultCode\":" code ",\"ResultDesc\":\"in words\","           \
    "\"OriginatorConversationID\":\"8521-4298025-1\",\"ConversationID\":\"AG_20181005_1\","        \
    "\"TransactionID\":\"MJ561H6X5O\",\"ResultParameters\":{\"ResultParameter\":["                 \
    "{\"Key\":\"DebitAccountBalance\",\"Value\":\"Utility Account|KES|51661.00\"},"                \
    "{\"Key\":\"Charge\"},{\"Key\":\"Amount\",\"Value\":100},"                                     \
    "{\"Key\":\"OriginalTransactionID\",\"Value\":\"MJ551H6X5D\"}]},"                              \
    "\"ReferenceData\":{\"ReferenceItem\":{\"Key\":\"QueueTimeoutURL\",\"Value\":\"https://"       \
    "x\"}}}}"

static void the_end_of_a_reversal_is_read(void **state)
{
    static const struct {
        const char *body, *reason;
        enum daraja_reversal_state state;
    } cases[] = {
        { REVERSAL("0"), "done", DARAJA_REVERSAL_DONE },
        { REVERSAL("\"0\""), "done", DARAJA_REVERSAL_DONE },
        { REVERSAL("\"R000001\""), "already_reversed", DARAJA_REVERSAL_FAILED },
        { REVERSAL("\"R000002\""), "payment_unknown", DARAJA_REVERSAL_FAILED },
        { REVERSAL("1"), "insufficient_funds", DARAJA_REVERSAL_FAILED },
        { REVERSAL("11"), "debit_party_invalid", DARAJA_REVERSAL_FAILED },
        { REVERSAL("21"), "initiator_not_allowed", DARAJA_REVERSAL_FAILED },
        { REVERSAL("2001"), "initiator_invalid", DARAJA_REVERSAL_FAILED },
        { REVERSAL("2006"), "declined_by_rule", DARAJA_REVERSAL_FAILED },
        { REVERSAL("2028"), "not_permitted", DARAJA_REVERSAL_FAILED },
        { REVERSAL("8006"), "credential_locked", DARAJA_REVERSAL_FAILED },
        { REVERSAL("1032"), "unknown_result", DARAJA_REVERSAL_UNDECIDED },
        { REVERSAL("\"R000009\""), "unknown_result", DARAJA_REVERSAL_UNDECIDED },
    };
    struct daraja_reversal_result got;
    struct err err;

    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_true(
            daraja_reversal_result_read(cases[i].body, strlen(cases[i].body), &got, *state, &err));
        assert_int_equal(got.state, cases[i].state);
        assert_string_equal(got.reason, cases[i].reason);
        assert_string_equal(got.originator_conversation_id, "8521-4298025-1");
        assert_string_equal(got.conversation_id, "AG_20181005_1");
        assert_string_equal(got.transaction_id, "MJ561H6X5O");
        assert_string_equal(got.original_id, "MJ551H6X5D");
        assert_string_equal(got.description, "in words");
        assert_int_equal(got.amount_minor, 10000);
    }
    const char *bare = "{\"Result\":{\"ResultCode\":2001,\"ConversationID\":\"AG_1\"}}";
    assert_true(daraja_reversal_result_read(bare, strlen(bare), &got, *state, &err));
    assert_string_equal(got.code, "2001");
    assert_string_equal(got.original_id, "");
    assert_string_equal(got.transaction_id, "");
    assert_int_equal(got.amount_minor, -1);
}

static void a_reversal_that_cannot_be_read_is_named(void **state)
{
    static const struct {
        const char *body, *detail;
    } cases[] = {
        { "{}", "Result: is missing" },
        { "{\"Result\":7}", "Result: is text" },
        { "{\"Result\":{\"ResultCode\":0}}", "no conversation" },
        { "{\"Result\":{\"ConversationID\":\"AG_1\"}}", "ResultCode: is missing" },
        { "{\"Result\":{\"ConversationID\":\"AG_1\",\"ResultCode\":null}}", "ResultCode: is null" },
    };
    struct daraja_reversal_result got;
    struct err err;

    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_false(
            daraja_reversal_result_read(cases[i].body, strlen(cases[i].body), &got, *state, &err));
        assert_string_equal(err.what, "bad_field");
        assert_non_null(strstr(err.detail, cases[i].detail));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_ARENA(a_payment_has_receipt_amount_and_time),
        IN_ARENA(order_and_types_do_not_matter),
        IN_ARENA(a_failure_has_a_reason_and_no_money),
        IN_ARENA(odd_metadata_of_a_payment_is_named),
        IN_ARENA(a_masked_phone_or_odd_time_is_left_out),
        IN_ARENA(a_list_of_one_may_lack_its_brackets),
        IN_ARENA(what_cannot_be_read_is_named),
        IN_ARENA(an_oversize_body_is_refused_unread),
        IN_ARENA(a_confirmation_is_flat),
        IN_ARENA(the_least_confirmation_is_receipt_and_amount),
        IN_ARENA(a_confirmation_that_cannot_be_read_is_named),
        IN_ARENA(validations_are_answered_in_its_words),
        IN_ARENA(the_end_of_a_reversal_is_read),
        IN_ARENA(a_reversal_that_cannot_be_read_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
