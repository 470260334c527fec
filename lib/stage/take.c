/*
 * take - a message, or several together: decoded, handled, and their consequences launched
 *
 * While the database is away the message stays in hand and its attempts are not spent; told to
 * stop meanwhile, the worker gives it back to the queue.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "stage/worker.h"

/* Calls of the handler that the database may leave undecided before the message waits a while. */
#define UNDECIDED_LIMIT 5
#define UNDECIDED_PAUSE_MS 20

static void set_reason(struct flight *flight, const char *why, const char *detail)
{
    snprintf(flight->why, sizeof flight->why, "%s", why);
    snprintf(flight->detail, sizeof flight->detail, "%s", detail);
}

static void park(struct worker *worker, struct flight *flight, const char *verdict)
{
    flight->verdict = STAGE_REJECT;
    flight->parked = true;
    output_park(worker->stage, &flight->envelope, &flight->outputs, verdict, flight->why,
                flight->detail);
}

static void retry(struct worker *worker, struct flight *flight)
{
    const unsigned attempt = flight->envelope.in.attempt;

    flight->verdict = STAGE_RETRY;
    if (attempt >= (unsigned long)worker->stage->settings->attempts) {
        char last[sizeof flight->detail];
        snprintf(last, sizeof last, "%s: %.130s", flight->why, flight->detail);
        set_reason(flight, "attempts_exhausted", last);
        park(worker, flight, verdict_word(STAGE_RETRY));
        return;
    }
    flight->delay_s = retry_delay_s(attempt);
    output_retry(worker->stage, &flight->envelope, &flight->outputs, flight->why, flight->delay_s);
}

/* Calls the handler until the database lets it decide. False when told to stop before that. */
static bool handle(struct worker *worker, struct flight *flight, struct handled *handled)
{
    struct stage *stage = worker->stage;

    for (unsigned tries = 1;; tries++) {
        handle_message(stage, &flight->envelope.in, &flight->outputs, handled);
        flight->handle_us += handled->handle_us;
        flight->commit_us += handled->commit_us;
        if (!handled->undecided || tries == UNDECIDED_LIMIT) {
            return true;
        }
        if (db_is_down(stage->db)) {
            if (!worker_reconnect(worker)) {
                return false;
            }
        } else if (!worker_wait(worker, tries * UNDECIDED_PAUSE_MS)) {
            return false;
        }
    }
}

static void attach_log(struct worker *worker, struct flight *flight)
{
    const struct message *in = &flight->envelope.in;
    char trace[LOG_CONTEXT_BYTES];

    snprintf(trace, sizeof trace, "%.32s", in->trace + strlen("00-"));
    log_context(&worker->stage->log, "msg", in->id);
    log_context(&worker->stage->log, "trace", trace);
    flight->log = worker->stage->log;
}

static void detach_log(struct worker *worker)
{
    log_context(&worker->stage->log, "msg", NULL);
    log_context(&worker->stage->log, "trace", NULL);
}

/* A flight with its message decoded; NULL when that could only be parked. */
static struct flight *open_flight(struct worker *worker, const struct broker_delivery *delivery)
{
    struct flight *flight = flights_take(&worker->flights, delivery);
    const int queue = flight->delivery.queue;
    const char *fault;

    stage_crash_point("after_receive");
    const bool fit = envelope_read(worker->stage, &flight->delivery, worker->lanes.queues[queue],
                                   worker->lanes.lanes[queue], flight->arena, &flight->envelope,
                                   &fault, flight->detail);
    attach_log(worker, flight);
    flight->queued_ms = clock_now_ms() - flight->envelope.in.born_ms;
    if (!fit) {
        snprintf(flight->why, sizeof flight->why, "%s", fault);
        park(worker, flight, verdict_word(STAGE_REJECT));
        flight_launch(&worker->flights, flight);
        flight = NULL;
    }
    detach_log(worker);
    return flight;
}

/* Fills the flight with what is to be published; false to give the message back. */
static bool decide(struct worker *worker, struct flight *flight)
{
    struct handled handled;

    if (!handle(worker, flight, &handled)) {
        return false;
    }
    if (handled.verdict != STAGE_DONE) {
        set_reason(flight, handled.why, handled.detail);
    }
    switch (handled.verdict) {
    case STAGE_DONE:
        flight->verdict = STAGE_DONE;
        return true;
    case STAGE_RETRY:
        if (signals_stop_asked()) {
            return false; /* a handler that was told to stop waiting spends no attempt */
        }
        retry(worker, flight);
        return true;
    case STAGE_REJECT:
        if (handled.undecided) { /* the database's doing, not the message's */
            retry(worker, flight);
        } else {
            park(worker, flight, verdict_word(STAGE_REJECT));
        }
        return true;
    }
    return false;
}

static void take_alone(struct worker *worker, struct flight *flight)
{
    attach_log(worker, flight);
    if (decide(worker, flight)) {
        flight_launch(&worker->flights, flight);
    } else {
        flight_requeue(&worker->flights, flight);
    }
    detach_log(worker);
}

/* The flights of what waits and may share a transaction. A redelivered message never does. */
static size_t gather(struct worker *worker, const struct broker_delivery *first,
                     struct flight *group[TOGETHER_MAX])
{
    struct broker_delivery delivery = *first;
    size_t count = 0;

    do {
        struct flight *flight = open_flight(worker, &delivery);
        if (flight != NULL) {
            group[count++] = flight;
        }
    } while (count < worker->together && !first->redelivered && worker->together > 1 &&
             flights_can_take(&worker->flights) && intake_take(&worker->intake, false, &delivery));
    return count;
}

static bool take_together(struct worker *worker, struct flight *const *group, size_t count)
{
    const struct message *in[TOGETHER_MAX];
    struct handled handled;

    for (size_t i = 0; i < count; i++) {
        in[i] = &group[i]->envelope.in;
    }
    handle_together(worker->stage, in, count, &handled);
    if (handled.verdict != STAGE_DONE) { /* rolled back: nothing happened */
        log_info(&worker->stage->log, "group_parted", KV_INT("messages", (int64_t)count),
                 KV_STR("why", handled.why), KV_STR("detail", handled.detail));
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        group[i]->verdict = STAGE_DONE;
        group[i]->handle_us = handled.handle_us / (int64_t)count; /* each its share */
        group[i]->commit_us = handled.commit_us / (int64_t)count;
        flight_launch(&worker->flights, group[i]);
    }
    return true;
}

void worker_take(struct worker *worker, const struct broker_delivery *delivery)
{
    struct flight *group[TOGETHER_MAX];
    const size_t count = gather(worker, delivery, group);

    if (count > 1 && take_together(worker, group, count)) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (count > 1) {
            worker_chores(worker); /* between two calls, as when each had come alone */
        }
        if (count > 1 && signals_stop_asked()) {
            flight_requeue(&worker->flights, group[i]);
        } else {
            take_alone(worker, group[i]);
        }
    }
}
