/*
 * run - one batch in the hands of one worker: what the files of this stage share
 */
#ifndef SEND_SMS_RUN_H
#define SEND_SMS_RUN_H

#include <stdbool.h>

#include "batch.h"
#include "msg/campaign.h"
#include "provider/africastalking.h"
#include "stage/stage.h"

struct send_conf {
    struct at_conf at;
    long claim_window;
    long attempts;
    long backoff_ms;
    long route_hold_ms;
    long credit_low; /* whole units of the provider's currency; 0: not asked for */
};

/* What a worker knows that the database may not: see batch_doubt_orphans(). */
struct memory {
    int64_t unsent_claim;
};

/* Why the rest of a batch is not sent now. */
enum halt { HALT_NONE, HALT_ROUTE, HALT_SENDER, HALT_LOST, HALT_STOP };

struct run {
    struct stage *stage;
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

/* Asks the provider about a claimed window, equal texts in one request; outcomes in its order. */
struct at_outcome *requests_send(struct run *run, const struct window *window);

/*
 * Waits for the time at which so many recipients may go, when there is a rate limit. Commits.
 * *out_go false: told to stop meanwhile.
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
