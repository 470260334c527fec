/*
 * M-Pesa: settings, numbers, amounts, times, and requests as they go over the wire.
 */
#include <stdlib.h>

#include "daraja_fixture.h"

#define TOKEN "c9SQxWWhmdVRlyh0zh8gZDTkubVF"
#define EVENING INT64_C(1795035600000) /* 2026-11-18T21:00:00Z: past midnight in Nairobi */

static const struct daraja_push push = {
    .msisdn = 254700000001,
    .amount_minor = 50000,
    .reference = "TK000123",
    .description = "tokens",
    .callback_path = "/c/3f9c00112233445566778899aabbccdd",
};

static const char *header(const struct http_call *call, const char *name)
{
    for (const char *const *at = call->headers; *at != NULL; at++) {
        if (strncmp(*at, name, strlen(name)) == 0) {
            return *at + strlen(name);
        }
    }
    return NULL;
}

static void the_public_test_vector_gives_its_password(void **state)
{
    assert_string_equal(daraja_password(&sandbox, "20210628092408", *state),
                        "MTc0Mzc5YmZiMjc5ZjlhYTliZGJjZjE1OGU5N2RkNzFhNDY3Y2QyZTBjODkzMDU5YjEwZjc4Z"
                        "TZiNzJhZGExZWQyYzkxOTIwMjEwNjI4MDkyNDA4");
}

static void times_are_those_of_east_africa(void **state)
{
    static const char *const bad[] = {
        "",
        "2026110110150",
        "202611011015000",
        "2026110110150x",
        "20261301101500",
        "20260230101500",
        "20261101251500",
        "2026-11-01 10:15",
    };
    char text[DARAJA_TIME_BYTES];
    int64_t ms = 7;
    (void)state;

    daraja_time_format(EVENING, text);
    assert_string_equal(text, "20261119000000");
    daraja_time_format(EVENING - 1, text);
    assert_string_equal(text, "20261118235959");
    assert_true(daraja_time_parse("20261119000000", &ms));
    assert_int_equal(ms, EVENING);
    for (size_t i = 0; i < COUNT(bad); i++) {
        ms = 7;
        assert_false(daraja_time_parse(bad[i], &ms));
        assert_int_equal(ms, 7);
    }
}

static void amounts_are_exact_cents(void **state)
{
    static const struct {
        const char *text;
        int64_t minor; /* -1: refused */
    } cases[] = {
        { "0", 0 },
        { "1", 100 },
        { "1.00", 100 },
        { "50.0", 5000 },
        { "50.00", 5000 },
        { "0.01", 1 },
        { "0.1", 10 },
        { "1234.56", 123456 },
        { "250000", 25000000 },
        { "19.990000000000000", 1999 },
        { "0.29", 29 },
        { "00500", 50000 },
        { "1000000000000", 100000000000000 },
        { "", -1 },
        { "1000000000001", -1 },
        { "99999999999999999999", -1 },
        { "-1", -1 },
        { "+1", -1 },
        { ".5", -1 },
        { "5.", -1 },
        { "1.005", -1 },
        { "1e3", -1 },
        { "1.0E3", -1 },
        { "1,000.00", -1 },
        { "1.2.3", -1 },
        { " 1", -1 },
        { "1 ", -1 },
        { "0x10", -1 },
        { "KES 5", -1 },
        { "nan", -1 },
    };
    (void)state;

    for (size_t i = 0; i < COUNT(cases); i++) {
        int64_t minor = -1;
        if (daraja_amount_parse(cases[i].text, &minor) != (cases[i].minor >= 0) ||
            minor != cases[i].minor) {
            fail_msg("'%s' gives %lld", cases[i].text, (long long)minor);
        }
    }
}

