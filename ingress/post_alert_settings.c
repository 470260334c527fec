/*
 * POST /api/tokens/alerts/settings - below how many tokens the account is alerted
 */
#include "alert/alert.h"
#include "routes.h"
#include "rows.h"

struct wish {
    int64_t low_balance;
};

static const struct field wish_fields[] = {
    FIELD_INT(struct wish, low_balance, 0, ALERT_TOKENS_MAX),
    FIELD_END,
};

static const struct shape wish_shape = {
    .type = "alert settings",
    .size = sizeof(struct wish),
    .fields = wish_fields,
};

enum reply post_alert_settings(struct request *req)
{
    static const char *const known[] = { "low_balance" };
    const char *body = req->body.bytes != NULL ? req->body.bytes : "";
    struct wish wish;
    struct err err;

    if (!shape_read(&wish_shape, body, req->body.len, &wish, req->arena, &err) ||
        !json_check_members(body, req->body.len, known, sizeof known / sizeof *known, &err) ||
        !alert_set_low_balance(req->db, req->caller.account_id, wish.low_balance, &err)) {
        return refuse_err(req, &err);
    }
    str_putc(&req->body_out, '{');
    put_int(&req->body_out, "low_balance", wish.low_balance);
    str_putc(&req->body_out, '}');
    return REPLY_OK;
}
