/*
 * reserve-tokens - set the price of a whole campaign aside, or nothing
 *
 * Reads   campaign.rendered.v1, campaign.launched.v1
 * Emits   campaign.reserved.v1, campaign.changed.v1, and from the tick campaign.launched.v1,
 *         campaign.completed.v1, account.alerted.v1 and tokens.transferred.v1
 * Tables  campaigns, alerts, untold_transfers; reads accounts; the ledger's
 *
 * With too few tokens the campaign takes the status insufficient_tokens and says how many are
 * missing. It goes on once the account has as many, whoever granted them: wait.h has the rules.
 * Redelivery does no harm: the hold has the campaign's id, and a campaign that has its hold only
 * tells it again.
 *
 * Retried   the database says so.
 * Rejected  a message that names no campaign.
 */
#include <stdio.h>
#include <string.h>

#include "alerts.h"
#include "base/id.h"
#include "campaign/store.h"
#include "campaign/tell.h"
#include "ledger/ledger.h"
#include "msg/campaign.h"
#include "msg/event.h"
#include "stage/stage.h"
#include "transfers.h"
#include "wait.h"

/* A tick is one short transaction per account; those that are left have their turn next time. */
#define EXPIRING_ACCOUNTS_A_TICK 20
#define EXPIRED_LOTS_A_TICK 100

static const struct conf_item conf_items[] = {
    CONF_MS(struct reserve_conf, overtake_ms, "RESERVE_OVERTAKE", "1h", 0, 2592000000,
            "How long later campaigns of its account may overtake one that waits for tokens."),
    CONF_MS(struct reserve_conf, wait_limit_ms, "RESERVE_WAIT_LIMIT", "168h", 1000, 7776000000,
            "How long a campaign waits for tokens; then it is expired."),
    CONF_INT(
        struct reserve_conf, low_balance, "ALERT_LOW_BALANCE", "50", 0, 1000000000,
        "An account with fewer tokens is alerted, unless it has a number of its own; 0: none."),
    CONF_MS(struct reserve_conf, expiring_ms, "ALERT_EXPIRING", "168h", 0, 7776000000,
            "How long before its tokens expire an account is alerted; 0s: never."),
    CONF_INT(
        struct reserve_conf, spend_factor, "ALERT_SPEND_FACTOR", "5", 0, 1000,
        "An account is alerted when it spends so many times its usual day's tokens; 0: never."),
    CONF_INT(struct reserve_conf, spend_floor, "ALERT_SPEND_FLOOR", "1000", 0, 1000000000,
             "Tokens a day that are never unusual."),
    CONF_END,
};

static const struct db_statement lock_campaign = {
    "reserve_lock_campaign",
    "SELECT c.account_id, c.status, c.segments + c.follow_segments, c.lane, a.slug,"
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
    "       reserved_at = CASE WHEN $2 = 'insufficient_tokens' THEN NULL ELSE $4::timestamptz END,"
    "       waiting_since = CASE WHEN $2 = 'insufficient_tokens'"
    "                            THEN coalesce(waiting_since, $4::timestamptz) END"
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

/* Takes the tokens, or says in detail why it cannot; *out_held tells. */
static bool take(struct stage *stage, int64_t account, int64_t campaign, int64_t segments,
                 bool *out_held, const char **out_detail, struct err *err)
{
    struct arena *arena = stage_arena(stage);
    struct ledger_held held;
    int64_t ahead;

    *out_held = false;
    if (!wait_ahead(stage, campaign, &ahead, err)) {
        return false;
    }
    if (ahead) {
        char id[ID_TEXT_BYTES];

        id_format("cmp", ahead, id);
        *out_detail = arena_printf(arena, "waits behind %s, which lacks tokens", id);
        return true;
    }
    if (!ledger_hold(stage_db(stage), account, campaign, segments, stage_now_ms(stage), &held,
                     err)) {
        return false;
    }
    *out_held = held.held;
    *out_detail =
        held.held ? NULL : arena_printf(arena, "%lld tokens are missing", (long long)held.missing);
    return true;
}

/* Reserves for one campaign whose turn it may be. */
static bool reserve(struct stage *stage, int64_t campaign, struct err *err)
{
    AUTO_DB_RESULT struct db_result *found = NULL;
    struct db *db = stage_db(stage);
    int64_t now_ms = stage_now_ms(stage);
    char id[ID_TEXT_BYTES];
    const char *status, *account, *detail;
    bool held;
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
    if (!take(stage, db_get_int(found, 0, 0), campaign, db_get_int(found, 0, 2), &held, &detail,
              err)) {
        return false;
    }
    if (held) {
        status = db_get_bool(found, 0, 5) ? "scheduled" : "sending";
        emit_reserved(stage, id, account, lane);
    } else {
        status = "insufficient_tokens";
    }
    return db_run(db, &set_status,
                  (struct db_value[]){ db_int8(campaign), db_text(status), db_text(detail),
                                       db_time(now_ms) },
                  NULL, err) &&
           tell(stage, campaign, detail ? detail : "", err);
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

/* Retires tokens whose time is over. Each account's are a transaction, of which nobody is told. */
static bool expire(struct stage *stage, struct err *err)
{
    int64_t lots = 1;

    for (int i = 0; i < EXPIRING_ACCOUNTS_A_TICK && lots > 0; i++) {
        if (!ledger_expire(stage_db(stage), stage_now_ms(stage), EXPIRED_LOTS_A_TICK, &lots, err) ||
            (lots > 0 && !stage_commit(stage, err))) {
            return false;
        }
    }
    return true;
}

static bool start(struct stage *stage, struct err *err)
{
    (void)err;
    stage_set_state(stage, alerts_begin(stage));
    return true;
}

static bool tick(struct stage *stage, struct err *err)
{
    /* What is told is committed with the tick, once it is confirmed: those that commit come first.
     */
    return expire(stage, err) && alerts_tick(stage, stage_state(stage), err) &&
           wait_tick(stage, err) && transfers_tell(stage, err);
}

static const struct stage_def reserve_tokens_stage = {
    .name = "reserve-tokens",
    .summary = "set the price of a whole campaign aside, or nothing",
    .reads = (const struct shape *const[]){ &campaign_rendered_v1, &campaign_launched_v1, NULL },
    .emits = (const struct shape *const[]){ &campaign_reserved_v1, &campaign_changed_v1,
                                            &campaign_launched_v1, &campaign_completed_v1,
                                            &account_alerted_v1, &tokens_transferred_v1, NULL },
    .conf = conf_items,
    .conf_size = sizeof(struct reserve_conf),
    .deadline_ms = 5000,
    .workers_env = "RESERVE_WORKER_CONCURRENCY",
    .workers_fallback = "1",
    .start = start,
    .handle = handle,
    .tick = tick,
};

int main(int argc, char **argv)
{
    return stage_main(&reserve_tokens_stage, argc, argv);
}
