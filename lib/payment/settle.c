/*
 * settle - money that came is credited to the purchase it pays, once
 *
 * Its receipt's row is made first and locked: who tells of the same money at the same time waits
 * there. The purchase's row is locked before it, so that of two receipts for one purchase one pays.
 *
 * A payment that the provider calls paid without naming the receipt has the provisional one of
 * PAYMENT_NO_RECEIPT. The real receipt, when it comes, takes its place.
 */
#include <string.h>

#include "payment/payment.h"
#include "payment/rows.h"
#include "plan/plan.h"

/* What is settled, while it is. */
struct settling {
    struct db *db;
    struct arena *arena;
    const struct payment_money *money;
    int64_t now_ms;
    /* Of the purchase, locked; id 0: none is known. */
    struct purchase purchase;
    /* The payment it is for sure; id 0: only the purchase is known. */
    struct payment payment;
    /* The receipt's row as it was found. */
    const char *status;
    int64_t receipt_payment, receipt_purchase;
};

const char *payment_settled_word(enum payment_settled settled)
{
    static const char *const words[] = {
        [PAYMENT_CREDITED] = "credited",
        [PAYMENT_KNOWN] = "known",
        [PAYMENT_UNMATCHED] = "unmatched",
        [PAYMENT_DIFFERS] = "differs",
    };
    return words[settled];
}

static const struct db_statement lock_purchase = {
    "settle_lock_purchase",
    "SELECT status FROM purchases WHERE id = $1 FOR UPDATE",
    1,
};

/* Whose money it is: by its payment, or by what the payer typed. What nobody has is no error. */
static bool find_owner(struct settling *s, struct err *err)
{
    AUTO_DB_RESULT struct db_result *locked = NULL;
    const char *reference = s->money->bill_reference;

    if (s->money->payment != 0) {
        if (!payment_find(s->db, 0, s->money->payment, s->arena, &s->payment, err)) {
            return false;
        }
        s->purchase.id = s->payment.purchase;
    } else if (reference == NULL || *reference == '\0') {
        return true;
    } else if (!purchase_find_by_reference(s->db, 0, reference, s->arena, &s->purchase, err)) {
        return strcmp(err->what, "purchase_unknown") == 0;
    }
    /* Both are read again: a statement sees only what was committed when it began. */
    return db_query(s->db, &lock_purchase, (struct db_value[]){ db_int8(s->purchase.id) }, &locked,
                    err) &&
           purchase_find(s->db, 0, s->purchase.id, s->arena, &s->purchase, err) &&
           (s->money->payment == 0 ||
            payment_find(s->db, 0, s->money->payment, s->arena, &s->payment, err));
}

static const struct db_statement note_receipt = {
    "settle_note_receipt",
    "INSERT INTO payment_receipts (receipt, provider, amount_minor, currency, payer,"
    "                              bill_reference, source, status, paid_at, noted_at)"
    " VALUES ($1, $2, $3, $4, coalesce($5, ''), coalesce($6, ''), $7, 'unmatched', $8, $9)"
    " ON CONFLICT DO NOTHING",
    9,
};
static const struct db_statement lock_receipt = {
    "settle_lock_receipt",
    "SELECT status, coalesce(payment_id, 0), coalesce(purchase_id, 0)"
    "  FROM payment_receipts WHERE receipt = $1 FOR UPDATE",
    1,
};

static bool note(struct settling *s, struct err *err)
{
    AUTO_DB_RESULT struct db_result *rows = NULL;
    const struct payment_money *money = s->money;

    if (!db_run(s->db, &note_receipt,
                (struct db_value[]){
                    db_text(money->receipt), db_text(money->provider), db_int8(money->amount_minor),
                    db_text(money->currency), db_text(money->payer), db_text(money->bill_reference),
                    db_text(money->source), db_time(money->paid_ms), db_time(s->now_ms) },
                NULL, err) ||
        !db_query(s->db, &lock_receipt, (struct db_value[]){ db_text(money->receipt) }, &rows,
                  err)) {
        return false;
    }
    s->status = rows_text(rows, 0, 0, s->arena);
    s->receipt_payment = db_get_int(rows, 0, 1);
    s->receipt_purchase = db_get_int(rows, 0, 2);
    return true;
}

static const struct db_statement place_receipt = {
    "settle_place_receipt",
    "UPDATE payment_receipts SET status = $2, payment_id = coalesce(nullif($3, 0::bigint), "
    "payment_id),"
    "       purchase_id = coalesce(nullif($4, 0::bigint), purchase_id), why = nullif($5, '')"
    " WHERE receipt = $1",
    5,
};

static bool place(struct settling *s, const char *receipt, const char *status, int64_t payment,
                  const char *why, struct err *err)
{
    return db_run(s->db, &place_receipt,
                  (struct db_value[]){ db_text(receipt), db_text(status), db_int8(payment),
                                       db_int8(s->purchase.id), db_text(why) },
                  NULL, err);
}

static const struct db_statement pay_payment = {
    "settle_pay_payment",
    "UPDATE payments SET status = 'paid', reason = NULL, detail = NULL, receipt = $2,"
    "       next_query_at = NULL, ended_at = $3 WHERE id = $1",
    3,
};

