/*
 * intake - deliveries on their way from the consumer to the handler
 *
 *     intake_fill(&intake);                       // each turn, also while nothing is taken: this
 *     if (intake_take(&intake, alone, &delivery)) ...    // also answers the broker's heartbeats
 *
 * A delivery of an earlier queue in the list is taken first, however long another waits.
 *
 * A redelivered one may be what killed the worker that had it, so it is taken after all others,
 * and only when alone: nothing else is in hand whose acknowledgement its death could undo. Of
 * several any may be next. So a message that kills takes no neighbour along to the delivery limit.
 */
#ifndef STAGE_INTAKE_H
#define STAGE_INTAKE_H

#include "stage/core.h"

struct intake {
    struct broker_consumer *consumer;
    struct waiting {
        struct broker_delivery delivery;
        int64_t since_ms; /* monotonic */
    } * waiting;          /* in order of arrival */
    size_t count, size;
};

void intake_init(struct intake *intake, struct broker_consumer *consumer, size_t size,
                 struct arena *arena);
void intake_fini(struct intake *intake);

void intake_fill(struct intake *intake);
bool intake_take(struct intake *intake, bool alone, struct broker_delivery *out_delivery);

/* How many wait that need not be alone, and since when the first of them does. */
size_t intake_sociable(const struct intake *intake, int64_t *out_since_ms);

/* What poll() should wait for; -1 while there is no room or no connection. */
int intake_fd(const struct intake *intake);

#endif
