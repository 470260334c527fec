#include "server.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/panic.h"
#include "loops.h"
#include "sound.h"
#include "stream.h"
#include "upload.h"

/*
 * Of one connection: URL, headers and read buffer. libmicrohttpd clears all of it for each request,
 * which at 32 KiB took an eighth of a callback's time; an upload's template has to fit the URL.
 */
#define CONNECTION_MEMORY ((size_t)16 << 10)
#define REQUEST_ARENA_MAX ((size_t)256 << 20) /* 10,000 recipients with 64 fields each, parsed */
#define DRAIN_TICK_MS 20
#define SCRATCH_MAX ((size_t)1 << 20)

struct server {
    struct app *app;
    struct loops *loops;
    struct MHD_Response *canned[CANNED_COUNT];
    struct arena *arena; /* visits and requests, for the server's life */
    atomic_bool draining;
    struct arena *scratch[LOOPS_MAX]; /* one for each loop */

    pthread_mutex_t lock; /* the lists and the arena */
    struct visit *free_visits;
    struct request *free_requests;
    int requests;
};

static const struct {
    unsigned status;
    const char *type;
    const char *body;
} canned_answers[CANNED_COUNT] = {
#define PROBLEM(type, code, title, detail, status)                                                 \
    status, "application/problem+json",                                                            \
        "{\"type\":\"urn:tuma:problem:" type "\",\"title\":\"" title "\",\"status\":" #status      \
        ",\"detail\":\"" detail "\",\"code\":\"" code "\"}"
    [CANNED_OK] = { 200, "text/plain", "OK\n" },
    [CANNED_EMPTY] = { 200, "text/plain", "" },
    [CANNED_ACCEPTED] = { 200, "application/json",
                          "{\"ResultCode\":0,\"ResultDesc\":\"Accepted\"}" },
    [CANNED_FORBIDDEN] = { PROBLEM(
        "forbidden", "forbidden", "Not allowed",
        "the address needs the webhook token, in the path or as ?token=", 403) },
    [CANNED_BAD_METHOD] = { PROBLEM("method", "method", "Method not available",
                                    "callbacks are posted: use POST", 405) },
    [CANNED_TOO_LARGE] = { PROBLEM("body-too-large", "body_too_large", "Too large",
                                   "the body is larger than a callback may be", 413) },
    [CANNED_UNAVAILABLE] = { PROBLEM("broker-away", "broker_away", "Not available for the moment",
                                     "it could not be kept; post it again", 503) },
    [CANNED_STOPPING] = { PROBLEM("stopping", "stopping", "This server is about to stop",
                                  "post it again, to another one", 503) },
};

/* --- what the step functions use
 * ------------------------------------------------------------------ */

struct app *server_app(const struct server *server)
{
    return server->app;
}

bool server_is_draining(const struct server *server)
{
    return server->draining;
}

int server_port(const struct server *server)
{
    return loops_port(server->loops);
}

enum MHD_Result server_answer_canned(struct visit *visit, enum canned canned)
{
    return MHD_queue_response(visit->connection, canned_answers[canned].status,
                              visit->server->canned[canned]);
}

void server_suspend(struct visit *visit)
{
    loops_suspend(visit->server->loops, &visit->resumable);
}

void server_resume(struct visit *visit)
{
    loops_resume(visit->server->loops, &visit->resumable);
}

struct arena *server_scratch(struct server *server)
{
    return server->scratch[loops_mine()];
}

struct request *server_take_request(struct server *server)
{
    struct request *req = NULL;

    pthread_mutex_lock(&server->lock);
    if (server->requests < REQUESTS_MAX) {
        server->requests++;
        req = server->free_requests;
        if (req != NULL) {
            server->free_requests = req->next_free;
        } else {
            req = arena_alloc(server->arena, sizeof(*req));
            req->arena = arena_create(REQUEST_ARENA_MAX);
        }
    }
    pthread_mutex_unlock(&server->lock);
    if (req != NULL) {
        req->refs = 1;
        req->server = server;
    }
    return req;
}

