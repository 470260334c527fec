/*
 * insights - sums of the ledger, of lots, plans and campaigns, and the arithmetic on them
 */
#include "usage/insights.h"

#include <string.h>

#include "base/id.h"
#include "ledger/history.h"
#include "ledger/ledger.h"
#include "plan/plan.h"
#include "text/gsm7.h"

#define HOUR_MS (3600 * INT64_C(1000))
#define DAY_MS (24 * HOUR_MS)
#define HOURS_MAX (3660 * INT64_C(24)) /* an expiry later than that is as good as none */
#define WEEK_DAYS 7
#define LOTS_MOST 100
#define RUNNING_MOST 20

static const struct db_statement sum_use = {
    "insights_use",
    "SELECT coalesce(sum(signed) FILTER (WHERE created_at >= $2), 0)::bigint,"
    "       coalesce(sum(signed), 0)::bigint,"
    "       (SELECT created_at FROM ledger_entries WHERE account_id = $1 AND position = 1)"
    "  FROM (SELECT created_at, CASE kind WHEN 'capture' THEN amount ELSE -amount END AS signed"
    "          FROM ledger_entries"
    "         WHERE account_id = $1 AND kind IN ('capture', 'refund') AND created_at >= $3"
    "           AND created_at <= $4) used",
    4,
};

static struct insights_burn burn_of(int64_t tokens, int64_t window, int64_t age_days,
                                    int64_t usable)
{
    struct insights_burn burn = { .window_days = window, .tokens = tokens, .days_left_e1 = -1 };

    burn.days = age_days < window ? age_days : window;
    burn.e2_per_day = tokens * 100 / burn.days;
    if (tokens > 0) {
        burn.days_left_e1 = usable * 10 * burn.days / tokens;
    }
    return burn;
}

static bool read_burn(struct db *db, int64_t account, struct insights *insights, struct err *err)
{
    AUTO_DB_RESULT struct db_result *found = NULL;
    const int64_t now_ms = insights->at_ms;
    int64_t first_ms, age_days;

    if (!db_query(db, &sum_use,
                  (struct db_value[]){ db_int8(account), db_time(now_ms - WEEK_DAYS * DAY_MS),
                                       db_time(now_ms - INSIGHTS_DAYS * DAY_MS), db_time(now_ms) },
                  &found, err)) {
        return false;
    }
    first_ms = db_get_time(found, 0, 2);
    age_days = first_ms > 0 && first_ms < now_ms ? (now_ms - first_ms + DAY_MS - 1) / DAY_MS : 1;
    insights->week = burn_of(db_get_int(found, 0, 0), WEEK_DAYS, age_days, insights->usable);
    insights->month = burn_of(db_get_int(found, 0, 1), INSIGHTS_DAYS, age_days, insights->usable);
    return true;
}

/* What will have been used of lots by then. */
static int64_t used_by(const struct insights_burn *burn, int64_t now_ms, int64_t at_ms)
{
    int64_t hours = (at_ms - now_ms) / HOUR_MS;

    hours = hours < HOURS_MAX ? hours : HOURS_MAX;
    return burn->tokens > 0 && hours > 0 ? burn->tokens * hours / (burn->days * 24) : 0;
}

/* Each lot is spent after those that expire before it; what they lost was not spent. */
static void lose_lots(struct insights *insights)
{
    int64_t spent = 0;

    for (size_t i = 0; i < insights->lot_count; i++) {
        struct insights_lot *lot = &insights->lots[i];
        const int64_t can = used_by(&insights->month, insights->at_ms, lot->expires_ms) - spent;
        const int64_t used = can < 0 ? 0 : can < lot->available ? can : lot->available;

        lot->lost = lot->available - used;
        insights->lost += lot->lost;
        spent += used;
    }
}

static bool read_lots(struct db *db, int64_t account, struct arena *arena,
                      struct insights *insights, struct err *err)
{
    struct ledger_balance balance;
    struct ledger_lot *lots;
    size_t count;

    if (!ledger_balance(db, account, &balance, err) ||
        !ledger_lots(db, account, LOTS_MOST, arena, &lots, &count, err)) {
        return false;
    }
    insights->available = insights->usable = balance.available;
    insights->reserved = balance.reserved;
    insights->lots = arena_array(arena, count + 1, sizeof *insights->lots);
    for (size_t i = 0; i < count && lots[i].expires_ms != 0; i++) {
        if (lots[i].expires_ms <= insights->at_ms) {
            insights->usable -= lots[i].available; /* about to be retired */
            continue;
        }
        insights->lots[insights->lot_count++] = (struct insights_lot){
            .reference = lots[i].reference,
            .expires_ms = lots[i].expires_ms,
            .available = lots[i].available,
        };
    }
    return true;
}

/* --- plans --- */

static int64_t divide_up(int64_t part, int64_t by)
{
    return (part + by - 1) / by;
}

