/*
 * payment - a purchase is to be paid, and what the payment provider says of it
 *
 * The ingress stores the row and passes the provider's words on untouched, with the secret of the
 * address they came to; settle-payment gives them their meaning. Ids on the wire are "pay_…" and
 * "pur_…" (base/id.h).
 */
#ifndef MSG_PAYMENT_H
#define MSG_PAYMENT_H

#include <stdint.h>

#include "json/shape.h"

#define PAYMENT_PROVIDER_MAX 32
#define PAYMENT_KIND_MAX 32
#define PAYMENT_SECRET_MAX 64 /* hexadecimal: M-Pesa forbids words in addresses */
#define PAYMENT_PEER_MAX 45   /* an IPv6 address */
#define PAYMENT_RAW_MAX 16384
#define PAYMENT_RECEIPT_MAX 64
#define PAYMENT_REASON_MAX 64
#define PAYMENT_DETAIL_MAX 200

struct payment_requested {
    const char *payment;
};

/* received_ms is received_at on the wire. */
struct payment_reported {
    const char *provider; /* "mpesa" */
    const char *kind;     /* the address: "stk", "confirmation", "validation", "result" */
    const char *secret;   /* of the address; "" when it has none */
    const char *peer;     /* who posted it: logged, not trusted */
    const char *raw;      /* the body, at most PAYMENT_RAW_MAX bytes, whatever they are */
    int64_t received_ms;
};

/* An event. at_ms is at on the wire. */
struct payment_changed {
    const char *payment;
    const char *purchase;
    const char *account;   /* slug */
    const char *reference; /* of the purchase, as the payer sees it */
    const char *plan;
    const char *purchase_status; /* "open", "paid": perhaps by other money than this payment's */
    const char *status;          /* payments.status */
    const char *reason;          /* "" none */
    const char *detail;          /* "" none */
    const char *receipt;         /* "" until it is paid */
    const char *currency;
    int64_t amount_minor;
    int64_t tokens;
    int64_t at_ms;
};

extern const struct shape payment_requested_v1;
extern const struct shape payment_reported_v1;
extern const struct shape payment_changed_v1;

#endif