static void phones_are_kenyan_and_have_m_pesa(void **state)
{
    static const struct {
        const char *text;
        int64_t msisdn; /* 0: refused */
        const char *what;
    } cases[] = {
        { "0712345678", 254712345678, NULL },
        { "712345678", 254712345678, NULL },
        { "+254 712-345-678", 254712345678, NULL },
        { "00254712345678", 254712345678, NULL },
        { "254712345678", 254712345678, NULL },
        { "0110123456", 254110123456, NULL },
        { "110123456", 254110123456, NULL },
        { "tel:+254110123456", 254110123456, NULL },
        { "0733123456", 254733123456, NULL },
        { "+255754123456", 0, "phone_not_kenyan" },
        { "+256772123456", 0, "phone_not_kenyan" },
        { "+27821234567", 0, "phone_not_kenyan" },
        { "", 0, "empty" },
        { "mpesa", 0, "not_a_number" },
        { "07123", 0, "too_short" },
        { "07123456789", 0, "too_long" },
        { "0202222222", 0, "not_mobile" },
    };
    (void)state;

    for (size_t i = 0; i < COUNT(cases); i++) {
        int64_t msisdn = 0;
        struct err err = { .what = "nothing" };
        bool ok = daraja_msisdn_parse(cases[i].text, strlen(cases[i].text), &msisdn, &err);
        if (ok != (cases[i].msisdn != 0) || msisdn != cases[i].msisdn ||
            (!ok && strcmp(err.what, cases[i].what) != 0)) {
            fail_msg("'%s' gives %lld, %s", cases[i].text, (long long)msisdn, err.what);
        }
    }
    assert_true(daraja_is_msisdn(254700000000));
    assert_true(daraja_is_msisdn(254799999999));
    assert_true(daraja_is_msisdn(254100000000));
    assert_true(daraja_is_msisdn(254199999999));
    assert_false(daraja_is_msisdn(254800000000));
    assert_false(daraja_is_msisdn(254699999999));
    assert_false(daraja_is_msisdn(254200000000));
    assert_false(daraja_is_msisdn(254099999999));
    assert_false(daraja_is_msisdn(2547000000001));
    assert_false(daraja_is_msisdn(0));
}

static void another_country_is_named(void **state)
{
    int64_t msisdn;
    struct err err;
    (void)state;

    assert_false(daraja_msisdn_parse("+255754123456", 13, &msisdn, &err));
    assert_int_equal(err.kind, ERR_PERMANENT);
    assert_string_equal(err.detail, "is a number of TZ; M-Pesa prompts Kenyan numbers only");
}

static void a_push_has_all_that_m_pesa_wants(void **state)
{
    struct http_call call;
    struct err err;

    assert_true(daraja_push_request(&sandbox, TOKEN, EVENING, &push, &call, *state, &err));
    assert_string_equal(call.method, "POST");
    assert_string_equal(call.url,
                        "https://sandbox.safaricom.co.ke/mpesa/stkpush/v1/processrequest");
    assert_string_equal(header(&call, "Authorization: "), "Bearer " TOKEN);
    assert_string_equal(header(&call, "Content-Type: "), "application/json");
    assert_int_equal(call.timeout_ms, 20000);
    assert_int_equal(call.body_len, strlen(call.body));
    const char *wanted = arena_printf(
        *state,
        "{\"BusinessShortCode\":\"174379\",\"Password\":\"%s\",\"Timestamp\":\"20261119000000\","
        "\"TransactionType\":\"CustomerPayBillOnline\",\"Amount\":500,"
        "\"PartyA\":\"254700000001\",\"PartyB\":\"174379\",\"PhoneNumber\":\"254700000001\","
        "\"CallBackURL\":\"https://pay.example/c/3f9c00112233445566778899aabbccdd\","
        "\"AccountReference\":\"TK000123\",\"TransactionDesc\":\"tokens\"}",
        daraja_password(&sandbox, "20261119000000", *state));
    assert_string_equal(call.body, wanted);
}

static void a_till_is_paid_through_its_store(void **state)
{
    struct daraja_conf conf = sandbox;
    struct http_call call;
    struct err err;

    conf.transaction_type = "CustomerBuyGoodsOnline";
    conf.party_b = "5551234";
    assert_true(daraja_conf_check(&conf, &err));
    assert_true(daraja_push_request(&conf, TOKEN, EVENING, &push, &call, *state, &err));
    assert_non_null(strstr(call.body, "\"BusinessShortCode\":\"174379\""));
    assert_non_null(strstr(call.body, "\"PartyB\":\"5551234\""));
    assert_non_null(strstr(call.body, "\"TransactionType\":\"CustomerBuyGoodsOnline\""));
}

