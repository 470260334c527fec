/*
 * POST /api/communications/sms - an SMS campaign
 *
 * Here with its recipients inline; as CSV or NDJSON it never gets this far: see upload.c.
 */
#include "draft.h"
#include "routes.h"
#include "rows.h"

enum reply post_sms(struct request *req)
{
    const char *body = req->body.bytes != NULL ? req->body.bytes : "";
    struct draft draft;
    struct rows rows;
    struct table table;
    const char *list;
    size_t list_len;
    struct err err;

    rows_init(&rows, req->arena);
    if (!draft_read_sms(body, req->body.len, req->arena, &draft, &err)) {
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
