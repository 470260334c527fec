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

bool draft_read_voice(const char *json, size_t len, struct arena *arena, struct draft *out_draft,
                      struct err *err) __attribute__((warn_unused_result));

#endif