static void a_push_that_m_pesa_would_refuse_is_not_made(void **state)
{
    struct daraja_conf conf = sandbox;
    const struct {
        struct daraja_push push;
        const char *what, *detail;
    } cases[] = {
        { { 255754123456, 100, "A1", "x", "/c/1" }, "bad_payment", "phone" },
        { { 254700000001, 0, "A1", "x", "/c/1" }, "bad_payment", "KES 10 to 1000" },
        { { 254700000001, -100, "A1", "x", "/c/1" }, "bad_payment", "KES 10 to 1000" },
        { { 254700000001, 900, "A1", "x", "/c/1" }, "bad_payment", "KES 10 to 1000" },
        { { 254700000001, 100100, "A1", "x", "/c/1" }, "bad_payment", "KES 10 to 1000" },
        { { 254700000001, INT64_MAX, "A1", "x", "/c/1" }, "bad_payment", "whole" },
        { { 254700000001, 1050, "A1", "x", "/c/1" }, "bad_payment", "whole" },
        { { 254700000001, 1000, "", "x", "/c/1" }, "bad_payment", "reference" },
        { { 254700000001, 1000, "1234567890123", "x", "/c/1" }, "bad_payment", "reference" },
        { { 254700000001, 1000, "A 1", "x", "/c/1" }, "bad_payment", "reference" },
        { { 254700000001, 1000, "A1", "", "/c/1" }, "bad_payment", "description" },
        { { 254700000001, 1000, "A1", "12345678901234", "/c/1" }, "bad_payment", "description" },
        { { 254700000001, 1000, "A1", "x\"y", "/c/1" }, "bad_payment", "description" },
        { { 254700000001, 1000, "A1", "x", "/c/aSQLb" }, "bad_callback_url", "sql" },
        { { 254700000001, 1000, "A1", "x", "/c/a b" }, "bad_callback_url", "spaces" },
    };

    conf.min_kes = 10;
    conf.max_kes = 1000;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct http_call call;
        struct err err;
        assert_false(
            daraja_push_request(&conf, TOKEN, EVENING, &cases[i].push, &call, *state, &err));
        assert_int_equal(err.kind, ERR_PERMANENT);
        assert_string_equal(err.what, cases[i].what);
        if (strstr(err.detail, cases[i].detail) == NULL) {
            fail_msg("case %zu: %s", i, err.detail);
        }
    }
}

static void the_limits_themselves_are_allowed(void **state)
{
    struct daraja_push least = push;
    struct http_call call;
    struct err err;

    least.amount_minor = 100;
    assert_true(daraja_push_request(&sandbox, TOKEN, EVENING, &least, &call, *state, &err));
    assert_non_null(strstr(call.body, "\"Amount\":1,"));
    least.amount_minor = 25000000;
    least.reference = "ABCdef012345";
    least.description = "10000 tokens ";
    assert_true(daraja_push_request(&sandbox, TOKEN, EVENING, &least, &call, *state, &err));
    assert_non_null(strstr(call.body, "\"Amount\":250000,"));
}

static void a_query_asks_for_one_push(void **state)
{
    struct http_call call;

    daraja_query_request(&sandbox, TOKEN, EVENING, "ws_CO_191220191020363925", &call, *state);
    assert_string_equal(call.method, "POST");
    assert_string_equal(call.url, "https://sandbox.safaricom.co.ke/mpesa/stkpushquery/v1/query");
    assert_string_equal(header(&call, "Authorization: "), "Bearer " TOKEN);
    assert_string_equal(call.body,
                        arena_printf(*state,
                                     "{\"BusinessShortCode\":\"174379\",\"Password\":\"%s\","
                                     "\"Timestamp\":\"20261119000000\","
                                     "\"CheckoutRequestID\":\"ws_CO_191220191020363925\"}",
                                     daraja_password(&sandbox, "20261119000000", *state)));
}

