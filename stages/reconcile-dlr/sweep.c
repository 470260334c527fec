/*
 * sweep - what the reports' stage looks after by the clock
 */
#include "sweep.h"

#include <string.h>

#include "base/id.h"
#include "calls.h"
#include "campaign/follow_up.h"
#include "campaign/store.h"
#include "campaign/tell.h"
#include "ledger/ledger.h"
#include "msg/event.h"
#include "usage/usage.h"

#define UNMATCHED_A_TICK 500
#define COMPLETED_A_TICK 100
#define SORTED_A_TICK 20 /* steps of some thousand rows */
#define DOUBTS_A_TICK 500
#define COUNTED_A_TICK 20000 /* recipients, by network: a few hundredths of a second */

static const struct db_statement keep_reports = {
    "sweep_keep",
    "INSERT INTO unmatched_reports (provider_id, msisdn, status, network, reason, received_at,"
    "                               next_try_at)"
    " SELECT id, msisdn, status, network, reason, at, now() + interval '1 second'"
    "   FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[],"
    "               $6::timestamptz[]) AS u(id, msisdn, status, network, reason, at)"
    " ON CONFLICT ON CONSTRAINT unmatched_reports_once DO NOTHING",
    6
};

bool sweep_keep(struct db *db, const struct report *reports, const struct applied *applied,
                struct arena *arena, struct err *err)
{
    size_t n = applied->unmatched;
    const char **texts[4];
    int64_t *msisdns = arena_array(arena, n + 1, sizeof *msisdns);
    int64_t *times = arena_array(arena, n + 1, sizeof *times);

    if (n == 0) {
        return true;
    }
    for (size_t c = 0; c < 4; c++) {
        texts[c] = arena_array(arena, n, sizeof *texts[c]);
    }
    for (size_t i = 0; i < n; i++) {
        const struct report *report = &reports[applied->which[i]];

        texts[0][i] = report->id;
        texts[1][i] = report->status;
        texts[2][i] = report->network;
        texts[3][i] = report->reason;
        msisdns[i] = report->msisdn;
        times[i] = report->received_ms;
    }
    return db_run(db, &keep_reports,
                  (struct db_value[]){ db_texts(texts[0], n), db_int8s(msisdns, n),
                                       db_texts(texts[1], n), db_texts(texts[2], n),
                                       db_texts(texts[3], n), db_times(times, n) },
                  NULL, err);
}

static const struct db_statement find_unmatched = {
    "sweep_find_unmatched",
    "SELECT id, provider_id, coalesce(msisdn, 0), status, network, reason, received_at"
    "  FROM unmatched_reports WHERE next_try_at <= now()"
    " ORDER BY next_try_at LIMIT $1 FOR UPDATE SKIP LOCKED",
    1
};
static const struct db_statement forget_unmatched = {
    "sweep_forget_unmatched",
    "DELETE FROM unmatched_reports WHERE id = ANY ($1::bigint[])",
    1,
};
/* Twice as long each time, ten minutes at most: the wait so far is the next wait. */
static const struct db_statement postpone_unmatched = {
    "sweep_postpone_unmatched",
    "UPDATE unmatched_reports"
    "   SET tries = tries + 1,"
    "       next_try_at = now() + least(interval '10 minutes',"
    "                                   interval '1 second' * (2 ^ least(tries, 10)))"
    " WHERE id = ANY ($1::bigint[])",
    1
};
static const struct db_statement orphan_unmatched = {
    "sweep_orphan_unmatched",
    "INSERT INTO odd_callbacks (origin, provider, kind, why, raw, received_at)"
    " SELECT 'unmatched ' || id, 'africastalking', 'delivery', 'orphan',"
    "        format('id=%s&phoneNumber=%s&status=%s&networkCode=%s&failureReason=%s',"
    "               provider_id, msisdn, status, network, reason), received_at"
    "   FROM unmatched_reports WHERE id = ANY ($1::bigint[])"
    " ON CONFLICT ON CONSTRAINT odd_callbacks_once DO NOTHING",
    1
};

