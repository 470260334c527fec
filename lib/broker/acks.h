/*
 * acks - which deliveries are settled, and with how few acks the broker can be told
 *
 *     acks_delivered(&acks, tag);                       // in the order of arrival: 1, 2, 3 …
 *     acks_settle(&acks, tag);                          // in any order; false for a second time
 *     while (acks_next(&acks, &tag, &multiple)) send basic.ack(tag, multiple);
 *
 * Everything up to the first unsettled delivery takes one ack with "multiple"; what is settled
 * beyond takes one each. A multiple ack may only name a delivery the broker still holds unsettled:
 * anything else closes the channel (collect_acks in its rabbit_channel.erl).
 */
#ifndef BROKER_ACKS_H
#define BROKER_ACKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct acks {
    uint8_t *states; /* a ring, by tag */
    size_t size;     /* a power of two */
    uint64_t lo;     /* the lowest tag the broker may hold */
    uint64_t end;    /* one past the highest delivered */
    uint64_t *ready; /* settled here, the broker not told */
    size_t ready_count;
    size_t ready_size;
    size_t held; /* delivered and not settled */
};

void acks_init(struct acks *acks);
void acks_fini(struct acks *acks); /* accepts a zeroed one */

/* For a new channel: tags start at 1 again. */
void acks_restart(struct acks *acks);

/* False when the tag is not the next one. */
bool acks_delivered(struct acks *acks, uint64_t tag);

bool acks_settle(struct acks *acks, uint64_t tag);

/* Settled with the broker by other means: a reject. False if it was settled before. */
bool acks_told(struct acks *acks, uint64_t tag);

/* The next ack to send; false when the broker knows all. */
bool acks_next(struct acks *acks, uint64_t *out_tag, bool *out_multiple);

#endif
