/*
 * GET /api/messages/{id}/status/ - what became of a message, recipient by recipient
 */
#include "page.h"
#include "routes.h"
#include "view.h"

enum reply get_message_status(struct request *req)
{
    static const char *const known[] = { "limit", "cursor", NULL };
    AUTO_DB_RESULT struct db_result *found = NULL;
    struct str *out = &req->body_out;
    struct campaign_view view;
    struct page page;
    struct err err;
    char id[ID_TEXT_BYTES];
    enum reply reply;

    if ((reply = request_check_arguments(req, known)) != REPLY_NONE ||
        (reply = page_read(req, &page)) != REPLY_NONE ||
        (reply = view_find(req, &view)) != REPLY_NONE) {
        return reply;
    }
    if (!view_recipients(req->db,
                         &(struct recipients_query){
                             .campaign_id = view.id, .after = page.after, .limit = page.limit + 1 },
                         &found, &err)) {
        return refuse_err(req, &err);
    }
    int rows = db_rows(found) < page.limit ? db_rows(found) : page.limit;
    view_id(&view, id);
    str_putc(out, '{');
    put_text(out, "id", id);
    put_text(out, "message_id", id);
    put_text(out, "status", view.status);
    put_text(out, "detail", view.detail);
    put_time(out, "created_at", view.created_at);
    put_time(out, "scheduled_time", view.scheduled_at);
    put_time(out, "completed_at", view.completed_at);
    put_int(out, "invalid", view.invalid);
    put_int(out, "duplicates", view.duplicates);
    put_int(out, "tokens", view.segments);
    view_put_counts(out, &view, true);
    str_puts(out, ",\"recipients\":[");
    for (int i = 0; i < rows; i++) {
        str_puts(out, i > 0 ? "," : "");
        view_put_recipient(out, found, i, true);
    }
    str_putc(out, ']');
    page_end(out, db_rows(found) > rows, rows > 0 ? view_recipient_seq(found, rows - 1) : 0);
    str_putc(out, '}');
    return REPLY_OK;
}
