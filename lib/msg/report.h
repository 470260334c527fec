/*
 * report - what the provider tells us afterwards: delivery reports and inbound messages
 *
 * The ingress passes the provider's words on untouched; reconcile-dlr gives them their meaning.
 * One message carries all reports that arrived while the previous one was being confirmed.
 */
#ifndef MSG_REPORT_H
#define MSG_REPORT_H

#include <stdint.h>

#include "json/shape.h"

#define REPORTS_MAX 500 /* reports in one message: 500 * 200 bytes stay below one frame */

#define REPORT_PROVIDER_MAX 32
#define REPORT_ID_MAX 64    /* "ATXid_" and 32 hex digits have 38 */
#define REPORT_PHONE_MAX 64 /* some numbers come hashed, as 64 hex digits */
#define REPORT_WORD_MAX 64  /* a status, a failure reason, a date */
#define REPORT_NETWORK_MAX 16
#define REPORT_LINK_MAX 128
#define REPORT_TEXT_MAX 6400 /* bytes: 1,600 characters of four bytes */
#define REPORT_KEYS_MAX 32
#define REPORT_DURATION_S_MAX 86400
#define REPORT_WHY_MAX 200 /* a struct err's detail */
#define CALLBACK_RAW_MAX 4096

/* In all three, received_ms is received_at on the wire. */
struct delivery_report {
    const char *id;      /* the provider's message id */
    const char *phone;   /* as the provider wrote it, "+254…" */
    const char *status;  /* "Success", "Failed", … an open set */
    const char *network; /* MCC and MNC, "63902"; "" when absent */
    const char *reason;  /* failureReason; "" when absent */
    int64_t received_ms;
};

struct delivery_reported {
    const char *provider; /* "africastalking" */
    struct list reports;  /* struct delivery_report */
};

struct sms_received {
    const char *provider;
    const char *id;
    const char *from;
    const char *to;
    const char *text;
    const char *date; /* the provider's own, unparsed */
    const char *link_id;
    const char *network;
    int64_t received_ms;
};

/*
 * call.reported.v1: what a voice callback said of a call of ours. Only these two are told: keys
 * that were pressed while it lives, and its end; the rest of a call is between provider and
 * ingress.
 */
struct call_reported {
    const char *provider;
    const char *session;  /* the provider's name of the call */
    const char *phone;    /* of the callee, as the provider wrote it */
    const char *request;  /* clientRequestId; "" when it was not told */
    const char *campaign; /* "cmp_…" when our own callback address said it; "" otherwise */
    bool ended;
    int64_t step;         /* unless ended: which asking the keys answer, from 1 */
    const char *keys;     /* as pressed; "" none */
    int64_t duration_s;   /* when ended, as the next five; 0 when absent */
    int64_t amount_e4;    /* ten-thousandths of the currency's unit */
    const char *currency; /* "" when absent */
    const char *status;   /* open sets: see provider/at_voice.h */
    const char *cause;
    int64_t received_ms;
};

/* Any provider callback that did not fit its shape: kept whole, counted, looked at by a person. */
struct callback_misread {
    const char *provider;
    const char *kind; /* "delivery" "incoming" "voice" */
    const char *why;
    const char *raw; /* at most CALLBACK_RAW_MAX bytes, whatever they are */
    int64_t received_ms;
};

extern const struct shape delivery_reported_v1;
extern const struct shape sms_received_v1;
extern const struct shape call_reported_v1;
extern const struct shape callback_misread_v1;

#endif
