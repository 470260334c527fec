/*
 * http - calls over libcurl's multi interface, and never one of them twice
 *
 * Each call runs in a slot: an easy handle with all options set once, of which only those that
 * differ from the slot's previous call are set again. The body is given as POSTFIELDS, so that
 * headers and body leave in one write.
 *
 * libcurl repeats a request by itself when a reused connection died before a byte of the answer
 * (transfer.c, Curl_retry_request), and has no option against it. Every attempt however passes the
 * pre-request callback (multi.c, MSTATE_DO), and this one refuses when bytes of an earlier attempt
 * have left. An attempt of which nothing left is let through: that is a dead connection noticed
 * in time.
 */
#include "http/http.h"

#include <signal.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/panic.h"
#include "base/str.h"
#include "http/outcome.h"
#include "http/socket.h"

#define MAX_CONNECTIONS 32
#define CONNECT_TIMEOUT_MS 4000
#define MAX_REPLY_BYTES (1L << 20)
#define MAX_IDLE_S 50
#define CLIENT_BYTES (16UL << 20) /* bound on the client's own tables */
#define KEEPALIVE_IDLE_S 30

struct slot {
    CURL *easy;
    struct http *http;
    struct str url;
    struct str body; /* of the reply */
    struct curl_slist *headers;
    bool is_post;
    bool ran; /* url, is_post and headers are those of an earlier call */
    long timeout_ms;
    size_t index; /* of the call in hand */
    bool too_long;
    int64_t started_us;
    char error[CURL_ERROR_SIZE];
};

struct http {
    struct http_conf conf;
    CURLM *multi;
    struct sockets sockets;
    struct slot *slots; /* conf.max_connections of them */
    struct slot **idle; /* a stack */
    size_t idle_count;
    struct arena *arena;
};

static long or_default(long value, long fallback)
{
    return value > 0 ? value : fallback;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *user)
{
    struct slot *slot = user;
    size_t len = size * count;

    if (slot->body.len + len > (size_t)slot->http->conf.max_reply_bytes) {
        slot->too_long = true;
        return 0;
    }
    str_append(&slot->body, bytes, len);
    return len;
}

static bool bytes_sent(CURL *easy)
{
    long sent = 0;
    return curl_easy_getinfo(easy, CURLINFO_REQUEST_SIZE, &sent) != CURLE_OK || sent > 0;
}

/* Called before each attempt; see the head of this file. */
static int on_attempt(void *user, char *remote_ip, char *local_ip, int remote_port, int local_port)
{
    struct slot *slot = user;
    (void)remote_ip;
    (void)local_ip;
    (void)remote_port;
    (void)local_port;

    return bytes_sent(slot->easy) ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK;
}

static void set_fixed_options(struct slot *slot)
{
    const struct http_conf *conf = &slot->http->conf;
    CURL *easy = slot->easy;

    sockets_adopt(&slot->http->sockets, easy);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, slot);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, slot->error);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, slot);
    curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_attempt);
    curl_easy_setopt(easy, CURLOPT_PREREQDATA, slot);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, conf->user_agent);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, conf->connect_timeout_ms);
    curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, conf->max_idle_s);
    /* 7.88.1 has known faults with failing HTTP/2 streams; 8.0.0 repaired them. */
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 1L);
    curl_easy_setopt(easy, CURLOPT_PROXY, ""); /* settings come from our tables only */
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, (long)KEEPALIVE_IDLE_S);
}

static bool create_slots(struct http *http, struct err *err)
{
    size_t count = (size_t)http->conf.max_connections;

    http->slots = arena_array(http->arena, count, sizeof(*http->slots));
    http->idle = arena_array(http->arena, count, sizeof(struct slot *));
    for (size_t i = count; i-- > 0;) {
        struct slot *slot = &http->slots[i];
        slot->http = http;
        slot->easy = curl_easy_init();
        if (slot->easy == NULL) {
            return err_temporary(err, "http_no_memory", "curl_easy_init");
        }
        set_fixed_options(slot);
        http->idle[http->idle_count++] = slot;
    }
    return true;
}

/* OpenSSL writes to its sockets without MSG_NOSIGNAL. */
static void ignore_sigpipe(void)
{
    struct sigaction action;

    if (sigaction(SIGPIPE, NULL, &action) == 0 && action.sa_handler == SIG_DFL) {
        action.sa_handler = SIG_IGN;
        sigaction(SIGPIPE, &action, NULL);
    }
}

