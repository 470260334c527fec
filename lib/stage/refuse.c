/*
 * refuse - copies of an input: back after a delay, or parked for a person
 *
 * A copy keeps id, type and body, and says in headers where the message first came from, so that
 * a partner's message is still that partner's when it comes home.
 */
#include <string.h>

#include "base/clock.h"
#include "msg/event.h"
#include "stage/core.h"

/* Seconds before the next try, by attempts made; the last one repeats. They are delay buckets. */
static const int retry_delays_s[] = { 1, 5, 10, 30, 120, 600 };
#define RETRY_DELAYS (sizeof retry_delays_s / sizeof *retry_delays_s)

/* One retry in this many waits a bucket longer, so that messages that failed together part. */
#define RETRY_JITTER 4

int retry_delay_s(unsigned attempt)
{
    size_t index = attempt > 0 ? attempt - 1 : 0;

    if (index > 0 && id_random_below(RETRY_JITTER) == 0) {
        index++;
    }
    return retry_delays_s[index < RETRY_DELAYS ? index : RETRY_DELAYS - 1];
}

static struct output *copy(const struct envelope *envelope, struct outputs *outputs,
                           unsigned attempt, const char *why)
{
    const struct message *in = &envelope->in;
    struct output *out = outputs_add(outputs);

    out->account = in->account;
    out->message.id = in->id;
    out->message.type = in->type;
    out->message.correlation = in->correlation;
    out->message.timestamp_ms = in->born_ms;
    out->message.body = in->body;
    out->message.body_len = in->body_len;
    output_header(out, "traceparent", in->trace);
    output_header(out, "account", in->account);
    output_header_int(out, "attempt", attempt);
    if (in->deadline_ms > 0) {
        output_header_int(out, "deadline", in->deadline_ms);
    }
    output_header(out, "origin_exchange", envelope->origin_exchange);
    output_header(out, "origin_key", envelope->origin_key);
    output_header(out, "origin_user", envelope->origin_user);
    output_header(out, "why", why);
    return out;
}

void output_retry(struct stage *stage, const struct envelope *envelope, struct outputs *outputs,
                  const char *why, int delay_s)
{
    struct output *out = copy(envelope, outputs, envelope->in.attempt + 1, why);

    out->delay_ms = delay_s * INT64_C(1000);
    out->message.exchange = arena_printf(outputs->arena, "%s.delay.%ds", stage->settings->prefix,
                                         topic_delay_bucket(out->delay_ms));
    out->message.key = envelope->queue;
}

/* Tells the partner that its message waits for a person. */
static void tell_partner(struct stage *stage, const struct envelope *envelope,
                         struct outputs *outputs, const char *why, const char *detail)
{
    const struct message *in = &envelope->in;

    stage->in = in;
    stage->out = outputs;
    emit_output(stage, topic_find(message_parked_v1.type),
                &(struct parked_event){
                    .account = in->account,
                    .message_id = in->id,
                    .type = in->type,
                    .stage = stage->def->name,
                    .why = why,
                    .detail = detail,
                    .at_ms = stage_now_ms(stage),
                },
                &(struct emission){
                    .key = arena_printf(outputs->arena, "%s/%s", in->account, in->id),
                });
    stage->in = NULL;
    stage->out = NULL;
}

void output_park(struct stage *stage, const struct envelope *envelope, struct outputs *outputs,
                 const char *verdict, const char *why, const char *detail)
{
    struct output *out = copy(envelope, outputs, envelope->in.attempt, why);

    out->message.exchange = arena_printf(outputs->arena, "%s.parked", stage->settings->prefix);
    out->message.key = envelope->queue;
    output_header(out, "detail", detail);
    output_header(out, "stage", stage->def->name);
    output_header(out, "version", TUMA_VERSION);
    output_header(out, "verdict", verdict);
    if (envelope->in.from_partner) {
        tell_partner(stage, envelope, outputs, why, detail);
    }
}
