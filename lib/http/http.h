/*
 * http - requests to providers: many at once, each with a deadline, none sent twice
 *
 *     struct http_call calls[] = { { .method = "POST", .url = url, .headers = headers,
 *                                    .body = form, .body_len = len, .timeout_ms = 30000 }, … };
 *     struct http_reply replies[n];
 *     http_run(http, calls, replies, n, arena);
 *     if (replies[i].sent == HTTP_NOT_SENT) … may be repeated; HTTP_UNKNOWN … must not
 *
 * libcurl by itself repeats a POST whose reused connection died before an answer (transfer.c,
 * Curl_retry_request). Each of its attempts passes a check here, which refuses as soon as a byte of
 * an earlier attempt has left; a test holds this. HTTP/1.1, keep-alive, no redirects, no cookies,
 * no proxy, TLS verified. At most max_connections are open to a host and never more calls are
 * handed to libcurl than that, so a call's timeout counts from its own start.
 *
 * One thread, one process: create it after fork(). Creating one makes the process ignore SIGPIPE.
 */
#ifndef HTTP_HTTP_H
#define HTTP_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"

struct http;

struct http_conf {
    long max_connections;    /* per process; 0 means 32 */
    long connect_timeout_ms; /* 0 means 4000 */
    long max_reply_bytes; /* 0 means 1 MiB; a longer reply is HTTP_UNKNOWN, "http_reply_too_long" */
    long max_idle_s;      /* connections idle for longer are not reused; 0 means 50 */
    long begin_within_ms; /* calls of a run that have no connection by then are HTTP_NOT_SENT,
                             "http_not_begun"; 0 means no limit */
    const char *user_agent; /* NULL: Tuma/<version>; kept */
};

struct http_call {
    const char *method; /* "GET" or "POST" */
    const char *url;
    const char *const *headers; /* "Name: value", NULL-terminated; may be NULL */
    const char *body;
    size_t body_len;
    long timeout_ms; /* whole exchange */
};

/* What we know about the request. */
enum http_sent {
    HTTP_ANSWERED, /* status, body: an HTTP answer arrived whole */
    HTTP_NOT_SENT, /* surely not carried out: no byte of it left (resolve, connect, TLS failed) */
    HTTP_UNKNOWN,  /* it may have been: timeout, reset, truncated answer */
};

struct http_reply {
    enum http_sent sent;
    int status;
    const char *content_type; /* without parameters, lower case; "" when absent */
    const char *body;         /* NUL-terminated, in the arena */
    size_t body_len;
    int64_t retry_after_s; /* of a Retry-After in seconds; -1 when absent */
    int64_t took_us;
    /* Unless HTTP_ANSWERED: temporary (permanent for a URL that can never work) or unknown. */
    struct err err; /* what: "http_…", see outcome.c */
};

bool http_create(const struct http_conf *conf, struct http **out_http, struct err *err);
void http_destroy(struct http *http); /* accepts NULL */

/*
 * Runs all calls, in parallel up to max_connections, and returns when each has its reply: at the
 * latest begin_within_ms and one call's timeout after it was called.
 */
void http_run(struct http *http, const struct http_call *calls, struct http_reply *replies,
              size_t count, struct arena *arena);

/* application/x-www-form-urlencoded, appended to out ("&" first unless out is empty). */
struct str;
void http_form_add(struct str *out, const char *key, const char *value, size_t value_len);

/*
 * Parses a form body into at most max pairs in the arena; keys and values are decoded, a NUL byte
 * or bad percent escape is an error. Returns the number of pairs or -1 with err.
 */
struct http_pair {
    const char *key, *value;
};
int http_form_read(const char *body, size_t len, struct http_pair *out_pairs, int max,
                   struct arena *arena, struct err *err);
const char *http_form_find(const struct http_pair *pairs, int count, const char *key); /* or NULL */

#endif
