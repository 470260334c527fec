/*
 * signals - a flag, and a descriptor that poll() can wait for
 *
 * A stop may be asked for any number of times: a service manager signals the whole group and the
 * supervisor signals its workers. Only SIGQUIT, which the supervisor sends on the second request,
 * does not wait for the message in hand.
 */
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/panic.h"
#include "stage/worker.h"

static volatile sig_atomic_t stop_asked;
static int stop_fd = -1;

static void on_stop(int signal)
{
    const uint64_t one = 1;

    (void)signal;
    stop_asked = 1;
    if (write(stop_fd, &one, sizeof one) < 0) {
        return; /* it counts to 2^64: it is readable already */
    }
}

static void on_quit(int signal)
{
    _exit(128 + signal);
}

static void install(int signal, void (*handler)(int))
{
    const struct sigaction action = { .sa_handler = handler };

    if (sigaction(signal, &action, NULL) != 0) {
        panic("sigaction %d", signal);
    }
}

void signals_install(void)
{
    stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (stop_fd < 0) {
        panic("eventfd");
    }
    install(SIGTERM, on_stop);
    install(SIGINT, on_stop);
    install(SIGQUIT, on_quit);
    install(SIGHUP, SIG_IGN);
    install(SIGPIPE, SIG_IGN);
}

bool signals_stop_asked(void)
{
    return stop_asked != 0;
}

int signals_fd(void)
{
    return stop_fd;
}
