/*
 * ledger - prepaid tokens: granted, reserved, captured, released, refunded; moved and corrected
 *
 *     ledger_grant(db, account, 1000, "TKN-12345678", expires, now, &err);
 *     ledger_hold(db, account, campaign, 10000, now, &held, &err);      // all or nothing
 *     ledger_settle(db, account, campaign, "batch 17 pass 1", 498, 2, now, &err);
 *     ledger_close(db, account, campaign, keep, now, &err);             // release the rest
 *     ledger_transfer(db, &(struct ledger_transfer){ .from = a, .to = b, .tokens = 50,
 *                     .reference = "TRF-1", .reason = "rent" }, now, &is_new, &err);
 *
 * Every call runs inside the caller's transaction and writes the balance, the lots and one
 * immutable entry per movement together. It is idempotent by reference: a second call with the
 * same reference changes nothing and succeeds. Balances cannot go below zero: the constraints of
 * token_balances say no. The hold of a campaign has the campaign's id.
 * The balance row is locked first and until the commit, so calls for one account go one by one: let
 * them be the last of a transaction, and those for several accounts be of several transactions, or
 * in the order of the accounts' ids. A transfer locks both of its accounts in that order.
 *
 * The entries of an account are a chain: each has the next position and the hash of the one before
 * it (migrations/0013_ledger_chain.sql). Reading them is lib/ledger/history.h's.
 */
#ifndef LEDGER_LEDGER_H
#define LEDGER_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "db/db.h"

struct ledger_balance {
    int64_t granted, available, reserved, spent, expired, transferred;
};

/* All zero for an account without tokens. */
bool ledger_balance(struct db *db, int64_t account, struct ledger_balance *out_balance,
                    struct err *err);

/* A new lot; expires_ms 0: never. *out_new (may be NULL) is false when the reference was known.
 * Refused, permanent: tokens_not_positive, account_unknown. */
bool ledger_grant(struct db *db, int64_t account, int64_t tokens, const char *reference,
                  int64_t expires_ms, int64_t now_ms, bool *out_new, struct err *err);

struct ledger_held {
    bool held;       /* reserved now or before */
    int64_t missing; /* unless held: tokens too few */
};

/* Reserves tokens from the lots that expire first, or nothing at all. */
bool ledger_hold(struct db *db, int64_t account, int64_t hold, int64_t tokens, int64_t now_ms,
                 struct ledger_held *out_held, struct err *err);

/*
 * Captures and releases parts of a hold under one reference. Zero parts write nothing. Fails with
 * hold_unknown, permanent, when there is no such hold.
 */
bool ledger_settle(struct db *db, int64_t account, int64_t hold, const char *reference,
                   int64_t capture, int64_t release, int64_t now_ms, struct err *err);

/* Releases what is neither captured, released nor in keep (tokens of recipients in doubt). */
bool ledger_close(struct db *db, int64_t account, int64_t hold, const char *reference, int64_t keep,
                  int64_t now_ms, struct err *err);

/*
 * Gives captured tokens of a hold back: to the lots they came from, or to a lot of its own, without
 * an expiry, if these are gone. More than was captured and not refunded is pg_check_violation; a
 * hold that there is not, hold_unknown. Tokens of a lot that has expired expire again.
 */
bool ledger_refund(struct db *db, int64_t account, int64_t hold, const char *reference,
                   int64_t tokens, int64_t now_ms, struct err *err);

/* A name for an operation that its caller did not name: the kind, "TRF", and 12 digits of chance.
 */
const char *ledger_reference(const char *kind, struct arena *arena);

struct ledger_transfer {
    int64_t from, to, tokens;
    const char *reference; /* known to neither account: let it be made by us, "TRF-…" */
    const char *reason;    /* or NULL; both sides see it */
    const char *actor;     /* who asked for it, or NULL; both sides see it */
    int64_t limit_each;    /* tokens a transfer; 0: no limit */
    int64_t limit_day;     /* tokens that an account may give within 24 hours; 0: no limit */
};

/*
 * Moves available tokens to another account, those that expire first, each with its expiry, and
 * leaves a row in untold_transfers for whoever tells both. *out_new (may be NULL) is false when it
 * was done before. Refused, permanent: tokens_not_positive, transfer_to_self, bad_words,
 * account_unknown, account_inactive (suspended or closed), transfer_limit, daily_limit,
 * tokens_missing, reference_used (by a transfer that was another).
 */
bool ledger_transfer(struct db *db, const struct ledger_transfer *transfer, int64_t now_ms,
                     bool *out_new, struct err *err);

struct ledger_adjustment {
    int64_t account;
    int64_t tokens;                         /* below zero: to take away, those that expire first */
    int64_t expires_ms;                     /* of tokens given; 0: never */
    const char *reference, *reason, *actor; /* all required */
};

/*
 * An operator's correction. *out_new (may be NULL) as above. Refused, permanent: tokens_zero,
 * bad_words, account_unknown, tokens_missing, reference_used (by another correction).
 */
bool ledger_adjust(struct db *db, const struct ledger_adjustment *adjustment, int64_t now_ms,
                   bool *out_new, struct err *err);

/*
 * Moves the rest of expired lots to expired: of one account, the one that is due longest and that
 * nobody has locked, and at most limit of its lots. *out_lots: how many. To be called, each time in
 * a transaction of its own, until that is 0.
 */
bool ledger_expire(struct db *db, int64_t now_ms, int limit, int64_t *out_lots, struct err *err);

#endif
