/*
 * daraja_request - the requests to Daraja
 *
 * Everything but amounts is sent as a string: the API takes both, and a string keeps its zeros.
 */
#include <string.h>

#include "base/panic.h"
#include "base/str.h"
#include "crypto/crypto.h"
#include "json/shape.h"
#include "provider/daraja.h"

#define REFERENCE_BYTES 12
#define DESCRIPTION_BYTES 13
#define REMARKS_BYTES_MIN 2
#define REMARKS_BYTES 100
#define RECEIPT_BYTES 20
#define CENTS 100

#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

/* Appends a member of an object that was begun. */
static void put(struct str *out, const char *key, const char *value)
{
    str_printf(out, "%s\"%s\":", out->len > 1 ? "," : "", key);
    json_put_string(out, value, strlen(value));
}

static void put_int(struct str *out, const char *key, int64_t value)
{
    str_printf(out, "%s\"%s\":", out->len > 1 ? "," : "", key);
    str_put_int(out, value);
}

/* Ends the object and makes the call of it; frees body. */
static void post(const struct daraja_conf *conf, const char *token, const char *path,
                 struct str *body, struct http_call *out, struct arena *arena)
{
    const char **headers = arena_array(arena, 4, sizeof(*headers));

    str_putc(body, '}');
    headers[0] = arena_printf(arena, "Authorization: Bearer %s", token);
    headers[1] = "Content-Type: application/json"; /* otherwise the shortcode is called invalid */
    headers[2] = "Accept: application/json";
    *out = (struct http_call){
        .method = "POST",
        .url = arena_printf(arena, "%s%s", conf->base_url, path),
        .headers = headers,
        .body = arena_strndup(arena, body->bytes, body->len),
        .body_len = body->len,
        .timeout_ms = conf->timeout_ms,
    };
    str_free(body);
}

static void begin(struct str *body)
{
    *body = (struct str){ 0 };
    str_putc(body, '{');
}

/* Shortcode, Password and Timestamp: one moment for the two, they are compared byte by byte. */
static void put_password(const struct daraja_conf *conf, int64_t now_ms, struct str *body,
                         struct arena *arena)
{
    char timestamp[DARAJA_TIME_BYTES];

    daraja_time_format(now_ms, timestamp);
    put(body, "BusinessShortCode", conf->shortcode);
    put(body, "Password", daraja_password(conf, timestamp, arena));
    put(body, "Timestamp", timestamp);
}

static bool make_url(const struct daraja_conf *conf, const char *path, const char **out_url,
                     struct arena *arena, struct err *err)
{
    if (path[0] != '/') {
        panic("a callback path without its slash");
    }
    const char *url = arena_printf(arena, "%s%s", conf->public_url, path);
    if (!daraja_url_check(url, err)) {
        return false;
    }
    *out_url = url;
    return true;
}

static bool is_of(const char *text, const char *allowed, size_t min, size_t max)
{
    size_t len = strspn(text, allowed);

    return text[len] == '\0' && len >= min && len <= max;
}

static bool check_push(const struct daraja_conf *conf, const struct daraja_push *push,
                       struct err *err)
{
    if (!daraja_is_msisdn(push->msisdn)) {
        return err_permanent(err, "bad_payment", "the phone number has no M-Pesa");
    }
    if (push->amount_minor % CENTS != 0) {
        return err_permanent(err, "bad_payment", "M-Pesa takes whole shillings only");
    }
    if (push->amount_minor < conf->min_kes * CENTS || push->amount_minor > conf->max_kes * CENTS) {
        return err_permanent(err, "bad_payment", "the amount must be KES %ld to %ld", conf->min_kes,
                             conf->max_kes);
    }
    if (!is_of(push->reference, LETTERS, 1, REFERENCE_BYTES)) {
        return err_permanent(err, "bad_payment", "the reference must be 1 to %d letters and digits",
                             REFERENCE_BYTES);
    }
    if (!is_of(push->description, LETTERS " ", 1, DESCRIPTION_BYTES)) {
        return err_permanent(err, "bad_payment",
                             "the description must be 1 to %d letters, digits and spaces",
                             DESCRIPTION_BYTES);
    }
    return true;
}

bool daraja_push_request(const struct daraja_conf *conf, const char *token, int64_t now_ms,
                         const struct daraja_push *push, struct http_call *out, struct arena *arena,
                         struct err *err)
{
    const char *url;
    struct str body;

