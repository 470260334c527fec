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
#include "engine/turns.h"

#define ARENA_BYTES ((size_t)256 << 20)
#define WHEEL_TIMERS 16000000U
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
    sim->server = (struct server){
        .loop = &sim->loop,
        .wheel = &sim->wheel,
        .name = "Apigee Router",
        .handle = handle,
        .context = sim,
    };
    return faults_start(&sim->faults, &fault_kinds, (uint64_t)settings->seed, settings->force,
                        settings->faults, err) &&
           callbacks_open(sim, err) && server_open(&sim->server, settings->listen, err);
}

static bool waits(const void *context)
{
    const struct sim *sim = context;

    return sim->callbacks.due_count > 0;
}

int main(void)
{
    static struct sim sim; /* the wheel and the counters are too large for the stack */
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
    turns_run(&(struct turns){
        .loop = &sim.loop,
        .wheel = &sim.wheel,
        .server = &sim.server,
        .posters = { &sim.callbacks.poster },
        .fire = fire,
        .waits = waits,
        .context = &sim,
    });
    callbacks_close(&sim);
    server_close(&sim.server);
    log_info(&sim.log, "stopped", KV_INT("pushes", (int64_t)sim.stats.pushes),
             KV_INT("payments", (int64_t)sim.book.payment_count));
    book_fini(&sim.book);
    return 0;
}
