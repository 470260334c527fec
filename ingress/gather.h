/*
 * gather - delivery reports that wait to travel together
 *
 *     gather_add(&gather, report);
 *     if (gather.count >= gather_needed(&gather, flights)) {
 *         list = gather_take(&gather);              // what fits one message, the oldest first
 *         count = gather_write(list, &body);
 *     }
 *
 * A message of reports costs the broker most of a millisecond whether it holds one or hundreds. So
 * the first report waits a moment for others; while one message is being confirmed the next fills,
 * and leaves meanwhile only if that many came.
 *
 * No lock of its own: the publisher's guards it. The reports stay their callers'.
 */
#ifndef INGRESS_GATHER_H
#define INGRESS_GATHER_H

#include "base/str.h"
#include "publish.h"

struct gather {
    struct report *head, **tail;
    int count;
};

void gather_init(struct gather *gather);
void gather_add(struct gather *gather, struct report *report);

/* Milliseconds until the oldest has waited long enough; -1 when there is none. */
int64_t gather_wait_ms(const struct gather *gather);

/* So many reports must be there for a message to leave now; flights are at the broker already. */
int gather_needed(const struct gather *gather, int flights);

struct report *gather_take(struct gather *gather);

/* Those whose deadline has passed, as a list; NULL when there is none. */
struct report *gather_take_overdue(struct gather *gather, int64_t now_ms);

/* The message's body; returns how many reports are in it. */
int64_t gather_write(const struct report *list, struct str *body);

#endif
