/*
 * sms_load - how many sends a second the simulator takes
 *
 *     sms_load <host:port> <connections> <requests> [<recipients> [<key> [<username>]]]
 *
 * Keeps that many keep-alive connections busy with POST /version1/messaging, each request with its
 * own numbers, and prints one line: requests a second, the share of answers that were 201, its own
 * CPU per request and the simulator's (from /_sim/stats). Exit status 1 when an answer was not 201.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/panic.h"
#include "base/str.h"
#include "engine/server.h"

#define READ_BYTES 65536
#define EVENTS_PER_TURN 256
#define FIRST_NUMBER 254700000000

struct caller {
    int fd;
    struct str in;
};

struct load {
    struct sockaddr_in address;
    int64_t connections, requests, recipients;
    const char *key, *username;
    int64_t started, answered, created;
    int64_t next_number;
    int epoll_fd;
    struct str body, out;
};

static int connect_to(const struct sockaddr_in *address)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || connect(fd, (const struct sockaddr *)address, sizeof(*address)) != 0) {
        panic("connect: %s", strerror(errno));
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
    return fd;
}

static void send_all(int fd, const struct str *out)
{
    size_t sent = 0;

    while (sent < out->len) {
        ssize_t count = send(fd, out->bytes + sent, out->len - sent, MSG_NOSIGNAL);

        if (count < 0) {
            panic("send: %s", strerror(errno));
        }
        sent += (size_t)count;
    }
}

static void start_request(struct load *load, struct caller *caller)
{
    struct str *body = &load->body;
    struct str *out = &load->out;

    str_reset(body);
    str_puts(body, "username=");
    str_puts(body, load->username);
    str_puts(body, "&enqueue=1&message=Your+child+was+absent+today.+Call+the+school.&to=");
    for (int64_t i = 0; i < load->recipients; i++) {
        str_puts(body, i == 0 ? "%2B" : ",%2B");
        str_put_int(body, FIRST_NUMBER + load->next_number++);
    }
    str_reset(out);
    str_puts(out, "POST /version1/messaging HTTP/1.1\r\nHost: simulator\r\napiKey: ");
    str_puts(out, load->key);
    str_puts(out, "\r\nAccept: application/json\r\n"
                  "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: ");
    str_put_int(out, (int64_t)body->len);
    str_puts(out, "\r\n\r\n");
    str_append(out, body->bytes, body->len);
    send_all(caller->fd, out);
    load->started++;
}

/* Is a whole answer there? Its status and size. */
static bool measure(const struct str *in, int *out_status, size_t *out_size)
{
    const char *blank = memmem(in->bytes, in->len, "\r\n\r\n", 4);
    const char *length = strcasestr(in->bytes, "\r\ncontent-length:");
    int64_t body;
    const char *end;

    if (blank == NULL || length == NULL) {
        return false;
    }
    length += strlen("\r\ncontent-length:");
    length += *length == ' ';
    end = strchr(length, '\r');
    if (end == NULL || !str_parse_int_n(length, (size_t)(end - length), 0, INT32_MAX, &body)) {
        panic("answer without a length");
    }
    *out_size = (size_t)(blank - in->bytes) + 4 + (size_t)body;
    *out_status = (in->bytes[9] - '0') * 100 + (in->bytes[10] - '0') * 10 + in->bytes[11] - '0';
    return in->len >= *out_size;
}

/* Reads what came; true when the answer is complete. */
static bool read_answer(struct caller *caller, int *out_status)
{
    ssize_t count = recv(caller->fd, str_room(&caller->in, READ_BYTES), READ_BYTES - 1, 0);
    size_t size;

    if (count <= 0) {
        panic("the simulator closed a connection");
    }
    caller->in.len += (size_t)count;
    caller->in.bytes[caller->in.len] = '\0';
    return measure(&caller->in, out_status, &size);
}

static void take_answer(struct load *load, struct caller *caller)
{
    int status;

    if (!read_answer(caller, &status)) {
        return;
    }
    str_reset(&caller->in);
    load->answered++;
    load->created += status == 201;
    if (load->started < load->requests) {
        start_request(load, caller);
    }
}