static bool pay(struct settling *s, int64_t payment, const char *receipt, struct err *err)
{
    return db_run(s->db, &pay_payment,
                  (struct db_value[]){ db_int8(payment), db_text(receipt), db_time(s->now_ms) },
                  NULL, err);
}

/* Money came by it that did not pay its purchase. */
static const struct db_statement strand_payment = {
    "settle_strand_payment",
    "UPDATE payments SET status = 'unresolved', reason = $2, detail = $3, next_query_at = NULL,"
    "       ended_at = $4 WHERE id = $1 AND status NOT IN ('paid', 'reversed')",
    4,
};

static bool strand(struct settling *s, enum payment_settled settled, const char *reason,
                   const char *why, struct payment_outcome *out, struct err *err)
{
    out->settled = settled;
    out->why = why;
    return place(s, s->money->receipt, payment_settled_word(settled), s->payment.id, why, err) &&
           (s->payment.id == 0 ||
            db_run(s->db, &strand_payment,
                   (struct db_value[]){ db_int8(s->payment.id), db_text(reason), db_text(why),
                                        db_time(s->now_ms) },
                   NULL, err));
}

static const struct db_statement unpay_payment = {
    "settle_unpay_payment",
    "UPDATE payments SET status = 'unresolved', reason = 'paid_by_another', receipt = NULL"
    " WHERE id = $1 AND status = 'paid'",
    1,
};

/* A receipt that is credited to this purchase turns out to be this payment's. */
static bool link_payment(struct settling *s, const char *receipt, int64_t from, struct err *err)
{
    return (from == 0 ||
            db_run(s->db, &unpay_payment, (struct db_value[]){ db_int8(from) }, NULL, err)) &&
           place(s, receipt, "credited", s->payment.id, "", err) &&
           pay(s, s->payment.id, receipt, err);
}

/* Told before, and credited or paid back. */
static bool settle_again(struct settling *s, struct payment_outcome *out, struct err *err)
{
    out->settled = PAYMENT_KNOWN;
    if (s->payment.id == 0 || s->receipt_payment == s->payment.id) {
        out->payment = s->receipt_payment;
        out->purchase = s->receipt_purchase;
        return true;
    }
    if (strcmp(s->status, "credited") == 0 && s->receipt_purchase == s->purchase.id &&
        *s->payment.receipt == '\0') {
        return link_payment(s, s->money->receipt, s->receipt_payment, err);
    }
    out->why = strcmp(s->status, "credited") == 0 ? "it was credited as another payment's"
                                                  : "it was paid back";
    return true;
}

/* A payment of this purchase that was credited without a receipt. */
static const struct db_statement find_provisional = {
    "settle_find_provisional",
    "SELECT r.receipt, r.payment_id FROM payment_receipts r"
    " WHERE r.purchase_id = $1 AND r.status = 'credited'"
    "   AND r.receipt LIKE '" PAYMENT_NO_RECEIPT "%' AND r.amount_minor = $2"
    "   AND ($3::bigint = 0 OR r.payment_id = $3::bigint) LIMIT 1 FOR UPDATE",
    3,
};
static const struct db_statement drop_provisional = {
    "settle_drop_provisional",
    "DELETE FROM payment_receipts WHERE receipt = $1",
    1,
};
/* Money that is credited to this purchase, but to none of its payments. */
static const struct db_statement find_loose = {
    "settle_find_loose",
    "SELECT r.receipt FROM payment_receipts r"
    " WHERE r.purchase_id = $1 AND r.status = 'credited' AND r.amount_minor = $2"
    "   AND r.payment_id IS NULL LIMIT 1 FOR UPDATE",
    2,
};

static bool is_provisional(const struct payment_money *money)
{
    return strncmp(money->receipt, PAYMENT_NO_RECEIPT, strlen(PAYMENT_NO_RECEIPT)) == 0;
}

/*
 * The same money, once without a receipt and once with it: in the order in which they came.
 * *out_same false: it is other money.
 */
static bool recognise(struct settling *s, struct payment_outcome *out, bool *out_same,
                      struct err *err)
{
    AUTO_DB_RESULT struct db_result *rows = NULL;
    bool provisional = is_provisional(s->money);
    struct db_value values[] = { db_int8(s->purchase.id), db_int8(s->money->amount_minor),
                                 db_int8(s->payment.id) };
    const char *found;

    *out_same = false;
    if (!db_query(s->db, provisional ? &find_loose : &find_provisional, values, &rows, err)) {
        return false;
    }
    if (db_rows(rows) == 0) {
        return true;
    }
    *out_same = true;
    out->settled = PAYMENT_KNOWN;
    found = rows_text(rows, 0, 0, s->arena);
    if (provisional) {
        return db_run(s->db, &drop_provisional, (struct db_value[]){ db_text(s->money->receipt) },
                      NULL, err) &&
               link_payment(s, found, 0, err);
    }
    out->payment = db_get_int(rows, 0, 1);
    return db_run(s->db, &drop_provisional, (struct db_value[]){ db_text(found) }, NULL, err) &&
           place(s, s->money->receipt, "credited", out->payment,
                 arena_printf(s->arena, "credited first as %s", found), err) &&
           pay(s, out->payment, s->money->receipt, err);
}

