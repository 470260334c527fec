/*
 * stopper - SIGTERM and SIGINT as an event of the loop
 */
#include "engine/stopper.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>

#include "base/panic.h"

static void signal_ready(struct watch *watch, uint32_t events)
{
    (void)events;
    ((struct stopper *)watch)->stopped = true;
}

void stopper_open(struct stopper *stopper, struct loop *loop)
{
    sigset_t signals;
    int fd;

    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    fd = sigprocmask(SIG_BLOCK, &signals, NULL) == 0
             ? signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC)
             : -1;
    if (fd < 0) {
        panic("signalfd: %s", strerror(errno));
    }
    *stopper = (struct stopper){ .watch = { fd, signal_ready } };
    loop_add(loop, &stopper->watch, EPOLLIN);
}
