/*
 * server - HTTP/1.1 on keep-alive connections, with misbehaviour
 */
#include "engine/server.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/pages.h"

#define CONNECTIONS_MAX 65536
#define READ_BYTES 65536
#define BACKLOG 4096

/* A buffer that grew past this is given back once it is empty. */
#define KEEP_BYTES (256 << 10)

struct conn {
    struct watch watch; /* first: a watch is its connection */
    struct server *server;
    struct str in;  /* received, not yet served */
    struct str out; /* composed, not yet sent */
    size_t sent;
    uint32_t next_free;
    uint32_t requests;
    bool held;      /* a timer will release the answer */
    bool closing;   /* close when the answer is out */
    bool continued; /* "100 Continue" was sent for the current request */
};

static void free_conn(struct conn *conn)
{
    struct server *server = conn->server;

    str_free(&conn->in);
    str_free(&conn->out);
    conn->next_free = server->conn_free;
    server->conn_free = (uint32_t)(conn - server->conns) + 1;
    server->conn_count--;
}

/* The slot of a held connection stays taken until its timer fires. */
static void close_conn(struct conn *conn)
{
    loop_close(&conn->watch);
    if (!conn->held) {
        free_conn(conn);
    }
}

static void flush(struct conn *conn);

static void refuse(struct conn *conn)
{
    static const char text[] = "Illegal request";

    conn->closing = true;
    server_answer(conn, &(struct answer){ .status = 400,
                                          .type = "text/plain; charset=UTF-8",
                                          .body = text,
                                          .len = sizeof(text) - 1 });
}

/* A large body waits for this line when the client asked. */
static void say_continue(struct conn *conn, const char *head, size_t head_len)
{
    static const char line[] = "HTTP/1.1 100 Continue\r\n\r\n";

    if (!conn->continued && memmem(head, head_len, "100-continue", 12) != NULL) {
        conn->continued = true;
        str_append(&conn->out, line, sizeof(line) - 1);
        flush(conn);
    }
}

/* Serves one complete request of size bytes at bytes. */
static void serve_one(struct conn *conn, char *bytes, size_t head, size_t size)
{
    struct request request;
    char after = bytes[size];

    conn->continued = false;
    if (!request_parse(bytes, head, &request) || request.body_len + head + 4 != size) {
        refuse(conn);
        return;
    }
    request.body = bytes + head + 4;
    request.reused = conn->requests++ > 0;
    conn->closing = request.close;
    bytes[size] = '\0';
    conn->server->handle(conn->server->context, conn, &request);
    if (conn->watch.fd >= 0) {
        bytes[size] = after; /* a closed connection's buffer is gone */
    }
}

/* Serves what is complete; returns the bytes used up. The connection may be closed after. */
static size_t serve(struct conn *conn, char *bytes, size_t len)
{
    size_t used = 0;

    while (conn->watch.fd >= 0 && !conn->held && !conn->closing && conn->out.len == 0 &&
           used < len) {
        size_t head = 0;
        size_t size = 0;
        enum parsed parsed = request_measure(bytes + used, len - used, &head, &size);

        if (parsed == PARSED_BAD) {
            refuse(conn);
            return len;
        }
        if (parsed == PARSED_MORE) {
            if (head > 0) {
                say_continue(conn, bytes + used, head);
            }
            break;
        }
        serve_one(conn, bytes + used, head, size);
        used += size;
    }
    return used;
}

/* Serves requests that were read while an earlier answer was on its way. */
static void serve_rest(struct conn *conn)
{
    size_t used;

    if (conn->watch.fd < 0 || conn->in.len == 0) {
        return;
    }
    (void)str_room(&conn->in, 1);
    used = serve(conn, conn->in.bytes, conn->in.len);
    if (conn->watch.fd >= 0 || conn->held) {
        memmove(conn->in.bytes, conn->in.bytes + used, conn->in.len - used);
        conn->in.len -= used;
        if (conn->in.len == 0 && conn->in.size > KEEP_BYTES) {
            str_free(&conn->in);
        }
    }
}

