/*
 * The client against a server that misbehaves as told: above all, no request arrives twice.
 */
/* cmocka.h wants these before it. clang-format would sort them. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/http.h"
#include "raw_server.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define OK_TEXT                                                                                    \
    "HTTP/1.1 201 Created\r\nContent-Type: Application/JSON; charset=UTF-8\r\n"                    \
    "Content-Length: 2\r\n\r\n{}"
#define TIMEOUT_MS 5000
#define SHORT_MS 200
#define BIG_BYTES (1 << 20)

struct fixture {
    struct http *http;
    struct arena *arena;
    struct raw_server *server;
    struct http_reply reply;
};

static void begin(struct fixture *fix, const struct http_conf *conf, const struct raw_step *steps,
                  size_t count)
{
    struct err err;
    static const struct http_conf usual;

    *fix = (struct fixture){ .arena = arena_create(64 << 20) };
    assert_true(http_create(conf != NULL ? conf : &usual, &fix->http, &err));
    if (steps != NULL) {
        fix->server = raw_server_start(steps, count);
    }
}

static void end(struct fixture *fix)
{
    http_destroy(fix->http);
    if (fix->server != NULL) {
        raw_server_stop(fix->server);
    }
    arena_destroy(fix->arena);
}

static const char *url_of(struct fixture *fix, const char *scheme)
{
    return arena_printf(fix->arena, "%s://127.0.0.1:%d/version1/messaging", scheme,
                        raw_server_port(fix->server));
}

static void run(struct fixture *fix, struct http_call call)
{
    if (call.url == NULL) {
        call.url = url_of(fix, "http");
    }
    if (call.timeout_ms == 0) {
        call.timeout_ms = TIMEOUT_MS;
    }
    memset(&fix->reply, 0xA5, sizeof(fix->reply));
    http_run(fix->http, &call, &fix->reply, 1, fix->arena);
}

static void post(struct fixture *fix, const char *body)
{
    run(fix, (struct http_call){ .method = "POST", .body = body, .body_len = strlen(body) });
}

static void assert_unknown(const struct fixture *fix, const char *what)
{
    assert_int_equal(fix->reply.sent, HTTP_UNKNOWN);
    assert_int_equal(fix->reply.err.kind, ERR_UNKNOWN);
    assert_string_equal(fix->reply.err.what, what);
    assert_true(fix->reply.err.detail[0] != '\0');
}

static void assert_not_sent(const struct fixture *fix, enum err_kind kind, const char *what)
{
    assert_int_equal(fix->reply.sent, HTTP_NOT_SENT);
    assert_int_equal(fix->reply.err.kind, kind);
    assert_string_equal(fix->reply.err.what, what);
}

static void keeps_its_connection_and_says_no_more_than_asked(void **state)
{
    static const struct raw_step steps[] = { { RAW_ANSWER, OK_TEXT, 0 } };
    static const char *const headers[] = { "apiKey: secret", "Accept: application/json", NULL };
    struct fixture fix;
    (void)state;

    begin(&fix, NULL, steps, COUNT(steps));
    for (int i = 0; i < 3; i++) {
        run(&fix, (struct http_call){
                      .method = "POST", .headers = headers, .body = "a=1", .body_len = 3 });
        assert_int_equal(fix.reply.sent, HTTP_ANSWERED);
        assert_int_equal(fix.reply.status, 201);
        assert_string_equal(fix.reply.content_type, "application/json");
        assert_string_equal(fix.reply.body, "{}");
        assert_int_equal(fix.reply.body_len, 2);
        assert_int_equal(fix.reply.retry_after_s, -1);
        assert_true(fix.reply.took_us >= 0 && fix.reply.took_us < TIMEOUT_MS * 1000);
        const char *request = raw_server_last(fix.server);
        assert_memory_equal(request, "POST /version1/messaging HTTP/1.1\r\n", 35);
        assert_non_null(strstr(request, "\r\napiKey: secret\r\n"));
        assert_non_null(strstr(request, "\r\nAccept: application/json\r\n"));
        assert_non_null(strstr(request, "\r\nContent-Length: 3\r\n"));
        assert_non_null(strstr(request, "\r\nUser-Agent: Tuma/"));
        assert_non_null(strstr(request, "\r\n\r\na=1"));
        assert_null(strstr(request, "Expect:"));
    }
    assert_int_equal(raw_server_connections(fix.server), 1);
    assert_int_equal(raw_server_requests(fix.server), 3);
    end(&fix);
}

/* A slot keeps its options from call to call: what differs must be set, what is gone must go. */
static void calls_do_not_inherit_from_each_other(void **state)
{
    static const struct raw_step steps[] = { { RAW_ANSWER, OK_TEXT, 0 } };
    static const char *const one[] = { "X-One: 1", NULL };
    static const char *const two[] = { "X-One: 1", "X-Two: 2", NULL };
    struct fixture fix;
    (void)state;

    begin(&fix, &(struct http_conf){ .max_connections = 1 }, steps, COUNT(steps));
    run(&fix, (struct http_call){ .method = "POST", .headers = two, .body = "x", .body_len = 1 });
    assert_non_null(strstr(raw_server_last(fix.server), "X-Two: 2"));
    run(&fix, (struct http_call){ .method = "GET", .headers = one });
    const char *request = raw_server_last(fix.server);
    assert_memory_equal(request, "GET ", 4);
    assert_non_null(strstr(request, "X-One: 1"));
    assert_null(strstr(request, "X-Two"));
    assert_null(strstr(request, "Content-Length"));
    run(&fix, (struct http_call){ .method = "POST", .body = "yy", .body_len = 2 });
    request = raw_server_last(fix.server);
    assert_memory_equal(request, "POST ", 5);
    assert_null(strstr(request, "X-One"));
    assert_non_null(strstr(request, "\r\n\r\nyy"));
    run(&fix, (struct http_call){ .method = "GET",
                                  .url = arena_printf(fix.arena, "http://127.0.0.1:%d/other",
                                                      raw_server_port(fix.server)) });
    assert_memory_equal(raw_server_last(fix.server), "GET /other ", 11);
    assert_int_equal(raw_server_connections(fix.server), 1);
    end(&fix);
}