/* Ids of unmatched_reports by what becomes of them. */
struct fates {
    int64_t *gone, *later, *orphans;
    size_t gone_count, later_count, orphan_count;
};

static bool write_fates(struct db *db, const struct fates *fates, struct err *err)
{
    struct db_value gone = db_int8s(fates->gone, fates->gone_count);
    struct db_value later = db_int8s(fates->later, fates->later_count);
    struct db_value orphans = db_int8s(fates->orphans, fates->orphan_count);

    return db_run(db, &orphan_unmatched, &orphans, NULL, err) &&
           db_run(db, &forget_unmatched, &orphans, NULL, err) &&
           db_run(db, &forget_unmatched, &gone, NULL, err) &&
           db_run(db, &postpone_unmatched, &later, NULL, err);
}

static struct report *read_unmatched(const struct db_result *found, struct arena *arena)
{
    struct report *reports = arena_array(arena, (size_t)db_rows(found) + 1, sizeof *reports);

    for (int i = 0; i < db_rows(found); i++) {
        reports[i] = (struct report){
            .id = db_get_text(found, i, 1),
            .msisdn = db_get_int(found, i, 2),
            .status = db_get_text(found, i, 3),
            .network = db_get_text(found, i, 4),
            .reason = db_get_text(found, i, 5),
            .received_ms = db_get_time(found, i, 6),
        };
        reports[i].state = at_report_state(reports[i].status);
    }
    return reports;
}

/* True when the report at index i of the unsorted copy is among those that found nobody. */
static bool is_unmatched(const struct report *report, const struct report *sorted,
                         const struct applied *applied)
{
    for (size_t i = 0; i < applied->unmatched; i++) {
        if (strcmp(sorted[applied->which[i]].id, report->id) == 0) {
            return true;
        }
    }
    return false;
}

static bool decide(struct stage *stage, const struct report *report, int64_t row, bool unmatched,
                   struct refunds *refunds, struct fates *fates, struct err *err)
{
    const struct reconcile_conf *conf = stage_conf(stage);
    int64_t age_ms = stage_now_ms(stage) - report->received_ms;
    bool matched = !unmatched;

    if (unmatched && age_ms >= conf->doubt_after_ms &&
        !apply_to_doubt(stage_db(stage), report, stage_now_ms(stage), refunds, stage_arena(stage),
                        &matched, err)) {
        return false;
    }
    if (matched) {
        fates->gone[fates->gone_count++] = row;
    } else if (age_ms >= conf->unmatched_for_ms) {
        fates->orphans[fates->orphan_count++] = row;
    } else {
        fates->later[fates->later_count++] = row;
    }
    return true;
}

static bool retry_unmatched(struct stage *stage, const struct reconcile_conf *conf, struct err *err)
{
    AUTO_DB_RESULT struct db_result *found = NULL;
    struct arena *arena = stage_arena(stage);
    struct db *db = stage_db(stage);
    struct refunds *refunds = refunds_begin(arena);
    struct report *reports, *sorted;
    struct applied applied;
    struct fates fates = { 0 };
    size_t n;

    if (!db_query(db, &find_unmatched, (struct db_value[]){ db_int8(UNMATCHED_A_TICK) }, &found,
                  err)) {
        return false;
    }
    n = (size_t)db_rows(found);
    if (n == 0) {
        return true;
    }
    reports = read_unmatched(found, arena);
    sorted = arena_array(arena, n, sizeof *sorted);
    memcpy(sorted, reports, n * sizeof *sorted);
    fates.gone = arena_array(arena, n, sizeof *fates.gone);
    fates.later = arena_array(arena, n, sizeof *fates.later);
    fates.orphans = arena_array(arena, n, sizeof *fates.orphans);
    if (!apply_reports(db, sorted, n, stage_now_ms(stage), refunds, arena, &applied, err)) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (!decide(stage, &reports[i], db_get_int(found, (int)i, 0),
                    is_unmatched(&reports[i], sorted, &applied), refunds, &fates, err)) {
            return false;
        }
    }
    return apply_opt_outs(db, reports, n, arena, err) && write_fates(db, &fates, err) &&
           refunds_book(db, refunds, conf->refund_failed, stage_now_ms(stage), err);
}

