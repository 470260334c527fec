/*
 * calls_kept - reports of calls that wait, and what is over by the clock
 */
#include "calls.h"

#define KEPT_A_TICK 100
#define OVER_A_TICK 200
#define FIRST_PAUSE_MS 1000
#define PAUSE_MOST_MS (600 * INT64_C(1000))
#define DOUBLED_MOST 10

static const struct db_statement keep = {
    "calls_keep",
    "INSERT INTO unmatched_calls (provider, session_id, msisdn, campaign_id, ended, step, keys,"
    "                             duration_s, amount_e4, currency, status, cause, received_at,"
    "                             next_try_at)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)"
    " ON CONFLICT ON CONSTRAINT unmatched_calls_once DO NOTHING",
    14,
};

bool calls_keep(struct db *db, const struct call *calls, size_t count, int64_t now_ms,
                struct err *err)
{
    for (size_t i = 0; i < count; i++) {
        const struct call *call = &calls[i];

        if (call->fate == CALL_WAITS &&
            !db_run(db, &keep,
                    (struct db_value[]){
                        db_text(call->provider), db_text(call->session), db_int8(call->msisdn),
                        db_int8(call->campaign_id), db_bool(call->ended), db_int2(call->step),
                        db_text(call->keys), db_int4((int32_t)call->duration_s),
                        db_int8(call->amount_e4), db_text(call->currency), db_text(call->status),
                        db_text(call->cause), db_time(call->received_ms),
                        db_time(now_ms + FIRST_PAUSE_MS) },
                    NULL, err)) {
            return false;
        }
    }
    return true;
}

static const struct db_statement find_kept = {
    "calls_find_kept",
    "SELECT id, tries, provider, session_id, msisdn, campaign_id, ended, step, keys, duration_s,"
    "       amount_e4, currency, status, cause, received_at"
    "  FROM unmatched_calls WHERE next_try_at <= $1"
    " ORDER BY next_try_at, id LIMIT $2 FOR UPDATE SKIP LOCKED",
    2,
};

static struct call read_kept(const struct db_result *found, int row)
{
    struct call call = {
        .provider = db_get_text(found, row, 2),
        .session = db_get_text(found, row, 3),
        .msisdn = db_get_int(found, row, 4),
        .campaign_id = db_get_int(found, row, 5),
        .ended = db_get_bool(found, row, 6),
        .step = (int16_t)db_get_int(found, row, 7),
        .keys = db_get_text(found, row, 8),
        .duration_s = db_get_int(found, row, 9),
        .amount_e4 = db_get_int(found, row, 10),
        .currency = db_get_text(found, row, 11),
        .status = db_get_text(found, row, 12),
        .cause = db_get_text(found, row, 13),
        .received_ms = db_get_time(found, row, 14),
    };

    call.end = at_voice_end(&(struct at_voice){
        .duration_s = call.duration_s, .status = call.status, .hangup_cause = call.cause });
    return call;
}

static const struct db_statement forget_kept = {
    "calls_forget_kept",
    "DELETE FROM unmatched_calls WHERE id = $1",
    1,
};
static const struct db_statement postpone_kept = {
    "calls_postpone_kept",
    "UPDATE unmatched_calls SET tries = tries + 1, next_try_at = $2 WHERE id = $1",
    2,
};
static const struct db_statement orphan_kept = {
    "calls_orphan_kept",
    "INSERT INTO odd_callbacks (origin, provider, kind, why, raw, received_at)"
    " VALUES ('unmatched call ' || $1::bigint, $2, 'voice', 'orphan', $3, $4)"
    " ON CONFLICT ON CONSTRAINT odd_callbacks_once DO NOTHING",
    4,
};

static int64_t next_pause_ms(int64_t tries)
{
    int64_t pause = FIRST_PAUSE_MS << (tries + 1 < DOUBLED_MOST ? tries + 1 : DOUBLED_MOST);

    return pause < PAUSE_MOST_MS ? pause : PAUSE_MOST_MS;
}

static bool write_fate(struct db *db, const struct reconcile_conf *conf, const struct call *call,
                       int64_t row, int64_t tries, int64_t now_ms, struct arena *arena,
                       struct err *err)
{
    struct db_value id = db_int8(row);

    if (call->fate == CALL_WAITS && now_ms - call->received_ms < conf->unmatched_for_ms) {
        return db_run(db, &postpone_kept,
                      (struct db_value[]){ id, db_time(now_ms + next_pause_ms(tries)) }, NULL, err);
    }
    if (call->fate == CALL_WAITS &&
        !db_run(db, &orphan_kept,
                (struct db_value[]){ id, db_text(call->provider), db_text(call_raw(call, arena)),
                                     db_time(call->received_ms) },
                NULL, err)) {
        return false;
    }
    return db_run(db, &forget_kept, &id, NULL, err);
}

