/*
 * socket - libcurl's sockets and timer on epoll
 *
 * Private to lib/http. libcurl asks to watch a socket when a transfer starts on it and to forget it
 * when the transfer ends, thousands of times a second for the same kept-alive connections. A socket
 * that it opened for a connection therefore stays in the epoll set until it is closed.
 *
 * That also shows when an idle connection turns readable. Either the peer closed it, or it said
 * something that nobody asked for, such as a balancer's "408 Request Timeout"; libcurl would take
 * that for the answer to the next request it sends there. Such a connection is shut down.
 */
#ifndef HTTP_SOCKET_H
#define HTTP_SOCKET_H

#include <curl/curl.h>

#include "base/arena.h"
#include "base/err.h"

struct watched {
    unsigned char wanted;     /* EPOLLIN, EPOLLOUT that libcurl waits for */
    unsigned char registered; /* what the epoll set has */
    bool ours;                /* opened by open_socket: we hear of its end */
};

struct sockets {
    CURLM *multi; /* borrowed */
    int epoll_fd;
    int64_t timer_us; /* monotonic; -1 when libcurl wants none */
    struct watched *table;
    size_t table_len;
    struct arena *arena;
};

/* Takes over the multi handle's callbacks. */
bool sockets_init(struct sockets *sockets, CURLM *multi, struct arena *arena, struct err *err);
void sockets_fini(struct sockets *sockets); /* after the multi handle is gone */

/* Each easy handle must be told where its sockets come from. */
void sockets_adopt(struct sockets *sockets, CURL *easy);

/* Looks at the idle connections: to be called before transfers start after a pause. */
void sockets_sweep(struct sockets *sockets);

/* Waits for something to happen and lets libcurl act on it. */
void sockets_turn(struct sockets *sockets);

#endif
