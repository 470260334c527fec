/*
 * place_call - what the files of this stage share
 */
#ifndef PLACE_CALL_PLACE_CALL_H
#define PLACE_CALL_PLACE_CALL_H

#include "dispatch/dispatch.h"
#include "provider/at_call.h"

struct call_conf {
    struct dispatch_conf dispatch; /* first: see dispatch.h */
    struct at_call_conf at;
    long calls_max;     /* under way at once; 0: no limit */
    long call_most_ms;  /* no call lasts longer */
    long doubt_wait_ms; /* how long the end of a call in doubt may be reported in time to try again
                         */
};

/* requests.c: places the calls of a claimed window, in one request; outcomes in its order. */
struct at_outcome *requests_call(struct run *run, const struct window *window);

/*
 * lines.c: how many more calls may be under way. When claiming it locks the route's row, so that
 * two claims do not take the same room.
 */
bool lines_room(struct run *run, bool claiming, int64_t *out_room, struct err *err);

/* From the tick: batches whose next pass is due begin it; those with nobody left to call end. */
bool lines_move(struct stage *stage, struct err *err);

#endif
