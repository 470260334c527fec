/*
 * split-batches - cut a campaign into batches, a few at a time, and end it
 *
 * Reads   campaign.reserved.v1, campaign.resumed.v1, campaign.cancelled.v1, batch.placed.v1,
 *         batch.done.v1
 * Emits   batch.ready.v1, campaign.resumed.v1 (from the tick), campaign.changed.v1 and
 *         campaign.completed.v1 (also from it)
 * Tables  campaigns, batches; reads recipients; the ledger's when a campaign ends early
 *
 * Only a small window of batches of a campaign is out at once: that makes pause and cancel act
 * within a second and keeps a large campaign from standing before a small one. The campaign's row
 * is locked while it is cut. Redelivery does no harm: each batch row carries the id of the
 * message that caused it (origin), so the same message finds its batches and tells them again.
 *
 * The tick looks at the rows, so whatever a lost message or a crash left standing goes on:
 * scheduled campaigns that are due, campaigns past their expiry, campaigns with nothing out, and
 * campaigns whose recipients stopped coming (these are abandoned). It also tells what nobody else
 * tells: see tell.h.
 *
 * Retried   the database says so. Rejected  a message that names no campaign.
 */
#include <string.h>

#include "base/id.h"
#include "campaign/store.h"
#include "ledger/ledger.h"
#include "msg/campaign.h"
#include "msg/event.h"
#include "stage/stage.h"
#include "tell.h"

/* A rate is cut into this many batches a second, so that a second holds little more than the rate.
 */
#define BATCHES_PER_SECOND 20
#define DUE_A_TICK 100
#define HOUSEKEEPING_EVERY_MS (3600 * 1000)

/* How a channel's campaigns are cut. */
struct cut_conf {
    long batch_size;
    long per_second;
    long window;
};

struct split_conf {
    struct cut_conf cut[2]; /* by enum channel */
};

static const struct conf_item conf_items[] = {
    CONF_INT(struct split_conf, cut[CHANNEL_SMS].batch_size, "SMS_BATCH_SIZE", "500", 1, 1000,
             "Most recipients in a batch; recipients of equal text share a request."),
    CONF_INT(struct split_conf, cut[CHANNEL_SMS].per_second, "SMS_RATE_LIMIT_PER_SECOND", "10", 0,
             1000000, "Recipients a second that may leave over the SMS route; 0 means no limit."),
    CONF_INT(struct split_conf, cut[CHANNEL_SMS].window, "SMS_BATCH_WINDOW", "12", 1, 1000,
             "Batches of one campaign that may be on their way to the provider at once."),
    CONF_INT(struct split_conf, cut[CHANNEL_VOICE].batch_size, "VOICE_BATCH_SIZE", "100", 1, 200,
             "Most recipients in a batch of calls, and in one request for them."),
    CONF_INT(struct split_conf, cut[CHANNEL_VOICE].per_second, "VOICE_RATE_LIMIT_PER_SECOND", "4",
             0, 1000000,
             "Calls a second that may be placed over the voice route; 0 means no limit."),
    CONF_INT(struct split_conf, cut[CHANNEL_VOICE].window, "VOICE_BATCH_WINDOW", "12", 1, 1000,
             "Batches of one campaign whose calls may be waiting to be placed at once."),
    CONF_END,
};

struct split {
    int64_t housekeeping_ms; /* when the tick last did what is due hourly */
};

static bool start(struct stage *stage, struct err *err)
{
    (void)err;
    stage_set_state(stage, arena_alloc(stage_memory(stage), sizeof(struct split)));
    return true;
}

/* A campaign under lock. */
struct campaign {
    int64_t id, account_id;
    const char *status, *account;
    char text_id[ID_TEXT_BYTES];
    enum lane lane;
    enum channel channel;
    int32_t next_seq, next_batch, last_seq;
    int64_t open;  /* batches out */
    int64_t ahead; /* those of them that are still on their way to the provider */
    bool due, expired;
    bool was_scheduled; /* so reserve-tokens told; any other it told to be sending */
    bool begins;        /* its first batch went out, just now or by this message before */
};

static const struct db_statement lock_campaign = {
    "split_lock_campaign",
    "SELECT c.account_id, c.status, a.slug, c.lane, c.next_seq, c.next_batch, c.last_seq,"
    "       coalesce(c.scheduled_at <= $2, true), coalesce(c.expires_at <= $2, false),"
    "       coalesce(c.scheduled_at > c.reserved_at, c.scheduled_at IS NOT NULL), c.channel"
    "  FROM campaigns c JOIN accounts a ON a.id = c.account_id"
    " WHERE c.id = $1"
    "   FOR UPDATE OF c",
    2
};

