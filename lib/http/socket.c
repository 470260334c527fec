#include "http/socket.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/panic.h"

#define EVENTS_PER_TURN 64
#define TABLE_STEP 64

static struct watched *watched_get(struct sockets *sockets, curl_socket_t fd)
{
    size_t index = (size_t)fd;

    if (index >= sockets->table_len) {
        size_t len = 2 * index + TABLE_STEP;
        struct watched *table = arena_array(sockets->arena, len, sizeof(*table));
        if (sockets->table_len > 0) {
            memcpy(table, sockets->table, sockets->table_len * sizeof(*table));
        }
        sockets->table = table;
        sockets->table_len = len;
    }
    return &sockets->table[index];
}

static void register_fd(struct sockets *sockets, int fd, struct watched *watched,
                        unsigned char events)
{
    struct epoll_event event = { .events = events, .data.fd = fd };
    int op = events == 0 ? EPOLL_CTL_DEL : watched->registered == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;

    /* A descriptor that is closed already has left the set by itself. */
    if (epoll_ctl(sockets->epoll_fd, op, fd, &event) != 0 && op != EPOLL_CTL_DEL) {
        panic("epoll_ctl %d on socket %d: %s", op, fd, strerror(errno));
    }
    watched->registered = events;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *user, void *socket_data)
{
    struct sockets *sockets = user;
    struct watched *watched = watched_get(sockets, fd);
    (void)easy;
    (void)socket_data;

    watched->wanted =
        (unsigned char)((what == CURL_POLL_IN || what == CURL_POLL_INOUT ? EPOLLIN : 0) |
                        (what == CURL_POLL_OUT || what == CURL_POLL_INOUT ? EPOLLOUT : 0));
    if (watched->ours && watched->registered == EPOLLIN && (watched->wanted & EPOLLOUT) == 0) {
        return 0; /* may stay as it is */
    }
    if (watched->wanted != watched->registered) {
        register_fd(sockets, fd, watched, watched->wanted);
    }
    return 0;
}

static int on_timer(CURLM *multi, long timeout_ms, void *user)
{
    struct sockets *sockets = user;
    (void)multi;

    sockets->timer_us = timeout_ms < 0    ? -1
                        : timeout_ms == 0 ? 0
                                          : clock_mono_us() + (int64_t)timeout_ms * 1000;
    return 0;
}

static curl_socket_t open_socket(void *user, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct sockets *sockets = user;
    (void)purpose;

    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    if (fd < 0) {
        return CURL_SOCKET_BAD;
    }
    *watched_get(sockets, fd) = (struct watched){ .ours = true };
    return fd;
}

static int close_socket(void *user, curl_socket_t fd)
{
    struct sockets *sockets = user;

    *watched_get(sockets, fd) = (struct watched){ 0 };
    return close(fd);
}

bool sockets_init(struct sockets *sockets, CURLM *multi, struct arena *arena, struct err *err)
{
    *sockets = (struct sockets){ .multi = multi, .timer_us = -1, .arena = arena };
    sockets->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (sockets->epoll_fd < 0) {
        return err_temporary(err, "http_no_epoll", "epoll_create1: %s", strerror(errno));
    }
    curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, sockets);
    curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(multi, CURLMOPT_TIMERDATA, sockets);
    return true;
}

void sockets_fini(struct sockets *sockets)
{
    if (sockets->epoll_fd > 0) {
        close(sockets->epoll_fd);
    }
    *sockets = (struct sockets){ 0 };
}

void sockets_adopt(struct sockets *sockets, CURL *easy)
{
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, sockets);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, close_socket);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, sockets);
}

/* A failing multi handle leaves every transfer's state uncertain, and there is no way to ask. */
static void act(struct sockets *sockets, curl_socket_t fd, int events)
{
    int running = 0;
    CURLMcode code = curl_multi_socket_action(sockets->multi, fd, events, &running);

    if (code != CURLM_OK) {
        panic("curl_multi_socket_action: %s", curl_multi_strerror(code));
    }
}

/*
 * Ends an idle connection that turned readable. What it said is thrown away, so that libcurl, which
 * peeks before it reuses a connection, finds it closed; and should more arrive, sending fails.
 */
static void spoil(struct sockets *sockets, int fd, struct watched *watched)
{
    char scratch[1024];

    shutdown(fd, SHUT_RDWR);
    while (recv(fd, scratch, sizeof(scratch), MSG_DONTWAIT) > 0) {
    }
    register_fd(sockets, fd, watched, 0);
}

static void dispatch(struct sockets *sockets, const struct epoll_event *event)
{
    int fd = event->data.fd;
    struct watched *watched = watched_get(sockets, fd);
    uint32_t events = event->events;

    if (watched->wanted == 0) {
        spoil(sockets, fd, watched);
        return;
    }
    act(sockets, fd,
        (events & (EPOLLIN | EPOLLHUP) ? CURL_CSELECT_IN : 0) |
            (events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
            (events & EPOLLERR ? CURL_CSELECT_ERR : 0));
}

/* Returns how many events there were. */
static int wait_events(struct sockets *sockets, int wait_ms)
{
    struct epoll_event events[EVENTS_PER_TURN];
    int count = epoll_wait(sockets->epoll_fd, events, EVENTS_PER_TURN, wait_ms);

    if (count < 0 && errno != EINTR) {
        panic("epoll_wait: %s", strerror(errno));
    }
    for (int i = 0; i < count; i++) {
        dispatch(sockets, &events[i]);
    }
    return count;
}

void sockets_sweep(struct sockets *sockets)
{
    while (wait_events(sockets, 0) == EVENTS_PER_TURN) {
    }
}

void sockets_turn(struct sockets *sockets)
{
    int wait_ms = -1;

    if (sockets->timer_us >= 0) {
        int64_t left_us = sockets->timer_us == 0 ? 0 : sockets->timer_us - clock_mono_us();
        if (left_us <= 0) {
            sockets->timer_us = -1;
            act(sockets, CURL_SOCKET_TIMEOUT, 0);
            wait_ms = 0;
        } else {
            wait_ms = (int)((left_us + 999) / 1000);
        }
    }
    wait_events(sockets, wait_ms);
}
