/*
 * draft_voice - the body of POST /api/communications/voice
 *
 * What the fields mean together is lib/campaign's to check, for every way a campaign comes.
 */
#include "base/id.h"
#include "draft_fields.h"
#include "rows.h"

struct voice_body {
    struct draft_common common;
    struct draft_calls calls;
    struct draft_follow_up follow_up;
};

#define RETRIES(kind, member, wire, ...)                                                           \
    DRAFT_FIELD(struct draft_retries, kind, member, wire, .flags = FIELD_OPTIONAL, __VA_ARGS__)

static const struct field retries_fields[] = {
    RETRIES(FIELD_TYPE_INT, attempts, "attempts", .min = 1, .max = CAMPAIGN_ATTEMPTS_MAX),
    RETRIES(FIELD_TYPE_INT, after_s, "afterSeconds", .min = 1, .max = CAMPAIGN_RETRY_S_MAX),
    RETRIES(FIELD_TYPE_INT, below_percent, "belowPercent", .min = 0, .max = 100),
    FIELD_END,
};

const struct shape draft_retries_shape = {
    .type = "retries",
    .size = sizeof(struct draft_retries),
    .fields = retries_fields,
};

#define KEYS(kind, member, wire, ...)                                                              \
    DRAFT_FIELD(struct draft_keys, kind, member, wire, .flags = FIELD_OPTIONAL, __VA_ARGS__)

static const struct field keys_fields[] = {
    KEYS(FIELD_TYPE_STR, repeat, "repeat", .max = 1),
    KEYS(FIELD_TYPE_INT, repeats, "repeats", .min = 0, .max = CAMPAIGN_REPEATS_MAX),
    KEYS(FIELD_TYPE_STR, stop, "stop", .max = 1),
    KEYS(FIELD_TYPE_MAP, answers, "answers", .max = CAMPAIGN_ANSWERS_MAX,
         .item_max = CAMPAIGN_LABEL_MAX),
    KEYS(FIELD_TYPE_INT, wait_s, "waitSeconds", .min = 1, .max = CAMPAIGN_WAIT_S_MAX),
    KEYS(FIELD_TYPE_STR, thanks, "thanks", .max = CAMPAIGN_CLOSING_MAX),
    KEYS(FIELD_TYPE_STR, stopped, "stopped", .max = CAMPAIGN_CLOSING_MAX),
    FIELD_END,
};

const struct shape draft_keys_shape = {
    .type = "keys",
    .size = sizeof(struct draft_keys),
    .fields = keys_fields,
};

static const struct field voice_fields[] = {
    DRAFT_COMMON_FIELDS(struct voice_body, common),
    DRAFT_CALLS_FIELDS(struct voice_body, calls),
    DRAFT_FOLLOW_UP_FIELD(struct voice_body, follow_up, &draft_follow_up_sms_shape),
    FIELD_END,
};

const struct shape draft_voice_shape = {
    .type = "voice campaign",
    .size = sizeof(struct voice_body),
    .fields = voice_fields,
};

static bool check_inner_names(const struct shape *shape, const char *where, const char *json,
                              size_t len, struct err *err)
{
    const char *inner;
    size_t inner_len;

    return !json_member(json, len, shape->type, &inner, &inner_len) ||
           draft_check_names(shape, where, shape->fields->name, inner, inner_len, err);
}

bool draft_check_calls_names(const char *where, const char *json, size_t len, struct err *err)
{
    struct err inner;

    return (check_inner_names(&draft_retries_shape, "retries.", json, len, &inner) &&
            check_inner_names(&draft_keys_shape, "keys.", json, len, &inner)) ||
           err_permanent(err, inner.what, "%s%s", where, inner.detail);
}

void draft_take_calls(const struct draft_calls *calls, struct campaign_voice *out_voice)
{
    *out_voice = (struct campaign_voice){
        .audio = calls->audio,
        .say_voice = calls->say_voice,
        .attempts = calls->retries.attempts,
        .retry_after_s = calls->retries.after_s,
        .below_percent = calls->retries.below_percent,
        .repeat_key = calls->keys.repeat,
        .repeats = calls->keys.repeats,
        .stop_key = calls->keys.stop,
        .answers = calls->keys.answers,
        .wait_s = calls->keys.wait_s,
        .thanks = calls->keys.thanks,
        .stopped = calls->keys.stopped,
    };
}

bool draft_read_voice(const char *json, size_t len, struct arena *arena, struct draft *out_draft,
                      struct err *err)
{
    struct voice_body body;

    if (!shape_read(&draft_voice_shape, json, len, &body, arena, err) ||
        !draft_check_names(&draft_voice_shape, "", "recipients", json, len, err) ||
        !draft_check_calls_names("", json, len, err)) {
        return false;
    }
    draft_take_common(&body.common, json, len, out_draft);
    out_draft->definition.channel = CHANNEL_VOICE;
    out_draft->definition.message_template = body.calls.say_template;
    out_draft->definition.sender_id = body.calls.caller_id;
    draft_take_calls(&body.calls, &out_draft->definition.voice);
    return draft_take_follow_up(&body.follow_up, json, len, &out_draft->definition, err);
}
