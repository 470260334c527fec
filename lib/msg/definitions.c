/*
 * definitions - the topic table as RabbitMQ's definitions.json
 *
 * Type and single-active-consumer are queue arguments, which can never change; everything else is
 * a policy, which can. Only one policy applies to a queue, so each is complete. All of it is
 * accepted by RabbitMQ 3.10 to 4: no priorities, no modes, apply-to "queues".
 *
 * Dead letters are moved at-least-once, which needs overflow reject-publish and a target that is
 * bound. A message over its delivery limit keeps its routing key unless the policy sets one: each
 * stage has its own policy, whose key is the stage's name, and <prefix>.parked knows that name.
 */
#include <ctype.h>
#include <string.h>

#include "json/shape.h"
#include "msg/topic.h"

/* A message that killed its consumer so often is parked; RabbitMQ 4 has the same default. */
#define STAGE_DELIVERY_LIMIT 20
#define STAGE_LENGTH_MAX 200000
/* What waits for send-sms has passed the rate limit already: a short queue keeps the pace true. */
#define PACED_LENGTH_MAX 64
#define DELAY_LENGTH_MAX 500000
#define PARKED_LENGTH_MAX 200000
/* Looking at parked messages returns them; version 4's default limit would drop them at last. */
#define PARKED_DELIVERY_LIMIT 1000000
#define EVENTS_LENGTH_MAX 100000
#define EVENTS_TTL_MS 604800000 /* a week */
#define POLICY_PRIORITY 10

static const struct stage_queue {
    const char *stage;
    int length_max; /* 0: STAGE_LENGTH_MAX */
    bool single_active;
} stage_queues[] = {
    { .stage = "rate-limit", .single_active = true }, /* one pace per route */
    { .stage = "send-sms", .length_max = PACED_LENGTH_MAX },
    { .stage = "place-call", .length_max = PACED_LENGTH_MAX },
    { .stage = NULL },
};

struct definitions {
    const char *prefix;
    const char *vhost;
    struct str *out;
    bool first; /* of the list being written */
    struct str a, b;
};

static const struct stage_queue *find_stage_queue(const char *stage)
{
    const struct stage_queue *entry = stage_queues;

    while (entry->stage != NULL && strcmp(entry->stage, stage) != 0) {
        entry++;
    }
    return entry;
}

static void put_text(struct definitions *defs, const char *text)
{
    json_put_string(defs->out, text, strlen(text));
}

static void open_list(struct definitions *defs, const char *name)
{
    str_printf(defs->out, "],\n \"%s\": [", name);
    defs->first = true;
}

/* Begins an entry of the list: all but the vhosts have a vhost. */
static void open_entry(struct definitions *defs)
{
    str_puts(defs->out, defs->first ? "\n  {\"vhost\": " : ",\n  {\"vhost\": ");
    put_text(defs, defs->vhost);
    defs->first = false;
}

static void put_member(struct definitions *defs, const char *name, const char *value)
{
    str_printf(defs->out, ", \"%s\": ", name);
    put_text(defs, value);
}

/* Sets a scratch string to <prefix>.<name>. */
static const char *prefixed(const struct definitions *defs, struct str *scratch, const char *name)
{
    str_reset(scratch);
    str_printf(scratch, "%s.%s", defs->prefix, name);
    return scratch->bytes;
}

static const char *delay_name(const struct definitions *defs, struct str *scratch, int delay_s)
{
    str_reset(scratch);
    str_printf(scratch, "%s.delay.%ds", defs->prefix, delay_s);
    return scratch->bytes;
}

static const char *parked_name(const struct definitions *defs, struct str *scratch,
                               const char *stage)
{
    str_reset(scratch);
    str_printf(scratch, "%s.%s.parked", defs->prefix, stage);
    return scratch->bytes;
}

/* The next stage of the table that was not seen before; NULL at the end. */
static const char *next_stage(const struct topic **at)
{
    for (; (*at)->shape != NULL; (*at)++) {
        const struct topic *topic = topics;

        if ((*at)->stage == NULL) {
            continue;
        }
        while (topic->stage == NULL || strcmp(topic->stage, (*at)->stage) != 0) {
            topic++;
        }
        if (topic == *at) {
            return (*at)++->stage;
        }
    }
    return NULL;
}

/* Calls fn for each queue of a stage with its route (NULL when unrouted) and lane. */
typedef void queue_fn(struct definitions *defs, const char *stage, const char *route,
                      enum lane lane);

static void each_queue(struct definitions *defs, const char *stage, queue_fn *fn)
{
    static const char *const no_route[] = { "", NULL };
    const char *const *routes = topic_stage_routes(stage);

    for (const char *const *route = routes ? routes : no_route; *route != NULL; route++) {
        for (int lane = 0; lane < LANE_COUNT; lane++) {
            fn(defs, stage, routes ? *route : NULL, (enum lane)lane);
        }
    }
}

