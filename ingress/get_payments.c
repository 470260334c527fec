/*
 * GET /api/payments, /api/payments/{id} - the account's payments, newest first, and one of them
 */
#include <string.h>

#include "page.h"
#include "payment_view.h"
#include "routes.h"

static const char *const statuses[] = { "requested", "pushing",    "push_unknown",
                                        "prompted",  "unresolved", "failed",
                                        "paid",      "reversed",   NULL };

static enum reply read_filter(struct request *req, const char **out_status, int64_t *out_purchase)
{
    const char *purchase = request_argument(req, "purchase");
    const char *const *word = statuses;

    *out_status = request_argument(req, "status");
    *out_purchase = 0;
    while (*out_status != NULL && *word != NULL && strcmp(*word, *out_status) != 0) {
        word++;
    }
    if (*word == NULL) {
        return refuse(req, REPLY_BAD_REQUEST, "bad_filter", "status", "there is no such status");
    }
    if (purchase != NULL && !id_parse("pur", purchase, out_purchase)) {
        return refuse(req, REPLY_BAD_REQUEST, "bad_filter", "purchase",
                      "no purchase has such an id");
    }
    return REPLY_NONE;
}

enum reply get_payments(struct request *req)
{
    static const char *const known[] = { "status", "purchase", "limit", "cursor", NULL };
    struct str *out = &req->body_out;
    struct payment *payments;
    const char *status;
    struct page page;
    int64_t purchase;
    enum reply reply;
    struct err err;
    size_t found;

    if ((reply = request_check_arguments(req, known)) != REPLY_NONE ||
        (reply = read_filter(req, &status, &purchase)) != REPLY_NONE ||
        (reply = page_read(req, &page)) != REPLY_NONE) {
        return reply;
    }
    if (!payment_list(req->db, req->caller.account_id, purchase, status, page.after,
                      (size_t)page.limit + 1, req->arena, &payments, &found, &err)) {
        return refuse_err(req, &err);
    }
    size_t rows = found < (size_t)page.limit ? found : (size_t)page.limit;
    str_puts(out, "{\"payments\":[");
    for (size_t i = 0; i < rows; i++) {
        str_puts(out, i > 0 ? "," : "");
        payment_view_put(out, req->app->settings->public_url, &payments[i]);
    }
    str_putc(out, ']');
    page_end(out, found > rows, rows > 0 ? payments[rows - 1].id : 0);
    str_putc(out, '}');
    return REPLY_OK;
}

enum reply get_payment(struct request *req)
{
    struct payment payment;
    enum reply reply = payment_view_find(req, &payment);

    if (reply != REPLY_NONE) {
        return reply;
    }
    payment_view_put(&req->body_out, req->app->settings->public_url, &payment);
    return REPLY_OK;
}
