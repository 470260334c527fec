/*
 * transfer - tokens go from one account to another
 *
 * Two movements with one reference: available to peer, and peer to available. Both balances are
 * locked first, the one with the smaller id before the other, so that transfers in both directions
 * do not wait for each other.
 */
#include <string.h>

#include "base/id.h"
#include "ledger/entry.h"
#include "ledger/ledger.h"

const char *ledger_reference(const char *kind, struct arena *arena)
{
    return arena_printf(arena, "%s-%08u%04u", kind, id_random_below(100000000),
                        id_random_below(10000));
}

static bool check_words(const struct ledger_transfer *transfer, struct err *err)
{
    if (transfer->tokens <= 0) {
        return err_permanent(err, "tokens_not_positive", "tokens: %lld; must be 1 or more",
                             (long long)transfer->tokens);
    }
    if (transfer->from == transfer->to) {
        return err_permanent(err, "transfer_to_self", "an account cannot give tokens to itself");
    }
    if (transfer->limit_each > 0 && transfer->tokens > transfer->limit_each) {
        return err_permanent(err, "transfer_limit", "%lld tokens; a transfer may have %lld",
                             (long long)transfer->tokens, (long long)transfer->limit_each);
    }
    return ledger_check_words(transfer->reference, transfer->reason, transfer->actor, err);
}

static const struct db_statement find_states = {
    "ledger_transfer_states",
    "SELECT (SELECT status FROM accounts WHERE id = $1),"
    "       (SELECT status FROM accounts WHERE id = $2)",
    2,
};

static bool check_accounts(struct db *db, const struct ledger_transfer *transfer, struct err *err)
{
    AUTO_DB_RESULT struct db_result *found = NULL;

    if (!db_query(db, &find_states,
                  (struct db_value[]){ db_int8(transfer->from), db_int8(transfer->to) }, &found,
                  err)) {
        return false;
    }
    for (int i = 0; i < 2; i++) {
        const char *status = db_get_text(found, 0, i);

        if (strcmp(status, "active") != 0) {
            return err_permanent(err, "account_inactive", "the %s account is %s",
                                 i == 0 ? "giving" : "receiving", status);
        }
    }
    return true;
}

static const struct db_statement find_transfer = {
    "ledger_find_transfer",
    "SELECT account_id = $1 AND peer_id = $2 AND debit = 'available' AND amount = $4"
    "       OR account_id = $2 AND peer_id = $1 AND credit = 'available' AND amount = $4"
    "  FROM ledger_entries"
    " WHERE account_id IN ($1, $2) AND kind = 'transfer' AND reference = $3",
    4,
};

/* Whether just this transfer is booked; a reference of another one is an error. */
static bool find_done(struct db *db, const struct ledger_transfer *transfer, bool *out_done,
                      struct err *err)
{
    AUTO_DB_RESULT struct db_result *found = NULL;

    if (!db_query(db, &find_transfer,
                  (struct db_value[]){ db_int8(transfer->from), db_int8(transfer->to),
                                       db_text(transfer->reference), db_int8(transfer->tokens) },
                  &found, err)) {
        return false;
    }
    for (int i = 0; i < db_rows(found); i++) {
        if (!db_get_bool(found, i, 0)) {
            return err_permanent(err, "reference_used", "%.80s is another transfer's reference",
                                 transfer->reference);
        }
    }
    *out_done = db_rows(found) > 0;
    return true;
}

static const struct db_statement sum_given = {
    "ledger_sum_given",
    "SELECT coalesce(sum(amount), 0)::bigint FROM ledger_entries"
    " WHERE account_id = $1 AND kind = 'transfer' AND debit = 'available'"
    "   AND created_at > now() - interval '24 hours'",
    1,
};

static bool check_day(struct db *db, const struct ledger_transfer *transfer, struct err *err)
{
    AUTO_DB_RESULT struct db_result *found = NULL;
    int64_t given;

    if (transfer->limit_day <= 0) {
        return true;
    }
    if (!db_query(db, &sum_given, (struct db_value[]){ db_int8(transfer->from) }, &found, err)) {
        return false;
    }
    given = db_get_int(found, 0, 0);
    return given <= transfer->limit_day - transfer->tokens ||
           err_permanent(
               err, "daily_limit", "%lld tokens after %lld within 24 hours; they may be %lld",
               (long long)transfer->tokens, (long long)given, (long long)transfer->limit_day);
}

