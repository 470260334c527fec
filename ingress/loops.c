#include "loops.h"

#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/panic.h"
#include "base/str.h"

#define BACKLOG 4096
#define LONGEST_WAIT_MS 200 /* within which a loop notices that it is to quiesce or to stop */

struct loop {
    struct loops *loops;
    struct MHD_Daemon *daemon;
    pthread_t thread;
    int index;
    int epoll_fd;
    int wake_fd;
    bool quiesced;
    atomic_long suspended;               /* changed by the loop's own thread */
    _Atomic(struct resumable *) resumed; /* the last one pushed first */
};

struct loops {
    struct arena *arena;
    int listen_fd;
    int port;
    int count;
    atomic_bool quiesce, end;
    atomic_int ended;
    struct loop loops[LOOPS_MAX];
};

static _Thread_local int mine;

int loops_mine(void)
{
    return mine;
}

int loops_port(const struct loops *loops)
{
    return loops->port;
}

static int wait_ms(struct MHD_Daemon *daemon)
{
    MHD_UNSIGNED_LONG_LONG ms;

    if (MHD_get_timeout(daemon, &ms) == MHD_YES && ms < LONGEST_WAIT_MS) {
        return (int)ms;
    }
    return LONGEST_WAIT_MS;
}

void loops_own(struct resumable *resumable, struct MHD_Connection *connection)
{
    resumable->connection = connection;
    resumable->loop = mine;
}

void loops_suspend(struct loops *loops, struct resumable *resumable)
{
    loops->loops[resumable->loop].suspended++;
    MHD_suspend_connection(resumable->connection);
}

long loops_suspended(const struct loops *loops)
{
    long sum = 0;

    for (int i = 0; i < loops->count; i++) {
        sum += loops->loops[i].suspended;
    }
    return sum;
}

void loops_resume(struct loops *loops, struct resumable *resumable)
{
    struct loop *loop = &loops->loops[resumable->loop];
    struct resumable *first = atomic_load_explicit(&loop->resumed, memory_order_relaxed);
    uint64_t one = 1;

    do {
        resumable->next = first;
    } while (!atomic_compare_exchange_weak_explicit(&loop->resumed, &first, resumable,
                                                    memory_order_release, memory_order_relaxed));
    /* Whoever pushes on the empty list wakes; the loop takes all before it waits again. */
    if (first == NULL && write(loop->wake_fd, &one, sizeof(one)) != (ssize_t)sizeof(one)) {
        panic("eventfd");
    }
}

/* In the order in which they were pushed. */
static void resume_all(struct loop *loop)
{
    struct resumable *list = atomic_exchange_explicit(&loop->resumed, NULL, memory_order_acquire);
    struct resumable *turned = NULL;

    while (list != NULL) {
        struct resumable *next = list->next;
        list->next = turned;
        turned = list;
        list = next;
    }
    while (turned != NULL) {
        struct resumable *next = turned->next; /* it goes on only when the daemon runs */
        MHD_resume_connection(turned->connection);
        loop->suspended--;
        turned = next;
    }
}

/* Until a connection is ready, or one is resumed, or the daemon has something to do. */
static void rest(struct loop *loop)
{
    struct pollfd fds[] = {
        { .fd = loop->epoll_fd, .events = POLLIN },
        { .fd = loop->wake_fd, .events = POLLIN },
    };
    uint64_t count;
    int ms = wait_ms(loop->daemon);

    if (ms > 0) {
        (void)poll(fds, 2, ms);
    }
    if ((fds[1].revents & POLLIN) != 0 &&
        read(loop->wake_fd, &count, sizeof(count)) != (ssize_t)sizeof(count)) {
        panic("eventfd");
    }
}

static void quiesce(struct loop *loop)
{
    if (!loop->quiesced) {
        loop->quiesced = true;
        (void)MHD_quiesce_daemon(loop->daemon);
    }
}

static void *run(void *argument)
{
    struct loop *loop = argument;
    struct loops *loops = loop->loops;

    mine = loop->index;
    while (!loops->end || loop->suspended > 0) {
        if (loops->quiesce) {
            quiesce(loop);
        }
        rest(loop);
        resume_all(loop);
        if (MHD_run(loop->daemon) != MHD_YES) {
            panic("libmicrohttpd does not run");
        }
    }
    quiesce(loop); /* otherwise each daemon would close the socket they share */
    MHD_stop_daemon(loop->daemon);
    loops->ended++;
    return NULL;
}

