/*
 * reconcile-dlr - what the provider tells afterwards decides what became of each recipient
 *
 * Reads   delivery.reported.v1, sms.received.v1, call.reported.v1, callback.misread.v1
 * Emits   campaign.completed.v1; campaign.reserved.v1 and campaign.changed.v1 for a follow-up whose
 *         first is over
 * Tables  recipients, batches, campaigns, campaign_chunks, campaign_rejects, calls, call_keys,
 *         unmatched_reports, unmatched_calls, odd_callbacks, inbound_messages, suppressions,
 *         network_usage; the ledger's
 *
 * Redelivery does no harm: a report is applied only to a recipient in the state before it, so the
 * second time it finds it said already; the other tables have unique keys. A call's end counts when
 * its row in calls is new, and never again; see calls.h.
 *
 * Reports come late, twice, out of order, before the answer to their request is stored, with words
 * nobody knows. Progress words change nothing; unknown words are kept in odd_callbacks and
 * counted; a report without recipient is tried again (sweep.h) and may be the evidence that
 * resolves a recipient in doubt.
 *
 * Tokens of messages are taken for what the provider accepted. Where REFUND_FAILED_REPORTS or the
 * account says so, a report of failure gives them back, once, in the same transaction; see
 * refund.h. Tokens of calls are taken when a recipient's last call has ended, for the minutes that
 * began; the rest of what was held goes back. A call nobody reports the end of is given up by the
 * clock.
 *
 * When a campaign is over, the one that follows it loses whoever it is not for and begins, or ends
 * if nobody is left; see lib/campaign/follow_up.h. A tick that is lost tells the same again.
 *
 * Retried   the database says so. Rejected  never for what a provider wrote.
 */
#include <string.h>

#include "base/id.h"
#include "calls.h"
#include "msg/event.h"
#include "msg/report.h"
#include "stage/stage.h"
#include "sweep.h"

static const struct conf_item conf_items[] = {
    CONF_MS(struct reconcile_conf, doubt_after_ms, "RECONCILE_DOUBT_AFTER", "5s", 0, 86400000,
            "Age from which a report without recipient may be about one in doubt."),
    CONF_MS(struct reconcile_conf, unmatched_for_ms, "RECONCILE_UNMATCHED_FOR", "24h", 1000,
            2592000000, "How long a report without recipient is tried again."),
    CONF_MS(struct reconcile_conf, no_report_ms, "RECONCILE_NO_REPORT_AFTER", "72h", 1000,
            2592000000, "How long after its last batch a campaign waits for missing reports."),
    CONF_MS(struct reconcile_conf, doubt_deadline_ms, "RECONCILE_DOUBT_DEADLINE", "72h", 1000,
            2592000000, "How long a recipient may be in doubt before it counts as failed."),
    CONF_BOOL(struct reconcile_conf, refund_failed, "REFUND_FAILED_REPORTS", "off",
              "Give tokens back when a report says failed or expired; an account may differ."),
    CONF_INT(struct reconcile_conf, call_attempts, "VOICE_JOB_ATTEMPTS", "3", 1, 100,
             "Calls to a recipient who does not answer, where the campaign does not say."),
    CONF_INT(struct reconcile_conf, call_backoff_ms, "VOICE_JOB_BACKOFF_MS", "15000", 1, 3600000,
             "Pause before the second of these calls, ms; doubles with each."),
    CONF_MS(struct reconcile_conf, call_report_ms, "CALL_REPORT_DEADLINE", "1h", 1000, 604800000,
            "How long the end of a call may stay untold before its recipient counts as expired."),
    CONF_END,
};

static const struct db_statement keep_odd = {
    "reconcile_keep_odd",
    "INSERT INTO odd_callbacks (origin, provider, kind, why, raw, received_at)"
    " VALUES ($1, $2, $3, $4, $5, $6)"
    " ON CONFLICT ON CONSTRAINT odd_callbacks_once DO NOTHING",
    6
};

static const char *or_empty(const char *text)
{
    return text ? text : "";
}

static void count_unknown(struct stage *stage)
{
    metric_add(metrics_counter(stage_metrics(stage), "odd_callbacks_total",
                               "Callbacks nobody could read or place.", "why=\"unknown_status\""),
               1);
}

static bool keep_unknown(struct stage *stage, const struct message *in, size_t index,
                         const char *provider, const struct delivery_report *report,
                         struct err *err)
{
    struct arena *arena = stage_arena(stage);

    count_unknown(stage);
    return db_run(stage_db(stage), &keep_odd,
                  (struct db_value[]){
                      db_text(arena_printf(arena, "%s %zu", in->id, index)), db_text(provider),
                      db_text("delivery"), db_text("unknown_status"),
                      db_text(arena_printf(
                          arena, "id=%s&phoneNumber=%s&status=%s&networkCode=%s&failureReason=%s",
                          report->id, or_empty(report->phone), report->status,
                          or_empty(report->network), or_empty(report->reason))),
                      db_time(report->received_ms) },
                  NULL, err);
}

