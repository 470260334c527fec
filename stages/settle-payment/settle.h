/*
 * settle - what the files of this stage share
 */
#ifndef SETTLE_PAYMENT_SETTLE_H
#define SETTLE_PAYMENT_SETTLE_H

#include <stdbool.h>
#include <stdint.h>

#include "msg/payment.h"
#include "payment/payment.h"
#include "provider/daraja.h"
#include "stage/stage.h"

/* payments.reason: the provider calls it paid, and its receipt has not come. */
#define AWAITING_RECEIPT "paid_receipt_awaited"

struct settle_conf {
    struct daraja_conf mpesa;
    const char *c2b_token;
    long push_within_ms;
    long query_after_ms;
    long query_per_minute;
    long credit_without_receipt_ms;
    long give_up_ms;
};

/* push.c: payment.requested.v1 */
enum verdict push_handle(struct stage *stage, const struct message *in);

/* reported.c: payment.reported.v1 */
enum verdict reported_handle(struct stage *stage, const struct message *in);

/* query.c: the tick, which asks about payments of which nobody has told. */
bool query_tick(struct stage *stage, struct err *err);

/* reverse.c: one reversal whose turn it is is asked for; *out_any: there was one. */
bool reverse_tick(struct stage *stage, bool *out_any, struct err *err);

/*
 * What a Result says of the reversal that its address names; *out_verdict is what is kept of it,
 * *out_payment the payment of which it tells, or 0.
 */
bool reverse_take(struct stage *stage, const char *secret, const char *raw,
                  const char **out_verdict, const char **out_detail, int64_t *out_payment,
                  struct err *err);

/*
 * tell.c: tells what has become of a payment, as its row says now. A replay tells the same under
 * the same id.
 */
bool tell(struct stage *stage, int64_t payment, struct err *err);

/* Counts what became of a push, a callback or a query. */
void tell_count(struct stage *stage, const char *what, const char *outcome);

/* A push that is not made, with the settings or the request at fault, and the payment that fails.
 */
bool tell_failed(struct stage *stage, int64_t payment, const char *reason, const char *detail,
                 struct err *err);

#endif
