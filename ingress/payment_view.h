/*
 * payment_view - purchases and payments as callers see them
 *
 * The tokens family of the API speaks snake_case. A payment shows its record's status, and beside
 * it in `message` what to tell the payer; what nobody knows yet is never told as failed.
 */
#ifndef INGRESS_PAYMENT_VIEW_H
#define INGRESS_PAYMENT_VIEW_H

#include "payment/payment.h"
#include "plan/plan.h"
#include "request.h"

/* The payment of the path; REPLY_NONE when found. */
enum reply payment_view_find(struct request *req, struct payment *out_payment);

/* Nothing more will come but late word: it is paid, failed, or given up. */
bool payment_view_is_final(const struct payment *payment);

/* {"id":…}: all of it. base is PUBLIC_URL. */
void payment_view_put(struct str *out, const char *base, const struct payment *payment);

/* What to tell the payer. */
const char *payment_view_message(const struct payment *payment);

/* The provider's number of the money, or "" while only its word is known that it was paid. */
const char *payment_view_receipt(const struct payment *payment);

/* "name":"4500.00" */
void payment_view_put_amount(struct str *out, const char *name, int64_t minor);

/* {"plan":…} */
void payment_view_put_subscription(struct str *out, const struct subscription *subscription);

/*
 * Tells settle-payment to ask for the money, and answers 202 with the payment. The payment's row is
 * committed. Told again, it is the same message;
 * nothing is told of one that was begun.
 */
enum reply payment_view_request(struct request *req, const struct payment *payment);

#endif
