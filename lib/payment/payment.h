/*
 * payment - what accounts buy, each try to pay for it, and the money that came
 *
 *     purchase_create(db, account, "business", now, arena, &purchase, &err);
 *     payment_create(db, &purchase, msisdn, now, arena, &payment, &err);
 *     … commit, publish payment.requested.v1 with "pay_" and payment.id, answer 202 …
 *
 *     payment_settle(db, &money, now, arena, &settled, &err);    // a receipt was told of
 *
 * Money is known by its receipt, the provider's own number of it, and each is settled once: it pays
 * the purchase it belongs to if that is open and costs as much; all other money is kept as work for
 * a person. The payment's and the purchase's rows follow from it. One transaction, the caller's,
 * holds all of that; a purchase's row is locked before its payments', and those before the account.
 *
 * Money is in minor units, times in milliseconds, texts live in the arena and are "" where there is
 * nothing. Ids are shown as "pur_…" and "pay_…" (base/id.h).
 */
#ifndef PAYMENT_PAYMENT_H
#define PAYMENT_PAYMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "db/db.h"

#define PAYMENT_PROVIDER_MPESA "mpesa"

/* So long a payment whose push got no answer keeps its purchase from being paid again. */
#define PAYMENT_AGAIN_MS INT64_C(120000)
/* A payment whose push was not even begun by then has failed. */
#define PAYMENT_UNBEGUN_MS INT64_C(600000)
/* Instead of a receipt, before the checkout_request of a payment that was credited without one. */
#define PAYMENT_NO_RECEIPT "QUERY-"

struct purchase {
    int64_t id;
    int64_t account;
    const char *account_slug;
    const char *reference; /* "TK" and digits */
    const char *plan;
    const char *currency;
    const char *status;         /* "open", "paid", "reversed" */
    int64_t tokens, valid_days; /* as they were when it was made, like the amount */
    int64_t amount_minor;
    int64_t created_ms, paid_ms;
};

struct payment {
    int64_t id;
    int64_t purchase;
    int64_t account;
    const char *provider;
    const char *currency;
    const char *status, *reason, *detail;
    const char *merchant_request, *checkout_request;
    const char *receipt;
    int64_t msisdn;
    int64_t amount_minor;
    int64_t queries, next_query_ms;
    int64_t created_ms, pushed_ms, ended_ms;
    /* Of its purchase and account. */
    const char *reference, *plan, *purchase_status;
    int64_t tokens;
    const char *account_slug;
};

/*
 * An open purchase on the plan's terms of now. A free plan is had at once: then status is "paid".
 * Permanent: plan_unknown, plan_not_on_sale, plan_only_once.
 */
bool purchase_create(struct db *db, int64_t account, const char *plan, int64_t now_ms,
                     struct arena *arena, struct purchase *out, struct err *err)
    __attribute__((warn_unused_result));

/* By id or by reference; account 0 is any. Permanent: purchase_unknown. */
bool purchase_find(struct db *db, int64_t account, int64_t id, struct arena *arena,
                   struct purchase *out, struct err *err) __attribute__((warn_unused_result));
bool purchase_find_by_reference(struct db *db, int64_t account, const char *reference,
                                struct arena *arena, struct purchase *out, struct err *err)
    __attribute__((warn_unused_result));

/* The newest first, those before id `before` (0: from the newest), at most `most`; account 0: all.
 */
bool purchase_list(struct db *db, int64_t account, int64_t before, size_t most, struct arena *arena,
                   struct purchase **out_list, size_t *out_count, struct err *err)
    __attribute__((warn_unused_result));

/*
 * A try to pay it, "requested". Permanent: purchase_paid, payment_under_way (another may still be
 * paid: the payer is not to be asked twice at once).
 */
bool payment_create(struct db *db, const struct purchase *purchase, int64_t msisdn, int64_t now_ms,
                    struct arena *arena, struct payment *out, struct err *err)
    __attribute__((warn_unused_result));

/* account 0 is any. Permanent: payment_unknown. */
bool payment_find(struct db *db, int64_t account, int64_t id, struct arena *arena,
                  struct payment *out, struct err *err) __attribute__((warn_unused_result));

