/*
 * payment - purchases and the tries to pay for them
 */
#include "payment/payment.h"

#include <stdio.h>
#include <string.h>

#include "base/id.h"
#include "payment/rows.h"
#include "plan/plan.h"

#define REFERENCE_BYTES 16
#define REFERENCE_NUMBERS 100000000u /* eight digits */
#define REFERENCE_TRIES 20

const char *rows_text(const struct db_result *rows, int row, int col, struct arena *arena)
{
    const char *text = db_get_text(rows, row, col);

    return text != NULL ? arena_strdup(arena, text) : "";
}

void purchase_read(const struct db_result *rows, int row, struct arena *arena, struct purchase *out)
{
    *out = (struct purchase){
        .id = db_get_int(rows, row, 0),
        .account = db_get_int(rows, row, 1),
        .account_slug = rows_text(rows, row, 2, arena),
        .reference = rows_text(rows, row, 3, arena),
        .plan = rows_text(rows, row, 4, arena),
        .currency = rows_text(rows, row, 5, arena),
        .status = rows_text(rows, row, 6, arena),
        .tokens = db_get_int(rows, row, 7),
        .amount_minor = db_get_int(rows, row, 8),
        .created_ms = db_get_time(rows, row, 9),
        .paid_ms = db_get_time(rows, row, 10),
        .valid_days = db_get_int(rows, row, 11),
    };
}

void payment_read(const struct db_result *rows, int row, struct arena *arena, struct payment *out)
{
    *out = (struct payment){
        .id = db_get_int(rows, row, 0),
        .purchase = db_get_int(rows, row, 1),
        .account = db_get_int(rows, row, 2),
        .provider = rows_text(rows, row, 3, arena),
        .currency = rows_text(rows, row, 4, arena),
        .status = rows_text(rows, row, 5, arena),
        .reason = rows_text(rows, row, 6, arena),
        .detail = rows_text(rows, row, 7, arena),
        .merchant_request = rows_text(rows, row, 8, arena),
        .checkout_request = rows_text(rows, row, 9, arena),
        .receipt = rows_text(rows, row, 10, arena),
        .msisdn = db_get_int(rows, row, 11),
        .amount_minor = db_get_int(rows, row, 12),
        .queries = db_get_int(rows, row, 13),
        .next_query_ms = db_get_time(rows, row, 14),
        .created_ms = db_get_time(rows, row, 15),
        .pushed_ms = db_get_time(rows, row, 16),
        .ended_ms = db_get_time(rows, row, 17),
        .reference = rows_text(rows, row, 18, arena),
        .plan = rows_text(rows, row, 19, arena),
        .purchase_status = rows_text(rows, row, 20, arena),
        .tokens = db_get_int(rows, row, 21),
        .account_slug = rows_text(rows, row, 22, arena),
    };
}

static const struct db_statement find_purchase = {
    "purchase_find",
    "SELECT " PURCHASE_COLUMNS PURCHASE_TABLES
    " WHERE p.id = $1 AND ($2::bigint = 0 OR p.account_id = $2::bigint)",
    2,
};
static const struct db_statement find_purchase_by_reference = {
    "purchase_find_by_reference",
    "SELECT " PURCHASE_COLUMNS PURCHASE_TABLES
    " WHERE p.reference = upper(btrim($1)) AND ($2::bigint = 0 OR p.account_id = $2::bigint)",
    2,
};

static bool find(struct db *db, const struct db_statement *how, struct db_value key,
                 int64_t account, struct arena *arena, struct purchase *out, struct err *err)
{
    AUTO_DB_RESULT struct db_result *rows = NULL;

    if (!db_query(db, how, (struct db_value[]){ key, db_int8(account) }, &rows, err)) {
        return false;
    }
    if (db_rows(rows) == 0) {
        return err_permanent(err, "purchase_unknown", "there is no such purchase");
    }
    purchase_read(rows, 0, arena, out);
    return true;
}