/* The one payment of a purchase that waits for money; of several nobody knows which it was. */
static const struct db_statement find_waiting = {
    "settle_find_waiting",
    "SELECT id FROM payments WHERE purchase_id = $1"
    "   AND status IN ('pushing', 'push_unknown', 'prompted', 'unresolved')"
    "   FOR UPDATE",
    1,
};
static bool find_payment(struct settling *s, struct err *err)
{
    AUTO_DB_RESULT struct db_result *rows = NULL;

    if (s->payment.id != 0) {
        return true;
    }
    if (!db_query(s->db, &find_waiting, (struct db_value[]){ db_int8(s->purchase.id) }, &rows,
                  err)) {
        return false;
    }
    if (db_rows(rows) == 1) {
        s->payment.id = db_get_int(rows, 0, 0);
    }
    return true;
}

static const struct db_statement pay_purchase = {
    "settle_pay_purchase",
    "UPDATE purchases SET status = 'paid', paid_at = $2 WHERE id = $1",
    2,
};

static bool credit(struct settling *s, struct payment_outcome *out, struct err *err)
{
    /* Permanent errors of plan_subscribe() are raised before it has changed anything. */
    if (!purchase_grant(s->db, &s->purchase, s->now_ms, s->arena, err)) {
        return (strncmp(err->what, "plan_", strlen("plan_")) == 0 ||
                strcmp(err->what, "reference_used") == 0) &&
               strand(s, PAYMENT_UNMATCHED, err->what, arena_strdup(s->arena, err->detail), out,
                      err);
    }
    out->settled = PAYMENT_CREDITED;
    if (!find_payment(s, err) ||
        !db_run(s->db, &pay_purchase,
                (struct db_value[]){ db_int8(s->purchase.id), db_time(s->now_ms) }, NULL, err) ||
        !place(s, s->money->receipt, "credited", s->payment.id, "", err)) {
        return false;
    }
    out->payment = s->payment.id;
    return s->payment.id == 0 || pay(s, s->payment.id, s->money->receipt, err);
}

static bool settle_new(struct settling *s, struct payment_outcome *out, struct err *err)
{
    const struct payment_money *money = s->money;
    bool same;

    if (s->purchase.id == 0) {
        return strand(s, PAYMENT_UNMATCHED, "", "no purchase is called by this bill reference", out,
                      err);
    }
    if (!recognise(s, out, &same, err)) {
        return false;
    }
    if (same) {
        return true;
    }
    if (money->amount_minor != s->purchase.amount_minor ||
        strcmp(money->currency, s->purchase.currency) != 0) {
        return strand(s, PAYMENT_DIFFERS, "amount_differs",
                      arena_printf(s->arena, "%lld.%02d %s came, %lld.%02d %s was asked",
                                   (long long)(money->amount_minor / 100),
                                   (int)(money->amount_minor % 100), money->currency,
                                   (long long)(s->purchase.amount_minor / 100),
                                   (int)(s->purchase.amount_minor % 100), s->purchase.currency),
                      out, err);
    }
    if (strcmp(s->purchase.status, "open") != 0) {
        return strand(s, PAYMENT_UNMATCHED, "paid_twice",
                      arena_printf(s->arena, "%s was paid before", s->purchase.reference), out,
                      err);
    }
    return credit(s, out, err);
}

/* What is told of a purchase that was paid by none of its payments is told of the newest. */
static const struct db_statement find_newest = {
    "settle_find_newest",
    "SELECT coalesce(max(id), 0) FROM payments WHERE purchase_id = $1",
    1,
};

static bool find_told(struct settling *s, struct payment_outcome *out, struct err *err)
{
    AUTO_DB_RESULT struct db_result *rows = NULL;

    if (out->payment != 0 || out->purchase == 0) {
        return true;
    }
    if (!db_query(s->db, &find_newest, (struct db_value[]){ db_int8(out->purchase) }, &rows, err)) {
        return false;
    }
    out->payment = db_get_int(rows, 0, 0);
    return true;
}

bool payment_settle(struct db *db, const struct payment_money *money, int64_t now_ms,
                    struct arena *arena, struct payment_outcome *out, struct err *err)
{
    struct settling s = {
        .db = db,
        .arena = arena,
        .money = money,
        .now_ms = now_ms,
        .payment = { .receipt = "" },
    };

    *out = (struct payment_outcome){ .why = "" };
    if (!find_owner(&s, err)) {
        return false;
    }
    out->purchase = s.purchase.id;
    out->payment = s.payment.id;
    if (is_provisional(money) && *s.payment.receipt != '\0') {
        out->settled = PAYMENT_KNOWN; /* the real one came meanwhile */
        return true;
    }
    if (!note(&s, err)) {
        return false;
    }
    const bool open = strcmp(s.status, "unmatched") == 0 || strcmp(s.status, "differs") == 0;
    return (open ? settle_new(&s, out, err) : settle_again(&s, out, err)) &&
           find_told(&s, out, err);
}