/* Those of one purchase (0: of any), of one status (NULL: any); otherwise as purchase_list(). */
bool payment_list(struct db *db, int64_t account, int64_t purchase, const char *status,
                  int64_t before, size_t most, struct arena *arena, struct payment **out_list,
                  size_t *out_count, struct err *err) __attribute__((warn_unused_result));

/*
 * The provider is asked about it at once, however long it was given up. Permanent: payment_unknown,
 * payment_not_askable (it is settled, or the provider has no name for it).
 */
bool payment_ask(struct db *db, int64_t id, int64_t now_ms, struct arena *arena, struct err *err)
    __attribute__((warn_unused_result));

/*
 * Lets settle-payment tell of it (payment 0: of the purchase's newest), for a caller that has no
 * way to tell. In the caller's transaction.
 */
bool payment_tell_later(struct db *db, int64_t purchase, int64_t payment, int64_t now_ms,
                        struct err *err) __attribute__((warn_unused_result));

struct receipt {
    const char *receipt;
    const char *provider;
    const char *currency;
    const char *payer;
    const char *bill_reference;
    const char *source; /* "stk", "confirmation", "statement", "operator" */
    const char *status; /* "credited", "unmatched", "differs", "reversing", "reversed" */
    const char *why;
    int64_t amount_minor;
    int64_t payment, purchase; /* 0: none */
    int64_t paid_ms, noted_ms;
};

enum receipts_wanted {
    RECEIPTS_ALL,
    RECEIPTS_OPEN, /* unmatched or differing: work for a person */
};

/* The last noted first, at most `most`, noted before a time (0: from the last). */
bool receipt_list(struct db *db, enum receipts_wanted wanted, int64_t before_ms, size_t most,
                  struct arena *arena, struct receipt **out_list, size_t *out_count,
                  struct err *err) __attribute__((warn_unused_result));

/* Permanent: receipt_unknown. */
bool receipt_find(struct db *db, const char *receipt, struct arena *arena, struct receipt *out,
                  struct err *err) __attribute__((warn_unused_result));

/*
 * Whoever owes it decided that an unmatched or differing receipt pays a purchase, whatever its
 * amount; why is kept with it. Permanent: receipt_unknown, receipt_credited, receipt_reversed,
 * purchase_unknown, purchase_paid, and those of plan_subscribe().
 */
bool payment_match(struct db *db, const char *receipt, const char *reference, const char *why,
                   int64_t now_ms, struct arena *arena, struct purchase *out, struct err *err)
    __attribute__((warn_unused_result));

/* Money, as somebody who knows tells of it. */
struct payment_money {
    const char *provider;
    const char *receipt;
    int64_t amount_minor;
    const char *currency;
    const char *payer;          /* NULL: not told */
    const char *bill_reference; /* what the payer typed; NULL: not told */
    const char *source;         /* as in struct receipt */
    int64_t payment;            /* whose it is for sure; 0: found by the bill_reference */
    int64_t paid_ms;            /* 0: not told */
};

enum payment_settled {
    PAYMENT_CREDITED,
    PAYMENT_KNOWN,     /* it was credited before, under this receipt or without one, or paid back */
    PAYMENT_UNMATCHED, /* no purchase of that name, or it is paid already */
    PAYMENT_DIFFERS,   /* another amount than asked */
};
const char *payment_settled_word(enum payment_settled settled); /* "credited", … */

struct payment_outcome {
    enum payment_settled settled;
    const char *why;  /* for people; "" when credited */
    int64_t purchase; /* 0: none */
    int64_t payment;  /* of which is to be told; 0: none */
};

/*
 * Settles it, or finds that it is settled. The same money told twice, by whom it may, is credited
 * once: also when the payment was credited without a receipt before.
 */
bool payment_settle(struct db *db, const struct payment_money *money, int64_t now_ms,
                    struct arena *arena, struct payment_outcome *out, struct err *err)
    __attribute__((warn_unused_result));

#endif
