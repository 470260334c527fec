/*
 * flight - a message between the taking of its input and the acknowledgement
 *
 *     struct flight *flight = flights_take(&flights, &delivery);
 *     ... fill flight->outputs ...
 *     flight_launch(&flights, flight);       // published as room allows
 *     flights_pump(&flights);                // each turn: confirms, acks, publishes again
 *
 * Whatever became of an input, its consequences are a list of messages (outputs, a copy in a delay
 * queue, a copy among the parked) and the input is acknowledged when the broker has confirmed the
 * last of them. A refused one (the queue is full) or a returned one (no queue is bound) is
 * published again after a pause, and meanwhile nothing new is taken: that is the backpressure.
 * Events are told to who listens: one that nobody is bound to is delivered.
 */
#ifndef STAGE_FLIGHT_H
#define STAGE_FLIGHT_H

#include "stage/core.h"

struct flights;

struct flight {
    bool used;
    bool has_input; /* a tick's flight has none */
    bool forgotten; /* its outcome no longer matters: only the confirms are awaited */
    struct flights *flights;
    struct broker_delivery delivery;
    struct envelope envelope;
    struct arena *arena;
    struct outputs outputs;
    unsigned unsent;
    unsigned unconfirmed; /* includes the unsent */
    struct log log;
    enum verdict verdict;
    bool parked; /* rejected, or retried once too often */
    char why[WHY_BYTES];
    char detail[200];
    int delay_s; /* of a retry */
    int64_t queued_ms, handle_us, commit_us;
    int64_t launched_us; /* monotonic */
};

struct flights {
    struct stage *stage;
    struct broker_publisher *publisher;
    struct broker_consumer *consumer;
    struct flight *slots;
    size_t count;
    struct flight tick;
    size_t used;
    unsigned unsent;          /* of all flights together */
    int64_t hold_until_ms;    /* monotonic: no publishing before */
    int64_t hold_ms;          /* the pause; doubles while the broker refuses */
    struct metric *in_flight; /* gauge of this worker */
    struct metric *confirm_seconds;
};

void flights_init(struct flights *flights, struct stage *stage, size_t count, long worker);
void flights_fini(struct flights *flights);

/* True when every flight's outputs were given to the publisher and a slot is free. */
bool flights_can_take(const struct flights *flights);

/* A free slot; the delivery is the flight's from here on. */
struct flight *flights_take(struct flights *flights, const struct broker_delivery *delivery);

/* The tick's flight, or NULL while the last one's confirms are still out. */
struct flight *flights_take_tick(struct flights *flights);

/* Publishes what it holds; a flight with nothing to publish settles at once. */
void flight_launch(struct flights *flights, struct flight *flight);

/* Gives the slot back without an acknowledgement: the input returns to its queue. */
void flight_requeue(struct flights *flights, struct flight *flight);

/* Releases a flight without input, or lets it go once its confirms are in. */
void flight_forget(struct flights *flights, struct flight *flight);

/* Confirms, acknowledgements, what is to be published now. Returns at once. */
void flights_pump(struct flights *flights);

/* Milliseconds until held outputs may be published again; at most limit_ms. */
int64_t flights_wait_ms(const struct flights *flights, int64_t limit_ms);

#endif
