/*
 * request - an HTTP/1.1 request, cut up in place
 */
#include "engine/request.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"

#define HEAD_MAX_BYTES 65536
#define BODY_MAX_BYTES (16 << 20)

/* One header line, "name: value", both NUL-terminated. Returns false on a bad length. */
static bool take_header(struct request *request, const char *name, char *value)
{
    int64_t len;

    switch (name[0] | 0x20) {
    case 'a':
        if (strcasecmp(name, "apikey") == 0) {
            request->api_key = value;
        } else if (strcasecmp(name, "accept") == 0) {
            request->accept = value;
        } else if (strcasecmp(name, "authorization") == 0) {
            request->authorization = value;
        }
        break;
    case 'c':
        if (strcasecmp(name, "content-length") == 0) {
            if (!str_parse_int(value, 0, BODY_MAX_BYTES, &len)) {
                return false;
            }
            request->body_len = (size_t)len;
        } else if (strcasecmp(name, "content-type") == 0) {
            request->type = value;
        } else if (strcasecmp(name, "connection") == 0) {
            request->close = strcasecmp(value, "close") == 0;
        }
        break;
    case 'e':
        request->expects_continue = strcasecmp(name, "expect") == 0;
        break;
    case 't':
        return strcasecmp(name, "transfer-encoding") != 0;
    default:
        break;
    }
    return true;
}

/* "POST /path?query HTTP/1.1" */
static bool parse_line(char *line, struct request *request)
{
    char *path = strchr(line, ' ');
    char *version = path == NULL ? NULL : strchr(path + 1, ' ');
    char *query;

    if (version == NULL || strcmp(version, " HTTP/1.1") != 0) {
        return false;
    }
    *path++ = '\0';
    *version = '\0';
    query = strchr(path, '?');
    request->query = version;
    if (query != NULL) {
        *query = '\0';
        request->query = query + 1;
    }
    request->method = line;
    request->path = path;
    return true;
}

/* Cuts the head [bytes, end) into lines in place. */
bool request_parse(char *bytes, size_t head, struct request *out_request)
{
    struct request request = { .accept = "", .api_key = "", .authorization = "", .type = "" };
    char *end = bytes + head;
    bool first = true;

    while (bytes < end) {
        char *stop = memchr(bytes, '\r', (size_t)(end - bytes));
        char *colon;

        stop = stop == NULL ? end : stop;
        *stop = '\0';
        if (first) {
            first = false;
            if (!parse_line(bytes, &request)) {
                return false;
            }
        } else {
            colon = memchr(bytes, ':', (size_t)(stop - bytes));
            if (colon == NULL) {
                return false;
            }
            *colon++ = '\0';
            while (*colon == ' ') {
                colon++;
            }
            if (!take_header(&request, bytes, colon)) {
                return false;
            }
        }
        bytes = stop + 2;
    }
    *out_request = request;
    return !first;
}

/* Content-Length is needed before the head may be cut up, because the body can still be on its way.
 */
enum parsed request_measure(const char *bytes, size_t len, size_t *out_head, size_t *out_size)
{
    const char *blank = memmem(bytes, len, "\r\n\r\n", 4);
    const char *at;
    int64_t body = 0;

    if (blank == NULL) {
        return len > HEAD_MAX_BYTES ? PARSED_BAD : PARSED_MORE;
    }
    *out_head = (size_t)(blank - bytes);
    for (at = bytes; at < blank;) {
        const char *stop = memchr(at, '\r', (size_t)(blank - at));
        static const char name[] = "content-length:";

        stop = stop == NULL ? blank : stop;
        if ((size_t)(stop - at) > sizeof(name) - 1 &&
            strncasecmp(at, name, sizeof(name) - 1) == 0) {
            at += sizeof(name) - 1;
            at += *at == ' ';
            if (!str_parse_int_n(at, (size_t)(stop - at), 0, BODY_MAX_BYTES, &body)) {
                return PARSED_BAD;
            }
        }
        at = stop + 2;
    }
    *out_size = *out_head + 4 + (size_t)body;
    return len < *out_size ? PARSED_MORE : PARSED_ALL;
}
