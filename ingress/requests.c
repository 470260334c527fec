/*
 * requests - an API request's turns: head, authentication, body, work, answer
 *
 * PHASE_ASKED while a worker asks the database who calls (not for a key seen lately), PHASE_BODY
 * while the body comes, PHASE_WORK while a worker has it. An answer that is known
 * before the body came is given at once when there is a body, which closes the connection, and
 * otherwise at the request's end, which keeps it open.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/panic.h"
#include "idempotency.h"
#include "limit.h"
#include "plan/plan.h"
#include "routes.h"
#include "server.h"
#include "sound.h"
#include "stream.h"
#include "upload.h"

enum phase { PHASE_ASKED, PHASE_BODY, PHASE_WORK, PHASE_DONE };

/* --- answering -----------------------------------------------------------------------------------
 */

static void add_header(struct MHD_Response *response, const char *name, const char *value)
{
    if (value != NULL && MHD_add_response_header(response, name, value) != MHD_YES) {
        panic("cannot add the header %s", name);
    }
}

static struct MHD_Response *make_response(struct request *req)
{
    struct download *download = req->download;
    struct MHD_Response *response;

    if (req->reply == REPLY_STREAM) {
        response = stream_response(req);
    } else if (download != NULL) {
        response = MHD_create_response_from_fd_at_offset64((uint64_t)download->count, download->fd,
                                                           (uint64_t)download->first);
        req->download = NULL; /* the response closes it */
    } else {
        response = MHD_create_response_from_buffer_with_free_callback(
            req->body_out.len, req->body_out.bytes != NULL ? req->body_out.bytes : req->trace,
            NULL);
    }
    if (response == NULL) {
        panic("out of memory for an answer");
    }
    return response;
}

static bool has_body(const struct request *req)
{
    return req->reply != REPLY_NO_CONTENT && req->reply != REPLY_NOT_MODIFIED;
}

static enum MHD_Result answer(struct visit *visit)
{
    struct request *req = visit->req;
    struct MHD_Response *response = make_response(req);
    char number[24];

    if (has_body(req)) {
        add_header(response, "Content-Type",
                   req->type_out != NULL ? req->type_out : "application/json");
    }
    add_header(response, "Content-Disposition", req->disposition);
    add_header(response, "Cache-Control",
               req->cache_control != NULL ? req->cache_control : "no-store");
    add_header(response, "ETag", req->etag);
    add_header(response, "Content-Range", req->content_range);
    add_header(response, "Accept-Ranges", req->accepts_ranges ? "bytes" : NULL);
    add_header(response, "X-Trace-Id", req->trace);
    if (req->retry_after_s > 0) {
        snprintf(number, sizeof(number), "%ld", req->retry_after_s);
        add_header(response, "Retry-After", number);
    }
    if (req->reply == REPLY_UNAUTHORISED) {
        add_header(response, "WWW-Authenticate", "Bearer");
    }
    if (req->reply == REPLY_BAD_METHOD) {
        add_header(response, "Allow", route_methods(req->path, req->arena));
    }
    if (server_is_draining(visit->server)) {
        add_header(response, "Connection", "close");
    }
    visit->phase = PHASE_DONE;
    enum MHD_Result result =
        MHD_queue_response(visit->connection, (unsigned)reply_http(req->reply), response);
    MHD_destroy_response(response);
    return result;
}

/* Machines that watch ask every few seconds; that all is well is not worth a line each time. */
static enum log_level outcome_level(const struct request *req)
{
    if (req->reply == REPLY_INTERNAL) {
        return LOG_ERROR;
    }
    bool watched = req->route != NULL && req->route->scope == SCOPE_NONE;
    return req->reply == REPLY_OK && watched ? LOG_DEBUG : LOG_INFO;
}

