/*
 * GET /api/tokens/balance/ - the account's tokens, and when the next of them expire
 */
#include "ledger/ledger.h"
#include "routes.h"

static const struct db_statement find_expiring = {
    "ingress_expiring_lots",
    "SELECT expires_at, sum(available)::bigint FROM token_lots"
    " WHERE account_id = $1 AND available > 0 AND expires_at IS NOT NULL"
    " GROUP BY expires_at ORDER BY expires_at LIMIT 10",
    1,
};

enum reply get_balance(struct request *req)
{
    AUTO_DB_RESULT struct db_result *found = NULL;
    struct str *out = &req->body_out;
    struct ledger_balance balance;
    struct err err;

    if (!ledger_balance(req->db, req->caller.account_id, &balance, &err) ||
        !db_query(req->db, &find_expiring, (struct db_value[]){ db_int8(req->caller.account_id) },
                  &found, &err)) {
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
    str_puts(out, "]}");
    return REPLY_OK;
}
