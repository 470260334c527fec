/*
 * ends - the ends of calls that are told within one transaction, each written down once
 *
 *     ends_begin(db, calls, places, count, arena, &ends, &err)     // with their batches locked
 *     if (!ends_has(&ends, callee, call)) {
 *         ends_add(&ends, callee, call, listened, tokens);
 *     }
 *     ends_write(db, &ends, arena, &err)
 *
 * Nobody else writes calls of these recipients meanwhile. One statement reads which of them were
 * told before and one writes the others: a pair for each call costs more than all else about it.
 */
#ifndef RECONCILE_DLR_ENDS_H
#define RECONCILE_DLR_ENDS_H

#include "calls.h"

struct end;

struct ends {
    struct end *list;
    size_t count;
};

/* Sets each call's is_told. A place without a campaign is nobody's. */
bool ends_begin(struct db *db, struct call *calls, const struct place *places, size_t count,
                struct arena *arena, struct ends *out_ends, struct err *err)
    __attribute__((warn_unused_result));

/* Told before, or added. */
bool ends_has(const struct ends *ends, const struct callee *callee, const struct call *call);

/* listened: percent, -1 for a call nobody answered. Keeps its arguments. */
void ends_add(struct ends *ends, const struct callee *callee, const struct call *call,
              int16_t listened, int32_t tokens);

/* Temporary, call_told: somebody wrote one of them in spite of the lock. */
bool ends_write(struct db *db, const struct ends *ends, struct arena *arena, struct err *err)
    __attribute__((warn_unused_result));

#endif
