/* outputs - the list of messages that one handler call, retry or refusal publishes */
#include "base/panic.h"
#include "stage/core.h"

void outputs_begin(struct outputs *outputs, struct arena *arena)
{
    *outputs = (struct outputs){ .arena = arena };
}

struct output *outputs_add(struct outputs *outputs)
{
    struct output *out = arena_alloc(outputs->arena, sizeof *out);

    if (outputs->last != NULL) {
        outputs->last->next = out;
    } else {
        outputs->first = out;
    }
    outputs->last = out;
    outputs->count++;
    return out;
}

static struct broker_header *add_header(struct output *out, const char *key)
{
    if (out->header_count == OUTPUT_HEADERS_MAX) {
        panic("no room for header '%s'", key);
    }
    struct broker_header *header = &out->headers[out->header_count++];
    header->key = key;
    return header;
}

void output_header(struct output *out, const char *key, const char *text)
{
    if (text != NULL && *text != '\0') {
        add_header(out, key)->text = text;
    }
}

void output_header_int(struct output *out, const char *key, int64_t num)
{
    add_header(out, key)->num = num;
}
