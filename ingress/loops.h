/*
 * loops - the threads that run libmicrohttpd, one daemon each, on one listening socket
 *
 * libmicrohttpd's own threads are not used: its MHD_epoll() (0.9.75) calls epoll_wait() again, with
 * the same timeout, when the first call returned as many events as it can take (128), and so sleeps
 * on connections that are ready. Called with a timeout of zero it cannot; the waiting is done here.
 *
 * Suspended connections are resumed by their loop's own thread: other threads push them on the
 * loop's list and wake it once per batch. That saves libmicrohttpd's wake-up for each connection.
 */
#ifndef INGRESS_LOOPS_H
#define INGRESS_LOOPS_H

#include <microhttpd.h>
#include <stdbool.h>

#include "base/err.h"

#define LOOPS_MAX 64

struct loops;

/* Embedded in whatever is resumed. The loop is set by loops_own(). */
struct resumable {
    struct resumable *next; /* the loop's */
    struct MHD_Connection *connection;
    int loop;
};

/* Makes the daemon of one loop: external polling with epoll, suspend and resume. */
typedef struct MHD_Daemon *loop_start_fn(void *context, int listen_fd, unsigned flags);

/* Listens on "host:port" or "[v6]:port" and starts count threads. */
bool loops_start(const char *listen_at, int count, loop_start_fn *start, void *context,
                 struct loops **out_loops, struct err *err) __attribute__((warn_unused_result));

int loops_port(const struct loops *loops);

/* Takes no new connections from now on; the threads go on. */
void loops_quiesce(struct loops *loops);

/*
 * Tells the threads to close all connections and end, each as soon as none of its connections is
 * suspended. False while some still run.
 */
void loops_end(struct loops *loops);
bool loops_ended(const struct loops *loops);

/* Waits for the end and frees. */
void loops_destroy(struct loops *loops);

/* The index of the loop whose thread calls, from 0. */
int loops_mine(void);

/* A connection of the calling thread's loop. */
void loops_own(struct resumable *resumable, struct MHD_Connection *connection);

/* Its own loop's thread, in a callback of libmicrohttpd. */
void loops_suspend(struct loops *loops, struct resumable *resumable);

/* Connections that are suspended now. */
long loops_suspended(const struct loops *loops);

/* Any thread, once for each suspension. */
void loops_resume(struct loops *loops, struct resumable *resumable);

#endif