/* Asked after the lock is held: a statement sees only what was committed when it began. */
static const struct db_statement count_open = {
    "split_count_open",
    "SELECT count(*), count(*) FILTER (WHERE NOT calling)"
    "  FROM batches WHERE campaign_id = $1 AND done_at IS NULL",
    1,
};

static bool lock(struct stage *stage, int64_t id, struct campaign *out_campaign, struct err *err)
{
    AUTO_DB_RESULT struct db_result *found = NULL;
    AUTO_DB_RESULT struct db_result *open = NULL;
    struct db *db = stage_db(stage);

    if (!db_query(db, &lock_campaign,
                  (struct db_value[]){ db_int8(id), db_time(stage_now_ms(stage)) }, &found, err)) {
        return false;
    }
    if (db_rows(found) == 0) {
        return err_permanent(err, "campaign_unknown", "no campaign %lld", (long long)id);
    }
    if (!db_query(db, &count_open, (struct db_value[]){ db_int8(id) }, &open, err)) {
        return false;
    }
    *out_campaign = (struct campaign){
        .id = id,
        .account_id = db_get_int(found, 0, 0),
        .status = arena_strdup(stage_arena(stage), db_get_text(found, 0, 1)),
        .account = arena_strdup(stage_arena(stage), db_get_text(found, 0, 2)),
        .lane = strcmp(db_get_text(found, 0, 3), "high") == 0 ? LANE_HIGH : LANE_NORMAL,
        .next_seq = (int32_t)db_get_int(found, 0, 4),
        .next_batch = (int32_t)db_get_int(found, 0, 5),
        .last_seq = (int32_t)db_get_int(found, 0, 6),
        .due = db_get_bool(found, 0, 7),
        .expired = db_get_bool(found, 0, 8),
        .was_scheduled = db_get_bool(found, 0, 9),
        .channel = strcmp(db_get_text(found, 0, 10), "voice") == 0 ? CHANNEL_VOICE : CHANNEL_SMS,
        .open = db_get_int(open, 0, 0),
        .ahead = db_get_int(open, 0, 1),
    };
    id_format("cmp", id, out_campaign->text_id);
    return true;
}

static void emit_batch(struct stage *stage, struct campaign *campaign, int64_t batch, int64_t size)
{
    campaign->begins |= batch == 1;
    stage_emit_as(
        stage, &batch_ready_v1,
        &(struct batch_fact){ .campaign = campaign->text_id, .batch = batch, .size = size },
        &(struct emission){ .route = channel_words[campaign->channel],
                            .correlation = campaign->text_id,
                            .account = campaign->account,
                            .lane = &campaign->lane });
}

/* What the pacing charges: rows that became no recipient leave gaps in the range. */
#define BATCH_SIZE                                                                                 \
    "(SELECT count(*) FROM recipients r"                                                           \
    "  WHERE r.campaign_id = b.campaign_id AND r.seq BETWEEN b.first_seq AND b.last_seq"           \
    "    AND r.state = 0)"

static const struct db_statement find_origin = {
    "split_find_origin",
    "SELECT batch, " BATCH_SIZE " FROM batches b"
    " WHERE campaign_id = $1 AND origin = $2 ORDER BY batch",
    2,
};

/* Tells again what this very message has caused before. *out_known: it has. */
static bool tell_again(struct stage *stage, struct campaign *campaign, const char *origin,
                       bool *out_known, struct err *err)
{
    AUTO_DB_RESULT struct db_result *found = NULL;

    if (!db_query(stage_db(stage), &find_origin,
                  (struct db_value[]){ db_int8(campaign->id), db_text(origin) }, &found, err)) {
        return false;
    }
    for (int i = 0; i < db_rows(found); i++) {
        emit_batch(stage, campaign, db_get_int(found, i, 0), db_get_int(found, i, 1));
    }
    *out_known = db_rows(found) > 0;
    return true;
}

/*
 * Cuts up to $4 batches of $3 recipients from row $2 on. Rows that became no recipient leave gaps
 * in seq, so the borders are found by counting.
 */
