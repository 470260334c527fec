#include "stage/worker.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/panic.h"

/*
 * Of the worker that keeps to the high lane. It gets what comes there as long as so much is not in
 * its hands already: with the others, in the middle of something large, that would wait for its
 * end.
 */
#define HIGH_PREFETCH 8
#define HIGH_PRIORITY 10

/* The broker cuts a connection that is silent this long; a handler must be done before. */
#define HEARTBEAT_LEAST_S 15
#define HEARTBEAT_MOST_S 60
#define HEARTBEAT_MARGIN_S 5

/* Longest wait at the end for the confirms of what was published. */
#define FINISH_MS 10000

/* While draining: idle time before asking for the queues' depth, and how often it must be zero. */
#define DRAIN_IDLE_MS 50
#define DRAIN_CHECKS 2

#define START_FIRST_MS 200
#define START_LIMIT_MS 10000

void lanes_pick(struct stage *stage, bool high, bool normal, struct lanes *lanes)
{
    const bool wanted[LANE_COUNT] = { [LANE_HIGH] = high, [LANE_NORMAL] = normal };

    *lanes = (struct lanes){ 0 };
    for (int lane = 0; lane < LANE_COUNT; lane++) {
        if (wanted[lane]) {
            struct str name = { 0 };
            topic_queue(stage->settings->prefix, stage->def->name, stage->route, (enum lane)lane,
                        &name);
            lanes->queues[lanes->count] = arena_strdup(stage->memory, name.bytes);
            lanes->lanes[lanes->count++] = (enum lane)lane;
            str_free(&name);
        }
    }
}

static int heartbeat_s(const struct stage_def *def)
{
    const long wanted_s = def->deadline_ms / 1000 + HEARTBEAT_MARGIN_S;

    if (def->deadline_ms <= 0 || wanted_s > HEARTBEAT_MOST_S) {
        panic("stage %s: a deadline of %ld ms does not fit into a heartbeat of %d s", def->name,
              def->deadline_ms, HEARTBEAT_MOST_S);
    }
    return wanted_s > HEARTBEAT_LEAST_S ? (int)wanted_s : HEARTBEAT_LEAST_S;
}

/* No more than the broker will send while nothing is acknowledged: else all wait in vain. */
static size_t together(const struct stage_def *def, long prefetch)
{
    if (def->handle_many == NULL) {
        return 1;
    }
    return def->together < (size_t)prefetch ? def->together : (size_t)prefetch;
}

static bool wait_in_handler(struct stage *stage, int64_t ms)
{
    return worker_wait(stage->wait_context, ms);
}

/* The sleep before the broker objects exist; false when told to stop. */
static bool wait_at_start(struct stage *stage, int64_t ms)
{
    const int64_t until_ms = clock_mono_ms() + ms;

    (void)stage;
    while (!signals_stop_asked() && clock_mono_ms() < until_ms) {
        clock_sleep_ms(until_ms - clock_mono_ms());
    }
    return !signals_stop_asked();
}

/* Connects and starts, for as long as that may still succeed. */
static int open_stage(struct worker *worker)
{
    struct stage *stage = worker->stage;
    int64_t pause_ms = START_FIRST_MS;
    struct err err;

    stage->wait = wait_at_start;
    while (!stage_open(stage, worker->name, &err)) {
        log_error(&stage->log, "not_started", KV_STR("why", err.what), KV_STR("detail", err.detail),
                  KV_INT("again_ms", err.kind == ERR_TEMPORARY ? pause_ms : 0));
        stage_close(stage);
        if (err.kind != ERR_TEMPORARY) {
            return EXIT_SETTINGS;
        }
        if (!wait_at_start(stage, pause_ms / 2 + id_random_below((uint32_t)pause_ms))) {
            return EXIT_OK;
        }
        pause_ms = pause_ms * 2 < START_LIMIT_MS ? pause_ms * 2 : START_LIMIT_MS;
    }
    return EXIT_OK;
}

static bool open_broker(struct worker *worker, long prefetch, struct err *err)
{
    struct stage *stage = worker->stage;
    const size_t in_flight = (size_t)prefetch * worker->lanes.count;

    worker->broker = (struct broker_conf){
        .url = stage->settings->amqp_url,
        .name = worker->name,
        .heartbeat_s = heartbeat_s(stage->def),
        .priority = worker->only_high ? HIGH_PRIORITY : 0,
    };
    if (!broker_publisher_create(&worker->broker, &worker->publisher, err) ||
        !broker_consumer_create(&worker->broker, worker->lanes.queues, worker->lanes.count,
                                (unsigned)prefetch, &worker->consumer, err)) {
        return false;
    }
    flights_init(&worker->flights, stage, in_flight, worker->index);
    worker->flights.publisher = worker->publisher;
    worker->flights.consumer = worker->consumer;
    /* Twice: after a reconnect the old deliveries may still wait here beside the new ones. */
    intake_init(&worker->intake, worker->consumer, 2 * in_flight, stage->memory);
    return true;
}