bool purchase_find(struct db *db, int64_t account, int64_t id, struct arena *arena,
                   struct purchase *out, struct err *err)
{
    return find(db, &find_purchase, db_int8(id), account, arena, out, err);
}

bool purchase_find_by_reference(struct db *db, int64_t account, const char *reference,
                                struct arena *arena, struct purchase *out, struct err *err)
{
    return find(db, &find_purchase_by_reference, db_text(reference), account, arena, out, err);
}

/* The unique reference decides: a number that is taken touches no row. */
static const struct db_statement insert_purchase = {
    "purchase_insert",
    "INSERT INTO purchases (id, account_id, reference, plan, tokens, amount_minor, currency,"
    "                       status, valid_days, created_at)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, 'open', $8, $9)"
    " ON CONFLICT ON CONSTRAINT purchases_reference_key DO NOTHING",
    9,
};
static const struct db_statement had_before = {
    "purchase_had_before",
    "SELECT FROM subscriptions WHERE account_id = $1 AND plan = $2 LIMIT 1",
    2,
};
static const struct db_statement free_purchase = {
    "purchase_free",
    "UPDATE purchases SET status = 'paid', paid_at = $2 WHERE id = $1",
    2,
};

static bool check_sold(struct db *db, int64_t account, const struct plan *plan, struct err *err)
{
    AUTO_DB_RESULT struct db_result *before = NULL;

    if (!plan->on_sale) {
        return err_permanent(err, "plan_not_on_sale", "%s is not sold any more", plan->code);
    }
    if (!plan->once) {
        return true;
    }
    if (!db_query(db, &had_before, (struct db_value[]){ db_int8(account), db_text(plan->code) },
                  &before, err)) {
        return false;
    }
    return db_rows(before) == 0 ||
           err_permanent(err, "plan_only_once", "%s was had before, and is given once", plan->code);
}

static bool insert(struct db *db, int64_t id, int64_t account, const struct plan *plan,
                   int64_t now_ms, struct err *err)
{
    char reference[REFERENCE_BYTES];
    int64_t inserted = 0;

    for (int i = 0; i < REFERENCE_TRIES && inserted == 0; i++) {
        snprintf(reference, sizeof reference, "TK%08u", id_random_below(REFERENCE_NUMBERS));
        if (!db_run(db, &insert_purchase,
                    (struct db_value[]){ db_int8(id), db_int8(account), db_text(reference),
                                         db_text(plan->code), db_int8(plan->tokens),
                                         db_int8(plan->price_minor), db_text(plan->currency),
                                         db_int8(plan->valid_days), db_time(now_ms) },
                    &inserted, err)) {
            return false;
        }
    }
    return inserted == 1 ||
           err_temporary(err, "no_reference", "every reference that was tried is taken");
}

bool purchase_grant(struct db *db, const struct purchase *purchase, int64_t now_ms,
                    struct arena *arena, struct err *err)
{
    const struct plan_terms agreed = { .price_minor = purchase->amount_minor,
                                       .currency = purchase->currency,
                                       .tokens = purchase->tokens,
                                       .valid_days = purchase->valid_days };
    struct subscription bought;

    return plan_subscribe(db, purchase->account, purchase->plan, purchase->reference, &agreed,
                          now_ms, arena, &bought, err);
}

bool purchase_create(struct db *db, int64_t account, const char *plan, int64_t now_ms,
                     struct arena *arena, struct purchase *out, struct err *err)
{
    struct plan sold;
    int64_t id = id_create(now_ms);

    if (!plan_find(db, plan, arena, &sold, err) || !check_sold(db, account, &sold, err) ||
        !insert(db, id, account, &sold, now_ms, err) ||
        !purchase_find(db, account, id, arena, out, err)) {
        return false;
    }
    if (sold.price_minor > 0) {
        return true;
    }
    return purchase_grant(db, out, now_ms, arena, err) &&
           db_run(db, &free_purchase, (struct db_value[]){ db_int8(id), db_time(now_ms) }, NULL,
                  err) &&
           purchase_find(db, account, id, arena, out, err);
}

