#include "head.h"

#include <microhttpd.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"

struct reading {
    struct head head;
    const char *transfer_encoding, *length, *host;
    const char *why;
};

/* The headers we look at; the ones of which two make a request ambiguous. */
static const struct {
    const char *name;
    size_t len;
    size_t offset;
    const char *twice; /* NULL: the first one counts */
} wanted[] = {
#define WANTED(header, member, twice)                                                              \
    {                                                                                              \
        header, sizeof(header) - 1, offsetof(struct reading, member), twice                        \
    }
    WANTED("Content-Length", length, "two Content-Length headers"),
    WANTED("Transfer-Encoding", transfer_encoding, "two Transfer-Encoding headers"),
    WANTED("Host", host, "two Host headers"),
    WANTED("Authorization", head.authorization, "two Authorization headers"),
    WANTED("Content-Type", head.content_type, "two Content-Type headers"),
    WANTED("Idempotency-Key", head.idempotency_key, "two Idempotency-Key headers"),
    WANTED("Range", head.range, "two Range headers"),
    WANTED("If-Range", head.if_range, "two If-Range headers"),
    WANTED("If-None-Match", head.if_none_match, NULL),
    WANTED("Content-Disposition", head.content_disposition, NULL),
    WANTED("Accept", head.accept, NULL),
    WANTED("traceparent", head.traceparent, NULL),
    WANTED("Last-Event-ID", head.last_event_id, NULL),
    WANTED("X-Forwarded-For", head.forwarded_for, NULL),
};

static enum MHD_Result on_header(void *context, enum MHD_ValueKind kind, const char *name,
                                 size_t name_len, const char *value, size_t value_len)
{
    struct reading *reading = context;

    (void)kind;
    (void)value_len;
    for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++) {
        if (wanted[i].len != name_len || strncasecmp(wanted[i].name, name, name_len) != 0) {
            continue;
        }
        const char **member = (const char **)(void *)((char *)reading + wanted[i].offset);
        if (*member == NULL) {
            *member = value != NULL ? value : "";
        } else if (wanted[i].twice != NULL) {
            reading->why = wanted[i].twice;
        }
        break;
    }
    return MHD_YES;
}

static const char *find_ambiguity(struct reading *reading)
{
    int64_t length = 0;

    if (reading->why != NULL) {
        return reading->why;
    }
    if (reading->transfer_encoding != NULL) {
        if (reading->length != NULL) {
            return "both Content-Length and Transfer-Encoding";
        }
        if (strcasecmp(reading->transfer_encoding, "chunked") != 0) {
            return "a Transfer-Encoding other than chunked";
        }
        reading->head.content_length = LENGTH_CHUNKED;
        return NULL;
    }
    if (reading->length != NULL) {
        if (strspn(reading->length, "0123456789") != strlen(reading->length) ||
            !str_parse_int(reading->length, 0, INT64_MAX, &length)) {
            return "a Content-Length that is not a number";
        }
        reading->head.content_length = (uint64_t)length;
    }
    return NULL;
}

bool head_read(struct MHD_Connection *connection, struct head *out_head, const char **out_why)
{
    struct reading reading = { 0 };

    MHD_get_connection_values_n(connection, MHD_HEADER_KIND, on_header, &reading);
    *out_why = find_ambiguity(&reading);
    *out_head = reading.head;
    return *out_why == NULL;
}

const char *head_last_hop(const char *forwarded_for)
{
    const char *last = strrchr(forwarded_for, ',');

    last = last != NULL ? last + 1 : forwarded_for;
    return last + strspn(last, " ");
}
