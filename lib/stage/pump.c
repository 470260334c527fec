/*
 * pump - the worker's chores: sockets, heartbeats, confirms, and the way back to the database
 */
#include <poll.h>

#include "base/clock.h"
#include "stage/worker.h"

/* Longest sleep: the broker objects look after heartbeats when pumped. */
#define SLEEP_LIMIT_MS 1000
/* While a connection is down its object must be pumped to try again. */
#define SLEEP_DOWN_MS 100

#define RECONNECT_FIRST_MS 100
#define RECONNECT_LIMIT_MS 5000

/* One line when the broker goes away and one when it is back. */
static void tell_trouble(struct worker *worker)
{
    const bool up =
        broker_publisher_is_up(worker->publisher) && broker_consumer_is_up(worker->consumer);
    struct log *log = &worker->stage->log;

    if (up == !worker->trouble_told) {
        return;
    }
    worker->trouble_told = !up;
    if (up) {
        log_info(log, "broker_connected");
    } else {
        const char *publisher = broker_publisher_trouble(worker->publisher);
        const char *consumer = broker_consumer_trouble(worker->consumer);
        if (*publisher == '\0' && *consumer == '\0') {
            worker->trouble_told = false; /* only connecting, so far */
            return;
        }
        log_warn(log, "broker_away", KV_STR("detail", *consumer != '\0' ? consumer : publisher));
    }
}

void worker_chores(struct worker *worker)
{
    flights_pump(&worker->flights);
    intake_fill(&worker->intake);
    tell_trouble(worker);
}

void worker_sleep(struct worker *worker, int64_t timeout_ms)
{
    const int publisher_fd = broker_publisher_fd(worker->publisher);
    const int consumer_fd = broker_consumer_fd(worker->consumer);
    struct pollfd fds[] = {
        { .fd = publisher_fd, .events = POLLIN },
        { .fd = intake_fd(&worker->intake), .events = POLLIN },
        /* Once a stop was asked for, its descriptor stays readable. */
        { .fd = signals_stop_asked() ? -1 : signals_fd(), .events = POLLIN },
    };
    const int64_t limit_ms = publisher_fd < 0 || consumer_fd < 0 ? SLEEP_DOWN_MS : SLEEP_LIMIT_MS;

    timeout_ms = flights_wait_ms(&worker->flights, timeout_ms);
    if (timeout_ms > limit_ms) {
        timeout_ms = limit_ms;
    }
    if (timeout_ms > 0) {
        poll(fds, sizeof fds / sizeof *fds, (int)timeout_ms);
    }
}

bool worker_wait(struct worker *worker, int64_t ms)
{
    const int64_t until_ms = clock_mono_ms() + ms;

    for (;;) {
        worker_chores(worker);
        if (signals_stop_asked()) {
            return false;
        }
        const int64_t left_ms = until_ms - clock_mono_ms();
        if (left_ms <= 0) {
            return true;
        }
        worker_sleep(worker, left_ms);
    }
}

bool worker_reconnect(struct worker *worker)
{
    struct stage *stage = worker->stage;
    int64_t pause_ms = RECONNECT_FIRST_MS;
    bool told = false;
    struct err err;

    while (!db_reconnect(stage->db, &err) ||
           !db_set_timeout(stage->db, stage->def->deadline_ms, &err)) {
        if (!told) {
            log_warn(&stage->log, "database_away", KV_STR("why", err.what),
                     KV_STR("detail", err.detail));
            told = true;
        }
        if (!worker_wait(worker, pause_ms / 2 + id_random_below((uint32_t)pause_ms))) {
            return false;
        }
        pause_ms = pause_ms * 2 < RECONNECT_LIMIT_MS ? pause_ms * 2 : RECONNECT_LIMIT_MS;
    }
    log_info(&stage->log, "database_connected");
    metric_add(worker->up_again, 1);
    return true;
}
