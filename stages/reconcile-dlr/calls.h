/*
 * calls - what is told of calls meets their recipients: keys pressed, and how each call ended
 *
 *     call_read(&told, &calls[n++]);
 *     calls_apply(db, conf, calls, n, now_ms, arena, &callees, &err)    // all that is told at once
 *     calls_keep(db, calls, n, now_ms, &err)                            // what has to wait
 *     callees_book(db, &callees, now_ms, arena, &err)                   // last of the transaction
 *
 * A call's row, found by its key, decides that its end counts once; all else follows only from a
 * new one. The end of the call that a recipient waits for brings it to an end or makes it pending
 * again; that of any other call of it is written down and paid, and changes nothing else.
 *
 * A recipient that is pending is never touched by an end: either place-call is about to write down
 * what it did, and would then find another row than it left, or the provider refused the call that
 * this is about. The report waits until the recipient is known to be called.
 */
#ifndef RECONCILE_DLR_CALLS_H
#define RECONCILE_DLR_CALLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "callee.h"
#include "msg/report.h"
#include "provider/at_voice.h"
#include "sweep.h"

enum call_fate {
    CALL_APPLIED,
    CALL_KNOWN, /* told before */
    CALL_WAITS, /* to be kept, and tried again */
};

#define CALL_OF_OTHERS (-1)

/* One report. */
struct call {
    const char *provider, *session;
    int64_t msisdn;      /* 0: unreadable */
    int64_t campaign_id; /* 0: none is named; CALL_OF_OTHERS: something that is no campaign */
    bool ended;
    int16_t step;
    const char *keys;
    int64_t duration_s, amount_e4;
    const char *currency, *status, *cause;
    int64_t received_ms;
    struct at_call_end end; /* when ended */
    enum call_fate fate;
    bool is_told; /* its end has a row in calls: see ends.h */
};

/* Gives words their meaning; texts are those of the message. */
void call_read(const struct call_reported *told, struct call *out_call);

/* The same as a query, for people. */
const char *call_raw(const struct call *call, struct arena *arena);

/* Fills each call's fate. The callees' tokens are still to be booked. */
bool calls_apply(struct db *db, const struct reconcile_conf *conf, struct call *calls, size_t count,
                 int64_t now_ms, struct arena *arena, struct callees *out_callees, struct err *err)
    __attribute__((warn_unused_result));

/* Keeps those that wait. */
bool calls_keep(struct db *db, const struct call *calls, size_t count, int64_t now_ms,
                struct err *err) __attribute__((warn_unused_result));

/* Tries kept ones again that are due; those older than conf->unmatched_for_ms are given to people.
 */
bool calls_retry(struct db *db, const struct reconcile_conf *conf, int64_t now_ms,
                 struct arena *arena, struct err *err) __attribute__((warn_unused_result));

/*
 * Recipients whose time is over: of calls whose end nobody told, in doubt for too long, and those
 * who heard a call and would have been called again, had their campaign not ended.
 */
bool calls_give_up(struct db *db, const struct reconcile_conf *conf, int64_t now_ms,
                   struct arena *arena, struct err *err) __attribute__((warn_unused_result));

#endif
