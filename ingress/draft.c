#include "draft.h"

#include <string.h>

#include "base/clock.h"
#include "campaign/chunker.h"
#include "campaign/columns.h"
#include "campaign/store.h"
#include "idempotency.h"
#include "lease.h"
#include "msg/message.h"
#include "rows.h"
#include "text/template.h"

/* Above this the recipients travel on their own: the rest of the definition needs room too. */
#define INLINE_BYTES_MAX ((size_t)120 << 10)

static const char *const priority_words[] = { "normal", "high", NULL };

struct sms_body {
    const char *title, *message_template, *sender_id, *missing_default, *country;
    int priority, missing;
    bool launch, keep_whitespace;
    int64_t scheduled_at, expires_at;
};

/* A field whose name on the wire is not the member's. */
#define WIRE(T, kind, member, wire, ...)                                                           \
    {                                                                                              \
        .type = (kind), .name = (wire), .offset = offsetof(T, member), __VA_ARGS__                 \
    }
#define SMS(kind, member, wire, ...) WIRE(struct sms_body, kind, member, wire, __VA_ARGS__)

static const struct field sms_fields[] = {
    SMS(FIELD_TYPE_STR, title, "title", .min = 1, .max = CAMPAIGN_TITLE_MAX),
    SMS(FIELD_TYPE_STR, message_template, "messageTemplate", .min = 1,
        .max = CAMPAIGN_TEMPLATE_MAX),
    SMS(FIELD_TYPE_STR, sender_id, "senderId", .max = SENDER_ID_MAX, .flags = FIELD_OPTIONAL),
    SMS(FIELD_TYPE_ENUM, priority, "priority", .words = priority_words, .flags = FIELD_OPTIONAL),
    SMS(FIELD_TYPE_BOOL, launch, "launch", .flags = FIELD_OPTIONAL),
    SMS(FIELD_TYPE_TIME, scheduled_at, "scheduledTime", .flags = FIELD_OPTIONAL),
    SMS(FIELD_TYPE_TIME, expires_at, "expiresAt", .flags = FIELD_OPTIONAL),
    SMS(FIELD_TYPE_ENUM, missing, "missing", .words = missing_words, .flags = FIELD_OPTIONAL),
    SMS(FIELD_TYPE_STR, missing_default, "missingDefault", .max = CAMPAIGN_MISSING_DEFAULT_MAX,
        .flags = FIELD_OPTIONAL),
    SMS(FIELD_TYPE_STR, country, "country", .max = 2, .flags = FIELD_OPTIONAL),
    SMS(FIELD_TYPE_BOOL, keep_whitespace, "keepWhitespace", .flags = FIELD_OPTIONAL),
    FIELD_END,
};

