/*
 * range - which bytes of a file a request asks for (RFC 9110, section 14)
 *
 *     switch (http_range_read(range, if_range, "\"5f70…\"", size, &first, &count)) {
 *     case HTTP_RANGE_WHOLE: 200, all of it
 *     case HTTP_RANGE_PART:  206, Content-Range: bytes first-(first + count - 1)/size
 *     case HTTP_RANGE_NONE:  416, Content-Range: bytes * /size
 *     }
 *
 * A Range that cannot be read, or that asks for several parts, is ignored, as the RFC lets a server
 * do; so is one whose If-Range is not this very file's strong ETag.
 *
 *     if (http_etag_listed(if_none_match, etag)) … 304, before the range is looked at
 */
#ifndef HTTP_RANGE_H
#define HTTP_RANGE_H

#include <stdbool.h>
#include <stdint.h>

enum http_range {
    HTTP_RANGE_WHOLE,
    HTTP_RANGE_PART,
    HTTP_RANGE_NONE, /* nothing of it is there */
};

/*
 * The two headers, NULL when absent; etag is the file's, quotes and all. The whole is first 0 and
 * count size; of HTTP_RANGE_NONE both are 0.
 */
enum http_range http_range_read(const char *range, const char *if_range, const char *etag,
                                int64_t size, int64_t *out_first, int64_t *out_count);

/* The value of If-None-Match (NULL when absent) names this strong ETag, or is "*". */
bool http_etag_listed(const char *list, const char *etag);

#endif