/*
 * A recipient nobody reported on in time is given up; what it would have cost goes back. From the
 * few batches in doubt to their recipients: the planner, left a plain join and the limit, walks
 * through all recipients in order instead. In the order in which the ledger wants its accounts.
 */
static const struct db_statement find_old_doubts = {
    "sweep_find_old_doubts",
    "SELECT d.campaign_id, d.seq, d.batch, d.segments, d.account_id FROM ("
    "SELECT r.campaign_id, r.seq, r.batch, r.segments, c.account_id"
    "  FROM batches b"
    "  JOIN campaigns c ON c.id = b.campaign_id AND c.channel = 'sms'"
    " CROSS JOIN LATERAL (SELECT campaign_id, seq, batch, segments FROM recipients x"
    "                      WHERE x.campaign_id = b.campaign_id"
    "                        AND x.seq BETWEEN b.first_seq AND b.last_seq"
    "                        AND x.state = 2 AND x.sent_at <= $1"
    "                      ORDER BY x.seq LIMIT $2 FOR UPDATE SKIP LOCKED) r"
    " WHERE b.in_doubt > 0"
    " LIMIT $2) d ORDER BY d.account_id, d.campaign_id, d.seq",
    2
};
static const struct db_statement give_up_doubt = {
    "sweep_give_up_doubt",
    "WITH given_up AS ("
    "    UPDATE recipients SET state = 5, final_at = now(), reason = 'answer_lost'"
    "     WHERE campaign_id = $1 AND seq = $2 AND state = 2"
    " RETURNING segments)"
    " UPDATE batches"
    "    SET in_doubt = in_doubt - 1, failed = failed + 1, released = released + segments,"
    "        settled_at = CASE WHEN done_at IS NOT NULL AND sent = 0 AND in_doubt = 1 THEN now() "
    "END"
    "   FROM given_up"
    "  WHERE campaign_id = $1 AND batch = $3",
    3
};

/* The rows first and then the ledger's, as everybody locks them. */
static bool settle_doubts(struct stage *stage, const struct reconcile_conf *conf, struct err *err)
{
    AUTO_DB_RESULT struct db_result *found = NULL;
    struct db *db = stage_db(stage);
    int64_t now_ms = stage_now_ms(stage);

    if (!db_query(db, &find_old_doubts,
                  (struct db_value[]){ db_time(now_ms - conf->doubt_deadline_ms),
                                       db_int8(DOUBTS_A_TICK) },
                  &found, err)) {
        return false;
    }
    for (int i = 0; i < db_rows(found); i++) {
        if (!db_run(db, &give_up_doubt,
                    (struct db_value[]){ db_int8(db_get_int(found, i, 0)),
                                         db_int4((int32_t)db_get_int(found, i, 1)),
                                         db_int4((int32_t)db_get_int(found, i, 2)) },
                    NULL, err)) {
            return false;
        }
    }
    for (int i = 0; i < db_rows(found); i++) {
        int64_t campaign = db_get_int(found, i, 0);

        if (!ledger_settle(db, db_get_int(found, i, 4), campaign,
                           arena_printf(stage_arena(stage), "%lld/doubt/%lld", (long long)campaign,
                                        (long long)db_get_int(found, i, 1)),
                           0, db_get_int(found, i, 3), now_ms, err)) {
            return false;
        }
    }
    return true;
}

static bool tell_campaign(struct stage *stage, int64_t id, const struct shape *shape,
                          struct err *err)
{
    struct arena *arena = stage_arena(stage);
    const struct campaign_event *event;
    struct campaign_view view;
    bool found;

