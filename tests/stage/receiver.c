/*
 * receiver - what a provider posts, as it arrives
 */
#include "receiver.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/panic.h"

#define KEPT 64
#define REQUEST_BYTES 8192
static const char answer[] =
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 37\r\n"
    "Connection: close\r\n\r\n{\"ResultCode\":0,\"ResultDesc\":\"Done.\"}\n";

static struct {
    pthread_t thread;
    int listener;
    char url[64];
    pthread_mutex_t lock;
    pthread_cond_t arrived;
    struct posted kept[KEPT];
    unsigned first, count;
} receiver = { .lock = PTHREAD_MUTEX_INITIALIZER, .arrived = PTHREAD_COND_INITIALIZER };

static void keep(const char *request, const char *body)
{
    struct posted *posted;

    pthread_mutex_lock(&receiver.lock);
    if (receiver.count == KEPT) {
        panic("more callbacks than any test expects");
    }
    posted = &receiver.kept[(receiver.first + receiver.count++) % KEPT];
    memset(posted, 0, sizeof *posted);
    if (sscanf(request, "POST %199s", posted->path) != 1) {
        panic("no POST: %.40s", request);
    }
    snprintf(posted->body, sizeof posted->body, "%s", body);
    pthread_cond_broadcast(&receiver.arrived);
    pthread_mutex_unlock(&receiver.lock);
}

/* Reads one request whole; false when the connection ended before. */
static bool serve(int fd)
{
    char request[REQUEST_BYTES + 1];
    size_t have = 0;

    for (;;) {
        ssize_t got = read(fd, request + have, REQUEST_BYTES - have);
        const char *length, *body;

        if (got <= 0) {
            return false;
        }
        have += (size_t)got;
        request[have] = '\0';
        body = strstr(request, "\r\n\r\n");
        length = strcasestr(request, "content-length:");
        if (body != NULL && length != NULL &&
            strlen(body + 4) >= strtoul(length + strlen("content-length:"), NULL, 10)) {
            keep(request, body + 4);
            return write(fd, answer, sizeof answer - 1) > 0;
        }
    }
}

static void *run(void *unused)
{
    int fd;

    while ((fd = accept(receiver.listener, NULL, NULL)) >= 0) {
        serve(fd);
        shutdown(fd, SHUT_WR);
        close(fd);
    }
    return unused;
}

void receiver_start(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof address;

    receiver.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (receiver.listener < 0 ||
        bind(receiver.listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(receiver.listener, KEPT) != 0 ||
        getsockname(receiver.listener, (struct sockaddr *)&address, &len) != 0) {
        panic("no socket for the receiver");
    }
    snprintf(receiver.url, sizeof receiver.url, "http://127.0.0.1:%d", ntohs(address.sin_port));
    pthread_create(&receiver.thread, NULL, run, NULL);
}

void receiver_stop(void)
{
    shutdown(receiver.listener, SHUT_RDWR);
    pthread_join(receiver.thread, NULL);
    close(receiver.listener);
}

const char *receiver_url(void)
{
    return receiver.url;
}

bool receiver_take(int wait_ms, struct posted *out)
{
    struct timespec until;
    bool taken = false;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += wait_ms / 1000;
    until.tv_nsec += (long)(wait_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&receiver.lock);
    while (receiver.count == 0 &&
           pthread_cond_timedwait(&receiver.arrived, &receiver.lock, &until) == 0) {
    }
    if (receiver.count > 0) {
        *out = receiver.kept[receiver.first];
        receiver.first = (receiver.first + 1) % KEPT;
        receiver.count--;
        taken = true;
    }
    pthread_mutex_unlock(&receiver.lock);
    return taken;
}

void receiver_forget(void)
{
    pthread_mutex_lock(&receiver.lock);
    receiver.count = 0;
    pthread_mutex_unlock(&receiver.lock);
}
