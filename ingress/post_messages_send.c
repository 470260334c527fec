/*
 * POST /api/messages/send/ - one text to several recipients
 *
 * A message is a campaign of kind 'message': the same chain, the same guarantees. The text may have
 * fields when the recipients are objects. options.enqueue is taken and has no effect: whether the
 * provider answers before it sends is the operator's setting (SMS_ENQUEUE).
 */
#include "draft.h"
#include "routes.h"
#include "rows.h"

enum reply post_messages_send(struct request *req)
{
    const char *body = req->body.bytes != NULL ? req->body.bytes : "";
    struct draft draft;
    struct rows rows;
    struct table table;
    const char *list;
    size_t list_len;
    struct err err;

    rows_init(&rows, req->arena);
    if (!draft_read_message(body, req->body.len, req->arena, &draft, &err)) {
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
