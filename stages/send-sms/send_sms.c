/*
 * send-sms - hand a batch to the provider, each recipient at most once
 *
 * Reads   batch.paced.v1
 * Emits   batch.done.v1; batch.ready.v1 for what is to be tried again; from the tick route.held.v1
 *         and route.opened.v1
 * Calls   POST $AT_SMS_URL/messaging (or /messaging/bulk), GET $AT_SMS_URL/user
 * Tables  batches, recipients, routes, campaigns, suppressions, provider_credit, alerts; the
 * ledger's
 *
 * The claims that keep a redelivered message from sending again are lib/dispatch's.
 *
 * Retried   a batch another worker has, or whose row is not visible yet.
 * Rejected  a message that names no batch.
 * A recipient the provider refuses for now comes back with its batch, SMS_JOB_ATTEMPTS times in
 * all. Credit gone, key refused, provider down or slow: the route is held, no attempt is counted.
 */
#include "send_sms.h"

#include "credit.h"
#include "dispatch/dispatch.h"
#include "msg/campaign.h"
#include "msg/event.h"

static const struct conf_item conf_items[] = {
    AT_CONF_ITEMS(struct send_conf, at.),
    CONF_INT(struct send_conf, claim_window, "SMS_CLAIM_WINDOW", "250", 1, 1000,
             "Recipients with texts of their own that are claimed, and so in doubt after a crash, "
             "at once."),
    CONF_INT(struct send_conf, dispatch.attempts, "SMS_JOB_ATTEMPTS", "3", 1, 100,
             "How often a recipient is tried that the provider refuses for the moment."),
    CONF_INT(struct send_conf, dispatch.backoff_ms, "SMS_JOB_BACKOFF_MS", "10000", 1, 3600000,
             "Milliseconds before the second attempt; doubles with each."),
    CONF_MS(struct send_conf, dispatch.route_hold_ms, "SMS_ROUTE_HOLD", "60s", 1000, 3600000,
            "How long a route rests after the provider refused the account, before a probe."),
    CONF_INT(struct send_conf, credit_low, "AT_CREDIT_LOW", "0", 0, 1000000000,
             "Operators are alerted when the provider's credit is below so much, in whole units of "
             "its currency; 0: it is not asked for."),
    CONF_END,
};

static bool start(struct stage *stage, struct err *err)
{
    const struct send_conf *conf = stage_conf(stage);

    stage_set_state(stage, arena_alloc(stage_memory(stage), sizeof(struct dispatch_memory)));
    return at_conf_check(&conf->at, err);
}

/* Recipients of equal text share a request; one that gets lost leaves all of a window in doubt. */
static size_t begin(struct run *run)
{
    const struct send_conf *conf = stage_conf(run->stage);

    return run->batch.text ? AT_RECIPIENTS_MAX : (size_t)conf->claim_window;
}

static const struct dispatch_def dispatch = {
    .sender = "the sender ID",
    .begin = begin,
    .ask = requests_send,
};

static enum verdict handle(struct stage *stage, const struct message *in)
{
    return dispatch_batch(stage, &dispatch, in);
}

static bool tick(struct stage *stage, struct err *err)
{
    return credit_watch(stage, err) && route_tell(stage, err);
}

static const struct stage_def send_sms_stage = {
    .name = "send-sms",
    .summary = "hand a batch to the provider, each recipient at most once",
    .reads = (const struct shape *const[]){ &batch_paced_v1, NULL },
    .emits = (const struct shape *const[]){ &batch_done_v1, &batch_ready_v1, &route_held_v1,
                                            &route_opened_v1, NULL },
    .conf = conf_items,
    .conf_size = sizeof(struct send_conf),
    .deadline_ms =
        55000, /* a third to begin a window's requests, and then the longest SMS_TIMEOUT */
    .workers_env = "SMS_WORKER_CONCURRENCY",
    .workers_fallback = "5",
    .prefetch = 1,
    .uses_http = true,
    .start = start,
    .handle = handle,
    .tick = tick,
};

int main(int argc, char **argv)
{
    return stage_main(&send_sms_stage, argc, argv);
}