static void count_reports(struct stage *stage, const struct applied *applied, size_t progress)
{
    struct metrics *metrics = stage_metrics(stage);
    static const char name[] = "reports_total";
    static const char help[] = "Delivery reports by what they did.";

    metric_add(metrics_counter(metrics, name, help, "what=\"applied\""), applied->changed);
    metric_add(metrics_counter(metrics, name, help, "what=\"known\""), applied->known);
    metric_add(metrics_counter(metrics, name, help, "what=\"unmatched\""),
               (int64_t)applied->unmatched);
    metric_add(metrics_counter(metrics, name, help, "what=\"progress\""), (int64_t)progress);
}

static void count_calls(struct stage *stage, const struct call *calls, size_t count)
{
    static const char *const labels[] = { [CALL_APPLIED] = "what=\"applied\"",
                                          [CALL_KNOWN] = "what=\"known\"",
                                          [CALL_WAITS] = "what=\"unmatched\"" };

    for (size_t i = 0; i < count; i++) {
        metric_add(metrics_counter(stage_metrics(stage), "call_reports_total",
                                   "Reports of calls by what they did.", labels[calls[i].fate]),
                   1);
    }
}

/* The reports of the messages in hand that say how a message ended, and all about calls. */
struct gathered {
    struct report *reports;
    size_t count;
    size_t progress; /* those that say it is still on its way */
    struct call *calls;
    size_t call_count;
};

static bool gather_reports(struct stage *stage, const struct message *in, size_t index,
                           const struct delivery_reported *told, struct gathered *gathered,
                           struct err *err)
{
    const struct delivery_report *raw = (const struct delivery_report *)told->reports.items + index;
    enum report_state state = at_report_state(raw->status);

    if (state == REPORT_PROGRESS) {
        gathered->progress++;
    } else if (state == REPORT_UNKNOWN) {
        return keep_unknown(stage, in, index, told->provider, raw, err);
    } else {
        gathered->reports[gathered->count++] =
            (struct report){ .id = raw->id,
                             .msisdn = apply_msisdn(or_empty(raw->phone)),
                             .state = state,
                             .status = raw->status,
                             .network = or_empty(raw->network),
                             .reason = or_empty(raw->reason),
                             .received_ms = raw->received_ms };
    }
    return true;
}

/* Words that nobody knows are decided by default; a person may know better. */
static bool keep_unknown_call(struct stage *stage, const struct message *in,
                              const struct call *call, struct err *err)
{
    count_unknown(stage);
    return db_run(stage_db(stage), &keep_odd,
                  (struct db_value[]){ db_text(in->id), db_text(call->provider), db_text("voice"),
                                       db_text("unknown_status"),
                                       db_text(call_raw(call, stage_arena(stage))),
                                       db_time(call->received_ms) },
                  NULL, err);
}

static bool gather_call(struct stage *stage, const struct message *in, struct gathered *gathered,
                        struct err *err)
{
    struct call *call = &gathered->calls[gathered->call_count];
    struct call_reported told;

    if (!message_read(in, &call_reported_v1, &told, err)) {
        return false;
    }
    call_read(&told, call);
    gathered->call_count++;
    return !call->ended || call->end.known || keep_unknown_call(stage, in, call, err);
}

static const struct db_statement lock_accounts = {
    "reconcile_lock_accounts",
    "SELECT FROM token_balances b"
    " WHERE b.account_id IN (SELECT c.account_id FROM campaigns c"
    "                         WHERE c.id = ANY ($1::bigint[]) OR c.id = ANY ($2::bigint[]))"
    " ORDER BY b.account_id FOR UPDATE OF b",
    2,
};

/* What was read of calls and of messages is booked one after the other: lock for both in order. */
static bool book(struct stage *stage, struct refunds *refunds, const struct callees *callees,
                 struct err *err)
{
    AUTO_DB_RESULT struct db_result *locked = NULL;
    const struct reconcile_conf *conf = stage_conf(stage);
    struct arena *arena = stage_arena(stage);
    struct db *db = stage_db(stage);
    int64_t *refunded, *called;
    size_t refunded_count = refunds_campaigns(refunds, &refunded);
    size_t called_count = callees_campaigns(callees, arena, &called);

    return (refunded_count == 0 || called_count == 0 ||
            db_query(db, &lock_accounts,
                     (struct db_value[]){ db_int8s(refunded, refunded_count),
                                          db_int8s(called, called_count) },
                     &locked, err)) &&
           callees_book(db, callees, stage_now_ms(stage), arena, err) &&
           refunds_book(db, refunds, conf->refund_failed, stage_now_ms(stage), err);
}

