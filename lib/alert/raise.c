/*
 * raise - looks for what is worth an alert, some accounts at a time
 *
 * All that is asked of an account is answered by a few entries of an index. Its last thirty days
 * are only summed when today's spending is above the floor and it was not told of it today.
 */
#include "alert/alert.h"
#include "base/id.h"

#define TODAY "($3::timestamptz AT TIME ZONE 'UTC')::date"
#define MIDNIGHT "(date_trunc('day', $3::timestamptz AT TIME ZONE 'UTC') AT TIME ZONE 'UTC')"

static const struct db_statement raise_accounts = {
    "alert_raise",
    "WITH page AS MATERIALIZED ("
    "    SELECT a.id, a.status, coalesce(a.low_balance, $4) AS low FROM accounts a"
    "     WHERE a.id > $1 ORDER BY a.id LIMIT $2),"
    " active AS MATERIALIZED ("
    "    SELECT p.id, p.low, b.available, b.head_position"
    "      FROM page p JOIN token_balances b ON b.account_id = p.id"
    "     WHERE p.status = 'active' AND b.head_position > 0),"
    " spent AS MATERIALIZED ("
    "    SELECT a.id, t.tokens FROM active a,"
    "           LATERAL (SELECT coalesce(sum(e.amount), 0)::bigint AS tokens FROM ledger_entries e"
    "                     WHERE e.account_id = a.id AND e.kind = 'capture'"
    "                       AND e.created_at >= " MIDNIGHT ") t"
    "     WHERE $6::bigint > 0 AND t.tokens > $7::bigint"
    "       AND NOT EXISTS (SELECT FROM alerts x"
    "                        WHERE x.account_id = a.id AND x.kind = 'unusual_spend'"
    "                          AND x.day = " TODAY ")),"
    " found AS ("
    "    SELECT a.id, 'low_balance' AS kind, a.available AS value, a.low AS threshold,"
    "           NULL::timestamptz AS expires_at"
    "      FROM active a"
    "     WHERE a.available < a.low"
    "       AND NOT EXISTS (SELECT FROM alerts x"
    "                        WHERE x.account_id = a.id AND x.kind = 'low_balance'"
    "                          AND x.created_at >="
    "                              (SELECT e.created_at FROM ledger_entries e"
    "                                WHERE e.account_id = a.id"
    "                                  AND e.position = a.head_position))"
    "    UNION ALL"
    "    SELECT a.id, 'lot_expiring', sum(t.available)::bigint, NULL, min(t.expires_at)"
    "      FROM active a JOIN token_lots t ON t.account_id = a.id"
    "     WHERE t.available > 0 AND t.expires_at > $3 AND t.expires_at <= $5"
    "     GROUP BY a.id"
    "    UNION ALL"
    "    SELECT s.id, 'unusual_spend', s.tokens, greatest(m.usual * $6::bigint, $7::bigint), NULL"
    "      FROM spent s,"
    "           LATERAL (SELECT coalesce(percentile_disc(0.5) WITHIN GROUP (ORDER BY n), 0)"
    "                           AS usual"
    "                      FROM (SELECT sum(e.amount)::bigint AS n FROM ledger_entries e"
    "                             WHERE e.account_id = s.id AND e.kind = 'capture'"
    "                               AND e.created_at < " MIDNIGHT
    "                               AND e.created_at >= " MIDNIGHT " - interval '30 days'"
    "                             GROUP BY (e.created_at AT TIME ZONE 'UTC')::date) days) m"
    "     WHERE s.tokens > m.usual * $6::bigint),"
    " raised AS ("
    "    INSERT INTO alerts (id, account_id, kind, day, value, threshold, expires_at, created_at,"
    "                        untold_at)"
    "    SELECT $8 + row_number() OVER (), id, kind, " TODAY ", value, threshold, expires_at, $3,"
    "           $3 FROM found"
    "    ON CONFLICT ON CONSTRAINT alerts_once DO NOTHING RETURNING 1)"
    " SELECT CASE WHEN count(*) = $2 THEN max(id) ELSE 0 END, (SELECT count(*) FROM raised)"
    "   FROM page",
    8
};

bool alert_raise(struct db *db, const struct alert_rules *rules, int64_t after, int accounts,
                 int64_t now_ms, struct alert_page *out_page, struct err *err)
{
    AUTO_DB_RESULT struct db_result *page = NULL;

    if (!db_query(db, &raise_accounts,
                  (struct db_value[]){ db_int8(after), db_int8(accounts), db_time(now_ms),
                                       db_int8(rules->low_balance),
                                       db_time(now_ms + rules->expiring_ms),
                                       db_int8(rules->spend_factor), db_int8(rules->spend_floor),
                                       db_int8(id_create(now_ms)) },
                  &page, err)) {
        return false;
    }
    *out_page = (struct alert_page){ db_get_int(page, 0, 0), db_get_int(page, 0, 1) };
    return true;
}

static const struct db_statement raise_credit = {
    "alert_raise_credit",
    "INSERT INTO alerts (id, kind, day, value, threshold, currency, created_at, untold_at)"
    " VALUES ($1, 'provider_credit_low', " TODAY ", $2, $4, $5, $3, $3)"
    " ON CONFLICT ON CONSTRAINT alerts_once DO NOTHING",
    5
};

bool alert_raise_credit(struct db *db, int64_t balance_e4, int64_t threshold_e4,
                        const char *currency, int64_t now_ms, struct err *err)
{
    return db_run(db, &raise_credit,
                  (struct db_value[]){ db_int8(id_create(now_ms)), db_int8(balance_e4),
                                       db_time(now_ms), db_int8(threshold_e4), db_text(currency) },
                  NULL, err);
}
