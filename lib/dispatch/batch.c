/*
 * batch - loading, claiming and ending; record.c has the outcomes
 */
#include "dispatch/batch.h"

#include <string.h>

#include "base/clock.h"
#include "base/id.h"

static const struct db_statement lock_batch = {
    "batch_lock",
    "SELECT pg_try_advisory_lock(hashtextextended($1::bigint::text || ' ' || $2::bigint::text, 0))",
    2,
};
static const struct db_statement unlock_batch = {
    "batch_unlock",
    "SELECT pg_advisory_unlock(hashtextextended($1::bigint::text || ' ' || $2::bigint::text, 0))",
    2,
};

static bool ask_lock(struct db *db, const struct db_statement *statement, int64_t campaign_id,
                     int64_t number, bool *out_yes, struct err *err)
{
    AUTO_DB_RESULT struct db_result *result = NULL;

    if (!db_query(db, statement, (struct db_value[]){ db_int8(campaign_id), db_int8(number) },
                  &result, err)) {
        return false;
    }
    *out_yes = db_get_bool(result, 0, 0);
    return true;
}

bool batch_lock(struct db *db, int64_t campaign_id, int64_t number, bool *out_mine, struct err *err)
{
    return ask_lock(db, &lock_batch, campaign_id, number, out_mine, err);
}

bool batch_unlock(struct db *db, int64_t campaign_id, int64_t number, struct err *err)
{
    bool was_locked;

    return ask_lock(db, &unlock_batch, campaign_id, number, &was_locked, err);
}

static const struct db_statement load_batch = {
    "batch_load",
    "SELECT b.first_seq, b.last_seq, b.claimed_seq, b.recorded_seq, b.pass, b.done_at IS NOT NULL,"
    "       c.account_id, a.slug, c.status, c.text, c.sender_id,"
    "       coalesce(c.expires_at <= $3, false), coalesce(r.status = 'held', false), b.claim,"
    "       coalesce($5 = ANY (b.ended_by), false), coalesce($5 = b.ended_by[1], false),"
    "       b.again_ms, b.calling, b.calling AND coalesce(b.retry_at > $3, true)"
    "  FROM batches b"
    "  JOIN campaigns c ON c.id = b.campaign_id"
    "  JOIN accounts a ON a.id = c.account_id"
    "  LEFT JOIN routes r ON r.name = $4"
    " WHERE b.campaign_id = $1 AND b.batch = $2"
    "   FOR UPDATE OF b",
    5
};

bool batch_load(struct db *db, const struct batch_ask *ask, struct arena *arena,
                struct batch *out_batch, bool *out_found, struct err *err)
{
    AUTO_DB_RESULT struct db_result *found = NULL;
    const char *text;

    if (!db_query(db, &load_batch,
                  (struct db_value[]){ db_int8(ask->campaign_id), db_int4((int32_t)ask->number),
                                       db_time(ask->now_ms), db_text(ask->route),
                                       db_text(ask->message) },
                  &found, err)) {
        return false;
    }
    *out_found = db_rows(found) > 0;
    if (!*out_found) {
        return true;
    }
    text = db_get_text(found, 0, 9);
    *out_batch = (struct batch){
        .campaign_id = ask->campaign_id,
        .number = (int32_t)ask->number,
        .first_seq = (int32_t)db_get_int(found, 0, 0),
        .last_seq = (int32_t)db_get_int(found, 0, 1),
        .claimed_seq = (int32_t)db_get_int(found, 0, 2),
        .recorded_seq = (int32_t)db_get_int(found, 0, 3),
        .pass = (int32_t)db_get_int(found, 0, 4),
        .done = db_get_bool(found, 0, 5),
        .account_id = db_get_int(found, 0, 6),
        .account = arena_strdup(arena, db_get_text(found, 0, 7)),
        .status = arena_strdup(arena, db_get_text(found, 0, 8)),
        .text = text ? arena_strdup(arena, text) : NULL,
        .sender_id = arena_strdup(arena, db_get_text(found, 0, 10)),
        .expired = db_get_bool(found, 0, 11),
        .route_held = db_get_bool(found, 0, 12),
        .claim = db_get_int(found, 0, 13),
        .ended_before = db_get_bool(found, 0, 14),
        .ended_last = db_get_bool(found, 0, 15),
        .comes_again = !db_is_null(found, 0, 16),
        .again_ms = db_get_int(found, 0, 16),
        .calling = db_get_bool(found, 0, 17),
        .rests = db_get_bool(found, 0, 18),
        .message = arena_strdup(arena, ask->message),
    };
    return true;
}

