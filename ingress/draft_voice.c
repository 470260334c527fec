/*
 * draft_voice - the body of POST /api/communications/voice
 *
 * What the fields mean together is lib/campaign's to check, for every way a campaign comes.
 */
#include "base/id.h"
#include "draft_fields.h"
#include "rows.h"

struct retries {
    int64_t attempts, after_s, below_percent;
};

struct keys {
    const char *repeat;
    int64_t repeats;
    const char *stop;
    struct map answers;
    int64_t wait_s;
    const char *thanks, *stopped;
};

struct voice_body {
    struct draft_common common;
    const char *audio, *say_template, *say_voice, *caller_id;
    struct retries retries;
    struct keys keys;
};

#define RETRIES(kind, member, wire, ...)                                                           \
    DRAFT_FIELD(struct retries, kind, member, wire, .flags = FIELD_OPTIONAL, __VA_ARGS__)

static const struct field retries_fields[] = {
    RETRIES(FIELD_TYPE_INT, attempts, "attempts", .min = 1, .max = CAMPAIGN_ATTEMPTS_MAX),
    RETRIES(FIELD_TYPE_INT, after_s, "afterSeconds", .min = 1, .max = CAMPAIGN_RETRY_S_MAX),
    RETRIES(FIELD_TYPE_INT, below_percent, "belowPercent", .min = 0, .max = 100),
    FIELD_END,
};

static const struct shape retries_shape = {
    .type = "retries",
    .size = sizeof(struct retries),
    .fields = retries_fields,
};

#define KEYS(kind, member, wire, ...)                                                              \
    DRAFT_FIELD(struct keys, kind, member, wire, .flags = FIELD_OPTIONAL, __VA_ARGS__)

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

static const struct shape keys_shape = {
    .type = "keys",
    .size = sizeof(struct keys),
    .fields = keys_fields,
};

#define VOICE(kind, member, wire, ...)                                                             \
    DRAFT_FIELD(struct voice_body, kind, member, wire, .flags = FIELD_OPTIONAL, __VA_ARGS__)

static const struct field voice_fields[] = {
    DRAFT_COMMON_FIELDS(struct voice_body, common),
    VOICE(FIELD_TYPE_STR, audio, "audioAssetId", .max = ID_TEXT_BYTES - 1),
    VOICE(FIELD_TYPE_STR, say_template, "sayTemplate", .max = CAMPAIGN_TEMPLATE_MAX),
    VOICE(FIELD_TYPE_STR, say_voice, "voice", .max = CAMPAIGN_SAY_VOICE_MAX),
    VOICE(FIELD_TYPE_STR, caller_id, "callerId", .max = SENDER_ID_MAX),
    VOICE(FIELD_TYPE_OBJECT, retries, "retries", .shape = &retries_shape),
    VOICE(FIELD_TYPE_OBJECT, keys, "keys", .shape = &keys_shape),
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

bool draft_read_voice(const char *json, size_t len, struct arena *arena, struct draft *out_draft,
                      struct err *err)
{
    struct voice_body body;

    if (!shape_read(&draft_voice_shape, json, len, &body, arena, err) ||
        !draft_check_names(&draft_voice_shape, "", "recipients", json, len, err) ||
        !check_inner_names(&retries_shape, "retries.", json, len, err) ||
        !check_inner_names(&keys_shape, "keys.", json, len, err)) {
        return false;
    }
    draft_take_common(&body.common, json, len, out_draft);
    out_draft->definition.channel = CHANNEL_VOICE;
    out_draft->definition.message_template = body.say_template;
    out_draft->definition.sender_id = body.caller_id;
    out_draft->definition.voice = (struct campaign_voice){
        .audio = body.audio,
        .say_voice = body.say_voice,
        .attempts = body.retries.attempts,
        .retry_after_s = body.retries.after_s,
        .below_percent = body.retries.below_percent,
        .repeat_key = body.keys.repeat,
        .repeats = body.keys.repeats,
        .stop_key = body.keys.stop,
        .answers = body.keys.answers,
        .wait_s = body.keys.wait_s,
        .thanks = body.keys.thanks,
        .stopped = body.keys.stopped,
    };
    return true;
}