static void give_back(struct server *server, struct request *req)
{
    struct arena *arena = req->arena;

    if (req->stream != NULL) {
        stream_free(req->stream);
    }
    if (req->upload != NULL) {
        upload_free(req->upload);
    }
    if (req->sound != NULL) {
        sound_free(req->sound);
    }
    str_free(&req->body);
    str_free(&req->body_out);
    arena_wipe(arena); /* it held a key */
    memset(req, 0, sizeof(*req));
    req->arena = arena;
    pthread_mutex_lock(&server->lock);
    req->next_free = server->free_requests;
    server->free_requests = req;
    server->requests--;
    pthread_mutex_unlock(&server->lock);
}

void request_hold(struct request *req)
{
    req->refs++;
}

void request_drop(struct request *req)
{
    if (--req->refs == 0) {
        give_back(req->server, req);
    }
}

/* --- libmicrohttpd's callbacks
 * -------------------------------------------------------------------- */

static struct visit *take_visit(struct server *server)
{
    struct visit *visit;

    pthread_mutex_lock(&server->lock);
    visit = server->free_visits;
    if (visit != NULL) {
        server->free_visits = visit->next_free;
    } else {
        visit = arena_alloc(server->arena, sizeof(*visit));
        visit->server = server;
    }
    pthread_mutex_unlock(&server->lock);
    return visit;
}

static void on_connection(void *context, struct MHD_Connection *connection, void **visit_place,
                          enum MHD_ConnectionNotificationCode what)
{
    struct server *server = context;
    struct visit *visit;

    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        visit = take_visit(server);
        visit->connection = connection;
        loops_own(&visit->resumable, connection);
        *visit_place = visit;
        return;
    }
    visit = *visit_place;
    str_free(&visit->raw);
    str_free(&visit->json);
    pthread_mutex_lock(&server->lock);
    visit->next_free = server->free_visits;
    server->free_visits = visit;
    pthread_mutex_unlock(&server->lock);
}

static enum MHD_Result begin(struct visit *visit, const char *path, const char *method)
{
    struct head head;
    const char *ambiguity;
    enum MHD_Result result;

    visit->req = NULL;
    if (head_read(visit->connection, &head, &ambiguity) &&
        (callbacks_begin(visit, path, method, &head, &result) ||
         voice_begin(visit, path, method, &head, &result))) {
        return result;
    }
    return requests_begin(visit, path, method, &head, ambiguity);
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *connection,
                                  const char *path, const char *method, const char *version,
                                  const char *data, size_t *size, void **visit_place)
{
    struct visit *visit = *visit_place;

    (void)context;
    (void)version;
    if (visit == NULL) {
        visit =
            MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
        *visit_place = visit;
        return begin(visit, path, method);
    }
    return visit->step(visit, data, size);
}

static void on_completed(void *context, struct MHD_Connection *connection, void **visit_place,
                         enum MHD_RequestTerminationCode how)
{
    struct visit *visit = *visit_place;

    (void)context;
    (void)connection;
    if (visit != NULL && visit->voice != NULL) { /* broken off */
        voice_end(visit);
    }
    if (visit != NULL && visit->req != NULL) {
        requests_end(visit, how == MHD_REQUEST_TERMINATED_COMPLETED_OK);
        visit->req = NULL;
    }
}

/* --- starting and stopping
 * ------------------------------------------------------------------------ */

static void free_parts(struct server *server)
{
    for (int i = 0; i < CANNED_COUNT; i++) {
        MHD_destroy_response(server->canned[i]);
    }
    for (long i = 0; i < server->app->settings->threads; i++) {
        arena_destroy(server->scratch[i]);
    }
    for (struct request *req = server->free_requests; req != NULL; req = req->next_free) {
        arena_destroy(req->arena);
    }
    pthread_mutex_destroy(&server->lock);
    arena_destroy(server->arena);
}

static unsigned share(const struct server *server, long whole)
{
    return (unsigned)(whole / server->app->settings->threads + 1);
}