static const struct shape sms_shape = {
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
    FIELD_ENUM(struct send_options, priority, priority_words, FIELD_OPTIONAL),
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

/* A misspelt field must not be taken for one left out. extra: a name the shape does not have. */
static bool check_names(const struct shape *shape, const char *extra, const char *json, size_t len,
                        struct err *err)
{
    const char *known[24];
    size_t count = 0;

    known[count++] = extra;
    for (const struct field *field = shape->fields; field->type != FIELD_TYPE_END; field++) {
        known[count++] = field->name;
    }
    return json_check_members(json, len, known, count, err);
}

bool draft_read_sms(const char *json, size_t len, struct arena *arena, struct draft *out_draft,
                    struct err *err)
{
    struct sms_body body;
    const char *value;
    size_t value_len;

    if (!shape_read(&sms_shape, json, len, &body, arena, err) ||
        !check_names(&sms_shape, "recipients", json, len, err)) {
        return false;
    }
    bool says_launch = json_member(json, len, "launch", &value, &value_len) && *value != 'n';
    *out_draft = (struct draft){
        .kind = "campaign",
        .lane = body.priority == 1 ? LANE_HIGH : LANE_NORMAL,
        .definition = { .title = body.title,
                        .message_template = body.message_template,
                        .sender_id = body.sender_id,
                        .missing = body.missing,
                        .missing_default = body.missing_default,
                        .country = body.country,
                        .keep_whitespace = body.keep_whitespace,
                        .hold = says_launch && !body.launch,
                        .scheduled_at = body.scheduled_at,
                        .expires_at = body.expires_at },
    };
    return true;
}

bool draft_read_arguments(const struct request *req, struct draft *out_draft, struct err *err)
{
    struct str json = { 0 };
    bool ok = true;

    str_putc(&json, '{');
    for (int i = 0; i < req->argument_count && ok; i++) {
        const char *name = req->arguments[i].key;
        const char *value = req->arguments[i].value;
        const struct field *field = sms_fields;
        while (field->type != FIELD_TYPE_END && strcmp(field->name, name) != 0) {
            field++;
        }
        if (field->type == FIELD_TYPE_END) {
            ok = err_permanent(err, "unknown_argument", "%.64s: no such query argument", name);
        } else if (field->type == FIELD_TYPE_BOOL) {
            ok = strcmp(value, "true") == 0 || strcmp(value, "false") == 0 ||
                 err_permanent(err, "bad_field", "%s: neither true nor false", name);
            str_printf(&json, "%s\"%s\":%s", json.len > 1 ? "," : "", name, ok ? value : "null");
        } else {
            str_printf(&json, "%s\"%s\":", json.len > 1 ? "," : "", name);
            json_put_string(&json, value, strlen(value));
        }
    }
    str_putc(&json, '}');
    ok = ok && draft_read_sms(json.bytes, json.len, req->arena, out_draft, err);
    str_free(&json);
    if (ok) {
        out_draft->streamed = true;
    }
    return ok;
}

bool draft_read_message(const char *json, size_t len, struct arena *arena, struct draft *out_draft,
                        struct err *err)
{
    struct send_body body;
    const char *options;
    size_t options_len;

    if (!shape_read(&send_shape, json, len, &body, arena, err) ||
        !check_names(&send_shape, "recipients", json, len, err)) {
        return false;
    }
    if (json_member(json, len, "options", &options, &options_len) &&
        !check_names(&send_options_shape, "enqueue", options, options_len, err)) {
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

bool draft_check_columns(const struct draft *draft, const char *const *columns, size_t count,
                         struct arena *arena, struct err *err)
{
    const char *source = draft->definition.message_template;
    const struct text_template *compiled;
    const struct text_binding *binding;
    struct err inner;

    if (campaign_phone_column(columns, count) < 0) {
        return err_permanent(err, "no_phone", "recipients: no column is named %s",
                             campaign_phone_names());
    }
    if (!text_template_compile(source, strlen(source), arena, &compiled, &inner) ||
        !text_template_bind(compiled, columns, count, arena, &binding, &inner)) {
        return err_permanent(err, inner.what, "message_template: %.180s", inner.detail);
    }
    return true;
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

/* --- inline recipients as messages
 * ----------------------------------------------------------------- */

struct shipment {
    struct request *req;
    const struct draft *draft;
    const struct draft_made *made;
    struct parcel *parcels;
    size_t count, size;
};

static struct parcel *add_parcel(struct shipment *shipment, const struct shape *shape,
                                 int64_t number, const struct str *body)
{
    struct arena *arena = shipment->req->arena;

    if (shipment->count == shipment->size) {
        size_t size = shipment->size * 2 + 4;
        struct parcel *more = arena_array(arena, size, sizeof(*more));
        if (shipment->count > 0) {
            memcpy(more, shipment->parcels, shipment->count * sizeof(*more));
        }
        shipment->parcels = more;
        shipment->size = size;
    }
    struct parcel *parcel = &shipment->parcels[shipment->count++];
    *parcel = (struct parcel){
        .shape = shape,
        .lane = shipment->draft->lane,
        .correlation = shipment->made->campaign,
        .account = shipment->req->caller.account,
        .trace = shipment->req->trace,
        .body = arena_strndup(arena, body->bytes, body->len),
        .body_len = body->len,
    };
    publish_id(shipment->made->campaign, shape->type, number, parcel->id);
    return parcel;
}

static void on_chunk(void *context, struct chunker *chunker)
{
    struct shipment *shipment = context;
    struct str body = { 0 };

    chunker_body(chunker, &body);
    add_parcel(shipment, &recipients_submitted_v1, chunker->chunk, &body);
    str_free(&body);
}

/* All in one campaign.submitted, if that fits. */
static bool pack_whole(struct shipment *shipment, const char *const *columns, size_t column_count,
                       const struct table *rows)
{
    struct campaign_submitted definition = shipment->draft->definition;
    struct str body = { 0 };

    if (rows->rows > CAMPAIGN_CHUNK_ROWS) {
        return false;
    }
    definition.campaign = shipment->made->campaign;
    definition.columns = (struct strings){ column_count, (const char **)(uintptr_t)columns };
    definition.rows = *rows;
    shape_write(&campaign_submitted_v1, &definition, &body);
    bool fits = body.len < INLINE_BYTES_MAX;
    if (fits) {
        add_parcel(shipment, &campaign_submitted_v1, 0, &body);
    }
    str_free(&body);
    return fits;
}

static bool pack_chunks(struct shipment *shipment, const char *const *columns, size_t column_count,
                        const struct table *rows, struct err *err)
{
    struct campaign_closed closed = { .campaign = shipment->made->campaign };
    struct chunker chunker;
    struct str body = { 0 };
    bool ok = true;

    chunker_init(&chunker, columns, column_count, on_chunk, shipment);
    chunker.campaign = shipment->made->campaign;
    for (size_t i = 0; i < rows->rows && ok; i++) {
        ok = chunker_add(&chunker, rows->cells + i * rows->cols) ||
             err_permanent(err, "row_too_long", "recipients[%zu]: too long", i);
    }
    chunker_flush(&chunker);
    closed.chunks = chunker_chunks(&chunker);
    chunker_free(&chunker);
    shape_write(&campaign_closed_v1, &closed, &body);
    add_parcel(shipment, &campaign_closed_v1, 0, &body);
    str_free(&body);
    return ok;
}

/* The chain did not get it all: nothing of it shall be sent. */
static enum reply give_up(struct request *req, const struct draft *draft,
                          const struct draft_made *made, int64_t rows, const struct err *why)
{
    struct err err;
    bool done = false;

    if (!draft_abandon(req->db, made->id, "the recipients could not be handed on", &done, &err)) {
        return refuse_err(req, why); /* a repetition under the same key goes on with it */
    }
    return done ? refuse_err(req, why) : draft_accepted(req, draft, made, rows, 0, NULL);
}

enum reply draft_submit(struct request *req, const struct draft *draft, const char *const *columns,
                        size_t column_count, const struct table *rows)
{
    struct draft_made made;
    struct shipment shipment = { .req = req, .draft = draft, .made = &made };
    struct err err;

    if (!draft_check_columns(draft, columns, column_count, req->arena, &err) ||
        !draft_create(req, draft, &made, &err)) {
        return refuse_err(req, &err);
    }
    if (!pack_whole(&shipment, columns, column_count, rows) &&
        !pack_chunks(&shipment, columns, column_count, rows, &err)) {
        return give_up(req, draft, &made, (int64_t)rows->rows, &err);
    }
    if (!publish_all(req->app->publisher, shipment.parcels, shipment.count, &err)) {
        return give_up(req, draft, &made, (int64_t)rows->rows, &err);
    }
    return draft_accepted(req, draft, &made, (int64_t)rows->rows, 0, NULL);
}

enum reply draft_accepted(struct request *req, const struct draft *draft,
                          const struct draft_made *made, int64_t rows, int64_t bad_rows,
                          const struct str *first_bad)
{
    bool message = strcmp(draft->kind, "message") == 0;
    const char *base = req->app->settings->public_url;
    struct str *out = &req->body_out;

    str_reset(out);
    str_putc(out, '{');
    put_text(out, "id", made->shown);
    put_text(out, message ? "message_id" : "campaignId", made->shown);
    put_text(out, "status", "receiving");
    put_int(out, "recipients", rows);
    if (!message) {
        put_int(out, "badRows", bad_rows);
        str_printf(out, ",\"firstBadRows\":[%s]",
                   first_bad != NULL && first_bad->len > 0 ? first_bad->bytes : "");
    }
    put_text(
        out, message ? "status_url" : "statusUrl",
        arena_printf(req->arena,
                     message ? "%s/api/messages/%s/status/" : "%s/api/communications/campaigns/%s",
                     base, made->shown));
    str_putc(out, '}');
    return REPLY_ACCEPTED;
}
