/*
 * serve - the little HTTP server behind metrics_serve()
 *
 * One libmicrohttpd thread that takes no signals, so that they reach the supervisor. We open
 * the listening socket ourselves, because a forked worker must close its copy: a worker that
 * outlives its supervisor would hold the port.
 */
#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/panic.h"
#include "metrics/metrics.h"

#define BACKLOG 16
#define CONNECTIONS_MAX 16
#define TIMEOUT_S 10
#define HOST_BYTES 64

static struct {
    struct metrics *metrics; /* NULL while nothing is served */
    bool (*is_healthy)(void *context);
    void *context;
    struct MHD_Daemon *daemon;
    int fd;
    int port;
} server = { .fd = -1 };

static void leave_in_child(void)
{
    if (server.metrics != NULL) {
        close(server.fd);
        /* The daemon's thread does not exist here, so nothing else of it may be touched. */
        memset(&server, 0, sizeof(server));
        server.fd = -1;
    }
}

__attribute__((constructor)) static void watch_forks(void)
{
    if (pthread_atfork(NULL, NULL, leave_in_child) != 0) {
        panic("pthread_atfork failed");
    }
}

static enum MHD_Result reply(struct MHD_Connection *connection, unsigned status, const char *type,
                             const char *body, size_t len)
{
    /* MHD copies the bytes, though its parameter is not const. */
    struct MHD_Response *response =
        MHD_create_response_from_buffer(len, (void *)(uintptr_t)body, MHD_RESPMEM_MUST_COPY);

    if (response == NULL) {
        return MHD_NO;
    }
    enum MHD_Result result = MHD_add_response_header(response, "Content-Type", type);
    if (result == MHD_YES) {
        result = MHD_queue_response(connection, status, response);
    }
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result reply_text(struct MHD_Connection *connection, unsigned status,
                                  const char *text)
{
    return reply(connection, status, "text/plain; charset=utf-8", text, strlen(text));
}

static enum MHD_Result handle(void *context, struct MHD_Connection *connection, const char *path,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_len, void **seen)
{
    (void)context;
    (void)version;
    (void)upload;

    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
        *upload_len = 0;
        return reply_text(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET\n");
    }
    if (*seen == NULL) {
        *seen = &server; /* the headers are in; the next call is for the answer */
        return MHD_YES;
    }
    if (strcmp(path, "/metrics") == 0) {
        struct str text = { 0 };
        metrics_write(server.metrics, &text);
        enum MHD_Result result =
            reply(connection, MHD_HTTP_OK, "text/plain; version=0.0.4; charset=utf-8", text.bytes,
                  text.len);
        str_free(&text);
        return result;
    }
    if (strcmp(path, "/healthz") == 0) {
        bool healthy = server.is_healthy == NULL || server.is_healthy(server.context);
        return reply_text(connection, healthy ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE,
                          healthy ? "ok\n" : "not healthy\n");
    }
    return reply_text(connection, MHD_HTTP_NOT_FOUND, "only /metrics and /healthz\n");
}

/* "host:port" or "[v6]:port" into its parts; an empty host means all addresses. */
static bool split(const char *listen, char host[HOST_BYTES], const char **out_port)
{
    const char *colon = strrchr(listen, ':');

    if (colon == NULL || colon[1] == '\0') {
        return false;
    }
    size_t len = (size_t)(colon - listen);
    if (len >= 2 && listen[0] == '[' && listen[len - 1] == ']') {
        listen++;
        len -= 2;
    }
    if (len >= HOST_BYTES) {
        return false;
    }
    memcpy(host, listen, len);
    host[len] = '\0';
    *out_port = colon + 1;
    return true;
}

static int open_socket(const struct addrinfo *address)
{
    const int on = 1;
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0) {
        return -1;
    }
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
        bind(fd, address->ai_addr, address->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0) {
        int saved_errno = errno;
        close(fd);
        errno = saved_errno;
        return -1;
    }
    return fd;
}

static int read_port(int fd)
{
    struct sockaddr_storage address = { 0 };
    socklen_t len = sizeof(address);
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;

    if (getsockname(fd, (struct sockaddr *)&address, &len) != 0) {
        panic("getsockname: %s", strerror(errno));
    }
    memcpy(&v4, &address, sizeof(v4));
    memcpy(&v6, &address, sizeof(v6));
    return ntohs(address.ss_family == AF_INET6 ? v6.sin6_port : v4.sin_port);
}

static bool bind_listen(const char *listen, int *out_fd, struct err *err)
{
    const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE };
    struct addrinfo *addresses;
    char host[HOST_BYTES];
    const char *port;

    if (!split(listen, host, &port)) {
        return err_permanent(err, "bad_listen", "'%s' is not host:port", listen);
    }
    int status = getaddrinfo(host[0] != '\0' ? host : NULL, port, &hints, &addresses);
    if (status != 0) {
        return err_permanent(err, "bad_listen", "%s: %s", listen, gai_strerror(status));
    }
    int fd = open_socket(addresses);
    int saved_errno = errno;
    freeaddrinfo(addresses);
    if (fd < 0) {
        return err_temporary(err, "listen_failed", "%s: %s", listen, strerror(saved_errno));
    }
    *out_fd = fd;
    return true;
}

bool metrics_serve(struct metrics *metrics, const char *listen, bool (*is_healthy)(void *context),
                   void *context, struct err *err)
{
    sigset_t all;
    sigset_t before;
    int fd = -1;

    if (server.metrics != NULL) {
        panic("metrics are served already");
    }
    if (!bind_listen(listen, &fd, err)) {
        return false;
    }
    server.metrics = metrics;
    server.is_healthy = is_healthy;
    server.context = context;
    server.fd = fd;
    server.port = read_port(fd);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    server.daemon = MHD_start_daemon(
        MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_ITC, 0, NULL, NULL, handle, NULL,
        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)TIMEOUT_S, MHD_OPTION_END);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (server.daemon == NULL) {
        close(fd);
        server.metrics = NULL;
        server.fd = -1;
        server.port = 0;
        return err_temporary(err, "listen_failed", "%s: the HTTP server does not start", listen);
    }
    return true;
}

int metrics_port(const struct metrics *metrics)
{
    return server.metrics == metrics ? server.port : 0;
}

void metrics_stop(struct metrics *metrics)
{
    if (server.metrics == metrics && server.daemon != NULL) {
        MHD_stop_daemon(server.daemon); /* closes the socket too */
        memset(&server, 0, sizeof(server));
        server.fd = -1;
    }
}
