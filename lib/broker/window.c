/*
 * window - the messages between publish and confirm
 */
#include "window.h"

#include <stdlib.h>
#include <string.h>

#include "base/panic.h"

/* Confirms come out of order now and then: the ring is longer than the window. */
#define RING_FACTOR 4
#define RING_LEAST 64

void window_init(struct window *window, unsigned most)
{
    size_t size = RING_LEAST;

    while (size < (size_t)most * RING_FACTOR) {
        size *= 2;
    }
    *window = (struct window){ .size = size, .most = most };
    window->slots = calloc(size, sizeof(struct pending *));
    if (window->slots == NULL) {
        panic("out of memory");
    }
    window->done_end = &window->done_first;
    window_restart(window);
}

void window_fini(struct window *window)
{
    struct pending *done;

    for (size_t i = 0; i < window->size; i++) {
        pending_destroy(window->slots[i]);
    }
    while ((done = window_take_done(window)) != NULL) {
        pending_destroy(done);
    }
    free(window->slots);
    *window = (struct window){ 0 };
}

static struct pending **slot(const struct window *window, uint64_t position)
{
    return &window->slots[position & (window->size - 1)];
}

unsigned window_pending(const struct window *window)
{
    return window->unsettled + window->done_count;
}

unsigned window_room(const struct window *window)
{
    uint64_t ring = window->size - (window->head - window->lo);
    unsigned pending = window_pending(window);
    unsigned room = pending < window->most ? window->most - pending : 0;

    return ring < room ? (unsigned)ring : room;
}

void window_add(struct window *window, struct pending *pending)
{
    if (window_room(window) == 0) {
        panic("publish without room");
    }
    *slot(window, window->head++) = pending;
    window->unsettled++;
}

struct pending *window_unsent(const struct window *window)
{
    return window->sent < window->head ? *slot(window, window->sent) : NULL;
}

unsigned window_unsent_count(const struct window *window)
{
    return (unsigned)(window->head - window->sent);
}

void window_mark_sent(struct window *window)
{
    window->sent++;
}

static void finish(struct window *window, uint64_t position, enum broker_outcome outcome)
{
    struct pending *pending = *slot(window, position);

    *slot(window, position) = NULL;
    window->unsettled--;
    pending->outcome = outcome;
    pending->next = NULL;
    *window->done_end = pending;
    window->done_end = &pending->next;
    window->done_count++;
}

static void settle_one(struct window *window, uint64_t position, bool confirmed)
{
    const struct pending *pending = position < window->lo ? NULL : *slot(window, position);

    if (pending == NULL) {
        return; /* settled before */
    }
    if (!confirmed) {
        finish(window, position, BROKER_REFUSED);
    } else {
        finish(window, position, pending->returned ? BROKER_RETURNED : BROKER_CONFIRMED);
    }
}

static void advance(struct window *window)
{
    while (window->lo < window->sent && *slot(window, window->lo) == NULL) {
        window->lo++;
    }
}

bool window_settle(struct window *window, uint64_t tag, bool multiple, bool confirmed)
{
    uint64_t last = tag == 0 && multiple ? window->sent - 1 : window->base + tag;

    if (last >= window->sent || (tag == 0 && !multiple)) {
        return false;
    }
    if (!multiple) {
        settle_one(window, last, confirmed);
    } else {
        for (uint64_t position = window->lo; position <= last; position++) {
            settle_one(window, position, confirmed);
        }
    }
    advance(window);
    return true;
}

bool window_mark_returned(struct window *window, amqp_bytes_t id)
{
    for (uint64_t position = window->lo; position < window->sent; position++) {
        struct pending *pending = *slot(window, position);

        if (pending != NULL && !pending->returned && pending->properties.message_id.len == id.len &&
            (id.len == 0 || memcmp(pending->properties.message_id.bytes, id.bytes, id.len) == 0)) {
            pending->returned = true;
            return true;
        }
    }
    return false;
}

void window_settle_matching(struct window *window, window_match_fn *matches, const void *context,
                            enum broker_outcome outcome)
{
    for (uint64_t position = window->lo; position < window->sent; position++) {
        const struct pending *pending = *slot(window, position);

        if (pending != NULL && matches(pending, context)) {
            finish(window, position, outcome);
        }
    }
    advance(window);
}

struct pending *window_take_done(struct window *window)
{
    struct pending *done = window->done_first;

    if (done != NULL) {
        window->done_first = done->next;
        window->done_count--;
        if (window->done_first == NULL) {
            window->done_end = &window->done_first;
        }
    }
    return done;
}

void window_restart(struct window *window)
{
    uint64_t to = window->lo;

    for (uint64_t from = window->lo; from < window->head; from++) {
        struct pending *pending = *slot(window, from);

        if (pending != NULL) {
            *slot(window, from) = NULL;
            pending->returned = false;
            *slot(window, to++) = pending;
        }
    }
    window->head = to;
    window->sent = window->lo;
    window->base = window->lo - 1;
}