static void a_registration_names_both_addresses(void **state)
{
    struct http_call call;
    struct err err;

    assert_true(daraja_register_request(&sandbox, TOKEN, "/k/1f", "/v/2e", &call, *state, &err));
    assert_string_equal(call.url, "https://sandbox.safaricom.co.ke/mpesa/c2b/v2/registerurl");
    assert_string_equal(call.body, "{\"ShortCode\":\"174379\",\"ResponseType\":\"Completed\","
                                   "\"ConfirmationURL\":\"https://pay.example/k/1f\","
                                   "\"ValidationURL\":\"https://pay.example/v/2e\"}");
    assert_false(
        daraja_register_request(&sandbox, TOKEN, "/k/mpesa", "/v/2e", &call, *state, &err));
    assert_string_equal(err.what, "bad_callback_url");
    assert_false(daraja_register_request(&sandbox, TOKEN, "/k/1f", "/v/cmd", &call, *state, &err));
}

static void a_reversal_names_the_receipt(void **state)
{
    struct daraja_conf conf = sandbox;
    struct daraja_reversal reversal = { "UAB1CD2EF3", 5000, "paid twice", "/r/1f", "/r/2e" };
    struct http_call call;
    struct err err;

    assert_false(daraja_reversal_request(&conf, TOKEN, &reversal, &call, *state, &err));
    assert_string_equal(err.what, "mpesa_not_configured");
    conf.initiator = "apiop";
    conf.security_credential = "Zm9v+/==";
    assert_true(daraja_reversal_request(&conf, TOKEN, &reversal, &call, *state, &err));
    assert_string_equal(call.url, "https://sandbox.safaricom.co.ke/mpesa/reversal/v1/request");
    assert_string_equal(call.body,
                        "{\"Initiator\":\"apiop\",\"SecurityCredential\":\"Zm9v+/==\","
                        "\"CommandID\":\"TransactionReversal\",\"TransactionID\":\"UAB1CD2EF3\","
                        "\"Amount\":50,\"ReceiverParty\":\"174379\","
                        "\"RecieverIdentifierType\":\"11\","
                        "\"ResultURL\":\"https://pay.example/r/1f\","
                        "\"QueueTimeOutURL\":\"https://pay.example/r/2e\","
                        "\"Remarks\":\"paid twice\"}");
    const struct daraja_reversal bad[] = {
        { "", 5000, "paid twice", "/r/1f", "/r/2e" },
        { "UAB1-CD2", 5000, "paid twice", "/r/1f", "/r/2e" },
        { "UAB1CD2EF3", 0, "paid twice", "/r/1f", "/r/2e" },
        { "UAB1CD2EF3", 5050, "paid twice", "/r/1f", "/r/2e" },
        { "UAB1CD2EF3", 5000, "x", "/r/1f", "/r/2e" },
        { "UAB1CD2EF3", 5000, "paid twice", "/r/exe", "/r/2e" },
        { "UAB1CD2EF3", 5000, "paid twice", "/r/1f", "/r/query" },
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_false(daraja_reversal_request(&conf, TOKEN, &bad[i], &call, *state, &err));
        assert_int_equal(err.kind, ERR_PERMANENT);
    }
}

static void a_token_is_asked_for_with_key_and_secret(void **state)
{
    struct http_call call;

    daraja_token_request(&sandbox, &call, *state);
    assert_string_equal(call.method, "GET");
    assert_string_equal(call.url, "https://sandbox.safaricom.co.ke/oauth/v1/"
                                  "generate?grant_type=client_credentials");
    assert_string_equal(header(&call, "Authorization: "), "Basic a2V5OnMzY3I6ZXQ=");
    assert_null(call.body);
    assert_int_equal(call.timeout_ms, 5000);
}

