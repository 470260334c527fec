/*
 * wait - campaigns that wait for tokens: who is next, and until when
 */
#include "wait.h"

#include <string.h>

#include "base/id.h"
#include "campaign/store.h"
#include "campaign/tell.h"
#include "msg/campaign.h"
#include "msg/event.h"

#define WOKEN_A_TICK 50
#define ENDED_A_TICK 50
#define LOST_AFTER_MS 10000 /* a message takes milliseconds; under load it may take seconds */

static const struct db_statement find_ahead = {
    "wait_find_ahead",
    "SELECT a.id FROM campaigns c JOIN campaigns a ON a.account_id = c.account_id"
    " WHERE c.id = $1 AND a.status = 'insufficient_tokens' AND a.waiting_since <= $2"
    "   AND CASE WHEN a.lane = c.lane THEN a.id < c.id ELSE a.lane = 'high' END"
    " ORDER BY a.lane = 'high' DESC, a.id LIMIT 1",
    2
};

static int64_t patience_ended_ms(const struct stage *stage)
{
    const struct reserve_conf *conf = stage_conf(stage);

    return stage_now_ms(stage) - conf->overtake_ms;
}

bool wait_ahead(struct stage *stage, int64_t campaign, int64_t *out_ahead, struct err *err)
{
    AUTO_DB_RESULT struct db_result *found = NULL;

    if (!db_query(stage_db(stage), &find_ahead,
                  (struct db_value[]){ db_int8(campaign), db_time(patience_ended_ms(stage)) },
                  &found, err)) {
        return false;
    }
    *out_ahead = db_rows(found) > 0 ? db_get_int(found, 0, 0) : 0;
    return true;
}

/*
 * Of each line those that can be paid one after the other, and those whose message was lost: told
 * to launch, and then nothing happened. Lots are only summed for accounts whose balance would do;
 * it counts tokens that have expired and are not yet retired, too.
 */
static const struct db_statement find_turns = {
    "wait_find_turns",
    "WITH line AS ("
    "    SELECT c.id, c.account_id, c.lane, c.segments + c.follow_segments AS segments,"
    "           b.available,"
    "           coalesce(bool_or(c.waiting_since <= $3) OVER ahead, false) AS behind"
    "      FROM campaigns c JOIN token_balances b ON b.account_id = c.account_id"
    "     WHERE c.status = 'insufficient_tokens'"
    "    WINDOW ahead AS (PARTITION BY c.account_id ORDER BY c.lane = 'high' DESC, c.id"
    "                     ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)),"
    " able AS ("
    "    SELECT l.*, usable.n AS usable,"
    "           sum(segments) OVER (PARTITION BY l.account_id"
    "                               ORDER BY l.lane = 'high' DESC, l.id) AS needed"
    "      FROM line l,"
    "           LATERAL (SELECT sum(t.available) AS n FROM token_lots t"
    "                     WHERE t.account_id = l.account_id AND t.available > 0"
    "                       AND (t.expires_at IS NULL OR t.expires_at > $4)) usable"
    "     WHERE NOT l.behind AND l.available >= l.segments AND usable.n >= l.segments),"
    " turns AS ("
    "    SELECT id FROM able WHERE needed <= usable"
    "    UNION ALL"
    "    SELECT id FROM campaigns"
    "     WHERE status = 'reserving' AND coalesce(launched_at, rendered_at) <= $2)"
    " SELECT c.id, c.lane, a.slug"
    "   FROM turns t JOIN campaigns c ON c.id = t.id JOIN accounts a ON a.id = c.account_id"
    "  ORDER BY c.lane = 'high' DESC, c.id LIMIT $1"
    "    FOR UPDATE OF c SKIP LOCKED",
    4
};

/* *out_woken is the ids, in the arena. */
static bool wake(struct stage *stage, struct db_value *out_woken, struct err *err)
{
    AUTO_DB_RESULT struct db_result *turns = NULL;
    int64_t now_ms = stage_now_ms(stage);
    struct arena *arena = stage_arena(stage);
    int64_t *ids;

    if (!db_query(stage_db(stage), &find_turns,
                  (struct db_value[]){ db_int8(WOKEN_A_TICK), db_time(now_ms - LOST_AFTER_MS),
                                       db_time(patience_ended_ms(stage)), db_time(now_ms) },
                  &turns, err)) {
        return false;
    }
    ids = arena_array(arena, (size_t)db_rows(turns) + 1, sizeof *ids);
    for (int i = 0; i < db_rows(turns); i++) {
        enum lane lane = strcmp(db_get_text(turns, i, 1), "high") == 0 ? LANE_HIGH : LANE_NORMAL;
        char id[ID_TEXT_BYTES];

        ids[i] = db_get_int(turns, i, 0);
        id_format("cmp", ids[i], id);
        stage_emit_as(
            stage, &campaign_launched_v1, &(struct campaign_fact){ id },
            &(struct emission){ .key = arena_printf(arena, "%s %lld", id, (long long)now_ms),
                                .correlation = id,
                                .account = db_get_text(turns, i, 2),
                                .lane = &lane });
    }
    *out_woken = db_int8s(ids, (size_t)db_rows(turns));
    return true;
}

/* Nothing is held and nothing is out, so this is all there is to do. */
static const struct db_statement end_waiting = {
    "wait_end",
    "UPDATE campaigns"
    "   SET status = 'expired', sent_at = $1, completed_at = $1, waiting_since = NULL,"
    "       detail = 'no tokens came in time: ' || coalesce(detail, 'some are missing')"
    " WHERE id IN (SELECT id FROM campaigns"
    "               WHERE status = 'insufficient_tokens' AND waiting_since <= $2"
    "                 AND id <> ALL ($4::bigint[])"
    "               ORDER BY id LIMIT $3 FOR UPDATE SKIP LOCKED)"
    " RETURNING id",
    4
};

static bool end(struct stage *stage, struct db_value woken, struct err *err)
{
    const struct reserve_conf *conf = stage_conf(stage);
    AUTO_DB_RESULT struct db_result *ended = NULL;
    int64_t now_ms = stage_now_ms(stage);

    if (!db_query(stage_db(stage), &end_waiting,
                  (struct db_value[]){ db_time(now_ms), db_time(now_ms - conf->wait_limit_ms),
                                       db_int8(ENDED_A_TICK), woken },
                  &ended, err)) {
        return false;
    }
    for (int i = 0; i < db_rows(ended); i++) {
        const struct campaign_event *event;
        struct campaign_view view;
        bool found;

        if (!campaign_find(stage_db(stage), 0, db_get_int(ended, i, 0), stage_arena(stage), &view,
                           &found, err)) {
            return false;
        }
        event = campaign_tell(&view, NULL, NULL, now_ms, stage_arena(stage));
        stage_emit_as(stage, &campaign_completed_v1, event,
                      &(struct emission){
                          .key = arena_printf(stage_arena(stage), "%s expired", event->campaign),
                          .correlation = event->campaign,
                          .account = event->account });
    }
    return true;
}

bool wait_tick(struct stage *stage, struct err *err)
{
    struct db_value woken;

    return wake(stage, &woken, err) && end(stage, woken, err);
}
