/*
 * batch - a range of recipients on its way to the provider: loaded, claimed, recorded, ended
 *
 *     batch_load → [ batch_next_window → batch_claim → (requests) → batch_record ]… → batch_end
 *
 * A window is claimed in a committed transaction before its requests leave. Whoever finds a claim
 * without a record knows that the provider may have been asked: those recipients are in doubt,
 * never pending. The claim is a random number, so a worker that was given up for dead and
 * was not finds that its claim is gone; its answers still count as evidence.
 *
 * A batch goes to the provider in passes, and each end of one notes the message that brought it
 * about. Should that come again, it neither sends nor ends anything, and says the same as before.
 *
 * A batch of calls ends a pass as `calling`: it waits for the ends of its calls, which say who is
 * to be called again and when (retry_at). Whoever watches such batches (place-call's tick) lets the
 * next pass begin, or ends the batch once nobody is left to call.
 */
#ifndef DISPATCH_BATCH_H
#define DISPATCH_BATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "db/db.h"
#include "provider/africastalking.h"

struct batch {
    int64_t campaign_id, account_id;
    int32_t number;
    int32_t first_seq, last_seq, claimed_seq, recorded_seq;
    int32_t pass;
    int64_t claim;
    bool done;
    const char *account; /* slug */
    const char *status;  /* of the campaign */
    const char *text;    /* of all recipients, or NULL */
    const char *sender_id;
    bool expired; /* past the campaign's expiry */
    bool route_held;
    bool calling;        /* between two passes of calls */
    bool rests;          /* and the next is not due */
    const char *message; /* id of the one in hand */
    bool ended_before;   /* it has ended a pass of this batch before */
    bool ended_last;     /* and no other has since */
    bool comes_again;    /* the last pass ended with another to come, after again_ms */
    int64_t again_ms;
};

/* Which batch, on whose behalf. */
struct batch_ask {
    const char *message; /* id of the one in hand */
    const char *route;
    int64_t campaign_id, number;
    int64_t now_ms;
};

struct recipient {
    int32_t seq;
    int16_t segments;
    int16_t attempts;
    int64_t msisdn;
    int32_t owed;     /* tokens for calls of it that were answered; the next may be in vain */
    const char *text; /* its own or the campaign's */
};

struct window {
    size_t count;
    struct recipient *recipients;
    int32_t last_seq;
};

/* Sums of what a record changed, for the log and the route. */
struct tally {
    int64_t accepted, failed, in_doubt, again;
};

/* Takes the advisory lock of a batch for this session; false in *out_mine: another worker has it.
 */
bool batch_lock(struct db *db, int64_t campaign_id, int64_t number, bool *out_mine,
                struct err *err);
bool batch_unlock(struct db *db, int64_t campaign_id, int64_t number, struct err *err);

/* *out_found false when there is no such row (yet). */
bool batch_load(struct db *db, const struct batch_ask *ask, struct arena *arena,
                struct batch *out_batch, bool *out_found, struct err *err);

/*
 * A claim that was never recorded: its worker died. Its recipients are in doubt from now on. Unless
 * it is unsent_claim, the caller's own whose commit seemed to fail before a request left (0: none).
 */
bool batch_doubt_orphans(struct db *db, struct batch *batch, int64_t unsent_claim,
                         int64_t *out_doubted, struct err *err);

/* The next recipients of this pass, at most max; count 0 at the end. */
bool batch_next_window(struct db *db, const struct batch *batch, int64_t max, struct arena *arena,
                       struct window *out_window, struct err *err);

/*
 * Calls end, and recipients become pending, while a window waits for its turn. Locks the batch
 * until the commit, against those who say so, and chooses the window anew, no larger than it was.
 */
bool batch_renew_window(struct db *db, const struct batch *batch, struct arena *arena,
                        struct window *window, struct err *err);

/* True in *out_pending when recipients of the batch are still to be sent. */
bool batch_has_pending(struct db *db, const struct batch *batch, bool *out_pending,
                       struct err *err);

/* A further pass of calls begins: what was due is in hand. */
bool batch_begin_calls(struct db *db, const struct batch *batch, struct err *err);

/* Claims a window, of calls or not; *out_mine false when another worker took the batch over. */
bool batch_claim(struct db *db, struct batch *batch, const struct window *window, bool calls,
                 bool *out_mine, struct err *err);

struct record_how {
    int64_t max_attempts; /* how often a recipient may be refused for now */
    int64_t now_ms;
    bool calls; /* tokens of accepted recipients stay reserved until their calls end */
};

/*
 * Writes the outcomes of a claimed window: recipients, counters, tokens, suppressions. When the
 * claim was lost meanwhile the answers only resolve recipients in doubt, and *out_mine is false.
 */
bool batch_record(struct db *db, struct batch *batch, const struct window *window,
                  const struct at_outcome *outcomes, const struct record_how *how,
                  struct arena *arena, struct tally *out_tally, bool *out_mine, struct err *err);

enum batch_end {
    BATCH_AGAIN,   /* some recipients are to be tried again: a new pass begins */
    BATCH_WAIT,    /* set aside until the campaign is resumed */
    BATCH_FINISH,  /* nothing is left, or what is left will not be sent */
    BATCH_CALLING, /* all of this pass is placed, or nothing more will be */
};

/*
 * again_ms: after how long, for BATCH_AGAIN; for BATCH_CALLING, when not 0, how long to wait at
 * least. Notes the message in hand as the one that did it.
 */
bool batch_end(struct db *db, const struct batch *batch, enum batch_end how, int64_t again_ms,
               struct err *err);

#endif
