/*
 * loop - one thread, one epoll
 */
#include "engine/loop.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/panic.h"

#define EVENTS_PER_TURN 256

void loop_init(struct loop *loop)
{
    *loop = (struct loop){ .epoll_fd = epoll_create1(EPOLL_CLOEXEC) };
    if (loop->epoll_fd < 0) {
        panic("epoll_create1: %s", strerror(errno));
    }
    loop->now_ms = clock_mono_ms();
    loop->wall_offset_ms = clock_now_ms() - loop->now_ms;
}

static void control(struct loop *loop, int operation, struct watch *watch, uint32_t events)
{
    struct epoll_event event = { .events = events, .data.ptr = watch };

    if (epoll_ctl(loop->epoll_fd, operation, watch->fd, &event) != 0) {
        panic("epoll_ctl: %s", strerror(errno));
    }
}

void loop_add(struct loop *loop, struct watch *watch, uint32_t events)
{
    control(loop, EPOLL_CTL_ADD, watch, events);
}

void loop_change(struct loop *loop, struct watch *watch, uint32_t events)
{
    control(loop, EPOLL_CTL_MOD, watch, events);
}

void loop_close(struct watch *watch)
{
    if (watch->fd >= 0) {
        (void)close(watch->fd);
        watch->fd = -1;
    }
}

void loop_wait(struct loop *loop, int timeout_ms)
{
    struct epoll_event events[EVENTS_PER_TURN];
    int count = epoll_wait(loop->epoll_fd, events, EVENTS_PER_TURN, timeout_ms);

    if (count < 0 && errno != EINTR) {
        panic("epoll_wait: %s", strerror(errno));
    }
    loop->now_ms = clock_mono_ms();
    for (int i = 0; i < count; i++) {
        struct watch *watch = events[i].data.ptr;

        if (watch->fd >= 0) {
            watch->ready(watch, events[i].events);
        }
    }
}

int64_t loop_wall_ms(const struct loop *loop)
{
    return loop->now_ms + loop->wall_offset_ms;
}
