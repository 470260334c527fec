/*
 * alert - what an account, or the operator, should hear of before it hurts
 *
 *     struct alert_rules rules = { .low_balance = 50, … };
 *     alert_raise(db, &rules, after, 100, now_ms, &page, &err);     // a hundred accounts further
 *     alert_list(db, account, NULL, 0, 50, arena, &alerts, &count, &err);
 *
 * An alert is a row, raised at most once a day (UTC) for an account and kind by its unique key,
 * whoever looks and however often. Rows are told as events by reserve-tokens' tick.
 */
#ifndef ALERT_ALERT_H
#define ALERT_ALERT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "db/db.h"

#define ALERT_TOKENS_MAX INT64_C(1000000000000)

struct alert {
    int64_t id;
    int64_t account;      /* 0: for operators */
    const char *slug;     /* "" for operators */
    const char *kind;     /* low_balance lot_expiring unusual_spend provider_credit_low */
    const char *day;      /* "2026-11-20" */
    const char *detail;   /* the figures, for people */
    int64_t value;        /* tokens; for provider_credit_low ten-thousandths of the currency */
    int64_t threshold;    /* what it was held against; 0: nothing */
    int64_t expires_ms;   /* lot_expiring: when the first lot does; or 0 */
    const char *currency; /* of provider_credit_low; "" otherwise */
    int64_t created_ms;
    int64_t untold_ms; /* 0: it was told */
};

/* NULL-terminated. */
extern const char *const alert_kinds[];

/*
 * The newest first, those before id `before` (0: from the newest), at most `most`; of one kind
 * (NULL: any). Account 0: all accounts' and the operators'.
 */
bool alert_list(struct db *db, int64_t account, const char *kind, int64_t before, size_t most,
                struct arena *arena, struct alert **out_list, size_t *out_count, struct err *err)
    __attribute__((warn_unused_result));

/* Those nobody was told of, locked until the commit, the oldest first. */
bool alert_untold(struct db *db, size_t most, struct arena *arena, struct alert **out_list,
                  size_t *out_count, struct err *err) __attribute__((warn_unused_result));
bool alert_told(struct db *db, const struct alert *alerts, size_t count, struct arena *arena,
                struct err *err) __attribute__((warn_unused_result));

/* With fewer tokens the account is alerted from now on; 0: never. */
bool alert_set_low_balance(struct db *db, int64_t account, int64_t tokens, struct err *err)
    __attribute__((warn_unused_result));

struct alert_rules {
    int64_t low_balance;  /* tokens, of accounts that do not say; 0: never */
    int64_t expiring_ms;  /* how long before a lot expires; 0: never */
    int64_t spend_factor; /* times the median day of the last 30 that had any; 0: never */
    int64_t spend_floor;  /* tokens a day that are never unusual */
};

struct alert_page {
    int64_t last; /* the last account looked at; 0: there are no more */
    int64_t raised;
};

/*
 * Looks at the next `accounts` active accounts after the id `after`. An account is told again of
 * its low balance only when tokens have moved since.
 */
bool alert_raise(struct db *db, const struct alert_rules *rules, int64_t after, int accounts,
                 int64_t now_ms, struct alert_page *out_page, struct err *err)
    __attribute__((warn_unused_result));

/* The provider's credit is below what the operator wants to know. */
bool alert_raise_credit(struct db *db, int64_t balance_e4, int64_t threshold_e4,
                        const char *currency, int64_t now_ms, struct err *err)
    __attribute__((warn_unused_result));

#endif
