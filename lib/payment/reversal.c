/*
 * reversal - money that goes back to its payer
 */
#include "payment/reversal.h"

#include <string.h>

#include "ledger/entry.h"
#include "ledger/ledger.h"
#include "payment/payment.h"
#include "payment/rows.h"

#define REFERENCE "REV-%s-%lld" /* of what the ledger takes, by receipt and round */

#define REVERSAL_COLUMNS                                                                           \
    "SELECT v.receipt, v.provider, v.status, v.reason, v.detail, v.actor, v.why,"                  \
    " v.own_receipt, r.amount_minor, coalesce(r.payment_id, 0), coalesce(r.purchase_id, 0),"       \
    " coalesce(v.account_id, 0), v.tokens, v.asked, v.requested_at, v.ended_at, v.round"           \
    " FROM payment_reversals v JOIN payment_receipts r ON r.receipt = v.receipt"

enum { COLUMN_ROUND = 16 };

static void read_row(const struct db_result *rows, struct arena *arena, struct reversal *out)
{
    *out = (struct reversal){
        .receipt = rows_text(rows, 0, 0, arena),
        .provider = rows_text(rows, 0, 1, arena),
        .status = rows_text(rows, 0, 2, arena),
        .reason = rows_text(rows, 0, 3, arena),
        .detail = rows_text(rows, 0, 4, arena),
        .by = rows_text(rows, 0, 5, arena),
        .why = rows_text(rows, 0, 6, arena),
        .own_receipt = rows_text(rows, 0, 7, arena),
        .amount_minor = db_get_int(rows, 0, 8),
        .payment = db_get_int(rows, 0, 9),
        .purchase = db_get_int(rows, 0, 10),
        .account = db_get_int(rows, 0, 11),
        .tokens = db_get_int(rows, 0, 12),
        .asked = db_get_int(rows, 0, 13),
        .requested_ms = db_get_time(rows, 0, 14),
        .ended_ms = db_get_time(rows, 0, 15),
    };
}

static const struct db_statement find_reversal = {
    "reversal_find",
    REVERSAL_COLUMNS " WHERE v.receipt = upper(btrim($1))",
    1,
};

static bool find(struct db *db, const char *receipt, struct arena *arena, struct reversal *out,
                 int64_t *out_round, struct err *err)
{
    AUTO_DB_RESULT struct db_result *rows = NULL;

    if (!db_query(db, &find_reversal, (struct db_value[]){ db_text(receipt) }, &rows, err)) {
        return false;
    }
    if (db_rows(rows) == 0) {
        return err_permanent(err, "reversal_unknown", "nobody wished that to be paid back");
    }
    read_row(rows, arena, out);
    *out_round = db_get_int(rows, 0, COLUMN_ROUND);
    return true;
}

bool payment_reversal_find(struct db *db, const char *receipt, struct arena *arena,
                           struct reversal *out, struct err *err)
{
    int64_t round;

    return find(db, receipt, arena, out, &round, err);
}

/* The purchase before the receipt, as everywhere. */
static const struct db_statement lock_purchase = {
    "reversal_lock_purchase",
    "SELECT FROM purchases WHERE id = $1 FOR UPDATE",
    1,
};
static const struct db_statement lock_receipt = {
    "reversal_lock_receipt",
    "SELECT FROM payment_receipts WHERE receipt = $1 FOR UPDATE",
    1,
};

static bool lock(struct db *db, const char *receipt, struct arena *arena, struct receipt *out,
                 struct err *err)
{
    struct receipt seen;

    return receipt_find(db, receipt, arena, &seen, err) &&
           db_run(db, &lock_purchase, (struct db_value[]){ db_int8(seen.purchase) }, NULL, err) &&
           db_run(db, &lock_receipt, (struct db_value[]){ db_text(seen.receipt) }, NULL, err) &&
           receipt_find(db, seen.receipt, arena, out, err) &&
           (out->purchase == seen.purchase ||
            err_temporary(err, "receipt_moved", "%s was just matched", seen.receipt));
}

/* *out_again: it was wished before, no word came of it, and what it took is taken. */
static bool check(struct db *db, const struct receipt *money, struct arena *arena, bool *out_again,
                  struct err *err)
{
    struct reversal before;

