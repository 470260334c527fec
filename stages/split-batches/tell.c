/*
 * tell - the events of this stage
 *
 * A handler's event is told again by the message that comes again. Whoever steers or abandons a
 * campaign has no such message, so it marks the row, and the tick tells what it finds marked.
 */
#include "tell.h"

#include <string.h>

#include "campaign/store.h"
#include "campaign/tell.h"
#include "msg/event.h"

#define UNTOLD_A_TICK 100

bool tell_campaign(struct stage *stage, int64_t campaign, const char *status, int64_t since_ms,
                   struct err *err)
{
    struct arena *arena = stage_arena(stage);
    struct campaign_view view;
    const struct campaign_event *event;
    const char *key;
    bool found;

    if (!campaign_find(stage_db(stage), 0, campaign, arena, &view, &found, err)) {
        return false;
    }
    event = campaign_tell(&view, status, NULL, stage_now_ms(stage), arena);
    key = arena_printf(arena, "%s %s", event->campaign, event->status);
    if (since_ms != 0) {
        key = arena_printf(arena, "%s %lld", key, (long long)since_ms);
    }
    stage_emit_as(stage,
                  campaign_status_is_final(event->status) ? &campaign_completed_v1
                                                          : &campaign_changed_v1,
                  event,
                  &(struct emission){
                      .key = key, .correlation = event->campaign, .account = event->account });
    return true;
}

static const struct db_statement find_untold = {
    "split_find_untold",
    "SELECT id, status, untold_at FROM campaigns WHERE untold_at IS NOT NULL"
    " ORDER BY id LIMIT $1"
    "   FOR UPDATE SKIP LOCKED",
    1,
};
static const struct db_statement mark_told = {
    "split_mark_told",
    "UPDATE campaigns SET untold_at = NULL WHERE id = ANY ($1::bigint[])",
    1,
};

/* What a campaign has come to otherwise since it was marked is told by the stage that did it. */
static bool is_ours(const char *status)
{
    return strcmp(status, "paused") == 0 || strcmp(status, "sending") == 0 ||
           strcmp(status, "scheduled") == 0 || strcmp(status, "cancelling") == 0 ||
           strcmp(status, "abandoned") == 0;
}

bool tell_untold(struct stage *stage, struct err *err)
{
    AUTO_DB_RESULT struct db_result *untold = NULL;
    int64_t *ids;
    struct db_value told;

    if (!db_query(stage_db(stage), &find_untold, (struct db_value[]){ db_int8(UNTOLD_A_TICK) },
                  &untold, err)) {
        return false;
    }
    if (db_rows(untold) == 0) {
        return true;
    }
    ids = arena_array(stage_arena(stage), (size_t)db_rows(untold), sizeof *ids);
    for (int i = 0; i < db_rows(untold); i++) {
        ids[i] = db_get_int(untold, i, 0);
        if (is_ours(db_get_text(untold, i, 1)) &&
            !tell_campaign(stage, ids[i], NULL, db_get_time(untold, i, 2), err)) {
            return false;
        }
    }
    told = db_int8s(ids, (size_t)db_rows(untold));
    return db_run(stage_db(stage), &mark_told, &told, NULL, err);
}