/* host and port of "host:port" or "[v6]:port" */
static bool split_address(const char *listen_at, char host[128], const char **out_port)
{
    const char *colon = strrchr(listen_at, ':');

    if (colon == NULL || colon - listen_at >= 128) {
        return false;
    }
    bool bracketed = listen_at[0] == '[' && colon > listen_at && colon[-1] == ']';
    snprintf(host, 128, "%.*s", (int)(colon - listen_at - (bracketed ? 2 : 0)),
             listen_at + (bracketed ? 1 : 0));
    *out_port = colon + 1;
    return true;
}

static bool open_socket(struct loops *loops, const struct addrinfo *address)
{
    struct sockaddr_storage bound;
    socklen_t bound_len = sizeof(bound);
    char port[NI_MAXSERV];
    int64_t number = 0;
    int on = 1;

    loops->listen_fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (loops->listen_fd < 0 ||
        setsockopt(loops->listen_fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
        bind(loops->listen_fd, address->ai_addr, address->ai_addrlen) != 0 ||
        listen(loops->listen_fd, BACKLOG) != 0 ||
        getsockname(loops->listen_fd, (struct sockaddr *)&bound, &bound_len) != 0 ||
        getnameinfo((struct sockaddr *)&bound, bound_len, NULL, 0, port, sizeof(port),
                    NI_NUMERICSERV) != 0 ||
        !str_parse_int(port, 1, 65535, &number)) {
        return false;
    }
    loops->port = (int)number;
    return true;
}

static bool listen_on(struct loops *loops, const char *listen_at, struct err *err)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE };
    struct addrinfo *found = NULL;
    const char *port;
    char host[128];

    if (!split_address(listen_at, host, &port)) {
        return err_permanent(err, "bad_listen", "HTTP_LISTEN: '%s' is not host:port", listen_at);
    }
    if (getaddrinfo(host[0] != '\0' ? host : NULL, port, &hints, &found) != 0) {
        return err_permanent(err, "bad_listen", "HTTP_LISTEN: '%s' names no address", listen_at);
    }
    bool ok = open_socket(loops, found);
    freeaddrinfo(found);
    if (!ok) {
        err_permanent(err, "cannot_listen", "HTTP_LISTEN: %s: %m", listen_at);
        if (loops->listen_fd >= 0) {
            close(loops->listen_fd);
        }
    }
    return ok;
}

static void start_loop(struct loops *loops, int index, loop_start_fn *start, void *context)
{
    struct loop *loop = &loops->loops[index];
    const union MHD_DaemonInfo *info;

    loop->loops = loops;
    loop->index = index;
    loop->daemon =
        start(context, loops->listen_fd,
              MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC | MHD_USE_ERROR_LOG);
    info =
        loop->daemon != NULL ? MHD_get_daemon_info(loop->daemon, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
    if (info == NULL) {
        panic("libmicrohttpd does not start");
    }
    loop->epoll_fd = info->epoll_fd;
    loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (loop->wake_fd < 0) {
        panic("eventfd");
    }
    if (pthread_create(&loop->thread, NULL, run, loop) != 0) {
        panic("no thread for HTTP");
    }
}

bool loops_start(const char *listen_at, int count, loop_start_fn *start, void *context,
                 struct loops **out_loops, struct err *err)
{
    struct arena *arena = arena_create((size_t)1 << 20);
    struct loops *loops = arena_alloc(arena, sizeof(*loops));

    loops->arena = arena;
    if (!listen_on(loops, listen_at, err)) {
        arena_destroy(arena);
        return false;
    }
    loops->count = count < LOOPS_MAX ? count : LOOPS_MAX;
    *out_loops = loops; /* before the first request */
    for (int i = 0; i < loops->count; i++) {
        start_loop(loops, i, start, context);
    }
    return true;
}

void loops_quiesce(struct loops *loops)
{
    loops->quiesce = true;
}

void loops_end(struct loops *loops)
{
    loops->end = true;
}

bool loops_ended(const struct loops *loops)
{
    return loops->ended == loops->count;
}

void loops_destroy(struct loops *loops)
{
    for (int i = 0; i < loops->count; i++) {
        pthread_join(loops->loops[i].thread, NULL);
        close(loops->loops[i].wake_fd);
    }
    close(loops->listen_fd);
    arena_destroy(loops->arena);
}
