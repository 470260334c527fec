/*
 * supervisor - the parent: starts the workers, starts a dead one again, passes signals on
 *
 * It touches neither broker nor database, so nothing but a signal or a bug in these lines can end
 * it. It waits for signals with sigtimedwait() and has no handlers. A worker whose supervisor dies
 * is told by the kernel.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/panic.h"
#include "stage/core.h"

/* Pause before a dead worker is started again; doubled while it keeps dying young. */
#define RESTART_FIRST_MS 100
#define RESTART_LIMIT_MS 10000
#define RESTART_YOUNG_MS 30000

/* Beyond what a handler and the last confirms may take, a worker that was told to stop is ended. */
#define STOP_MARGIN_MS 15000

struct child {
    pid_t pid; /* 0: not running */
    bool finished;
    int64_t started_ms; /* all monotonic */
    int64_t restart_ms;
    int64_t pause_ms;
    bool again; /* not the first of this slot */
};

struct supervisor {
    struct stage *stage;
    const struct options *options;
    struct child *children;
    long count;
    const char *const *routes; /* that the workers serve, in turn */
    long route_count;
    struct metric *up;
    int stops; /* requests to stop so far */
    int64_t kill_at_ms;
    int status;
    sigset_t signals;
};

static void become_worker(struct supervisor *sup, long index, pid_t parent)
{
    struct stage *stage = sup->stage;

    if (sup->children[index].again) {
        crash_disarm();
    }
    signals_install();
    sigprocmask(SIG_UNBLOCK, &sup->signals, NULL);
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) != 0 || getppid() != parent) {
        _exit(EXIT_FAILED);
    }
    stage->route = sup->routes[index % sup->route_count];
    const int status =
        worker_run(stage, sup->options, index / sup->route_count, sup->options->workers);
    arena_destroy(stage->arena);
    arena_destroy(stage->memory);
    fflush(NULL);
    exit(status);
}

static void start_child(struct supervisor *sup, long index)
{
    struct child *child = &sup->children[index];
    const pid_t parent = getpid();
    const pid_t pid = fork();

    if (pid < 0) {
        log_error(&sup->stage->log, "fork_failed", KV_INT("errno", errno));
        child->restart_ms = clock_mono_ms() + RESTART_LIMIT_MS;
        return;
    }
    if (pid == 0) {
        become_worker(sup, index, parent);
    }
    child->pid = pid;
    child->started_ms = clock_mono_ms();
    child->again = true;
    metric_add(sup->up, 1);
}

static void signal_children(const struct supervisor *sup, int signal)
{
    for (long i = 0; i < sup->count; i++) {
        if (sup->children[i].pid > 0) {
            kill(sup->children[i].pid, signal);
        }
    }
}

static void stop(struct supervisor *sup)
{
    if (sup->stops++ == 0) {
        signal_children(sup, SIGTERM);
        sup->kill_at_ms = clock_mono_ms() + 2 * sup->stage->def->deadline_ms + STOP_MARGIN_MS;
    } else {
        signal_children(sup, SIGQUIT);
    }
}

/* How long a worker stays down: longer each time it dies young. */
static void schedule(struct child *child)
{
    const int64_t now_ms = clock_mono_ms();

    if (now_ms - child->started_ms > RESTART_YOUNG_MS || child->pause_ms == 0) {
        child->pause_ms = RESTART_FIRST_MS;
    } else {
        child->pause_ms =
            child->pause_ms * 2 < RESTART_LIMIT_MS ? child->pause_ms * 2 : RESTART_LIMIT_MS;
    }
    child->restart_ms = now_ms + child->pause_ms;
}

static void child_ended(struct supervisor *sup, long index, int wait_status)
{
    struct child *child = &sup->children[index];
    const int code = WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 0;
    const int signal = WIFSIGNALED(wait_status) ? WTERMSIG(wait_status) : 0;
    const bool clean = WIFEXITED(wait_status) && code == EXIT_OK;

    child->pid = 0;
    metric_add(sup->up, -1);
    if (sup->stops > 0 || sup->options->drain) {
        child->finished = true;
        if (!clean && sup->status == EXIT_OK && sup->stops < 2) {
            sup->status = code != EXIT_OK ? code : EXIT_FAILED;
        }
    } else if (code == EXIT_SETTINGS) {
        child->finished = true;
        sup->status = code;
        stop(sup);
    } else {
        schedule(child);
    }
    if (!clean) {
        log_error(&sup->stage->log, "worker_died", KV_INT("worker", index), KV_INT("exit", code),
                  KV_INT("signal", signal),
                  KV_INT("again_ms", child->finished ? 0 : child->pause_ms));
    }
}