static void callback_addresses_are_such_as_m_pesa_takes(void **state)
{
    static const char *const good[] = {
        "https://pay.example/c/0123456789abcdef",
        "http://127.0.0.1:8080/c/1",
        "https://pay.example",
        "https://pay.example/Path/With-Capitals",
    };
    static const char *const bad[] = {
        "",
        "pay.example/c",
        "ftp://pay.example/c",
        "https://",
        "https:///c",
        "https://pay.example/a b",
        "https://pay.example/\xc3\xa9",
        "https://Pay.example/c",
        "https://pay.example/mpesa",
        "https://pay.example/M-Pesa/c",
        "https://safaricom.example/c",
        "https://pay.example/c?q=query",
        "https://executive.example/c",
    };
    struct err err;
    (void)state;

    for (size_t i = 0; i < COUNT(good); i++) {
        if (!daraja_url_check(good[i], &err)) {
            fail_msg("%s: %s", good[i], err.detail);
        }
    }
    for (size_t i = 0; i < COUNT(bad); i++) {
        if (daraja_url_check(bad[i], &err)) {
            fail_msg("%s is taken", bad[i]);
        }
        assert_string_equal(err.what, "bad_callback_url");
    }
}

/* The settings with one of them changed. */
static void refuse_setting(size_t offset, const char *value, const char *named)
{
    struct daraja_conf conf = sandbox;
    struct err err;

    memcpy((char *)&conf + offset, &value, sizeof(value));
    if (daraja_conf_check(&conf, &err)) {
        fail_msg("%s: '%s' is taken", named, value);
    }
    assert_int_equal(err.kind, ERR_PERMANENT);
    assert_string_equal(err.what, "bad_setting");
    if (strstr(err.detail, named) == NULL) {
        fail_msg("'%s' does not name %s", err.detail, named);
    }
    assert_null(strstr(err.detail, "a secret"));
}

#define REFUSE(member, value, named)                                                               \
    refuse_setting(offsetof(struct daraja_conf, member), value, named)

static void settings_are_checked(void **state)
{
    struct daraja_conf conf = sandbox;
    struct err err;
    (void)state;

    assert_true(daraja_conf_check(&conf, &err));
    conf.base_url = "http://127.0.0.1:9000";
    conf.public_url = "http://127.0.0.1:8080";
    assert_true(daraja_conf_check(&conf, &err));
    conf.base_url = "https://api.safaricom.co.ke";
    assert_false(daraja_conf_check(&conf, &err));
    assert_non_null(strstr(err.detail, "PUBLIC_URL"));

    REFUSE(base_url, "", "MPESA_BASE_URL");
    REFUSE(base_url, "sandbox.safaricom.co.ke", "MPESA_BASE_URL");
    REFUSE(base_url, "https://sandbox.safaricom.co.ke/", "MPESA_BASE_URL");
    REFUSE(public_url, "", "PUBLIC_URL");
    REFUSE(public_url, "https://pay.example/", "PUBLIC_URL");
    REFUSE(public_url, "https://mpesa.example", "PUBLIC_URL");
    REFUSE(consumer_key, "", "MPESA_CONSUMER_KEY");
    REFUSE(consumer_key, "key:colon", "MPESA_CONSUMER_KEY");
    REFUSE(consumer_key, "key\r\nX-Injected: 1", "MPESA_CONSUMER_KEY");
    REFUSE(consumer_secret, "", "MPESA_CONSUMER_SECRET");
    REFUSE(consumer_secret, "a secret", "MPESA_CONSUMER_SECRET");
    REFUSE(passkey, "", "MPESA_PASSKEY");
    REFUSE(passkey, "pass\nkey", "MPESA_PASSKEY");
    REFUSE(shortcode, "", "MPESA_SHORTCODE");
    REFUSE(shortcode, "1743", "MPESA_SHORTCODE");
    REFUSE(shortcode, "17437900", "MPESA_SHORTCODE");
    REFUSE(shortcode, "17437x", "MPESA_SHORTCODE");
    REFUSE(transaction_type, "CustomerPaybillOnline", "MPESA_TRANSACTION_TYPE");
    REFUSE(transaction_type, "CustomerBuyGoodsOnline", "MPESA_PARTY_B");
    REFUSE(party_b, "till1", "MPESA_PARTY_B");
    REFUSE(initiator, "apiop", "MPESA_SECURITY_CREDENTIAL");
    REFUSE(security_credential, "Zm9v", "MPESA_INITIATOR");
    conf = sandbox;
    conf.min_kes = 300000;
    assert_false(daraja_conf_check(&conf, &err));
    assert_non_null(strstr(err.detail, "MPESA_MIN_AMOUNT"));
}

