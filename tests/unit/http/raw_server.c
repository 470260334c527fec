#include "raw_server.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTIONS_MAX 64
#define PAUSE_MS 20 /* long enough for the client to have read the first */
#define REQUEST_BYTES (4 << 20)

struct connection {
    int fd;
    char *bytes;
    size_t len;
};

struct raw_server {
    const struct raw_step *steps;
    size_t count;
    int listen_fd;
    int port;
    int stop_pipe[2];
    pthread_t thread;
    struct connection connections[CONNECTIONS_MAX];
    int open;
    pthread_mutex_t lock;
    pthread_cond_t acted_one;
    int requests, accepted, acted;
    char *last;
};

static void check(bool ok, const char *what)
{
    if (!ok) {
        perror(what);
        abort();
    }
}

static void send_all(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t sent = send(fd, bytes, len, MSG_NOSIGNAL);
        if (sent <= 0) {
            return; /* the client has gone: its test looks at what it saw */
        }
        bytes += sent;
        len -= (size_t)sent;
    }
}

static void drop(struct raw_server *server, int index, bool reset)
{
    struct connection *connection = &server->connections[index];

    if (reset) {
        struct linger linger = { .l_onoff = 1, .l_linger = 0 };
        setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    }
    close(connection->fd);
    free(connection->bytes);
    *connection = server->connections[--server->open];
}

/* Length of the first whole request in the buffer, or 0. */
static size_t whole_request(const struct connection *connection, const char **out_body)
{
    const char *end = strstr(connection->bytes, "\r\n\r\n");
    if (end == NULL) {
        return 0;
    }
    const char *length = strcasestr(connection->bytes, "content-length:");
    size_t body = length != NULL && length < end ? (size_t)atol(length + 15) : 0;
    size_t head = (size_t)(end - connection->bytes) + 4;
    *out_body = end + 4;
    return connection->len >= head + body ? head + body : 0;
}

static void echo(int fd, const char *body)
{
    char head[160];
    int len = snprintf(head, sizeof(head),
                       "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n\r\n",
                       strlen(body));
    send_all(fd, head, (size_t)len);
    send_all(fd, body, strlen(body));
}

static const struct raw_step *next_step(struct raw_server *server, const char *request)
{
    pthread_mutex_lock(&server->lock);
    size_t index = (size_t)server->requests++;
    free(server->last);
    server->last = strdup(request);
    pthread_mutex_unlock(&server->lock);
    return &server->steps[index < server->count ? index : server->count - 1];
}

/* Returns false when the connection is gone. */
static bool act(struct raw_server *server, int index, const struct raw_step *step, const char *body)
{
    int fd = server->connections[index].fd;

    if (step->delay_ms > 0) {
        poll(NULL, 0, step->delay_ms);
    }
    switch (step->action) {
    case RAW_ANSWER:
        send_all(fd, step->text, strlen(step->text));
        return true;
    case RAW_ANSWER_TWICE:
        send_all(fd, step->text, strlen(step->text));
        poll(NULL, 0, PAUSE_MS);
        send_all(fd, step->text, strlen(step->text));
        return true;
    case RAW_ANSWER_CLOSE:
        send_all(fd, step->text, strlen(step->text));
        drop(server, index, false);
        return false;
    case RAW_CLOSE_EARLY:
    case RAW_RESET:
        drop(server, index, true);
        return false;
    case RAW_CLOSE:
        drop(server, index, false);
        return false;
    case RAW_ECHO:
        echo(fd, body);
        return true;
    case RAW_SILENT:
    case RAW_GREET:
        break;
    }
    return true;
}

static bool act_and_tell(struct raw_server *server, int index, const struct raw_step *step,
                         const char *body)
{
    bool stays = act(server, index, step, body);

    pthread_mutex_lock(&server->lock);
    server->acted++;
    pthread_cond_broadcast(&server->acted_one);
    pthread_mutex_unlock(&server->lock);
    return stays;
}

static bool wants_early_close(struct raw_server *server)
{
    pthread_mutex_lock(&server->lock);
    size_t index = (size_t)server->requests;
    pthread_mutex_unlock(&server->lock);
    return server->steps[index < server->count ? index : server->count - 1].action ==
           RAW_CLOSE_EARLY;
}

