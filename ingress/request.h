/*
 * request - one API request, from its headers to its answer
 *
 * An endpoint is a function of a request:
 *
 *     enum reply get_thing(struct request *req)
 *     {
 *         if (!db_query(req->db, &find_thing, …, &found, &err))
 *             return refuse_err(req, &err);
 *         if (db_rows(found) == 0)
 *             return refuse(req, REPLY_NOT_FOUND, "thing_unknown", NULL, "there is no such thing");
 *         str_printf(&req->body_out, "{\"name\":…}");
 *         return REPLY_OK;
 *     }
 *
 * It runs on a worker thread with a database connection of its own, after authentication, limits,
 * size and content type were checked and the body has been gathered. Nothing of the request may be
 * kept after it is answered: its arena is emptied then.
 */
#ifndef INGRESS_REQUEST_H
#define INGRESS_REQUEST_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth.h"
#include "base/arena.h"
#include "base/err.h"
#include "base/log.h"
#include "base/str.h"
#include "db/db.h"
#include "http/http.h"
#include "publish.h"
#include "settings.h"
#include "work.h"

struct cache;
struct limit;
struct route;
struct server;
struct sound;
struct stream;
struct streams;
struct upload;
struct visit;
struct voice_hooks;

/* What all requests share. Immutable, or with locks of its own. */
struct app {
    const struct settings *settings;
    struct publisher *publisher;
    struct metrics *metrics;
    struct auth *auth;
    struct limit *key_limit;
    struct limit *address_limit;
    struct work *work;
    struct streams *streams;
    atomic_size_t gathered; /* bytes of JSON bodies in memory */
    /* Callbacks by what was made of them (enum callback_made) and whether the broker has it. */
    struct metric *callbacks[4][2];
    struct cache *cache;
    struct voice_hooks *voice;
};

/* The answers there are. Statuses and titles: the table in problem.c. */
enum reply {
    REPLY_NONE, /* not answered yet */
    REPLY_OK,
    REPLY_CREATED,
    REPLY_ACCEPTED,
    REPLY_NO_CONTENT,
    REPLY_PARTIAL,
    REPLY_STREAM, /* 200, and the body comes from req->stream */
    REPLY_NOT_MODIFIED,
    REPLY_BAD_REQUEST,
    REPLY_UNAUTHORISED,
    REPLY_FORBIDDEN,
    REPLY_NOT_FOUND,
    REPLY_BAD_METHOD,
    REPLY_CONFLICT,
    REPLY_GONE,
    REPLY_TOO_LARGE,
    REPLY_BAD_MEDIA_TYPE,
    REPLY_BAD_RANGE,
    REPLY_UNPROCESSABLE,
    REPLY_TOO_MANY,
    REPLY_INTERNAL,
    REPLY_UNAVAILABLE,
};

#define ARGUMENTS_MAX 32

/* An answer that is a file, or a part of it. The response closes it. */
struct download {
    int fd;
    int64_t first, count;
};

struct request {
    struct request *next_free;
    struct job job;
    struct app *app;
    struct server *server;
    struct visit *visit;
    struct arena *arena;
    atomic_int refs; /* the visit's, and one for each job or message that still needs it */

    /* As it came. Texts live in the arena. */
    const struct route *route; /* NULL: no such path */
    const char *method;
    const char *path;
    const char *id;   /* the path's {id}; NULL */
    const char *tail; /* its second {…}; NULL */
    struct http_pair arguments[ARGUMENTS_MAX];
    int argument_count;
    const char *content_type; /* without parameters, lower case; "" */
    const char *content_type_whole;
    const char *content_disposition;
    const char *accept;
    const char *idempotency_key; /* NULL none */
    const char *authorization;
    const char *last_event_id;
    const char *range, *if_range, *if_none_match;
    uint64_t content_length; /* UINT64_MAX: chunked */
    uint64_t address[2];     /* of the client, for limits */
    char trace[TRACE_BYTES];
    struct str body;
    size_t received; /* bytes of body, kept or not */

    struct caller caller;
    struct db *db; /* the worker's, while a job runs */
    struct worker *worker;
    struct upload *upload; /* the body is streamed */
    struct sound *sound;   /* likewise, to disk */

    /* The answer. */
    enum reply reply;
    struct str body_out;
    const char *type_out;    /* content type; NULL: application/json */
    const char *code;        /* of a refusal, for the log */
    const char *disposition; /* Content-Disposition; NULL none */
    long retry_after_s;      /* 0: no header */
    const char *etag, *content_range;
    const char *cache_control; /* NULL: no-store */
    bool accepts_ranges;
    struct download *download; /* the body is a file; NULL */
    struct stream *stream;
    void *stream_state; /* the endpoint's, in the arena */
    int64_t started_us;
    struct log log;
};

int reply_http(enum reply reply);
const char *reply_title(enum reply reply);
size_t replies_count(void);

/*
 * Writes a problem document (RFC 9457) and returns reply. code is a stable snake_case word; field,
 * unless NULL, is the name the caller gave the thing; the text is for people, without a full stop.
 */
enum reply refuse(struct request *req, enum reply reply, const char *code, const char *field,
                  const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/*
 * The refusal an error calls for: temporary is 503 with Retry-After, permanent is 422 (or 400 for
 * malformed JSON), unknown is 500. "field: text" in the detail becomes field and text; a field
 * known by another name in this request's family is renamed.
 */
enum reply refuse_err(struct request *req, const struct err *err);

/* A query argument or NULL. */
const char *request_argument(const struct request *req, const char *name);

/* Query arguments that are not in the NULL-terminated list are refused: a typing mistake in a
 * filter must not widen it. REPLY_NONE when all is well. */
enum reply request_check_arguments(struct request *req, const char *const *known);

/* The campaign the path names, "cmp_…" or "msg_…"; false when it can be none. */
bool request_campaign(const struct request *req, int64_t *out_id);

/* ,"name":"2026-…" or null for 0. */
void put_time(struct str *out, const char *name, int64_t ms);
void put_text(struct str *out, const char *name, const char *text); /* NULL and "" are null */
void put_int(struct str *out, const char *name, int64_t value);

#endif
