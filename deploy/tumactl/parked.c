/*
 * parked - messages that a stage refused or that killed it, for a person to look at
 *
 * A queue is gone through once: as many messages are looked at as were in it at the start, since
 * what is replayed may be parked again at its end at once. They are fetched without being
 * acknowledged and go back when the connection closes, in their old order. Replaying publishes the
 * message to the queue it came from, and acknowledges the parked one only after the broker
 * confirmed that: a crash between leaves it in both places, and stages do nothing twice.
 */
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "ctl.h"
#include "publish.h"
#include "stages.h"

#define WAIT_MS 1000 /* the first delivery comes after a subscription */
#define PREFETCH 1000
#define SHOWN_DEFAULT 20
#define BODY_SHOWN 2000

enum action { ACTION_SHOW, ACTION_REPLAY, ACTION_DROP };

static const char *text_or(const char *text, const char *fallback)
{
    return text && *text ? text : fallback;
}

static void print_one(struct ctl *ctl, const struct broker_delivery *message)
{
    const char *detail = broker_header_text(message, "detail");

    printf("%s %s account=%s attempt=%lld at=%s why=%s%s%s\n", text_or(message->id, "(no id)"),
           text_or(message->type, "(no type)"),
           text_or(broker_header_text(message, "account"), "-"),
           (long long)broker_header_int(message, "attempt", 1),
           ctl_time(ctl, message->timestamp_s * 1000),
           text_or(broker_header_text(message, "why"), "delivery_limit"), detail ? ": " : "",
           text_or(detail, ""));
    if (ctl_option(ctl, "body")) {
        printf("    %.*s\n", (int)(message->body_len < BODY_SHOWN ? message->body_len : BODY_SHOWN),
               message->body);
    }
}

/* The queue it was in when it was parked: its key, or for one over its delivery limit the stage. */
static const char *home_queue(struct ctl *ctl, const char *stage, const char *key)
{
    struct str name = { 0 };
    const char *kept;

    if (strcmp(key, stage) != 0) {
        return key;
    }
    topic_queue(ctl->amqp_prefix, stage,
                topic_stage_is_routed(stage) ? topic_stage_routes(stage)[0] : NULL, LANE_NORMAL,
                &name);
    kept = arena_strdup(ctl->arena, name.bytes);
    str_free(&name);
    return kept;
}

/* What the skeleton added when it parked the message. */
static bool is_note(const char *key)
{
    static const char *const notes[] = { "why", "detail", "stage", "version", "verdict" };

    for (size_t i = 0; i < sizeof notes / sizeof *notes; i++) {
        if (strcmp(notes[i], key) == 0) {
            return true;
        }
    }
    return false;
}

static bool replay(struct ctl *ctl, const char *stage, const struct broker_delivery *parked,
                   struct err *err)
{
    struct broker_header headers[BROKER_HEADERS_MAX];
    size_t count = 0;

    for (size_t i = 0; i < parked->header_count; i++) {
        const struct broker_header *header = &parked->headers[i];

        if (is_note(header->key)) {
            continue;
        }
        headers[count] = *header;
        if (strcmp(header->key, "attempt") == 0) {
            headers[count] = (struct broker_header){ .key = "attempt", .num = 1 };
        }
        count++;
    }
    return publish_message(
        ctl,
        &(struct broker_message){
            .exchange = arena_printf(ctl->arena, "%s.home", ctl->amqp_prefix),
            .key = home_queue(ctl, stage, parked->key),
            .id = parked->id,
            .type = parked->type,
            .correlation = parked->correlation,
            .timestamp_ms = broker_header_int(parked, "born_ms", parked->timestamp_s * 1000),
            .headers = headers,
            .header_count = count,
            .body = parked->body,
            .body_len = parked->body_len,
        },
        err);
}

static bool is_wanted(const struct ctl *ctl, const struct broker_delivery *message)
{
    const char *id = ctl_option(ctl, "id");
    const char *why = ctl_option(ctl, "why");

    return (!id || strcmp(text_or(message->id, ""), id) == 0) &&
           (!why ||
            strcmp(text_or(broker_header_text(message, "why"), "delivery_limit"), why) == 0);
}

