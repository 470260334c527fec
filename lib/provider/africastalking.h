/*
 * africastalking - the SMS protocol of Africa's Talking, and all we know about its words
 *
 * Builds requests, reads replies, asks for the balance; runs no requests itself but at_balance().
 *
 *     struct http_call call;
 *     at_request(conf, sender, text, msisdns, n, &call, arena);
 *     http_run(http, &call, &reply, 1, arena);
 *     at_read(&reply, msisdns, n, outcomes, &whole, arena);
 *     for (i < n) switch (outcomes[i].class) …      // outcomes[i] belongs to msisdns[i]
 *
 * Every outcome is filled whatever happened, so a caller may look at outcomes only; the verdict
 * says whether the whole request (and so the whole route) has a problem. The provider has no
 * idempotency key: AT_DOUBT must never be sent again without evidence. Never put a number twice
 * into one request: replies are matched by number.
 *
 * Money is in ten-thousandths of the currency's unit (KES 0.8000 is 8000), as the provider has it.
 */
#ifndef PROVIDER_AFRICASTALKING_H
#define PROVIDER_AFRICASTALKING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/conf.h"
#include "base/err.h"
#include "http/http.h"

struct at_conf {
    const char *url; /* without a trailing slash or path: …/version1 */
    const char *username;
    const char *api_key;
    const char *sender_id; /* used when a campaign names none; "" leaves it to the provider */
    const char *endpoint;  /* "form" or "bulk"; at_conf_check() */
    bool enqueue;          /* the provider answers first and sends later */
    long timeout_ms;       /* of one request */
};

/* The account's rows, which SMS and voice (at_call.h) share. */
#define AT_ACCOUNT_ITEMS(T, in)                                                                    \
    CONF_STR(T, in username, "AT_USERNAME", NULL, "Africa's Talking application username."),       \
        CONF_SECRET(T, in api_key, "AT_API_KEY", NULL, "Africa's Talking API key.")

/*
 * The settings as rows of a program's own table, for a struct at_conf inside its settings struct:
 *     AT_CONF_ITEMS(struct send_conf, at.),       // note the dot
 * at_conf_items is the same for a plain struct at_conf, CONF_END included.
 */
#define AT_CONF_ITEMS(T, in)                                                                       \
    AT_ACCOUNT_ITEMS(T, in),                                                                       \
        CONF_STR(T, in url, "AT_SMS_URL", "https://api.africastalking.com/version1",               \
                 "Base URL of the SMS API: live, sandbox or simulator."),                          \
        CONF_STR(T, in sender_id, "AT_SMS_SENDER_ID", "",                                          \
                 "Sender ID or short code used when a campaign names none."),                      \
        CONF_STR(T, in endpoint, "AT_SMS_ENDPOINT", "form",                                        \
                 "form (works everywhere) or bulk (JSON, not in the sandbox)."),                   \
        CONF_BOOL(T, in enqueue, "SMS_ENQUEUE", "true",                                            \
                  "Let the provider answer first and send later."),                                \
        CONF_MS(T, in timeout_ms, "SMS_TIMEOUT", "20s", 100, 25000,                                \
                "Longest wait for the answer to one SMS request.")

extern const struct conf_item at_conf_items[];

/* What a type of setting cannot say: the endpoint is a known word, the URL is http or https. */
bool at_conf_check(const struct at_conf *conf, struct err *err) __attribute__((warn_unused_result));

/* Recipients in one request: the provider publishes no limit; this is our bound on the arrays. */
#define AT_RECIPIENTS_MAX 1000

/*
 * Fills *out with a call in the arena that sends text to n numbers (E.164 without the plus). A NULL
 * or empty sender means conf->sender_id; if that is empty too the field is left out.
 */
void at_request(const struct at_conf *conf, const char *sender, const char *text,
                const int64_t *msisdns, size_t n, struct http_call *out, struct arena *arena);