static void flush(struct conn *conn)
{
    while (conn->sent < conn->out.len) {
        ssize_t count = send(conn->watch.fd, conn->out.bytes + conn->sent,
                             conn->out.len - conn->sent, MSG_NOSIGNAL);

        if (count < 0) {
            if (errno == EAGAIN) {
                loop_change(conn->server->loop, &conn->watch, EPOLLOUT);
                return;
            }
            close_conn(conn);
            return;
        }
        conn->sent += (size_t)count;
    }
    str_reset(&conn->out);
    conn->sent = 0;
    if (conn->closing) {
        close_conn(conn);
    } else if (conn->out.size > KEEP_BYTES) {
        str_free(&conn->out);
    }
}

static void read_more(struct conn *conn)
{
    struct server *server = conn->server;
    bool direct = conn->in.len == 0 && !conn->held;
    char *to = direct ? server->scratch : str_room(&conn->in, READ_BYTES);
    ssize_t count = recv(conn->watch.fd, to, READ_BYTES - 1, 0);
    size_t used;

    if (count <= 0) {
        if (count == 0 || errno != EAGAIN) {
            close_conn(conn);
        }
        return;
    }
    if (!direct) {
        conn->in.len += (size_t)count;
        if (!conn->held) {
            serve_rest(conn);
        }
        return;
    }
    used = serve(conn, to, (size_t)count);
    if (conn->watch.fd >= 0 && used < (size_t)count) {
        str_append(&conn->in, to + used, (size_t)count - used);
    }
}

static void conn_ready(struct watch *watch, uint32_t events)
{
    struct conn *conn = (struct conn *)watch;

    if (events & EPOLLOUT) {
        flush(conn);
        if (watch->fd >= 0 && conn->out.len == 0) {
            loop_change(conn->server->loop, watch, EPOLLIN);
            serve_rest(conn);
        }
        return;
    }
    read_more(conn);
}

static struct conn *take_conn(struct server *server)
{
    struct conn *conn;

    if (server->conn_free != 0) {
        conn = &server->conns[server->conn_free - 1];
        server->conn_free = conn->next_free;
    } else if (server->conn_used < CONNECTIONS_MAX) {
        conn = &server->conns[server->conn_used++];
    } else {
        return NULL;
    }
    server->conn_count++;
    return conn;
}

