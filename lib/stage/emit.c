/*
 * emit - what a handler's outputs are called and where they go
 *
 * An output's id is a function of the input's id, the stage and the position, or of the stage, the
 * type and a key: a replay emits the same ids, which is why no outbox is needed between stages. A
 * partner chooses its message ids itself, so two partners may choose the same: the account is part
 * of the input's id then.
 */
#include <ctype.h>
#include <string.h>

#include "base/panic.h"
#include "crypto/crypto.h"
#include "stage/core.h"

/* Bytes of a digest that make a message id. */
#define ID_DIGEST_BYTES ((ID_MESSAGE_BYTES - 1) / 2)

#define TRACE_CHARS 55 /* 00-<32 hex>-<16 hex>-<2 hex>, W3C Trace Context */
#define TRACE_ID_AT 3
#define TRACE_SPAN_AT 36
#define TRACE_FLAGS_AT 53

void derive_id(const char *a, const char *b, const char *c, char out[ID_MESSAGE_BYTES])
{
    unsigned char digest[CRYPTO_SHA256_BYTES];
    struct str text = { 0 };

    str_printf(&text, "%s|%s|%s", a, b, c);
    crypto_sha256(text.bytes, text.len, digest);
    str_free(&text);
    id_hex(digest, ID_DIGEST_BYTES, out);
}

static bool is_hex(const char *text, size_t from, size_t to)
{
    bool zero = true;

    for (size_t i = from; i < to; i++) {
        if (!isdigit((unsigned char)text[i]) && (text[i] < 'a' || text[i] > 'f')) {
            return false;
        }
        zero = zero && text[i] == '0';
    }
    return !zero;
}

bool trace_is_valid(const char *traceparent)
{
    return traceparent != NULL && strlen(traceparent) == TRACE_CHARS &&
           strncmp(traceparent, "00-", TRACE_ID_AT) == 0 &&
           is_hex(traceparent, TRACE_ID_AT, TRACE_SPAN_AT - 1) &&
           traceparent[TRACE_SPAN_AT - 1] == '-' &&
           is_hex(traceparent, TRACE_SPAN_AT, TRACE_FLAGS_AT - 1) &&
           traceparent[TRACE_FLAGS_AT - 1] == '-' &&
           isxdigit((unsigned char)traceparent[TRACE_FLAGS_AT]) &&
           isxdigit((unsigned char)traceparent[TRACE_FLAGS_AT + 1]);
}

const char *derive_trace(struct arena *arena, const char *parent, const char *id)
{
    const char *trace = parent != NULL ? parent + TRACE_ID_AT : id;

    return arena_printf(arena, "00-%.32s-%.16s-01", trace, id);
}

static const char *input_identity(const struct stage *stage)
{
    const struct message *in = stage->in;

    return in->from_partner ? arena_printf(stage->arena, "%s/%s", in->account, in->id) : in->id;
}

static const char *output_id(struct stage *stage, const struct topic *topic, const char *key)
{
    char id[ID_MESSAGE_BYTES];

    if (key != NULL) {
        derive_id(stage->def->name, topic->shape->type, key, id);
    } else if (stage->in != NULL) {
        const unsigned position = stage->out->position++;
        derive_id(input_identity(stage), stage->def->name,
                  arena_printf(stage->arena, "%u", position), id);
    } else {
        panic("%s is emitted without an input and without a key", topic->shape->type);
    }
    return arena_strdup(stage->out->arena, id);
}

static const char *keep(struct arena *arena, struct str *text)
{
    const char *kept = arena_strndup(arena, text->len > 0 ? text->bytes : "", text->len);

    str_free(text);
    return kept;
}

