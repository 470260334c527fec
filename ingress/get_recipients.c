/*
 * GET /api/communications/campaigns/{id}/recipients - page by page, or all of them as CSV
 *
 * The export is a stream: a few thousand rows are read when the last ones have been sent, so its
 * memory is flat. It sees each row as it is when it is read.
 */
#include <stdio.h>
#include <string.h>

#include "page.h"
#include "routes.h"
#include "stream.h"
#include "view.h"

#define EXPORT_ROWS 2000

/* Kept in the request's arena, behind id: the export's place. */
struct export
{
    struct recipients_query query;
    bool headed;
};

static bool fill_export(struct request *req, struct str *out)
{
    AUTO_DB_RESULT struct db_result *found = NULL;
    struct export *export = req->stream_state;
    struct err err;

    if (!export->headed) {
        view_put_csv_heading(out, export->query.calls);
        export->headed = true;
    }
    if (!view_recipients(req->db, &export->query, &found, &err)) {
        log_warn(&req->log, "export_failed", KV_STR("why", err.what), KV_STR("detail", err.detail));
        return stream_fail(req);
    }
    for (int i = 0; i < db_rows(found); i++) {
        view_put_recipient_csv(out, found, i);
        export->query.after = view_recipient_seq(found, i);
    }
    return db_rows(found) == export->query.limit;
}

static enum reply start_export(struct request *req, const struct campaign_view *view,
                               const char *state)
{
    struct export *export = arena_alloc(req->arena, sizeof(*export));
    char id[ID_TEXT_BYTES];

    export->query = (struct recipients_query){
        .campaign_id = view->id,
        .state = state != NULL ? arena_strdup(req->arena, state) : NULL,
        .calls = view->voice != NULL,
        .limit = EXPORT_ROWS,
    };
    req->stream_state = export;
    req->stream = stream_create(req, fill_export, 0);
    if (req->stream == NULL) {
        return refuse(req, REPLY_UNAVAILABLE, "too_many_streams", NULL,
                      "too many exports and event streams at once");
    }
    view_id(view, id);
    req->type_out = "text/csv; charset=utf-8";
    req->disposition = arena_printf(req->arena, "attachment; filename=\"%s.csv\"", id);
    return REPLY_STREAM;
}

static enum reply put_page(struct request *req, const struct campaign_view *view, const char *state,
                           const struct page *page)
{
    AUTO_DB_RESULT struct db_result *found = NULL;
    struct str *out = &req->body_out;
    struct err err;

    if (!view_recipients(req->db,
                         &(struct recipients_query){ .campaign_id = view->id,
                                                     .after = page->after,
                                                     .state = state,
                                                     .calls = view->voice != NULL,
                                                     .limit = page->limit + 1 },
                         &found, &err)) {
        return refuse_err(req, &err);
    }
    int rows = db_rows(found) < page->limit ? db_rows(found) : page->limit;
    str_puts(out, "{\"recipients\":[");
    for (int i = 0; i < rows; i++) {
        str_puts(out, i > 0 ? "," : "");
        view_put_recipient(out, found, i, false);
    }
    str_putc(out, ']');
    page_end(out, db_rows(found) > rows, rows > 0 ? view_recipient_seq(found, rows - 1) : 0);
    str_putc(out, '}');
    return REPLY_OK;
}

enum reply get_recipients(struct request *req)
{
    static const char *const known[] = { "state", "format", "limit", "cursor", NULL };
    const char *state = request_argument(req, "state");
    bool is_csv;
    struct campaign_view view;
    struct page page;
    enum reply reply;

    if ((reply = request_check_arguments(req, known)) != REPLY_NONE ||
        (reply = page_read(req, &page)) != REPLY_NONE ||
        (reply = page_read_format(req, &is_csv)) != REPLY_NONE) {
        return reply;
    }
    if (state != NULL && !view_is_state(state)) {
        return refuse(req, REPLY_BAD_REQUEST, "bad_filter", "state", "there is no such state");
    }
    reply = view_find(req, &view);
    if (reply != REPLY_NONE) {
        return reply;
    }
    return is_csv ? start_export(req, &view, state) : put_page(req, &view, state, &page);
}
