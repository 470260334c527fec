/*
 * dispatch - a batch from its message to its end
 */
#include "dispatch/dispatch.h"

#include <string.h>

#include "base/clock.h"
#include "base/id.h"
#include "campaign/store.h"
#include "msg/event.h"

/* In the provider's forbidden hours: ask every ten minutes. */
#define HOLD_WINDOW_DELAY_MS (600 * 1000)
#define ROUTE_DELAY_MS 1000      /* a batch that met a held route goes back to rate-limit */
#define ROOM_DELAY_MS 1000       /* one that found no room comes back to it */
#define RECORD_PATIENCE_MS 30000 /* how long answers wait for the database */
#define RECORD_PAUSE_MS 200

static const struct db_statement pause_campaign = {
    "dispatch_pause_campaign",
    "UPDATE campaigns SET status = 'paused', detail = $2, untold_at = now()"
    " WHERE id = $1 AND status = 'sending'",
    2,
};

/* The provider does not know the sender: this campaign stops, others go on. Split-batches tells. */
static bool pause(struct run *run, struct err *err)
{
    const char *detail = arena_printf(stage_arena(run->stage), "the provider refuses %s '%s': %s",
                                      run->def->sender, run->batch.sender_id, run->worst.detail);

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

int dispatch_gravity(const struct at_verdict *verdict)
{
    switch (verdict->state) {
    case AT_REQUEST_OK:
        return 0;
    case AT_REQUEST_UNKNOWN:
        return 1;
    case AT_REQUEST_NOT_SENT:
        return 2;
    case AT_REQUEST_THROTTLED:
        return 3;
    case AT_REQUEST_MALFORMED:
    case AT_REQUEST_REFUSED:
        return 4;
    case AT_REQUEST_UNAUTHORISED:
        return 5;
    }
    return 5;
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

/* Cuts the window down to the room there is; none of it is left when there is none. */
static bool fit(struct run *run, struct window *window, bool claiming, struct err *err)
{
    int64_t room;

    if (run->def->room == NULL) {
        return true;
    }
    if (!run->def->room(run, claiming, &room, err)) {
        return false;
    }
    if (room < (int64_t)window->count) {
        window->count = room > 0 ? (size_t)room : 0;
    }
    if (window->count == 0) {
        run->halt = HALT_ROOM;
    } else {
        window->last_seq = window->recipients[window->count - 1].seq;
    }
    return true;
}

/*
 * The claim stands before the requests leave; one whose commit failed is known not to have left.
 * Halts when the batch is another's by now, or when there is no room any more.
 */
static bool claim(struct run *run, struct window *window, struct err *err)
{
    struct dispatch_memory *memory = stage_state(run->stage);
    bool mine;

    if (!fit(run, window, true, err)) {
        return false;
    }
    if (run->halt != HALT_NONE) {
        return stage_commit(run->stage, err);
    }
    if (run->def->calls && !batch_renew_window(stage_db(run->stage), &run->batch,
                                               stage_arena(run->stage), window, err)) {
        return false;
    }
    if (window->count == 0) {
        return stage_commit(run->stage, err);
    }
    if (!batch_claim(stage_db(run->stage), &run->batch, window, run->def->calls, &mine, err)) {
        return false;
    }
    if (!mine) {
        run->halt = HALT_LOST;
        return true;
    }
    memory->unsent_claim = run->batch.claim;
    if (!stage_commit(run->stage, err)) {
        return false;
    }
    memory->unsent_claim = 0;
    return true;
}

static bool record(struct run *run, const struct window *window, const struct at_outcome *outcomes,
                   struct tally *tally, bool *out_mine, struct err *err)
{
    const struct dispatch_conf *conf = stage_conf(run->stage);
    const struct record_how how = { .max_attempts = conf->attempts,
                                    .now_ms = stage_now_ms(run->stage),
                                    .calls = run->def->calls };

    if (!batch_record(stage_db(run->stage), &run->batch, window, outcomes, &how,
                      stage_arena(run->stage), tally, out_mine, err)) {
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

/* Claims a window, asks about it and records the answers. */
static bool take_window(struct run *run, struct window *window, struct err *err)
{
    struct at_outcome *outcomes;
    struct tally tally;
    bool mine, go;

    stage_wait_ms(run->stage, 0); /* the broker hears from us between windows */
    if (!fit(run, window, false, err)) {
        return false;
    }
    if (run->halt != HALT_NONE) {
        return true;
    }
    if (!route_await_turn(run, window->count, &go, err)) {
        return false;
    }
    if (!go) {
        run->halt = HALT_STOP;
        return true;
    }
    if (!claim(run, window, err)) {
        return false;
    }
    if (run->halt != HALT_NONE || window->count == 0) {
        return true;
    }
    stage_crash_point("after_claim");
    run->worst = (struct at_verdict){ .state = AT_REQUEST_OK, .why = "ok" };
    outcomes = run->def->ask(run, window);
    run->asked = true;
    if (!record_firmly(run, window, outcomes, &tally, &mine, err)) {
        return false;
    }
    add_tally(&run->total, &tally);
    run->halt = mine ? halt_for(run, &tally) : HALT_LOST;
    return true;
}

/* Window after window until the batch is through or something stops it. */
static bool take_windows(struct run *run, struct err *err)
{
    run->most = run->def->begin(run);
    while (run->halt == HALT_NONE) {
        struct window window;

        if (!batch_next_window(stage_db(run->stage), &run->batch, (int64_t)run->most,
                               stage_arena(run->stage), &window, err)) {
            return false;
        }
        if (window.count == 0) {
            return true;
        }
        if (!take_window(run, &window, err)) {
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

static void emit_placed(struct run *run)
{
    const struct batch_paced *paced = run->paced;

    stage_emit(run->stage, &batch_placed_v1,
               &(struct batch_fact){
                   .campaign = paced->campaign, .batch = paced->batch, .size = paced->size });
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
    const struct dispatch_conf *conf = stage_conf(run->stage);
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
    case HALT_ROOM: /* the pass goes on where it is */
        emit_again(run, ROOM_DELAY_MS, NULL);
        return true;
    case HALT_NONE:
        break;
    }
    if (run->halt == HALT_ROUTE && again) {
        return again_in(run, ROUTE_DELAY_MS, err);
    }
    if (run->def->calls) {
        emit_placed(run);
        return batch_end(db, &run->batch, BATCH_CALLING, again ? backoff(run) : 0, err);
    }
    if (again) {
        return again_in(run, backoff(run), err);
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
    } else if (batch->ended_last && batch->calling) {
        emit_placed(run);
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
    if (batch->rests) { /* woken before, by a message that came first */
        return true;
    }
    if (batch->expired || strcmp(batch->status, "cancelling") == 0 ||
        campaign_status_is_final(batch->status)) {
        if (run->def->calls) { /* some may still be under way */
            emit_placed(run);
            return batch_end(stage_db(run->stage), batch, BATCH_CALLING, 0, err);
        }
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
    /* Committed, since ends of calls are written down while a window waits for its turn. */
    return !batch->calling ||
           (batch_begin_calls(stage_db(run->stage), batch, err) && stage_commit(run->stage, err));
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
    struct dispatch_memory *memory = stage_state(run->stage);
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
    return (!wanted || (take_windows(run, err) && conclude(run, resumed, err))) &&
           settle_route(run, err);
}

enum verdict dispatch_batch(struct stage *stage, const struct dispatch_def *def,
                            const struct message *in)
{
    struct batch_paced paced;
    struct run run = { .stage = stage, .def = def, .paced = &paced, .message = in->id };
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
