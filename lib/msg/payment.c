#include "msg/payment.h"

#include "base/id.h"
#include "msg/campaign.h"
#include "msg/message.h"

#define AMOUNT_MAX INT64_C(100000000000000)

static const struct field requested_fields[] = {
    FIELD_STR(struct payment_requested, payment, 1, ID_TEXT_BYTES - 1),
    FIELD_END,
};

const struct shape payment_requested_v1 = {
    .type = "payment.requested.v1",
    .size = sizeof(struct payment_requested),
    .fields = requested_fields,
};

static const struct field reported_fields[] = {
    FIELD_STR(struct payment_reported, provider, 1, PAYMENT_PROVIDER_MAX),
    FIELD_STR(struct payment_reported, kind, 1, PAYMENT_KIND_MAX),
    FIELD_STR(struct payment_reported, secret, 0, PAYMENT_SECRET_MAX, FIELD_OPTIONAL),
    FIELD_STR(struct payment_reported, peer, 0, PAYMENT_PEER_MAX, FIELD_OPTIONAL),
    /* A byte that is not UTF-8 becomes U+FFFD, three bytes, when it is written. */
    FIELD_STR(struct payment_reported, raw, 0, INT64_C(3) * PAYMENT_RAW_MAX),
    MESSAGE_TIME(struct payment_reported, received_ms, "received_at"),
    FIELD_END,
};

const struct shape payment_reported_v1 = {
    .type = "payment.reported.v1",
    .size = sizeof(struct payment_reported),
    .fields = reported_fields,
};

static const struct field changed_fields[] = {
    FIELD_STR(struct payment_changed, payment, 1, ID_TEXT_BYTES - 1),
    FIELD_STR(struct payment_changed, purchase, 1, ID_TEXT_BYTES - 1),
    FIELD_STR(struct payment_changed, account, 1, ACCOUNT_SLUG_MAX),
    FIELD_STR(struct payment_changed, reference, 1, CAMPAIGN_REFERENCE_MAX),
    FIELD_STR(struct payment_changed, plan, 1, PAYMENT_REASON_MAX),
    FIELD_STR(struct payment_changed, purchase_status, 1, PAYMENT_REASON_MAX),
    FIELD_STR(struct payment_changed, status, 1, PAYMENT_REASON_MAX),
    FIELD_STR(struct payment_changed, reason, 0, PAYMENT_REASON_MAX, FIELD_OPTIONAL),
    FIELD_STR(struct payment_changed, detail, 0, PAYMENT_DETAIL_MAX, FIELD_OPTIONAL),
    FIELD_STR(struct payment_changed, receipt, 0, PAYMENT_RECEIPT_MAX, FIELD_OPTIONAL),
    FIELD_STR(struct payment_changed, currency, 3, 3),
    FIELD_INT(struct payment_changed, amount_minor, 0, AMOUNT_MAX),
    FIELD_INT(struct payment_changed, tokens, 0, AMOUNT_MAX),
    MESSAGE_TIME(struct payment_changed, at_ms, "at"),
    FIELD_END,
};

const struct shape payment_changed_v1 = {
    .type = "payment.changed.v1",
    .size = sizeof(struct payment_changed),
    .fields = changed_fields,
};