    if (!campaign_find(stage_db(stage), 0, id, arena, &view, &found, err)) {
        return false;
    }
    event = campaign_tell(&view, NULL, NULL, stage_now_ms(stage), arena);
    stage_emit_as(
        stage, shape, event,
        &(struct emission){ .key = arena_printf(arena, "%s %s", event->campaign, event->status),
                            .correlation = event->campaign,
                            .account = event->account });
    return true;
}

/* Past the deadline for reports a campaign ends with what is known; late reports still count. */
static const struct db_statement complete_campaigns = {
    "sweep_complete_campaigns",
    "UPDATE campaigns SET status = 'completed', completed_at = $1"
    " WHERE id IN (SELECT c.id FROM campaigns c"
    "               WHERE c.status = 'sent'"
    "                 AND (c.sent_at <= $2"
    "                      OR NOT EXISTS (SELECT FROM batches b"
    "                                      WHERE b.campaign_id = c.id AND b.settled_at IS NULL))"
    "               ORDER BY c.id LIMIT $3 FOR UPDATE SKIP LOCKED)"
    " RETURNING id",
    3
};

static bool complete(struct stage *stage, const struct reconcile_conf *conf, struct err *err)
{
    AUTO_DB_RESULT struct db_result *done = NULL;
    int64_t now_ms = stage_now_ms(stage);

    if (!db_query(stage_db(stage), &complete_campaigns,
                  (struct db_value[]){ db_time(now_ms), db_time(now_ms - conf->no_report_ms),
                                       db_int8(COMPLETED_A_TICK) },
                  &done, err)) {
        return false;
    }
    for (int i = 0; i < db_rows(done); i++) {
        if (!tell_campaign(stage, db_get_int(done, i, 0), &campaign_completed_v1, err)) {
            return false;
        }
    }
    return true;
}

/* Takes whom they are not for out of follow-ups; nobody is told of it. */
static bool sort_follow_ups(struct stage *stage, struct err *err)
{
    bool some = true;

    for (int i = 0; i < SORTED_A_TICK && some; i++) {
        if (!follow_up_sort(stage_db(stage), &some, err) || !stage_commit(stage, err)) {
            return false;
        }
    }
    return true;
}

static bool begin_follow_ups(struct stage *stage, struct err *err)
{
    const struct follow_up_begun *begun;
    size_t count;

    if (!follow_up_begin(stage_db(stage), stage_now_ms(stage), stage_arena(stage), &begun, &count,
                         err)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        const char *status = begun[i].status;
        char id[ID_TEXT_BYTES];

        id_format("cmp", begun[i].id, id);
        if (status != NULL && strcmp(status, "sending") == 0) {
            stage_emit_as(stage, &campaign_reserved_v1, &(struct campaign_fact){ id },
                          &(struct emission){ .key = id,
                                              .correlation = id,
                                              .account = begun[i].account,
                                              .lane = &begun[i].lane });
        }
        if (status != NULL &&
            !tell_campaign(stage, begun[i].id,
                           campaign_status_is_final(status) ? &campaign_completed_v1
                                                            : &campaign_changed_v1,
                           err)) {
            return false;
        }
    }
    return true;
}

bool sweep_tick(struct stage *stage, const struct reconcile_conf *conf, struct err *err)
{
    struct db *db = stage_db(stage);
    struct arena *arena = stage_arena(stage);

    /* Nobody is told of the first: their accounts need not wait for the confirms of the last. */
    return retry_unmatched(stage, conf, err) && stage_commit(stage, err) &&
           settle_doubts(stage, conf, err) && stage_commit(stage, err) &&
           calls_retry(db, conf, stage_now_ms(stage), arena, err) && stage_commit(stage, err) &&
           calls_give_up(db, conf, stage_now_ms(stage), arena, err) && stage_commit(stage, err) &&
           usage_count(stage_db(stage), COUNTED_A_TICK, stage_now_ms(stage) - conf->no_report_ms,
                       NULL, err) &&
           stage_commit(stage, err) && sort_follow_ups(stage, err) &&
           /* What is told is committed with the tick, once it is confirmed. */
           complete(stage, conf, err) && begin_follow_ups(stage, err);
}
