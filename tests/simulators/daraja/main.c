/*
 * daraja-simulator - Safaricom's Daraja (M-Pesa) for tests, quickstart and benchmarks
 *
 * Speaks tokens, STK push and its query, C2B registration and reversal on SIM_LISTEN, acts for the
 * customers, posts the callbacks, misbehaves as told and keeps book of what was paid. README.md has
 * the settings, the behaviours, the faults and the endpoints under /_sim.
 *
 * Prints "listening <address>" on stdout when ready; SIGTERM and SIGINT end it with status 0.
 */
#include <stdio.h>
#include <string.h>

#include "answers.h"
#include "engine/stopper.h"

#define ARENA_BYTES ((size_t)256 << 20)
#define WHEEL_TIMERS 16000000U
#define TICK_MS 100
#define STATUS_CONFIG 78

static const struct {
    const char *method;
    const char *path;
    void (*handle)(struct sim *sim, struct conn *conn, struct request *request);
    bool of_express; /* these say 405 to another method, the older ones blame the header */
} routes[] = {
    { "GET", "/oauth/v1/generate", oauth_generate, true },
    { "POST", "/mpesa/stkpush/v1/processrequest", push_process, true },
    { "POST", "/mpesa/stkpushquery/v1/query", query_push, true },
    { "POST", "/mpesa/c2b/v1/registerurl", c2b_register_v1, false },
    { "POST", "/mpesa/c2b/v2/registerurl", c2b_register_v2, false },
    { "POST", "/mpesa/reversal/v1/request", reverse_request, false },
};

static void handle_api(struct sim *sim, struct conn *conn, struct request *request)
{
    sim->stats.requests++;
    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
        if (strcmp(request->path, routes[i].path) != 0) {
            continue;
        }
        if (strcmp(request->method, routes[i].method) == 0) {
            routes[i].handle(sim, conn, request);
        } else if (routes[i].of_express) {
            answer_error(sim, conn, 405, "405.001", "Method Not Allowed");
        } else {
            answer_error(sim, conn, 404, "404.001.04", "Invalid Authentication Header");
        }
        return;
    }
    answer_error(sim, conn, 404, "404.001.01", "Resource not found");
}

static void handle(void *context, struct conn *conn, struct request *request)
{
    struct sim *sim = context;

    arena_reset(sim->work);
    if (strncmp(request->path, "/_sim/", 6) == 0) {
        control_handle(sim, conn, request);
    } else {
        handle_api(sim, conn, request);
    }
}

static void fire(void *context, const struct timer *timer)
{
    struct sim *sim = context;

    switch (timer->kind) {
    case TIMER_PAYER:
        payer_act(sim, timer);
        break;
    case TIMER_CALLBACK:
        callbacks_fire(sim, timer);
        break;
    default:
        server_release(&sim->server, timer->subject);
        break;
    }
}

static bool open_all(struct sim *sim, struct err *err)
{
    const struct settings *settings = &sim->settings;

    loop_init(&sim->loop);
    wheel_init(&sim->wheel, WHEEL_TIMERS, sim->loop.now_ms);
    book_init(&sim->book, (uint32_t)settings->capacity);
    faults_init(&sim->faults, &fault_kinds, (uint64_t)settings->seed);
    sim->server = (struct server){
        .loop = &sim->loop,
        .wheel = &sim->wheel,
        .name = "Apigee Router",
        .handle = handle,
        .context = sim,
    };
    return faults_force(&sim->faults, settings->force, err) &&
           faults_load(&sim->faults, settings->faults, strlen(settings->faults), err) &&
           callbacks_open(sim, err) && server_open(&sim->server, settings->listen, err);
}

static int wait_ms(const struct sim *sim)
{
    const struct callbacks *callbacks = &sim->callbacks;
    int until_timer = wheel_wait_ms(&sim->wheel, sim->loop.now_ms);
    bool watched = poster_is_busy(&callbacks->poster) || callbacks->due_count > 0;

    return watched && (until_timer < 0 || until_timer > TICK_MS) ? TICK_MS : until_timer;
}

static void run(struct sim *sim, const struct stopper *stopper)
{
    int64_t ticked_ms = 0;

    while (!stopper->stopped) {
        loop_wait(&sim->loop, wait_ms(sim));
        wheel_run(&sim->wheel, sim->loop.now_ms, fire, sim);
        poster_pump(&sim->callbacks.poster);
        if (sim->loop.now_ms - ticked_ms >= TICK_MS) {
            ticked_ms = sim->loop.now_ms;
            poster_tick(&sim->callbacks.poster);
        }
    }
}

int main(void)
{
    static struct sim sim; /* the wheel and the counters are too large for the stack */
    struct stopper stopper;
    struct str text = { 0 };
    struct err err;

    sim.arena = arena_create(ARENA_BYTES);
    sim.work = arena_create(ARENA_BYTES);
    log_context(&sim.log, "stage", "daraja-simulator");
    if (!settings_load(&sim.settings, sim.arena, &text)) {
        (void)fputs(text.bytes, stderr);
        str_free(&text);
        return STATUS_CONFIG;
    }
    if (!open_all(&sim, &err)) {
        log_error(&sim.log, err.what, KV_STR("detail", err.detail));
        return STATUS_CONFIG;
    }
    stopper_open(&stopper, &sim.loop);
    server_address(&sim.server, &text);
    (void)printf("listening %s\n", text.bytes);
    (void)fflush(stdout);
    str_free(&text);
    run(&sim, &stopper);
    callbacks_close(&sim);
    server_close(&sim.server);
    log_info(&sim.log, "stopped", KV_INT("pushes", (int64_t)sim.stats.pushes),
             KV_INT("payments", (int64_t)sim.book.payment_count));
    book_fini(&sim.book);
    return 0;
}
