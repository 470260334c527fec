/*
 * server - HTTP/1.1 on keep-alive connections, with misbehaviour
 *
 *     server_open(&server, &loop, &wheel, "127.0.0.1:0", handle, context, &err);
 *
 *     static void handle(void *context, struct conn *conn, struct request *request)
 *     {
 *         server_answer(conn, &(struct answer){ .status = 200, .type = "text/plain", ... });
 *     }
 *
 * The handler answers or drops the connection before it returns; the answer's bytes are copied.
 * Own code instead of libmicrohttpd: it reaches the same rate, but this program's CPU counts
 * against what is measured, and the faults need the socket itself (an answer cut in the middle, a
 * close that looks like a dead keep-alive connection). README.md has the figures of both.
 */
#ifndef SIM_SERVER_H
#define SIM_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "engine/loop.h"
#include "engine/request.h"
#include "engine/wheel.h"

struct conn;

struct answer {
    int status;
    const char *type;
    const char *headers; /* further lines, each with CRLF; or NULL */
    const char *body;
    size_t len;
    int64_t delay_ms;
    size_t cut; /* send this much of the body, then close; 0 sends all */
};

typedef void (*request_fn)(void *context, struct conn *conn, struct request *request);

struct server {
    struct watch watch;
    struct loop *loop;
    struct wheel *wheel;
    const char *name; /* of the Server header */
    request_fn handle;
    void *context;
    struct conn *conns;
    uint32_t conn_used, conn_free, conn_count;
    char *scratch;
};

bool server_open(struct server *server, const char *listen, struct err *err)
    __attribute__((warn_unused_result));

/* Closes every connection; answers held back are never sent. */
void server_close(struct server *server);

/* "127.0.0.1:40123" */
void server_address(const struct server *server, struct str *out);

void server_answer(struct conn *conn, const struct answer *answer);

/* Closes without an answer. */
void server_drop(struct conn *conn);

/* A TIMER_ANSWER fired. */
void server_release(struct server *server, uint32_t slot);

/* "127.0.0.1:8080" or "name:80" to a socket address; only IPv4. */
struct sockaddr_in;
bool server_resolve(const char *address, struct sockaddr_in *out_address, struct err *err)
    __attribute__((warn_unused_result));

#endif
