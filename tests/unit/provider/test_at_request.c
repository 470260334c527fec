/*
 * Requests as they go over the wire, settings, and the balance.
 */
/* cmocka.h wants these before it. clang-format would sort them. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "provider/africastalking.h"
#include "raw_server.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct at_conf live = {
    .url = "https://api.africastalking.com/version1",
    .username = "acme",
    .api_key = "atsk_0011",
    .sender_id = "",
    .endpoint = "form",
    .enqueue = true,
    .timeout_ms = 30000,
};

static const int64_t two[] = { 254700000001, 254700000002 };

static const char *header(const struct http_call *call, const char *name)
{
    for (const char *const *at = call->headers; *at != NULL; at++) {
        if (strncmp(*at, name, strlen(name)) == 0) {
            return *at + strlen(name);
        }
    }
    return NULL;
}

static void a_form_has_all_numbers_in_one_field(void **state)
{
    struct arena *arena = arena_create(1 << 20);
    struct http_call call;
    (void)state;

    at_request(&live, "ACME & Co", "Habari 100%\nBei: KES 5", two, 2, &call, arena);
    assert_string_equal(call.method, "POST");
    assert_string_equal(call.url, "https://api.africastalking.com/version1/messaging");
    assert_string_equal(call.body, "username=acme&from=ACME+%26+Co&bulkSMSMode=1&enqueue=1"
                                   "&message=Habari+100%25%0ABei%3A+KES+5"
                                   "&to=%2B254700000001%2C%2B254700000002");
    assert_int_equal(call.body_len, strlen(call.body));
    assert_int_equal(call.timeout_ms, 30000);
    assert_string_equal(header(&call, "apiKey: "), "atsk_0011");
    assert_string_equal(header(&call, "Accept: "), "application/json");
    assert_string_equal(header(&call, "Content-Type: "), "application/x-www-form-urlencoded");
    arena_destroy(arena);
}

static void a_sender_is_never_sent_empty(void **state)
{
    struct arena *arena = arena_create(1 << 20);
    struct at_conf conf = live;
    struct http_call call;
    (void)state;

    at_request(&conf, "", "x", two, 1, &call, arena);
    assert_null(strstr(call.body, "from="));
    conf.enqueue = false;
    conf.sender_id = "22123";
    at_request(&conf, NULL, "x", two, 1, &call, arena);
    assert_string_equal(
        call.body, "username=acme&from=22123&bulkSMSMode=1&enqueue=0&message=x&to=%2B254700000001");
    at_request(&conf, "", "x", two, 1, &call, arena);
    assert_non_null(strstr(call.body, "from=22123"));
    conf.endpoint = "bulk";
    conf.sender_id = "";
    at_request(&conf, NULL, "x", two, 1, &call, arena);
    assert_null(strstr(call.body, "senderId"));
    arena_destroy(arena);
}

static void the_bulk_body_is_json(void **state)
{
    struct arena *arena = arena_create(1 << 20);
    struct at_conf conf = live;
    struct http_call call;
    (void)state;

    conf.endpoint = "bulk";
    at_request(&conf, "ACME", "Habari \"100%\"\n\xE2\x82\xAC", two, 2, &call, arena);
    assert_string_equal(call.url, "https://api.africastalking.com/version1/messaging/bulk");
    assert_string_equal(call.body, "{\"username\":\"acme\",\"senderId\":\"ACME\",\"enqueue\":1,"
                                   "\"message\":\"Habari \\\"100%\\\"\\n\xE2\x82\xAC\","
                                   "\"phoneNumbers\":[\"+254700000001\",\"+254700000002\"]}");
    assert_int_equal(call.body_len, strlen(call.body));
    assert_string_equal(header(&call, "Content-Type: "), "application/json");
    arena_destroy(arena);
}

static void a_full_request_fits(void **state)
{
    struct arena *arena = arena_create(1 << 20);
    int64_t many[AT_RECIPIENTS_MAX];
    struct http_call call;
    int commas = 0;
    (void)state;

    for (int i = 0; i < AT_RECIPIENTS_MAX; i++) {
        many[i] = 254700000000 + i;
    }
    at_request(&live, NULL, "x", many, AT_RECIPIENTS_MAX, &call, arena);
    for (const char *at = call.body; (at = strstr(at, "%2C")) != NULL; at++) {
        commas++;
    }
    assert_int_equal(commas, AT_RECIPIENTS_MAX - 1);
    assert_string_equal(call.body + call.body_len - 15, "%2B254700000999");
    arena_destroy(arena);
}

static void settings_are_checked(void **state)
{
    struct at_conf conf;
    struct err err;
    (void)state;

    assert_true(at_conf_check(&live, &err));
    conf = live;
    conf.endpoint = "bulk";
    conf.url = "http://127.0.0.1:8080/version1";
    assert_true(at_conf_check(&conf, &err));

    conf = live, conf.endpoint = "Form";
    assert_false(at_conf_check(&conf, &err));
    assert_int_equal(err.kind, ERR_PERMANENT);
    assert_non_null(strstr(err.detail, "AT_SMS_ENDPOINT"));
    conf = live, conf.url = "ftp://x";
    assert_false(at_conf_check(&conf, &err));
    conf = live, conf.url = "";
    assert_false(at_conf_check(&conf, &err));
    conf = live, conf.url = "https://api.africastalking.com/version1/";
    assert_false(at_conf_check(&conf, &err));
    conf = live, conf.username = "";
    assert_false(at_conf_check(&conf, &err));
    conf = live, conf.api_key = "";
    assert_false(at_conf_check(&conf, &err));
    conf = live, conf.api_key = "key\r\nX-Injected: 1";
    assert_false(at_conf_check(&conf, &err));
    assert_null(strstr(err.detail, "key"));
}

/* As a stage does it: the rows inside a table of its own. */
static void settings_come_from_the_environment(void **state)
{
    struct mine {
        long before;
        struct at_conf at;
        long batch;
    } conf;
    static const struct conf_item items[] = {
        CONF_INT(struct mine, batch, "SMS_BATCH_SIZE", "500", 1, 500, "Recipients a batch."),
        AT_CONF_ITEMS(struct mine, at.),
        CONF_END,
    };
    struct arena *arena = arena_create(1 << 20);
    struct str problems = { 0 };
    struct err err;
    (void)state;

    unsetenv("AT_USERNAME");
    unsetenv("AT_API_KEY");
    assert_false(conf_load(items, &conf, arena, &problems));
    assert_non_null(strstr(problems.bytes, "AT_USERNAME"));
    assert_non_null(strstr(problems.bytes, "AT_API_KEY"));
    str_reset(&problems);
    setenv("AT_USERNAME", "acme", 1);
    setenv("AT_API_KEY", "secret", 1);
    setenv("SMS_ENQUEUE", "no", 1);
    setenv("SMS_TIMEOUT", "12s", 1);
    assert_true(conf_load(items, &conf, arena, &problems));
    assert_string_equal(conf.at.username, "acme");
    assert_string_equal(conf.at.api_key, "secret");
    assert_string_equal(conf.at.url, "https://api.africastalking.com/version1");
    assert_string_equal(conf.at.endpoint, "form");
    assert_string_equal(conf.at.sender_id, "");
    assert_false(conf.at.enqueue);
    assert_int_equal(conf.at.timeout_ms, 12000);
    assert_int_equal(conf.batch, 500);
    assert_true(at_conf_check(&conf.at, &err));
    str_free(&problems);
    arena_destroy(arena);
}