static void reap(struct supervisor *sup)
{
    int wait_status;
    pid_t pid;

    while ((pid = waitpid(-1, &wait_status, WNOHANG)) > 0) {
        for (long i = 0; i < sup->count; i++) {
            if (sup->children[i].pid == pid) {
                child_ended(sup, i, wait_status);
                break;
            }
        }
    }
}

/* Starts what is due; returns the milliseconds until the next is. */
static int64_t start_due(struct supervisor *sup)
{
    int64_t wait_ms = RESTART_LIMIT_MS;

    for (long i = 0; i < sup->count && sup->stops == 0; i++) {
        struct child *child = &sup->children[i];
        if (child->pid > 0 || child->finished) {
            continue;
        }
        const int64_t left_ms = child->restart_ms - clock_mono_ms();
        if (left_ms <= 0) {
            start_child(sup, i);
        } else if (left_ms < wait_ms) {
            wait_ms = left_ms;
        }
    }
    return wait_ms;
}

static bool is_over(struct supervisor *sup)
{
    bool running = false;
    bool finished = true;

    for (long i = 0; i < sup->count; i++) {
        running = running || sup->children[i].pid > 0;
        finished = finished && sup->children[i].finished;
    }
    return finished || (sup->stops > 0 && !running);
}

static void watch(struct supervisor *sup)
{
    while (!is_over(sup)) {
        int64_t wait_ms = start_due(sup);
        if (sup->stops > 0 && clock_mono_ms() >= sup->kill_at_ms) {
            log_error(&sup->stage->log, "workers_killed");
            signal_children(sup, SIGKILL);
            sup->kill_at_ms = clock_mono_ms() + STOP_MARGIN_MS;
        }
        const struct timespec timeout = { .tv_sec = wait_ms / 1000,
                                          .tv_nsec = wait_ms % 1000 * 1000000 };
        const int signal = sigtimedwait(&sup->signals, NULL, &timeout);
        if (signal == SIGTERM || signal == SIGINT) {
            stop(sup);
        }
        reap(sup);
    }
}

static bool is_healthy(void *context)
{
    const struct supervisor *sup = context;

    return metric_value(sup->up) == sup->count;
}

static bool serve_metrics(struct supervisor *sup)
{
    struct stage *stage = sup->stage;
    const char *listen = stage->settings->metrics_listen;
    struct err err;

    if (*listen == '\0' || metrics_serve(stage->metrics, listen, is_healthy, sup, &err)) {
        return true;
    }
    log_error(&stage->log, "not_started", KV_STR("why", err.what), KV_STR("detail", err.detail));
    return false;
}

int supervise(struct stage *stage, const struct options *options)
{
    struct supervisor sup = {
        .stage = stage, .options = options, .routes = &stage->route, .route_count = 1
    };

    if (stage->route != NULL && options->route == NULL) {
        sup.routes = topic_stage_routes(stage->def->name);
        while (sup.routes[sup.route_count] != NULL) {
            sup.route_count++;
        }
    }
    sup.count = options->workers * sup.route_count;
    sup.children = arena_array(stage->memory, (size_t)sup.count, sizeof *sup.children);
    sup.up = metrics_gauge(stage->metrics, "workers", "Worker processes that run.",
                           arena_printf(stage->memory, "stage=\"%s\"", stage->def->name));
    sigemptyset(&sup.signals);
    sigaddset(&sup.signals, SIGCHLD);
    sigaddset(&sup.signals, SIGTERM);
    sigaddset(&sup.signals, SIGINT);
    if (sigprocmask(SIG_BLOCK, &sup.signals, NULL) != 0) {
        panic("sigprocmask");
    }
    if (signal(SIGHUP, SIG_IGN) == SIG_ERR || signal(SIGPIPE, SIG_IGN) == SIG_ERR) {
        panic("signal");
    }
    log_info(&stage->log, "started", KV_STR("version", TUMA_VERSION), KV_INT("workers", sup.count),
             KV_STR("route", sup.route_count == 1 ? stage->route : NULL),
             KV_STR("lane", options->lane));
    (void)start_due(
        &sup); /* before the metrics thread, so that the first workers fork without one */
    if (!serve_metrics(&sup)) {
        sup.status = EXIT_SETTINGS;
        stop(&sup);
    }
    watch(&sup);
    log_info(&stage->log, "stopped", KV_INT("exit", sup.status));
    return sup.status;
}