static void can_answers(struct server *server)
{
    for (int i = 0; i < CANNED_COUNT; i++) {
        const char *body = canned_answers[i].body;
        struct MHD_Response *response = MHD_create_response_from_buffer_with_free_callback(
            strlen(body), (void *)(uintptr_t)body, NULL);
        if (response == NULL ||
            MHD_add_response_header(response, "Content-Type", canned_answers[i].type) != MHD_YES ||
            (canned_answers[i].status == 503 &&
             MHD_add_response_header(response, "Retry-After", "5") != MHD_YES) ||
            (i == CANNED_STOPPING &&
             MHD_add_response_header(response, "Connection", "close") != MHD_YES)) {
            panic("cannot prepare an answer");
        }
        server->canned[i] = response;
    }
}

/* libmicrohttpd reports what peers do wrong; that is worth a debug line and no more. */
__attribute__((format(printf, 2, 0))) static void on_mhd_message(void *context, const char *fmt,
                                                                 va_list args)
{
    struct server *server = context;
    char text[200];

    if (log_enabled(LOG_DEBUG)) {
        vsnprintf(text, sizeof(text), fmt, args);
        log_debug(&(struct log){ 0 }, "http_message", KV_STR("detail", text),
                  KV_INT("threads", server->app->settings->threads));
    }
}

/* Limits are per daemon, so each loop gets its share. */
static struct MHD_Daemon *start_daemon(void *context, int listen_fd, unsigned flags)
{
    struct server *server = context;
    const struct settings *settings = server->app->settings;
    long per_address = settings->connections_per_address;
    const struct MHD_OptionItem options[] = {
        { MHD_OPTION_EXTERNAL_LOGGER, (intptr_t)on_mhd_message, server },
        { MHD_OPTION_LISTEN_SOCKET, listen_fd, NULL },
        { MHD_OPTION_CONNECTION_LIMIT, (intptr_t)share(server, settings->connections), NULL },
        { MHD_OPTION_CONNECTION_TIMEOUT, (intptr_t)((settings->idle_ms + 999) / 1000), NULL },
        { MHD_OPTION_PER_IP_CONNECTION_LIMIT, (intptr_t)share(server, per_address), NULL },
        { MHD_OPTION_CONNECTION_MEMORY_LIMIT, (intptr_t)CONNECTION_MEMORY, NULL },
        { MHD_OPTION_STRICT_FOR_CLIENT, 1, NULL },
        { MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, NULL },
        { MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)on_connection, server },
        { MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)on_completed, server },
        { MHD_OPTION_END, 0, NULL },
    };

    return MHD_start_daemon(flags, 0, NULL, NULL, on_request, server, MHD_OPTION_ARRAY, options,
                            MHD_OPTION_END);
}

bool server_start(struct app *app, struct server **out_server, struct err *err)
{
    struct arena *arena = arena_create((size_t)4 << 30);
    struct server *server = arena_alloc(arena, sizeof(*server));

    server->arena = arena;
    server->app = app;
    pthread_mutex_init(&server->lock, NULL);
    for (long i = 0; i < app->settings->threads; i++) {
        server->scratch[i] = arena_create(SCRATCH_MAX);
    }
    can_answers(server);
    if (!loops_start(app->settings->listen, (int)app->settings->threads, start_daemon, server,
                     &server->loops, err)) {
        free_parts(server);
        return false;
    }
    *out_server = server;
    return true;
}

static void keep_time(struct server *server)
{
    publish_expire(server->app->publisher);
    streams_tick(server->app->streams, true);
    clock_sleep_ms(DRAIN_TICK_MS);
}

bool server_drain(struct server *server, int64_t wait_ms)
{
    int64_t until_ms = clock_mono_ms() + wait_ms;

    server->draining = true;
    loops_quiesce(server->loops);
    while (loops_suspended(server->loops) > 0 && clock_mono_ms() < until_ms) {
        keep_time(server);
    }
    loops_end(server->loops);
    while (!loops_ended(server->loops) && clock_mono_ms() < until_ms) {
        keep_time(server);
    }
    return loops_ended(server->loops);
}

void server_destroy(struct server *server)
{
    if (server == NULL) {
        return;
    }
    loops_destroy(server->loops);
    free_parts(server);
}