void requests_end(struct visit *visit, bool complete)
{
    struct request *req = visit->req;
    int64_t took_us = clock_mono_us() - req->started_us;
    const char *path = req->route != NULL ? req->route->path : "-";
    char labels[METRICS_LABELS_BYTES];

    atomic_fetch_sub(&req->app->gathered, req->body.len);
    if (req->upload != NULL) {
        upload_end(req);
    }
    if (req->sound != NULL) {
        sound_end(req);
    }
    if (req->download != NULL) { /* broken off before it was answered */
        close(req->download->fd);
    }
    if (req->stream != NULL) {
        stream_close(req->stream);
    }
    snprintf(labels, sizeof(labels), "path=\"%s\",status=\"%d\"", path, reply_http(req->reply));
    metric_add(
        metrics_counter(req->app->metrics, "requests_total", "API requests by answer.", labels), 1);
    log_at(&req->log, outcome_level(req), "request_done", KV_STR("method", req->method),
           KV_STR("path", path), KV_INT("status", reply_http(req->reply)), KV_STR("why", req->code),
           KV_INT("bytes_in", (int64_t)req->received), KV_INT("took_ms", took_us / 1000),
           KV_STR("end", complete ? "answered" : "broken_off"));
    request_drop(req);
}

/* --- who calls
 * ------------------------------------------------------------------------------------ */

static enum reply judge(struct request *req, enum auth_found found)
{
    long wait_s = 0;

    switch (found) {
    case AUTH_KNOWN:
        break;
    case AUTH_MISSING:
        return refuse(req, REPLY_UNAUTHORISED, "key_missing", "Authorization",
                      "send Authorization: Bearer and your API key");
    case AUTH_WRONG:
        return refuse(req, REPLY_UNAUTHORISED, "key_unknown", "Authorization",
                      "this API key is not known or was revoked");
    case AUTH_EXPIRED:
        return refuse(req, REPLY_UNAUTHORISED, "key_expired", "Authorization",
                      "this API key has expired");
    case AUTH_ASK:
        panic("asked and still not known");
    }
    log_context(&req->log, "account", req->caller.account);
    if (!auth_may(&req->caller, req->route->scope)) {
        return refuse(req, REPLY_FORBIDDEN, "scope_missing", NULL,
                      "this API key lacks the scope '%s'",
                      req->route->scope == SCOPE_ADMIN ? "admin" : "send");
    }
    if (!limit_take(req->app->key_limit, limit_key(&req->caller.key_id, sizeof(int64_t)),
                    &wait_s)) {
        req->retry_after_s = wait_s;
        return refuse(req, REPLY_TOO_MANY, "rate_per_key", NULL,
                      "this key may ask %ld times a second; wait %ld s",
                      req->app->settings->rate_per_key, wait_s);
    }
    return REPLY_NONE;
}

static void ask_key(struct job *job, struct worker *worker)
{
    struct request *req = job->context;
    struct db *db;
    struct err err;
    enum auth_found found;

    db = worker_db(worker, &err);
    if (db == NULL ||
        !auth_ask(req->app->auth, db, req->authorization, &found, &req->caller, &err)) {
        req->reply = refuse_err(req, &err);
    } else {
        req->reply = judge(req, found);
    }
    server_resume(req->visit);
}

/* --- the work
 * ------------------------------------------------------------------------------------- */

/* What a plan lacks is told with the plans that have it; those only the database knows. */
static bool may_by_plan(struct request *req, struct err *err)
{
    unsigned missing = req->route->features & ~req->caller.features;
    unsigned feature = 0;

    if (missing == 0) {
        return true;
    }
    while ((missing & PLAN_BIT(feature)) == 0) {
        feature++;
    }
    return plan_fail(req->db, (enum plan_feature)feature, "", req->arena, err);
}

static void run_handler(struct job *job, struct worker *worker)
{
    struct request *req = job->context;
    struct err err;

    req->worker = worker;
    req->db = worker_db(worker, &err);
    if (req->db == NULL || !may_by_plan(req, &err)) {
        req->reply = refuse_err(req, &err);
    } else {
        req->reply = idempotency_run(req, req->route->handle);
    }
    req->db = NULL;
    req->worker = NULL;
    server_resume(req->visit);
}

