/*
 * fake_broker - accepts one AMQP connection, logs it in, then misbehaves as told
 */
#include "fake_broker.h"

#include <arpa/inet.h>
#include <endian.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FRAME_END 0xCE
#define RECEIVE_BYTES 16384 /* so that a reader who stops is felt soon */

static void must(bool ok, const char *what)
{
    if (!ok) {
        perror(what);
        abort();
    }
}

static bool read_all(int fd, void *to, size_t len)
{
    char *at = to;

    while (len > 0) {
        ssize_t got = read(fd, at, len);

        if (got <= 0) {
            return false;
        }
        at += got;
        len -= (size_t)got;
    }
    return true;
}

static bool read_frame(int fd)
{
    unsigned char head[7];
    char payload[4096];
    uint32_t len;

    if (!read_all(fd, head, sizeof(head))) {
        return false;
    }
    memcpy(&len, head + 3, sizeof(len));
    len = be32toh(len) + 1; /* with the end byte */
    return len <= sizeof(payload) && read_all(fd, payload, len);
}

static bool send_method(int fd, uint16_t channel, const void *payload, uint32_t len)
{
    unsigned char frame[128] = { 1, (unsigned char)(channel >> 8), (unsigned char)channel };
    uint32_t size = htobe32(len);

    memcpy(frame + 3, &size, sizeof(size));
    memcpy(frame + 7, payload, len);
    frame[7 + len] = FRAME_END;
    return send(fd, frame, len + 8, MSG_NOSIGNAL) == (ssize_t)len + 8;
}

/* Methods as class, method, arguments: AMQP 0-9-1, section 4.2. */
static bool log_in(int fd, int heartbeat_s)
{
    static const char start[] = "\0\12\0\12\0\11\0\0\0\0\0\0\0\5PLAIN\0\0\0\5en_US";
    static const char open_ok[] = "\0\12\0\51\0";
    static const char channel_ok[] = "\0\24\0\13\0\0\0\0";
    static const char confirm_ok[] = "\0\125\0\13";
    unsigned char tune[12] = { 0, 10, 0, 30, 0, 1, 0, 2, 0, 0, 0, (unsigned char)heartbeat_s };
    char hello[8];

    return read_all(fd, hello, sizeof(hello)) && send_method(fd, 0, start, sizeof(start) - 1) &&
           read_frame(fd) && send_method(fd, 0, tune, sizeof(tune)) && read_frame(fd) &&
           read_frame(fd) && send_method(fd, 0, open_ok, sizeof(open_ok) - 1) && read_frame(fd) &&
           send_method(fd, 1, channel_ok, sizeof(channel_ok) - 1) && read_frame(fd) &&
           send_method(fd, 1, confirm_ok, sizeof(confirm_ok) - 1);
}

/* Reads and forgets, until told to stop. */
static void swallow(const struct fake_broker *fake, int fd)
{
    struct pollfd pollers[] = { { .fd = fd, .events = POLLIN },
                                { .fd = fake->stop[0], .events = POLLIN } };
    char buffer[65536];

    while (poll(pollers, 2, -1) > 0 && pollers[1].revents == 0) {
        if (read(fd, buffer, sizeof(buffer)) <= 0) {
            pollers[0].fd = -1;
        }
    }
}

static void await_stop(const struct fake_broker *fake)
{
    struct pollfd poller = { .fd = fake->stop[0], .events = POLLIN };

    must(poll(&poller, 1, -1) > 0, "poll");
}

static void *serve(void *context)
{
    const struct fake_broker *fake = context;
    struct pollfd pollers[] = { { .fd = fake->listener, .events = POLLIN },
                                { .fd = fake->stop[0], .events = POLLIN } };
    int fd;

    must(poll(pollers, 2, -1) > 0, "poll");
    if (pollers[0].revents == 0) {
        return NULL;
    }
    fd = accept(fake->listener, NULL, NULL);
    must(fd >= 0, "accept");
    if (fake->fault == FAKE_SAYS_NOTHING) {
        swallow(fake, fd);
    } else {
        close(fake->listener); /* the next try is refused at once, and so does not blur times */
        must(log_in(fd, fake->heartbeat_s), "log in");
        if (fake->fault == FAKE_FALLS_SILENT) {
            swallow(fake, fd);
        }
        await_stop(fake);
    }
    close(fd);
    return NULL;
}

void fake_broker_start(struct fake_broker *fake, enum fake_fault fault, int heartbeat_s)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(address);
    int bytes = RECEIVE_BYTES;

    *fake = (struct fake_broker){ .fault = fault, .heartbeat_s = heartbeat_s };
    fake->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(fake->listener >= 0, "socket");
    must(setsockopt(fake->listener, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes)) == 0, "rcvbuf");
    must(bind(fake->listener, (struct sockaddr *)&address, len) == 0, "bind");
    must(listen(fake->listener, 4) == 0, "listen");
    must(getsockname(fake->listener, (struct sockaddr *)&address, &len) == 0, "getsockname");
    must(pipe(fake->stop) == 0, "pipe");
    snprintf(fake->url, sizeof(fake->url), "amqp://guest:guest@127.0.0.1:%d/",
             ntohs(address.sin_port));
    must(pthread_create(&fake->thread, NULL, serve, fake) == 0, "pthread_create");
}

void fake_broker_stop(struct fake_broker *fake)
{
    close(fake->stop[1]);
    must(pthread_join(fake->thread, NULL) == 0, "pthread_join");
    close(fake->stop[0]);
    if (fake->fault == FAKE_SAYS_NOTHING) {
        close(fake->listener);
    }
}
