/*
 * stopper - SIGTERM and SIGINT as an event of the loop
 *
 *     stopper_open(&stopper, &loop);
 *     while (!stopper.stopped) { loop_wait(...); }
 */
#ifndef SIM_STOPPER_H
#define SIM_STOPPER_H

#include <stdbool.h>

#include "engine/loop.h"

struct stopper {
    struct watch watch; /* first: a watch is its stopper */
    bool stopped;
};

/* Panics when the signals cannot be caught. */
void stopper_open(struct stopper *stopper, struct loop *loop);

#endif