static void accept_ready(struct watch *watch, uint32_t events)
{
    struct server *server = (struct server *)watch;
    int fd;

    (void)events;
    while ((fd = accept4(watch->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct conn *conn = take_conn(server);

        if (conn == NULL) {
            (void)close(fd);
            return;
        }
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
        *conn = (struct conn){ .watch = { fd, conn_ready }, .server = server };
        loop_add(server->loop, &conn->watch, EPOLLIN);
    }
}

static const char *reason_of(int status)
{
    static const struct {
        int status;
        const char *reason;
    } reasons[] = {
        { 200, "OK" },
        { 201, "Created" },
        { 400, "Bad Request" },
        { 401, "Unauthorized" },
        { 404, "Not Found" },
        { 405, "Method Not Allowed" },
        { 409, "Conflict" },
        { 415, "Unsupported Media Type" },
        { 429, "Too Many Requests" },
        { 500, "Internal Server Error" },
        { 503, "Service Unavailable" },
    };

    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
        if (reasons[i].status == status) {
            return reasons[i].reason;
        }
    }
    return "Unknown";
}

void server_answer(struct conn *conn, const struct answer *answer)
{
    struct server *server = conn->server;
    struct str *out = &conn->out;
    size_t len = answer->len;

    str_puts(out, "HTTP/1.1 ");
    str_put_int(out, answer->status);
    str_putc(out, ' ');
    str_puts(out, reason_of(answer->status));
    str_puts(out, "\r\nServer: ");
    str_puts(out, server->name);
    str_puts(out, "\r\n");
    if (answer->headers != NULL) {
        str_puts(out, answer->headers);
    }
    if (conn->closing) {
        str_puts(out, "Connection: close\r\n");
    }
    str_puts(out, "Content-Type: ");
    str_puts(out, answer->type);
    str_puts(out, "\r\nContent-Length: ");
    str_put_int(out, (int64_t)len);
    str_puts(out, "\r\n\r\n");
    if (answer->cut > 0 && answer->cut < len) {
        len = answer->cut;
        conn->closing = true;
    }
    str_append(out, answer->body, len);
    if (answer->delay_ms > 0) {
        conn->held = true;
        wheel_add(
            server->wheel, server->loop->now_ms + answer->delay_ms,
            (struct timer){ .kind = TIMER_ANSWER, .subject = (uint32_t)(conn - server->conns) });
        return;
    }
    flush(conn);
}

void server_drop(struct conn *conn)
{
    close_conn(conn);
}

void server_release(struct server *server, uint32_t slot)
{
    struct conn *conn = &server->conns[slot];

    conn->held = false;
    if (conn->watch.fd < 0) {
        free_conn(conn);
        return;
    }
    flush(conn);
    if (conn->watch.fd >= 0 && conn->out.len == 0) {
        serve_rest(conn);
    }
}

bool server_resolve(const char *address, struct sockaddr_in *out_address, struct err *err)
{
    const struct addrinfo hints = { .ai_family = AF_INET, .ai_socktype = SOCK_STREAM };
    struct addrinfo *found = NULL;
    const char *colon = strrchr(address, ':');
    char host[256];
    int64_t port;

    if (colon == NULL || (size_t)(colon - address) >= sizeof(host) ||
        !str_parse_int(colon + 1, 0, 65535, &port)) {
        return err_permanent(err, "bad_address", "'%.100s' is not <host>:<port>", address);
    }
    memcpy(host, address, (size_t)(colon - address));
    host[colon - address] = '\0';
    if (getaddrinfo(host, NULL, &hints, &found) != 0) {
        return err_permanent(err, "bad_address", "host '%.100s' is not known", host);
    }
    memcpy(out_address, found->ai_addr, sizeof(*out_address));
    out_address->sin_port = htons((uint16_t)port);
    freeaddrinfo(found);
    return true;
}

bool server_open(struct server *server, const char *listen_on, struct err *err)
{
    struct sockaddr_in address;
    int fd;

    if (!server_resolve(listen_on, &address, err)) {
        return false;
    }
    fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int)) != 0 ||
        bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 || listen(fd, BACKLOG) != 0) {
        int cause = errno;

        if (fd >= 0) {
            (void)close(fd);
        }
        return err_permanent(err, "cannot_listen", "%.100s: %s", listen_on, strerror(cause));
    }
    server->conns = pages_map(CONNECTIONS_MAX * sizeof(struct conn));
    server->scratch = pages_map(READ_BYTES);
    server->watch = (struct watch){ fd, accept_ready };
    loop_add(server->loop, &server->watch, EPOLLIN);
    return true;
}

void server_close(struct server *server)
{
    loop_close(&server->watch);
    for (uint32_t i = 0; i < server->conn_used; i++) {
        loop_close(&server->conns[i].watch);
        str_free(&server->conns[i].in);
        str_free(&server->conns[i].out);
    }
    pages_unmap(server->conns, CONNECTIONS_MAX * sizeof(struct conn));
    pages_unmap(server->scratch, READ_BYTES);
}

void server_address(const struct server *server, struct str *out)
{
    struct sockaddr_in address = { 0 };
    socklen_t len = sizeof(address);
    const unsigned char *ip = (const unsigned char *)&address.sin_addr;

    (void)getsockname(server->watch.fd, (struct sockaddr *)&address, &len);
    str_printf(out, "%d.%d.%d.%d:%d", ip[0], ip[1], ip[2], ip[3], ntohs(address.sin_port));
}
