/*
 * reconcile-dlr - what the provider tells afterwards decides what became of each recipient
 *
 * Reads   delivery.reported.v1, sms.received.v1, callback.misread.v1
 * Emits   campaign.completed.v1
 * Tables  recipients, batches, campaigns, unmatched_reports, odd_callbacks, inbound_messages,
 *         suppressions; the ledger's
 *
 * Redelivery does no harm: a report is applied only to a recipient in the state before it, so the
 * second time it finds it said already; the other tables have unique keys.
 *
 * Reports come late, twice, out of order, before the answer to their request is stored, with words
 * nobody knows. Progress words change nothing; unknown words are kept in odd_callbacks and
 * counted; a report without recipient is tried again (sweep.h) and may be the evidence that
 * resolves a recipient in doubt.
 *
 * Retried   the database says so. Rejected  never for what a provider wrote.
 */
#include <string.h>

#include "base/id.h"
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

static bool keep_unknown(struct stage *stage, const struct message *in, size_t index,
                         const char *provider, const struct delivery_report *report,
                         struct err *err)
{
    struct arena *arena = stage_arena(stage);

    metric_add(metrics_counter(stage_metrics(stage), "odd_callbacks_total",
                               "Callbacks nobody could read or place.", "why=\"unknown_status\""),
               1);
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

static enum verdict handle_reports(struct stage *stage, const struct message *in)
{
    struct delivery_reported told;
    struct applied applied;
    struct report *reports;
    struct err err;
    size_t count = 0, progress = 0;

    if (!message_read(in, &delivery_reported_v1, &told, &err)) {
        return stage_fail(stage, &err);
    }
    reports = arena_array(stage_arena(stage), told.reports.count + 1, sizeof *reports);
    for (size_t i = 0; i < told.reports.count; i++) {
        const struct delivery_report *raw = (const struct delivery_report *)told.reports.items + i;
        enum report_state state = at_report_state(raw->status);

        if (state == REPORT_PROGRESS) {
            progress++;
        } else if (state == REPORT_UNKNOWN) {
            if (!keep_unknown(stage, in, i, told.provider, raw, &err)) {
                return stage_fail(stage, &err);
            }
        } else {
            reports[count++] = (struct report){ .id = raw->id,
                                                .msisdn = apply_msisdn(or_empty(raw->phone)),
                                                .state = state,
                                                .status = raw->status,
                                                .network = or_empty(raw->network),
                                                .reason = or_empty(raw->reason),
                                                .received_ms = raw->received_ms };
        }
    }
    if (!apply_reports(stage_db(stage), reports, count, stage_now_ms(stage), stage_arena(stage),
                       &applied, &err) ||
        !sweep_keep(stage_db(stage), reports, &applied, stage_arena(stage), &err) ||
        !apply_opt_outs(stage_db(stage), reports, count, stage_arena(stage), &err)) {
        return stage_fail(stage, &err);
    }
    count_reports(stage, &applied, progress);
    return STAGE_DONE;
}

static const struct db_statement keep_inbound = {
    "reconcile_keep_inbound",
    "INSERT INTO inbound_messages (id, provider, provider_id, sender, recipient, text, link_id,"
    "                              network, provider_date, received_at)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
    " ON CONFLICT ON CONSTRAINT inbound_messages_once DO NOTHING",
    10
};

static enum verdict handle_inbound(struct stage *stage, const struct message *in)
{
    struct sms_received sms;
    struct err err;

    if (!message_read(in, &sms_received_v1, &sms, &err)) {
        return stage_fail(stage, &err);
    }
    if (!db_run(stage_db(stage), &keep_inbound,
                (struct db_value[]){ db_int8(id_create(stage_now_ms(stage))), db_text(sms.provider),
                                     db_text(sms.id), db_text(sms.from), db_text(or_empty(sms.to)),
                                     db_text(or_empty(sms.text)), db_text(or_empty(sms.link_id)),
                                     db_text(or_empty(sms.network)), db_text(or_empty(sms.date)),
                                     db_time(sms.received_ms) },
                NULL, &err)) {
        return stage_fail(stage, &err);
    }
    return STAGE_DONE;
}

static enum verdict handle_misread(struct stage *stage, const struct message *in)
{
    struct callback_misread odd;
    struct err err;

    if (!message_read(in, &callback_misread_v1, &odd, &err) ||
        !db_run(stage_db(stage), &keep_odd,
                (struct db_value[]){
                    db_text(in->id), db_text(odd.provider), db_text(odd.kind),
                    db_text(arena_printf(stage_arena(stage), "misread: %s", or_empty(odd.why))),
                    db_text(or_empty(odd.raw)), db_time(odd.received_ms) },
                NULL, &err)) {
        return stage_fail(stage, &err);
    }
    return STAGE_DONE;
}

static enum verdict handle(struct stage *stage, const struct message *in)
{
    if (message_is(in, &delivery_reported_v1)) {
        return handle_reports(stage, in);
    }
    if (message_is(in, &sms_received_v1)) {
        return handle_inbound(stage, in);
    }
    return handle_misread(stage, in);
}

static bool tick(struct stage *stage, struct err *err)
{
    return sweep_tick(stage, stage_conf(stage), err);
}

static const struct stage_def reconcile_dlr_stage = {
    .name = "reconcile-dlr",
    .summary = "what the provider tells afterwards decides what became of each recipient",
    .reads = (const struct shape *const[]){ &delivery_reported_v1, &sms_received_v1,
                                            &callback_misread_v1, NULL },
    .emits = (const struct shape *const[]){ &campaign_completed_v1, NULL },
    .conf = conf_items,
    .conf_size = sizeof(struct reconcile_conf),
    .deadline_ms = 10000,
    .workers_env = "RECONCILE_WORKER_CONCURRENCY",
    .workers_fallback = "2",
    .shares_lanes = true, /* reports have no lane of their own */
    .handle = handle,
    .tick = tick,
};

int main(int argc, char **argv)
{
    return stage_main(&reconcile_dlr_stage, argc, argv);
}
