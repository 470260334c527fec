/*
 * window - the messages between publish and confirm; knows nothing of networks
 *
 *     window_add(&window, pending);
 *     while ((pending = window_unsent(&window)) != NULL) { send it; window_mark_sent(&window); }
 *     window_settle(&window, tag, multiple, confirmed);     // basic.ack, basic.nack
 *     while ((pending = window_take_done(&window)) != NULL) { report; pending_destroy(pending); }
 *     window_restart(&window);                              // on a new connection
 *
 * A ring of positions lo ≤ sent ≤ head. The broker counts the publishes of a connection from 1, so
 * tag and position differ by a constant: a restart closes the gaps that settled messages left.
 */
#ifndef BROKER_WINDOW_H
#define BROKER_WINDOW_H

#include "pending.h"

struct window {
    struct pending **slots; /* NULL: settled */
    size_t size;            /* a power of two */
    unsigned most;
    unsigned unsettled;
    uint64_t lo;   /* the oldest position that may be unsettled */
    uint64_t sent; /* the next position to send */
    uint64_t head; /* the next position to fill */
    uint64_t base; /* position = base + tag */

    struct pending *done_first;
    struct pending **done_end;
    unsigned done_count;
};

void window_init(struct window *window, unsigned most);
void window_fini(struct window *window); /* accepts a zeroed one */

unsigned window_room(const struct window *window);
unsigned window_pending(const struct window *window); /* settled but not taken count too */

/* Panics without room. The window owns the message from here. */
void window_add(struct window *window, struct pending *pending);

struct pending *window_unsent(const struct window *window); /* NULL when all are sent */
unsigned window_unsent_count(const struct window *window);
void window_mark_sent(struct window *window);

/* False when the broker names a message that was never sent to it. */
bool window_settle(struct window *window, uint64_t tag, bool multiple, bool confirmed);

/* basic.return names a message only by its id; the confirm follows. False for an unknown id. */
bool window_mark_returned(struct window *window, amqp_bytes_t id);

/* Settles the sent messages that match, on this side alone: the broker will not. */
typedef bool window_match_fn(const struct pending *pending, const void *context);
void window_settle_matching(struct window *window, window_match_fn *matches, const void *context,
                            enum broker_outcome outcome);

struct pending *window_take_done(struct window *window); /* NULL when there is none */

void window_restart(struct window *window);

#endif
