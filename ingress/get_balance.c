/*
 * GET /api/tokens/balance/ - the account's tokens, the lots they are in, and the subscriptions that
 * run
 */
#include "base/clock.h"
#include "ledger/history.h"
#include "ledger/ledger.h"
#include "payment_view.h"
#include "routes.h"

#define LOTS_MOST 100
#define RUNNING_MOST 20

static const struct db_statement find_expiring = {
    "ingress_expiring_lots",
    "SELECT expires_at, sum(available)::bigint FROM token_lots"
    " WHERE account_id = $1 AND available > 0 AND expires_at IS NOT NULL"
    " GROUP BY expires_at ORDER BY expires_at LIMIT 10",
    1,
};

static void put_lots(struct str *out, const struct ledger_lot *lots, size_t count)
{
    str_puts(out, ",\"lots\":[");
    for (size_t i = 0; i < count; i++) {
        str_puts(out, i > 0 ? ",{" : "{");
        put_text(out, "reference", lots[i].reference);
        put_int(out, "granted", lots[i].granted);
        put_int(out, "available", lots[i].available);
        put_time(out, "created_at", lots[i].created_ms);
        put_time(out, "expires_at", lots[i].expires_ms);
        str_putc(out, '}');
    }
    str_putc(out, ']');
}

enum reply get_balance(struct request *req)
{
    AUTO_DB_RESULT struct db_result *found = NULL;
    struct str *out = &req->body_out;
    const int64_t account = req->caller.account_id;
    struct ledger_balance balance;
    struct subscription *running;
    struct ledger_lot *lots;
    size_t lot_count, running_count;
    struct err err;

    if (!ledger_balance(req->db, account, &balance, &err) ||
        !ledger_lots(req->db, account, LOTS_MOST, req->arena, &lots, &lot_count, &err) ||
        !plan_subscriptions(req->db, account, clock_now_ms(), RUNNING_MOST, req->arena, &running,
                            &running_count, &err) ||
        !db_query(req->db, &find_expiring, (struct db_value[]){ db_int8(account) }, &found, &err)) {
        return refuse_err(req, &err);
    }
    str_putc(out, '{');
    put_text(out, "account", req->caller.account);
    put_int(out, "granted", balance.granted);
    put_int(out, "available", balance.available);
    put_int(out, "reserved", balance.reserved);
    put_int(out, "spent", balance.spent);
    put_int(out, "expired", balance.expired);
    put_int(out, "transferred", balance.transferred);
    str_puts(out, ",\"expiring\":[");
    for (int i = 0; i < db_rows(found); i++) {
        str_puts(out, i > 0 ? ",{" : "{");
        put_time(out, "at", db_get_time(found, i, 0));
        put_int(out, "tokens", db_get_int(found, i, 1));
        str_putc(out, '}');
    }
    str_putc(out, ']');
    put_lots(out, lots, lot_count);
    str_puts(out, ",\"subscriptions\":[");
    for (size_t i = 0; i < running_count; i++) {
        str_puts(out, i > 0 ? "," : "");
        payment_view_put_subscription(out, &running[i]);
    }
    str_puts(out, "]}");
    return REPLY_OK;
}