    *out_again = false;
    if (strncmp(money->receipt, PAYMENT_NO_RECEIPT, strlen(PAYMENT_NO_RECEIPT)) == 0) {
        return err_permanent(err, "reversal_unnamed",
                             "the provider has not told the receipt by which it knows this money");
    }
    if (strcmp(money->status, "reversed") == 0) {
        return err_permanent(err, "receipt_reversed", "%s was paid back", money->receipt);
    }
    if (strcmp(money->status, "reversing") != 0) {
        return true;
    }
    if (!payment_reversal_find(db, money->receipt, arena, &before, err)) {
        return false;
    }
    *out_again = strcmp(before.status, "unresolved") == 0;
    return *out_again ||
           err_permanent(err, "reversal_under_way", "%s is being paid back", money->receipt);
}

static bool count_tokens(struct db *db, const struct purchase *purchase,
                         const struct reversal_wish *wish, int64_t now_ms, int64_t *out_tokens,
                         struct err *err)
{
    bool found;
    int64_t usable = 0;

    *out_tokens = purchase->tokens;
    if (!wish->what_is_left) {
        return true;
    }
    if (!ledger_lock(db, purchase->account, &found, err) ||
        (found && !ledger_usable(db, purchase->account, now_ms, &usable, err))) {
        return false;
    }
    *out_tokens = usable < purchase->tokens ? usable : purchase->tokens;
    return true;
}

static const struct db_statement wish_reversal = {
    "reversal_wish",
    "INSERT INTO payment_reversals AS v (receipt, provider, status, was, actor, why, account_id,"
    "                                    tokens, next_ask_at, requested_at)"
    " SELECT receipt, provider, 'requested', status, $2, $3, nullif($4, 0::bigint), $5, $6, $6"
    "   FROM payment_receipts WHERE receipt = $1"
    " ON CONFLICT (receipt) DO UPDATE"
    "    SET status = 'requested', was = excluded.was, actor = excluded.actor, why = excluded.why,"
    "        account_id = excluded.account_id, tokens = excluded.tokens, round = v.round + 1,"
    "        asked = 0, next_ask_at = excluded.next_ask_at, requested_at = excluded.requested_at,"
    "        ended_at = NULL, reason = NULL, detail = NULL",
    6,
};
static const struct db_statement wish_again = {
    "reversal_wish_again",
    "UPDATE payment_reversals SET status = 'requested', asked = 0, next_ask_at = $2,"
    "       ended_at = NULL, reason = NULL, detail = NULL WHERE receipt = $1",
    2,
};
static const struct db_statement begin_receipt = {
    "reversal_begin_receipt",
    "UPDATE payment_receipts SET status = 'reversing' WHERE receipt = $1",
    1,
};

static bool adjust(struct db *db, const struct reversal *reversal, int64_t round, bool back,
                   int64_t expires_ms, int64_t now_ms, struct arena *arena, struct err *err)
{
    return reversal->tokens == 0 ||
           ledger_adjust(
               db,
               &(struct ledger_adjustment){
                   .account = reversal->account,
                   .tokens = back ? reversal->tokens : -reversal->tokens,
                   .expires_ms = expires_ms,
                   .reference = arena_printf(arena, back ? REFERENCE "-BACK" : REFERENCE,
                                             reversal->receipt, (long long)round),
                   .reason = back ? "the payment was not paid back" : "the payment is paid back",
                   .actor = reversal->by },
               now_ms, NULL, err);
}

static bool wish_first(struct db *db, const struct reversal_wish *wish, const struct receipt *money,
                       int64_t now_ms, struct arena *arena, struct err *err)
{
    struct purchase purchase = { 0 };
    struct reversal wished;
    int64_t tokens = 0, round;

    if (strcmp(money->status, "credited") == 0 &&
        (!purchase_find(db, 0, money->purchase, arena, &purchase, err) ||
         !count_tokens(db, &purchase, wish, now_ms, &tokens, err))) {
        return false;
    }
    return db_run(db, &wish_reversal,
                  (struct db_value[]){ db_text(money->receipt), db_text(wish->by),
                                       db_text(wish->why), db_int8(purchase.account),
                                       db_int8(tokens), db_time(now_ms) },
                  NULL, err) &&
           db_run(db, &begin_receipt, (struct db_value[]){ db_text(money->receipt) }, NULL, err) &&
           find(db, money->receipt, arena, &wished, &round, err) &&
           adjust(db, &wished, round, false, 0, now_ms, arena, err);
}

bool payment_reverse(struct db *db, const struct reversal_wish *wish, int64_t now_ms,
                     struct arena *arena, struct reversal *out, struct err *err)
{
    struct receipt money;
    bool again;

