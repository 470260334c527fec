/*
 * rows - how rows become structs: what the files of this layer share
 */
#ifndef PAYMENT_ROWS_H
#define PAYMENT_ROWS_H

#include "payment/payment.h"

#define PURCHASE_COLUMNS                                                                           \
    "p.id, p.account_id, a.slug, p.reference, p.plan, p.currency::text, p.status, p.tokens,"       \
    " p.amount_minor, p.created_at, p.paid_at, p.valid_days"
#define PURCHASE_TABLES " FROM purchases p JOIN accounts a ON a.id = p.account_id"

void purchase_read(const struct db_result *rows, int row, struct arena *arena,
                   struct purchase *out);

#define PAYMENT_COLUMNS                                                                            \
    "y.id, y.purchase_id, y.account_id, y.provider, y.currency::text, y.status, y.reason,"         \
    " y.detail, y.merchant_request, y.checkout_request, y.receipt, y.msisdn, y.amount_minor,"      \
    " y.queries, y.next_query_at, y.created_at, y.pushed_at, y.ended_at, p.reference, p.plan,"     \
    " p.status, p.tokens, a.slug"
#define PAYMENT_TABLES                                                                             \
    " FROM payments y JOIN purchases p ON p.id = y.purchase_id"                                    \
    " JOIN accounts a ON a.id = y.account_id"

void payment_read(const struct db_result *rows, int row, struct arena *arena, struct payment *out);

/* The account has it from now on. Permanent: those of plan_subscribe(). */
bool purchase_grant(struct db *db, const struct purchase *purchase, int64_t now_ms,
                    struct arena *arena, struct err *err);

/* A text of a row in the arena; "" for NULL. */
const char *rows_text(const struct db_result *rows, int row, int col, struct arena *arena);

#endif
