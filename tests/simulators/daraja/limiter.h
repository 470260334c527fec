/*
 * limiter - a spike arrest: so many in a period, evenly spread, with a burst
 */
#ifndef SIM_LIMITER_H
#define SIM_LIMITER_H

#include <stdbool.h>
#include <stdint.h>

struct limiter {
    int64_t due_us; /* when the next would come if all came evenly */
};

/* count 0 limits nothing. */
static inline bool limiter_admits(struct limiter *limiter, int64_t now_ms, int64_t count,
                                  int64_t period_ms, int64_t burst)
{
    int64_t now_us = now_ms * 1000;
    int64_t step_us = count == 0 ? 0 : period_ms * 1000 / count;
    int64_t due_us = limiter->due_us > now_us ? limiter->due_us : now_us;

    if (count == 0) {
        return true;
    }
    if (due_us - now_us > (burst > 0 ? burst - 1 : 0) * step_us) {
        return false;
    }
    limiter->due_us = due_us + step_us;
    return true;
}

#endif