static void put_exchange(struct definitions *defs, const char *name, const char *type)
{
    open_entry(defs);
    put_member(defs, "name", name);
    put_member(defs, "type", type);
    str_puts(defs->out, ", \"durable\": true, \"auto_delete\": false, \"internal\": false, "
                        "\"arguments\": {}}");
}

static void put_exchanges(struct definitions *defs)
{
    static const char *const own[] = { "home", "parked", NULL };

    for (const struct topic *topic = topics; topic->shape != NULL; topic++) {
        const struct topic *earlier = topics;

        while (strcmp(earlier->exchange, topic->exchange) != 0) {
            earlier++;
        }
        if (earlier == topic) {
            put_exchange(defs, prefixed(defs, &defs->a, topic->exchange),
                         topic->stage == NULL ? "topic" : "direct");
        }
    }
    for (const char *const *name = own; *name != NULL; name++) {
        put_exchange(defs, prefixed(defs, &defs->a, *name), "direct");
    }
    for (const int *delay_s = topic_delays_s; *delay_s != 0; delay_s++) {
        put_exchange(defs, delay_name(defs, &defs->a, *delay_s), "fanout");
    }
}

static void put_queue(struct definitions *defs, const char *name, bool single_active)
{
    open_entry(defs);
    put_member(defs, "name", name);
    str_puts(defs->out, ", \"durable\": true, \"auto_delete\": false, "
                        "\"arguments\": {\"x-queue-type\": \"quorum\"");
    str_puts(defs->out, single_active ? ", \"x-single-active-consumer\": true}}" : "}}");
}

static void put_stage_queue(struct definitions *defs, const char *stage, const char *route,
                            enum lane lane)
{
    str_reset(&defs->a);
    topic_queue(defs->prefix, stage, route, lane, &defs->a);
    put_queue(defs, defs->a.bytes, find_stage_queue(stage)->single_active);
}

static void put_queues(struct definitions *defs)
{
    const struct topic *at = topics;

    for (const char *stage = next_stage(&at); stage != NULL; stage = next_stage(&at)) {
        each_queue(defs, stage, put_stage_queue);
        put_queue(defs, parked_name(defs, &defs->a, stage), false);
    }
    for (const int *delay_s = topic_delays_s; *delay_s != 0; delay_s++) {
        put_queue(defs, delay_name(defs, &defs->a, *delay_s), false);
    }
}

static void put_binding(struct definitions *defs, const char *exchange, const char *queue,
                        const char *key)
{
    open_entry(defs);
    put_member(defs, "source", exchange);
    put_member(defs, "destination", queue);
    put_member(defs, "destination_type", "queue");
    put_member(defs, "routing_key", key);
    str_puts(defs->out, ", \"arguments\": {}}");
}

/* Binds a queue to its types' keys, to home, and its name at the stage's parked queue. */
static void put_queue_bindings(struct definitions *defs, const char *stage, const char *route,
                               enum lane lane)
{
    struct str queue = { 0 };

    topic_queue(defs->prefix, stage, route, lane, &queue);
    for (const struct topic *topic = topics; topic->shape != NULL; topic++) {
        if (topic->stage == NULL || strcmp(topic->stage, stage) != 0) {
            continue;
        }
        str_reset(&defs->b);
        topic_key(topic, route, lane, &defs->b);
        put_binding(defs, prefixed(defs, &defs->a, topic->exchange), queue.bytes, defs->b.bytes);
    }
    put_binding(defs, prefixed(defs, &defs->a, "home"), queue.bytes, queue.bytes);
    put_binding(defs, prefixed(defs, &defs->a, "parked"), parked_name(defs, &defs->b, stage),
                queue.bytes);
    str_free(&queue);
}

static void put_bindings(struct definitions *defs)
{
    const struct topic *at = topics;

    for (const char *stage = next_stage(&at); stage != NULL; stage = next_stage(&at)) {
        each_queue(defs, stage, put_queue_bindings);
        put_binding(defs, prefixed(defs, &defs->a, "parked"), parked_name(defs, &defs->b, stage),
                    stage);
    }
    for (const int *delay_s = topic_delays_s; *delay_s != 0; delay_s++) {
        const char *name = delay_name(defs, &defs->a, *delay_s);
        put_binding(defs, name, name, "");
    }
}

/* Appends text so that it stands for itself in a regular expression. */
static void put_literal(struct str *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (!isalnum((unsigned char)*text)) {
            str_putc(out, '\\');
        }
        str_putc(out, *text);
    }
}

/* Appends "\.(one|other)". */
static void put_choice(struct str *out, const char *const *words)
{
    const char *before = "\\.(";

    for (; *words != NULL; words++) {
        str_puts(out, before);
        put_literal(out, *words);
        before = "|";
    }
    str_putc(out, ')');
}

