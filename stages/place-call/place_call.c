/*
 * place-call - call the recipients of a batch, each at most once a pass
 *
 * Reads   batch.paced.v1
 * Emits   batch.placed.v1; batch.ready.v1 for the next pass and batch.done.v1, both also from the
 *         tick; from the tick route.held.v1 and route.opened.v1
 * Calls   POST $AT_VOICE_URL/call
 * Tables  batches, recipients, routes, campaigns; reads calls; the ledger's
 *
 * The claims that keep a redelivered message from calling again are lib/dispatch's. A request bears
 * the name of campaign, batch and pass, which comes back with the provider's events.
 *
 * What callees hear is the ingress's to say, and how calls end reconcile-dlr's: whoever did not
 * answer is pending again, with a time for it in the batch. All of a pass placed, a batch rests as
 * `calling`. The tick begins the next pass when that time has come, and ends the batch when no call
 * is under way and nobody is left; a call in doubt is given a while for its end to be told.
 * Tokens are captured by the ends, not here; those of recipients who cannot be called go back here.
 *
 * Retried   a batch another worker has, or whose row is not visible yet.
 * Rejected  a message that names no batch.
 * With VOICE_CALLS_MAX calls under way a batch comes back later. Credit gone, key refused, provider
 * down or slow: the route is held, no attempt is counted.
 */
#include "place_call.h"

#include "msg/event.h"

static const struct conf_item conf_items[] = {
    AT_CALL_CONF_ITEMS(struct call_conf, at.),
    CONF_INT(struct call_conf, calls_max, "VOICE_CALLS_MAX", "100", 0, 1000000,
             "Calls of all campaigns that may be under way at once; 0 means no limit."),
    CONF_MS(struct call_conf, call_most_ms, "VOICE_CALL_MOST", "15m", 1000, 86400000,
            "After so long a call whose end was not told no longer counts as under way."),
    CONF_MS(struct call_conf, doubt_wait_ms, "VOICE_DOUBT_WAIT", "10m", 0, 86400000,
            "How long a batch with calls in doubt waits for word of them before it ends."),
    CONF_INT(struct call_conf, dispatch.backoff_ms, "VOICE_JOB_BACKOFF_MS", "15000", 1, 3600000,
             "Milliseconds before the second call of one who was not reached; doubles with each."),
    CONF_MS(struct call_conf, dispatch.route_hold_ms, "VOICE_ROUTE_HOLD", "60s", 1000, 3600000,
            "How long the voice route rests after the provider refused the account."),
    CONF_END,
};

static bool start(struct stage *stage, struct err *err)
{
    const struct call_conf *conf = stage_conf(stage);

    stage_set_state(stage, arena_alloc(stage_memory(stage), sizeof(struct dispatch_memory)));
    return at_call_conf_check(&conf->at, err);
}

static size_t begin(struct run *run)
{
    (void)run;
    return AT_CALL_NUMBERS_MAX;
}

static const struct dispatch_def dispatch = {
    .calls = true,
    .sender = "the caller ID",
    .begin = begin,
    .room = lines_room,
    .ask = requests_call,
};

static enum verdict handle(struct stage *stage, const struct message *in)
{
    return dispatch_batch(stage, &dispatch, in);
}

static bool tick(struct stage *stage, struct err *err)
{
    return lines_move(stage, err) && route_tell(stage, err);
}

static const struct stage_def place_call_stage = {
    .name = "place-call",
    .summary = "call the recipients of a batch, each at most once a pass",
    .reads = (const struct shape *const[]){ &batch_paced_v1, NULL },
    .emits = (const struct shape *const[]){ &batch_placed_v1, &batch_done_v1, &batch_ready_v1,
                                            &route_held_v1, &route_opened_v1, NULL },
    .conf = conf_items,
    .conf_size = sizeof(struct call_conf),
    .deadline_ms = 55000, /* as send-sms: the longest VOICE_TIMEOUT and some turns */
    .workers_env = "VOICE_WORKER_CONCURRENCY",
    .workers_fallback = "2",
    .prefetch = 1,
    .uses_http = true,
    .start = start,
    .handle = handle,
    .tick = tick,
};

int main(int argc, char **argv)
{
    return stage_main(&place_call_stage, argc, argv);
}
