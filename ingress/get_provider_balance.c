/*
 * GET /api/integration/at/balance/ - the credit left at Africa's Talking
 *
 * One balance for the whole installation, so it takes the scope admin.
 */
#include "base/clock.h"
#include "cache.h"
#include "provider/africastalking.h"
#include "provider_balance.h"
#include "routes.h"
#include "view.h"

#define KEPT_MS 30000

static const char balance_kind[] = "provider balance";

bool provider_balance_put(struct request *req, struct str *out, struct err *err)
{
    struct http *http;
    struct str text = { 0 };
    int64_t balance_e4;
    char currency[4];

    if (cache_find(req->app->cache, balance_kind, 0, out)) {
        return true;
    }
    http = worker_http(req->worker, err);
    if (http == NULL ||
        !at_balance(http, &req->app->settings->at, req->arena, &balance_e4, currency, err)) {
        return false;
    }
    str_puts(&text, "{\"balance\":");
    view_put_money(&text, balance_e4);
    put_text(&text, "currency", currency);
    put_time(&text, "asOf", clock_now_ms());
    str_putc(&text, '}');
    cache_keep(req->app->cache, balance_kind, 0, &text, KEPT_MS);
    str_append(out, text.bytes, text.len);
    str_free(&text);
    return true;
}

enum reply get_provider_balance(struct request *req)
{
    struct err err;

    if (!provider_balance_put(req, &req->body_out, &err)) {
        log_warn(&req->log, "provider_not_asked", KV_STR("why", err.what),
                 KV_STR("detail", err.detail));
        return refuse(req, REPLY_UNAVAILABLE, "provider_unavailable", NULL,
                      "the provider did not tell its balance");
    }
    return REPLY_OK;
}