static const struct db_statement doubt_orphans = {
    "batch_doubt_orphans",
    "WITH doubted AS ("
    "    UPDATE recipients"
    "       SET state = 2, batch = $2, reason = 'answer_lost', sent_at = now(),"
    "           attempts = attempts + 1"
    "     WHERE campaign_id = $1 AND seq > $3 AND seq <= $4 AND state = 0"
    " RETURNING 1)"
    " UPDATE batches"
    "    SET recorded_seq = claimed_seq, in_flight = 0, claim = NULL,"
    "        in_doubt = in_doubt + (SELECT count(*) FROM doubted)"
    "  WHERE campaign_id = $1 AND batch = $2"
    " RETURNING (SELECT count(*) FROM doubted)",
    4
};

static const struct db_statement drop_claim = {
    "batch_drop_claim",
    "UPDATE batches SET claimed_seq = recorded_seq, in_flight = 0, claim = NULL"
    " WHERE campaign_id = $1 AND batch = $2",
    2,
};

bool batch_doubt_orphans(struct db *db, struct batch *batch, int64_t unsent_claim,
                         int64_t *out_doubted, struct err *err)
{
    AUTO_DB_RESULT struct db_result *result = NULL;

    *out_doubted = 0;
    if (batch->claimed_seq == batch->recorded_seq) {
        return true;
    }
    if (unsent_claim != 0 && batch->claim == unsent_claim) {
        batch->claimed_seq = batch->recorded_seq;
        return db_run(db, &drop_claim,
                      (struct db_value[]){ db_int8(batch->campaign_id), db_int4(batch->number) },
                      NULL, err);
    }
    if (!db_query(db, &doubt_orphans,
                  (struct db_value[]){ db_int8(batch->campaign_id), db_int4(batch->number),
                                       db_int4(batch->recorded_seq), db_int4(batch->claimed_seq) },
                  &result, err)) {
        return false;
    }
    *out_doubted = db_get_int(result, 0, 0);
    batch->recorded_seq = batch->claimed_seq;
    return true;
}

static const struct db_statement next_window = {
    "batch_next_window",
    "SELECT seq, segments, attempts, msisdn, text,"
    "       CASE WHEN attempts > 0 THEN"
    "           coalesce((SELECT sum(tokens) FROM calls c"
    "                      WHERE c.campaign_id = r.campaign_id AND c.seq = r.seq), 0)"
    "       ELSE 0 END"
    "  FROM recipients r"
    " WHERE campaign_id = $1 AND seq > $2 AND seq <= $3 AND state = 0"
    " ORDER BY seq LIMIT $4",
    4
};

bool batch_next_window(struct db *db, const struct batch *batch, int64_t max, struct arena *arena,
                       struct window *out_window, struct err *err)
{
    AUTO_DB_RESULT struct db_result *found = NULL;
    struct window window = { 0 };

    if (!db_query(db, &next_window,
                  (struct db_value[]){ db_int8(batch->campaign_id), db_int4(batch->claimed_seq),
                                       db_int4(batch->last_seq), db_int8(max) },
                  &found, err)) {
        return false;
    }
    window.count = (size_t)db_rows(found);
    window.recipients = arena_array(arena, window.count + 1, sizeof *window.recipients);
    for (int i = 0; i < db_rows(found); i++) {
        const char *text = db_get_text(found, i, 4);

        window.recipients[i] = (struct recipient){
            .seq = (int32_t)db_get_int(found, i, 0),
            .segments = (int16_t)db_get_int(found, i, 1),
            .attempts = (int16_t)db_get_int(found, i, 2),
            .msisdn = db_get_int(found, i, 3),
            .owed = (int32_t)db_get_int(found, i, 5),
            .text = text          ? arena_strdup(arena, text)
                    : batch->text ? batch->text
                                  : "",
        };
        window.last_seq = window.recipients[i].seq;
    }
    *out_window = window;
    return true;
}

static const struct db_statement hold_batch = {
    "batch_hold",
    "SELECT FROM batches WHERE campaign_id = $1 AND batch = $2 FOR UPDATE",
    2,
};

bool batch_renew_window(struct db *db, const struct batch *batch, struct arena *arena,
                        struct window *window, struct err *err)
{
    AUTO_DB_RESULT struct db_result *locked = NULL;

    return db_query(db, &hold_batch,
                    (struct db_value[]){ db_int8(batch->campaign_id), db_int4(batch->number) },
                    &locked, err) &&
           batch_next_window(db, batch, (int64_t)window->count, arena, window, err);
}

static const struct db_statement has_pending = {
    "batch_has_pending",
    "SELECT EXISTS (SELECT FROM recipients"
    "                WHERE campaign_id = $1 AND seq BETWEEN $2 AND $3 AND state = 0)",
    3,
};

