/*
 * africastalking-simulator - Africa's Talking for tests, quickstart and benchmarks
 *
 * Speaks the provider's SMS, voice and balance API on SIM_LISTEN, posts delivery reports to
 * SIM_REPORT_URL and calls to SIM_VOICE_URL, misbehaves as told and counts what it accepted.
 * README.md has the settings, the faults and the endpoints under /_sim.
 *
 * Prints "listening <address>" on stdout when ready; SIGTERM and SIGINT end it with status 0.
 */
#include <stdio.h>
#include <string.h>

#include "engine/pages.h"
#include "engine/turns.h"
#include "sim.h"

#define ARENA_BYTES ((size_t)256 << 20)
#define WHEEL_TIMERS 48000000U
#define STATUS_CONFIG 78

static void handle(void *context, struct conn *conn, struct request *request)
{
    struct sim *sim = context;
    bool is_post = strcmp(request->method, "POST") == 0;

    arena_reset(sim->work);
    if (strcmp(request->path, "/version1/messaging") == 0 ||
        strcmp(request->path, "/version1/messaging/bulk") == 0) {
        if (is_post) {
            send_messaging(sim, conn, request);
        } else {
            sim_answer_text(sim, conn, 405, "HTTP method not allowed, supported methods: POST");
        }
    } else if (strcmp(request->path, "/call") == 0) {
        if (is_post) {
            dial_call(sim, conn, request);
        } else {
            sim_answer_text(sim, conn, 405, "HTTP method not allowed, supported methods: POST");
        }
    } else if (strcmp(request->path, "/version1/user") == 0) {
        send_user(sim, conn, request);
    } else {
        control_handle(sim, conn, request);
    }
}

static void fire(void *context, const struct timer *timer)
{
    struct sim *sim = context;

    if (timer->kind == TIMER_REPORT) {
        reports_fire(&sim->reports, timer);
    } else if (timer->kind > TIMER_REPORT) {
        voice_fire(sim, timer);
    } else {
        server_release(&sim->server, timer->subject);
    }
}

static bool open_all(struct sim *sim, struct err *err)
{
    const struct settings *settings = &sim->settings;

    loop_init(&sim->loop);
    wheel_init(&sim->wheel, WHEEL_TIMERS, sim->loop.now_ms);
    book_init(&sim->book, (uint32_t)settings->capacity, (uint32_t)settings->texts,
              sim->loop.now_ms);
    sim->stats.buckets = pages_map((size_t)SIM_BUCKETS_MAX * sizeof(uint32_t));
    sim->balance_e4 = settings->balance_e4;
    sim->reports = (struct reports){
        .settings = settings,
        .wheel = &sim->wheel,
        .faults = &sim->faults,
        .book = &sim->book,
        .loop = &sim->loop,
    };
    sim->server = (struct server){
        .loop = &sim->loop,
        .wheel = &sim->wheel,
        .name = "akka-http/10.2.10",
        .handle = handle,
        .context = sim,
    };
    return faults_start(&sim->faults, &fault_kinds, (uint64_t)settings->seed, settings->force,
                        settings->faults, err) &&
           reports_open(&sim->reports, sim->arena, err) && control_open(sim, err) &&
           voice_open(sim, err) && server_open(&sim->server, settings->listen, err);
}

static bool waits(const void *context)
{
    const struct sim *sim = context;

    return sim->reports.due_count > 0 || sim->incoming.count > 0 || sim->opt_outs.count > 0 ||
           voice_waits(&sim->voice);
}

int main(void)
{
    static struct sim sim; /* the wheel and the counters are too large for the stack */
    struct str text = { 0 };
    struct err err;

    sim.arena = arena_create(ARENA_BYTES);
    sim.work = arena_create(ARENA_BYTES);
    log_context(&sim.log, "stage", "africastalking-simulator");
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
        .posters = { &sim.reports.poster, &sim.incoming.poster, &sim.opt_outs.poster,
                     &sim.voice.poster, &sim.voice.shelf.poster },
        .fire = fire,
        .waits = waits,
        .context = &sim,
    });
    control_close(&sim);
    voice_close(&sim);
    reports_clear(&sim.reports);
    server_close(&sim.server);
    book_fini(&sim.book);
    log_info(&sim.log, "stopped", KV_INT("accepted", (int64_t)sim.stats.accepted),
             KV_INT("requests", (int64_t)sim.stats.requests));
    return 0;
}