/* One answered request, then one that dies after the server has read it: it must arrive once. */
static void die_on_reuse(const struct raw_step *steps, struct http_call call)
{
    struct fixture fix;

    begin(&fix, NULL, steps, 3);
    post(&fix, "first");
    assert_int_equal(fix.reply.sent, HTTP_ANSWERED);
    assert_int_equal(raw_server_requests(fix.server), 1);
    run(&fix, call);
    assert_int_equal(fix.reply.sent, HTTP_UNKNOWN);
    assert_int_equal(fix.reply.err.kind, ERR_UNKNOWN);
    assert_int_equal(raw_server_requests(fix.server), 2);
    /* The client is whole: the next call works, over a new connection. */
    post(&fix, "third");
    assert_int_equal(fix.reply.sent, HTTP_ANSWERED);
    assert_int_equal(raw_server_requests(fix.server), 3);
    end(&fix);
}

static void a_reused_connection_that_dies_repeats_nothing(void **state)
{
    static const struct raw_step closes[] = { { RAW_ANSWER, OK_TEXT, 0 },
                                              { RAW_CLOSE, NULL, 0 },
                                              { RAW_ANSWER, OK_TEXT, 0 } };
    static const struct raw_step resets[] = { { RAW_ANSWER, OK_TEXT, 0 },
                                              { RAW_RESET, NULL, 0 },
                                              { RAW_ANSWER, OK_TEXT, 0 } };
    static const struct raw_step waits[] = { { RAW_ANSWER, OK_TEXT, 0 },
                                             { RAW_RESET, NULL, 50 },
                                             { RAW_ANSWER, OK_TEXT, 0 } };
    static const struct raw_step early[] = { { RAW_ANSWER, OK_TEXT, 0 },
                                             { RAW_CLOSE_EARLY, NULL, 0 },
                                             { RAW_ANSWER, OK_TEXT, 0 } };
    const struct raw_step *const all[] = { closes, resets, waits, early };
    char *big = malloc(BIG_BYTES);
    (void)state;

    assert_non_null(big);
    memset(big, 'x', BIG_BYTES);
    for (size_t i = 0; i < COUNT(all); i++) {
        die_on_reuse(all[i], (struct http_call){ .method = "POST", .body = "a=1", .body_len = 3 });
        die_on_reuse(all[i],
                     (struct http_call){ .method = "POST", .body = big, .body_len = BIG_BYTES });
        die_on_reuse(all[i], (struct http_call){ .method = "POST" });
        die_on_reuse(all[i], (struct http_call){ .method = "GET" });
    }
    free(big);
}

