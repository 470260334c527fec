/*
 * GET /api/communications/campaigns/{id}/rejects - rows that became no recipient, and why
 */
#include "page.h"
#include "routes.h"
#include "view.h"

static const struct db_statement find_rejects = {
    "ingress_rejects",
    "SELECT seq, phone, reason FROM campaign_rejects"
    " WHERE campaign_id = $1 AND seq > $2"
    " ORDER BY seq LIMIT $3",
    3,
};

enum reply get_rejects(struct request *req)
{
    static const char *const known[] = { "limit", "cursor", NULL };
    AUTO_DB_RESULT struct db_result *found = NULL;
    struct str *out = &req->body_out;
    struct campaign_view view;
    struct page page;
    struct err err;
    enum reply reply;

    if ((reply = request_check_arguments(req, known)) != REPLY_NONE ||
        (reply = page_read(req, &page)) != REPLY_NONE ||
        (reply = view_find(req, &view)) != REPLY_NONE) {
        return reply;
    }
    if (!db_query(
            req->db, &find_rejects,
            (struct db_value[]){ db_int8(view.id), db_int8(page.after), db_int8(page.limit + 1) },
            &found, &err)) {
        return refuse_err(req, &err);
    }
    int rows = db_rows(found) < page.limit ? db_rows(found) : page.limit;
    str_puts(out, "{\"rejects\":[");
    for (int i = 0; i < rows; i++) {
        str_puts(out, i > 0 ? ",{" : "{");
        put_int(out, "row", db_get_int(found, i, 0));
        put_text(out, "phone", db_get_text(found, i, 1));
        put_text(out, "reason", db_get_text(found, i, 2));
        str_putc(out, '}');
    }
    str_putc(out, ']');
    page_end(out, db_rows(found) > rows, rows > 0 ? db_get_int(found, rows - 1, 0) : 0);
    str_putc(out, '}');
    return REPLY_OK;
}
