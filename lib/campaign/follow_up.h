/*
 * follow_up - a campaign on the other channel for those whom the first did not reach
 *
 *     campaign_create() makes both; rendered and priced together, they are held together
 *     follow_up_begin(db, now_ms, arena, &begun, &err)      // once the first is over
 *
 * SMS to whoever did not answer, a call to whoever the SMS did not reach. The follow-up has the
 * rows of the first under the same numbers and waits until that one is over; then all whom it is
 * not for are taken out of it, what they would have cost is released, and the rest begins under a
 * hold of its own, taken in the same transaction. When the first is cancelled, expires or is
 * refused, it is cancelled, too.
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
 * "follow_up: " before the field, and follow_up_words: an end that the first cannot come to.
 */
bool follow_up_create(struct db *db, const struct campaign_new *first, int64_t parent,
                      struct arena *arena, struct err *err) __attribute__((warn_unused_result));

struct follow_up_begun {
    bool found;     /* there was one to look at: look again, in another transaction */
    int64_t id;     /* that has begun or ended just now; 0: it has some rows left to sort */
    bool reserved;  /* it begins: campaign.reserved is to be told */
    bool completed; /* it was for nobody */
    const char *account;
    enum lane lane;
};

/*
 * One step with one follow-up whose first is over: sorts some thousand rows, or begins or ends it.
 * Takes the ledger's locks of one account.
 */
bool follow_up_begin(struct db *db, int64_t now_ms, struct arena *arena,
                     struct follow_up_begun *out_begun, struct err *err)
    __attribute__((warn_unused_result));

#endif