static void a_fresh_connection_that_dies_is_unknown(void **state)
{
    static const enum raw_action actions[] = { RAW_CLOSE, RAW_RESET, RAW_CLOSE_EARLY };
    (void)state;

    for (size_t i = 0; i < COUNT(actions); i++) {
        const struct raw_step steps[] = { { actions[i], NULL, 0 } };
        struct fixture fix;
        begin(&fix, NULL, steps, COUNT(steps));
        post(&fix, "a=1");
        assert_int_equal(fix.reply.sent, HTTP_UNKNOWN);
        assert_int_equal(raw_server_requests(fix.server), 1);
        end(&fix);
    }
}

static void an_idle_connection_closed_by_the_server_is_replaced(void **state)
{
    static const struct raw_step steps[] = { { RAW_ANSWER_CLOSE, OK_TEXT, 0 } };
    struct fixture fix;
    (void)state;

    begin(&fix, NULL, steps, COUNT(steps));
    for (int i = 1; i <= 5; i++) {
        post(&fix, "a=1");
        assert_int_equal(fix.reply.sent, HTTP_ANSWERED);
        assert_int_equal(raw_server_requests(fix.server), i);
        raw_server_wait_acted(fix.server, i);
    }
    assert_int_equal(raw_server_connections(fix.server), 5);
    end(&fix);
}

/* libcurl alone takes what an idle connection said for the answer to the next request. */
static void an_answer_to_no_request_answers_none(void **state)
{
    static const struct raw_step steps[] = { { RAW_ANSWER_TWICE, OK_TEXT, 0 },
                                             { RAW_ECHO, NULL, 0 } };
    struct fixture fix;
    (void)state;

    begin(&fix, NULL, steps, COUNT(steps));
    post(&fix, "first");
    assert_string_equal(fix.reply.body, "{}");
    raw_server_wait_acted(fix.server, 1);
    post(&fix, "second");
    assert_int_equal(fix.reply.sent, HTTP_ANSWERED);
    assert_string_equal(fix.reply.body, "second");
    assert_int_equal(raw_server_requests(fix.server), 2);
    assert_int_equal(raw_server_connections(fix.server), 2);
    end(&fix);
}

static void no_answer_in_time_is_unknown(void **state)
{
    static const struct raw_step steps[] = { { RAW_SILENT, NULL, 0 }, { RAW_ANSWER, OK_TEXT, 0 } };
    struct fixture fix;
    (void)state;

    begin(&fix, NULL, steps, COUNT(steps));
    run(&fix, (struct http_call){
                  .method = "POST", .body = "a=1", .body_len = 3, .timeout_ms = SHORT_MS });
    assert_unknown(&fix, "http_timeout");
    assert_true(fix.reply.took_us >= SHORT_MS * 1000L - 2000);
    assert_int_equal(raw_server_requests(fix.server), 1);
    post(&fix, "b=1");
    assert_int_equal(fix.reply.sent, HTTP_ANSWERED);
    assert_int_equal(raw_server_requests(fix.server), 2);
    end(&fix);
}

static void broken_answers_are_unknown(void **state)
{
    static const struct {
        const char *text, *what;
    } cases[] = {
        { "HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\n{\"SMSM", "http_truncated" },
        { "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"SM",
          "http_truncated" },
        { "garbage\r\n\r\n", "http_bad_reply" },
        { "HTTP/1.1 201 Created\r\nContent-Length: 3000\r\n\r\n", "http_reply_too_long" },
    };
    char long_reply[4000] = { 0 };
    (void)state;

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct fixture fix;
        strcpy(long_reply, cases[i].text);
        if (strcmp(cases[i].what, "http_reply_too_long") == 0) {
            memset(long_reply + strlen(cases[i].text), 'x', 3000);
        }
        const struct raw_step steps[] = { { RAW_ANSWER_CLOSE, long_reply, 0 } };
        begin(&fix, &(struct http_conf){ .max_reply_bytes = 2000 }, steps, COUNT(steps));
        post(&fix, "a=1");
        assert_unknown(&fix, cases[i].what);
        assert_int_equal(raw_server_requests(fix.server), 1);
        assert_string_equal(fix.reply.body, "");
        end(&fix);
    }
}

