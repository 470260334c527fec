/*
 * GET /api/campaigns/{id}/stats/ - a campaign's counts, rates, cost and networks
 *
 * The networks take a walk over the campaign's recipients, and what became of calls another, so
 * they are kept for a few seconds.
 */
#include "base/clock.h"
#include "cache.h"
#include "call_view.h"
#include "provider/africastalking.h"
#include "routes.h"
#include "view.h"

#define WALKS_KEPT_MS 10000

static const char walks_kind[] = "walks";

static const struct db_statement count_networks = {
    "ingress_campaign_networks",
    "SELECT coalesce(network::text, ''), count(*), count(*) FILTER (WHERE state = 4),"
    "       count(*) FILTER (WHERE state IN (5, 6)),"
    "       coalesce(avg(extract(epoch FROM final_at - sent_at) * 1000)"
    "                FILTER (WHERE state = 4), 0)::bigint"
    "  FROM recipients WHERE campaign_id = $1 AND state <> 0"
    " GROUP BY network ORDER BY 2 DESC LIMIT 50",
    1,
};

/* "networks":[…],"averageLatencyMs":…, without braces. */
static bool put_networks(struct db *db, int64_t id, struct str *out, struct err *err)
{
    AUTO_DB_RESULT struct db_result *found = NULL;
    int64_t delivered = 0;
    int64_t latency_ms = 0;

    if (!db_query(db, &count_networks, (struct db_value[]){ db_int8(id) }, &found, err)) {
        return false;
    }
    str_puts(out, "\"networks\":[");
    for (int i = 0; i < db_rows(found); i++) {
        const char *code = db_get_text(found, i, 0);
        str_puts(out, i > 0 ? ",{" : "{");
        put_text(out, "code", code);
        put_text(out, "network", at_network_name(code));
        put_int(out, "recipients", db_get_int(found, i, 1));
        put_int(out, "delivered", db_get_int(found, i, 2));
        put_int(out, "failed", db_get_int(found, i, 3));
        put_int(out, "averageLatencyMs", db_get_int(found, i, 4));
        str_putc(out, '}');
        delivered += db_get_int(found, i, 2);
        latency_ms += db_get_int(found, i, 2) * db_get_int(found, i, 4);
    }
    str_putc(out, ']');
    put_int(out, "averageLatencyMs", delivered > 0 ? latency_ms / delivered : 0);
    return true;
}

/* What the whole campaign has to be walked over for: networks, and calls. */
static bool put_walks(struct db *db, const struct campaign_view *view, struct str *out,
                      struct err *err)
{
    if (!put_networks(db, view->id, out, err)) {
        return false;
    }
    if (view->voice != NULL) {
        str_putc(out, ',');
        return call_view_put_stats(db, view, out, err);
    }
    return true;
}

/* 9731 of 10000 is 0.9731; null of nothing. */
static void put_rate(struct str *out, const char *name, int64_t part, int64_t whole)
{
    if (whole <= 0) {
        str_printf(out, ",\"%s\":null", name);
        return;
    }
    int64_t e4 = part * 10000 / whole;
    str_printf(out, ",\"%s\":%lld.%04lld", name, (long long)(e4 / 10000), (long long)(e4 % 10000));
}

static int64_t elapsed_ms(const struct campaign_view *view)
{
    if (view->started_at == 0) {
        return 0;
    }
    return (view->sent_at != 0 ? view->sent_at : clock_now_ms()) - view->started_at;
}

enum reply get_stats(struct request *req)
{
    struct str *out = &req->body_out;
    struct str walks = { 0 };
    struct campaign_view view;
    struct err err;
    char id[ID_TEXT_BYTES];
    enum reply reply = view_find(req, &view);

    if (reply != REPLY_NONE) {
        return reply;
    }
    if (!cache_find(req->app->cache, walks_kind, view.id, &walks)) {
        if (!put_walks(req->db, &view, &walks, &err)) {
            str_free(&walks);
            return refuse_err(req, &err);
        }
        cache_keep(req->app->cache, walks_kind, view.id, &walks, WALKS_KEPT_MS);
    }
    int64_t ended = view.delivered + view.failed + view.expired;
    int64_t out_of_hand = ended + view.sent;
    int64_t took_ms = elapsed_ms(&view);
    view_id(&view, id);
    str_putc(out, '{');
    put_text(out, "id", id);
    put_text(out, "status", view.status);
    view_put_counts(out, &view, false);
    put_int(out, "invalid", view.invalid);
    put_int(out, "duplicates", view.duplicates);
    put_rate(out, "deliveryRate", view.delivered, ended);
    put_rate(out, "failureRate", view.failed + view.expired, ended);
    put_rate(out, "progress", view.planned - view.pending - view.sending, view.planned);
    put_int(out, "elapsedMs", took_ms);
    put_rate(out, "sentPerSecond", out_of_hand * 1000, took_ms);
    put_int(out, "tokensQuoted", view.segments);
    put_int(out, "tokensSpent", view.captured);
    str_puts(out, ",\"cost\":");
    view_put_money(out, view.cost_e4);
    put_text(out, "currency", view.currency);
    str_putc(out, ',');
    str_append(out, walks.bytes, walks.len);
    str_putc(out, '}');
    str_free(&walks);
    return REPLY_OK;
}