static bool check_usable(struct db *db, const struct ledger_transfer *transfer, int64_t now_ms,
                         struct err *err)
{
    int64_t usable;

    return ledger_usable(db, transfer->from, now_ms, &usable, err) &&
           (usable >= transfer->tokens ||
            err_permanent(err, "tokens_missing", "%lld tokens are available, %lld are missing",
                          (long long)usable, (long long)(transfer->tokens - usable)));
}

#define GIVE_ENTRY                                                                                 \
    LEDGER_ENTRY("transfer", "available", "peer", "$3", "$4", "NULL", "$2", "$5", "$6")
#define GIVE_DRAW LEDGER_DRAW("$3", "$7")

/* Gives what was taken, summed up by when it expires. */
static const struct db_statement give = {
    "ledger_transfer_give",
    "WITH entry AS (" GIVE_ENTRY ")," GIVE_DRAW ","
    " balance AS ("
    "    UPDATE token_balances SET available = available - e.amount,"
    "           transferred = transferred + e.amount, " LEDGER_HEAD
    "      FROM entry e WHERE account_id = $1)"
    " SELECT expires_at, sum(take)::bigint FROM lots GROUP BY expires_at"
    "  ORDER BY expires_at NULLS LAST",
    7
};

#define TAKE_ENTRY                                                                                 \
    LEDGER_ENTRY("transfer", "peer", "available", "$3", "$4", "NULL", "$2", "$5", "$6")

static const struct db_statement take = {
    "ledger_transfer_take",
    "WITH entry AS (" TAKE_ENTRY ")"
    " UPDATE token_balances SET available = available + e.amount,"
    "        transferred = transferred - e.amount, " LEDGER_HEAD "   FROM entry e"
    "  WHERE account_id = $1",
    6
};

static const struct db_statement insert_lot = {
    "ledger_transfer_lot",
    "INSERT INTO token_lots (id, account_id, granted, available, reference, expires_at)"
    " VALUES ($1, $2, $3, $3, 'transfer ' || $4::text || ' ' || $5::int, $6)",
    6,
};

static const struct db_statement leave_untold = {
    "ledger_transfer_untold",
    "INSERT INTO untold_transfers (from_id, to_id, tokens, reference, reason, actor)"
    " VALUES ($1, $2, $3, $4, $5, $6)",
    6,
};

static bool move(struct db *db, const struct ledger_transfer *transfer, int64_t now_ms,
                 struct err *err)
{
    AUTO_DB_RESULT struct db_result *moved = NULL;
    struct db_value values[] = {
        db_int8(transfer->from),   db_int8(transfer->to),
        db_int8(transfer->tokens), db_text(transfer->reference),
        db_text(transfer->reason), db_text(transfer->actor),
        db_time(now_ms),
    };

    if (!db_run(db, &leave_untold, values, NULL, err) ||
        !db_query(db, &give, values, &moved, err)) {
        return false;
    }
    for (int i = 0; i < db_rows(moved); i++) {
        if (!db_run(db, &insert_lot,
                    (struct db_value[]){ db_int8(id_create(now_ms)), db_int8(transfer->to),
                                         db_int8(db_get_int(moved, i, 1)),
                                         db_text(transfer->reference), db_int4(i + 1),
                                         db_time(db_get_time(moved, i, 0)) },
                    NULL, err)) {
            return false;
        }
    }
    values[0] = db_int8(transfer->to);
    values[1] = db_int8(transfer->from);
    return db_run(db, &take, values, NULL, err);
}

/* In the order of the ids. What has no balance so far cannot be locked: it gets one. */
static bool lock_both(struct db *db, const struct ledger_transfer *transfer, struct err *err)
{
    bool is_up = transfer->from < transfer->to;

    return ledger_lock_or_open(db, is_up ? transfer->from : transfer->to, err) &&
           ledger_lock_or_open(db, is_up ? transfer->to : transfer->from, err);
}

bool ledger_transfer(struct db *db, const struct ledger_transfer *transfer, int64_t now_ms,
                     bool *out_new, struct err *err)
{
    bool is_done;

    if (!check_words(transfer, err) || !lock_both(db, transfer, err) ||
        !find_done(db, transfer, &is_done, err)) {
        return false;
    }
    if (!is_done &&
        (!check_accounts(db, transfer, err) || !check_day(db, transfer, err) ||
         !check_usable(db, transfer, now_ms, err) || !move(db, transfer, now_ms, err))) {
        return false;
    }
    if (out_new) {
        *out_new = !is_done;
    }
    return true;
}
