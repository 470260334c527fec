/*
 * callbacks - what M-Pesa posts to us: planned when something ended, posted when due
 *
 *     callbacks_plan_push(sim, push, RESULT_PAID, false);
 *     callbacks_fire(sim, timer);               // a TIMER_CALLBACK is due
 *     poster_pump(&sim->callbacks.poster);
 *
 * Each goes to its own URL, once, and again only when retries are set. Whether, when and how often
 * it goes follows from the callback faults.
 */
#ifndef SIM_CALLBACKS_H
#define SIM_CALLBACKS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "engine/poster.h"
#include "engine/wheel.h"
#include "results.h"

struct sim;

enum callback_kind {
    CALLBACK_PUSH,     /* subject: the push; word: enum result */
    CALLBACK_C2B,      /* subject: the payment */
    CALLBACK_REVERSAL, /* subject: the reversal */
    CALLBACK_KINDS,
};

#define CALLBACK_TARGETS 16

/* A host that callbacks went to. */
struct target {
    char host[128];
    struct sockaddr_in address;
    bool known;
};

struct callbacks {
    struct poster poster;
    struct target targets[CALLBACK_TARGETS];
    uint32_t target_count;

    /* Due and waiting for a connection: a ring. */
    struct timer *due;
    uint32_t due_size, due_first, due_count;
    struct timer *in_flight; /* by the poster's slot */
    bool stopped;

    uint64_t planned, answered, retried, given_up;
    uint64_t posted[CALLBACK_KINDS];
    uint64_t lost;       /* never planned, by fault */
    uint64_t unroutable; /* to a host that is not known, or https without SIM_CALLBACK_TO */
    uint64_t refused;    /* answers that were not 2xx */
    uint64_t broken;     /* connections that broke or timed out */
};

bool callbacks_open(struct sim *sim, struct err *err) __attribute__((warn_unused_result));
void callbacks_close(struct sim *sim);

/* early: due at once. */
void callbacks_plan_push(struct sim *sim, uint32_t index, enum result result, bool early);
void callbacks_plan_c2b(struct sim *sim, uint32_t payment);
void callbacks_plan_reversal(struct sim *sim, uint32_t reversal);

/* The callback of a push that has ended once more, now. */
void callbacks_repeat(struct sim *sim, uint32_t index);

void callbacks_fire(struct sim *sim, const struct timer *timer);

/* Those that wait change places. */
void callbacks_shuffle(struct sim *sim);
uint64_t callbacks_pending(const struct sim *sim);

/* Forgets every callback and the counters. */
void callbacks_clear(struct sim *sim);

#endif