/* Begins a policy for the queues that match the pattern; its definition's members follow. */
static void open_policy(struct definitions *defs, const char *name, const char *pattern)
{
    open_entry(defs);
    put_member(defs, "name", name);
    put_member(defs, "pattern", pattern);
    str_printf(defs->out, ", \"apply-to\": \"queues\", \"priority\": %d,\n   \"definition\": {",
               POLICY_PRIORITY);
}

/* Ends a policy whose messages are never dropped: a full queue refuses. */
static void close_policy(struct definitions *defs, int length_max)
{
    str_printf(defs->out, ", \"overflow\": \"reject-publish\", \"max-length\": %d}}", length_max);
}

static void put_dead_letters(struct definitions *defs, const char *exchange)
{
    put_member(defs, "dead-letter-exchange", prefixed(defs, &defs->a, exchange));
    put_member(defs, "dead-letter-strategy", "at-least-once");
}

static void put_stage_policy(struct definitions *defs, const char *stage)
{
    const struct stage_queue *entry = find_stage_queue(stage);

    str_reset(&defs->b);
    str_putc(&defs->b, '^');
    put_literal(&defs->b, defs->prefix);
    put_literal(&defs->b, ".");
    put_literal(&defs->b, stage);
    if (topic_stage_is_routed(stage)) {
        put_choice(&defs->b, topic_stage_routes(stage));
    }
    put_choice(&defs->b, lane_words);
    str_putc(&defs->b, '$');
    open_policy(defs, prefixed(defs, &defs->a, stage), defs->b.bytes);
    str_printf(defs->out, "\"delivery-limit\": %d", STAGE_DELIVERY_LIMIT);
    put_dead_letters(defs, "parked");
    put_member(defs, "dead-letter-routing-key", stage);
    close_policy(defs, entry->length_max != 0 ? entry->length_max : STAGE_LENGTH_MAX);
}

static void put_parked_policy(struct definitions *defs, const char *stage)
{
    const char *name = parked_name(defs, &defs->a, stage);

    str_reset(&defs->b);
    str_putc(&defs->b, '^');
    put_literal(&defs->b, name);
    str_putc(&defs->b, '$');
    open_policy(defs, name, defs->b.bytes);
    str_printf(defs->out, "\"delivery-limit\": %d", PARKED_DELIVERY_LIMIT);
    close_policy(defs, PARKED_LENGTH_MAX);
}

static void put_delay_policy(struct definitions *defs, int delay_s)
{
    const char *name = delay_name(defs, &defs->a, delay_s);

    str_reset(&defs->b);
    str_putc(&defs->b, '^');
    put_literal(&defs->b, name);
    str_putc(&defs->b, '$');
    open_policy(defs, name, defs->b.bytes);
    str_printf(defs->out, "\"message-ttl\": %d", delay_s * 1000);
    put_dead_letters(defs, "home");
    close_policy(defs, DELAY_LENGTH_MAX);
}

/* The queues partners read their events from: one that nobody reads must not fill the disk. */
static void put_events_policy(struct definitions *defs)
{
    str_reset(&defs->b);
    str_putc(&defs->b, '^');
    put_literal(&defs->b, prefixed(defs, &defs->a, "events."));
    open_policy(defs, prefixed(defs, &defs->a, "events"), defs->b.bytes);
    str_printf(defs->out,
               "\"delivery-limit\": %d, \"message-ttl\": %d, \"overflow\": \"drop-head\", "
               "\"max-length\": %d}}",
               PARKED_DELIVERY_LIMIT, EVENTS_TTL_MS, EVENTS_LENGTH_MAX);
}

static void put_policies(struct definitions *defs)
{
    const struct topic *at = topics;

    for (const char *stage = next_stage(&at); stage != NULL; stage = next_stage(&at)) {
        put_stage_policy(defs, stage);
        put_parked_policy(defs, stage);
    }
    for (const int *delay_s = topic_delays_s; *delay_s != 0; delay_s++) {
        put_delay_policy(defs, *delay_s);
    }
    put_events_policy(defs);
}

void topic_definitions(const char *prefix, const char *vhost, struct str *out)
{
    struct definitions defs = { .prefix = prefix, .vhost = vhost, .out = out };

    str_puts(out, "{\"vhosts\": [{\"name\": ");
    put_text(&defs, vhost);
    str_putc(out, '}');
    open_list(&defs, "exchanges");
    put_exchanges(&defs);
    open_list(&defs, "queues");
    put_queues(&defs);
    open_list(&defs, "bindings");
    put_bindings(&defs);
    open_list(&defs, "policies");
    put_policies(&defs);
    str_puts(out, "]}\n");
    str_free(&defs.a);
    str_free(&defs.b);
}
