/*
 * delivery - a message from the broker, put together frame by frame into one piece of memory
 */
#include "delivery.h"

#include <stdlib.h>
#include <string.h>

#include "base/panic.h"

#define BODY_MOST ((uint64_t)1 << 30)

/* --- memory --- */

/* Copies bytes and a NUL to *at, or gives NULL for a property that is not there. */
static const char *keep(char **at, bool present, amqp_bytes_t bytes)
{
    char *kept = *at;

    if (!present) {
        return NULL;
    }
    if (bytes.len > 0) {
        memcpy(kept, bytes.bytes, bytes.len);
    }
    kept[bytes.len] = '\0';
    *at += bytes.len + 1;
    return kept;
}

static bool header_number(const amqp_field_value_t *value, int64_t *out_num)
{
    switch (value->kind) {
    case AMQP_FIELD_KIND_BOOLEAN:
        *out_num = value->value.boolean != 0;
        return true;
    case AMQP_FIELD_KIND_I8:
        *out_num = value->value.i8; // NOLINT(bugprone-signed-char-misuse,cert-str34-c): a number
        return true;
    case AMQP_FIELD_KIND_U8:
        *out_num = value->value.u8;
        return true;
    case AMQP_FIELD_KIND_I16:
        *out_num = value->value.i16;
        return true;
    case AMQP_FIELD_KIND_U16:
        *out_num = value->value.u16;
        return true;
    case AMQP_FIELD_KIND_I32:
        *out_num = value->value.i32;
        return true;
    case AMQP_FIELD_KIND_U32:
        *out_num = value->value.u32;
        return true;
    case AMQP_FIELD_KIND_I64:
        *out_num = value->value.i64;
        return true;
    case AMQP_FIELD_KIND_U64:
    case AMQP_FIELD_KIND_TIMESTAMP:
        *out_num = (int64_t)value->value.u64;
        return value->value.u64 <= INT64_MAX;
    default:
        return false;
    }
}

static bool is_text(const amqp_field_value_t *value)
{
    return value->kind == AMQP_FIELD_KIND_UTF8 || value->kind == AMQP_FIELD_KIND_BYTES;
}

static amqp_table_t headers_of(const amqp_basic_properties_t *properties)
{
    if (properties->_flags & AMQP_BASIC_HEADERS_FLAG) {
        return properties->headers;
    }
    return (amqp_table_t){ 0 };
}

static void keep_headers(struct broker_delivery *delivery, amqp_table_t table, char **at)
{
    for (int i = 0; i < table.num_entries && delivery->header_count < BROKER_HEADERS_MAX; i++) {
        const amqp_table_entry_t *entry = &table.entries[i];
        struct broker_header header = { 0 };

        if (is_text(&entry->value)) {
            header.text = keep(at, true, entry->value.value.bytes);
        } else if (!header_number(&entry->value, &header.num)) {
            continue; /* tables, arrays, floats: nobody of ours writes them */
        }
        header.key = keep(at, true, entry->key);
        delivery->headers[delivery->header_count++] = header;
    }
}

/* The library leaves properties that are not there as they were: garbage. */
static size_t size_of(const amqp_basic_properties_t *properties, amqp_flags_t flag,
                      amqp_bytes_t bytes)
{
    return properties->_flags & flag ? bytes.len + 1 : 0;
}

/* Bytes of all texts with their NULs. */
static size_t measure(const struct assembly *assembly, const amqp_basic_properties_t *properties)
{
    amqp_table_t table = headers_of(properties);
    size_t total = strlen(assembly->exchange) + strlen(assembly->key) + 2;

    total += size_of(properties, AMQP_BASIC_MESSAGE_ID_FLAG, properties->message_id);
    total += size_of(properties, AMQP_BASIC_TYPE_FLAG, properties->type);
    total += size_of(properties, AMQP_BASIC_CORRELATION_ID_FLAG, properties->correlation_id);
    total += size_of(properties, AMQP_BASIC_USER_ID_FLAG, properties->user_id);
    for (int i = 0; i < table.num_entries; i++) {
        const amqp_table_entry_t *entry = &table.entries[i];

        total += entry->key.len + 1;
        total += is_text(&entry->value) ? entry->value.value.bytes.len + 1 : 0;
    }
    return total;
}

