/*
 * envelope - an AMQP delivery becomes a message, with a definite idea of whom to believe
 *
 * Three ways in, told apart by the exchange, which the broker vouches for:
 *   <prefix>.in.<account>  a partner: the exchange is its account; no header of it counts but a
 *                          well-formed traceparent;
 *   <prefix>.home          from a delay queue or a replay: only stages and operators can write
 *                          there, so the headers say where the message first came from;
 *   any other              one of our own.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "stage/core.h"

static const char *text_or_empty(const char *text)
{
    return text != NULL ? text : "";
}

static const char *header_or(const struct broker_delivery *delivery, const char *key,
                             const char *fallback)
{
    const char *text = broker_header_text(delivery, key);

    return text != NULL ? text : fallback;
}

/* "tuma.in.acme" is acme's; NULL when the exchange is no partner's. */
static const char *partner_of(const char *prefix, const char *exchange)
{
    const size_t len = strlen(prefix);
    static const char in[] = ".in.";

    if (strncmp(exchange, prefix, len) != 0 || strncmp(exchange + len, in, sizeof in - 1) != 0) {
        return NULL;
    }
    return exchange + len + sizeof in - 1;
}

static bool is_home(const char *prefix, const char *exchange)
{
    const size_t len = strlen(prefix);

    return strncmp(exchange, prefix, len) == 0 && strcmp(exchange + len, ".home") == 0;
}

static void read_origin(const struct stage *stage, const struct broker_delivery *delivery,
                        struct envelope *envelope)
{
    const bool home = is_home(stage->settings->prefix, delivery->exchange);

    envelope->origin_exchange =
        home ? header_or(delivery, "origin_exchange", delivery->exchange) : delivery->exchange;
    envelope->origin_key = home ? header_or(delivery, "origin_key", delivery->key) : delivery->key;
    envelope->origin_user =
        home ? header_or(delivery, "origin_user", "") : text_or_empty(delivery->user_id);
}

static void read_headers(const struct stage *stage, const struct broker_delivery *delivery,
                         struct envelope *envelope)
{
    struct message *in = &envelope->in;
    const char *partner = partner_of(stage->settings->prefix, envelope->origin_exchange);
    const bool trusted =
        partner == NULL || partner_of(stage->settings->prefix, delivery->exchange) == NULL;
    const int64_t attempt = trusted ? broker_header_int(delivery, "attempt", 1) : 1;

    in->from_partner = partner != NULL;
    in->account = partner != NULL ? partner : header_or(delivery, "account", "");
    in->attempt = attempt >= 1 && attempt <= INT32_MAX ? (unsigned)attempt : 1;
    in->deadline_ms = trusted ? broker_header_int(delivery, "deadline", 0) : 0;
    in->born_ms =
        trusted ? broker_header_int(delivery, "born_ms", delivery->timestamp_s * 1000) : 0;
    if (in->born_ms <= 0) {
        in->born_ms = clock_now_ms();
    }
}

/* A message without an id still needs one to be parked under; the same each time. */
static void mint_id(const struct broker_delivery *delivery, struct arena *arena, struct message *in)
{
    char id[ID_MESSAGE_BYTES];

    derive_id(delivery->exchange, delivery->key,
              arena_strndup(arena, delivery->body, delivery->body_len), id);
    in->id = arena_strdup(arena, id);
}

static bool is_read(const struct stage *stage, const char *type)
{
    for (const struct shape *const *reads = stage->def->reads; *reads != NULL; reads++) {
        if (strcmp((*reads)->type, type) == 0) {
            return true;
        }
    }
    return false;
}

/* What no stage wants to see: NULL when the message is fit to be handled. */
static const char *find_fault(const struct stage *stage, const struct broker_delivery *delivery,
                              const struct message *in, char detail[200])
{
    const struct topic *topic = topic_find(in->type);

    if (delivery->id == NULL || *delivery->id == '\0') {
        snprintf(detail, 200,
                 "the property message_id is required: it makes a repetition harmless");
        return "no_message_id";
    }
    if (topic == NULL || !is_read(stage, in->type)) {
        snprintf(detail, 200, "this stage does not read type '%.80s'", in->type);
        return "unknown_type";
    }
    if (in->from_partner && !topic->partner) {
        snprintf(detail, 200, "type '%.80s' is not accepted from outside", in->type);
        return "type_not_for_partners";
    }
    if (in->body_len > MESSAGE_BODY_MAX) {
        snprintf(detail, 200, "%zu bytes, at most %d allowed", in->body_len, MESSAGE_BODY_MAX);
        return "body_too_long";
    }
    return NULL;
}

bool envelope_read(const struct stage *stage, const struct broker_delivery *delivery,
                   const char *queue, enum lane lane, struct arena *arena,
                   struct envelope *envelope, const char **out_why, char detail[200])
{
    struct message *in = &envelope->in;

    *envelope = (struct envelope){ .queue = queue };
    in->id = text_or_empty(delivery->id);
    in->type = text_or_empty(delivery->type);
    in->correlation = text_or_empty(delivery->correlation);
    in->lane = lane;
    in->body = delivery->body;
    in->body_len = delivery->body_len;
    in->arena = stage->arena;
    read_origin(stage, delivery, envelope);
    read_headers(stage, delivery, envelope);
    if (*in->id == '\0') {
        mint_id(delivery, arena, in);
    }
    in->trace = broker_header_text(delivery, "traceparent");
    if (!trace_is_valid(in->trace)) {
        char seed[ID_MESSAGE_BYTES];
        derive_id(envelope->origin_exchange, in->account, in->id, seed);
        in->trace = derive_trace(arena, NULL, seed);
    }

    const char *fault = find_fault(stage, delivery, in, detail);
    if (fault != NULL) {
        *out_why = fault;
        return false;
    }
    return true;
}
