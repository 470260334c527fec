/*
 * reserve-tokens - set the price of a whole campaign aside, or nothing
 *
 * Reads   campaign.rendered.v1, campaign.launched.v1
 * Emits   campaign.reserved.v1, campaign.changed.v1, tokens.transferred.v1
 * Tables  campaigns, untold_transfers; the ledger's
 *
 * With too few tokens the campaign takes the status insufficient_tokens and says how many are
 * missing; the tick tries again once the account has as many, whoever granted them. Redelivery does
 * no harm: the hold has the campaign's id, and a campaign that has its hold only tells it again.
 *
 * Retried   the database says so.
 * Rejected  a message that names no campaign.
 */
#include <stdio.h>
#include <string.h>

#include "base/id.h"
#include "campaign/store.h"
#include "campaign/tell.h"
#include "ledger/ledger.h"
#include "msg/campaign.h"
#include "msg/event.h"
#include "stage/stage.h"
#include "transfers.h"

#define EXPIRED_LOTS_A_TICK 100
#define RETRIED_A_TICK 20
#define LOST_AFTER_MS 10000 /* a message takes milliseconds; under load it may take seconds */

static const struct db_statement lock_campaign = {
    "reserve_lock_campaign",
    "SELECT c.account_id, c.status, c.segments, c.lane, a.slug,"
    "       c.scheduled_at > $2"
    "  FROM campaigns c JOIN accounts a ON a.id = c.account_id"
    " WHERE c.id = $1"
    "   FOR UPDATE OF c",
    2
};

static const struct db_statement set_status = {
    "reserve_set_status",
    "UPDATE campaigns"
    "   SET status = $2, detail = $3,"
    "       reserved_at = CASE WHEN $2 = 'insufficient_tokens' THEN NULL ELSE $4::timestamptz END"
    " WHERE id = $1",
    4
};

static void emit_reserved(struct stage *stage, const char *id, const char *account, enum lane lane)
{
    stage_emit_as(
        stage, &campaign_reserved_v1, &(struct campaign_fact){ id },
        &(struct emission){ .key = id, .correlation = id, .account = account, .lane = &lane });
}

static bool tell(struct stage *stage, int64_t campaign, const char *key_end, struct err *err)
{
    struct campaign_view view;
    const struct campaign_event *event;
    bool found;

    if (!campaign_find(stage_db(stage), 0, campaign, stage_arena(stage), &view, &found, err)) {
        return false;
    }
    event = campaign_tell(&view, NULL, NULL, stage_now_ms(stage), stage_arena(stage));
    stage_emit_as(stage, &campaign_changed_v1, event,
                  &(struct emission){ .key = arena_printf(stage_arena(stage), "%s %s %s",
                                                          event->campaign, event->status, key_end),
                                      .correlation = event->campaign,
                                      .account = event->account });
    return true;
}

/* Reserves for one campaign whose turn it may be; both a message and the tick come here. */
static bool reserve(struct stage *stage, int64_t campaign, struct err *err)
{
    AUTO_DB_RESULT struct db_result *found = NULL;
    struct db *db = stage_db(stage);
    int64_t now_ms = stage_now_ms(stage);
    struct ledger_held held;
    char detail[80] = "";
    char id[ID_TEXT_BYTES];
    const char *status, *account;
    enum lane lane;

    if (!db_query(db, &lock_campaign, (struct db_value[]){ db_int8(campaign), db_time(now_ms) },
                  &found, err)) {
        return false;
    }
    if (db_rows(found) == 0) {
        return err_permanent(err, "campaign_unknown", "no campaign %lld", (long long)campaign);
    }
    id_format("cmp", campaign, id);
    status = db_get_text(found, 0, 1);
    account = db_get_text(found, 0, 4);
    lane = strcmp(db_get_text(found, 0, 3), "high") == 0 ? LANE_HIGH : LANE_NORMAL;
    if (strcmp(status, "sending") == 0 || strcmp(status, "scheduled") == 0) {
        emit_reserved(stage, id, account, lane);
        return tell(stage, campaign, "", err);
    }
    if (strcmp(status, "reserving") != 0 && strcmp(status, "insufficient_tokens") != 0) {
        return true; /* cancelled meanwhile, or long done */
    }
    if (!ledger_hold(db, db_get_int(found, 0, 0), campaign, db_get_int(found, 0, 2), now_ms, &held,
                     err)) {
        return false;
    }
    if (held.held) {
        status = db_get_bool(found, 0, 5) ? "scheduled" : "sending";
        emit_reserved(stage, id, account, lane);
    } else {
        status = "insufficient_tokens";
        snprintf(detail, sizeof detail, "%lld tokens are missing", (long long)held.missing);
    }
    return db_run(db, &set_status,
                  (struct db_value[]){ db_int8(campaign), db_text(status),
                                       db_text(*detail ? detail : NULL), db_time(now_ms) },
                  NULL, err) &&
           tell(stage, campaign, detail, err);
}