/* As a stage does it: the rows inside a table of its own. */
static void settings_come_from_the_environment(void **state)
{
    struct mine {
        long before;
        struct daraja_conf mpesa;
    } conf;
    static const struct conf_item items[] = {
        DARAJA_CONF_ITEMS(struct mine, mpesa.),
        CONF_END,
    };
    struct str problems = { 0 };
    struct err err;

    unsetenv("MPESA_CONSUMER_KEY");
    assert_false(conf_load(items, &conf, *state, &problems));
    assert_non_null(strstr(problems.bytes, "MPESA_CONSUMER_KEY"));
    assert_non_null(strstr(problems.bytes, "MPESA_CONSUMER_SECRET"));
    assert_non_null(strstr(problems.bytes, "MPESA_SHORTCODE"));
    assert_non_null(strstr(problems.bytes, "MPESA_PASSKEY"));
    str_reset(&problems);
    setenv("MPESA_CONSUMER_KEY", "key", 1);
    setenv("MPESA_CONSUMER_SECRET", "secret", 1);
    setenv("MPESA_SHORTCODE", "600000", 1);
    setenv("MPESA_PASSKEY", "pass", 1);
    setenv("PUBLIC_URL", "https://pay.example", 1);
    setenv("MPESA_MAX_AMOUNT", "70000", 1);
    setenv("MPESA_TIMEOUT", "12s", 1);
    assert_true(conf_load(items, &conf, *state, &problems));
    assert_true(daraja_conf_check(&conf.mpesa, &err));
    assert_string_equal(conf.mpesa.base_url, "https://api.safaricom.co.ke");
    assert_string_equal(conf.mpesa.consumer_key, "key");
    assert_string_equal(conf.mpesa.consumer_secret, "secret");
    assert_string_equal(conf.mpesa.shortcode, "600000");
    assert_string_equal(conf.mpesa.passkey, "pass");
    assert_string_equal(conf.mpesa.transaction_type, "CustomerPayBillOnline");
    assert_string_equal(conf.mpesa.party_b, "");
    assert_string_equal(conf.mpesa.public_url, "https://pay.example");
    assert_int_equal(conf.mpesa.min_kes, 1);
    assert_int_equal(conf.mpesa.max_kes, 70000);
    assert_int_equal(conf.mpesa.timeout_ms, 12000);
    assert_int_equal(conf.mpesa.token_timeout_ms, 5000);
    assert_int_equal(conf.mpesa.token_margin_ms, 120000);
    str_free(&problems);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_ARENA(the_public_test_vector_gives_its_password),
        IN_ARENA(times_are_those_of_east_africa),
        IN_ARENA(amounts_are_exact_cents),
        IN_ARENA(phones_are_kenyan_and_have_m_pesa),
        IN_ARENA(another_country_is_named),
        IN_ARENA(a_push_has_all_that_m_pesa_wants),
        IN_ARENA(a_till_is_paid_through_its_store),
        IN_ARENA(a_push_that_m_pesa_would_refuse_is_not_made),
        IN_ARENA(the_limits_themselves_are_allowed),
        IN_ARENA(a_query_asks_for_one_push),
        IN_ARENA(a_registration_names_both_addresses),
        IN_ARENA(a_reversal_names_the_receipt),
        IN_ARENA(a_token_is_asked_for_with_key_and_secret),
        IN_ARENA(callback_addresses_are_such_as_m_pesa_takes),
        IN_ARENA(settings_are_checked),
        IN_ARENA(settings_come_from_the_environment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