static const struct db_statement list_purchases = {
    "purchase_list",
    "SELECT " PURCHASE_COLUMNS PURCHASE_TABLES
    " WHERE ($1::bigint = 0 OR p.account_id = $1::bigint)"
    "   AND ($2::bigint = 0 OR p.id < $2::bigint)"
    " ORDER BY p.id DESC LIMIT $3",
    3,
};

bool purchase_list(struct db *db, int64_t account, int64_t before, size_t most, struct arena *arena,
                   struct purchase **out_list, size_t *out_count, struct err *err)
{
    AUTO_DB_RESULT struct db_result *rows = NULL;

    if (!db_query(db, &list_purchases,
                  (struct db_value[]){ db_int8(account), db_int8(before), db_int8((int64_t)most) },
                  &rows, err)) {
        return false;
    }
    *out_count = (size_t)db_rows(rows);
    *out_list = arena_array(arena, *out_count + 1, sizeof **out_list);
    for (size_t i = 0; i < *out_count; i++) {
        purchase_read(rows, (int)i, arena, &(*out_list)[i]);
    }
    return true;
}

/* Whether it is open, and nobody may yet pay another payment of it. */
static const struct db_statement lock_purchase = {
    "payment_lock_purchase",
    "SELECT status FROM purchases WHERE id = $1 FOR UPDATE",
    1,
};
static const struct db_statement find_under_way = {
    "payment_under_way",
    "SELECT FROM payments WHERE purchase_id = $1"
    "   AND (status IN ('requested', 'pushing', 'prompted')"
    "    OR (status = 'push_unknown' AND created_at > $2)) LIMIT 1",
    2,
};
static const struct db_statement insert_payment = {
    "payment_insert",
    "INSERT INTO payments (id, purchase_id, account_id, provider, msisdn, amount_minor, currency,"
    "                      status, created_at, next_query_at)"
    " VALUES ($1, $2, $3, '" PAYMENT_PROVIDER_MPESA "', $4, $5, $6, 'requested', $7, $8)",
    8,
};

static bool check_payable(struct db *db, const struct purchase *purchase, int64_t now_ms,
                          struct err *err)
{
    AUTO_DB_RESULT struct db_result *locked = NULL;
    AUTO_DB_RESULT struct db_result *other = NULL;
    struct db_value values[] = { db_int8(purchase->id), db_time(now_ms - PAYMENT_AGAIN_MS) };

    if (!db_query(db, &lock_purchase, values, &locked, err) ||
        !db_query(db, &find_under_way, values, &other, err)) {
        return false;
    }
    if (db_rows(locked) == 0) {
        return err_permanent(err, "purchase_unknown", "there is no such purchase");
    }
    if (strcmp(db_get_text(locked, 0, 0), "open") != 0) {
        return err_permanent(err, "purchase_paid", "%s is paid already", purchase->reference);
    }
    return db_rows(other) == 0 ||
           err_permanent(err, "payment_under_way",
                         "%s is being paid: see what becomes of that before it is paid again",
                         purchase->reference);
}

bool payment_create(struct db *db, const struct purchase *purchase, int64_t msisdn, int64_t now_ms,
                    struct arena *arena, struct payment *out, struct err *err)
{
    int64_t id = id_create(now_ms);

    return check_payable(db, purchase, now_ms, err) &&
           db_run(db, &insert_payment,
                  (struct db_value[]){ db_int8(id), db_int8(purchase->id),
                                       db_int8(purchase->account), db_int8(msisdn),
                                       db_int8(purchase->amount_minor), db_text(purchase->currency),
                                       db_time(now_ms), db_time(now_ms + PAYMENT_UNBEGUN_MS) },
                  NULL, err) &&
           payment_find(db, purchase->account, id, arena, out, err);
}

