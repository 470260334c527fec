/*
 * callee - recipients of calls, read and changed under the locks of their batches
 *
 *     callees_find(db, asked, n, old_ms, now_ms, arena, places, &err)      // who is meant
 *     callees_lock(db, places, n, now_ms, arena, &callees, &err)           // nobody else's now
 *     callee_end(callee, CALLEE_DELIVERED, NULL, at_ms)  callee_again(callee, "busy", retry_ms)
 *     callees_write(db, callees, now_ms, arena, &err)                      // rows, then counters
 *     callees_book(db, callees, now_ms, arena, &err)                       // the ledger, last
 *
 * Everybody who changes a recipient of calls or claims one locks its batch first: so what is read
 * here stays true until the commit, and no two wait for each other. Batches are locked in the order
 * of campaign and number, accounts in the order of their ids.
 *
 * Tokens move when a recipient comes to its end, and only then: captured is what its calls cost,
 * the rest of what was held for it is released. The tokens of a call are cut to what is left of
 * that, so that nobody pays more than was quoted and the sum over calls is what was captured.
 */
#ifndef RECONCILE_DLR_CALLEE_H
#define RECONCILE_DLR_CALLEE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "campaign/voice.h"
#include "db/db.h"

enum callee_state {
    CALLEE_PENDING = 0,
    CALLEE_IN_DOUBT = 2,
    CALLEE_CALLED = 3,
    CALLEE_DELIVERED = 4,
    CALLEE_FAILED = 5,
    CALLEE_EXPIRED = 6,
};

struct callee {
    int64_t campaign_id, account_id;
    int32_t seq, batch;
    int64_t msisdn;
    int16_t state;
    int32_t segments; /* what is held for it, in tokens */
    int32_t attempts;
    const char *session; /* of its last call; "" none is known */
    const char *reason;
    int64_t sent_ms;
    int64_t content_ms; /* how long what it hears is */
    const struct voice *voice;
    bool is_claimed; /* place-call is about to call it, or has called and not said so */
    bool goes_on;    /* those of its campaign and batch that are pending will be called */
    bool has_ended;  /* the end of its last known call was told */
    bool has_stopped;
    int32_t heard;  /* calls answered */
    int32_t tokens; /* of all its calls */

    /* What changes. */
    bool is_changed, is_final_now;
    bool stops_now; /* pressed the key that stops */
    int16_t state_before;
    const char *new_session; /* NULL: as before */
    int64_t final_ms, retry_ms;
    int64_t cost_e4;
    const char *currency; /* NULL: as before */
};

struct callees {
    struct callee *list; /* by campaign and seq */
    size_t count;
};

/* Where a recipient is. */
struct place {
    int64_t campaign_id; /* 0: nowhere */
    int32_t seq;
};

/* Whom a report may be about. */
struct asked {
    int64_t msisdn;
    int64_t campaign_id; /* that the report names; 0: it names nothing; below: no campaign */
    const char *session;
    int64_t received_ms;
};

/*
 * Fills places[i] for asked[i]: the recipient with the number in the campaign named, else with the
 * number and the session, else, when nothing is named and the report is not younger than old_ms,
 * the only one in doubt with the number.
 */
bool callees_find(struct db *db, const struct asked *asked, size_t count, int64_t old_ms,
                  int64_t now_ms, struct arena *arena, struct place *places, struct err *err)
    __attribute__((warn_unused_result));

/* Locks the batches and reads; a place without a recipient in a batch is left out. */
bool callees_lock(struct db *db, const struct place *places, size_t count, int64_t now_ms,
                  struct arena *arena, struct callees *out_callees, struct err *err)
    __attribute__((warn_unused_result));

/* NULL when it is not among them. */
struct callee *callees_at(const struct callees *callees, struct place place);

/* Comes to its end, for good. */
void callee_end(struct callee *callee, int16_t state, const char *reason, int64_t at_ms);

/* Is pending again, after a call that ended with this word. */
void callee_again(struct callee *callee, const char *word, int64_t retry_ms);

/* Had its end by the clock and now has its call's: tokens stay as they are. */
void callee_put_right(struct callee *callee, int16_t state, const char *reason, int64_t at_ms);

/* What a call costs us. */
void callee_pay(struct callee *callee, int64_t cost_e4, const char *currency);

bool callees_write(struct db *db, const struct callees *callees, int64_t now_ms,
                   struct arena *arena, struct err *err) __attribute__((warn_unused_result));

/* Locks accounts in the order of their ids. */
bool callees_book(struct db *db, const struct callees *callees, int64_t now_ms, struct arena *arena,
                  struct err *err) __attribute__((warn_unused_result));

/* The campaigns that callees_book() will book for. */
size_t callees_campaigns(const struct callees *callees, struct arena *arena,
                         int64_t **out_campaigns);

#endif
