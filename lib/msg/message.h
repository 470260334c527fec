/*
 * message - one AMQP message as a stage sees it
 *
 *     struct batch_ready ready;
 *     if (!message_read(in, &batch_ready_v1, &ready, &err)) return stage_fail(stage, &err);
 *
 * Everything is borrowed for the call and what message_read() fills lives in the message's arena.
 */
#ifndef MSG_MESSAGE_H
#define MSG_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "json/shape.h"

/* Lanes are separate queues, never priorities. */
enum lane { LANE_HIGH, LANE_NORMAL };
#define LANE_COUNT 2
extern const char *const lane_words[]; /* "high", "normal", NULL */

/* An account's slug, as it stands in exchange names, routing keys and headers. */
#define ACCOUNT_SLUG_MAX 31

/* A time that is <name>_ms in C and RFC 3339 on the wire, under a name of its own there. */
#define MESSAGE_TIME(T, m, wire, ...)                                                              \
    {                                                                                              \
        .type = FIELD_TYPE_TIME, .name = (wire), .offset = offsetof(T, m),                         \
        .flags = 0 __VA_OPT__(| __VA_ARGS__)                                                       \
    }

/* A message body stays below this: one body frame, see lib/broker/broker.h. */
#define MESSAGE_BODY_MAX 131063

struct message {
    const char *id;          /* message_id: the idempotency key; never NULL                      */
    const char *type;        /* "batch.ready.v1"                                                 */
    const char *trace;       /* W3C traceparent; never NULL, minted on receipt when absent       */
    const char *correlation; /* campaign, text form; "" when none                                */
    const char *account;     /* account slug; from the exchange for partners, else the header; "" */
    bool from_partner;       /* came through tuma.in.<account>: trust no header                  */
    enum lane lane;
    unsigned attempt;    /* 1 the first time */
    int64_t born_ms;     /* timestamp property, milliseconds */
    int64_t deadline_ms; /* header deadline; 0 none */
    const char *body;
    size_t body_len;
    struct arena *arena;
};

/* Panics when shape->type is not in->type: the caller branched wrongly. */
bool message_read(const struct message *in, const struct shape *shape, void *out, struct err *err)
    __attribute__((warn_unused_result));

/* True when the message is of this shape's type. */
bool message_is(const struct message *in, const struct shape *shape);

#endif
