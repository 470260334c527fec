/*
 * GET /api/integration/at/performance/ - how sending goes: rates, latency, failures, by network
 *
 * Over the campaigns created in the last ?hours (24), at most a week. A walk over their recipients,
 * so it is kept for half a minute. The provider's credit is told to keys with the scope admin.
 */
#include <string.h>

#include "base/clock.h"
#include "cache.h"
#include "provider/africastalking.h"
#include "provider_balance.h"
#include "routes.h"
#include "view.h"

#define HOURS_DEFAULT 24
#define HOURS_MAX 168
#define KEPT_MS 30000

static const char performance_kind[] = "performance";

static const struct db_statement count_networks = {
    "ingress_performance",
    "SELECT coalesce(r.network::text, ''), count(*) FILTER (WHERE r.state IN (3, 4, 5, 6)),"
    "       count(*) FILTER (WHERE r.state = 4), count(*) FILTER (WHERE r.state IN (5, 6)),"
    "       count(*) FILTER (WHERE r.state = 2),"
    "       coalesce(sum(extract(epoch FROM r.final_at - r.sent_at) * 1000)"
    "                FILTER (WHERE r.state = 4), 0)::bigint,"
    "       coalesce(sum(r.cost_e4), 0)::bigint"
    "  FROM recipients r"
    "  JOIN campaigns c ON c.id = r.campaign_id"
    " WHERE c.account_id = $1 AND c.id >= $2 AND r.campaign_id >= $2 AND r.state <> 0"
    " GROUP BY r.network ORDER BY 2 DESC LIMIT 50",
    2,
};

static const struct db_statement count_active = {
    "ingress_active_campaigns",
    "SELECT count(*) FROM campaigns"
    " WHERE account_id = $1"
    "   AND status IN ('receiving', 'reserving', 'scheduled', 'sending', 'paused', 'cancelling')",
    1,
};

struct sums {
    int64_t sent, delivered, failed, in_doubt, latency_ms, cost_e4;
};

static void put_sums(struct str *out, const struct sums *sums)
{
    int64_t ended = sums->delivered + sums->failed;

    put_int(out, "sent", sums->sent);
    put_int(out, "delivered", sums->delivered);
    put_int(out, "failed_messages", sums->failed);
    put_int(out, "in_doubt", sums->in_doubt);
    if (ended > 0) {
        int64_t e4 = sums->delivered * 10000 / ended;
        str_printf(out, ",\"delivery_rate\":%lld.%04lld", (long long)(e4 / 10000),
                   (long long)(e4 % 10000));
    } else {
        str_puts(out, ",\"delivery_rate\":null");
    }
    put_int(out, "average_latency_ms",
            sums->delivered > 0 ? sums->latency_ms / sums->delivered : 0);
    str_puts(out, ",\"cost\":");
    view_put_money(out, sums->cost_e4);
}

static void put_networks(struct str *out, const struct db_result *found, struct sums *total)
{
    str_puts(out, ",\"networks\":[");
    for (int i = 0; i < db_rows(found); i++) {
        const char *code = db_get_text(found, i, 0);
        const struct sums sums = {
            .sent = db_get_int(found, i, 1),
            .delivered = db_get_int(found, i, 2),
            .failed = db_get_int(found, i, 3),
            .in_doubt = db_get_int(found, i, 4),
            .latency_ms = db_get_int(found, i, 5),
            .cost_e4 = db_get_int(found, i, 6),
        };
        str_puts(out, i > 0 ? ",{" : "{");
        put_text(out, "code", code);
        put_text(out, "network", at_network_name(code));
        put_sums(out, &sums);
        str_putc(out, '}');
        total->sent += sums.sent;
        total->delivered += sums.delivered;
        total->failed += sums.failed;
        total->in_doubt += sums.in_doubt;
        total->latency_ms += sums.latency_ms;
        total->cost_e4 += sums.cost_e4;
    }
    str_putc(out, ']');
}

static bool measure(struct request *req, int64_t hours, struct str *out, struct err *err)
{
    AUTO_DB_RESULT struct db_result *networks = NULL;
    AUTO_DB_RESULT struct db_result *active = NULL;
    int64_t since = id_floor(clock_now_ms() - hours * 3600000);
    struct sums total = { 0 };

    if (!db_query(req->db, &count_networks,
                  (struct db_value[]){ db_int8(req->caller.account_id), db_int8(since) }, &networks,
                  err) ||
        !db_query(req->db, &count_active, (struct db_value[]){ db_int8(req->caller.account_id) },
                  &active, err)) {
        return false;
    }
    str_putc(out, '{');
    put_int(out, "hours", hours);
    put_int(out, "active_campaigns", db_get_int(active, 0, 0));
    put_networks(out, networks, &total);
    put_sums(out, &total);
    return true;
}

enum reply get_performance(struct request *req)
{
    static const char *const known[] = { "hours", NULL };
    const char *argument = request_argument(req, "hours");
    struct str *out = &req->body_out;
    struct str text = { 0 };
    struct err err;
    int64_t hours = HOURS_DEFAULT;
    enum reply reply = request_check_arguments(req, known);

    if (reply != REPLY_NONE) {
        return reply;
    }
    if (argument != NULL && !str_parse_int(argument, 1, HOURS_MAX, &hours)) {
        return refuse(req, REPLY_BAD_REQUEST, "bad_hours", "hours", "a number from 1 to %d",
                      HOURS_MAX);
    }
    int64_t key = req->caller.account_id ^ (hours << 48);
    if (!cache_find(req->app->cache, performance_kind, key, &text)) {
        if (!measure(req, hours, &text, &err)) {
            str_free(&text);
            return refuse_err(req, &err);
        }
        cache_keep(req->app->cache, performance_kind, key, &text, KEPT_MS);
    }
    str_append(out, text.bytes, text.len);
    str_free(&text);
    str_puts(out, ",\"credit_balance\":");
    if (!auth_may(&req->caller, SCOPE_ADMIN) || !provider_balance_put(req, out, &err)) {
        str_puts(out, "null");
    }
    str_putc(out, '}');
    return REPLY_OK;
}
