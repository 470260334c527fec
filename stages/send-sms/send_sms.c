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
 * The provider knows no idempotency key, so a redelivered message must not send again: a window
 * of recipients is claimed in a committed transaction before its requests leave, and what is found
 * claimed without an answer is in doubt, not pending. See batch.h. One worker at a time has
 * a batch (an advisory lock of its session), so a claim without an answer means a dead worker.
 * A message that has ended a pass of its batch before repeats only what it said, pause included.
 *
 * Retried   a batch another worker has, or whose row is not visible yet.
 * Rejected  a message that names no batch.
 * A recipient the provider refuses for now comes back with its batch, SMS_JOB_ATTEMPTS times in
 * all. Credit gone, key refused, provider down or slow: the route is held, no attempt is counted.
 */
#include <string.h>

#include "base/clock.h"
#include "base/id.h"
#include "campaign/store.h"
#include "credit.h"
#include "msg/campaign.h"
#include "msg/event.h"
#include "run.h"

/* In the provider's forbidden hours: ask every ten minutes. */
#define HOLD_WINDOW_DELAY_MS (600 * 1000)
#define ROUTE_DELAY_MS 1000      /* a batch that met a held route goes back to rate-limit */
#define RECORD_PATIENCE_MS 30000 /* how long answers wait for the database */
#define RECORD_PAUSE_MS 200

static const struct conf_item conf_items[] = {
    AT_CONF_ITEMS(struct send_conf, at.),
    CONF_INT(struct send_conf, claim_window, "SMS_CLAIM_WINDOW", "250", 1, 1000,
             "Recipients with texts of their own that are claimed, and so in doubt after a crash, "
             "at once."),
    CONF_INT(struct send_conf, attempts, "SMS_JOB_ATTEMPTS", "3", 1, 100,
             "How often a recipient is tried that the provider refuses for the moment."),
    CONF_INT(struct send_conf, backoff_ms, "SMS_JOB_BACKOFF_MS", "10000", 1, 3600000,
             "Milliseconds before the second attempt; doubles with each."),
    CONF_MS(struct send_conf, route_hold_ms, "SMS_ROUTE_HOLD", "60s", 1000, 3600000,
            "How long a route rests after the provider refused the account, before a probe."),
    CONF_INT(struct send_conf, credit_low, "AT_CREDIT_LOW", "0", 0, 1000000000,
             "Operators are alerted when the provider's credit is below so much, in whole units of "
             "its currency; 0: it is not asked for."),
    CONF_END,
};

static bool start(struct stage *stage, struct err *err)
{
    const struct send_conf *conf = stage_conf(stage);

    stage_set_state(stage, arena_alloc(stage_memory(stage), sizeof(struct memory)));
    return at_conf_check(&conf->at, err);
}

static const struct db_statement pause_campaign = {
    "send_pause_campaign",
    "UPDATE campaigns SET status = 'paused', detail = $2, untold_at = now()"
    " WHERE id = $1 AND status = 'sending'",
    2,
};

/* The provider does not know the sender: this campaign stops, others go on. Split-batches tells. */
static bool pause(struct run *run, struct err *err)
{
    const char *detail =
        arena_printf(stage_arena(run->stage), "the provider refuses the sender ID '%s': %s",
                     run->batch.sender_id, run->worst.detail);

    return db_run(stage_db(run->stage), &pause_campaign,
                  (struct db_value[]){ db_int8(run->batch.campaign_id), db_text(detail) }, NULL,
                  err);
}

static void add_tally(struct tally *total, const struct tally *part)
{
    total->accepted += part->accepted;
    total->failed += part->failed;
    total->in_doubt += part->in_doubt;
    total->again += part->again;
}