static enum verdict handle(struct stage *stage, const struct message *in)
{
    struct campaign_fact fact;
    struct err err;
    int64_t campaign;

    if (!message_read(in,
                      message_is(in, &campaign_launched_v1) ? &campaign_launched_v1
                                                            : &campaign_rendered_v1,
                      &fact, &err)) {
        return stage_fail(stage, &err);
    }
    if (!id_parse("cmp", fact.campaign, &campaign)) {
        return stage_reject(stage, "bad_campaign", "campaign: '%.24s' is no id", fact.campaign);
    }
    return reserve(stage, campaign, &err) ? STAGE_DONE : stage_fail(stage, &err);
}

/* Also those whose message was lost: told to launch, and then nothing happened. */
static const struct db_statement find_affordable = {
    "reserve_find_affordable",
    "SELECT c.id FROM campaigns c LEFT JOIN token_balances b ON b.account_id = c.account_id"
    " WHERE c.status IN ('insufficient_tokens', 'reserving')"
    "   AND ((c.status = 'insufficient_tokens' AND b.available >= c.segments)"
    "        OR (c.status = 'reserving' AND coalesce(c.launched_at, c.rendered_at) <= $2))"
    " ORDER BY c.id LIMIT $1"
    "   FOR UPDATE OF c SKIP LOCKED",
    2
};

/* Tells of transfers, retires tokens whose time is over, and goes on with campaigns whose account
 * was topped up. */
static bool tick(struct stage *stage, struct err *err)
{
    AUTO_DB_RESULT struct db_result *found = NULL;

    if (!transfers_tell(stage, err) ||
        !ledger_expire(stage_db(stage), stage_now_ms(stage), EXPIRED_LOTS_A_TICK, NULL, err) ||
        !db_query(stage_db(stage), &find_affordable,
                  (struct db_value[]){ db_int8(RETRIED_A_TICK),
                                       db_time(stage_now_ms(stage) - LOST_AFTER_MS) },
                  &found, err)) {
        return false;
    }
    for (int i = 0; i < db_rows(found); i++) {
        if (!reserve(stage, db_get_int(found, i, 0), err)) {
            return false;
        }
    }
    return true;
}

static const struct stage_def reserve_tokens_stage = {
    .name = "reserve-tokens",
    .summary = "set the price of a whole campaign aside, or nothing",
    .reads = (const struct shape *const[]){ &campaign_rendered_v1, &campaign_launched_v1, NULL },
    .emits = (const struct shape *const[]){ &campaign_reserved_v1, &campaign_changed_v1,
                                            &tokens_transferred_v1, NULL },
    .deadline_ms = 5000,
    .workers_env = "RESERVE_WORKER_CONCURRENCY",
    .workers_fallback = "1",
    .handle = handle,
    .tick = tick,
};

int main(int argc, char **argv)
{
    return stage_main(&reserve_tokens_stage, argc, argv);
}