/* What 30 days with a plan cost, for so many tokens. */
static struct insights_plan price(const struct plan *plan, int64_t tokens)
{
    struct insights_plan priced = {
        .code = plan->code,
        .currency = plan->currency,
        .price_minor = plan->price_minor,
        .tokens = plan->tokens,
        .valid_days = plan->valid_days,
        .purchases = divide_up(INSIGHTS_DAYS, plan->valid_days),
    };

    if (divide_up(tokens, plan->tokens) > priced.purchases) {
        priced.purchases = divide_up(tokens, plan->tokens);
    }
    if (__builtin_mul_overflow(priced.purchases, priced.price_minor, &priced.cost_minor)) {
        priced.cost_minor = INT64_MAX;
    }
    return priced;
}

static const char *amount(const struct insights_plan *plan, struct arena *arena)
{
    return arena_printf(arena, "%s %lld.%02d", plan->currency, (long long)(plan->cost_minor / 100),
                        (int)(plan->cost_minor % 100));
}

/* The cheapest on sale that has the features needed. */
static bool find_cheapest(const struct plan *plans, size_t count, unsigned features,
                          const char *currency, int64_t tokens, struct insights_plan *out_plan)
{
    bool is_found = false;

    for (size_t i = 0; i < count; i++) {
        const struct insights_plan one = price(&plans[i], tokens);

        if (plans[i].once || (plans[i].features & features) != features ||
            (currency != NULL && strcmp(plans[i].currency, currency) != 0)) {
            continue;
        }
        if (!is_found || one.cost_minor < out_plan->cost_minor) {
            *out_plan = one;
            is_found = true;
        }
    }
    return is_found;
}

static void judge_plan(const struct plan *plans, size_t count, unsigned features, int64_t need,
                       struct arena *arena, struct insights *insights)
{
    struct insights_plan best;

    if (!find_cheapest(plans, count, features,
                       insights->has_current ? insights->current.currency : NULL, need, &best)) {
        insights->plan_why = "no plan on sale has all features of yours";
    } else if (!insights->has_current) {
        insights->has_better = true;
        insights->better = best;
        insights->plan_why = arena_printf(
            arena,
            "no plan of yours runs; for %lld tokens in 30 days %s is the cheapest: %lld of "
            "it, %s",
            (long long)need, best.code, (long long)best.purchases, amount(&best, arena));
    } else if (best.cost_minor < insights->current.cost_minor) {
        insights->has_better = true;
        insights->better = best;
        insights->plan_why = arena_printf(
            arena, "for %lld tokens in 30 days it takes %lld of %s, %s, or %lld of %s, %s",
            (long long)need, (long long)insights->current.purchases, insights->current.code,
            amount(&insights->current, arena), (long long)best.purchases, best.code,
            amount(&best, arena));
    } else {
        insights->plan_why =
            arena_printf(arena,
                         "for %lld tokens in 30 days nothing with its features is cheaper "
                         "than %s",
                         (long long)need, insights->current.code);
    }
}

static const struct db_statement had_plan = {
    "insights_had_plan",
    "SELECT EXISTS (SELECT FROM subscriptions WHERE account_id = $1)",
    1,
};

static bool is_customer_by_agreement(struct db *db, int64_t account, bool *out_is, struct err *err)
{
    AUTO_DB_RESULT struct db_result *found = NULL;

    if (!db_query(db, &had_plan, (struct db_value[]){ db_int8(account) }, &found, err)) {
        return false;
    }
    *out_is = !db_get_bool(found, 0, 0);
    return true;
}

/* Of those that run the one that can be bought again and ends last; a trial only when it is alone.
 */
static bool find_current(struct db *db, const struct subscription *running, size_t count,
                         int64_t need, struct arena *arena, struct plan *mine,
                         struct insights *insights, struct err *err)
{
    for (size_t i = 0; i < count; i++) {
        if (!plan_find(db, running[i].plan, arena, mine, err)) {
            return false;
        }
        insights->has_current = true;
        insights->current = price(mine, mine->once ? 0 : need);
        if (!mine->once) {
            return true;
        }
        insights->current.purchases = 1;
        insights->current.cost_minor = mine->price_minor;
    }
    return true;
}

static bool read_plans(struct db *db, int64_t account, struct arena *arena,
                       struct insights *insights, struct err *err)
{
    /* As of 30 days, also of an account that is younger. */
    const int64_t need = divide_up(insights->month.tokens * INSIGHTS_DAYS, insights->month.days);
    struct subscription *running;
    struct plan *plans, mine = { 0 };
    size_t plan_count, running_count;
    unsigned features;
    bool by_agreement;

