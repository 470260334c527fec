#include "draft.h"

#include <string.h>

#include "base/clock.h"
#include "campaign/columns.h"
#include "campaign/store.h"
#include "draft_fields.h"
#include "idempotency.h"
#include "lease.h"
#include "rows.h"
#include "text/template.h"

const char *const draft_priority_words[] = { "normal", "high", NULL };

struct sms_body {
    struct draft_common common;
    const char *message_template, *sender_id;
    bool keep_whitespace;
    struct draft_follow_up follow_up;
};

#define SMS(kind, member, wire, ...) DRAFT_FIELD(struct sms_body, kind, member, wire, __VA_ARGS__)

static const struct field sms_fields[] = {
    DRAFT_COMMON_FIELDS(struct sms_body, common),
    SMS(FIELD_TYPE_STR, message_template, "messageTemplate", .min = 1,
        .max = CAMPAIGN_TEMPLATE_MAX),
    SMS(FIELD_TYPE_STR, sender_id, "senderId", .max = SENDER_ID_MAX, .flags = FIELD_OPTIONAL),
    SMS(FIELD_TYPE_BOOL, keep_whitespace, "keepWhitespace", .flags = FIELD_OPTIONAL),
    DRAFT_FOLLOW_UP_FIELD(struct sms_body, follow_up, &draft_follow_up_voice_shape),
    FIELD_END,
};

const struct shape draft_sms_shape = {
    .type = "SMS campaign",
    .size = sizeof(struct sms_body),
    .fields = sms_fields,
};

struct send_options {
    bool enqueue;
    int64_t scheduled_time;
    int priority;
};

static const struct field send_options_fields[] = {
    FIELD_BOOL(struct send_options, enqueue, FIELD_OPTIONAL),
    FIELD_TIME(struct send_options, scheduled_time, FIELD_OPTIONAL),
    FIELD_ENUM(struct send_options, priority, draft_priority_words, FIELD_OPTIONAL),
    FIELD_END,
};

static const struct shape send_options_shape = {
    .type = "options",
    .size = sizeof(struct send_options),
    .fields = send_options_fields,
};

struct send_body {
    const char *message, *sender_id;
    struct send_options options;
};

static const struct field send_fields[] = {
    FIELD_STR(struct send_body, message, 1, CAMPAIGN_TEMPLATE_MAX),
    FIELD_STR(struct send_body, sender_id, 0, SENDER_ID_MAX, FIELD_OPTIONAL),
    FIELD_OBJECT(struct send_body, options, &send_options_shape, FIELD_OPTIONAL),
    FIELD_END,
};

static const struct shape send_shape = {
    .type = "message",
    .size = sizeof(struct send_body),
    .fields = send_fields,
};

bool draft_check_names(const struct shape *shape, const char *where, const char *extra,
                       const char *json, size_t len, struct err *err)
{
    const char *known[24];
    struct err inner;
    size_t count = 0;

    known[count++] = extra;
    for (const struct field *field = shape->fields; field->type != FIELD_TYPE_END; field++) {
        known[count++] = field->name;
    }
    return json_check_members(json, len, known, count, &inner) ||
           err_permanent(err, inner.what, "%s%s", where, inner.detail);
}

void draft_take_common(const struct draft_common *common, const char *json, size_t len,
                       struct draft *out_draft)
{
    const char *value;
    size_t value_len;
    bool says_launch = json_member(json, len, "launch", &value, &value_len) && *value != 'n';

    *out_draft = (struct draft){
        .kind = "campaign",
        .lane = common->priority == 1 ? LANE_HIGH : LANE_NORMAL,
        .definition = { .title = common->title,
                        .missing = common->missing,
                        .missing_default = common->missing_default,
                        .country = common->country,
                        .hold = says_launch && !common->launch,
                        .scheduled_at = common->scheduled_at,
                        .expires_at = common->expires_at },
    };
}

static bool read_sms(const char *json, size_t len, struct arena *arena, struct draft *out_draft,
                     struct err *err)
{
    struct sms_body body;

    if (!shape_read(&draft_sms_shape, json, len, &body, arena, err) ||
        !draft_check_names(&draft_sms_shape, "", "recipients", json, len, err)) {
        return false;
    }
    draft_take_common(&body.common, json, len, out_draft);
    out_draft->definition.message_template = body.message_template;
    out_draft->definition.sender_id = body.sender_id;
    out_draft->definition.keep_whitespace = body.keep_whitespace;
    return draft_take_follow_up(&body.follow_up, json, len, &out_draft->definition, err);
}