/* Exchange and routing key: the topic's, or those of a delay queue that sends it on. */
static void address(const struct stage *stage, struct output *out, enum lane lane)
{
    const char *prefix = stage->settings->prefix;
    struct arena *arena = stage->out->arena;
    struct str exchange = { 0 };
    struct str key = { 0 };

    if (out->delay_ms > 0) {
        if (out->topic->stage == NULL) {
            panic("%s is an event: it cannot be delayed", out->topic->shape->type);
        }
        str_printf(&exchange, "%s.delay.%ds", prefix, topic_delay_bucket(out->delay_ms));
        topic_queue(prefix, out->topic->stage, out->route, lane, &key);
    } else {
        topic_exchange(prefix, out->topic, &exchange);
        if (out->topic->stage == NULL) {
            topic_event_key(out->topic, out->account, &key);
        } else {
            topic_key(out->topic, out->route, lane, &key);
        }
    }
    out->message.exchange = keep(arena, &exchange);
    out->message.key = keep(arena, &key);
}

static const char *route_of(const struct stage *stage, const struct topic *topic, const char *route)
{
    if (topic->routes == NULL) {
        return NULL;
    }
    if (route == NULL) {
        route = stage->route;
    }
    if (route == NULL) {
        panic("%s travels per route and none is given", topic->shape->type);
    }
    return arena_strdup(stage->out->arena, route);
}

static void set_body(struct stage *stage, struct output *out, const void *body)
{
    struct str text = { 0 };

    shape_write(out->topic->shape, body, &text);
    if (text.len > MESSAGE_BODY_MAX) {
        panic("a body of %zu bytes in %s: at most %d fit", text.len, out->topic->shape->type,
              MESSAGE_BODY_MAX);
    }
    out->message.body_len = text.len;
    out->message.body = keep(stage->out->arena, &text);
}

static void set_headers(const struct stage *stage, struct output *out)
{
    const struct message *in = stage->in;

    output_header(out, "traceparent",
                  derive_trace(stage->out->arena, in != NULL ? in->trace : NULL, out->message.id));
    output_header(out, "account", out->account);
    output_header_int(out, "attempt", 1);
    if (in != NULL && in->deadline_ms > 0) {
        output_header_int(out, "deadline", in->deadline_ms);
    }
}

void emit_output(struct stage *stage, const struct topic *topic, const void *body,
                 const struct emission *how)
{
    const struct message *in = stage->in;

    if (stage->out == NULL) {
        panic("%s is emitted where nothing may be", topic->shape->type);
    }
    struct arena *arena = stage->out->arena;
    struct output *out = outputs_add(stage->out);
    const char *account = how->account != NULL ? how->account : in != NULL ? in->account : "";
    const char *correlation = how->correlation != NULL ? how->correlation
                              : in != NULL             ? in->correlation
                                                       : "";
    const enum lane lane = how->lane != NULL ? *how->lane : in != NULL ? in->lane : LANE_NORMAL;

    out->account = arena_strdup(arena, account);
    out->delay_ms = how->delay_ms;
    out->route = route_of(stage, topic, how->route);
    out->topic = topic_over(topic, out->route);
    out->message.id = output_id(stage, topic, how->key);
    out->message.type = topic->shape->type;
    out->message.correlation = arena_strdup(arena, correlation);
    out->message.timestamp_ms = stage_now_ms(stage);
    address(stage, out, lane);
    set_body(stage, out, body);
    set_headers(stage, out);
}

void stage_emit_as(struct stage *stage, const struct shape *shape, const void *body,
                   const struct emission *how)
{
    const struct shape *const *declared = stage->def->emits;
    const struct topic *topic = topic_find(shape->type);

    while (declared != NULL && *declared != NULL && *declared != shape) {
        declared++;
    }
    if (declared == NULL || *declared == NULL || topic == NULL) {
        panic("stage %s does not emit %s", stage->def->name, shape->type);
    }
    emit_output(stage, topic, body, how);
}

void stage_emit(struct stage *stage, const struct shape *shape, const void *body)
{
    stage_emit_as(stage, shape, body, &(struct emission){ 0 });
}
