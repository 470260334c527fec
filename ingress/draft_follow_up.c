/*
 * draft_follow_up - followUp: what whom the campaign did not reach gets on the other channel
 */
#include "campaign/follow_up.h"
#include "draft_fields.h"
#include "rows.h"

#define FOLLOW_UP(kind, member, wire, ...)                                                         \
    DRAFT_FIELD(struct draft_follow_up, kind, member, wire, .flags = FIELD_OPTIONAL, __VA_ARGS__)

#define WHEN                                                                                       \
    FOLLOW_UP(FIELD_TYPE_STRINGS, when, "when", .max = CAMPAIGN_FOLLOW_WORDS_MAX,                  \
              .item_max = CAMPAIGN_FOLLOW_WORD_MAX)

static const struct field sms_fields[] = {
    WHEN,
    FOLLOW_UP(FIELD_TYPE_STR, message_template, "messageTemplate", .max = CAMPAIGN_TEMPLATE_MAX),
    FOLLOW_UP(FIELD_TYPE_STR, sender_id, "senderId", .max = SENDER_ID_MAX),
    FIELD_END,
};

const struct shape draft_follow_up_sms_shape = {
    .type = "followUp",
    .size = sizeof(struct draft_follow_up),
    .fields = sms_fields,
};

static const struct field voice_fields[] = {
    WHEN,
    DRAFT_CALLS_FIELDS(struct draft_follow_up, calls),
    FIELD_END,
};

const struct shape draft_follow_up_voice_shape = {
    .type = "followUp",
    .size = sizeof(struct draft_follow_up),
    .fields = voice_fields,
};

bool draft_take_follow_up(const struct draft_follow_up *follow, const char *json, size_t len,
                          struct campaign_submitted *definition, struct err *err)
{
    const bool calls = definition->channel == CHANNEL_SMS;
    const struct shape *shape = calls ? &draft_follow_up_voice_shape : &draft_follow_up_sms_shape;
    struct campaign_follow_up *out = &definition->follow_up;
    const char *inner;
    size_t inner_len;

    if (!json_member(json, len, "followUp", &inner, &inner_len) || *inner == 'n') {
        return true;
    }
    if (!draft_check_names(shape, "followUp.", shape->fields->name, inner, inner_len, err) ||
        (calls && !draft_check_calls_names("followUp.", inner, inner_len, err))) {
        return false;
    }
    out->when = follow->when;
    out->message_template = calls ? follow->calls.say_template : follow->message_template;
    out->sender_id = calls ? follow->calls.caller_id : follow->sender_id;
    draft_take_calls(&follow->calls, &out->voice);
    return follow_up_is_wanted(definition) ||
           err_permanent(err, "follow_up_empty", "followUp: is empty; give %s, or leave it out",
                         calls ? "sayTemplate or audioAssetId" : "messageTemplate");
}