bool calls_retry(struct db *db, const struct reconcile_conf *conf, int64_t now_ms,
                 struct arena *arena, struct err *err)
{
    AUTO_DB_RESULT struct db_result *found = NULL;
    struct callees callees;
    struct call *calls;
    size_t n;

    if (!db_query(db, &find_kept, (struct db_value[]){ db_time(now_ms), db_int8(KEPT_A_TICK) },
                  &found, err)) {
        return false;
    }
    n = (size_t)db_rows(found);
    calls = arena_array(arena, n + 1, sizeof *calls);
    for (size_t i = 0; i < n; i++) {
        calls[i] = read_kept(found, (int)i);
    }
    if (!calls_apply(db, conf, calls, n, now_ms, arena, &callees, err)) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (!write_fate(db, conf, &calls[i], db_get_int(found, (int)i, 0),
                        db_get_int(found, (int)i, 1), now_ms, arena, err)) {
            return false;
        }
    }
    return callees_book(db, &callees, now_ms, arena, err);
}

/*
 * From the few batches under way, in doubt or of campaigns that end to their recipients, without a
 * lock: who is meant is asked again under that of the batch.
 */
static const struct db_statement find_over = {
    "calls_find_over",
    "SELECT r.campaign_id, r.seq FROM ("
    "       SELECT campaign_id, first_seq, last_seq, 3 AS state, $1::timestamptz AS sent_before"
    "         FROM batches WHERE called_at IS NOT NULL AND done_at IS NULL AND sent > 0"
    "                        AND started_at <= $1"
    "        UNION ALL "
    "       SELECT b.campaign_id, b.first_seq, b.last_seq, 2, $2"
    "         FROM batches b JOIN voice_campaigns v ON v.campaign_id = b.campaign_id"
    "        WHERE b.in_doubt > 0"
    "        UNION ALL "
    "       SELECT b.campaign_id, b.first_seq, b.last_seq, 0, NULL"
    "         FROM batches b JOIN campaigns c ON c.id = b.campaign_id"
    "        WHERE b.calling AND b.done_at IS NULL"
    "          AND (c.status IN ('cancelling', 'cancelled', 'expired') OR c.expires_at <= $3)) b"
    " CROSS JOIN LATERAL ("
    "       SELECT x.campaign_id, x.seq FROM recipients x"
    "        WHERE x.campaign_id = b.campaign_id AND x.seq BETWEEN b.first_seq AND b.last_seq"
    "          AND x.state = b.state"
    "          AND (x.sent_at <= b.sent_before"
    "               OR x.state = 0 AND x.attempts > 0"
    "                  AND EXISTS (SELECT FROM calls k WHERE k.campaign_id = x.campaign_id"
    "                                 AND k.seq = x.seq AND k.word = 'completed'))"
    "        ORDER BY x.seq LIMIT $4) r"
    " LIMIT $4",
    4,
};

static void give_up(struct callee *callee, const struct reconcile_conf *conf, int64_t now_ms)
{
    int64_t waited_ms = now_ms - callee->sent_ms;

    if (callee->state == CALLEE_CALLED && waited_ms >= conf->call_report_ms) {
        callee_end(callee, CALLEE_EXPIRED, "no_report", now_ms);
    } else if (callee->state == CALLEE_IN_DOUBT && waited_ms >= conf->doubt_deadline_ms) {
        callee_end(callee, CALLEE_FAILED, "answer_lost", now_ms);
    } else if (callee->state == CALLEE_PENDING && callee->heard > 0 && !callee->goes_on &&
               !callee->is_claimed) {
        callee_end(callee, CALLEE_DELIVERED, NULL, now_ms);
    }
}

bool calls_give_up(struct db *db, const struct reconcile_conf *conf, int64_t now_ms,
                   struct arena *arena, struct err *err)
{
    AUTO_DB_RESULT struct db_result *found = NULL;
    struct callees callees;
    struct place *places;
    size_t n;

    if (!db_query(db, &find_over,
                  (struct db_value[]){ db_time(now_ms - conf->call_report_ms),
                                       db_time(now_ms - conf->doubt_deadline_ms), db_time(now_ms),
                                       db_int8(OVER_A_TICK) },
                  &found, err)) {
        return false;
    }
    n = (size_t)db_rows(found);
    places = arena_array(arena, n + 1, sizeof *places);
    for (size_t i = 0; i < n; i++) {
        places[i] =
            (struct place){ db_get_int(found, (int)i, 0), (int32_t)db_get_int(found, (int)i, 1) };
    }
    if (!callees_lock(db, places, n, now_ms, arena, &callees, err)) {
        return false;
    }
    for (size_t i = 0; i < callees.count; i++) {
        give_up(&callees.list[i], conf, now_ms);
    }
    return callees_write(db, &callees, now_ms, arena, err) &&
           callees_book(db, &callees, now_ms, arena, err);
}
