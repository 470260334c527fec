#include "stage/flight.h"

#include <string.h>

#include "base/clock.h"
#include "base/panic.h"
#include "stage/outcome.h"

/* What one message may emit together. */
#define FLIGHT_ARENA_BYTES (64u << 20)

/* The pause after a refusal, doubled up to the limit: short enough that a full queue, which is
 * everyday backpressure, never runs empty meanwhile. A missing queue needs a person. */
#define HOLD_FIRST_MS 50
#define HOLD_LIMIT_MS 400
#define HOLD_UNROUTABLE_FIRST_MS 1000
#define HOLD_UNROUTABLE_LIMIT_MS 8000

void flights_init(struct flights *flights, struct stage *stage, size_t count, long worker)
{
    struct arena *arena = stage->memory;

    *flights = (struct flights){ .stage = stage, .count = count };
    flights->slots = arena_array(arena, count, sizeof *flights->slots);
    for (size_t i = 0; i < count; i++) {
        flights->slots[i].arena = arena_create(FLIGHT_ARENA_BYTES);
        flights->slots[i].flights = flights;
    }
    flights->tick.arena = arena_create(FLIGHT_ARENA_BYTES);
    flights->tick.flights = flights;
    flights->in_flight =
        metrics_gauge(stage->metrics, "in_flight", "Messages taken and not yet settled.",
                      arena_printf(arena, "stage=\"%s\",worker=\"%ld\"", stage->def->name, worker));
    flights->confirm_seconds =
        metrics_histogram(stage->metrics, "confirm_seconds",
                          "From publishing a message's outputs to the last confirm.",
                          arena_printf(arena, "stage=\"%s\"", stage->def->name));
    metric_set(flights->in_flight, 0);
}

static void release(struct flights *flights, struct flight *flight)
{
    struct arena *arena = flight->arena;

    if (flight->has_input) {
        broker_delivery_free(&flight->delivery);
        flights->used--;
        metric_set(flights->in_flight, (int64_t)flights->used);
    }
    arena_reset(arena);
    *flight = (struct flight){ .arena = arena, .flights = flights };
}

void flights_fini(struct flights *flights)
{
    for (size_t i = 0; i < flights->count; i++) {
        if (flights->slots[i].used) {
            release(flights, &flights->slots[i]);
        }
        arena_destroy(flights->slots[i].arena);
    }
    arena_destroy(flights->tick.arena);
}

bool flights_can_take(const struct flights *flights)
{
    return flights->unsent == 0 && flights->used < flights->count;
}

struct flight *flights_take(struct flights *flights, const struct broker_delivery *delivery)
{
    for (size_t i = 0; i < flights->count; i++) {
        struct flight *flight = &flights->slots[i];
        if (!flight->used) {
            flight->used = true;
            flight->has_input = true;
            flight->delivery = *delivery;
            outputs_begin(&flight->outputs, flight->arena);
            flights->used++;
            metric_set(flights->in_flight, (int64_t)flights->used);
            return flight;
        }
    }
    panic("no free flight among %zu", flights->count);
}

struct flight *flights_take_tick(struct flights *flights)
{
    struct flight *flight = &flights->tick;

    if (flight->used) {
        return NULL;
    }
    flight->used = true;
    outputs_begin(&flight->outputs, flight->arena);
    return flight;
}

/* Every consequence stands: the input may go. */
static void settle(struct flights *flights, struct flight *flight)
{
    if (flight->outputs.count > 0) {
        metric_observe_us(flights->confirm_seconds, clock_mono_us() - flight->launched_us);
    }
    if (!flight->has_input) {
        return; /* the tick looks at unconfirmed itself */
    }
    stage_crash_point("after_confirm");
    broker_ack(flights->consumer, flight->delivery.tag);
    stage_crash_point("after_ack");
    outcome_log(flights->stage, flight);
    release(flights, flight);
}

static void publish(struct flights *flights, struct output *out)
{
    out->message.headers = out->headers;
    out->message.header_count = out->header_count;
    out->state = OUTPUT_SENT;
    out->flight->unsent--;
    flights->unsent--;
    broker_publish(flights->publisher, &out->message, (uint64_t)(uintptr_t)out);
}