static const struct db_statement cut_batches = {
    "split_cut_batches",
    "WITH rows AS ("
    "    SELECT seq, (row_number() OVER (ORDER BY seq) - 1) / $3 AS nth"
    "      FROM (SELECT seq FROM recipients"
    "             WHERE campaign_id = $1 AND seq >= $2 AND state = 0"
    "             ORDER BY seq LIMIT $3::bigint * $4::bigint) AS next),"
    " cut AS ("
    "    SELECT nth, max(seq) AS last_seq, count(*) AS size FROM rows GROUP BY nth),"
    " made AS ("
    "    INSERT INTO batches (campaign_id, batch, first_seq, last_seq, origin,"
    "                         claimed_seq, recorded_seq)"
    "    SELECT $1, $5 + nth, coalesce(lag(last_seq) OVER up + 1, $2), last_seq, $6,"
    "           coalesce(lag(last_seq) OVER up, $2 - 1), coalesce(lag(last_seq) OVER up, $2 - 1)"
    "      FROM cut"
    "    WINDOW up AS (ORDER BY nth)"
    "    ON CONFLICT DO NOTHING"
    "    RETURNING batch, last_seq)"
    " SELECT made.batch, made.last_seq, cut.size"
    "   FROM made JOIN cut ON cut.last_seq = made.last_seq"
    "  ORDER BY made.batch",
    6
};

static const struct db_statement advance = {
    "split_advance",
    "UPDATE campaigns SET next_seq = $2, next_batch = $3, status = $4,"
    "       started_at = coalesce(started_at, $5)"
    " WHERE id = $1",
    5,
};

/* Fills the window of a campaign that is sending. */
static bool cut(struct stage *stage, struct campaign *campaign, const char *origin, struct err *err)
{
    const struct split_conf *all = stage_conf(stage);
    const struct cut_conf *conf = &all->cut[campaign->channel];
    AUTO_DB_RESULT struct db_result *made = NULL;
    int64_t size = conf->batch_size;
    int64_t room = conf->window - campaign->ahead;

    if (conf->per_second > 0 && size > conf->per_second / BATCHES_PER_SECOND) {
        size = conf->per_second / BATCHES_PER_SECOND;
        size = size > 0 ? size : 1;
    }
    if (room <= 0 || campaign->next_seq > campaign->last_seq) {
        return true;
    }
    if (!db_query(stage_db(stage), &cut_batches,
                  (struct db_value[]){ db_int8(campaign->id), db_int4(campaign->next_seq),
                                       db_int8(size), db_int8(room), db_int4(campaign->next_batch),
                                       db_text(origin) },
                  &made, err)) {
        return false;
    }
    for (int i = 0; i < db_rows(made); i++) {
        emit_batch(stage, campaign, db_get_int(made, i, 0), db_get_int(made, i, 2));
        if (db_get_int(made, i, 1) >= campaign->next_seq) {
            campaign->next_seq = (int32_t)db_get_int(made, i, 1) + 1;
        }
    }
    campaign->open += db_rows(made);
    campaign->next_batch += db_rows(made);
    if (db_rows(made) == 0) {
        campaign->next_seq = campaign->last_seq + 1; /* only gaps were left */
    }
    campaign->status = "sending";
    return db_run(stage_db(stage), &advance,
                  (struct db_value[]){ db_int8(campaign->id), db_int4(campaign->next_seq),
                                       db_int4(campaign->next_batch), db_text(campaign->status),
                                       db_time(stage_now_ms(stage)) },
                  NULL, err);
}

static const struct db_statement end_campaign = {
    "split_end_campaign",
    "UPDATE campaigns SET status = $2, sent_at = $3,"
    "       completed_at = CASE WHEN $2 = 'sent' THEN NULL ELSE $3::timestamptz END"
    " WHERE id = $1",
    3,
};

static const struct db_statement count_doubt = {
    "split_count_doubt",
    "SELECT coalesce(sum(r.segments), 0)::bigint FROM recipients r"
    " WHERE r.campaign_id = $1 AND r.state = 2"
    "   AND EXISTS (SELECT FROM batches b WHERE b.campaign_id = $1 AND b.in_doubt > 0)",
    1,
};

/* Nothing is out and nothing more will be: the campaign ends, unused tokens go back. */
static bool end(struct stage *stage, struct campaign *campaign, const char *status, struct err *err)
{
    AUTO_DB_RESULT struct db_result *doubt = NULL;
    struct db *db = stage_db(stage);

    campaign->status = status;
    if (!db_run(db, &end_campaign,
                (struct db_value[]){ db_int8(campaign->id), db_text(status),
                                     db_time(stage_now_ms(stage)) },
                NULL, err)) {
        return false;
    }
    if (strcmp(status, "sent") != 0 &&
        (!db_query(db, &count_doubt, (struct db_value[]){ db_int8(campaign->id) }, &doubt, err) ||
         !ledger_close(db, campaign->account_id, campaign->id,
                       arena_printf(stage_arena(stage), "%s %s", campaign->text_id, status),
                       db_get_int(doubt, 0, 0), stage_now_ms(stage), err))) {
        return false;
    }
    return tell_campaign(stage, campaign->id, status, 0, err);
}

