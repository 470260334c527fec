/*
 * wait - campaigns that wait for tokens: who is next, and until when
 *
 * Those of an account are a line: the lane "high" first, then the oldest. When tokens come, the
 * first that can be paid goes on, and so a small one may overtake a large one; but nothing behind a
 * campaign that has waited for RESERVE_OVERTAKE goes on before it, whether it waits itself or has
 * only just come. So a large one gets its tokens as soon as so many have come. What waits longer
 * than RESERVE_WAIT_LIMIT is expired.
 *
 * The tick only tells the stage itself whose turn it is, by campaign.launched.v1: each campaign is
 * then a message and a transaction of its own, as the ledger wants it for several accounts.
 */
#ifndef RESERVE_TOKENS_WAIT_H
#define RESERVE_TOKENS_WAIT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "stage/stage.h"

struct reserve_conf {
    long overtake_ms;
    long wait_limit_ms;
    long low_balance, spend_factor, spend_floor; /* alerts.h */
    long expiring_ms;
};

/* The campaign that this one may not overtake, or 0. */
bool wait_ahead(struct stage *stage, int64_t campaign, int64_t *out_ahead, struct err *err);

/* Wakes those whose tokens have come, and ends those that have waited for too long. */
bool wait_tick(struct stage *stage, struct err *err);

#endif