bool http_create(const struct http_conf *conf, struct http **out_http, struct err *err)
{
    struct arena *arena = arena_create(CLIENT_BYTES);
    struct http *http = arena_alloc(arena, sizeof(*http));

    http->arena = arena;
    http->conf = (struct http_conf){
        .max_connections = or_default(conf->max_connections, MAX_CONNECTIONS),
        .connect_timeout_ms = or_default(conf->connect_timeout_ms, CONNECT_TIMEOUT_MS),
        .max_reply_bytes = or_default(conf->max_reply_bytes, MAX_REPLY_BYTES),
        .max_idle_s = or_default(conf->max_idle_s, MAX_IDLE_S),
        .begin_within_ms = conf->begin_within_ms,
        .user_agent = conf->user_agent != NULL ? conf->user_agent : "Tuma/" TUMA_VERSION,
    };
    ignore_sigpipe();
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        err_temporary(err, "http_no_memory", "curl_global_init");
        arena_destroy(arena);
        return false;
    }
    http->multi = curl_multi_init();
    if (http->multi == NULL) {
        err_temporary(err, "http_no_memory", "curl_multi_init");
        goto fail;
    }
    curl_multi_setopt(http->multi, CURLMOPT_MAX_HOST_CONNECTIONS, http->conf.max_connections);
    curl_multi_setopt(http->multi, CURLMOPT_MAXCONNECTS, http->conf.max_connections);
    curl_multi_setopt(http->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
    if (!sockets_init(&http->sockets, http->multi, arena, err) || !create_slots(http, err)) {
        goto fail;
    }
    *out_http = http;
    return true;

fail:
    http_destroy(http);
    return false;
}

void http_destroy(struct http *http)
{
    if (http == NULL) {
        return;
    }
    for (long i = 0; http->slots != NULL && i < http->conf.max_connections; i++) {
        struct slot *slot = &http->slots[i];
        curl_easy_cleanup(slot->easy);
        curl_slist_free_all(slot->headers);
        str_free(&slot->url);
        str_free(&slot->body);
    }
    curl_multi_cleanup(http->multi); /* closes the idle connections through sockets */
    sockets_fini(&http->sockets);
    curl_global_cleanup();
    arena_destroy(http->arena);
}

static bool same_headers(const struct curl_slist *list, const char *const *headers)
{
    for (; headers != NULL && *headers != NULL; headers++, list = list->next) {
        if (list == NULL || strcmp(list->data, *headers) != 0) {
            return false;
        }
    }
    return list == NULL;
}

static void set_headers(struct slot *slot, const char *const *headers)
{
    if (slot->ran && same_headers(slot->headers, headers)) {
        return;
    }
    curl_slist_free_all(slot->headers);
    slot->headers = NULL;
    for (; headers != NULL && *headers != NULL; headers++) {
        struct curl_slist *list = curl_slist_append(slot->headers, *headers);
        if (list == NULL) {
            panic("out of memory");
        }
        slot->headers = list;
    }
    curl_easy_setopt(slot->easy, CURLOPT_HTTPHEADER, slot->headers);
}

/* Sets what differs from the slot's previous call. */
static CURLcode set_call(struct slot *slot, const struct http_call *call)
{
    bool is_post = strcmp(call->method, "POST") == 0;
    CURL *easy = slot->easy;
    CURLcode code = CURLE_OK;

    if (!slot->ran || strcmp(slot->url.bytes, call->url) != 0) {
        str_reset(&slot->url);
        str_puts(&slot->url, call->url);
        code = curl_easy_setopt(easy, CURLOPT_URL, call->url);
    }
    if (!slot->ran || slot->is_post != is_post) {
        curl_easy_setopt(easy, is_post ? CURLOPT_POST : CURLOPT_HTTPGET, 1L);
        slot->is_post = is_post;
    }
    if (!slot->ran || slot->timeout_ms != call->timeout_ms) {
        curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, call->timeout_ms);
        slot->timeout_ms = call->timeout_ms;
    }
    set_headers(slot, call->headers);
    if (is_post) {
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, call->body != NULL ? call->body : "");
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body_len);
    }
    slot->ran = true;
    return code;
}

static void start(struct http *http, const struct http_call *calls, size_t index)
{
    const struct http_call *call = &calls[index];
    struct slot *slot = http->idle[--http->idle_count];

    slot->index = index;
    slot->too_long = false;
    slot->error[0] = '\0';
    str_reset(&slot->body);
    slot->started_us = clock_mono_us();
    if (set_call(slot, call) != CURLE_OK) {
        panic("out of memory");
    }
    CURLMcode code = curl_multi_add_handle(http->multi, slot->easy);
    if (code != CURLM_OK) {
        panic("curl_multi_add_handle: %s", curl_multi_strerror(code));
    }
}

