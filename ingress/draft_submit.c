/*
 * draft_submit - a campaign whose recipients came inline: row, messages, confirms, answer
 */
#include <string.h>

#include "campaign/chunker.h"
#include "draft.h"
#include "msg/message.h"
#include "rows.h"

/* Above this the recipients travel on their own: the rest of the definition needs room too. */
#define INLINE_BYTES_MAX ((size_t)120 << 10)

struct shipment {
    struct request *req;
    const struct draft *draft;
    const struct draft_made *made;
    struct parcel *parcels;
    size_t count, size;
};

static void add_parcel(struct shipment *shipment, const struct shape *shape, int64_t number,
                       const struct str *body)
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

enum reply draft_post(struct request *req, enum channel channel)
{
    const char *body = req->body.bytes != NULL ? req->body.bytes : "";
    struct draft draft;
    struct rows rows;
    struct table table;
    const char *list;
    size_t list_len;
    struct err err;

    rows_init(&rows, req->arena);
    if (!draft_read(channel, body, req->body.len, req->arena, &draft, &err)) {
        return refuse_err(req, &err);
    }
    if (!json_member(body, req->body.len, "recipients", &list, &list_len)) {
        return refuse(req, REPLY_UNPROCESSABLE, "no_recipients", "recipients", "missing");
    }
    if (!rows_read_all(&rows, "recipients", list, list_len, INLINE_RECIPIENTS_MAX, &table, &err)) {
        return refuse_err(req, &err);
    }
    return draft_submit(req, &draft, rows.columns, rows.column_count, &table);
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
