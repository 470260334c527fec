/*
 * multipart - a form with files, read while it arrives (multipart/form-data, RFC 7578)
 *
 *     static const struct http_form_events events = { .part = on_part, .bytes = on_bytes };
 *     struct http_multipart *form = http_multipart_begin(content_type, &events, context, arena,
 *                                                        &err);
 *     … http_multipart_add(form, piece, len, &err), as pieces come …
 *     http_multipart_end(form, &err)             // the closing delimiter was there
 *
 * Each part is told of once, then its bytes as they come. How the body is cut changes nothing but
 * the cuts of the bytes. Memory does not depend on the body. Strict: what could be read in two ways
 * is malformed.
 */
#ifndef HTTP_MULTIPART_H
#define HTTP_MULTIPART_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/err.h"

#define HTTP_PARTS_MAX 16
#define HTTP_PART_HEAD_MAX 4096 /* bytes */

struct http_multipart;

/* Texts live in the arena. */
struct http_part {
    const char *name;
    const char *filename; /* NULL: none was given */
    const char *type;     /* Content-Type as it came; "" when absent */
};

/* A false ends it with the err that was filled in. */
struct http_form_events {
    bool (*part)(void *context, const struct http_part *part, struct err *err);
    bool (*bytes)(void *context, const char *bytes, size_t len, struct err *err);
};

/*
 * content_type is the header's whole value, for its boundary. NULL with a permanent bad_multipart.
 * events are kept; it lives in the arena.
 */
struct http_multipart *http_multipart_begin(const char *content_type,
                                            const struct http_form_events *events, void *context,
                                            struct arena *arena, struct err *err)
    __attribute__((warn_unused_result));

/* Permanent: bad_multipart, or the events' own errors. After one there is no further call. */
bool http_multipart_add(struct http_multipart *form, const char *bytes, size_t len, struct err *err)
    __attribute__((warn_unused_result));
bool http_multipart_end(struct http_multipart *form, struct err *err)
    __attribute__((warn_unused_result));

/*
 * A parameter of a header such as `form-data; name="file"`, unquoted, in the arena; NULL when there
 * is none that can be read. "filename" also finds filename*=UTF-8''…, and prefers it.
 */
const char *http_header_parameter(const char *value, const char *name, struct arena *arena);

#endif