static const struct db_statement wake_waiting = {
    "split_wake_waiting",
    "WITH woken AS ("
    "    UPDATE batches b SET waiting = false, origin = $2"
    "     WHERE campaign_id = $1 AND waiting AND done_at IS NULL"
    "    RETURNING batch, " BATCH_SIZE " AS size)"
    " SELECT batch, size FROM woken ORDER BY batch",
    2,
};

/* Batches that were set aside while the campaign was paused go out again. */
static bool wake(struct stage *stage, struct campaign *campaign, const char *origin,
                 struct err *err)
{
    AUTO_DB_RESULT struct db_result *woken = NULL;

    if (!db_query(stage_db(stage), &wake_waiting,
                  (struct db_value[]){ db_int8(campaign->id), db_text(origin) }, &woken, err)) {
        return false;
    }
    for (int i = 0; i < db_rows(woken); i++) {
        emit_batch(stage, campaign, db_get_int(woken, i, 0), db_get_int(woken, i, 1));
    }
    return true;
}

static bool is(const struct campaign *campaign, const char *status)
{
    return strcmp(campaign->status, status) == 0;
}

/* Before it starts there is nothing out: these end as soon as their time is over. */
static bool has_not_begun(const struct campaign *campaign)
{
    return is(campaign, "scheduled") || is(campaign, "paused") ||
           is(campaign, "insufficient_tokens");
}

/*
 * How it ended here, by this very message or before; NULL when it has not. Reconcile-dlr may have
 * completed it since.
 */
static const char *ending_of(const struct campaign *campaign)
{
    if (is(campaign, "sent") || (is(campaign, "completed") && campaign->next_batch > 1)) {
        return "sent";
    }
    return is(campaign, "cancelled") || is(campaign, "expired") ? campaign->status : NULL;
}

/* Does for a campaign whatever its row calls for. */
static bool move(struct stage *stage, struct campaign *campaign, const char *origin,
                 struct err *err)
{
    const char *ended = ending_of(campaign);
    bool ending = is(campaign, "cancelling") ||
                  (campaign->expired && (is(campaign, "sending") || has_not_begun(campaign)));

    if (ended) { /* the message may have come again, untold */
        return tell_campaign(stage, campaign->id, ended, 0, err);
    }
    if (ending) {
        /* Batches set aside have to come back to be closed. */
        if (!wake(stage, campaign, origin, err)) {
            return false;
        }
        return campaign->open > 0 ||
               end(stage, campaign, is(campaign, "cancelling") ? "cancelled" : "expired", err);
    }
    if (is(campaign, "scheduled") && campaign->due) {
        campaign->status = "sending";
    }
    if (!is(campaign, "sending")) {
        return true;
    }
    if (!wake(stage, campaign, origin, err) || !cut(stage, campaign, origin, err)) {
        return false;
    }
    return campaign->open > 0 || campaign->next_seq <= campaign->last_seq ||
           end(stage, campaign, "sent", err);
}

static enum verdict handle(struct stage *stage, const struct message *in)
{
    struct campaign campaign;
    struct batch_fact batch;
    struct campaign_fact fact;
    struct err err;
    const char *name;
    int64_t id;
    bool known;

    if (message_is(in, &batch_done_v1) || message_is(in, &batch_placed_v1)) {
        const struct shape *shape =
            message_is(in, &batch_done_v1) ? &batch_done_v1 : &batch_placed_v1;
        if (!message_read(in, shape, &batch, &err)) {
            return stage_fail(stage, &err);
        }
        name = batch.campaign;
    } else {
        const struct shape *shape = message_is(in, &campaign_reserved_v1)  ? &campaign_reserved_v1
                                    : message_is(in, &campaign_resumed_v1) ? &campaign_resumed_v1
                                                                           : &campaign_cancelled_v1;
        if (!message_read(in, shape, &fact, &err)) {
            return stage_fail(stage, &err);
        }
        name = fact.campaign;
    }
    if (!id_parse("cmp", name, &id)) {
        return stage_reject(stage, "bad_campaign", "campaign: '%.24s' is no id", name);
    }
    if (!lock(stage, id, &campaign, &err) || !tell_again(stage, &campaign, in->id, &known, &err) ||
        (!known && !move(stage, &campaign, in->id, &err))) {
        return stage_fail(stage, &err);
    }
    if (campaign.begins && campaign.was_scheduled && is(&campaign, "sending") &&
        !campaign.expired && !tell_campaign(stage, campaign.id, NULL, 0, &err)) {
        return stage_fail(stage, &err);
    }
    return STAGE_DONE;
}

