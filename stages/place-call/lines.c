/*
 * lines - the calls under way, and what follows when they have ended
 */
#include <string.h>

#include "base/id.h"
#include "msg/campaign.h"
#include "place_call.h"

#define MOVED_A_TICK 500
#define WAKE_AGAIN_S                                                                               \
    60 /* a pass that was called for and has not begun: the message may be lost                    \
        */

static const struct db_statement lock_route = {
    "lines_lock_route",
    "SELECT FROM routes WHERE name = $1 FOR UPDATE",
    1,
};
static const struct db_statement count_calls = {
    "lines_count_calls",
    "SELECT coalesce(sum(sent + in_flight), 0)::bigint FROM batches"
    " WHERE called_at > $1 AND done_at IS NULL",
    1,
};

bool lines_room(struct run *run, bool claiming, int64_t *out_room, struct err *err)
{
    const struct call_conf *conf = stage_conf(run->stage);
    AUTO_DB_RESULT struct db_result *locked = NULL;
    AUTO_DB_RESULT struct db_result *found = NULL;
    struct db *db = stage_db(run->stage);

    *out_room = INT64_MAX;
    if (conf->calls_max == 0) {
        return true;
    }
    if (claiming &&
        !db_query(db, &lock_route, (struct db_value[]){ db_text(stage_route(run->stage)) }, &locked,
                  err)) {
        return false;
    }
    if (!db_query(db, &count_calls,
                  (struct db_value[]){ db_time(stage_now_ms(run->stage) - conf->call_most_ms) },
                  &found, err)) {
        return false;
    }
    *out_room = conf->calls_max - db_get_int(found, 0, 0);
    return true;
}

#define ENDING                                                                                     \
    "(c.status IN ('cancelling', 'cancelled', 'expired') OR coalesce(c.expires_at <= $1, false))"

/*
 * No call under way, and nobody left, or nobody who is still to be called. Those among these who
 * have answered a call before are reconcile-dlr's to end: after the batch their tokens would be
 * given back.
 */
static const struct db_statement end_batches = {
    "lines_end_batches",
    "UPDATE batches b"
    "   SET done_at = now(), calling = false, retry_at = NULL, woken_at = NULL,"
    "       settled_at = CASE WHEN b.in_doubt = 0 THEN now() END"
    "  FROM (SELECT b.campaign_id, b.batch, c.lane, a.slug"
    "          FROM batches b JOIN campaigns c ON c.id = b.campaign_id"
    "                         JOIN accounts a ON a.id = c.account_id"
    "         WHERE b.calling AND b.done_at IS NULL AND b.sent = 0 AND b.in_flight = 0"
    "           AND (b.in_doubt = 0 OR b.called_at IS NULL OR b.called_at <= $2)"
    "           AND (" ENDING "                OR NOT EXISTS (SELECT FROM recipients r"
    "                                WHERE r.campaign_id = b.campaign_id AND r.state = 0"
    "                                  AND r.seq BETWEEN b.first_seq AND b.last_seq))"
    "           AND NOT EXISTS (SELECT FROM recipients r"
    "                            WHERE r.campaign_id = b.campaign_id AND r.state = 0"
    "                              AND r.seq BETWEEN b.first_seq AND b.last_seq AND r.attempts > 0"
    "                              AND EXISTS (SELECT FROM calls k"
    "                                           WHERE k.campaign_id = r.campaign_id"
    "                                             AND k.seq = r.seq AND k.word = 'completed'"
    "                                          OFFSET 0)"
    "                           OFFSET 0)"
    "         ORDER BY b.campaign_id, b.batch LIMIT $3 FOR UPDATE OF b SKIP LOCKED) e"
    " WHERE b.campaign_id = e.campaign_id AND b.batch = e.batch"
    " RETURNING b.campaign_id, b.batch, e.lane, e.slug, b.last_seq - b.first_seq + 1",
    3
};

/* Its time is part of what is told, so that a repeated tick tells the same. */
static const struct db_statement wake_batches = {
    "lines_wake_batches",
    "UPDATE batches b"
    "   SET woken_at = $1"
    "  FROM (SELECT b.campaign_id, b.batch, b.woken_at, c.lane, a.slug"
    "          FROM batches b JOIN campaigns c ON c.id = b.campaign_id"
    "                         JOIN accounts a ON a.id = c.account_id"
    "         WHERE b.calling AND b.done_at IS NULL AND b.retry_at <= $1"
    "           AND (b.woken_at IS NULL OR b.woken_at <= $1 - make_interval(secs => $2::int))"
    "           AND c.status = 'sending' AND NOT " ENDING
    "         ORDER BY b.campaign_id, b.batch LIMIT $3 FOR UPDATE OF b SKIP LOCKED) w"
    " WHERE b.campaign_id = w.campaign_id AND b.batch = w.batch"
    " RETURNING b.campaign_id, b.batch, w.lane, w.slug,"
    "           (SELECT count(*) FROM recipients r"
    "             WHERE r.campaign_id = b.campaign_id AND r.state = 0"
    "               AND r.seq BETWEEN b.first_seq AND b.last_seq),"
    "           format('%s %s %s', b.pass, b.retry_at, w.woken_at)",
    3
};

/* key: what makes this telling another than those before. */
static void tell(struct stage *stage, const struct shape *shape, const struct db_result *rows,
                 int row, const char *key)
{
    const enum lane lane = strcmp(db_get_text(rows, row, 2), "high") == 0 ? LANE_HIGH : LANE_NORMAL;
    const long long batch = (long long)db_get_int(rows, row, 1);
    char id[ID_TEXT_BYTES];

    id_format("cmp", db_get_int(rows, row, 0), id);
    stage_emit_as(
        stage, shape,
        &(struct batch_fact){ .campaign = id, .batch = batch, .size = db_get_int(rows, row, 4) },
        &(struct emission){ .key = arena_printf(stage_arena(stage), "%s %lld%s", id, batch, key),
                            .route = shape == &batch_ready_v1 ? stage_route(stage) : NULL,
                            .correlation = id,
                            .account = db_get_text(rows, row, 3),
                            .lane = &lane });
}

bool lines_move(struct stage *stage, struct err *err)
{
    const struct call_conf *conf = stage_conf(stage);
    AUTO_DB_RESULT struct db_result *ended = NULL;
    AUTO_DB_RESULT struct db_result *woken = NULL;
    int64_t now_ms = stage_now_ms(stage);

    if (!db_query(stage_db(stage), &end_batches,
                  (struct db_value[]){ db_time(now_ms), db_time(now_ms - conf->doubt_wait_ms),
                                       db_int8(MOVED_A_TICK) },
                  &ended, err) ||
        !db_query(
            stage_db(stage), &wake_batches,
            (struct db_value[]){ db_time(now_ms), db_int4(WAKE_AGAIN_S), db_int8(MOVED_A_TICK) },
            &woken, err)) {
        return false;
    }
    for (int i = 0; i < db_rows(ended); i++) {
        tell(stage, &batch_done_v1, ended, i, "");
    }
    for (int i = 0; i < db_rows(woken); i++) {
        tell(stage, &batch_ready_v1, woken, i,
             arena_printf(stage_arena(stage), " %s", db_get_text(woken, i, 5)));
    }
    return true;
}