static enum halt halt_for(const struct run *run, const struct tally *tally)
{
    switch (run->worst.state) {
    case AT_REQUEST_OK:
        return HALT_NONE;
    case AT_REQUEST_UNKNOWN:
        /* One lost answer is an accident; a window without any answer is an outage. */
        return tally->accepted > 0 ? HALT_NONE : HALT_ROUTE;
    case AT_REQUEST_REFUSED:
        /* The hour of the day is no fault of the sender's. */
        return strcmp(run->worst.why, "do_not_disturb") == 0 ? HALT_NONE : HALT_SENDER;
    case AT_REQUEST_NOT_SENT:
    case AT_REQUEST_THROTTLED:
    case AT_REQUEST_MALFORMED:
    case AT_REQUEST_UNAUTHORISED:
        return HALT_ROUTE;
    }
    return HALT_ROUTE;
}

/* The claim stands before the requests leave; one whose commit failed is known not to have left. */
static bool claim(struct run *run, const struct window *window, bool *out_mine, struct err *err)
{
    struct memory *memory = stage_state(run->stage);

    if (!batch_claim(stage_db(run->stage), &run->batch, window, out_mine, err)) {
        return false;
    }
    if (*out_mine) {
        memory->unsent_claim = run->batch.claim;
        if (!stage_commit(run->stage, err)) {
            return false;
        }
        memory->unsent_claim = 0;
    }
    return true;
}

static bool record(struct run *run, const struct window *window, const struct at_outcome *outcomes,
                   struct tally *tally, bool *out_mine, struct err *err)
{
    const struct send_conf *conf = stage_conf(run->stage);

    if (!batch_record(stage_db(run->stage), &run->batch, window, outcomes, conf->attempts,
                      stage_now_ms(run->stage), stage_arena(run->stage), tally, out_mine, err)) {
        return false;
    }
    stage_crash_point("after_record");
    return stage_commit(run->stage, err);
}

/*
 * Answers exist only here until they are recorded, so a database that is away is waited for.
 * Recorded that way the batch is looked at anew: false with a temporary error.
 */
static bool record_firmly(struct run *run, const struct window *window,
                          const struct at_outcome *outcomes, struct tally *tally, bool *out_mine,
                          struct err *err)
{
    struct db *db = stage_db(run->stage);
    int64_t until_ms = clock_mono_ms() + RECORD_PATIENCE_MS;

    if (record(run, window, outcomes, tally, out_mine, err)) {
        return true;
    }
    while (err->kind != ERR_PERMANENT && clock_mono_ms() < until_ms) {
        db_rollback(db);
        clock_sleep_ms(RECORD_PAUSE_MS);
        stage_wait_ms(run->stage, 0);
        if ((db_is_down(db) && !db_reconnect(db, err)) || !db_begin(db, err)) {
            continue;
        }
        if (record(run, window, outcomes, tally, out_mine, err)) {
            return err_temporary(err, "recorded_late", "the database was away for a moment");
        }
    }
    return false;
}

/* Claims, sends and records one window. */
static bool send_window(struct run *run, const struct window *window, struct err *err)
{
    struct at_outcome *outcomes;
    struct tally tally;
    bool mine, go;

    stage_wait_ms(run->stage, 0); /* the broker hears from us between windows */
    if (!route_await_turn(run, window->count, &go, err)) {
        return false;
    }
    if (!go) {
        run->halt = HALT_STOP;
        return true;
    }
    if (!claim(run, window, &mine, err)) {
        return false;
    }
    if (!mine) {
        run->halt = HALT_LOST;
        return true;
    }
    stage_crash_point("after_claim");
    outcomes = requests_send(run, window);
    run->asked = true;
    if (!record_firmly(run, window, outcomes, &tally, &mine, err)) {
        return false;
    }
    add_tally(&run->total, &tally);
    run->halt = mine ? halt_for(run, &tally) : HALT_LOST;
    return true;
}

/* Sends window after window until the batch is through or something stops it. */
static bool send_batch(struct run *run, struct err *err)
{
    const struct send_conf *conf = stage_conf(run->stage);

    run->most = run->batch.text ? AT_RECIPIENTS_MAX : (size_t)conf->claim_window;
    while (run->halt == HALT_NONE) {
        struct window window;

        if (!batch_next_window(stage_db(run->stage), &run->batch, (int64_t)run->most,
                               stage_arena(run->stage), &window, err)) {
            return false;
        }
        if (window.count == 0) {
            return true;
        }
        if (!send_window(run, &window, err)) {
            return false;
        }
    }
    return true;
}

