/*
 * event - what the world may listen to on <prefix>.events
 *
 * The routing key ends in the account, so an account's own queue is bound to "#.<account>".
 * On the wire at_ms is `at` and until_ms is `until`, in RFC 3339.
 * Events are told at least once, after the fact is committed; the database is the record. What a
 * row was only for a moment may go untold: what no message would tell again is told by a tick.
 */
#ifndef MSG_EVENT_H
#define MSG_EVENT_H

#include <stdint.h>

#include "json/shape.h"

#define EVENT_WORD_MAX 64
#define EVENT_DETAIL_MAX 500
#define EVENT_REFERENCE_MAX 200
#define EVENT_SHORTSTR_MAX 255 /* AMQP's own limit of message_id and type */
#define EVENT_COUNT_MAX 1000000000
#define EVENT_TOKENS_MAX INT64_C(1000000000000)
#define EVENT_AMOUNT_MAX INT64_C(1000000000000000) /* ten-thousandths of money, too */

/* campaign.changed.v1: a campaign took a new status; campaign.completed.v1: its last. */
struct campaign_event {
    const char *campaign;
    const char *reference;
    const char *account;
    const char *status;
    const char *detail; /* for people: "12 tokens are missing" */
    int64_t planned, sent, delivered, failed, expired, in_doubt, suppressed, cancelled;
    int64_t invalid, duplicates;
    int64_t tokens;
    int64_t at_ms;
};

/* message.parked.v1: a partner's message was refused; it waits for a person. */
struct parked_event {
    const char *account;
    const char *message_id;
    const char *type;
    const char *stage;
    const char *why;
    const char *detail;
    int64_t at_ms;
};

/* route.held.v1, route.opened.v1: sending over a route stopped or goes on. */
struct route_event {
    const char *route;
    const char *why;
    const char *detail;
    int64_t until_ms; /* 0: until somebody acts */
    int64_t at_ms;
};

/* tokens.transferred.v1: told to each of the two, `account` is the one that is told. */
struct transfer_event {
    const char *account;
    const char *from;
    const char *to;
    const char *reference;
    const char *reason;
    const char *actor;
    int64_t tokens;
    int64_t at_ms;
};

/* account.alerted.v1: tokens run low or out, or are spent oddly; or the provider's credit is low.
 */
struct alert_event {
    const char *alert;
    const char *account; /* "": for operators */
    const char *kind;
    const char *day;
    const char *detail; /* for people */
    int64_t value;      /* tokens, or ten-thousandths of the currency */
    int64_t threshold;  /* 0: none */
    int64_t expires_ms; /* 0: none */
    const char *currency;
    int64_t at_ms;
};

extern const struct shape account_alerted_v1;
extern const struct shape campaign_changed_v1;
extern const struct shape campaign_completed_v1;
extern const struct shape message_parked_v1;
extern const struct shape route_held_v1;
extern const struct shape route_opened_v1;
extern const struct shape tokens_transferred_v1;

#endif
