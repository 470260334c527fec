/*
 * describe - the descriptor as JSON: what deploy files and stages/README.md are made from
 *
 * Needs no environment: names carry the default prefix.
 */
#include <string.h>

#include "base/panic.h"
#include "msg/event.h"
#include "stage/core.h"

#define PREFIX "tuma"
/* Placeholders in routing keys. */
#define ANY_ROUTE "<route>"
#define ANY_ACCOUNT "<account>"

static void put_text(struct str *out, const char *text)
{
    json_put_string(out, text, strlen(text));
}

static void put_member(struct str *out, const char *name, const char *text)
{
    put_text(out, name);
    str_puts(out, ": ");
    put_text(out, text);
}

static void put_queues(const struct stage_def *def, struct str *out)
{
    static const char *const unrouted[] = { NULL };
    const char *const *routes = topic_stage_routes(def->name);
    const char *const *route = routes != NULL ? routes : unrouted;

    str_puts(out, "  \"queues\": [");
    for (bool first = true; first || (routes != NULL && *route != NULL); route++) {
        for (int lane = 0; lane < LANE_COUNT; lane++) {
            struct str name = { 0 };
            topic_queue(PREFIX, def->name, *route, (enum lane)lane, &name);
            str_puts(out, first ? "" : ", ");
            put_text(out, name.bytes);
            str_free(&name);
            first = false;
        }
    }
    str_puts(out, "],\n");
    str_printf(out, "  \"parked\": \"" PREFIX ".%s.parked\",\n", def->name);
}

/* "batch.ready.<route>.<lane>" or "campaign.completed.<account>". */
static void put_key(const struct topic *topic, struct str *out)
{
    struct str key = { 0 };

    if (topic->stage == NULL) {
        topic_event_key(topic, ANY_ACCOUNT, &key);
    } else {
        topic_key(topic, topic->routes != NULL ? ANY_ROUTE : NULL, LANE_HIGH, &key);
        key.len -= strlen(lane_words[LANE_HIGH]);
        str_puts(&key, "<lane>");
    }
    json_put_string(out, key.bytes, key.len);
    str_free(&key);
}

static const struct topic *topic_of(const struct stage_def *def, const struct shape *shape)
{
    const struct topic *topic = topic_find(shape->type);

    if (topic == NULL) {
        panic("stage %s: %s has no topic", def->name, shape->type);
    }
    return topic;
}

static void put_topic(const struct topic *topic, bool *first, struct str *out)
{
    struct str exchange = { 0 };

    topic_exchange(PREFIX, topic, &exchange);
    str_puts(out, *first ? "\n    { " : ",\n    { ");
    put_member(out, "type", topic->shape->type);
    str_puts(out, ", ");
    put_member(out, "exchange", exchange.bytes);
    str_puts(out, ", \"key\": ");
    put_key(topic, out);
    str_printf(out, ", \"partners\": %s }", topic->partner ? "true" : "false");
    str_free(&exchange);
    *first = false;
}

/* Every type read or emitted. The skeleton itself tells partners of parked messages. */
static void put_topics(const struct stage_def *def, struct str *out)
{
    bool first = true;
    bool partners = false;

    str_puts(out, "  \"reads\": [");
    for (const struct shape *const *shape = def->reads; *shape != NULL; shape++) {
        const struct topic *topic = topic_of(def, *shape);
        partners = partners || topic->partner;
        put_topic(topic, &first, out);
    }
    str_puts(out, "\n  ],\n  \"emits\": [");
    first = true;
    for (const struct shape *const *shape = def->emits; shape != NULL && *shape != NULL; shape++) {
        put_topic(topic_of(def, *shape), &first, out);
    }
    if (partners) {
        put_topic(topic_of(def, &message_parked_v1), &first, out);
    }
    str_puts(out, first ? "],\n" : "\n  ],\n");
}