static enum reply refuse_stopping(struct request *req)
{
    return refuse(req, REPLY_UNAVAILABLE, "stopping", NULL, "this server is about to stop");
}

static enum MHD_Result submit(struct visit *visit, job_fn *run, int phase)
{
    struct request *req = visit->req;

    req->job = (struct job){ .run = run, .context = req };
    visit->phase = phase;
    server_suspend(visit);
    if (!work_submit(req->app->work, &req->job, false)) {
        req->reply = refuse(req, REPLY_UNAVAILABLE, "too_busy", NULL, "too many requests at once");
        server_resume(visit);
    }
    return MHD_YES;
}

static bool is_upload(const struct request *req)
{
    return req->route->body == BODY_ROWS && upload_is_streamed(req);
}

static size_t body_max(const struct request *req)
{
    if (req->route->body == BODY_SOUND) {
        return sound_body_max(req->app->settings);
    }
    return is_upload(req) ? BODY_UPLOAD_MAX : route_body_max(req->route);
}

static enum reply check_body_head(struct request *req)
{
    const struct route *route = req->route;
    bool streamed = is_upload(req);
    size_t max = body_max(req);

    if (req->idempotency_key != NULL &&
        (*req->idempotency_key == '\0' || strlen(req->idempotency_key) > IDEMPOTENCY_KEY_MAX)) {
        return refuse(req, REPLY_BAD_REQUEST, "idempotency_key", "Idempotency-Key",
                      "1 to %d characters", IDEMPOTENCY_KEY_MAX);
    }
    if (route->body == BODY_SOUND) {
        return sound_begin(req);
    }
    if (req->content_length != LENGTH_CHUNKED && req->content_length > max) {
        return refuse(req, REPLY_TOO_LARGE, "body_too_large", NULL,
                      "the body is larger than %zu bytes", max);
    }
    if (route->body != BODY_NONE && !streamed &&
        strcmp(req->content_type, "application/json") != 0) {
        return refuse(req, REPLY_BAD_MEDIA_TYPE, "content_type", "Content-Type",
                      route->body == BODY_ROWS
                          ? "send application/json, text/csv or application/x-ndjson"
                          : "send application/json");
    }
    return streamed ? upload_begin(req) : REPLY_NONE;
}

/* The caller is known: take the body, or refuse before it is sent. */
static enum MHD_Result go_on_to_body(struct visit *visit)
{
    struct request *req = visit->req;

    visit->phase = PHASE_BODY;
    if (req->reply == REPLY_NONE) {
        req->reply = check_body_head(req);
    }
    return req->reply != REPLY_NONE && req->content_length > 0 ? answer(visit) : MHD_YES;
}

static enum MHD_Result take_body(struct visit *visit, const char *data, size_t *size)
{
    struct request *req = visit->req;
    size_t max = body_max(req);

    if (req->reply == REPLY_NONE && server_is_draining(visit->server)) {
        req->reply = refuse_stopping(req);
    }
    req->received += *size;
    if (req->received > max) {
        if (req->reply == REPLY_NONE) { /* came in chunks, so only now it shows */
            req->reply = refuse(req, REPLY_TOO_LARGE, "body_too_large", NULL,
                                "the body is larger than %zu bytes", max);
        }
        if (req->received > 2 * max) {
            return MHD_NO;
        }
    }
    if (req->reply != REPLY_NONE) {
        *size = 0; /* read on, so that the client comes to hear the answer */
        return MHD_YES;
    }
    if (req->sound != NULL) {
        return sound_feed(req, data, size);
    }
    if (req->upload != NULL) {
        enum MHD_Result result = upload_feed(req, data, size);
        req->received -= *size; /* what it left comes again */
        return result;
    }
    if (atomic_fetch_add(&req->app->gathered, *size) + *size > BODIES_MAX) {
        atomic_fetch_sub(&req->app->gathered, *size);
        req->reply = refuse(req, REPLY_UNAVAILABLE, "too_busy", NULL, "too many requests at once");
    } else {
        str_append(&req->body, data, *size);
    }
    *size = 0;
    return MHD_YES;
}