static void a_half_status_line_is_unknown(void **state)
{
    static const struct raw_step steps[] = { { RAW_ANSWER_CLOSE, "HTTP/1.1 20", 0 } };
    struct fixture fix;
    (void)state;

    begin(&fix, NULL, steps, COUNT(steps));
    post(&fix, "a=1");
    assert_int_equal(fix.reply.sent, HTTP_UNKNOWN);
    end(&fix);
}

static void answers_of_every_kind_are_handed_on(void **state)
{
    static const struct {
        const char *text;
        int status;
        const char *type, *body;
        int64_t retry_after_s;
    } cases[] = {
        { "HTTP/1.1 401 Unauthorized\r\nContent-Type: text/plain; charset=UTF-8\r\n"
          "WWW-Authenticate: Basic realm=\"api\"\r\nContent-Length: 38\r\n\r\n"
          "The supplied authentication is invalid",
          401, "text/plain", "The supplied authentication is invalid", -1 },
        { "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n", 429, "",
          "", 7 },
        { "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n", 503,
          "", "", 0 },
        { "HTTP/1.1 503 Service Unavailable\r\nRetry-After: Fri, 20 Nov 2026 10:00:00 GMT\r\n"
          "Content-Length: 0\r\n\r\n",
          503, "", "", -1 },
        { "HTTP/1.1 302 Found\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n", 302, "", "", -1 },
        { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
          200, "", "abc", -1 },
        { "HTTP/1.1 204 No Content\r\n\r\n", 204, "", "", -1 },
    };
    (void)state;

    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct raw_step steps[] = { { RAW_ANSWER, cases[i].text, 0 } };
        struct fixture fix;
        begin(&fix, NULL, steps, COUNT(steps));
        post(&fix, "a=1");
        assert_int_equal(fix.reply.sent, HTTP_ANSWERED);
        assert_int_equal(fix.reply.status, cases[i].status);
        assert_string_equal(fix.reply.content_type, cases[i].type);
        assert_string_equal(fix.reply.body, cases[i].body);
        assert_int_equal(fix.reply.body_len, strlen(cases[i].body));
        assert_int_equal(fix.reply.retry_after_s, cases[i].retry_after_s);
        assert_int_equal(raw_server_requests(fix.server), 1);
        end(&fix);
    }
}

/* A port that refuses: *fd holds it, so that nobody else takes it, and does not listen. */
static int closed_port(int *fd)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(address);

    *fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(*fd, (struct sockaddr *)&address, len), 0);
    assert_int_equal(getsockname(*fd, (struct sockaddr *)&address, &len), 0);
    return ntohs(address.sin_port);
}

static void what_never_connected_was_not_sent(void **state)
{
    struct fixture fix;
    int held;
    (void)state;

    begin(&fix, NULL, NULL, 0);
    run(&fix, (struct http_call){
                  .method = "POST",
                  .url = arena_printf(fix.arena, "http://127.0.0.1:%d/", closed_port(&held)) });
    close(held);
    assert_not_sent(&fix, ERR_TEMPORARY, "http_connect_failed");
    run(&fix, (struct http_call){ .method = "POST", .url = "http://[" });
    assert_not_sent(&fix, ERR_PERMANENT, "http_bad_url");
    run(&fix, (struct http_call){ .method = "POST", .url = "ftp://127.0.0.1/" });
    assert_not_sent(&fix, ERR_PERMANENT, "http_bad_url");
    run(&fix, (struct http_call){ .method = "POST",
                                  .url = "http://no-such-host.invalid/",
                                  .timeout_ms = SHORT_MS });
    /* Without a resolver at hand the answer may not come in time. */
    assert_int_equal(fix.reply.sent, HTTP_NOT_SENT);
    assert_true(strcmp(fix.reply.err.what, "http_resolve_failed") == 0 ||
                strcmp(fix.reply.err.what, "http_connect_timeout") == 0);
    end(&fix);
}

