/*
 * loop - one thread, one epoll
 *
 *     struct watch { int fd; ready } inside the thing that owns the descriptor
 *     loop_add(&loop, &conn->watch, EPOLLIN);
 *     while (!stopped) {
 *         loop_wait(&loop, timeout_ms);      // calls ready() of each
 *     }
 *
 * A ready() may close its own descriptor only; whatever closes others runs after loop_wait().
 */
#ifndef SIM_LOOP_H
#define SIM_LOOP_H

#include <stdint.h>
#include <sys/epoll.h>

struct watch {
    int fd;
    void (*ready)(struct watch *watch, uint32_t events);
};

struct loop {
    int epoll_fd;
    int64_t now_ms; /* monotonic, read once a turn */
    int64_t wall_offset_ms;
};

void loop_init(struct loop *loop);
void loop_add(struct loop *loop, struct watch *watch, uint32_t events);
void loop_change(struct loop *loop, struct watch *watch, uint32_t events);

/* Closes the descriptor; the watch is left with fd -1. */
void loop_close(struct watch *watch);

/* timeout_ms -1 waits without limit. */
void loop_wait(struct loop *loop, int timeout_ms);

/* Wall clock of this turn. */
int64_t loop_wall_ms(const struct loop *loop);

#endif
