/*
 * refund - tokens back for messages that did not arrive
 *
 *     struct refunds *refunds = refunds_begin(arena);
 *     apply_reports(db, reports, n, now_ms, arena, refunds, …);     // notes who failed
 *     refunds_book(db, refunds, by_default, now_ms, &err);          // last of the transaction
 *
 * A recipient fails by a report at most once, and is noted in the transaction that changes its
 * state; so it is refunded at most once, however often its report comes. The lowest recipient of a
 * refund is in its reference, and no other refund can have it. What was delivered after all, after
 * a phone was absent, is not taken again: the tokens stay given back.
 */
#ifndef RECONCILE_DLR_REFUND_H
#define RECONCILE_DLR_REFUND_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "db/db.h"

struct refunds;

struct refunds *refunds_begin(struct arena *arena);

/* A recipient whose tokens are captured has failed or expired. */
void refunds_note(struct refunds *refunds, int64_t campaign, int32_t batch, int32_t seq,
                  int32_t tokens);

/* The campaigns of what was noted, of any account. */
size_t refunds_campaigns(const struct refunds *refunds, int64_t **out_campaigns);

/*
 * Gives back what was noted of accounts that want it; by_default: of those that do not say. Locks
 * accounts in the order of their ids.
 */
bool refunds_book(struct db *db, struct refunds *refunds, bool by_default, int64_t now_ms,
                  struct err *err) __attribute__((warn_unused_result));

#endif