bool batch_has_pending(struct db *db, const struct batch *batch, bool *out_pending, struct err *err)
{
    AUTO_DB_RESULT struct db_result *found = NULL;

    if (!db_query(db, &has_pending,
                  (struct db_value[]){ db_int8(batch->campaign_id), db_int4(batch->first_seq),
                                       db_int4(batch->last_seq) },
                  &found, err)) {
        return false;
    }
    *out_pending = db_get_bool(found, 0, 0);
    return true;
}

/* recorded_seq = $5: nobody has claimed or recorded since the batch was loaded. */
static const struct db_statement claim_window = {
    "batch_claim",
    "UPDATE batches"
    "   SET claimed_seq = $3, claim = $4, in_flight = $6, waiting = false,"
    "       started_at = coalesce(started_at, now()),"
    "       called_at = CASE WHEN $7 THEN now() END"
    " WHERE campaign_id = $1 AND batch = $2 AND recorded_seq = $5 AND claimed_seq = $5"
    "   AND done_at IS NULL",
    7
};

static const struct db_statement begin_calls = {
    "batch_begin_calls",
    "UPDATE batches SET calling = false, retry_at = NULL, woken_at = NULL"
    " WHERE campaign_id = $1 AND batch = $2",
    2,
};

bool batch_begin_calls(struct db *db, const struct batch *batch, struct err *err)
{
    return db_run(db, &begin_calls,
                  (struct db_value[]){ db_int8(batch->campaign_id), db_int4(batch->number) }, NULL,
                  err);
}

bool batch_claim(struct db *db, struct batch *batch, const struct window *window, bool calls,
                 bool *out_mine, struct err *err)
{
    int64_t rows;
    int64_t claim;

    id_random(&claim, sizeof claim);
    if (!db_run(db, &claim_window,
                (struct db_value[]){ db_int8(batch->campaign_id), db_int4(batch->number),
                                     db_int4(window->last_seq), db_int8(claim),
                                     db_int4(batch->recorded_seq), db_int4((int32_t)window->count),
                                     db_bool(calls) },
                &rows, err)) {
        return false;
    }
    *out_mine = rows == 1;
    if (*out_mine) {
        batch->claim = claim;
        batch->claimed_seq = window->last_seq;
    }
    return true;
}

/* The last few are enough: a message that comes again is not that many passes late. */
#define NOTE_END "ended_by = (array_prepend($3::text, ended_by))[1:8]"

static const struct db_statement begin_pass = {
    "batch_begin_pass",
    "UPDATE batches SET pass = pass + 1, claimed_seq = first_seq - 1,"
    "       recorded_seq = first_seq - 1, claim = NULL, waiting = $4, again_ms = $5,"
    "       calling = false, retry_at = NULL, woken_at = NULL, " NOTE_END
    " WHERE campaign_id = $1 AND batch = $2",
    5,
};
static const struct db_statement finish_batch = {
    "batch_finish",
    "UPDATE batches"
    "   SET done_at = now(), claim = NULL, again_ms = NULL, " NOTE_END ","
    "       settled_at = CASE WHEN sent = 0 AND in_doubt = 0 THEN now() END"
    " WHERE campaign_id = $1 AND batch = $2",
    3,
};

static const struct db_statement begin_calling = {
    "batch_begin_calling",
    "UPDATE batches SET pass = pass + 1, claimed_seq = first_seq - 1,"
    "       recorded_seq = first_seq - 1, claim = NULL, waiting = false, calling = true,"
    "       retry_at = greatest(retry_at, $4), again_ms = NULL, " NOTE_END
    " WHERE campaign_id = $1 AND batch = $2",
    4,
};

bool batch_end(struct db *db, const struct batch *batch, enum batch_end how, int64_t again_ms,
               struct err *err)
{
    if (how == BATCH_CALLING) {
        return db_run(
            db, &begin_calling,
            (struct db_value[]){ db_int8(batch->campaign_id), db_int4(batch->number),
                                 db_text(batch->message),
                                 again_ms > 0 ? db_time(clock_now_ms() + again_ms) : db_null() },
            NULL, err);
    }
    if (how == BATCH_FINISH) {
        return db_run(db, &finish_batch,
                      (struct db_value[]){ db_int8(batch->campaign_id), db_int4(batch->number),
                                           db_text(batch->message) },
                      NULL, err);
    }
    return db_run(
        db, &begin_pass,
        (struct db_value[]){ db_int8(batch->campaign_id), db_int4(batch->number),
                             db_text(batch->message), db_bool(how == BATCH_WAIT),
                             how == BATCH_AGAIN ? db_int4((int32_t)again_ms) : db_null() },
        NULL, err);
}