/* What stands still but should not. Messages about it are only hints: handle() looks at the row. */
static const struct db_statement find_due = {
    "split_find_due",
    "SELECT c.id, c.lane, a.slug"
    "  FROM campaigns c JOIN accounts a ON a.id = c.account_id"
    " WHERE c.status IN ('sending', 'cancelling', 'scheduled', 'paused', 'insufficient_tokens')"
    "   AND ((c.status IN ('sending', 'cancelling')"
    "         AND NOT EXISTS (SELECT FROM batches b"
    "                          WHERE b.campaign_id = c.id AND b.done_at IS NULL"
    "                            AND NOT b.waiting"
    "                            AND NOT (b.calling AND c.next_seq <= c.last_seq)))"
    "        OR (c.status = 'scheduled' AND c.scheduled_at <= $1)"
    "        OR (c.status IN ('scheduled', 'paused', 'insufficient_tokens')"
    "            AND c.expires_at <= $1))"
    " ORDER BY c.id LIMIT $2",
    2
};

/* An upload's ingress says how long to wait for it; whoever sends in chunks has a day. */
static const struct db_statement abandon_broken = {
    "split_abandon_broken",
    "UPDATE campaigns SET status = 'abandoned', detail = 'its recipients never came whole',"
    "       completed_at = now(), untold_at = now()"
    " WHERE id IN (SELECT id FROM campaigns"
    "               WHERE status = 'receiving'"
    "                 AND coalesce(receiving_until, created_at + interval '24 hours') < now()"
    "                 FOR UPDATE SKIP LOCKED)",
    0,
};
static const struct db_statement forget_keys = {
    "split_forget_keys",
    "DELETE FROM idempotency_keys WHERE created_at < now() - interval '24 hours'",
    0,
};
static const struct db_statement make_partitions = {
    "split_make_partitions",
    "SELECT ensure_partitions()",
    0,
};

static bool keep_house(struct stage *stage, struct err *err)
{
    struct split *split = stage_state(stage);
    int64_t now_ms = stage_now_ms(stage);

    if (split->housekeeping_ms && now_ms - split->housekeeping_ms < HOUSEKEEPING_EVERY_MS) {
        return true;
    }
    if (!db_run(stage_db(stage), &forget_keys, NULL, NULL, err) ||
        !db_run(stage_db(stage), &make_partitions, NULL, NULL, err)) {
        return false;
    }
    split->housekeeping_ms = now_ms;
    return true;
}

static bool tick(struct stage *stage, struct err *err)
{
    AUTO_DB_RESULT struct db_result *due = NULL;
    int64_t now_ms = stage_now_ms(stage);

    /* Tells what is committed, so that a repeated tick finds the same times. */
    if (!tell_untold(stage, err) || !keep_house(stage, err) ||
        !db_run(stage_db(stage), &abandon_broken, NULL, NULL, err) ||
        !db_query(stage_db(stage), &find_due,
                  (struct db_value[]){ db_time(now_ms), db_int8(DUE_A_TICK) }, &due, err)) {
        return false;
    }
    for (int i = 0; i < db_rows(due); i++) {
        enum lane lane = strcmp(db_get_text(due, i, 1), "high") == 0 ? LANE_HIGH : LANE_NORMAL;
        char id[ID_TEXT_BYTES];

        id_format("cmp", db_get_int(due, i, 0), id);
        /* The time is part of the key: the id is the origin of what it causes. */
        stage_emit_as(stage, &campaign_resumed_v1, &(struct campaign_fact){ id },
                      &(struct emission){
                          .key = arena_printf(stage_arena(stage), "%s %lld", id, (long long)now_ms),
                          .correlation = id,
                          .account = db_get_text(due, i, 2),
                          .lane = &lane });
    }
    return true;
}

static const struct stage_def split_batches_stage = {
    .name = "split-batches",
    .summary = "cut a campaign into batches, a few at a time, and end it",
    .reads = (const struct shape *const[]){ &campaign_reserved_v1, &campaign_resumed_v1,
                                            &campaign_cancelled_v1, &batch_placed_v1,
                                            &batch_done_v1, NULL },
    .emits = (const struct shape *const[]){ &batch_ready_v1, &campaign_resumed_v1,
                                            &campaign_changed_v1, &campaign_completed_v1, NULL },
    .conf = conf_items,
    .conf_size = sizeof(struct split_conf),
    .deadline_ms = 5000,
    .workers_env = "SPLIT_WORKER_CONCURRENCY",
    .workers_fallback = "1",
    .start = start,
    .handle = handle,
    .tick = tick,
};

int main(int argc, char **argv)
{
    return stage_main(&split_batches_stage, argc, argv);
}