/* The whole request. Only the first has recipients of its own. */
enum at_request_state {
    AT_REQUEST_OK,           /* read; every recipient has its own outcome */
    AT_REQUEST_REFUSED,      /* not sent: 2xx without recipients, usually InvalidSenderId */
    AT_REQUEST_UNAUTHORISED, /* not sent: 401, 403 */
    AT_REQUEST_THROTTLED,    /* not sent: 429, or 503 with Retry-After; slow down */
    AT_REQUEST_MALFORMED,    /* not sent: any other 4xx and permanent redirects; ours to repair */
    AT_REQUEST_NOT_SENT,     /* not sent: no connection */
    AT_REQUEST_UNKNOWN,      /* timeout, broken connection, other 5xx, unreadable 2xx */
};

/* What to do about one recipient. */
enum at_class {
    AT_DOUBT,        /* it may have been sent: wait for a report, never send again by itself */
    AT_ACCEPTED,     /* the provider took it and bills it */
    AT_RETRY,        /* surely not sent: again, with back-off */
    AT_FINAL,        /* not sent and never will be */
    AT_SUPPRESS,     /* AT_FINAL, and the number goes on the suppression list */
    AT_HOLD_WINDOW,  /* not sent: hold until the next permitted hours */
    AT_HOLD_ACCOUNT, /* not sent: hold until a person repairs account, sender or settings */
};

struct at_verdict {
    enum at_request_state state;
    const char *why;       /* static snake_case; "ok" */
    char detail[200];      /* the provider's words, printable, cut, long numbers masked */
    int status;            /* HTTP; 0 without an answer */
    int64_t retry_after_s; /* -1 when absent */
    size_t unasked;        /* recipients in the reply not asked for, or named again */
};

struct at_outcome {
    enum at_class class;
    int code;               /* statusCode; 0 when the reply has none for this number */
    const char *reason;     /* static snake_case; "accepted" */
    const char *word;       /* the provider's status word; "" when absent; in the arena */
    const char *message_id; /* NULL when absent; in the arena */
    int64_t cost_e4;        /* -1 when absent or unreadable */
    char currency[4];       /* "" for a cost of plain 0 */
    int parts;              /* 0 when absent */
};

/*
 * Reads the reply to an at_request() of these numbers. out_outcomes has n elements. When the state
 * is not AT_REQUEST_OK all outcomes are alike: AT_RETRY (NOT_SENT, THROTTLED), AT_HOLD_ACCOUNT
 * (REFUSED, UNAUTHORISED, MALFORMED) or AT_DOUBT (UNKNOWN); REFUSED for the hour of the day
 * (DoNotDisturbRejection) is AT_HOLD_WINDOW.
 */
void at_read(const struct http_reply *reply, const int64_t *msisdns, size_t n,
             struct at_outcome *out_outcomes, struct at_verdict *out_whole, struct arena *arena);

/* The account's balance, asked for over http. */
bool at_balance(struct http *http, const struct at_conf *conf, struct arena *arena,
                int64_t *out_balance_e4, char out_currency[4], struct err *err)
    __attribute__((warn_unused_result));

/* "KES 0.8000", "ZAR -1.3448", "0": exact. False for anything that is not exactly that. */
bool at_money_parse(const char *text, int64_t *out_e4, char out_currency[4]);

/* The per-recipient codes: what each means to us. Any other code is AT_DOUBT, "unknown_code". */
struct at_code {
    int code;
    const char *word;
    enum at_class class;
    const char *reason;
};
extern const struct at_code at_codes[];
extern const size_t at_codes_count;

const char *at_class_name(enum at_class class); /* "accepted", "hold_account", … */

/* The status words of delivery reports. Compared without case: the provider's spelling varies. */
enum report_state {
    REPORT_UNKNOWN,   /* a word we do not know: keep it, alarm, change nothing */
    REPORT_PROGRESS,  /* Sent, Submitted, Buffered */
    REPORT_DELIVERED, /* Success */
    REPORT_FAILED,    /* Failed, Rejected */
    REPORT_ABSENT,    /* AbsentSubscriber: failed, but a later Success overturns it */
    REPORT_EXPIRED,   /* Expired: failed */
};
enum report_state at_report_state(const char *word);

/* The failureReason of a report says that the subscriber opted out. */
bool at_reason_is_opt_out(const char *reason);

/* "63902" to "Safaricom Kenya"; NULL for a code we do not know. */
const char *at_network_name(const char *code);

#endif
