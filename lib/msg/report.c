#include "msg/report.h"

#include "msg/message.h"

static const struct field delivery_report_fields[] = {
    FIELD_STR(struct delivery_report, id, 1, REPORT_ID_MAX),
    FIELD_STR(struct delivery_report, phone, 0, REPORT_PHONE_MAX, FIELD_OPTIONAL),
    FIELD_STR(struct delivery_report, status, 1, REPORT_WORD_MAX),
    FIELD_STR(struct delivery_report, network, 0, REPORT_NETWORK_MAX, FIELD_OPTIONAL),
    FIELD_STR(struct delivery_report, reason, 0, REPORT_WORD_MAX, FIELD_OPTIONAL),
    MESSAGE_TIME(struct delivery_report, received_ms, "received_at"),
    FIELD_END,
};

static const struct shape delivery_report_shape = {
    .type = "delivery report",
    .size = sizeof(struct delivery_report),
    .fields = delivery_report_fields,
};

static const struct field delivery_reported_fields[] = {
    FIELD_STR(struct delivery_reported, provider, 1, REPORT_PROVIDER_MAX),
    FIELD_LIST(struct delivery_reported, reports, &delivery_report_shape, 1, REPORTS_MAX),
    FIELD_END,
};

const struct shape delivery_reported_v1 = {
    .type = "delivery.reported.v1",
    .size = sizeof(struct delivery_reported),
    .fields = delivery_reported_fields,
};

static const struct field sms_received_fields[] = {
    FIELD_STR(struct sms_received, provider, 1, REPORT_PROVIDER_MAX),
    FIELD_STR(struct sms_received, id, 1, REPORT_ID_MAX),
    FIELD_STR(struct sms_received, from, 1, REPORT_PHONE_MAX),
    FIELD_STR(struct sms_received, to, 0, REPORT_PHONE_MAX, FIELD_OPTIONAL),
    FIELD_STR(struct sms_received, text, 0, REPORT_TEXT_MAX),
    FIELD_STR(struct sms_received, date, 0, REPORT_WORD_MAX, FIELD_OPTIONAL),
    FIELD_STR(struct sms_received, link_id, 0, REPORT_LINK_MAX, FIELD_OPTIONAL),
    FIELD_STR(struct sms_received, network, 0, REPORT_NETWORK_MAX, FIELD_OPTIONAL),
    MESSAGE_TIME(struct sms_received, received_ms, "received_at"),
    FIELD_END,
};

const struct shape sms_received_v1 = {
    .type = "sms.received.v1",
    .size = sizeof(struct sms_received),
    .fields = sms_received_fields,
};

static const struct field call_reported_fields[] = {
    FIELD_STR(struct call_reported, provider, 1, REPORT_PROVIDER_MAX),
    FIELD_STR(struct call_reported, session, 1, REPORT_ID_MAX),
    FIELD_STR(struct call_reported, phone, 0, REPORT_PHONE_MAX, FIELD_OPTIONAL),
    FIELD_STR(struct call_reported, request, 0, REPORT_WORD_MAX, FIELD_OPTIONAL),
    FIELD_STR(struct call_reported, campaign, 0, REPORT_WORD_MAX, FIELD_OPTIONAL),
    FIELD_BOOL(struct call_reported, ended, FIELD_OPTIONAL),
    FIELD_INT(struct call_reported, step, 0, 100, FIELD_OPTIONAL),
    FIELD_STR(struct call_reported, keys, 0, REPORT_KEYS_MAX, FIELD_OPTIONAL),
    FIELD_INT(struct call_reported, duration_s, 0, REPORT_DURATION_S_MAX, FIELD_OPTIONAL),
    FIELD_INT(struct call_reported, amount_e4, 0, INT32_MAX, FIELD_OPTIONAL),
    FIELD_STR(struct call_reported, currency, 0, 3, FIELD_OPTIONAL),
    FIELD_STR(struct call_reported, status, 0, REPORT_WORD_MAX, FIELD_OPTIONAL),
    FIELD_STR(struct call_reported, cause, 0, REPORT_WORD_MAX, FIELD_OPTIONAL),
    MESSAGE_TIME(struct call_reported, received_ms, "received_at"),
    FIELD_END,
};

const struct shape call_reported_v1 = {
    .type = "call.reported.v1",
    .size = sizeof(struct call_reported),
    .fields = call_reported_fields,
};

static const struct field callback_misread_fields[] = {
    FIELD_STR(struct callback_misread, provider, 1, REPORT_PROVIDER_MAX),
    FIELD_STR(struct callback_misread, kind, 1, REPORT_WORD_MAX),
    FIELD_STR(struct callback_misread, why, 0, REPORT_WHY_MAX),
    /* A byte that is not UTF-8 becomes U+FFFD, three bytes, when it is written. */
    FIELD_STR(struct callback_misread, raw, 0, INT64_C(3) * CALLBACK_RAW_MAX),
    MESSAGE_TIME(struct callback_misread, received_ms, "received_at"),
    FIELD_END,
};

const struct shape callback_misread_v1 = {
    .type = "callback.misread.v1",
    .size = sizeof(struct callback_misread),
    .fields = callback_misread_fields,
};