/* A listener whose queue is full lets further connections hang. */
static void a_connection_that_hangs_was_not_sent(void **state)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(address);
    int listen_fd = socket(AF_INET, SOCK_STREAM, 0);
    int fillers[2];
    struct fixture fix;
    (void)state;

    assert_int_equal(bind(listen_fd, (struct sockaddr *)&address, len), 0);
    assert_int_equal(getsockname(listen_fd, (struct sockaddr *)&address, &len), 0);
    assert_int_equal(listen(listen_fd, 0), 0);
    for (size_t i = 0; i < COUNT(fillers); i++) {
        fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)connect(fillers[i], (struct sockaddr *)&address, len);
    }
    begin(&fix, &(struct http_conf){ .connect_timeout_ms = SHORT_MS }, NULL, 0);
    run(&fix, (struct http_call){ .method = "POST",
                                  .url = arena_printf(fix.arena, "http://127.0.0.1:%d/",
                                                      ntohs(address.sin_port)) });
    assert_not_sent(&fix, ERR_TEMPORARY, "http_connect_timeout");
    end(&fix);
    close(fillers[0]);
    close(fillers[1]);
    close(listen_fd);
}

static void what_failed_in_the_tls_handshake_was_not_sent(void **state)
{
    static const struct raw_step steps[] = { { RAW_GREET, "HTTP/1.1 400 Bad Request\r\n\r\n", 0 } };
    struct fixture fix;
    (void)state;

    begin(&fix, NULL, steps, COUNT(steps));
    run(&fix, (struct http_call){
                  .method = "POST", .url = url_of(&fix, "https"), .body = "a=1", .body_len = 3 });
    assert_not_sent(&fix, ERR_TEMPORARY, "http_tls_failed");
    assert_int_equal(raw_server_requests(fix.server), 0);
    end(&fix);
}

static void many_calls_share_few_connections_and_each_gets_its_own_reply(void **state)
{
    enum { CALLS = 200, CONNECTIONS = 8 };
    static const struct raw_step steps[] = { { RAW_ECHO, NULL, 0 } };
    struct http_call calls[CALLS];
    struct http_reply replies[CALLS];
    struct fixture fix;
    (void)state;

    begin(&fix, &(struct http_conf){ .max_connections = CONNECTIONS }, steps, COUNT(steps));
    for (int i = 0; i < CALLS; i++) {
        char *body = arena_printf(fix.arena, "call=%d", i);
        calls[i] = (struct http_call){ .method = "POST",
                                       .url = url_of(&fix, "http"),
                                       .body = body,
                                       .body_len = strlen(body),
                                       .timeout_ms = TIMEOUT_MS };
    }
    for (int round = 0; round < 5; round++) {
        http_run(fix.http, calls, replies, CALLS, fix.arena);
        for (int i = 0; i < CALLS; i++) {
            assert_int_equal(replies[i].sent, HTTP_ANSWERED);
            assert_string_equal(replies[i].body, calls[i].body);
        }
    }
    assert_int_equal(raw_server_requests(fix.server), 5 * CALLS);
    assert_true(raw_server_connections(fix.server) <= CONNECTIONS);
    end(&fix);
}

/* Four calls of 60 ms over one connection take longer than 150 ms, but none of them does. */
static void a_timeout_counts_from_the_calls_own_start(void **state)
{
    static const struct raw_step steps[] = { { RAW_ANSWER, OK_TEXT, 60 } };
    struct http_call calls[4];
    struct http_reply replies[COUNT(calls)];
    struct fixture fix;
    (void)state;

    begin(&fix, &(struct http_conf){ .max_connections = 1 }, steps, COUNT(steps));
    for (size_t i = 0; i < COUNT(calls); i++) {
        calls[i] = (struct http_call){ .method = "POST",
                                       .url = url_of(&fix, "http"),
                                       .body = "a=1",
                                       .body_len = 3,
                                       .timeout_ms = 150 };
    }
    http_run(fix.http, calls, replies, COUNT(calls), fix.arena);
    for (size_t i = 0; i < COUNT(calls); i++) {
        assert_int_equal(replies[i].sent, HTTP_ANSWERED);
    }
    assert_int_equal(raw_server_connections(fix.server), 1);
    end(&fix);
}

/* One connection, 60 ms a call, 100 ms to begin: two are begun and end well, the others never are.
 */