    if (!plan_list(db, PLANS_ON_SALE, arena, &plans, &plan_count, err) ||
        !plan_subscriptions(db, account, insights->at_ms, RUNNING_MOST, arena, &running,
                            &running_count, err) ||
        !plan_features(db, account, insights->at_ms, &features, err) ||
        !is_customer_by_agreement(db, account, &by_agreement, err)) {
        return false;
    }
    if (!find_current(db, running, running_count, need, arena, &mine, insights, err)) {
        return false;
    }
    if (by_agreement) {
        insights->plan_why = "tokens come by agreement, without a plan to compare with";
    } else if (need <= 0) {
        insights->plan_why = "no tokens were used within 30 days";
    } else if (insights->has_current && mine.once) {
        /* A trial can be no measure of what goes on after it. */
        insights->has_current = false;
        judge_plan(plans, plan_count, features, need, arena, insights);
        insights->has_current = true;
    } else {
        judge_plan(plans, plan_count, features, need, arena, insights);
    }
    return true;
}

/* --- waste --- */

static const struct db_statement sum_waste = {
    "insights_waste",
    "SELECT coalesce(sum(c.invalid), 0)::bigint, (SELECT coalesce(sum(failed), 0)::bigint"
    "           FROM network_usage WHERE account_id = $1"
    "            AND day >= ($3::timestamptz AT TIME ZONE 'UTC')::date),"
    "       (SELECT coalesce(sum(failed_tokens), 0)::bigint FROM network_usage"
    "         WHERE account_id = $1 AND day >= ($3::timestamptz AT TIME ZONE 'UTC')::date)"
    "  FROM campaigns c WHERE c.account_id = $1 AND c.id >= $2",
    3,
};

static const struct db_statement find_over = {
    "insights_over",
    "SELECT c.id, c.title, least(c.just_over, h.captured), h.captured, c.text,"
    "       sum(least(c.just_over, h.captured)) OVER ()::bigint, count(*) OVER ()"
    "  FROM campaigns c JOIN token_holds h ON h.id = c.id"
    " WHERE c.account_id = $1 AND c.id >= $2 AND c.just_over > 0 AND h.captured > 0"
    "   AND c.channel = 'sms'"
    " ORDER BY 3 DESC, c.id DESC LIMIT $3",
    3,
};

static void describe_text(const char *text, struct insights_over *over)
{
    struct text_count count;

    if (text != NULL && text_segments(text, strlen(text), &count)) {
        over->encoding = count.encoding == TEXT_GSM7 ? "gsm7" : "ucs2";
        over->units = count.units;
        over->segments = count.segments;
        over->over = text_over(&count);
    }
}

static bool read_over(struct db *db, int64_t account, struct arena *arena,
                      struct insights *insights, struct err *err)
{
    AUTO_DB_RESULT struct db_result *found = NULL;
    const int64_t since = id_floor(insights->at_ms - INSIGHTS_DAYS * DAY_MS);

    if (!db_query(db, &find_over,
                  (struct db_value[]){ db_int8(account), db_int8(since), db_int8(INSIGHTS_LISTED) },
                  &found, err)) {
        return false;
    }
    insights->over = arena_array(arena, INSIGHTS_LISTED, sizeof *insights->over);
    for (int i = 0; i < db_rows(found); i++) {
        struct insights_over *over = &insights->over[insights->over_count++];

        *over = (struct insights_over){
            .id = db_get_int(found, i, 0),
            .title = arena_strdup(arena, db_get_text(found, i, 1)),
            .recipients = db_get_int(found, i, 2),
            .captured = db_get_int(found, i, 3),
        };
        describe_text(db_is_null(found, i, 4) ? NULL : db_get_text(found, i, 4), over);
        insights->just_over_tokens = db_get_int(found, i, 5);
        insights->just_over_campaigns = db_get_int(found, i, 6);
    }
    return true;
}

static bool read_waste(struct db *db, int64_t account, struct insights *insights, struct err *err)
{
    AUTO_DB_RESULT struct db_result *found = NULL;
    const int64_t since_ms = insights->at_ms - INSIGHTS_DAYS * DAY_MS;

    if (!db_query(
            db, &sum_waste,
            (struct db_value[]){ db_int8(account), db_int8(id_floor(since_ms)), db_time(since_ms) },
            &found, err)) {
        return false;
    }
    insights->invalid_rows = db_get_int(found, 0, 0);
    insights->failed_recipients = db_get_int(found, 0, 1);
    insights->failed_tokens = db_get_int(found, 0, 2);
    return true;
}

bool insights_read(struct db *db, int64_t account, int64_t now_ms, struct arena *arena,
                   struct insights *out_insights, struct err *err)
{
    struct insights insights = { .at_ms = now_ms };

    if (!read_lots(db, account, arena, &insights, err) || !read_burn(db, account, &insights, err)) {
        return false;
    }
    lose_lots(&insights);
    if (!read_plans(db, account, arena, &insights, err) ||
        !read_waste(db, account, &insights, err) ||
        !read_over(db, account, arena, &insights, err)) {
        return false;
    }
    *out_insights = insights;
    return true;
}
