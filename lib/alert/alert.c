/*
 * alert - alerts as they are shown and told
 */
#include "alert/alert.h"

#include <string.h>

#include "base/clock.h"

#define E4 10000

const char *const alert_kinds[] = { "low_balance", "lot_expiring", "unusual_spend",
                                    "provider_credit_low", NULL };

#define COLUMNS                                                                                    \
    "SELECT t.id, coalesce(t.account_id, 0), coalesce(a.slug, ''), t.kind, t.day::text, t.value,"  \
    "       coalesce(t.threshold, 0), t.expires_at, coalesce(t.currency::text, ''),"               \
    "       t.created_at, t.untold_at"                                                             \
    "  FROM alerts t LEFT JOIN accounts a ON a.id = t.account_id"

static const char *credit(const struct alert *alert, int64_t amount_e4, struct arena *arena)
{
    int64_t cents = amount_e4 / (E4 / 100);

    return arena_printf(arena, "%s %s%lld.%02lld", alert->currency, cents < 0 ? "-" : "",
                        (long long)(cents < 0 ? -cents : cents) / 100,
                        (long long)(cents < 0 ? -cents : cents) % 100);
}

static const char *describe(const struct alert *alert, struct arena *arena)
{
    char at[CLOCK_RFC3339_BYTES];

    if (strcmp(alert->kind, "low_balance") == 0) {
        return arena_printf(arena, "%lld tokens are left, fewer than %lld", (long long)alert->value,
                            (long long)alert->threshold);
    }
    if (strcmp(alert->kind, "lot_expiring") == 0) {
        clock_format(alert->expires_ms, at);
        return arena_printf(arena, "%lld tokens expire soon, the first at %s",
                            (long long)alert->value, at);
    }
    if (strcmp(alert->kind, "unusual_spend") == 0) {
        return arena_printf(arena, "%lld tokens were spent today, more than %lld",
                            (long long)alert->value, (long long)alert->threshold);
    }
    return arena_printf(arena, "the provider's credit is %s, less than %s",
                        credit(alert, alert->value, arena), credit(alert, alert->threshold, arena));
}

static void read_alerts(const struct db_result *found, struct arena *arena, struct alert **out_list,
                        size_t *out_count)
{
    size_t count = (size_t)db_rows(found);
    struct alert *alerts = arena_array(arena, count + 1, sizeof *alerts);

    for (int i = 0; i < db_rows(found); i++) {
        alerts[i] = (struct alert){
            .id = db_get_int(found, i, 0),
            .account = db_get_int(found, i, 1),
            .slug = arena_strdup(arena, db_get_text(found, i, 2)),
            .kind = arena_strdup(arena, db_get_text(found, i, 3)),
            .day = arena_strdup(arena, db_get_text(found, i, 4)),
            .value = db_get_int(found, i, 5),
            .threshold = db_get_int(found, i, 6),
            .expires_ms = db_get_time(found, i, 7),
            .currency = arena_strdup(arena, db_get_text(found, i, 8)),
            .created_ms = db_get_time(found, i, 9),
            .untold_ms = db_get_time(found, i, 10),
        };
        alerts[i].detail = describe(&alerts[i], arena);
    }
    *out_list = alerts;
    *out_count = count;
}

#define LIST_WHERE                                                                                 \
    " AND ($2::text IS NULL OR t.kind = $2) AND ($3::bigint = 0 OR t.id < $3)"                     \
    " ORDER BY t.id DESC LIMIT $4"

static const struct db_statement list_of_account = {
    "alert_list_of_account",
    COLUMNS " WHERE t.account_id = $1" LIST_WHERE,
    4,
};
static const struct db_statement list_all = {
    "alert_list_all",
    COLUMNS " WHERE $1::bigint = 0" LIST_WHERE,
    4,
};

bool alert_list(struct db *db, int64_t account, const char *kind, int64_t before, size_t most,
                struct arena *arena, struct alert **out_list, size_t *out_count, struct err *err)
{
    AUTO_DB_RESULT struct db_result *found = NULL;

    if (!db_query(db, account ? &list_of_account : &list_all,
                  (struct db_value[]){ db_int8(account), db_text(kind), db_int8(before),
                                       db_int8((int64_t)most) },
                  &found, err)) {
        return false;
    }
    read_alerts(found, arena, out_list, out_count);
    return true;
}

static const struct db_statement find_untold = {
    "alert_find_untold",
    COLUMNS " WHERE t.untold_at IS NOT NULL ORDER BY t.id LIMIT $1 FOR UPDATE OF t SKIP LOCKED",
    1,
};

bool alert_untold(struct db *db, size_t most, struct arena *arena, struct alert **out_list,
                  size_t *out_count, struct err *err)
{
    AUTO_DB_RESULT struct db_result *found = NULL;

    if (!db_query(db, &find_untold, (struct db_value[]){ db_int8((int64_t)most) }, &found, err)) {
        return false;
    }
    read_alerts(found, arena, out_list, out_count);
    return true;
}

static const struct db_statement mark_told = {
    "alert_mark_told",
    "UPDATE alerts SET untold_at = NULL WHERE id = ANY ($1::bigint[])",
    1,
};

bool alert_told(struct db *db, const struct alert *alerts, size_t count, struct arena *arena,
                struct err *err)
{
    int64_t *ids = arena_array(arena, count + 1, sizeof *ids);
    struct db_value told = db_int8s(ids, count);

    for (size_t i = 0; i < count; i++) {
        ids[i] = alerts[i].id;
    }
    return count == 0 || db_run(db, &mark_told, &told, NULL, err);
}

static const struct db_statement set_low_balance = {
    "alert_set_low_balance",
    "UPDATE accounts SET low_balance = $2 WHERE id = $1",
    2,
};

bool alert_set_low_balance(struct db *db, int64_t account, int64_t tokens, struct err *err)
{
    return db_run(db, &set_low_balance, (struct db_value[]){ db_int8(account), db_int8(tokens) },
                  NULL, err);
}