/* key NULL: by position. */
static void emit_again(struct run *run, int64_t delay_ms, const char *key)
{
    const struct batch_paced *paced = run->paced;

    stage_emit_as(
        run->stage, &batch_ready_v1,
        &(struct batch_fact){
            .campaign = paced->campaign, .batch = paced->batch, .size = paced->size },
        &(struct emission){ .key = key, .route = stage_route(run->stage), .delay_ms = delay_ms });
}

/*
 * For the next pass. A message may first be put off (its route is held) and, redelivered, then end
 * a pass: the two go by different ids, since what comes of the first may have ended a pass as well.
 */
static void emit_next_pass(struct run *run, int64_t delay_ms)
{
    emit_again(run, delay_ms, arena_printf(stage_arena(run->stage), "after %s", run->message));
}

static void emit_done(struct run *run, const struct batch_paced *paced)
{
    stage_emit_as(
        run->stage, &batch_done_v1,
        &(struct batch_fact){
            .campaign = paced->campaign, .batch = paced->batch, .size = paced->size },
        &(struct emission){ .key = arena_printf(stage_arena(run->stage), "%s %lld", paced->campaign,
                                                (long long)paced->batch) });
}

static int64_t backoff(const struct run *run)
{
    const struct send_conf *conf = stage_conf(run->stage);
    int doublings = run->batch.pass < 10 ? run->batch.pass - 1 : 9;

    return run->held_window ? HOLD_WINDOW_DELAY_MS : conf->backoff_ms << doublings;
}

/* The rest of the batch is sent in a further pass. */
static bool again_in(struct run *run, int64_t delay_ms, struct err *err)
{
    emit_next_pass(run, delay_ms);
    return batch_end(stage_db(run->stage), &run->batch, BATCH_AGAIN, delay_ms, err);
}

/* After the last window: done, again later, or set aside. */
static bool conclude(struct run *run, bool resumed, struct err *err)
{
    const struct batch_paced *paced = run->paced;
    struct db *db = stage_db(run->stage);
    bool again = run->total.again > 0;

    /* Windows that an earlier delivery of this message recorded are not in our total. */
    if ((resumed || run->halt == HALT_ROUTE) && !batch_has_pending(db, &run->batch, &again, err)) {
        return false;
    }
    switch (run->halt) {
    case HALT_LOST:
        return true; /* whoever has the batch now tells the rest */
    case HALT_SENDER:
        return pause(run, err) && batch_end(db, &run->batch, BATCH_WAIT, 0, err);
    case HALT_ROUTE:
        if (!route_hold(run, err)) {
            return false;
        }
        break;
    case HALT_STOP:
        return again_in(run, 0, err);
    case HALT_NONE:
        break;
    }
    if (again) {
        return again_in(run, run->halt == HALT_ROUTE ? ROUTE_DELAY_MS : backoff(run), err);
    }
    emit_done(run, paced);
    return batch_end(db, &run->batch, BATCH_FINISH, 0, err);
}

/* This message has ended a pass before: it says the same again, unless the next pass has begun. */
static void repeat_end(struct run *run)
{
    const struct batch *batch = &run->batch;

    if (batch->ended_last && batch->comes_again && batch->claimed_seq < batch->first_seq) {
        emit_next_pass(run, batch->again_ms);
    }
}

