/*
 * follow_up - a campaign on the other channel for those whom the first did not reach
 *
 *     campaign_create() makes both; rendered and priced together, they are held together
 *     follow_up_sort(db, &some, &err)                     // once the first is over, step by step
 *     follow_up_begin(db, now_ms, arena, &begun, &count, &err)
 *
 * SMS to whoever did not answer, a call to whoever the SMS did not reach. The follow-up has the
 * rows of the first and waits until that one is over; then all whom it is not for are taken out of
 * it, what they would have cost is released, and the rest begins under a hold of its own, taken in
 * the same transaction. When the first is cancelled, expires or is refused, it is cancelled, too.
 * Who was reached after it began (a late report) gets both.
 */
#ifndef CAMPAIGN_FOLLOW_UP_H
#define CAMPAIGN_FOLLOW_UP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "campaign/store.h"
#include "db/db.h"
#include "msg/message.h"

/* Whether a definition has one. */
bool follow_up_is_wanted(const struct campaign_submitted *definition);

/*
 * Makes the follow-up of a campaign that was just made. Errors as campaign_create()'s, with
 * "follow_up." before the field, and follow_up_words: an end that the first cannot come to.
 */
bool follow_up_create(struct db *db, const struct campaign_new *first, int64_t parent,
                      struct arena *arena, struct err *err) __attribute__((warn_unused_result));

/*
 * Takes whom it is not for out of a follow-up whose first is over: of FOLLOW_UP_ROWS rows at most.
 * To be called, each time in a transaction of its own, until *out_some is false.
 */
#define FOLLOW_UP_ROWS 5000
bool follow_up_sort(struct db *db, bool *out_some, struct err *err)
    __attribute__((warn_unused_result));

struct follow_up_begun {
    int64_t id;
    /* a literal: "sending" (it begins: campaign.reserved is to be told), "insufficient_tokens",
     * "completed" (it was for nobody), "cancelled"; NULL: it was cancelled before */
    const char *status;
    const char *account;
    enum lane lane;
};

/*
 * Begins or ends those that are sorted or whose first ended early, FOLLOW_UPS_AT_ONCE at most.
 * Takes the ledger's locks in the order of the accounts: let it be the last of a transaction.
 */
#define FOLLOW_UPS_AT_ONCE 100
bool follow_up_begin(struct db *db, int64_t now_ms, struct arena *arena,
                     const struct follow_up_begun **out_begun, size_t *out_count, struct err *err)
    __attribute__((warn_unused_result));

#endif