/* "Application/JSON; charset=UTF-8" to "application/json". */
static const char *content_type(CURL *easy, struct arena *arena)
{
    const char *text = NULL;

    curl_easy_getinfo(easy, CURLINFO_CONTENT_TYPE, &text);
    if (text == NULL) {
        return "";
    }
    size_t len = strcspn(text, "; \t");
    char *copy = arena_strndup(arena, text, len);
    for (size_t i = 0; i < len; i++) {
        if (copy[i] >= 'A' && copy[i] <= 'Z') {
            copy[i] = (char)(copy[i] + ('a' - 'A'));
        }
    }
    return copy;
}

static int64_t retry_after_s(CURL *easy)
{
    struct curl_header *header = NULL;
    int64_t seconds = -1;

    if (curl_easy_header(easy, "Retry-After", 0, CURLH_HEADER, -1, &header) != CURLHE_OK ||
        !str_parse_int(header->value, 0, INT32_MAX, &seconds)) {
        return -1;
    }
    return seconds;
}

/* For people: libcurl's words, but for two cases where this module stopped the transfer. */
static const char *failure_detail(const struct slot *slot, CURLcode code)
{
    if (slot->too_long) {
        return "the reply is too long";
    }
    if (code == CURLE_ABORTED_BY_CALLBACK) {
        return "the reused connection died before an answer";
    }
    return slot->error[0] != '\0' ? slot->error : curl_easy_strerror(code);
}

static void fill_reply(struct slot *slot, CURLcode code, struct http_reply *reply,
                       struct arena *arena)
{
    long status = 0;

    reply->sent = HTTP_ANSWERED;
    reply->content_type = "";
    reply->body = "";
    reply->body_len = 0;
    reply->retry_after_s = -1;
    reply->took_us = clock_mono_us() - slot->started_us;
    curl_easy_getinfo(slot->easy, CURLINFO_RESPONSE_CODE, &status);
    reply->status = (int)status;
    if (code != CURLE_OK || status == 0) {
        reply->sent = http_outcome((int)code, bytes_sent(slot->easy), failure_detail(slot, code),
                                   &reply->err);
        reply->status = 0;
        return;
    }
    reply->content_type = content_type(slot->easy, arena);
    if (status >= 300) {
        reply->retry_after_s = retry_after_s(slot->easy);
    }
    if (slot->body.len > 0) {
        reply->body = arena_strndup(arena, slot->body.bytes, slot->body.len);
        reply->body_len = slot->body.len;
    }
}

/* Takes finished transfers out; returns how many. */
static size_t collect(struct http *http, struct http_reply *replies, struct arena *arena)
{
    CURLMsg *message;
    int left;
    size_t count = 0;

    while ((message = curl_multi_info_read(http->multi, &left)) != NULL) {
        struct slot *slot = NULL;
        CURL *easy = message->easy_handle;
        CURLcode code = message->data.result; /* gone after curl_multi_remove_handle */

        curl_easy_getinfo(easy, CURLINFO_PRIVATE, &slot);
        fill_reply(slot, code, &replies[slot->index], arena);
        curl_multi_remove_handle(http->multi, easy);
        http->idle[http->idle_count++] = slot;
        count++;
    }
    return count;
}

static void not_begun(const struct http *http, struct http_reply *reply)
{
    *reply = (struct http_reply){
        .sent = HTTP_NOT_SENT, .content_type = "", .body = "", .retry_after_s = -1
    };
    err_temporary(&reply->err, "http_not_begun", "the calls before it took %ld ms",
                  http->conf.begin_within_ms);
}

void http_run(struct http *http, const struct http_call *calls, struct http_reply *replies,
              size_t count, struct arena *arena)
{
    const int64_t until_ms =
        http->conf.begin_within_ms > 0 ? clock_mono_ms() + http->conf.begin_within_ms : INT64_MAX;
    size_t next = 0;
    size_t done = 0;

    sockets_sweep(&http->sockets);
    while (done < count) {
        while (next < count && http->idle_count > 0) {
            if (clock_mono_ms() < until_ms) {
                start(http, calls, next++);
            } else {
                not_begun(http, &replies[next++]);
                done++;
            }
        }
        if (done < count) {
            sockets_turn(&http->sockets);
            done += collect(http, replies, arena);
        }
    }
}
