/*
 * request - an HTTP/1.1 request, cut up in place
 *
 *     switch (request_measure(bytes, len, &head, &size)) ...   // is all of it there?
 *     request_parse(bytes, head, &request);                    // its first line and headers
 *
 * Only what a client of the provider sends: a Content-Length, never chunks.
 */
#ifndef SIM_REQUEST_H
#define SIM_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

enum parsed { PARSED_MORE, PARSED_BAD, PARSED_ALL };

/* Everything points into the connection's buffer, ends in NUL and may be changed in place. */
struct request {
    const char *method;
    const char *path;
    char *query;
    const char *accept;
    const char *api_key;
    const char *authorization;
    const char *type;
    char *body;
    size_t body_len;
    bool reused; /* not the first request of its connection */
    bool close;
    bool expects_continue;
};

/* out_head is the length of the head without its empty line, 0 while that is missing; out_size the
 * length of the whole request once the head is there. */
enum parsed request_measure(const char *bytes, size_t len, size_t *out_head, size_t *out_size);

/* Leaves body and reused to the caller; false when the head is not understood. */
bool request_parse(char *bytes, size_t head, struct request *out_request)
    __attribute__((warn_unused_result));

#endif
