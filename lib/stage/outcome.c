#include "stage/outcome.h"

#include <stdio.h>

#include "base/clock.h"
#include "stage/flight.h"

#define LABELS_BYTES 160

static void count(const struct stage *stage, const struct flight *flight, const char *verdict)
{
    char labels[LABELS_BYTES];

    snprintf(labels, sizeof labels, "stage=\"%s\",verdict=\"%s\",why=\"%.60s\"", stage->def->name,
             verdict, flight->why);
    metric_add(metrics_counter(stage->metrics, "messages_total", "Messages by outcome.", labels),
               1);
    snprintf(labels, sizeof labels, "stage=\"%s\"", stage->def->name);
    metric_observe_us(metrics_histogram(stage->metrics, "handle_seconds",
                                        "Time spent in the handler, by message.", labels),
                      flight->handle_us);
}

void outcome_log(const struct stage *stage, const struct flight *flight)
{
    const struct message *in = &flight->envelope.in;
    const int64_t publish_ms =
        flight->outputs.count > 0 ? (clock_mono_us() - flight->launched_us) / 1000 : 0;

    if (flight->verdict == STAGE_DONE) {
        count(stage, flight, "done");
        log_info(&flight->log, "message_done", KV_STR("type", in->type),
                 KV_INT("attempt", in->attempt), KV_INT("emitted", flight->outputs.count),
                 KV_INT("queued_ms", flight->queued_ms),
                 KV_INT("handle_ms", flight->handle_us / 1000),
                 KV_INT("commit_ms", flight->commit_us / 1000), KV_INT("publish_ms", publish_ms));
    } else if (!flight->parked) {
        count(stage, flight, "retry");
        log_warn(&flight->log, "message_retry", KV_STR("type", in->type),
                 KV_STR("why", flight->why), KV_STR("detail", flight->detail),
                 KV_INT("attempt", in->attempt), KV_INT("next_s", flight->delay_s),
                 KV_INT("queued_ms", flight->queued_ms),
                 KV_INT("handle_ms", flight->handle_us / 1000));
    } else {
        count(stage, flight, "parked");
        log_warn(&flight->log, "message_parked", KV_STR("type", in->type),
                 KV_STR("why", flight->why), KV_STR("detail", flight->detail),
                 KV_INT("attempt", in->attempt), KV_INT("queued_ms", flight->queued_ms),
                 KV_INT("handle_ms", flight->handle_us / 1000));
    }
}

void outcome_refused(struct stage *stage, const struct output *out, bool unroutable, bool is_new)
{
    char labels[LABELS_BYTES];

    snprintf(labels, sizeof labels, "stage=\"%s\",why=\"%s\"", stage->def->name,
             unroutable ? "unroutable" : "queue_full");
    metric_add(metrics_counter(stage->metrics, "refused_total",
                               "Rounds of publishing that the broker sent back.", labels),
               1);
    if (unroutable || is_new) {
        log_at(&stage->log, unroutable ? LOG_ERROR : LOG_WARN,
               unroutable ? "output_unroutable" : "output_refused",
               KV_STR("exchange", out->message.exchange), KV_STR("key", out->message.key),
               KV_STR("type", out->message.type));
    }
}