static const char *type_word(enum conf_type type)
{
    switch (type) {
    case CONF_TYPE_STR:
        return "text";
    case CONF_TYPE_SECRET:
        return "secret";
    case CONF_TYPE_INT:
        return "integer";
    case CONF_TYPE_MS:
        return "duration";
    case CONF_TYPE_BOOL:
        return "boolean";
    case CONF_TYPE_END:
        break;
    }
    panic("setting of type %d", (int)type);
}

static void put_setting(const struct conf_item *item, bool shared, bool *first, struct str *out)
{
    str_puts(out, *first ? "\n    { " : ",\n    { ");
    *first = false;
    put_member(out, "name", item->env);
    str_puts(out, ", ");
    put_member(out, "type", type_word(item->type));
    str_puts(out, ", \"default\": ");
    if (item->fallback == NULL) {
        str_puts(out, "null");
    } else {
        put_text(out, item->fallback);
    }
    if (item->type == CONF_TYPE_INT || item->type == CONF_TYPE_MS) {
        str_printf(out, ", \"min\": %ld, \"max\": %ld", item->min, item->max);
    }
    str_printf(out, ", \"required\": %s", item->fallback == NULL ? "true" : "false");
    str_printf(out, ", \"secret\": %s", item->type == CONF_TYPE_SECRET ? "true" : "false");
    str_printf(out, ", \"shared\": %s, ", shared ? "true" : "false");
    put_member(out, "help", item->help);
    str_puts(out, " }");
}

/* The number of workers is read without a table unless the stage has a row of its own for it. */
static void put_workers_setting(const struct stage_def *def, bool *first, struct str *out)
{
    const struct conf_item item = {
        .type = CONF_TYPE_INT,
        .env = def->workers_env,
        .fallback = def->workers_fallback != NULL ? def->workers_fallback : "1",
        .min = 1,
        .max = WORKERS_MAX,
        .help = "Worker processes.",
    };

    for (const struct conf_item *own = def->conf; own != NULL && own->type != CONF_TYPE_END;
         own++) {
        if (item.env != NULL && strcmp(own->env, item.env) == 0) {
            return;
        }
    }
    if (item.env != NULL) {
        put_setting(&item, false, first, out);
    }
}

static void put_settings(const struct stage_def *def, struct str *out)
{
    bool first = true;

    str_puts(out, "  \"settings\": [");
    for (const struct conf_item *item = def->conf; item != NULL && item->type != CONF_TYPE_END;
         item++) {
        put_setting(item, false, &first, out);
    }
    put_workers_setting(def, &first, out);
    for (const struct conf_item *item = stage_settings_items; item->type != CONF_TYPE_END; item++) {
        put_setting(item, true, &first, out);
    }
    str_puts(out, "\n  ],\n");
}

static void put_workers(const struct stage_def *def, struct str *out)
{
    str_puts(out, "  \"workers\": { \"setting\": ");
    if (def->workers_env == NULL) {
        str_puts(out, "null");
    } else {
        put_text(out, def->workers_env);
    }
    str_puts(out, ", ");
    put_member(out, "default", def->workers_fallback != NULL ? def->workers_fallback : "1");
    str_puts(out, " }\n");
}

void describe(const struct stage_def *def, struct str *out)
{
    str_puts(out, "{\n  ");
    put_member(out, "name", def->name);
    str_puts(out, ",\n  ");
    put_member(out, "summary", def->summary);
    str_puts(out, ",\n  ");
    put_member(out, "version", TUMA_VERSION);
    str_puts(out, ",\n");
    put_queues(def, out);
    put_topics(def, out);
    put_settings(def, out);
    str_printf(out, "  \"routed\": %s,\n", topic_stage_is_routed(def->name) ? "true" : "false");
    str_printf(out, "  \"ticks\": %s,\n", def->tick != NULL ? "true" : "false");
    str_printf(out, "  \"uses_http\": %s,\n", def->uses_http ? "true" : "false");
    str_printf(out, "  \"deadline_ms\": %ld,\n", def->deadline_ms);
    if (def->handle_many != NULL) {
        str_printf(out, "  \"together\": %zu,\n  \"together_ms\": %ld,\n", def->together,
                   def->together_ms);
    }
    put_workers(def, out);
    str_puts(out, "}\n");
}
