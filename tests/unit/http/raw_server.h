/*
 * raw_server - an HTTP server that misbehaves as told
 *
 *     static const struct raw_step steps[] = { { RAW_ANSWER, "HTTP/1.1 200 OK\r\n…" },
 *                                              { RAW_CLOSE } };
 *     struct raw_server *server = raw_server_start(steps, 2);
 *     … call http://127.0.0.1:<raw_server_port(server)>/ …
 *     assert_int_equal(raw_server_requests(server), 2);
 *     raw_server_stop(server);
 *
 * The n-th whole request, over whichever connection, gets the n-th step; later ones the last step.
 */
#ifndef TESTS_RAW_SERVER_H
#define TESTS_RAW_SERVER_H

#include <stddef.h>

enum raw_action {
    RAW_ANSWER,       /* send text, keep the connection */
    RAW_ANSWER_CLOSE, /* send text, close */
    RAW_ANSWER_TWICE, /* send text, a moment later send it again */
    RAW_CLOSE,        /* close without an answer */
    RAW_RESET,        /* the same with a TCP reset */
    RAW_SILENT,       /* never answer */
    RAW_ECHO,         /* 200 with the request's body as body, as text/plain */
    RAW_GREET,        /* first step only: send text upon connection, before any request */
    RAW_CLOSE_EARLY,  /* close when the first bytes of the request arrive */
};

struct raw_step {
    enum raw_action action;
    const char *text;
    int delay_ms; /* before acting */
};

struct raw_server;

struct raw_server *raw_server_start(const struct raw_step *steps, size_t count); /* kept */
void raw_server_stop(struct raw_server *server);
int raw_server_port(const struct raw_server *server);

/* Whole requests (or first bytes, of RAW_CLOSE_EARLY) and connections so far. */
int raw_server_requests(struct raw_server *server);
int raw_server_connections(struct raw_server *server);

/* Waits until that many steps were carried out. */
void raw_server_wait_acted(struct raw_server *server, int count);

/* The text of the latest request; valid until the next. */
const char *raw_server_last(struct raw_server *server);

#endif