static void keep_properties(struct broker_delivery *delivery, const amqp_basic_properties_t *from,
                            char **at)
{
    delivery->id = keep(at, from->_flags & AMQP_BASIC_MESSAGE_ID_FLAG, from->message_id);
    delivery->type = keep(at, from->_flags & AMQP_BASIC_TYPE_FLAG, from->type);
    delivery->correlation =
        keep(at, from->_flags & AMQP_BASIC_CORRELATION_ID_FLAG, from->correlation_id);
    delivery->user_id = keep(at, from->_flags & AMQP_BASIC_USER_ID_FLAG, from->user_id);
    if (from->_flags & AMQP_BASIC_TIMESTAMP_FLAG && from->timestamp <= INT64_MAX) {
        delivery->timestamp_s = (int64_t)from->timestamp;
    }
}

/* --- frames --- */

static void copy_short(char out[SHORT_BYTES], amqp_bytes_t bytes)
{
    size_t len = bytes.len < SHORT_BYTES ? bytes.len : SHORT_BYTES - 1;

    if (len > 0) {
        memcpy(out, bytes.bytes, len);
    }
    out[len] = '\0';
}

bool delivery_begin(struct assembly *assembly, const amqp_basic_deliver_t *deliver, int queue)
{
    if (assembly->state != ASSEMBLY_IDLE) {
        return false;
    }
    copy_short(assembly->exchange, deliver->exchange);
    copy_short(assembly->key, deliver->routing_key);
    assembly->tag = deliver->delivery_tag;
    assembly->redelivered = deliver->redelivered != 0;
    assembly->queue = queue;
    assembly->state = ASSEMBLY_HEADER;
    return true;
}

bool delivery_header(struct assembly *assembly, const amqp_basic_properties_t *properties,
                     uint64_t body_bytes)
{
    struct broker_delivery *delivery = &assembly->delivery;
    char *at;

    if (assembly->state != ASSEMBLY_HEADER || body_bytes > BODY_MOST) {
        return false;
    }
    at = malloc(measure(assembly, properties) + body_bytes + 1);
    if (at == NULL) {
        panic("out of memory for a message of %llu bytes", (unsigned long long)body_bytes);
    }
    *delivery = (struct broker_delivery){ .tag = assembly->tag,
                                          .queue = assembly->queue,
                                          .redelivered = assembly->redelivered,
                                          .memory = at };
    delivery->exchange = keep(&at, true, amqp_cstring_bytes(assembly->exchange));
    delivery->key = keep(&at, true, amqp_cstring_bytes(assembly->key));
    keep_properties(delivery, properties, &at);
    keep_headers(delivery, headers_of(properties), &at);
    delivery->body = at;
    delivery->body_len = body_bytes;
    at[body_bytes] = '\0';
    assembly->body_end = at;
    assembly->body_left = body_bytes;
    assembly->state = ASSEMBLY_BODY;
    return true;
}

bool delivery_body(struct assembly *assembly, amqp_bytes_t fragment)
{
    if (assembly->state != ASSEMBLY_BODY || fragment.len > assembly->body_left) {
        return false;
    }
    if (fragment.len > 0) {
        memcpy(assembly->body_end, fragment.bytes, fragment.len);
    }
    assembly->body_end += fragment.len;
    assembly->body_left -= fragment.len;
    return true;
}

bool delivery_complete(struct assembly *assembly, struct broker_delivery *out_delivery)
{
    if (assembly->state != ASSEMBLY_BODY || assembly->body_left > 0) {
        return false;
    }
    *out_delivery = assembly->delivery;
    assembly->state = ASSEMBLY_IDLE;
    return true;
}

void delivery_abandon(struct assembly *assembly)
{
    if (assembly->state == ASSEMBLY_BODY) {
        broker_delivery_free(&assembly->delivery);
    }
    assembly->state = ASSEMBLY_IDLE;
}

/* --- for users --- */

void broker_delivery_free(struct broker_delivery *delivery)
{
    free(delivery->memory);
    *delivery = (struct broker_delivery){ 0 };
}

static const struct broker_header *find_header(const struct broker_delivery *delivery,
                                               const char *key)
{
    for (size_t i = 0; i < delivery->header_count; i++) {
        if (strcmp(delivery->headers[i].key, key) == 0) {
            return &delivery->headers[i];
        }
    }
    return NULL;
}

const char *broker_header_text(const struct broker_delivery *delivery, const char *key)
{
    const struct broker_header *header = find_header(delivery, key);

    return header != NULL ? header->text : NULL;
}

int64_t broker_header_int(const struct broker_delivery *delivery, const char *key, int64_t fallback)
{
    const struct broker_header *header = find_header(delivery, key);

    return header != NULL && header->text == NULL ? header->num : fallback;
}
