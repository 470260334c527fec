/*
 * publish - the ingress's one connection to the broker, shared by all its threads
 *
 *     parcel = (struct parcel){ .shape = &campaign_closed_v1, .lane = lane, .body = …,
 *                               .settled = on_settled, .context = … };
 *     publish_send(publisher, &parcel);          // any thread; on_settled() follows, always, once
 *
 *     if (!publish_all(publisher, parcels, n, &err)) …        // or wait for all of them
 *
 *     publish_report(publisher, report);         // delivery reports: many share one message
 *
 * A thread of its own owns the connection. Reports that arrive within 2 ms, or while earlier ones
 * are being confirmed, travel together (group commit): a flood costs one message per few hundred.
 * What is not confirmed within CONFIRM_MS settles as PUBLISH_AWAY, though the broker may still get
 * it: the caller will repeat it and readers drop what they know.
 *
 * A parcel and all it points to are kept until settled() is called. settled() runs on the
 * publisher's thread or on the one that calls publish_expire(); it must not block.
 */
#ifndef INGRESS_PUBLISH_H
#define INGRESS_PUBLISH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/id.h"
#include "base/log.h"
#include "json/shape.h"
#include "metrics/metrics.h"
#include "msg/message.h"

struct publisher;

enum publish_outcome {
    PUBLISH_CONFIRMED,
    PUBLISH_FULL,       /* the queue takes no more for now */
    PUBLISH_UNROUTABLE, /* no queue is bound: the broker's topology is not ours */
    PUBLISH_AWAY,       /* not confirmed in time */
};

struct parcel;
typedef void parcel_settled_fn(struct parcel *parcel, enum publish_outcome outcome);

#define TRACE_BYTES 56 /* 00-<32>-<16>-01 and NUL */

struct parcel {
    struct parcel *next; /* the publisher's */
    int64_t deadline_ms; /* the publisher's; monotonic */
    const struct shape *shape;
    enum lane lane;
    char id[ID_MESSAGE_BYTES];
    const char *correlation; /* the campaign; NULL none */
    const char *account;     /* slug; NULL none */
    const char *trace;       /* traceparent; NULL: a new one */
    const char *body;
    size_t body_len;
    parcel_settled_fn *settled;
    void *context;
};

/* One delivery report on its way: an element of delivery.reported's list, as JSON. */
struct report {
    struct report *next; /* the publisher's, then the list given to reports_settled */
    int64_t deadline_ms; /* the publisher's; monotonic */
    const char *json;
    size_t len;
    void *context;
};
typedef void reports_settled_fn(struct report *list, enum publish_outcome outcome);

struct publish_conf {
    const char *url;
    const char *prefix;
    reports_settled_fn *reports_settled;
    struct metrics *metrics;
};

/* conf's texts are kept. Does not wait for the broker. */
bool publisher_create(const struct publish_conf *conf, struct publisher **out_publisher,
                      struct err *err);

/*
 * Publishes what is queued, waits up to wait_ms for confirms, settles the rest, and from then on
 * everything at once as PUBLISH_AWAY. Both accept NULL.
 */
void publisher_stop(struct publisher *publisher, int64_t wait_ms);
void publisher_destroy(struct publisher *publisher);

void publish_send(struct publisher *publisher, struct parcel *parcel);
void publish_report(struct publisher *publisher, struct report *report);

/*
 * Sends count parcels and waits until all are settled. Fills in settled and context itself.
 * Temporary errors: broker_away, queue_full, unroutable.
 */
bool publish_all(struct publisher *publisher, struct parcel *parcels, size_t count, struct err *err)
    __attribute__((warn_unused_result));

/* The error that an outcome means; false. Not for PUBLISH_CONFIRMED. */
bool publish_fail(enum publish_outcome outcome, struct err *err);

/* Settles what is overdue. To be called a few times a second from a thread that never blocks. */
void publish_expire(struct publisher *publisher);

/* False when the broker has been away or refusing for a second: then do not even try. */
bool publish_is_ready(const struct publisher *publisher);

/* Why not, for a log line. */
void publish_trouble(struct publisher *publisher, char out[200]);

/* "00-…-01": a new trace, or a new span of the valid traceparent given. */
void publish_trace(const char *given, char out[TRACE_BYTES]);

/* The id of a message that is the same however often it is derived. */
void publish_id(const char *campaign, const char *type, int64_t number, char out[ID_MESSAGE_BYTES]);

#endif
