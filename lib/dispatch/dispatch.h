/*
 * dispatch - hand batches to a provider, each recipient at most once: what send-sms and place-call
 * do
 *
 *     static const struct dispatch_def def = { .begin = begin, .ask = ask, .sender = "the sender
 * ID" }; static enum verdict handle(struct stage *stage, const struct message *in)
 *     {
 *         return dispatch_batch(stage, &def, in);
 *     }
 *
 * The provider knows no idempotency key, so a redelivered message must not ask again: a window of
 * recipients is claimed in a committed transaction before its requests leave, and what is found
 * claimed without an answer is in doubt, not pending. See batch.h. One worker at a time has a
 * batch (an advisory lock of its session), so a claim without an answer means a dead worker. A
 * message that has ended a pass of its batch before repeats only what it said, pause included.
 *
 * A stage that uses it reads batch.paced.v1, emits batch.done.v1, batch.ready.v1, route.held.v1 and
 * route.opened.v1 (with .calls batch.placed.v1, too), has a struct dispatch_conf as the first
 * member of its settings, a struct dispatch_memory as its state and uses_http.
 */
#ifndef DISPATCH_DISPATCH_H
#define DISPATCH_DISPATCH_H

#include <stdbool.h>

#include "dispatch/batch.h"
#include "msg/campaign.h"
#include "provider/africastalking.h"
#include "stage/stage.h"

struct dispatch_conf {
    long attempts;      /* of a recipient whom the provider refuses for now */
    long backoff_ms;    /* before the second; doubles */
    long route_hold_ms; /* rest of a route whose account was refused */
};

/* What a worker knows that the database may not: see batch_doubt_orphans(). */
struct dispatch_memory {
    int64_t unsent_claim;
};

/* Why the rest of a batch is not sent now. */
enum halt { HALT_NONE, HALT_ROUTE, HALT_SENDER, HALT_LOST, HALT_ROOM, HALT_STOP };

struct dispatch_def;

/* One batch in the hands of one worker. */
struct run {
    struct stage *stage;
    const struct dispatch_def *def;
    const struct batch_paced *paced;
    const char *message; /* its id */
    struct batch batch;
    struct tally total;
    bool asked;       /* the provider, about some recipient */
    bool held_window; /* some recipient may not be sent to at this hour */
    size_t most; /* recipients of a window: as many as the provider lets us ask about in time */
    enum halt halt;
    struct at_verdict worst; /* what made it halt */
};

struct dispatch_def {
    /* Calls: tokens are captured by their ends, and the batch waits for these (batch.h). */
    bool calls;
    const char *sender; /* "the sender ID": what the provider may refuse about a campaign */

    /* How many recipients a window may have at most. */
    size_t (*begin)(struct run *run);

    /* Optional: how many more may be under way now, asked once before a turn is waited for and once
     * in the claim's transaction. It may lock. */
    bool (*room)(struct run *run, bool claiming, int64_t *out_room, struct err *err);

    /* Asks the provider about a claimed window and sets run->worst; outcomes in its order. */
    struct at_outcome *(*ask)(struct run *run, const struct window *window);
};

/* The whole of a handler. */
enum verdict dispatch_batch(struct stage *stage, const struct dispatch_def *def,
                            const struct message *in);

/* For ask(): how bad a verdict is for the route; the worst of a window decides. */
int dispatch_gravity(const struct at_verdict *verdict);

/*
 * route.c: waits for the time at which so many recipients may go, when there is a rate limit.
 * Commits. *out_go false: told to stop meanwhile.
 */
bool route_await_turn(struct run *run, size_t recipients, bool *out_go, struct err *err);

/* Holds the route because of run->worst. */
bool route_hold(struct run *run, struct err *err);

/* Opens a held route over which the provider answers again. */
bool route_reopen(struct run *run, struct err *err);

/* Lets another batch be the probe at once. */
bool route_return_probe(struct run *run, struct err *err);

/* From the tick: tells that the route was held or opened, if nobody has. */
bool route_tell(struct stage *stage, struct err *err);

#endif
