/*
 * GET /api/tokens/alerts - what the account should hear of before it hurts, newest first
 *
 * Those of the platform, its credit at a provider, are for operators: tumactl alerts list.
 */
#include <string.h>

#include "alert/alert.h"
#include "page.h"
#include "routes.h"

static void put_alert(struct str *out, const struct alert *alert)
{
    char id[ID_TEXT_BYTES];

    id_format("alr", alert->id, id);
    str_putc(out, '{');
    put_text(out, "id", id);
    put_text(out, "kind", alert->kind);
    put_text(out, "day", alert->day);
    put_text(out, "detail", alert->detail);
    put_int(out, "value", alert->value);
    put_int(out, "threshold", alert->threshold);
    put_time(out, "expires_at", alert->expires_ms);
    put_time(out, "created_at", alert->created_ms);
    str_putc(out, '}');
}

static enum reply read_kind(struct request *req, const char **out_kind)
{
    const char *const *known = alert_kinds;

    *out_kind = request_argument(req, "kind");
    while (*out_kind != NULL && *known != NULL && strcmp(*known, *out_kind) != 0) {
        known++;
    }
    if (*known == NULL) {
        return refuse(req, REPLY_BAD_REQUEST, "bad_filter", "kind", "there is no such kind");
    }
    return REPLY_NONE;
}

enum reply get_alerts(struct request *req)
{
    static const char *const known[] = { "kind", "limit", "cursor", NULL };
    struct str *out = &req->body_out;
    struct alert *alerts;
    const char *kind;
    struct page page;
    enum reply reply;
    struct err err;
    size_t found;

    if ((reply = request_check_arguments(req, known)) != REPLY_NONE ||
        (reply = read_kind(req, &kind)) != REPLY_NONE ||
        (reply = page_read(req, &page)) != REPLY_NONE) {
        return reply;
    }
    if (!alert_list(req->db, req->caller.account_id, kind, page.after, (size_t)page.limit + 1,
                    req->arena, &alerts, &found, &err)) {
        return refuse_err(req, &err);
    }
    size_t rows = found < (size_t)page.limit ? found : (size_t)page.limit;
    str_puts(out, "{\"alerts\":[");
    for (size_t i = 0; i < rows; i++) {
        str_puts(out, i > 0 ? "," : "");
        put_alert(out, &alerts[i]);
    }
    str_putc(out, ']');
    page_end(out, found > rows, rows > 0 ? alerts[rows - 1].id : 0);
    str_putc(out, '}');
    return REPLY_OK;
}