/* Whether a batch is to be sent now; if not, what is done instead. */
static bool is_wanted(struct run *run, bool *out_wanted, struct err *err)
{
    const struct batch_paced *paced = run->paced;
    const struct batch *batch = &run->batch;

    *out_wanted = false;
    if (batch->done) {
        emit_done(run, paced);
        return true;
    }
    if (batch->ended_before) {
        repeat_end(run);
        return true;
    }
    if (batch->expired || strcmp(batch->status, "cancelling") == 0 ||
        campaign_status_is_final(batch->status)) {
        emit_done(run, paced);
        return batch_end(stage_db(run->stage), batch, BATCH_FINISH, 0, err);
    }
    if (strcmp(batch->status, "paused") == 0) {
        return batch_end(stage_db(run->stage), batch, BATCH_WAIT, 0, err);
    }
    if (paced->expires_at_ms && paced->expires_at_ms < stage_now_ms(run->stage)) {
        emit_again(run, 0, NULL); /* leave to send is for now, not for later */
        return true;
    }
    if (batch->route_held && !paced->probe) {
        emit_again(run, ROUTE_DELAY_MS, NULL); /* held since it was let through */
        return true;
    }
    *out_wanted = true;
    return true;
}

/* What this batch found out about a held route; a probe that asked nothing leaves it to another. */
static bool settle_route(struct run *run, struct err *err)
{
    bool answered = run->asked && (run->halt == HALT_NONE || run->halt == HALT_SENDER);

    if (!run->batch.route_held || !run->paced->probe || run->halt == HALT_ROUTE ||
        run->batch.ended_before) {
        return true;
    }
    return answered ? route_reopen(run, err) : route_return_probe(run, err);
}

/* With the batch's lock held. *out_found false: its row is not there yet. */
static bool run_batch(struct run *run, int64_t campaign_id, bool *out_found, struct err *err)
{
    const struct batch_paced *paced = run->paced;
    struct db *db = stage_db(run->stage);
    struct memory *memory = stage_state(run->stage);
    int64_t doubted;
    bool wanted, resumed;

    if (!batch_load(db,
                    &(struct batch_ask){
                        .message = run->message,
                        .route = stage_route(run->stage),
                        .campaign_id = campaign_id,
                        .number = paced->batch,
                        .now_ms = stage_now_ms(run->stage),
                    },
                    stage_arena(run->stage), &run->batch, out_found, err)) {
        return false;
    }
    if (!*out_found) {
        return true;
    }
    if (!batch_doubt_orphans(db, &run->batch, memory->unsent_claim, &doubted, err) ||
        !is_wanted(run, &wanted, err)) {
        return false;
    }
    if (doubted > 0) {
        log_warn(stage_log(run->stage), "answers_lost", KV_INT("recipients", doubted));
    }
    resumed = run->batch.claimed_seq >= run->batch.first_seq;
    return (!wanted || (send_batch(run, err) && conclude(run, resumed, err))) &&
           settle_route(run, err);
}

static enum verdict handle(struct stage *stage, const struct message *in)
{
    struct batch_paced paced;
    struct run run = { .stage = stage, .paced = &paced, .message = in->id };
    struct err err, unlock_err;
    int64_t campaign_id;
    bool mine, found, ok;

    if (!message_read(in, &batch_paced_v1, &paced, &err)) {
        return stage_fail(stage, &err);
    }
    if (!id_parse("cmp", paced.campaign, &campaign_id)) {
        return stage_reject(stage, "bad_campaign", "campaign: '%.24s' is no id", paced.campaign);
    }
    if (!batch_lock(stage_db(stage), campaign_id, paced.batch, &mine, &err)) {
        return stage_fail(stage, &err);
    }
    if (!mine) {
        return stage_retry(stage, "batch_elsewhere", "another worker has this batch");
    }
    ok = run_batch(&run, campaign_id, &found, &err);
    if (!ok) {
        db_rollback(
            stage_db(stage)); /* nothing can be asked of a failed transaction, not even to unlock */
    }
    if (!batch_unlock(stage_db(stage), campaign_id, paced.batch, &unlock_err) && ok) {
        return stage_fail(stage, &unlock_err);
    }
    if (!ok) {
        return stage_fail(stage, &err);
    }
    return found ? STAGE_DONE
                 : stage_retry(stage, "batch_unknown", "no batch %lld yet", (long long)paced.batch);
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
