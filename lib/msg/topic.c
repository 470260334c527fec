#include "msg/topic.h"

#include <string.h>

#include "base/panic.h"
#include "msg/campaign.h"
#include "msg/event.h"
#include "msg/payment.h"
#include "msg/report.h"

/* A type one stage reads, perhaps from a queue per route or from partners; a type for listeners. */
#define READ_BY(the_stage, the_shape, the_exchange, ...)                                           \
    {                                                                                              \
        .shape = &(the_shape), .exchange = (the_exchange),                                         \
        .stage = (the_stage)__VA_OPT__(, ) __VA_ARGS__                                             \
    }
#define EVENT(the_shape)                                                                           \
    {                                                                                              \
        .shape = &(the_shape), .exchange = "events"                                                \
    }

const char *const topic_routes[] = { "sms", "voice", NULL };
static const char *const sms[] = { "sms", NULL };
static const char *const voice[] = { "voice", NULL };

/* clang-format off */
const struct topic topics[] = {
    READ_BY("render-template", recipients_submitted_v1, "campaigns", .partner = true),
    READ_BY("render-template", campaign_submitted_v1,   "campaigns", .partner = true),
    READ_BY("render-template", campaign_closed_v1,      "campaigns", .partner = true),
    READ_BY("reserve-tokens",  campaign_rendered_v1,    "campaigns"),
    READ_BY("reserve-tokens",  campaign_launched_v1,    "campaigns"),
    READ_BY("split-batches",   campaign_reserved_v1,    "campaigns"),
    READ_BY("split-batches",   campaign_resumed_v1,     "campaigns"),
    READ_BY("split-batches",   campaign_cancelled_v1,   "campaigns"),
    READ_BY("split-batches",   batch_placed_v1,         "campaigns"),
    READ_BY("split-batches",   batch_done_v1,           "campaigns"),
    READ_BY("rate-limit",      batch_ready_v1,          "campaigns", .routes = topic_routes),
    READ_BY("send-sms",        batch_paced_v1,          "campaigns", .routes = sms),
    READ_BY("place-call",      batch_paced_v1,          "campaigns", .routes = voice),
    READ_BY("reconcile-dlr",   delivery_reported_v1,    "reports"),
    READ_BY("reconcile-dlr",   sms_received_v1,         "reports"),
    READ_BY("reconcile-dlr",   call_reported_v1,        "reports"),
    READ_BY("reconcile-dlr",   callback_misread_v1,     "reports"),
    READ_BY("settle-payment",  payment_requested_v1,    "payments"),
    READ_BY("settle-payment",  payment_reported_v1,     "payments"),
    EVENT(campaign_changed_v1),
    EVENT(campaign_completed_v1),
    EVENT(message_parked_v1),
    EVENT(route_held_v1),
    EVENT(route_opened_v1),
    EVENT(payment_changed_v1),
    EVENT(tokens_transferred_v1),
    EVENT(account_alerted_v1),
    { .shape = NULL },
};
/* clang-format on */

const int topic_delays_s[] = { 1, 5, 10, 30, 120, 600, 0 };

const struct topic *topic_find(const char *type)
{
    for (const struct topic *topic = topics; topic->shape != NULL; topic++) {
        if (strcmp(topic->shape->type, type) == 0) {
            return topic;
        }
    }
    return NULL;
}

const char *const *topic_stage_routes(const char *stage)
{
    for (const struct topic *topic = topics; topic->shape != NULL; topic++) {
        if (topic->stage != NULL && strcmp(topic->stage, stage) == 0) {
            return topic->routes;
        }
    }
    return NULL;
}

bool topic_stage_is_routed(const char *stage)
{
    return topic_stage_routes(stage) != NULL;
}

static bool is_among(const char *const *routes, const char *route)
{
    while (*routes != NULL && strcmp(*routes, route) != 0) {
        routes++;
    }
    return *routes != NULL;
}

const struct topic *topic_over(const struct topic *topic, const char *route)
{
    const struct shape *shape = topic->shape;

    if (topic->routes == NULL) {
        return topic;
    }
    for (; topic->shape == shape; topic++) {
        if (is_among(topic->routes, route)) {
            return topic;
        }
    }
    panic("%s does not travel over route '%s'", shape->type, route);
}

/* "batch.ready.v1" to "batch.ready". */
static void put_noun(const struct topic *topic, struct str *out)
{
    const char *type = topic->shape->type;
    const char *version = strrchr(type, '.');

    if (version == NULL) {
        panic("type '%s' has no version", type);
    }
    str_append(out, type, (size_t)(version - type));
}

void topic_exchange(const char *prefix, const struct topic *topic, struct str *out)
{
    str_puts(out, prefix);
    str_putc(out, '.');
    str_puts(out, topic->exchange);
}

void topic_key(const struct topic *topic, const char *route, enum lane lane, struct str *out)
{
    if (topic->stage == NULL || (topic->routes != NULL) != (route != NULL)) {
        panic("no routing key for %s over route '%s'", topic->shape->type,
              route != NULL ? route : "");
    }
    put_noun(topic, out);
    if (route != NULL) {
        str_putc(out, '.');
        str_puts(out, route);
    }
    str_putc(out, '.');
    str_puts(out, lane_words[lane]);
}

void topic_event_key(const struct topic *topic, const char *account, struct str *out)
{
    if (topic->stage != NULL) {
        panic("%s is not an event", topic->shape->type);
    }
    put_noun(topic, out);
    str_putc(out, '.');
    str_puts(out, account != NULL && *account != '\0' ? account : TOPIC_NO_ACCOUNT);
}

void topic_queue(const char *prefix, const char *stage, const char *route, enum lane lane,
                 struct str *out)
{
    if (topic_stage_is_routed(stage) != (route != NULL)) {
        panic("no queue of stage %s for route '%s'", stage, route != NULL ? route : "");
    }
    str_puts(out, prefix);
    str_putc(out, '.');
    str_puts(out, stage);
    if (route != NULL) {
        str_putc(out, '.');
        str_puts(out, route);
    }
    str_putc(out, '.');
    str_puts(out, lane_words[lane]);
}

int topic_delay_bucket(int64_t delay_ms)
{
    const int *bucket = topic_delays_s;

    while (bucket[1] != 0 && *bucket * INT64_C(1000) < delay_ms) {
        bucket++;
    }
    return *bucket;
}