static enum MHD_Result step_request(struct visit *visit, const char *data, size_t *size)
{
    struct request *req = visit->req;

    switch ((enum phase)visit->phase) {
    case PHASE_ASKED:
        return go_on_to_body(visit);
    case PHASE_BODY:
        if (*size > 0) {
            return take_body(visit, data, size);
        }
        if (req->reply == REPLY_NONE && server_is_draining(visit->server)) {
            req->reply = refuse_stopping(req);
        }
        if (req->reply == REPLY_NONE && req->sound != NULL) {
            req->reply = sound_finish(req);
        }
        if (req->reply != REPLY_NONE) {
            return answer(visit);
        }
        if (req->upload != NULL) {
            visit->phase = PHASE_WORK;
            return upload_finish(req) ? MHD_YES : answer(visit);
        }
        if (req->route->inline_answer) {
            req->reply = req->route->handle(req);
            return answer(visit);
        }
        return submit(visit, run_handler, PHASE_WORK);
    case PHASE_WORK:
        return answer(visit);
    case PHASE_DONE:
        break;
    }
    return MHD_NO;
}

/* --- the head
 * ------------------------------------------------------------------------------------- */

static enum MHD_Result on_argument(void *context, enum MHD_ValueKind kind, const char *name,
                                   const char *value)
{
    struct request *req = context;

    (void)kind;
    if (req->argument_count == ARGUMENTS_MAX) {
        return MHD_NO;
    }
    req->arguments[req->argument_count++] = (struct http_pair){
        arena_strdup(req->arena, name),
        arena_strdup(req->arena, value != NULL ? value : ""),
    };
    return MHD_YES;
}

/* The address limits count by: the proxy's last hop when we trust the proxy; a /64 for IPv6. */
static uint64_t client_key(struct visit *visit, const char *forwarded_for)
{
    const struct sockaddr *peer =
        MHD_get_connection_info(visit->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr;
    const char *proxy = server_app(visit->server)->settings->trusted_proxy;
    char text[INET6_ADDRSTRLEN] = "";

    if (peer->sa_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)peer;
        inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof(text));
        if (forwarded_for == NULL || strcmp(text, proxy) != 0) {
            return limit_key(&v6->sin6_addr, 8);
        }
    } else {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)peer;
        inet_ntop(AF_INET, &v4->sin_addr, text, sizeof(text));
        if (forwarded_for == NULL || strcmp(text, proxy) != 0) {
            return limit_key(&v4->sin_addr, sizeof(v4->sin_addr));
        }
    }
    const char *last = head_last_hop(forwarded_for);
    return limit_key(last, (unsigned)strlen(last));
}

static bool is_hex(const char *text, size_t len)
{
    return strspn(text, "0123456789abcdef") >= len;
}

/* A W3C traceparent of version 00 that is not all zeroes. */
static bool is_traceparent(const char *text)
{
    return text != NULL && strlen(text) == 55 && strncmp(text, "00-", 3) == 0 &&
           is_hex(text + 3, 32) && text[35] == '-' && is_hex(text + 36, 16) && text[52] == '-' &&
           is_hex(text + 53, 2) && strspn(text + 3, "0") < 32;
}

static const char *copy(struct request *req, const char *text)
{
    return text != NULL ? arena_strdup(req->arena, text) : NULL;
}

/* "Text/CSV; charset=utf-8" to "text/csv". */
static const char *media_type(struct request *req, const char *header)
{
    size_t len = header != NULL ? strcspn(header, "; ") : 0;
    char *type = arena_strndup(req->arena, header != NULL ? header : "", len);

    for (char *c = type; *c != '\0'; c++) {
        *c = (char)tolower((unsigned char)*c);
    }
    return type;
}

