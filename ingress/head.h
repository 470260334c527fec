/*
 * head - the headers of a request, read once, and what must not be in them
 *
 * libmicrohttpd 0.9.75 takes the first of two Content-Length headers, and Transfer-Encoding when
 * both are there; a proxy in front may choose otherwise, and then the two disagree about where a
 * request ends. So anything that could be read in two ways is refused before anything is done.
 */
#ifndef INGRESS_HEAD_H
#define INGRESS_HEAD_H

#include <stdbool.h>
#include <stdint.h>

struct MHD_Connection;

#define LENGTH_CHUNKED UINT64_MAX

/* Texts are the connection's; NULL when absent. */
struct head {
    uint64_t content_length; /* LENGTH_CHUNKED: told by chunks; 0: no body */
    const char *authorization;
    const char *content_type;
    const char *content_disposition;
    const char *accept;
    const char *idempotency_key;
    const char *traceparent;
    const char *last_event_id;
    const char *forwarded_for;
    const char *range;
    const char *if_range;
    const char *if_none_match;
};

/* False when the request is ambiguous; *out_why says how, a literal. */
bool head_read(struct MHD_Connection *connection, struct head *out_head, const char **out_why);

/* Whom the proxy before us names in X-Forwarded-For: its last entry, to the end of the text. */
const char *head_last_hop(const char *forwarded_for);

#endif
