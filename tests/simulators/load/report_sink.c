/*
 * report_sink - receives delivery reports and calls as cheaply as can be, to measure who posts them
 *
 *     report_sink <host:port>
 *
 * Answers 200 to every request, with an empty document for answered calls; prints
 * "listening <address>" and, on SIGTERM, how many it took.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>

#include "base/str.h"
#include "engine/server.h"

struct sink {
    struct watch watch; /* first: a watch is its sink */
    uint64_t taken;
    bool stopped;
};

static void take(void *context, struct conn *conn, struct request *request)
{
    (void)request;
    ((struct sink *)context)->taken++;
    server_answer(
        conn,
        &(struct answer){ .status = 200, .type = "text/plain", .body = "<Response/>", .len = 11 });
}

static void stop(struct watch *watch, uint32_t events)
{
    (void)events;
    ((struct sink *)watch)->stopped = true;
}

int main(int argc, char **argv)
{
    static struct wheel wheel;
    struct loop loop;
    struct sink sink = { 0 };
    struct server server = {
        .loop = &loop, .wheel = &wheel, .name = "report_sink", .handle = take, .context = &sink
    };
    struct str address = { 0 };
    struct err err;
    sigset_t signals;

    loop_init(&loop);
    wheel_init(&wheel, 1, loop.now_ms);
    if (argc != 2 || !server_open(&server, argv[1], &err)) {
        (void)fprintf(stderr, "usage: report_sink host:port (%s)\n", argc == 2 ? err.detail : "");
        return 64;
    }
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &signals, NULL);
    sink.watch = (struct watch){ signalfd(-1, &signals, SFD_CLOEXEC), stop };
    loop_add(&loop, &sink.watch, EPOLLIN);
    server_address(&server, &address);
    (void)printf("listening %s\n", address.bytes);
    (void)fflush(stdout);
    while (!sink.stopped) {
        loop_wait(&loop, -1);
    }
    server_close(&server);
    (void)printf("taken %llu\n", (unsigned long long)sink.taken);
    return 0;
}