/* Goes through the first `depth` messages of a parked queue. */
static bool go_through(struct ctl *ctl, struct broker_consumer *consumer, enum action action,
                       int64_t depth, int64_t limit, struct err *err)
{
    const char *stage = ctl->arguments[0];
    struct broker_delivery message;
    int64_t seen = 0, done = 0;
    bool ok = true;

    while (ok && done < limit && seen < depth && seen < PREFETCH &&
           broker_consumer_next(consumer, WAIT_MS, &message) == BROKER_DELIVERY) {
        seen++;
        if (is_wanted(ctl, &message)) {
            print_one(ctl, &message);
            ok = action != ACTION_REPLAY || replay(ctl, stage, &message, err);
            if (ok && action != ACTION_SHOW) {
                broker_ack(consumer, message.tag);
            }
            done += ok;
        }
        broker_delivery_free(&message);
    }
    if (ok && seen < depth && !broker_consumer_is_up(consumer)) {
        ok = err_temporary(err, "broker_away", "%s", broker_consumer_trouble(consumer));
    }
    if (ok) {
        printf("%s %s of %s\n", ctl_number(ctl, done),
               action == ACTION_SHOW     ? "shown"
               : action == ACTION_REPLAY ? "replayed"
                                         : "dropped",
               stage);
    }
    return ok;
}

static bool act(struct ctl *ctl, enum action action, int64_t limit_default, struct err *err)
{
    const char *stage = ctl->arguments[0];
    struct broker_consumer *consumer;
    struct broker_conf conf;
    const char *queue;
    int64_t limit, depth, consumers;
    bool ok;

    if (!stages_known(stage)) {
        return ctl_usage(err, "there is no stage '%.40s'; see tumactl queues", stage);
    }
    if (!ctl_option_int(ctl, "limit", 1, PREFETCH, limit_default, &limit, err) ||
        !ctl_amqp(ctl, &conf, err)) {
        return false;
    }
    queue = arena_printf(ctl->arena, "%s.%s.parked", ctl->amqp_prefix, stage);
    if (!broker_queue_depth(&conf, &queue, 1, &depth, &consumers, err) ||
        !broker_consumer_create(&conf, &queue, 1, PREFETCH, &consumer, err)) {
        return false;
    }
    ok = go_through(ctl, consumer, action, depth, limit, err);
    broker_consumer_destroy(consumer);
    return ok;
}

static bool show(struct ctl *ctl, struct err *err)
{
    return act(ctl, ACTION_SHOW, SHOWN_DEFAULT, err);
}

static bool replay_all(struct ctl *ctl, struct err *err)
{
    return act(ctl, ACTION_REPLAY, PREFETCH, err);
}

static bool drop(struct ctl *ctl, struct err *err)
{
    return act(ctl, ACTION_DROP, PREFETCH, err);
}

#define PICK_OPTIONS                                                                               \
    { OPTION_TEXT, "why", "WORD", "only those parked for this reason" },                           \
    {                                                                                              \
        OPTION_TEXT, "limit", "N", "at most that many"                                             \
    }

const struct command parked_show_command = {
    .name = "parked show",
    .arguments = "STAGE",
    .arguments_min = 1,
    .arguments_max = 1,
    .summary = "Show a stage's parked messages and why they are there",
    .options =
        (const struct option_def[]){
            { OPTION_TEXT, "id", "ID", "only this message" },
            PICK_OPTIONS,
            { OPTION_FLAG, "body", NULL, "with their bodies: these hold phone numbers" },
            { OPTION_END, NULL, NULL, NULL },
        },
    .run = show,
};
const struct command parked_replay_command = {
    .name = "parked replay",
    .arguments = "STAGE",
    .arguments_min = 1,
    .arguments_max = 1,
    .summary = "Give a stage its parked messages once more",
    .options =
        (const struct option_def[]){
            { OPTION_TEXT, "id", "ID", "only this message" },
            PICK_OPTIONS,
            { OPTION_END, NULL, NULL, NULL },
        },
    .run = replay_all,
};
const struct command parked_drop_command = {
    .name = "parked drop",
    .arguments = "STAGE",
    .arguments_min = 1,
    .arguments_max = 1,
    .summary = "Throw one parked message away",
    .options =
        (const struct option_def[]){
            { OPTION_REQUIRED, "id", "ID", "this message" },
            PICK_OPTIONS,
            { OPTION_END, NULL, NULL, NULL },
        },
    .run = drop,
};
