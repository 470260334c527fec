/*
 * pending - a copy of a message on its way to the broker, in one piece of memory
 */
#include "pending.h"

#include <stdlib.h>
#include <string.h>

#include "base/panic.h"
#include "wire.h"

#define SHORT_MOST 255      /* AMQP's short strings: keys, ids, types */
#define HEADER_KEY_MOST 128 /* AMQP 0-9-1, section 4.2.5.5 */
#define HEADERS_MOST 100000 /* properties must fit one frame */
#define CONTENT_TYPE "application/json"
#define DELIVERY_PERSISTENT 2

static size_t length(const char *text)
{
    return text != NULL ? strlen(text) : 0;
}

/* Bytes of all texts of a message, after a look at AMQP's limits. */
static size_t measure(const struct broker_message *message)
{
    const char *const shorts[] = { message->exchange, message->key,         message->id,
                                   message->type,     message->correlation, message->content_type };
    size_t total = message->body_len;
    size_t headers = 0;

    for (size_t i = 0; i < sizeof(shorts) / sizeof(*shorts); i++) {
        if (length(shorts[i]) > SHORT_MOST) {
            panic("AMQP has no room for '%.40s…'", shorts[i]);
        }
        total += length(shorts[i]);
    }
    if (message->header_count > BROKER_HEADERS_MAX) {
        panic("%zu headers", message->header_count);
    }
    for (size_t i = 0; i < message->header_count; i++) {
        if (length(message->headers[i].key) > HEADER_KEY_MOST) {
            panic("AMQP has no room for header '%.40s…'", message->headers[i].key);
        }
        headers += length(message->headers[i].key) + length(message->headers[i].text);
    }
    if (headers > HEADERS_MOST) {
        panic("headers of %zu bytes", headers);
    }
    return total + headers;
}

static amqp_bytes_t keep(char **at, const void *bytes, size_t len)
{
    amqp_bytes_t kept = { .len = len, .bytes = *at };

    if (len > 0) {
        memcpy(*at, bytes, len);
        *at += len;
    }
    return kept;
}

static amqp_bytes_t keep_text(char **at, const char *text)
{
    return keep(at, text, length(text));
}

static void keep_headers(struct pending *pending, const struct broker_message *message,
                         amqp_table_entry_t *entries, char **at)
{
    int count = 0;

    for (size_t i = 0; i < message->header_count; i++) {
        const struct broker_header *header = &message->headers[i];
        amqp_table_entry_t *entry = &entries[count++];

        entry->key = keep_text(at, header->key);
        if (header->text != NULL) {
            entry->value.kind = AMQP_FIELD_KIND_UTF8;
            entry->value.value.bytes = keep_text(at, header->text);
        } else {
            entry->value.kind = AMQP_FIELD_KIND_I64;
            entry->value.value.i64 = header->num;
        }
    }
    if (message->timestamp_ms != 0) {
        entries[count].key = amqp_cstring_bytes("born_ms");
        entries[count].value.kind = AMQP_FIELD_KIND_I64;
        entries[count++].value.value.i64 = message->timestamp_ms;
        pending->properties.timestamp = (uint64_t)(message->timestamp_ms / 1000);
        pending->properties._flags |= AMQP_BASIC_TIMESTAMP_FLAG;
    }
    if (count > 0) {
        pending->properties.headers = (amqp_table_t){ .num_entries = count, .entries = entries };
        pending->properties._flags |= AMQP_BASIC_HEADERS_FLAG;
    }
}

static void keep_properties(struct pending *pending, const struct broker_message *message,
                            char **at)
{
    amqp_basic_properties_t *properties = &pending->properties;

    properties->_flags = AMQP_BASIC_CONTENT_TYPE_FLAG | AMQP_BASIC_DELIVERY_MODE_FLAG;
    properties->content_type =
        keep_text(at, message->content_type != NULL ? message->content_type : CONTENT_TYPE);
    properties->delivery_mode = DELIVERY_PERSISTENT;
    if (length(message->id) > 0) {
        properties->message_id = keep_text(at, message->id);
        properties->_flags |= AMQP_BASIC_MESSAGE_ID_FLAG;
    }
    if (length(message->type) > 0) {
        properties->type = keep_text(at, message->type);
        properties->_flags |= AMQP_BASIC_TYPE_FLAG;
    }
    if (length(message->correlation) > 0) {
        properties->correlation_id = keep_text(at, message->correlation);
        properties->_flags |= AMQP_BASIC_CORRELATION_ID_FLAG;
    }
}

struct pending *pending_create(const struct broker_message *message, uint64_t ticket)
{
    size_t entries_bytes = (message->header_count + 1) * sizeof(amqp_table_entry_t);
    size_t text_bytes = measure(message) + sizeof(CONTENT_TYPE);
    struct pending *pending = malloc(sizeof(*pending) + entries_bytes + text_bytes);
    amqp_table_entry_t *entries;
    char *at;

    if (pending == NULL) {
        panic("out of memory for a message of %zu bytes", text_bytes);
    }
    memset(pending, 0, sizeof(*pending));
    entries = (amqp_table_entry_t *)(pending + 1);
    at = (char *)entries + entries_bytes;
    pending->ticket = ticket;
    pending->exchange = keep_text(&at, message->exchange);
    pending->key = keep_text(&at, message->key);
    keep_properties(pending, message, &at);
    keep_headers(pending, message, entries, &at);
    pending->body = keep(&at, message->body, message->body_len);
    return pending;
}

void pending_destroy(struct pending *pending)
{
    free(pending);
}