static const struct db_statement find_payment = {
    "payment_find",
    "SELECT " PAYMENT_COLUMNS PAYMENT_TABLES
    " WHERE y.id = $1 AND ($2::bigint = 0 OR y.account_id = $2::bigint)",
    2,
};

bool payment_find(struct db *db, int64_t account, int64_t id, struct arena *arena,
                  struct payment *out, struct err *err)
{
    AUTO_DB_RESULT struct db_result *rows = NULL;

    if (!db_query(db, &find_payment, (struct db_value[]){ db_int8(id), db_int8(account) }, &rows,
                  err)) {
        return false;
    }
    if (db_rows(rows) == 0) {
        return err_permanent(err, "payment_unknown", "there is no such payment");
    }
    payment_read(rows, 0, arena, out);
    return true;
}

static const struct db_statement tell_later = {
    "payment_tell_later",
    "UPDATE payments SET untold_at = coalesce(untold_at, $3)"
    " WHERE id = CASE WHEN $2::bigint <> 0 THEN $2::bigint"
    "                 ELSE (SELECT max(id) FROM payments WHERE purchase_id = $1) END",
    3,
};

bool payment_tell_later(struct db *db, int64_t purchase, int64_t payment, int64_t now_ms,
                        struct err *err)
{
    return db_run(db, &tell_later,
                  (struct db_value[]){ db_int8(purchase), db_int8(payment), db_time(now_ms) }, NULL,
                  err);
}

static const struct db_statement list_payments = {
    "payment_list",
    "SELECT " PAYMENT_COLUMNS PAYMENT_TABLES " WHERE ($1::bigint = 0 OR y.account_id = $1::bigint)"
    "   AND ($2::bigint = 0 OR y.purchase_id = $2::bigint)"
    "   AND ($3::text IS NULL OR y.status = $3) AND ($4::bigint = 0 OR y.id < $4::bigint)"
    " ORDER BY y.id DESC LIMIT $5",
    5,
};

bool payment_list(struct db *db, int64_t account, int64_t purchase, const char *status,
                  int64_t before, size_t most, struct arena *arena, struct payment **out_list,
                  size_t *out_count, struct err *err)
{
    AUTO_DB_RESULT struct db_result *rows = NULL;

    if (!db_query(db, &list_payments,
                  (struct db_value[]){ db_int8(account), db_int8(purchase), db_text(status),
                                       db_int8(before), db_int8((int64_t)most) },
                  &rows, err)) {
        return false;
    }
    *out_count = (size_t)db_rows(rows);
    *out_list = arena_array(arena, *out_count + 1, sizeof **out_list);
    for (size_t i = 0; i < *out_count; i++) {
        payment_read(rows, (int)i, arena, &(*out_list)[i]);
    }
    return true;
}

/* Asked about in its own time from now on, so that it is not given up before there is an answer. */
static const struct db_statement ask_payment = {
    "payment_ask",
    "UPDATE payments SET status = 'prompted', queries = 0, next_query_at = $2, pushed_at = $2"
    " WHERE id = $1 AND checkout_request IS NOT NULL"
    "   AND status IN ('push_unknown', 'prompted', 'unresolved')"
    "   AND NOT EXISTS (SELECT FROM payment_receipts r WHERE r.payment_id = $1)",
    2,
};

bool payment_ask(struct db *db, int64_t id, int64_t now_ms, struct arena *arena, struct err *err)
{
    struct payment payment;
    int64_t asked;

    if (!payment_find(db, 0, id, arena, &payment, err) ||
        !db_run(db, &ask_payment, (struct db_value[]){ db_int8(id), db_time(now_ms) }, &asked,
                err)) {
        return false;
    }
    return asked == 1 ||
           err_permanent(err, "payment_not_askable", "it is %s%s", payment.status,
                         *payment.checkout_request != '\0' ? ""
                                                           : " and the provider named nothing");
}
