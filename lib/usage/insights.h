/*
 * insights - what an account's use of tokens means: how long they last, which plan fits, what is
 * wasted
 *
 *     struct insights insights;
 *     insights_read(db, account, clock_now_ms(), arena, &insights, &err);
 *
 * Each figure is there with the numbers that it is computed from, so that a customer can do it
 * again. Use is net: captured less refunded.
 */
#ifndef USAGE_INSIGHTS_H
#define USAGE_INSIGHTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "db/db.h"

#define INSIGHTS_DAYS 30
#define INSIGHTS_LISTED 10

/* Use within the last days; an account that is younger is measured by the days that it has. */
struct insights_burn {
    int64_t window_days; /* 7, 30 */
    int64_t days;        /* 1 to window_days */
    int64_t tokens;
    int64_t e2_per_day;   /* hundredths of a token */
    int64_t days_left_e1; /* tenths of a day that what is available lasts; -1: nothing is used */
};

/* A lot, at the rate of the 30 days, the earliest to expire spent first. */
struct insights_lot {
    const char *reference;
    int64_t expires_ms;
    int64_t available;
    int64_t lost; /* of them, when it expires */
};

struct insights_plan {
    const char *code, *currency;
    int64_t price_minor, tokens, valid_days;
    int64_t purchases; /* within 30 days, for the use and for a plan that never ends */
    int64_t cost_minor;
};

/* A campaign whose texts are 1 to 10 units longer than one segment less would hold. */
struct insights_over {
    int64_t id;
    const char *title;
    int64_t recipients; /* with such a text; as many tokens would have been saved */
    int64_t captured;
    /* Of the text when all have the same; else encoding NULL */
    const char *encoding; /* "gsm7", "ucs2" */
    int64_t units, over, segments;
};

struct insights {
    int64_t at_ms;
    int64_t available, reserved;
    struct insights_burn week, month;
    struct insights_lot *lots; /* those with an expiry */
    size_t lot_count;
    int64_t lost;   /* of all of them */
    int64_t usable; /* available in lots that have not expired */

    bool has_current, has_better;
    struct insights_plan current, better; /* current: of the subscriptions that run, the last */
    const char *plan_why;                 /* a sentence */

    int64_t invalid_rows;                     /* of campaigns of these days: they cost nothing */
    int64_t failed_recipients, failed_tokens; /* sent, paid for and never delivered */
    int64_t just_over_tokens, just_over_campaigns;
    struct insights_over *over; /* the worst */
    size_t over_count;
};

bool insights_read(struct db *db, int64_t account, int64_t now_ms, struct arena *arena,
                   struct insights *out_insights, struct err *err);

#endif
