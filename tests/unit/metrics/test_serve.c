/* metrics_serve: answers scrapes, tells health, and leaves the port to its own process. */

/* cmocka.h needs the headers above it. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "metrics/metrics.h"

static int set_up(void **state)
{
    *state = metrics_create("tuma_t");
    return 0;
}

static int tear_down(void **state)
{
    metrics_destroy(*state);
    return 0;
}

static int connect_to(int port)
{
    const struct sockaddr_in address = { .sin_family = AF_INET,
                                         .sin_port = htons((uint16_t)port),
                                         .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    const struct timeval patience = { .tv_sec = 10 };
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_true(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/* Sends the request line and reads until the server closes. */
static const char *ask(int port, const char *method, const char *path)
{
    static char answer[65536];
    char request[200];
    size_t len = 0;
    ssize_t got;
    int fd = connect_to(port);

    assert_true(fd >= 0);
    snprintf(request, sizeof(request),
             "%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", method, path);
    assert_int_equal(send(fd, request, strlen(request), 0), strlen(request));
    while ((got = recv(fd, answer + len, sizeof(answer) - 1 - len, 0)) > 0) {
        len += (size_t)got;
    }
    assert_int_equal(got, 0);
    answer[len] = '\0';
    close(fd);
    return answer;
}

static void start(struct metrics *metrics, bool (*is_healthy)(void *context), void *context)
{
    struct err err;

    if (!metrics_serve(metrics, "127.0.0.1:0", is_healthy, context, &err)) {
        fail_msg("%s: %s", err.what, err.detail);
    }
    assert_true(metrics_port(metrics) > 0);
}

static void a_scrape_gets_what_write_writes(void **state)
{
    struct str out = { 0 };

    metric_add(metrics_counter(*state, "messages_total", "Messages.", "why=\"x\""), 42);
    start(*state, NULL, NULL);
    const char *answer = ask(metrics_port(*state), "GET", "/metrics");
    metrics_write(*state, &out);
    assert_memory_equal(answer, "HTTP/1.1 200 ", 13);
    assert_non_null(strstr(answer, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
    assert_string_equal(strstr(answer, "\r\n\r\n") + 4, out.bytes);
    assert_non_null(strstr(answer, "tuma_t_messages_total{why=\"x\"} 42\n"));
    str_free(&out);
}

static void a_scrape_of_nothing_is_empty(void **state)
{
    start(*state, NULL, NULL);
    const char *answer = ask(metrics_port(*state), "GET", "/metrics");
    assert_memory_equal(answer, "HTTP/1.1 200 ", 13);
    assert_string_equal(strstr(answer, "\r\n\r\n"), "\r\n\r\n");
}

static bool look(void *context)
{
    return atomic_load((_Atomic bool *)context);
}

static void health_is_asked_each_time(void **state)
{
    _Atomic bool healthy = true;

    start(*state, look, &healthy);
    const char *answer = ask(metrics_port(*state), "GET", "/healthz");
    assert_memory_equal(answer, "HTTP/1.1 200 ", 13);
    assert_string_equal(strstr(answer, "\r\n\r\n"), "\r\n\r\nok\n");
    atomic_store(&healthy, false);
    assert_memory_equal(ask(metrics_port(*state), "GET", "/healthz"), "HTTP/1.1 503 ", 13);
    metrics_stop(*state);
    start(*state, NULL, NULL);
    assert_memory_equal(ask(metrics_port(*state), "GET", "/healthz"), "HTTP/1.1 200 ", 13);
}

static void other_requests_are_refused(void **state)
{
    start(*state, NULL, NULL);
    assert_memory_equal(ask(metrics_port(*state), "GET", "/"), "HTTP/1.1 404 ", 13);
    assert_memory_equal(ask(metrics_port(*state), "POST", "/metrics"), "HTTP/1.1 405 ", 13);
    const char *answer = ask(metrics_port(*state), "HEAD", "/metrics");
    assert_memory_equal(answer, "HTTP/1.1 200 ", 13);
}

static void addresses_that_cannot_be_served_are_errors(void **state)
{
    static const char *const bad[] = {
        "", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x:", "127.0.0.1:http!", "no such host:80"
    };
    struct err err;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(metrics_serve(*state, bad[i], NULL, NULL, &err));
        assert_int_equal(err.kind, ERR_PERMANENT);
        assert_string_equal(err.what, "bad_listen");
        assert_int_equal(metrics_port(*state), 0);
    }
    metrics_stop(*state); /* nothing to stop */
}

static void a_port_that_is_taken_may_be_free_later(void **state)
{
    struct metrics *other = metrics_create("other");
    char listen[32];
    struct err err;
    int ends[2];
    int port;

    /* A second process holds the port, because a process has one server only. */
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (!metrics_serve(other, "127.0.0.1:0", NULL, NULL, &err)) {
            _exit(1);
        }
        port = metrics_port(other);
        if (write(ends[1], &port, sizeof(port)) != sizeof(port)) {
            _exit(1);
        }
        pause();
        _exit(0);
    }
    assert_int_equal(read(ends[0], &port, sizeof(port)), sizeof(port));
    snprintf(listen, sizeof(listen), "127.0.0.1:%d", port);
    assert_false(metrics_serve(*state, listen, NULL, NULL, &err));
    assert_int_equal(err.kind, ERR_TEMPORARY);
    assert_string_equal(err.what, "listen_failed");
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_true(metrics_serve(*state, listen, NULL, NULL, &err));
    assert_int_equal(metrics_port(*state), port);
    close(ends[0]);
    close(ends[1]);
    metrics_destroy(other);
}

