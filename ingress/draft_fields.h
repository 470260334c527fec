/*
 * draft_fields - what the bodies of the channels have in common, for draft.c and its parts
 *
 * A channel's table begins with DRAFT_COMMON_FIELDS; the arguments of an upload are read along the
 * same table (draft_arguments.c).
 */
#ifndef INGRESS_DRAFT_FIELDS_H
#define INGRESS_DRAFT_FIELDS_H

#include "draft.h"

struct draft_common {
    const char *title, *missing_default, *country;
    int priority, missing;
    bool launch;
    int64_t scheduled_at, expires_at;
};

/* A field whose name on the wire is not the member's. */
#define DRAFT_FIELD(T, kind, member, wire, ...)                                                    \
    {                                                                                              \
        .type = (kind), .name = (wire), .offset = offsetof(T, member), __VA_ARGS__                 \
    }

#define DRAFT_COMMON_FIELDS(T, in)                                                                 \
    DRAFT_FIELD(T, FIELD_TYPE_STR, in.title, "title", .min = 1, .max = CAMPAIGN_TITLE_MAX),        \
        DRAFT_FIELD(T, FIELD_TYPE_ENUM, in.priority, "priority", .words = draft_priority_words,    \
                    .flags = FIELD_OPTIONAL),                                                      \
        DRAFT_FIELD(T, FIELD_TYPE_BOOL, in.launch, "launch", .flags = FIELD_OPTIONAL),             \
        DRAFT_FIELD(T, FIELD_TYPE_TIME, in.scheduled_at, "scheduledTime",                          \
                    .flags = FIELD_OPTIONAL),                                                      \
        DRAFT_FIELD(T, FIELD_TYPE_TIME, in.expires_at, "expiresAt", .flags = FIELD_OPTIONAL),      \
        DRAFT_FIELD(T, FIELD_TYPE_ENUM, in.missing, "missing", .words = missing_words,             \
                    .flags = FIELD_OPTIONAL),                                                      \
        DRAFT_FIELD(T, FIELD_TYPE_STR, in.missing_default, "missingDefault",                       \
                    .max = CAMPAIGN_MISSING_DEFAULT_MAX, .flags = FIELD_OPTIONAL),                 \
        DRAFT_FIELD(T, FIELD_TYPE_STR, in.country, "country", .max = 2, .flags = FIELD_OPTIONAL)

extern const char *const draft_priority_words[]; /* "normal" "high" NULL */

struct draft_retries {
    int64_t attempts, after_s, below_percent;
};

struct draft_keys {
    const char *repeat;
    int64_t repeats;
    const char *stop;
    struct map answers;
    int64_t wait_s;
    const char *thanks, *stopped;
};

/* What calls are about, those of a campaign and those of a follow-up. */
struct draft_calls {
    const char *audio, *say_template, *say_voice, *caller_id;
    struct draft_retries retries;
    struct draft_keys keys;
};

#define DRAFT_CALLS_FIELDS(T, in)                                                                  \
    DRAFT_FIELD(T, FIELD_TYPE_STR, in.audio, "audioAssetId", .max = ID_TEXT_BYTES - 1,             \
                .flags = FIELD_OPTIONAL),                                                          \
        DRAFT_FIELD(T, FIELD_TYPE_STR, in.say_template, "sayTemplate",                             \
                    .max = CAMPAIGN_TEMPLATE_MAX, .flags = FIELD_OPTIONAL),                        \
        DRAFT_FIELD(T, FIELD_TYPE_STR, in.say_voice, "voice", .max = CAMPAIGN_SAY_VOICE_MAX,       \
                    .flags = FIELD_OPTIONAL),                                                      \
        DRAFT_FIELD(T, FIELD_TYPE_STR, in.caller_id, "callerId", .max = SENDER_ID_MAX,             \
                    .flags = FIELD_OPTIONAL),                                                      \
        DRAFT_FIELD(T, FIELD_TYPE_OBJECT, in.retries, "retries", .shape = &draft_retries_shape,    \
                    .flags = FIELD_OPTIONAL),                                                      \
        DRAFT_FIELD(T, FIELD_TYPE_OBJECT, in.keys, "keys", .shape = &draft_keys_shape,             \
                    .flags = FIELD_OPTIONAL)

extern const struct shape draft_retries_shape;
extern const struct shape draft_keys_shape;

/* followUp, of the one kind or the other: a text to send has none of the calls and the reverse. */
struct draft_follow_up {
    struct strings when;
    const char *message_template, *sender_id;
    struct draft_calls calls;
};

extern const struct shape draft_follow_up_sms_shape;
extern const struct shape draft_follow_up_voice_shape;

/* The last field of each channel's table. */
#define DRAFT_FOLLOW_UP_FIELD(T, member, inner)                                                    \
    DRAFT_FIELD(T, FIELD_TYPE_OBJECT, member, "followUp", .shape = (inner), .flags = FIELD_OPTIONAL)

extern const struct shape draft_sms_shape;
extern const struct shape draft_voice_shape;

/*
 * A misspelt field must not be taken for one left out: unknown_field. where is "" or "keys.", extra
 * a name the shape does not have.
 */
bool draft_check_names(const struct shape *shape, const char *where, const char *extra,
                       const char *json, size_t len, struct err *err)
    __attribute__((warn_unused_result));

/* Overwrites *out_draft. The JSON is asked whether it says anything of launch. */
void draft_take_common(const struct draft_common *common, const char *json, size_t len,
                       struct draft *out_draft);

/* Names in retries and keys; where is "" or "followUp.". */
bool draft_check_calls_names(const char *where, const char *json, size_t len, struct err *err)
    __attribute__((warn_unused_result));

void draft_take_calls(const struct draft_calls *calls, struct campaign_voice *out_voice);

/* What was read of json's followUp, if that is there; the definition's channel is set. An empty one
 * is a mistake: follow_up_empty. */
bool draft_take_follow_up(const struct draft_follow_up *follow, const char *json, size_t len,
                          struct campaign_submitted *definition, struct err *err)
    __attribute__((warn_unused_result));

bool draft_read_voice(const char *json, size_t len, struct arena *arena, struct draft *out_draft,
                      struct err *err) __attribute__((warn_unused_result));

#endif