bool draft_read(enum channel channel, const char *json, size_t len, struct arena *arena,
                struct draft *out_draft, struct err *err)
{
    return channel == CHANNEL_VOICE ? draft_read_voice(json, len, arena, out_draft, err)
                                    : read_sms(json, len, arena, out_draft, err);
}

bool draft_read_message(const char *json, size_t len, struct arena *arena, struct draft *out_draft,
                        struct err *err)
{
    struct send_body body;
    const char *options;
    size_t options_len;

    if (!shape_read(&send_shape, json, len, &body, arena, err) ||
        !draft_check_names(&send_shape, "", "recipients", json, len, err)) {
        return false;
    }
    if (json_member(json, len, "options", &options, &options_len) &&
        !draft_check_names(&send_options_shape, "", "enqueue", options, options_len, err)) {
        return false;
    }
    *out_draft = (struct draft){
        .kind = "message",
        .lane = body.options.priority == 1 ? LANE_HIGH : LANE_NORMAL,
        .definition = { .title = "Message",
                        .message_template = body.message,
                        .sender_id = body.sender_id,
                        .scheduled_at = body.options.scheduled_time },
    };
    return true;
}

/* field: "" or "follow_up.". */
static bool check_template(const char *field, const char *source, const char *const *columns,
                           size_t count, struct arena *arena, struct err *err)
{
    const struct text_template *compiled;
    const struct text_binding *binding;
    struct err inner;

    if (source != NULL && *source != '\0' &&
        (!text_template_compile(source, strlen(source), arena, &compiled, &inner) ||
         !text_template_bind(compiled, columns, count, arena, &binding, &inner))) {
        return err_permanent(err, inner.what, "%smessage_template: %.170s", field, inner.detail);
    }
    return true;
}

bool draft_check_columns(const struct draft *draft, const char *const *columns, size_t count,
                         struct arena *arena, struct err *err)
{
    const struct campaign_submitted *definition = &draft->definition;

    if (campaign_phone_column(columns, count) < 0) {
        return err_permanent(err, "no_phone", "recipients: no column is named %s",
                             campaign_phone_names());
    }
    return check_template("", definition->message_template, columns, count, arena, err) &&
           check_template("follow_up.", definition->follow_up.message_template, columns, count,
                          arena, err);
}

/*
 * Under a key that was used before it is that campaign, unless it was an upload that never came
 * whole: its rows may be others than those that come now, so it is left behind.
 */
static bool create_row(struct request *req, const struct campaign_new *new,
                       struct campaign_made *out_made, struct err *err)
{
    bool broken = false;

    if (!campaign_create(req->db, new, req->arena, out_made, err) ||
        (out_made->existed && !lease_break(req->db, out_made->id, &broken, err))) {
        return false;
    }
    return !broken || campaign_create(req->db, new, req->arena, out_made, err);
}

bool draft_create(struct request *req, const struct draft *draft, struct draft_made *out_made,
                  struct err *err)
{
    struct account account;
    struct campaign_made made;
    bool found;

    if (!account_find(req->db, NULL, req->caller.account_id, req->arena, &account, &found, err)) {
        return false;
    }
    if (!found) {
        return err_permanent(err, "account_unknown", "the account is gone");
    }
    const struct campaign_new new = {
        .account = &account,
        .definition = &draft->definition,
        .reference = idempotency_reference(req),
        .kind = draft->kind,
        .lane = draft->lane,
        .by_api = true,
        .now_ms = clock_now_ms(),
    };
    if (!db_begin(req->db, err) || !create_row(req, &new, &made, err) ||
        (draft->streamed && !made.existed && !lease_take(req, made.id, err)) ||
        !db_commit(req->db, err)) {
        db_rollback(req->db);
        return false;
    }
    out_made->id = made.id;
    id_format("cmp", made.id, out_made->campaign);
    id_format(strcmp(draft->kind, "message") == 0 ? "msg" : "cmp", made.id, out_made->shown);
    return true;
}

static const struct db_statement abandon = {
    "ingress_abandon",
    "UPDATE campaigns"
    "   SET status = 'abandoned', detail = $2, reference = reference || ':' || id,"
    "       untold_at = now()"
    " WHERE id = $1 AND status = 'receiving'",
    2,
};

bool draft_abandon(struct db *db, int64_t id, const char *why, bool *out_done, struct err *err)
{
    int64_t rows;

    if (!db_run(db, &abandon, (struct db_value[]){ db_int8(id), db_text(why) }, &rows, err)) {
        return false;
    }
    *out_done = rows > 0;
    return true;
}