    if (!lock(db, wish->receipt, arena, &money, err) || !check(db, &money, arena, &again, err)) {
        return false;
    }
    return (again
                ? db_run(db, &wish_again,
                         (struct db_value[]){ db_text(money.receipt), db_time(now_ms) }, NULL, err)
                : wish_first(db, wish, &money, now_ms, arena, err)) &&
           payment_reversal_find(db, money.receipt, arena, out, err);
}

static const struct db_statement end_done = {
    "reversal_end_done",
    "UPDATE payment_reversals SET status = 'done', own_receipt = nullif($2, ''), reason = NULL,"
    "       detail = NULL, next_ask_at = NULL, ended_at = $3"
    " WHERE receipt = $1 AND status NOT IN ('done', 'failed')",
    3,
};
/* The purchase's rows follow only from money that had paid for it. */
static const struct db_statement reverse_rows = {
    "reversal_reverse_rows",
    "WITH money AS ("
    "  UPDATE payment_receipts r SET status = 'reversed', why = 'paid back: ' || v.why"
    "    FROM payment_reversals v WHERE v.receipt = $1 AND r.receipt = v.receipt"
    "  RETURNING r.receipt, r.purchase_id, v.was),"
    " payment AS ("
    "  UPDATE payments y SET status = 'reversed', ended_at = $2"
    "    FROM money m WHERE y.receipt = m.receipt),"
    " purchase AS ("
    "  UPDATE purchases p SET status = 'reversed'"
    "    FROM money m WHERE p.id = m.purchase_id AND m.was = 'credited'"
    "  RETURNING p.account_id, p.reference)"
    " UPDATE subscriptions s"
    "    SET ends_at = greatest(s.starts_at + interval '1 millisecond', least(s.ends_at, $2))"
    "   FROM purchase p WHERE s.account_id = p.account_id AND s.reference = p.reference",
    2,
};

bool payment_reversal_done(struct db *db, const char *receipt, const char *own_receipt,
                           int64_t now_ms, struct arena *arena, int64_t *out_told, struct err *err)
{
    struct receipt money;
    int64_t ended;

    if (!lock(db, receipt, arena, &money, err) ||
        !db_run(
            db, &end_done,
            (struct db_value[]){ db_text(money.receipt), db_text(own_receipt), db_time(now_ms) },
            &ended, err)) {
        return false;
    }
    *out_told = money.payment;
    return ended == 0 ||
           db_run(db, &reverse_rows, (struct db_value[]){ db_text(money.receipt), db_time(now_ms) },
                  NULL, err);
}

static const struct db_statement end_failed = {
    "reversal_end_failed",
    "WITH failed AS ("
    "  UPDATE payment_reversals SET status = 'failed', reason = $2, detail = left($3, 200),"
    "         next_ask_at = NULL, ended_at = $4"
    "   WHERE receipt = $1 AND status NOT IN ('done', 'failed') RETURNING receipt, was)"
    " UPDATE payment_receipts r SET status = f.was FROM failed f WHERE r.receipt = f.receipt",
    4,
};
/* What comes back lives as long as what was bought. */
static const struct db_statement find_end = {
    "reversal_find_end",
    "SELECT s.ends_at FROM subscriptions s JOIN purchases p"
    "    ON p.account_id = s.account_id AND p.reference = s.reference WHERE p.id = $1",
    1,
};

static bool give_again(struct db *db, const char *receipt, int64_t now_ms, struct arena *arena,
                       struct err *err)
{
    AUTO_DB_RESULT struct db_result *end = NULL;
    struct reversal failed;
    int64_t round;

    return find(db, receipt, arena, &failed, &round, err) &&
           db_query(db, &find_end, (struct db_value[]){ db_int8(failed.purchase) }, &end, err) &&
           adjust(db, &failed, round, true, db_rows(end) > 0 ? db_get_time(end, 0, 0) : 0, now_ms,
                  arena, err);
}

bool payment_reversal_failed(struct db *db, const char *receipt, const char *reason,
                             const char *detail, int64_t now_ms, struct arena *arena,
                             struct err *err)
{
    struct receipt money;
    int64_t ended;

    return lock(db, receipt, arena, &money, err) &&
           db_run(db, &end_failed,
                  (struct db_value[]){ db_text(money.receipt), db_text(reason), db_text(detail),
                                       db_time(now_ms) },
                  &ended, err) &&
           (ended == 0 || give_again(db, money.receipt, now_ms, arena, err));
}
