/*
 * callback_load - posts delivery callbacks as fast as they are answered
 *
 *     callback_load port path connections requests
 *
 * Keep-alive connections, one request at a time on each, one thread. Prints one line:
 *     requests=… seconds=… per_second=… p50_ms=… p99_ms=… max_ms=… bad=… cpu_us_each=…
 * Exit 1 when an answer was not 200.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"

#define CONNECTIONS_MAX 20000
#define BUCKETS 100000 /* of 10 us */

struct connection {
    int fd;
    int64_t sent_us;
    size_t got;
    char answer[1024];
};

static struct connection connections[CONNECTIONS_MAX];
static uint32_t buckets[BUCKETS];
static int64_t sent, answered, bad;

static void die(const char *what)
{
    perror(what);
    exit(2);
}

static void post(struct connection *connection, const char *path)
{
    char body[256], request[1024];
    int body_len = snprintf(body, sizeof(body),
                            "id=ATXid_%032llx&status=Success&phoneNumber=%%2B2547%08lld"
                            "&networkCode=63902&retryCount=0",
                            (long long)sent, (long long)(sent % 100000000));
    int len = snprintf(request, sizeof(request),
                       "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                       "Content-Type: application/x-www-form-urlencoded\r\n"
                       "Content-Length: %d\r\n\r\n%s",
                       path, body_len, body);

    sent++;
    connection->sent_us = clock_mono_us();
    connection->got = 0;
    if (send(connection->fd, request, (size_t)len, MSG_NOSIGNAL) != len) {
        die("send");
    }
}

/* True when the answer is whole; small answers come whole. */
static bool take_answer(struct connection *connection)
{
    ssize_t got = recv(connection->fd, connection->answer + connection->got,
                       sizeof(connection->answer) - 1 - connection->got, 0);

    if (got <= 0) {
        if (got < 0 && errno == EAGAIN) {
            return false;
        }
        die("connection closed");
    }
    connection->got += (size_t)got;
    connection->answer[connection->got] = '\0';
    const char *end = strstr(connection->answer, "\r\n\r\n");
    const char *length = strstr(connection->answer, "Content-Length: ");
    return end != NULL && length != NULL &&
           connection->got >=
               (size_t)(end + 4 - connection->answer) + (size_t)strtol(length + 16, NULL, 10);
}

static void count(struct connection *connection)
{
    int64_t bucket = (clock_mono_us() - connection->sent_us) / 10;

    buckets[bucket < BUCKETS ? bucket : BUCKETS - 1]++;
    answered++;
    bad += strncmp(connection->answer, "HTTP/1.1 200", 12) != 0;
}

static double percentile(double share)
{
    int64_t left = (int64_t)((double)answered * share);
    int i = 0;

    while (i < BUCKETS - 1 && (left -= buckets[i]) > 0) {
        i++;
    }
    return i / 100.0;
}

static void open_all(int epoll, int port, int64_t count_of)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int on = 1;

    for (int64_t i = 0; i < count_of; i++) {
        struct epoll_event event = { .events = EPOLLIN, .data.ptr = &connections[i] };
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0 ||
            epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
            die("connect");
        }
        connections[i].fd = fd;
    }
}

static void report(int64_t took_us)
{
    struct rusage usage;
    int64_t cpu_us;

    getrusage(RUSAGE_SELF, &usage);
    cpu_us = (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 + usage.ru_utime.tv_usec +
             usage.ru_stime.tv_usec;
    printf(
        "requests=%lld seconds=%.2f per_second=%.0f p50_ms=%.2f p99_ms=%.2f max_ms=%.2f bad=%lld "
        "cpu_us_each=%.1f\n",
        (long long)answered, (double)took_us / 1e6, (double)answered * 1e6 / (double)took_us,
        percentile(0.5), percentile(0.99), percentile(1), (long long)bad,
        (double)cpu_us / (double)answered);
}

int main(int argc, char **argv)
{
    int64_t port = 0, count_of = 0, requests = 0;
    struct epoll_event events[256];
    int epoll = epoll_create1(EPOLL_CLOEXEC);

    if (argc != 5 || epoll < 0 || !str_parse_int(argv[1], 1, 65535, &port) ||
        !str_parse_int(argv[3], 1, CONNECTIONS_MAX, &count_of) ||
        !str_parse_int(argv[4], 1, INT32_MAX, &requests)) {
        fputs("usage: callback_load port path connections requests\n", stderr);
        return 2;
    }
    open_all(epoll, (int)port, count_of);
    int64_t start_us = clock_mono_us();
    for (int64_t i = 0; i < count_of && sent < requests; i++) {
        post(&connections[i], argv[2]);
    }
    while (answered < requests) {
        int ready = epoll_wait(epoll, events, 256, 10000);
        if (ready <= 0) {
            die("no answer for 10 s");
        }
        for (int i = 0; i < ready; i++) {
            struct connection *connection = events[i].data.ptr;
            if (!take_answer(connection)) {
                continue;
            }
            count(connection);
            if (sent < requests) {
                post(connection, argv[2]);
            }
        }
    }
    report(clock_mono_us() - start_us);
    return bad == 0 ? 0 : 1;
}
