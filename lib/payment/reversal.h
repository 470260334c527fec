/*
 * reversal - money that goes back to its payer
 *
 *     payment_reverse(db, &(struct reversal_wish){ .receipt = "UKN7Q1W2E3", .by = "grace",
 *                     .why = "paid twice" }, now, arena, &reversal, &err);
 *     … settle-payment asks the provider, and calls one of …
 *     payment_reversal_done(db, "UKN7Q1W2E3", "UKN9Z8Y7X6", now, arena, &told, &err);
 *     payment_reversal_failed(db, "UKN7Q1W2E3", "insufficient_funds", "…", now, arena, &err);
 *
 * From the wish on the receipt is "reversing" and settles nothing. Tokens that it had paid for are
 * taken back with the wish, before they can be spent, and given again if the reversal fails. Done,
 * the receipt, its payment and its purchase are "reversed" and the subscription has ended.
 *
 * All calls run inside the caller's transaction and lock as payment_settle() does.
 */
#ifndef PAYMENT_REVERSAL_H
#define PAYMENT_REVERSAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "db/db.h"

struct reversal {
    const char *receipt;
    const char *provider;
    const char *status; /* "requested", "asking", "asked", "done", "failed", "unresolved" */
    const char *reason, *detail;
    const char *by, *why;
    const char *own_receipt; /* the provider's number of the way back; "" until then */
    int64_t amount_minor;
    int64_t payment, purchase, account; /* 0: none */
    int64_t tokens;                     /* taken back for it */
    int64_t asked;                      /* how often the provider was asked */
    int64_t requested_ms, ended_ms;
};

struct reversal_wish {
    const char *receipt;
    const char *by, *why; /* who wants it, on what grounds */
    bool what_is_left;    /* of tokens that are spent already take those there are */
};

/*
 * Permanent: receipt_unknown, receipt_reversed, reversal_under_way, reversal_unnamed (credited
 * without a receipt that could be named), tokens_missing. One that failed, or of which no word
 * came, may be wished again.
 */
bool payment_reverse(struct db *db, const struct reversal_wish *wish, int64_t now_ms,
                     struct arena *arena, struct reversal *out, struct err *err)
    __attribute__((warn_unused_result));

/* Permanent: reversal_unknown. */
bool payment_reversal_find(struct db *db, const char *receipt, struct arena *arena,
                           struct reversal *out, struct err *err)
    __attribute__((warn_unused_result));

/* *out_told: the payment of which is to be told, or 0. Told again, nothing changes. */
bool payment_reversal_done(struct db *db, const char *receipt, const char *own_receipt,
                           int64_t now_ms, struct arena *arena, int64_t *out_told, struct err *err)
    __attribute__((warn_unused_result));
bool payment_reversal_failed(struct db *db, const char *receipt, const char *reason,
                             const char *detail, int64_t now_ms, struct arena *arena,
                             struct err *err) __attribute__((warn_unused_result));

#endif