/* One balance question against a server that answers with this status line and body. */
static bool ask(const char *status, const char *body, int64_t *out_e4, char out_currency[4],
                struct err *err)
{
    char text[600];
    struct arena *arena = arena_create(1 << 20);
    struct http *http;
    struct at_conf conf = live;
    char url[64];

    snprintf(text, sizeof(text),
             "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
             status, strlen(body), body);
    const struct raw_step steps[] = { { RAW_ANSWER, text, 0 } };
    struct raw_server *server = raw_server_start(steps, 1);
    snprintf(url, sizeof(url), "http://127.0.0.1:%d/version1", raw_server_port(server));
    conf.url = url;
    conf.username = "acme & co";
    assert_true(http_create(&(struct http_conf){ 0 }, &http, err));
    bool ok = at_balance(http, &conf, arena, out_e4, out_currency, err);
    const char *request = raw_server_last(server);
    const char *line = "GET /version1/user?username=acme+%26+co HTTP/1.1\r\n";
    assert_memory_equal(request, line, strlen(line));
    assert_non_null(strstr(request, "\r\napiKey: atsk_0011\r\n"));
    assert_non_null(strstr(request, "\r\nAccept: application/json\r\n"));
    http_destroy(http);
    raw_server_stop(server);
    arena_destroy(arena);
    return ok;
}

static void the_balance_is_read_as_recorded_and_as_documented(void **state)
{
    static const struct {
        const char *body;
        int64_t e4;
        const char *currency;
    } cases[] = {
        { "{\"UserData\":{\"balance\":\"KES 1785.50\"}}", 17855000, "KES" },
        { "{\"userData\":{\"balance\":\"ZAR -1.3448\"}}", -13448, "ZAR" },
        { "{\"UserData\":{\"balance\":\"USD 999999589.6168\"}}", 9999995896168, "USD" },
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        int64_t e4;
        char currency[4];
        struct err err;
        assert_true(ask("200 OK", cases[i].body, &e4, currency, &err));
        assert_int_equal(e4, cases[i].e4);
        assert_string_equal(currency, cases[i].currency);
    }
}

static void a_balance_that_cannot_be_had_says_why(void **state)
{
    static const struct {
        const char *status, *body;
        enum err_kind kind;
        const char *what;
    } cases[] = {
        { "401 Unauthorized", "The supplied authentication is invalid", ERR_PERMANENT,
          "provider_refused" },
        { "503 Service Unavailable", "", ERR_TEMPORARY, "provider_busy" },
        { "429 Too Many Requests", "", ERR_TEMPORARY, "provider_busy" },
        { "200 OK", "<xml/>", ERR_PERMANENT, "bad_json" },
        { "200 OK", "{}", ERR_PERMANENT, "bad_balance" },
        { "200 OK", "{\"UserData\":{\"balance\":\"plenty\"}}", ERR_PERMANENT, "bad_balance" },
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        int64_t e4 = 42;
        char currency[4] = "???";
        struct err err;
        assert_false(ask(cases[i].status, cases[i].body, &e4, currency, &err));
        assert_int_equal(err.kind, cases[i].kind);
        assert_string_equal(err.what, cases[i].what);
        assert_int_equal(e4, 42);
        assert_string_equal(currency, "???");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_form_has_all_numbers_in_one_field),
        cmocka_unit_test(a_sender_is_never_sent_empty),
        cmocka_unit_test(the_bulk_body_is_json),
        cmocka_unit_test(a_full_request_fits),
        cmocka_unit_test(settings_are_checked),
        cmocka_unit_test(settings_come_from_the_environment),
        cmocka_unit_test(the_balance_is_read_as_recorded_and_as_documented),
        cmocka_unit_test(a_balance_that_cannot_be_had_says_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