static void serve(struct raw_server *server, int index)
{
    struct connection *connection = &server->connections[index];
    const char *body = "";
    ssize_t got =
        recv(connection->fd, connection->bytes + connection->len,
             wants_early_close(server) ? 1 : REQUEST_BYTES - 1 - connection->len, MSG_DONTWAIT);

    if (got <= 0) {
        drop(server, index, false);
        return;
    }
    connection->len += (size_t)got;
    connection->bytes[connection->len] = '\0';
    if (wants_early_close(server)) {
        act_and_tell(server, index, next_step(server, ""), "");
        return;
    }
    size_t len = whole_request(connection, &body);
    if (len == 0) {
        return;
    }
    check(len == connection->len, "pipelined request");
    if (act_and_tell(server, index, next_step(server, connection->bytes), body)) {
        connection->len = 0;
    }
}

static void accept_one(struct raw_server *server)
{
    int fd = accept(server->listen_fd, NULL, NULL);
    int on = 1;
    check(fd >= 0 && server->open < CONNECTIONS_MAX, "accept");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));

    struct connection *connection = &server->connections[server->open++];
    *connection = (struct connection){ .fd = fd, .bytes = malloc(REQUEST_BYTES) };
    check(connection->bytes != NULL, "malloc");
    pthread_mutex_lock(&server->lock);
    server->accepted++;
    pthread_mutex_unlock(&server->lock);
    if (server->steps[0].action == RAW_GREET) {
        send_all(fd, server->steps[0].text, strlen(server->steps[0].text));
    }
}

static void *run(void *user)
{
    struct raw_server *server = user;

    for (;;) {
        struct pollfd fds[2 + CONNECTIONS_MAX] = {
            { .fd = server->stop_pipe[0], .events = POLLIN },
            { .fd = server->listen_fd, .events = POLLIN },
        };
        int open = server->open;
        for (int i = 0; i < open; i++) {
            fds[2 + i] = (struct pollfd){ .fd = server->connections[i].fd, .events = POLLIN };
        }
        check(poll(fds, (nfds_t)(2 + open), -1) > 0, "poll");
        if (fds[0].revents != 0) {
            return NULL;
        }
        /* Downwards: dropping one moves the last into its place. */
        for (int i = open; i-- > 0;) {
            if (fds[2 + i].revents != 0) {
                serve(server, i);
            }
        }
        if (fds[1].revents != 0) {
            accept_one(server);
        }
    }
}

struct raw_server *raw_server_start(const struct raw_step *steps, size_t count)
{
    struct raw_server *server = calloc(1, sizeof(*server));
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(address);

    check(server != NULL, "calloc");
    server->steps = steps;
    server->count = count;
    server->listen_fd = socket(AF_INET, SOCK_STREAM, 0);
    check(server->listen_fd >= 0, "socket");
    check(bind(server->listen_fd, (struct sockaddr *)&address, sizeof(address)) == 0, "bind");
    check(listen(server->listen_fd, CONNECTIONS_MAX) == 0, "listen");
    check(getsockname(server->listen_fd, (struct sockaddr *)&address, &len) == 0, "getsockname");
    server->port = ntohs(address.sin_port);
    check(pipe(server->stop_pipe) == 0, "pipe");
    pthread_mutex_init(&server->lock, NULL);
    pthread_cond_init(&server->acted_one, NULL);
    check(pthread_create(&server->thread, NULL, run, server) == 0, "pthread_create");
    return server;
}

void raw_server_stop(struct raw_server *server)
{
    check(write(server->stop_pipe[1], "", 1) == 1, "write");
    pthread_join(server->thread, NULL);
    while (server->open > 0) {
        drop(server, server->open - 1, false);
    }
    close(server->listen_fd);
    close(server->stop_pipe[0]);
    close(server->stop_pipe[1]);
    pthread_mutex_destroy(&server->lock);
    pthread_cond_destroy(&server->acted_one);
    free(server->last);
    free(server);
}

int raw_server_port(const struct raw_server *server)
{
    return server->port;
}

static int read_locked(struct raw_server *server, const int *value)
{
    pthread_mutex_lock(&server->lock);
    int copy = *value;
    pthread_mutex_unlock(&server->lock);
    return copy;
}

int raw_server_requests(struct raw_server *server)
{
    return read_locked(server, &server->requests);
}

int raw_server_connections(struct raw_server *server)
{
    return read_locked(server, &server->accepted);
}

void raw_server_wait_acted(struct raw_server *server, int count)
{
    pthread_mutex_lock(&server->lock);
    while (server->acted < count) {
        pthread_cond_wait(&server->acted_one, &server->lock);
    }
    pthread_mutex_unlock(&server->lock);
}

const char *raw_server_last(struct raw_server *server)
{
    pthread_mutex_lock(&server->lock);
    const char *last = server->last != NULL ? server->last : "";
    pthread_mutex_unlock(&server->lock);
    return last;
}
