/*
 * daraja - M-Pesa's API: settings, requests, and its ways with numbers, amounts and times
 *
 * Builds requests and runs none itself. Their replies are daraja_reply.h's, what M-Pesa posts to us
 * is daraja_callback.h's, the access token is daraja_token.h's.
 *
 *     struct http_call call;
 *     if (!daraja_push_request(conf, token, now_ms, &push, &call, arena, &err)) … ours to repair
 *     http_run(http, &call, &reply, 1, arena);
 *     daraja_push_read(&reply, &answer, arena);
 *     switch (answer.class) …
 *
 * Money is in cents (KES 1 is 100); M-Pesa takes whole shillings. Times of M-Pesa are East Africa
 * Time (UTC+3). Phone numbers are E.164 without the plus: 254712345678.
 */
#ifndef PROVIDER_DARAJA_H
#define PROVIDER_DARAJA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/conf.h"
#include "base/err.h"
#include "http/http.h"

struct daraja_conf {
    const char *base_url; /* without a trailing slash or path */
    const char *consumer_key;
    const char *consumer_secret;
    const char *shortcode; /* BusinessShortCode: the paybill, or a till's store number */
    const char *passkey;
    const char *transaction_type;
    const char *party_b;    /* the till; "" is the shortcode */
    const char *public_url; /* where M-Pesa's callbacks reach us */
    const char *initiator;  /* for reversals; "" without */
    const char *security_credential;
    long min_kes, max_kes; /* of one payment */
    long timeout_ms;       /* of one request */
    long token_timeout_ms; /* of asking for an access token */
    long token_margin_ms;  /* before its end a token is replaced */
};

/*
 * The settings as rows of a program's own table, for a struct daraja_conf inside its settings
 * struct: DARAJA_CONF_ITEMS(struct settle_conf, mpesa.), note the dot. daraja_conf_items is the
 * same for a plain struct daraja_conf, CONF_END included.
 */
#define DARAJA_CONF_ITEMS(T, in)                                                                   \
    CONF_STR(T, in base_url, "MPESA_BASE_URL", "https://api.safaricom.co.ke",                      \
             "Base URL of Daraja: live, sandbox or simulator."),                                   \
        CONF_SECRET(T, in consumer_key, "MPESA_CONSUMER_KEY", NULL, "Daraja app: consumer key."),  \
        CONF_SECRET(T, in consumer_secret, "MPESA_CONSUMER_SECRET", NULL,                          \
                    "Daraja app: consumer secret."),                                               \
        CONF_STR(T, in shortcode, "MPESA_SHORTCODE", NULL,                                         \
                 "The paybill; for a till its store number."),                                     \
        CONF_SECRET(T, in passkey, "MPESA_PASSKEY", NULL, "Passkey of the shortcode."),            \
        CONF_STR(T, in transaction_type, "MPESA_TRANSACTION_TYPE", "CustomerPayBillOnline",        \
                 "CustomerPayBillOnline (paybill) or CustomerBuyGoodsOnline (till)."),             \
        CONF_STR(T, in party_b, "MPESA_PARTY_B", "",                                               \
                 "Who is paid: the till number; empty is the shortcode."),                         \
        CONF_STR(T, in public_url, "PUBLIC_URL", "",                                               \
                 "How M-Pesa reaches this server, for its callbacks."),                            \
        CONF_STR(T, in initiator, "MPESA_INITIATOR", "", "API operator for reversals."),           \
        CONF_SECRET(T, in security_credential, "MPESA_SECURITY_CREDENTIAL", "",                    \
                    "The operator's password as encrypted on the developer portal."),              \
        CONF_INT(T, in min_kes, "MPESA_MIN_AMOUNT", "1", 1, 10000000,                              \
                 "Smallest payment in whole KES."),                                                \
        CONF_INT(T, in max_kes, "MPESA_MAX_AMOUNT", "250000", 1, 10000000,                         \
                 "Largest payment in whole KES."),                                                 \
        CONF_MS(T, in timeout_ms, "MPESA_TIMEOUT", "20s", 100, 25000,                              \
                "Longest wait for the answer to one M-Pesa request."),                             \
        CONF_MS(T, in token_timeout_ms, "MPESA_TOKEN_TIMEOUT", "5s", 100, 10000,                   \
                "Longest wait for an access token."),                                              \
        CONF_MS(T, in token_margin_ms, "MPESA_TOKEN_MARGIN", "2m", 0, 1800000,                     \
                "How long before its end an access token is replaced.")

