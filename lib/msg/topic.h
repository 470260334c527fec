/*
 * topic - where each message type travels: the one table the topology is made from
 *
 * A type is published to one exchange with the routing key
 *     <type without version>[.<route>].<lane>      batch.ready.sms.high
 * and consumed by one stage from the queue
 *     <prefix>.<stage>[.<route>].<lane>            tuma.rate-limit.sms.high
 * Events (stage NULL) go to the topic exchange <prefix>.events with the key
 *     <type without version>.<account>             campaign.completed.acme
 * Beside each stage's queues stands <prefix>.<stage>.parked. Delayed messages wait in
 * <prefix>.delay.<seconds>s and come home through <prefix>.home by queue name.
 */
#ifndef MSG_TOPIC_H
#define MSG_TOPIC_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"
#include "json/shape.h"
#include "msg/message.h"

struct topic {
    const struct shape *shape;
    const char *exchange;      /* without prefix: "campaigns" */
    const char *stage;         /* consumer; NULL for events */
    const char *const *routes; /* a queue for each; NULL: the type does not travel per route */
    bool partner;              /* also accepted from tuma.in.<account> */
};

/* All types; ends with a NULL shape. */
extern const struct topic topics[];

/* Routes that exist: one per provider channel. NULL-terminated. */
extern const char *const topic_routes[];

/* Buckets of the delay queues in seconds, ascending, 0-terminated. */
extern const int topic_delays_s[];

const struct topic *topic_find(const char *type);

/* True when the stage has a queue per route. */
bool topic_stage_is_routed(const char *stage);

/* The routes that a stage has queues for, NULL-terminated; NULL when it is not routed. */
const char *const *topic_stage_routes(const char *stage);

/* The row of a type on its way over a route: each may have a stage of its own. */
const struct topic *topic_over(const struct topic *topic, const char *route);

/* Ends the key of an event that belongs to no account; no slug is like it. */
#define TOPIC_NO_ACCOUNT "-"

/* These append to out. route is NULL unless routed. */
void topic_exchange(const char *prefix, const struct topic *topic, struct str *out);
void topic_key(const struct topic *topic, const char *route, enum lane lane, struct str *out);
void topic_event_key(const struct topic *topic, const char *account, struct str *out);
void topic_queue(const char *prefix, const char *stage, const char *route, enum lane lane,
                 struct str *out);

/* The smallest bucket that is at least delay_ms, or the largest; its exchange is
 * <prefix>.delay.<s>s. */
int topic_delay_bucket(int64_t delay_ms);

/*
 * The whole broker as an importable definitions.json: exchanges, queues, bindings, policies,
 * in the given vhost. Users are not in it.
 */
void topic_definitions(const char *prefix, const char *vhost, struct str *out);

#endif
