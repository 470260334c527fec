/*
 * receipt - the money that came, and what a person makes of what nothing could match
 */
#include <string.h>

#include "payment/payment.h"
#include "payment/rows.h"
#include "plan/plan.h"

#define RECEIPT_COLUMNS                                                                            \
    "SELECT receipt, provider, currency::text, payer, bill_reference, source, status, why,"        \
    " amount_minor, coalesce(payment_id, 0), coalesce(purchase_id, 0), paid_at, noted_at"          \
    " FROM payment_receipts"

static void receipt_read(const struct db_result *rows, int row, struct arena *arena,
                         struct receipt *out)
{
    *out = (struct receipt){
        .receipt = rows_text(rows, row, 0, arena),
        .provider = rows_text(rows, row, 1, arena),
        .currency = rows_text(rows, row, 2, arena),
        .payer = rows_text(rows, row, 3, arena),
        .bill_reference = rows_text(rows, row, 4, arena),
        .source = rows_text(rows, row, 5, arena),
        .status = rows_text(rows, row, 6, arena),
        .why = rows_text(rows, row, 7, arena),
        .amount_minor = db_get_int(rows, row, 8),
        .payment = db_get_int(rows, row, 9),
        .purchase = db_get_int(rows, row, 10),
        .paid_ms = db_get_time(rows, row, 11),
        .noted_ms = db_get_time(rows, row, 12),
    };
}

static const struct db_statement list_receipts = {
    "receipt_list",
    RECEIPT_COLUMNS " WHERE ($1::timestamptz IS NULL OR noted_at < $1)"
                    " ORDER BY noted_at DESC LIMIT $2",
    2,
};
static const struct db_statement list_open_receipts = {
    "receipt_list_open",
    RECEIPT_COLUMNS " WHERE status IN ('unmatched', 'differs')"
                    "   AND ($1::timestamptz IS NULL OR noted_at < $1)"
                    " ORDER BY noted_at DESC LIMIT $2",
    2,
};

bool receipt_list(struct db *db, enum receipts_wanted wanted, int64_t before_ms, size_t most,
                  struct arena *arena, struct receipt **out_list, size_t *out_count,
                  struct err *err)
{
    AUTO_DB_RESULT struct db_result *rows = NULL;

    if (!db_query(db, wanted == RECEIPTS_OPEN ? &list_open_receipts : &list_receipts,
                  (struct db_value[]){ db_time(before_ms), db_int8((int64_t)most) }, &rows, err)) {
        return false;
    }
    *out_count = (size_t)db_rows(rows);
    *out_list = arena_array(arena, *out_count + 1, sizeof **out_list);
    for (size_t i = 0; i < *out_count; i++) {
        receipt_read(rows, (int)i, arena, &(*out_list)[i]);
    }
    return true;
}

static const struct db_statement find_receipt = {
    "receipt_find",
    RECEIPT_COLUMNS " WHERE receipt = upper(btrim($1))",
    1,
};
static const struct db_statement lock_receipt = {
    "receipt_lock",
    RECEIPT_COLUMNS " WHERE receipt = upper(btrim($1)) FOR UPDATE",
    1,
};

static bool find(struct db *db, const struct db_statement *how, const char *receipt,
                 struct arena *arena, struct receipt *out, struct err *err)
{
    AUTO_DB_RESULT struct db_result *rows = NULL;

    if (!db_query(db, how, (struct db_value[]){ db_text(receipt) }, &rows, err)) {
        return false;
    }
    if (db_rows(rows) == 0) {
        return err_permanent(err, "receipt_unknown", "no money is known by that receipt");
    }
    receipt_read(rows, 0, arena, out);
    return true;
}

bool receipt_find(struct db *db, const char *receipt, struct arena *arena, struct receipt *out,
                  struct err *err)
{
    return find(db, &find_receipt, receipt, arena, out, err);
}

static const struct db_statement lock_purchase = {
    "receipt_lock_purchase",
    "SELECT status FROM purchases WHERE id = $1 FOR UPDATE",
    1,
};
/* The payment it came by, if it came by one, is paid with it when it is of this purchase. */
static const struct db_statement credit_by_hand = {
    "receipt_credit_by_hand",
    "WITH paid AS ("
    "  UPDATE payments y SET status = 'paid', reason = NULL, detail = NULL, receipt = r.receipt,"
    "         next_query_at = NULL, ended_at = $4"
    "    FROM payment_receipts r"
    "   WHERE r.receipt = $1 AND y.id = r.payment_id AND y.purchase_id = $2 RETURNING y.id),"
    " bought AS (UPDATE purchases SET status = 'paid', paid_at = $4 WHERE id = $2)"
    " UPDATE payment_receipts SET status = 'credited', purchase_id = $2, why = $3,"
    "        payment_id = (SELECT id FROM paid) WHERE receipt = $1",
    4,
};

static bool check_matchable(const struct receipt *receipt, struct err *err)
{
    if (strcmp(receipt->status, "credited") == 0) {
        return err_permanent(err, "receipt_credited", "%s is credited already", receipt->receipt);
    }
    if (strcmp(receipt->status, "reversed") == 0 || strcmp(receipt->status, "reversing") == 0) {
        return err_permanent(err, "receipt_reversed", "%s is paid back", receipt->receipt);
    }
    return true;
}

bool payment_match(struct db *db, const char *receipt, const char *reference, const char *why,
                   int64_t now_ms, struct arena *arena, struct purchase *out, struct err *err)
{
    AUTO_DB_RESULT struct db_result *locked = NULL;
    struct receipt money;

    if (!purchase_find_by_reference(db, 0, reference, arena, out, err) ||
        !db_query(db, &lock_purchase, (struct db_value[]){ db_int8(out->id) }, &locked, err) ||
        !find(db, &lock_receipt, receipt, arena, &money, err) || !check_matchable(&money, err)) {
        return false;
    }
    if (strcmp(db_get_text(locked, 0, 0), "open") != 0) {
        return err_permanent(err, "purchase_paid", "%s is paid already", out->reference);
    }
    return purchase_grant(db, out, now_ms, arena, err) &&
           db_run(db, &credit_by_hand,
                  (struct db_value[]){ db_text(money.receipt), db_int8(out->id), db_text(why),
                                       db_time(now_ms) },
                  NULL, err) &&
           payment_tell_later(db, out->id, 0, now_ms, err) &&
           purchase_find(db, 0, out->id, arena, out, err);
}
