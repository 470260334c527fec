/*
 * subscribe - an account buys a plan: its time, its features and its lot of tokens
 *
 * The account's row is locked first, so that two purchases at once extend one another instead of
 * both extending the same subscription.
 */
#include <string.h>

#include "base/id.h"
#include "ledger/ledger.h"
#include "plan/plan.h"

#define DAY_MS (24LL * 3600 * 1000)

static const struct db_statement lock_account = {
    "plan_lock_account",
    "SELECT FROM accounts WHERE id = $1 FOR UPDATE",
    1,
};

#define SUBSCRIPTION "SELECT id, plan, reference, tokens, starts_at, ends_at FROM subscriptions"

static struct subscription read_subscription(const struct db_result *rows, int row,
                                             struct arena *arena)
{
    return (struct subscription){
        .id = db_get_int(rows, row, 0),
        .plan = arena_strdup(arena, db_get_text(rows, row, 1)),
        .reference = arena_strdup(arena, db_get_text(rows, row, 2)),
        .tokens = db_get_int(rows, row, 3),
        .starts_ms = db_get_time(rows, row, 4),
        .ends_ms = db_get_time(rows, row, 5),
    };
}

/* Asked under the lock: a statement sees only what was committed when it began. */
static const struct db_statement find_bought = {
    "plan_find_bought",
    SUBSCRIPTION " WHERE account_id = $1 AND reference = $2",
    2,
};
static const struct db_statement look_before = {
    "plan_look_before",
    "SELECT max(ends_at) FILTER (WHERE ends_at > $3), coalesce(bool_or(plan = $2), false)"
    "  FROM subscriptions WHERE account_id = $1",
    3,
};

/* Also lots that are used up: tokens held from them may come back. */
static const struct db_statement carry_over = {
    "plan_carry_over",
    "UPDATE token_lots l SET expires_at = $2"
    "  FROM subscriptions s"
    " WHERE s.account_id = $1 AND s.ends_at > $3 AND l.account_id = $1"
    "   AND l.reference = s.reference AND l.expires_at < $2",
    3,
};

static const struct db_statement insert_subscription = {
    "plan_insert_subscription",
    "INSERT INTO subscriptions (id, account_id, plan, reference, price_minor, currency, tokens,"
    "                           starts_at, ends_at)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    9,
};

static bool buy(struct db *db, int64_t account, const struct plan *plan, int64_t now_ms,
                int64_t runs_until_ms, struct subscription *bought, struct err *err)
{
    bool granted;

    *bought = (struct subscription){
        .id = id_create(now_ms),
        .plan = plan->code,
        .reference = bought->reference,
        .tokens = plan->tokens,
        .starts_ms = now_ms,
        .ends_ms = (runs_until_ms > now_ms ? runs_until_ms : now_ms) + plan->valid_days * DAY_MS,
        .is_new = true,
    };
    /* First, since it locks the balance, as whoever else changes lots does, or may be refused. */
    if (!ledger_grant(db, account, plan->tokens, bought->reference, bought->ends_ms, now_ms,
                      &granted, err)) {
        return false;
    }
    if (!granted) {
        return err_permanent(err, "reference_used",
                             "reference: '%.40s' has granted other tokens before",
                             bought->reference);
    }
    return (!plan->carries_over ||
            db_run(
                db, &carry_over,
                (struct db_value[]){ db_int8(account), db_time(bought->ends_ms), db_time(now_ms) },
                NULL, err)) &&
           db_run(db, &insert_subscription,
                  (struct db_value[]){ db_int8(bought->id), db_int8(account), db_text(plan->code),
                                       db_text(bought->reference), db_int8(plan->price_minor),
                                       db_text(plan->currency), db_int8(plan->tokens),
                                       db_time(bought->starts_ms), db_time(bought->ends_ms) },
                  NULL, err);
}

bool plan_subscribe(struct db *db, int64_t account, const char *code, const char *reference,
                    const struct plan_terms *agreed, int64_t now_ms, struct arena *arena,
                    struct subscription *out_bought, struct err *err)
{
    AUTO_DB_RESULT struct db_result *locked = NULL;
    AUTO_DB_RESULT struct db_result *bought = NULL;
    AUTO_DB_RESULT struct db_result *before = NULL;
    struct db_value values[] = { db_int8(account), db_text(code), db_time(now_ms) };
    struct plan plan;

    if (!plan_find(db, code, arena, &plan, err) ||
        !db_query(db, &lock_account, values, &locked, err) ||
        !db_query(db, &find_bought, (struct db_value[]){ values[0], db_text(reference) }, &bought,
                  err) ||
        !db_query(db, &look_before, values, &before, err)) {
        return false;
    }
    if (db_rows(bought) > 0) {
        *out_bought = read_subscription(bought, 0, arena);
        return true;
    }
    if (agreed != NULL) {
        plan.price_minor = agreed->price_minor;
        plan.currency = agreed->currency;
        plan.tokens = agreed->tokens;
        plan.valid_days = agreed->valid_days;
    } else if (!plan.on_sale) {
        return err_permanent(err, "plan_not_on_sale", "%s is not sold any more", code);
    }
    if (plan.once && db_get_bool(before, 0, 1)) {
        return err_permanent(err, "plan_only_once", "%s was had before, and is given once", code);
    }
    out_bought->reference = reference;
    return buy(db, account, &plan, now_ms, db_get_time(before, 0, 0), out_bought, err);
}

static const struct db_statement list_running = {
    "plan_list_running",
    SUBSCRIPTION " WHERE account_id = $1 AND starts_at <= $2 AND ends_at > $2"
                 " ORDER BY ends_at DESC, id DESC LIMIT $3",
    3,
};

bool plan_subscriptions(struct db *db, int64_t account, int64_t now_ms, size_t most,
                        struct arena *arena, struct subscription **out_list, size_t *out_count,
                        struct err *err)
{
    AUTO_DB_RESULT struct db_result *rows = NULL;

    if (!db_query(db, &list_running,
                  (struct db_value[]){ db_int8(account), db_time(now_ms), db_int8((int64_t)most) },
                  &rows, err)) {
        return false;
    }
    *out_count = (size_t)db_rows(rows);
    *out_list = arena_array(arena, *out_count + 1, sizeof **out_list);
    for (size_t i = 0; i < *out_count; i++) {
        (*out_list)[i] = read_subscription(rows, (int)i, arena);
    }
    return true;
}