    if (!check_push(conf, push, err) || !make_url(conf, push->callback_path, &url, arena, err)) {
        return false;
    }
    const char *phone = arena_printf(arena, "%lld", (long long)push->msisdn);
    begin(&body);
    put_password(conf, now_ms, &body, arena);
    put(&body, "TransactionType", conf->transaction_type);
    put_int(&body, "Amount", push->amount_minor / CENTS);
    put(&body, "PartyA", phone);
    put(&body, "PartyB", conf->party_b[0] != '\0' ? conf->party_b : conf->shortcode);
    put(&body, "PhoneNumber", phone);
    put(&body, "CallBackURL", url);
    put(&body, "AccountReference", push->reference);
    put(&body, "TransactionDesc", push->description);
    post(conf, token, "/mpesa/stkpush/v1/processrequest", &body, out, arena);
    return true;
}

void daraja_query_request(const struct daraja_conf *conf, const char *token, int64_t now_ms,
                          const char *checkout_request_id, struct http_call *out,
                          struct arena *arena)
{
    struct str body;

    begin(&body);
    put_password(conf, now_ms, &body, arena);
    put(&body, "CheckoutRequestID", checkout_request_id);
    post(conf, token, "/mpesa/stkpushquery/v1/query", &body, out, arena);
}

bool daraja_register_request(const struct daraja_conf *conf, const char *token,
                             const char *confirmation_path, const char *validation_path,
                             struct http_call *out, struct arena *arena, struct err *err)
{
    const char *confirmation;
    const char *validation;
    struct str body;

    if (!make_url(conf, confirmation_path, &confirmation, arena, err) ||
        !make_url(conf, validation_path, &validation, arena, err)) {
        return false;
    }
    begin(&body);
    put(&body, "ShortCode", conf->shortcode);
    put(&body, "ResponseType", "Completed");
    put(&body, "ConfirmationURL", confirmation);
    put(&body, "ValidationURL", validation);
    post(conf, token, "/mpesa/c2b/v2/registerurl", &body, out, arena);
    return true;
}

static bool check_reversal(const struct daraja_conf *conf, const struct daraja_reversal *reversal,
                           struct err *err)
{
    size_t len = strlen(reversal->remarks);

    if (conf->initiator[0] == '\0' || conf->security_credential[0] == '\0') {
        return err_permanent(err, "mpesa_not_configured",
                             "a reversal needs MPESA_INITIATOR and MPESA_SECURITY_CREDENTIAL");
    }
    if (!is_of(reversal->receipt, LETTERS, 1, RECEIPT_BYTES)) {
        return err_permanent(err, "bad_payment", "the receipt must be letters and digits");
    }
    if (reversal->amount_minor <= 0 || reversal->amount_minor % CENTS != 0) {
        return err_permanent(err, "bad_payment", "M-Pesa returns whole shillings only");
    }
    if (len < REMARKS_BYTES_MIN || len > REMARKS_BYTES) {
        return err_permanent(err, "bad_payment", "the remarks must be %d to %d bytes",
                             REMARKS_BYTES_MIN, REMARKS_BYTES);
    }
    return true;
}

bool daraja_reversal_request(const struct daraja_conf *conf, const char *token,
                             const struct daraja_reversal *reversal, struct http_call *out,
                             struct arena *arena, struct err *err)
{
    const char *result;
    const char *timeout;
    struct str body;

    if (!check_reversal(conf, reversal, err) ||
        !make_url(conf, reversal->result_path, &result, arena, err) ||
        !make_url(conf, reversal->timeout_path, &timeout, arena, err)) {
        return false;
    }
    begin(&body);
    put(&body, "Initiator", conf->initiator);
    put(&body, "SecurityCredential", conf->security_credential);
    put(&body, "CommandID", "TransactionReversal");
    put(&body, "TransactionID", reversal->receipt);
    put_int(&body, "Amount", reversal->amount_minor / CENTS);
    put(&body, "ReceiverParty", conf->shortcode);
    put(&body, "RecieverIdentifierType", "11"); /* their spelling */
    put(&body, "ResultURL", result);
    put(&body, "QueueTimeOutURL", timeout);
    put(&body, "Remarks", reversal->remarks);
    post(conf, token, "/mpesa/reversal/v1/request", &body, out, arena);
    return true;
}

void daraja_token_request(const struct daraja_conf *conf, struct http_call *out,
                          struct arena *arena)
{
    const char *pair = arena_printf(arena, "%s:%s", conf->consumer_key, conf->consumer_secret);
    const char **headers = arena_array(arena, 3, sizeof(*headers));
    struct str encoded = { 0 };

    crypto_base64(pair, strlen(pair), &encoded);
    headers[0] = arena_printf(arena, "Authorization: Basic %s", encoded.bytes);
    headers[1] = "Accept: application/json";
    str_free(&encoded);
    *out = (struct http_call){
        .method = "GET",
        .url = arena_printf(arena, "%s/oauth/v1/generate?grant_type=client_credentials",
                            conf->base_url),
        .headers = headers,
        .timeout_ms = conf->token_timeout_ms,
    };
}