static void a_forked_worker_counts_but_does_not_hold_the_port(void **state)
{
    struct metric *work = metrics_counter(*state, "work_total", "Work.", "");
    int ends[2];
    char listen[32];
    char byte;
    struct err err;

    start(*state, NULL, NULL);
    int port = metrics_port(*state);
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        metric_add(work, 3);
        byte = metrics_port(*state) == 0 ? 'y' : 'n';
        if (write(ends[1], &byte, 1) != 1) {
            _exit(1);
        }
        pause();
        _exit(0);
    }
    assert_int_equal(read(ends[0], &byte, 1), 1);
    assert_int_equal(byte, 'y');
    assert_non_null(strstr(ask(port, "GET", "/metrics"), "tuma_t_work_total 3\n"));

    metrics_stop(*state);
    int fd = connect_to(port);
    assert_int_equal(fd, -1); /* nobody listens, though the worker lives */
    snprintf(listen, sizeof(listen), "127.0.0.1:%d", port);
    assert_true(metrics_serve(*state, listen, NULL, NULL, &err));
    assert_non_null(strstr(ask(port, "GET", "/metrics"), "tuma_t_work_total 3\n"));

    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    close(ends[0]);
    close(ends[1]);
}

static void signals_are_left_to_the_supervisor(void **state)
{
    const struct timespec patience = { .tv_sec = 10 };
    sigset_t set;
    sigset_t before;

    start(*state, NULL, NULL);
    assert_memory_equal(ask(metrics_port(*state), "GET", "/healthz"), "HTTP/1.1 200 ", 13);
    /* With this thread deaf to it, the signal would go to the server's if that one took any. */
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    assert_int_equal(pthread_sigmask(SIG_BLOCK, &set, &before), 0);
    assert_int_equal(kill(getpid(), SIGUSR1), 0);
    assert_int_equal(sigtimedwait(&set, NULL, &patience), SIGUSR1);
    assert_int_equal(pthread_sigmask(SIG_SETMASK, &before, NULL), 0);
}

#define test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(a_scrape_gets_what_write_writes),
        test(a_scrape_of_nothing_is_empty),
        test(health_is_asked_each_time),
        test(other_requests_are_refused),
        test(addresses_that_cannot_be_served_are_errors),
        test(a_port_that_is_taken_may_be_free_later),
        test(a_forked_worker_counts_but_does_not_hold_the_port),
        test(signals_are_left_to_the_supervisor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