extern const struct conf_item daraja_conf_items[];

/* What a type of setting cannot say: URLs, numbers, known words, what a till needs. */
bool daraja_conf_check(const struct daraja_conf *conf, struct err *err)
    __attribute__((warn_unused_result));

/*
 * Whether M-Pesa takes the URL for a callback. It refuses some words anywhere in it (mpesa, sql,
 * exe, cmd, …): secrets in a path must be hexadecimal, where none of them can arise by chance.
 */
bool daraja_url_check(const char *url, struct err *err) __attribute__((warn_unused_result));

/*
 * A payer's number in any form that msisdn.h understands; only 254 7… and 254 1… have M-Pesa. The
 * error's what is text_msisdn_word(), or "phone_not_kenyan", "phone_not_mpesa".
 */
bool daraja_msisdn_parse(const char *text, size_t len, int64_t *out_msisdn, struct err *err)
    __attribute__((warn_unused_result));
bool daraja_is_msisdn(int64_t msisdn);

/* "500", "50.00", "1.5" to cents; false for a sign, an exponent, or a fraction of a cent. */
bool daraja_amount_parse(const char *text, int64_t *out_minor);

/* "20261101101500" and back; false for anything that is no such time. */
#define DARAJA_TIME_BYTES 15
void daraja_time_format(int64_t ms, char out[DARAJA_TIME_BYTES]);
bool daraja_time_parse(const char *text, int64_t *out_ms);

/* base64(shortcode, passkey, timestamp), in the arena. */
const char *daraja_password(const struct daraja_conf *conf, const char *timestamp,
                            struct arena *arena);

/*
 * Requests. Paths begin with a slash and are put behind conf->public_url. An error is permanent:
 * "bad_payment" for what the caller gave, "bad_callback_url", "mpesa_not_configured".
 */
struct daraja_push {
    int64_t msisdn;
    int64_t amount_minor;    /* whole shillings within the limits */
    const char *reference;   /* 1 to 12 letters and digits; the payer's SMS shows it */
    const char *description; /* 1 to 13 letters, digits and spaces */
    const char *callback_path;
};
bool daraja_push_request(const struct daraja_conf *conf, const char *token, int64_t now_ms,
                         const struct daraja_push *push, struct http_call *out, struct arena *arena,
                         struct err *err) __attribute__((warn_unused_result));

void daraja_query_request(const struct daraja_conf *conf, const char *token, int64_t now_ms,
                          const char *checkout_request_id, struct http_call *out,
                          struct arena *arena);

/* C2B: payments that nobody prompted. When our validation does not answer they are completed. */
bool daraja_register_request(const struct daraja_conf *conf, const char *token,
                             const char *confirmation_path, const char *validation_path,
                             struct http_call *out, struct arena *arena, struct err *err)
    __attribute__((warn_unused_result));

struct daraja_reversal {
    const char *receipt;
    int64_t amount_minor;
    const char *remarks; /* 2 to 100 bytes */
    const char *result_path;
    const char *timeout_path;
};
bool daraja_reversal_request(const struct daraja_conf *conf, const char *token,
                             const struct daraja_reversal *reversal, struct http_call *out,
                             struct arena *arena, struct err *err)
    __attribute__((warn_unused_result));

void daraja_token_request(const struct daraja_conf *conf, struct http_call *out,
                          struct arena *arena);

#endif