/* While draining: nothing in hand, nothing to come. */
static bool is_drained(struct worker *worker)
{
    int64_t ready[LANE_COUNT] = { 0 };
    int64_t consumers[LANE_COUNT] = { 0 };
    struct err err;

    if (worker->flights.used > 0 || worker->intake.count > 0 ||
        !broker_consumer_is_up(worker->consumer) ||
        clock_mono_ms() - worker->busy_at_ms < DRAIN_IDLE_MS) {
        return false;
    }
    worker->busy_at_ms = clock_mono_ms();
    if (!broker_queue_depth(&worker->broker, worker->lanes.queues, worker->lanes.count, ready,
                            consumers, &err)) {
        log_warn(&worker->stage->log, "drain_unsure", KV_STR("why", err.what),
                 KV_STR("detail", err.detail));
        return false;
    }
    for (size_t i = 0; i < worker->lanes.count; i++) {
        if (ready[i] > 0) {
            worker->empty_checks = 0;
            return false;
        }
    }
    if (worker->empty_checks == 0) {
        worker->tick_at_ms = 0; /* what the last messages made due is worked off too */
    }
    return ++worker->empty_checks > DRAIN_CHECKS;
}

/* How long to wait for company for what waits already; 0 when it is to be handled now. */
static int64_t company_ms(const struct worker *worker)
{
    int64_t since_ms = 0;

    if (worker->together == 1) {
        return 0;
    }
    const size_t waiting = intake_sociable(&worker->intake, &since_ms);
    if (waiting == 0 || waiting >= worker->together) {
        return 0;
    }
    const int64_t left_ms = since_ms + worker->stage->def->together_ms - clock_mono_ms();
    return left_ms > 0 ? left_ms : 0;
}

static void loop(struct worker *worker)
{
    struct broker_delivery delivery;

    while (!signals_stop_asked()) {
        worker_chores(worker);
        worker_tick(worker);
        const int64_t company = company_ms(worker);
        if (company > 0) {
            worker_sleep(worker, company);
            continue;
        }
        if (flights_can_take(&worker->flights) &&
            intake_take(&worker->intake, worker->flights.used == 0, &delivery)) {
            worker_take(worker, &delivery);
            worker->busy_at_ms = clock_mono_ms();
            worker->empty_checks = 0;
            continue;
        }
        if (worker->options->drain && is_drained(worker)) {
            return;
        }
        int64_t sleep_ms = worker->options->drain ? DRAIN_IDLE_MS : TICK_EVERY_MS;
        if (worker->stage->def->tick != NULL) {
            const int64_t tick_ms = worker->tick_at_ms - clock_mono_ms();
            sleep_ms = tick_ms < sleep_ms ? tick_ms : sleep_ms;
        }
        worker_sleep(worker, sleep_ms);
    }
}

/* What was handled is published, confirmed and acknowledged before we go. */
static void finish(struct worker *worker)
{
    const int64_t until_ms = clock_mono_ms() + FINISH_MS;

    while (worker->flights.used > 0 && clock_mono_ms() < until_ms) {
        worker_chores(worker);
        if (worker->flights.used > 0) {
            worker_sleep(worker, until_ms - clock_mono_ms());
        }
    }
    if (worker->flights.used > 0) {
        log_warn(&worker->stage->log, "unsettled_at_stop",
                 KV_INT("messages", (int64_t)worker->flights.used));
    }
}

static long prefetch_of(const struct worker *worker)
{
    const struct stage *stage = worker->stage;
    const long usual = stage->def->prefetch > 0 ? stage->def->prefetch : PREFETCH_USUAL;

    if (stage->settings->prefetch > 0) {
        return stage->settings->prefetch;
    }
    return worker->only_high && usual < HIGH_PREFETCH ? HIGH_PREFETCH : usual;
}

static int run(struct worker *worker)
{
    struct stage *stage = worker->stage;
    const long prefetch = prefetch_of(worker);
    struct err err;

    const int opened = open_stage(worker);
    if (opened != EXIT_OK || signals_stop_asked()) {
        return opened;
    }
    if (!open_broker(worker, prefetch, &err)) {
        log_error(&stage->log, "not_started", KV_STR("why", err.what),
                  KV_STR("detail", err.detail));
        return EXIT_SETTINGS;
    }
    worker->together = together(stage->def, prefetch);
    stage->wait = wait_in_handler;
    stage->wait_context = worker;
    log_info(&stage->log, "worker_started", KV_INT("prefetch", prefetch),
             KV_STR("first_queue", worker->lanes.queues[0]));
    loop(worker);
    finish(worker);
    log_info(&stage->log, "worker_stopped");
    return EXIT_OK;
}

int worker_run(struct stage *stage, const struct options *options, long index, long workers)
{
    struct worker worker = { .stage = stage, .options = options, .index = index };
    const bool both = options->lane[0] == 'b';
    char number[8];

    snprintf(number, sizeof number, "%ld", index);
    snprintf(worker.name, sizeof worker.name, "%s/%ld", stage->def->name, index);
    log_context(&stage->log, "worker", workers > 1 ? number : NULL);
    worker.only_high = both && workers > 1 && index == 0 && !stage->def->shares_lanes;
    lanes_pick(stage, options->lane[0] != 'n', options->lane[0] != 'h' && !worker.only_high,
               &worker.lanes);
    worker.up_again =
        metrics_counter(stage->metrics, "database_reconnects_total", "Connections made anew.",
                        arena_printf(stage->memory, "stage=\"%s\"", stage->def->name));
    const int status = run(&worker);
    stage_close(stage);
    if (worker.flights.count > 0) {
        flights_fini(&worker.flights);
        intake_fini(&worker.intake);
    }
    broker_consumer_destroy(worker.consumer);
    broker_publisher_destroy(worker.publisher);
    return status;
}
