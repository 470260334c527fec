/*
 * requests - a window of recipients becomes one request for calls, and its reply outcomes
 */
#include <stdio.h>

#include "campaign/voice.h"
#include "place_call.h"

/* The provider's words about a call, in those that a record knows. */
static void read_reply(struct run *run, const struct http_reply *reply, const int64_t *msisdns,
                       struct at_outcome *outcomes, size_t count)
{
    struct arena *arena = stage_arena(run->stage);
    struct at_call_outcome *calls = arena_array(arena, count + 1, sizeof *calls);

    at_call_read(reply, msisdns, count, calls, &run->worst, arena);
    for (size_t i = 0; i < count; i++) {
        outcomes[i] = (struct at_outcome){ .class = calls[i].class,
                                           .reason = calls[i].reason,
                                           .word = calls[i].word,
                                           .message_id = calls[i].session_id };
        if (run->worst.state == AT_REQUEST_OK && calls[i].class == AT_HOLD_ACCOUNT) {
            run->worst.state = AT_REQUEST_UNAUTHORISED;
            run->worst.why = calls[i].reason;
        }
    }
}

/* A caller id that cannot be one is this campaign's fault: it is as if the provider had said so. */
static void refuse_all(struct run *run, const struct err *why, struct at_outcome *outcomes,
                       size_t count)
{
    run->worst = (struct at_verdict){ .state = AT_REQUEST_REFUSED, .why = why->what };
    snprintf(run->worst.detail, sizeof run->worst.detail, "%s", why->detail);
    for (size_t i = 0; i < count; i++) {
        outcomes[i] =
            (struct at_outcome){ .class = AT_HOLD_ACCOUNT, .reason = why->what, .word = "" };
    }
}

struct at_outcome *requests_call(struct run *run, const struct window *window)
{
    const struct call_conf *conf = stage_conf(run->stage);
    struct arena *arena = stage_arena(run->stage);
    struct at_outcome *outcomes = arena_array(arena, window->count + 1, sizeof *outcomes);
    int64_t *msisdns = arena_array(arena, window->count + 1, sizeof *msisdns);
    char request[VOICE_REQUEST_BYTES];
    struct http_call call;
    struct http_reply reply;
    struct err err;

    for (size_t i = 0; i < window->count; i++) {
        msisdns[i] = window->recipients[i].msisdn;
    }
    voice_request_write(run->batch.campaign_id, run->batch.number, run->batch.pass, request);
    if (!at_call_request(&conf->at, run->batch.sender_id, request, msisdns, window->count, &call,
                         arena, &err)) {
        refuse_all(run, &err, outcomes, window->count);
        return outcomes;
    }
    http_run(stage_http(run->stage), &call, &reply, 1, arena);
    stage_crash_point("after_reply");
    read_reply(run, &reply, msisdns, outcomes, window->count);
    return outcomes;
}
