#include "msg/event.h"

#include "base/id.h"
#include "msg/campaign.h"
#include "msg/message.h"

static const struct field campaign_fields[] = {
    FIELD_STR(struct campaign_event, campaign, 1, ID_TEXT_BYTES - 1),
    FIELD_STR(struct campaign_event, reference, 0, CAMPAIGN_REFERENCE_MAX, FIELD_OPTIONAL),
    FIELD_STR(struct campaign_event, account, 1, ACCOUNT_SLUG_MAX),
    FIELD_STR(struct campaign_event, status, 1, EVENT_WORD_MAX),
    FIELD_STR(struct campaign_event, detail, 0, EVENT_DETAIL_MAX, FIELD_OPTIONAL),
    FIELD_INT(struct campaign_event, planned, 0, EVENT_COUNT_MAX),
    FIELD_INT(struct campaign_event, sent, 0, EVENT_COUNT_MAX),
    FIELD_INT(struct campaign_event, delivered, 0, EVENT_COUNT_MAX),
    FIELD_INT(struct campaign_event, failed, 0, EVENT_COUNT_MAX),
    FIELD_INT(struct campaign_event, expired, 0, EVENT_COUNT_MAX),
    FIELD_INT(struct campaign_event, in_doubt, 0, EVENT_COUNT_MAX),
    FIELD_INT(struct campaign_event, suppressed, 0, EVENT_COUNT_MAX),
    FIELD_INT(struct campaign_event, cancelled, 0, EVENT_COUNT_MAX),
    FIELD_INT(struct campaign_event, invalid, 0, EVENT_COUNT_MAX),
    FIELD_INT(struct campaign_event, duplicates, 0, EVENT_COUNT_MAX),
    FIELD_INT(struct campaign_event, tokens, 0, EVENT_TOKENS_MAX),
    MESSAGE_TIME(struct campaign_event, at_ms, "at"),
    FIELD_END,
};

const struct shape campaign_changed_v1 = {
    .type = "campaign.changed.v1",
    .size = sizeof(struct campaign_event),
    .fields = campaign_fields,
};

const struct shape campaign_completed_v1 = {
    .type = "campaign.completed.v1",
    .size = sizeof(struct campaign_event),
    .fields = campaign_fields,
};

static const struct field parked_fields[] = {
    FIELD_STR(struct parked_event, account, 1, ACCOUNT_SLUG_MAX),
    FIELD_STR(struct parked_event, message_id, 0, EVENT_SHORTSTR_MAX, FIELD_OPTIONAL),
    FIELD_STR(struct parked_event, type, 0, EVENT_SHORTSTR_MAX, FIELD_OPTIONAL),
    FIELD_STR(struct parked_event, stage, 1, EVENT_WORD_MAX),
    FIELD_STR(struct parked_event, why, 1, EVENT_WORD_MAX),
    FIELD_STR(struct parked_event, detail, 0, EVENT_DETAIL_MAX, FIELD_OPTIONAL),
    MESSAGE_TIME(struct parked_event, at_ms, "at"),
    FIELD_END,
};

const struct shape message_parked_v1 = {
    .type = "message.parked.v1",
    .size = sizeof(struct parked_event),
    .fields = parked_fields,
};

static const struct field route_fields[] = {
    FIELD_STR(struct route_event, route, 1, EVENT_WORD_MAX),
    FIELD_STR(struct route_event, why, 0, EVENT_WORD_MAX, FIELD_OPTIONAL),
    FIELD_STR(struct route_event, detail, 0, EVENT_DETAIL_MAX, FIELD_OPTIONAL),
    MESSAGE_TIME(struct route_event, until_ms, "until", FIELD_OPTIONAL),
    MESSAGE_TIME(struct route_event, at_ms, "at"),
    FIELD_END,
};

const struct shape route_held_v1 = {
    .type = "route.held.v1",
    .size = sizeof(struct route_event),
    .fields = route_fields,
};

const struct shape route_opened_v1 = {
    .type = "route.opened.v1",
    .size = sizeof(struct route_event),
    .fields = route_fields,
};

static const struct field transfer_fields[] = {
    FIELD_STR(struct transfer_event, account, 1, ACCOUNT_SLUG_MAX),
    FIELD_STR(struct transfer_event, from, 1, ACCOUNT_SLUG_MAX),
    FIELD_STR(struct transfer_event, to, 1, ACCOUNT_SLUG_MAX),
    FIELD_STR(struct transfer_event, reference, 1, EVENT_REFERENCE_MAX),
    FIELD_STR(struct transfer_event, reason, 0, EVENT_DETAIL_MAX, FIELD_OPTIONAL),
    FIELD_STR(struct transfer_event, actor, 0, EVENT_REFERENCE_MAX, FIELD_OPTIONAL),
    FIELD_INT(struct transfer_event, tokens, 1, EVENT_TOKENS_MAX),
    MESSAGE_TIME(struct transfer_event, at_ms, "at"),
    FIELD_END,
};

const struct shape tokens_transferred_v1 = {
    .type = "tokens.transferred.v1",
    .size = sizeof(struct transfer_event),
    .fields = transfer_fields,
};

static const struct field alert_fields[] = {
    FIELD_STR(struct alert_event, alert, 1, ID_TEXT_BYTES - 1),
    FIELD_STR(struct alert_event, account, 0, ACCOUNT_SLUG_MAX, FIELD_OPTIONAL),
    FIELD_STR(struct alert_event, kind, 1, EVENT_WORD_MAX),
    FIELD_STR(struct alert_event, day, 1, EVENT_WORD_MAX),
    FIELD_STR(struct alert_event, detail, 0, EVENT_DETAIL_MAX, FIELD_OPTIONAL),
    FIELD_INT(struct alert_event, value, -EVENT_AMOUNT_MAX, EVENT_AMOUNT_MAX),
    FIELD_INT(struct alert_event, threshold, 0, EVENT_AMOUNT_MAX, FIELD_OPTIONAL),
    MESSAGE_TIME(struct alert_event, expires_ms, "expires", FIELD_OPTIONAL),
    FIELD_STR(struct alert_event, currency, 0, 3, FIELD_OPTIONAL),
    MESSAGE_TIME(struct alert_event, at_ms, "at"),
    FIELD_END,
};

const struct shape account_alerted_v1 = {
    .type = "account.alerted.v1",
    .size = sizeof(struct alert_event),
    .fields = alert_fields,
};