static void calls_not_begun_in_time_were_not_sent(void **state)
{
    static const struct raw_step steps[] = { { RAW_ANSWER, OK_TEXT, 60 } };
    struct http_call calls[5];
    struct http_reply replies[COUNT(calls)];
    struct fixture fix;
    (void)state;

    begin(&fix, &(struct http_conf){ .max_connections = 1, .begin_within_ms = 100 }, steps,
          COUNT(steps));
    for (size_t i = 0; i < COUNT(calls); i++) {
        calls[i] = (struct http_call){ .method = "POST",
                                       .url = url_of(&fix, "http"),
                                       .body = "a=1",
                                       .body_len = 3,
                                       .timeout_ms = TIMEOUT_MS };
    }
    http_run(fix.http, calls, replies, COUNT(calls), fix.arena);
    size_t answered = 0;
    for (size_t i = 0; i < COUNT(calls); i++) {
        if (replies[i].sent == HTTP_ANSWERED) {
            assert_int_equal(answered++, i); /* in their order */
            continue;
        }
        assert_int_equal(replies[i].sent, HTTP_NOT_SENT);
        assert_int_equal(replies[i].err.kind, ERR_TEMPORARY);
        assert_string_equal(replies[i].err.what, "http_not_begun");
        assert_string_equal(replies[i].body, "");
    }
    assert_true(answered > 0 && answered < COUNT(calls));
    assert_int_equal(raw_server_requests(fix.server), answered);
    http_run(fix.http, calls, replies, 1, fix.arena); /* each run has its own time */
    assert_int_equal(replies[0].sent, HTTP_ANSWERED);
    end(&fix);
}

/* A failing call among good ones fails alone. */
static void good_and_bad_calls_do_not_disturb_each_other(void **state)
{
    static const struct raw_step steps[] = { { RAW_ECHO, NULL, 0 } };
    struct http_call calls[40];
    struct http_reply replies[COUNT(calls)];
    struct fixture fix;
    int held;
    (void)state;

    begin(&fix, &(struct http_conf){ .max_connections = 4 }, steps, COUNT(steps));
    const char *closed = arena_printf(fix.arena, "http://127.0.0.1:%d/", closed_port(&held));
    for (size_t i = 0; i < COUNT(calls); i++) {
        calls[i] = (struct http_call){ .method = "POST",
                                       .url = i % 3 == 0 ? closed : url_of(&fix, "http"),
                                       .body = "a=1",
                                       .body_len = 3,
                                       .timeout_ms = TIMEOUT_MS };
    }
    http_run(fix.http, calls, replies, COUNT(calls), fix.arena);
    for (size_t i = 0; i < COUNT(calls); i++) {
        assert_int_equal(replies[i].sent, i % 3 == 0 ? HTTP_NOT_SENT : HTTP_ANSWERED);
    }
    close(held);
    end(&fix);
}

static void nothing_to_do_is_done_at_once(void **state)
{
    struct fixture fix;
    (void)state;

    begin(&fix, NULL, NULL, 0);
    http_run(fix.http, NULL, NULL, 0, fix.arena);
    end(&fix);
    http_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_its_connection_and_says_no_more_than_asked),
        cmocka_unit_test(calls_do_not_inherit_from_each_other),
        cmocka_unit_test(a_reused_connection_that_dies_repeats_nothing),
        cmocka_unit_test(a_fresh_connection_that_dies_is_unknown),
        cmocka_unit_test(an_idle_connection_closed_by_the_server_is_replaced),
        cmocka_unit_test(an_answer_to_no_request_answers_none),
        cmocka_unit_test(no_answer_in_time_is_unknown),
        cmocka_unit_test(broken_answers_are_unknown),
        cmocka_unit_test(a_half_status_line_is_unknown),
        cmocka_unit_test(answers_of_every_kind_are_handed_on),
        cmocka_unit_test(what_never_connected_was_not_sent),
        cmocka_unit_test(a_connection_that_hangs_was_not_sent),
        cmocka_unit_test(what_failed_in_the_tls_handshake_was_not_sent),
        cmocka_unit_test(many_calls_share_few_connections_and_each_gets_its_own_reply),
        cmocka_unit_test(a_timeout_counts_from_the_calls_own_start),
        cmocka_unit_test(calls_not_begun_in_time_were_not_sent),
        cmocka_unit_test(good_and_bad_calls_do_not_disturb_each_other),
        cmocka_unit_test(nothing_to_do_is_done_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