/* The simulator's CPU in ms since its last reset. */
static int64_t ask_cpu_ms(const struct load *load)
{
    struct caller caller = { .fd = connect_to(&load->address) };
    struct str out = { 0 };
    int status = 0;
    const char *member;
    int64_t cpu_ms = 0;

    str_puts(&out, "GET /_sim/stats HTTP/1.1\r\nHost: simulator\r\n\r\n");
    send_all(caller.fd, &out);
    while (!read_answer(&caller, &status)) {
    }
    member = strstr(caller.in.bytes, "\"cpu_ms\":");
    if (member != NULL) {
        member += strlen("\"cpu_ms\":");
        (void)str_parse_int_n(member, strcspn(member, ","), 0, INT64_MAX, &cpu_ms);
    }
    (void)close(caller.fd);
    str_free(&caller.in);
    str_free(&out);
    return cpu_ms;
}

static int64_t own_cpu_us(void)
{
    struct rusage usage;

    (void)getrusage(RUSAGE_SELF, &usage);
    return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 + usage.ru_utime.tv_usec +
           usage.ru_stime.tv_usec;
}

static void run(struct load *load, struct caller *callers)
{
    struct epoll_event events[EVENTS_PER_TURN];

    for (int64_t i = 0; i < load->connections; i++) {
        struct epoll_event event = { .events = EPOLLIN, .data.ptr = &callers[i] };

        callers[i].fd = connect_to(&load->address);
        if (epoll_ctl(load->epoll_fd, EPOLL_CTL_ADD, callers[i].fd, &event) != 0) {
            panic("epoll_ctl: %s", strerror(errno));
        }
    }
    for (int64_t i = 0; i < load->connections && load->started < load->requests; i++) {
        start_request(load, &callers[i]);
    }
    while (load->answered < load->started) {
        int count = epoll_wait(load->epoll_fd, events, EVENTS_PER_TURN, -1);

        for (int i = 0; i < count; i++) {
            take_answer(load, events[i].data.ptr);
        }
    }
}

int main(int argc, char **argv)
{
    /* Static, so that what lives as long as the process stays reachable. */
    static struct arena *arena;
    static struct load load = { .recipients = 1, .key = "simulator-key", .username = "sandbox" };
    int64_t start_us, cpu_ms, wall_us;
    struct err err;

    arena = arena_create((size_t)16 << 20);
    if (argc < 4 || !server_resolve(argv[1], &load.address, &err) ||
        !str_parse_int(argv[2], 1, 20000, &load.connections) ||
        !str_parse_int(argv[3], 1, INT32_MAX, &load.requests) ||
        (argc > 4 && !str_parse_int(argv[4], 1, 10000, &load.recipients))) {
        (void)fputs("usage: sms_load host:port connections requests [recipients [key [user]]]\n",
                    stderr);
        return 64;
    }
    load.key = argc > 5 ? argv[5] : load.key;
    load.username = argc > 6 ? argv[6] : load.username;
    load.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    cpu_ms = ask_cpu_ms(&load);
    start_us = clock_mono_us();
    run(&load, arena_array(arena, (size_t)load.connections, sizeof(struct caller)));
    wall_us = clock_mono_us() - start_us;
    (void)printf("requests=%lld created=%lld recipients=%lld seconds=%lld.%03lld per_s=%lld "
                 "load_cpu_ns=%lld simulator_cpu_ns=%lld\n",
                 (long long)load.answered, (long long)load.created, (long long)load.recipients,
                 (long long)(wall_us / 1000000), (long long)(wall_us / 1000 % 1000),
                 (long long)(load.answered * 1000000 / wall_us),
                 (long long)(own_cpu_us() * 1000 / load.answered),
                 (long long)((ask_cpu_ms(&load) - cpu_ms) * 1000000 / load.answered));
    return load.created == load.answered ? 0 : 1;
}
