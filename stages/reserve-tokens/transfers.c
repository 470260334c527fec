/*
 * transfers - tells both accounts of tokens that went from one to the other
 *
 * Whoever transfers, by REST or tumactl, has no message that would come again: it leaves a row, and
 * the tick takes the row away in the transaction that is committed once the events are confirmed.
 */
#include "transfers.h"

#include "msg/event.h"

#define TOLD_A_TICK 100

static const struct db_statement take_untold = {
    "reserve_take_untold_transfers",
    "DELETE FROM untold_transfers u USING accounts f, accounts t"
    " WHERE f.id = u.from_id AND t.id = u.to_id"
    "   AND (u.from_id, u.reference) IN (SELECT from_id, reference FROM untold_transfers"
    "                                     ORDER BY created_at LIMIT $1 FOR UPDATE SKIP LOCKED)"
    " RETURNING f.slug, t.slug, u.reference, u.tokens, u.reason, u.actor, u.created_at",
    1
};

static void tell(struct stage *stage, struct transfer_event *event, const char *account)
{
    event->account = account;
    stage_emit_as(stage, &tokens_transferred_v1, event,
                  &(struct emission){ .key = arena_printf(stage_arena(stage), "%s %s %s",
                                                          event->from, event->reference, account),
                                      .account = account });
}

bool transfers_tell(struct stage *stage, struct err *err)
{
    AUTO_DB_RESULT struct db_result *untold = NULL;

    if (!db_query(stage_db(stage), &take_untold, (struct db_value[]){ db_int8(TOLD_A_TICK) },
                  &untold, err)) {
        return false;
    }
    for (int i = 0; i < db_rows(untold); i++) {
        struct transfer_event event = {
            .from = db_get_text(untold, i, 0),
            .to = db_get_text(untold, i, 1),
            .reference = db_get_text(untold, i, 2),
            .tokens = db_get_int(untold, i, 3),
            .reason = db_get_text(untold, i, 4),
            .actor = db_get_text(untold, i, 5),
            .at_ms = db_get_time(untold, i, 6),
        };
        tell(stage, &event, event.from);
        tell(stage, &event, event.to);
    }
    return true;
}