static void read_head(struct visit *visit, const char *path, const char *method,
                      const struct head *head)
{
    struct request *req = visit->req;

    req->app = server_app(visit->server);
    req->visit = visit;
    req->started_us = clock_mono_us();
    req->method = arena_strdup(req->arena, method);
    req->path = arena_strdup(req->arena, path);
    req->content_type = media_type(req, head->content_type);
    req->content_type_whole = copy(req, head->content_type);
    req->content_disposition = copy(req, head->content_disposition);
    req->range = copy(req, head->range);
    req->if_range = copy(req, head->if_range);
    req->if_none_match = copy(req, head->if_none_match);
    req->accept = copy(req, head->accept);
    req->idempotency_key = copy(req, head->idempotency_key);
    req->authorization = copy(req, head->authorization);
    req->last_event_id = copy(req, head->last_event_id);
    req->content_length = head->content_length;
    publish_trace(is_traceparent(head->traceparent) ? head->traceparent : NULL, req->trace);
    log_context(&req->log, "stage", "ingress");
    log_context(&req->log, "trace", req->trace);
    MHD_get_connection_values(visit->connection, MHD_GET_ARGUMENT_KIND, on_argument, req);
}

static bool is_welcome(const struct request *req)
{
    return req->route != NULL && req->route->is_welcome != NULL && req->route->is_welcome(req);
}

static enum reply check_head(struct request *req, uint64_t client, const char *ambiguity)
{
    const char *parameters[ROUTE_PARAMETERS] = { NULL };
    bool path_known;
    long wait_s = 0;

    if (ambiguity != NULL) {
        return refuse(req, REPLY_BAD_REQUEST, "ambiguous_request", NULL, "the request has %s",
                      ambiguity);
    }
    req->route = route_find(req->method, req->path, req->arena, parameters, &path_known);
    if (req->route == NULL && strcmp(req->method, "HEAD") == 0) {
        req->route = route_find("GET", req->path, req->arena, parameters, &path_known);
    }
    req->id = parameters[0];
    req->tail = parameters[1];
    if (req->route != NULL && req->route->inline_answer) {
        return REPLY_NONE;
    }
    if (!is_welcome(req) && !limit_take(req->app->address_limit, client, &wait_s)) {
        req->retry_after_s = wait_s;
        return refuse(req, REPLY_TOO_MANY, "rate_per_address", NULL,
                      "this address may ask %ld times a second; wait %ld s",
                      req->app->settings->rate_per_address, wait_s);
    }
    if (req->route == NULL) {
        return path_known ? refuse(req, REPLY_BAD_METHOD, "method", NULL,
                                   "this path does not take %s", req->method)
                          : refuse(req, REPLY_NOT_FOUND, "path_unknown", NULL,
                                   "there is nothing at this path");
    }
    if (server_is_draining(req->server)) {
        return refuse_stopping(req);
    }
    return REPLY_NONE;
}

enum MHD_Result requests_begin(struct visit *visit, const char *path, const char *method,
                               const struct head *head, const char *ambiguity)
{
    struct request *req = server_take_request(visit->server);

    if (req == NULL) {
        return server_answer_canned(visit, CANNED_UNAVAILABLE);
    }
    visit->req = req;
    visit->step = step_request;
    read_head(visit, path, method, head);
    req->reply = check_head(req, client_key(visit, head->forwarded_for), ambiguity);
    if (ambiguity != NULL) {
        return answer(visit); /* early, so that the connection closes */
    }
    if (req->reply == REPLY_NONE && req->route->scope != SCOPE_NONE) {
        enum auth_found found = auth_find(req->app->auth, req->authorization, &req->caller);
        if (found == AUTH_ASK) {
            return submit(visit, ask_key, PHASE_ASKED);
        }
        req->reply = judge(req, found);
    }
    return go_on_to_body(visit);
}