static bool apply(struct stage *stage, const struct gathered *gathered, struct err *err)
{
    const struct reconcile_conf *conf = stage_conf(stage);
    int64_t now_ms = stage_now_ms(stage);
    struct applied applied;
    struct callees callees;
    struct arena *arena = stage_arena(stage);
    struct db *db = stage_db(stage);
    struct refunds *refunds = refunds_begin(arena);

    if (!apply_reports(db, gathered->reports, gathered->count, now_ms, refunds, arena, &applied,
                       err) ||
        !sweep_keep(db, gathered->reports, &applied, arena, err) ||
        !apply_opt_outs(db, gathered->reports, gathered->count, arena, err) ||
        !calls_apply(db, conf, gathered->calls, gathered->call_count, now_ms, arena, &callees,
                     err) ||
        !calls_keep(db, gathered->calls, gathered->call_count, now_ms, err) ||
        !book(stage, refunds, &callees, err)) {
        return false;
    }
    count_reports(stage, &applied, gathered->progress);
    count_calls(stage, gathered->calls, gathered->call_count);
    return true;
}

static const struct db_statement keep_inbound = {
    "reconcile_keep_inbound",
    "INSERT INTO inbound_messages (id, provider, provider_id, sender, recipient, text, link_id,"
    "                              network, provider_date, received_at)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
    " ON CONFLICT ON CONSTRAINT inbound_messages_once DO NOTHING",
    10
};

static bool take_inbound(struct stage *stage, const struct message *in, struct err *err)
{
    struct sms_received sms;

    return message_read(in, &sms_received_v1, &sms, err) &&
           db_run(stage_db(stage), &keep_inbound,
                  (struct db_value[]){ db_int8(id_create(stage_now_ms(stage))),
                                       db_text(sms.provider), db_text(sms.id), db_text(sms.from),
                                       db_text(or_empty(sms.to)), db_text(or_empty(sms.text)),
                                       db_text(or_empty(sms.link_id)),
                                       db_text(or_empty(sms.network)), db_text(or_empty(sms.date)),
                                       db_time(sms.received_ms) },
                  NULL, err);
}

static bool take_misread(struct stage *stage, const struct message *in, struct err *err)
{
    struct callback_misread odd;

    return message_read(in, &callback_misread_v1, &odd, err) &&
           db_run(stage_db(stage), &keep_odd,
                  (struct db_value[]){
                      db_text(in->id), db_text(odd.provider), db_text(odd.kind),
                      db_text(arena_printf(stage_arena(stage), "misread: %s", or_empty(odd.why))),
                      db_text(or_empty(odd.raw)), db_time(odd.received_ms) },
                  NULL, err);
}

/* Reads what a message says; reports are gathered, all else is stored at once. */
static bool take(struct stage *stage, const struct message *in, struct delivery_reported *told,
                 struct gathered *gathered, struct err *err)
{
    if (message_is(in, &delivery_reported_v1)) {
        return message_read(in, &delivery_reported_v1, told, err);
    }
    if (message_is(in, &call_reported_v1)) {
        return gather_call(stage, in, gathered, err);
    }
    return message_is(in, &sms_received_v1) ? take_inbound(stage, in, err)
                                            : take_misread(stage, in, err);
}

static enum verdict handle_many(struct stage *stage, const struct message *const *in, size_t count)
{
    struct delivery_reported *told = arena_array(stage_arena(stage), count, sizeof *told);
    struct gathered gathered = {
        .calls = arena_array(stage_arena(stage), count, sizeof *gathered.calls),
    };
    size_t most = 0;
    struct err err;

    for (size_t m = 0; m < count; m++) {
        if (!take(stage, in[m], &told[m], &gathered, &err)) {
            return stage_fail(stage, &err);
        }
        most += told[m].reports.count;
    }
    gathered.reports = arena_array(stage_arena(stage), most + 1, sizeof *gathered.reports);
    for (size_t m = 0; m < count; m++) {
        for (size_t i = 0; i < told[m].reports.count; i++) {
            if (!gather_reports(stage, in[m], i, &told[m], &gathered, &err)) {
                return stage_fail(stage, &err);
            }
        }
    }
    return apply(stage, &gathered, &err) ? STAGE_DONE : stage_fail(stage, &err);
}

static bool tick(struct stage *stage, struct err *err)
{
    return sweep_tick(stage, stage_conf(stage), err);
}

static const struct stage_def reconcile_dlr_stage = {
    .name = "reconcile-dlr",
    .summary = "what the provider tells afterwards decides what became of each recipient",
    .reads = (const struct shape *const[]){ &delivery_reported_v1, &sms_received_v1,
                                            &call_reported_v1, &callback_misread_v1, NULL },
    .emits = (const struct shape *const[]){ &campaign_completed_v1, &campaign_changed_v1,
                                            &campaign_reserved_v1, NULL },
    .conf = conf_items,
    .conf_size = sizeof(struct reconcile_conf),
    .deadline_ms = 10000,
    .workers_env = "RECONCILE_WORKER_CONCURRENCY",
    .workers_fallback = "2",
    .shares_lanes = true, /* reports have no lane of their own */
    .prefetch = 64,
    .handle_many = handle_many,
    .together_ms = 100,
    .together = 32, /* one update of a thousand rows costs half of ten of a hundred */
    .tick = tick,
};

int main(int argc, char **argv)
{
    return stage_main(&reconcile_dlr_stage, argc, argv);
}
