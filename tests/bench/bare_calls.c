/*
 * bare_calls - what placing calls costs at least: the requests, and nothing about them kept
 *
 *     bench_bare_calls <calls> <numbers a request> <simulator url> <simulator pid>
 *
 * POSTs the /call requests that place-call would, over the product's own client, and reads the
 * replies: no database, no broker, no pipeline, nobody to answer a live call. Prints as JSON how
 * long that took and what the two processes used of the processors.
 */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/id.h"
#include "base/str.h"
#include "campaign/voice.h"
#include "provider/at_call.h"

#define REQUESTS_AT_ONCE 32 /* as many as the client has connections */
#define TIMEOUT_MS 20000
#define SCRATCH_BYTES (64UL << 20)

struct caller {
    struct at_call_conf conf;
    struct http *http;
    struct arena *scratch;
    int64_t campaign;
    size_t count, size;
    int batch;
};

/* The same spread of numbers as the campaigns of tests/bench/run have. */
static int64_t msisdn_of(size_t i)
{
    return 254700000000 + (int64_t)((uint64_t)i * 61803399 % 100000000);
}

static bool check(const struct http_reply *reply, const int64_t *msisdns, size_t n,
                  struct arena *arena, struct err *err)
{
    struct at_call_outcome *outcomes = arena_array(arena, n, sizeof *outcomes);
    struct at_verdict verdict;

    at_call_read(reply, msisdns, n, outcomes, &verdict, arena);
    for (size_t i = 0; i < n; i++) {
        if (outcomes[i].class != AT_ACCEPTED) {
            return err_permanent(err, "not_placed", "%s %s, %s", verdict.why, verdict.detail,
                                 outcomes[i].reason);
        }
    }
    return true;
}

/* Calls first to end, at most REQUESTS_AT_ONCE requests of size each. */
static bool place_some(struct caller *caller, size_t first, size_t end, struct err *err)
{
    size_t most = (end - first + caller->size - 1) / caller->size;
    struct http_call *calls = arena_array(caller->scratch, most, sizeof *calls);
    struct http_reply *replies = arena_array(caller->scratch, most, sizeof *replies);
    int64_t *msisdns = arena_array(caller->scratch, end - first, sizeof *msisdns);

    for (size_t i = first; i < end; i++) {
        msisdns[i - first] = msisdn_of(i);
    }
    for (size_t c = 0; c < most; c++) {
        size_t at = c * caller->size;
        size_t n = end - first - at < caller->size ? end - first - at : caller->size;
        char request[VOICE_REQUEST_BYTES];

        voice_request_write(caller->campaign, ++caller->batch, 1, request);
        if (!at_call_request(&caller->conf, "", request, msisdns + at, n, &calls[c],
                             caller->scratch, err)) {
            return false;
        }
    }
    http_run(caller->http, calls, replies, most, caller->scratch);
    for (size_t c = 0; c < most; c++) {
        size_t at = c * caller->size;
        size_t n = end - first - at < caller->size ? end - first - at : caller->size;

        if (!check(&replies[c], msisdns + at, n, caller->scratch, err)) {
            return false;
        }
    }
    arena_reset(caller->scratch);
    return true;
}

static bool place_all(struct caller *caller, struct err *err)
{
    size_t step = caller->size * REQUESTS_AT_ONCE;

    for (size_t first = 0; first < caller->count; first += step) {
        size_t end = first + step < caller->count ? first + step : caller->count;

        if (!place_some(caller, first, end, err)) {
            return false;
        }
    }
    return true;
}

static double cpu_s(clockid_t clock)
{
    struct timespec used = { 0 };

    (void)clock_gettime(clock, &used);
    return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

static bool run(struct caller *caller, clockid_t simulator, struct err *err)
{
    double own = cpu_s(CLOCK_PROCESS_CPUTIME_ID), theirs = cpu_s(simulator);
    int64_t start_us = clock_mono_us();

    caller->campaign = id_create(clock_now_ms());
    if (!place_all(caller, err)) {
        return false;
    }
    (void)printf("{\"wall_s\": %.6f, \"cpu_s\": {\"bare\": %.6f, \"simulator\": %.6f}}\n",
                 (double)(clock_mono_us() - start_us) / 1e6, cpu_s(CLOCK_PROCESS_CPUTIME_ID) - own,
                 cpu_s(simulator) - theirs);
    return true;
}

int main(int argc, char **argv)
{
    struct caller caller = { 0 };
    int64_t count, size, simulator;
    clockid_t clock;
    struct err err;
    bool ok;

    if (argc != 5 || !str_parse_int(argv[1], 1, 10000000, &count) ||
        !str_parse_int(argv[2], 1, AT_CALL_NUMBERS_MAX, &size) ||
        !str_parse_int(argv[4], 1, INT32_MAX, &simulator) ||
        clock_getcpuclockid((pid_t)simulator, &clock) != 0) {
        (void)fprintf(
            stderr,
            "usage: bench_bare_calls calls numbers-a-request simulator-url simulator-pid\n"
            "at most %d numbers a request; the simulator must run\n",
            AT_CALL_NUMBERS_MAX);
        return 64;
    }
    caller.count = (size_t)count;
    caller.size = (size_t)size;
    caller.scratch = arena_create(SCRATCH_BYTES);
    caller.conf = (struct at_call_conf){ .url = argv[3],
                                         .username = "sandbox",
                                         .api_key = "simulator-key",
                                         .caller_id = "+254711000000",
                                         .timeout_ms = TIMEOUT_MS };
    ok = at_call_conf_check(&caller.conf, &err) &&
         http_create(&(struct http_conf){ 0 }, &caller.http, &err) && run(&caller, clock, &err);
    if (!ok) {
        (void)fprintf(stderr, "bench_bare_calls: %s: %s\n", err.what, err.detail);
    }
    http_destroy(caller.http);
    arena_destroy(caller.scratch);
    return ok ? 0 : 1;
}
