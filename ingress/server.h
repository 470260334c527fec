/*
 * server - libmicrohttpd's side: connections, threads, and what a connection is busy with
 *
 *     server_start(&app, &server, &err);
 *     … server_tick(server) a few times a second …
 *     server_stop(server);
 *
 * Each connection has a struct visit from its accept to its close, and the visit has one request
 * at a time: either a provider's callback (callbacks.c, the hot path: no database, no allocation)
 * or an API request (requests.c). Both take their turns through the visit's step function: it is
 * called with each piece of the body, once more with nothing at its end, and again after each
 * suspension. Whoever suspends a connection sees to it that it is resumed, always.
 */
#ifndef INGRESS_SERVER_H
#define INGRESS_SERVER_H

#include <microhttpd.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "callback.h"
#include "head.h"
#include "loops.h"
#include "payment_callback.h"
#include "request.h"

struct hook;
struct server;
struct visit;

/* Takes *size bytes and says with *size how many it left. MHD_NO cuts the connection. */
typedef enum MHD_Result visit_step_fn(struct visit *visit, const char *data, size_t *size);

struct visit {
    struct resumable resumable;
    struct visit *next_free;
    struct server *server;
    struct MHD_Connection *connection;
    visit_step_fn *step;
    int phase; /* the step's own */
    uint64_t content_length;

    /* A callback: see callbacks.c. The strings keep their memory for the next one. */
    enum callback_kind kind;
    struct payment_callback payment; /* when payment.kind is set */
    struct callback_read read;
    struct report report;
    struct parcel parcel;
    struct str json, raw;
    enum publish_outcome outcome;

    /* A post about a call, while it is under way: see voice_hook.c. */
    struct hook *voice;

    /* An API request: see requests.c. */
    struct request *req;
};

/* Answers that are always the same, made once. */
enum canned {
    CANNED_OK,
    CANNED_EMPTY,
    CANNED_ACCEPTED, /* in a payment provider's words */
    CANNED_FORBIDDEN,
    CANNED_BAD_METHOD,
    CANNED_TOO_LARGE,
    CANNED_UNAVAILABLE,
    CANNED_STOPPING,
    CANNED_COUNT,
};

bool server_start(struct app *app, struct server **out_server, struct err *err)
    __attribute__((warn_unused_result));

/*
 * Takes nothing new, answers what is under way, closes all connections. False when that is not done
 * within wait_ms: then nothing may be freed.
 */
bool server_drain(struct server *server, int64_t wait_ms);
void server_destroy(struct server *server); /* accepts NULL */

int server_port(const struct server *server);
struct app *server_app(const struct server *server);

/* For the step functions. */
enum MHD_Result server_answer_canned(struct visit *visit, enum canned canned);
struct arena *server_scratch(struct server *server); /* this thread's own */

/* Once draining, nothing is suspended any more that can be answered instead. */
bool server_is_draining(const struct server *server);
void server_suspend(struct visit *visit);
void server_resume(struct visit *visit);

/* A request object, or NULL when REQUESTS_MAX are under way; the taker holds it. */
struct request *server_take_request(struct server *server);
void request_hold(struct request *req);
void request_drop(struct request *req);

/* callbacks.c: false when the path is none of a provider's. May answer at once. */
bool callbacks_begin(struct visit *visit, const char *path, const char *method,
                     const struct head *head, enum MHD_Result *out_result);
reports_settled_fn callbacks_settled;
void callbacks_count(struct app *app); /* makes the counters */

/* Whether it is the rest of the path, or the query's token. */
bool callbacks_has_token(struct visit *visit, const char *rest);

/* voice_hook.c: likewise. The end gives up what visit->voice holds. */
bool voice_begin(struct visit *visit, const char *path, const char *method, const struct head *head,
                 enum MHD_Result *out_result);
void voice_end(struct visit *visit);

/* requests.c */
enum MHD_Result requests_begin(struct visit *visit, const char *path, const char *method,
                               const struct head *head, const char *ambiguity);
void requests_end(struct visit *visit, bool complete);

#endif