static void publish_flight(struct flights *flights, struct flight *flight)
{
    if (!flight->used || flight->unsent == 0) {
        return;
    }
    for (struct output *out = flight->outputs.first; out != NULL; out = out->next) {
        if (out->state == OUTPUT_WAITS) {
            if (broker_publisher_room(flights->publisher) == 0) {
                return;
            }
            publish(flights, out);
        }
    }
    stage_crash_point("after_publish");
}

static void publish_waiting(struct flights *flights)
{
    if (flights->unsent == 0 || clock_mono_ms() < flights->hold_until_ms) {
        return;
    }
    publish_flight(flights, &flights->tick);
    for (size_t i = 0; i < flights->count; i++) {
        publish_flight(flights, &flights->slots[i]);
    }
}

void flight_launch(struct flights *flights, struct flight *flight)
{
    flight->launched_us = clock_mono_us();
    flight->unsent = flight->outputs.count;
    flight->unconfirmed = flight->outputs.count;
    flights->unsent += flight->outputs.count;
    for (struct output *out = flight->outputs.first; out != NULL; out = out->next) {
        out->flight = flight;
        out->state = OUTPUT_WAITS;
    }
    if (flight->unconfirmed == 0) {
        settle(flights, flight);
    } else {
        publish_waiting(flights);
    }
}

void flight_requeue(struct flights *flights, struct flight *flight)
{
    broker_requeue(flights->consumer, flight->delivery.tag);
    release(flights, flight);
}

void flight_forget(struct flights *flights, struct flight *flight)
{
    flights->unsent -= flight->unsent;
    flight->unconfirmed -= flight->unsent;
    flight->unsent = 0;
    if (flight->unconfirmed == 0) {
        release(flights, flight);
    } else {
        flight->forgotten = true;
    }
}

/* The first refusal of a round sets how long nothing is published. */
static void hold(struct flights *flights, const struct output *out, bool unroutable)
{
    const int64_t first_ms = unroutable ? HOLD_UNROUTABLE_FIRST_MS : HOLD_FIRST_MS;
    const int64_t limit_ms = unroutable ? HOLD_UNROUTABLE_LIMIT_MS : HOLD_LIMIT_MS;
    const int64_t now_ms = clock_mono_ms();
    const bool is_new = flights->hold_ms == 0;

    if (now_ms < flights->hold_until_ms) {
        return;
    }
    flights->hold_ms = is_new ? first_ms : flights->hold_ms * 2;
    if (flights->hold_ms > limit_ms) {
        flights->hold_ms = limit_ms;
    }
    flights->hold_until_ms = now_ms + flights->hold_ms;
    outcome_refused(flights->stage, out, unroutable, is_new);
}

/* The broker did not take it: it is published again after the pause. */
static void try_again(struct flights *flights, struct output *out, enum broker_outcome outcome)
{
    hold(flights, out, outcome == BROKER_RETURNED);
    out->state = OUTPUT_WAITS;
    out->flight->unsent++;
    flights->unsent++;
}

static void on_settled(void *context, uint64_t ticket, enum broker_outcome outcome)
{
    struct flights *flights = context;
    struct output *out = (struct output *)(uintptr_t)ticket; /* NOLINT(performance-no-int-to-ptr) */
    struct flight *flight = out->flight;
    const bool is_event = out->topic != NULL && out->topic->stage == NULL;
    const bool unheard = is_event && outcome == BROKER_RETURNED;

    if (outcome != BROKER_CONFIRMED && !unheard && !flight->forgotten) {
        try_again(flights, out, outcome);
        return;
    }
    if (outcome == BROKER_CONFIRMED) {
        flights->hold_ms = 0;
    }
    out->state = OUTPUT_CONFIRMED;
    if (--flight->unconfirmed > 0) {
        return;
    }
    if (flight->forgotten) {
        release(flights, flight);
    } else {
        settle(flights, flight);
    }
}

void flights_pump(struct flights *flights)
{
    broker_publisher_pump(flights->publisher, 0, on_settled, flights);
    publish_waiting(flights);
}

int64_t flights_wait_ms(const struct flights *flights, int64_t limit_ms)
{
    if (flights->unsent == 0) {
        return limit_ms;
    }
    const int64_t left_ms = flights->hold_until_ms - clock_mono_ms();

    if (left_ms <= 0) { /* held by the window: a confirm will wake the publisher's socket */
        return limit_ms;
    }
    return left_ms < limit_ms ? left_ms : limit_ms;
}
