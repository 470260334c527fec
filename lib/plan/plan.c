/*
 * plan - the table of plans, and what they add up to for an account
 */
#include "plan/plan.h"

#define COLUMNS                                                                                    \
    "SELECT code, name, price_minor, currency::text, tokens, valid_days,"                          \
    "       array_to_string(features, ','), once, carries_over, on_sale, position,"                \
    "       tokens_per_minute FROM plans"

static struct plan read_plan(const struct db_result *rows, int row, struct arena *arena)
{
    return (struct plan){
        .code = arena_strdup(arena, db_get_text(rows, row, 0)),
        .name = arena_strdup(arena, db_get_text(rows, row, 1)),
        .price_minor = db_get_int(rows, row, 2),
        .currency = arena_strdup(arena, db_get_text(rows, row, 3)),
        .tokens = db_get_int(rows, row, 4),
        .valid_days = db_get_int(rows, row, 5),
        .features = plan_features_known(db_get_text(rows, row, 6)),
        .once = db_get_bool(rows, row, 7),
        .carries_over = db_get_bool(rows, row, 8),
        .on_sale = db_get_bool(rows, row, 9),
        .position = db_get_int(rows, row, 10),
        .tokens_per_minute = db_get_int(rows, row, 11),
    };
}

static const struct db_statement list_plans = {
    "plan_list",
    COLUMNS " WHERE on_sale OR $1 ORDER BY position, code",
    1,
};

bool plan_list(struct db *db, enum plans_wanted wanted, struct arena *arena,
               struct plan **out_plans, size_t *out_count, struct err *err)
{
    AUTO_DB_RESULT struct db_result *rows = NULL;

    if (!db_query(db, &list_plans, (struct db_value[]){ db_bool(wanted == PLANS_ALL) }, &rows,
                  err)) {
        return false;
    }
    *out_count = (size_t)db_rows(rows);
    *out_plans = arena_array(arena, *out_count + 1, sizeof **out_plans);
    for (size_t i = 0; i < *out_count; i++) {
        (*out_plans)[i] = read_plan(rows, (int)i, arena);
    }
    return true;
}

static const struct db_statement find_plan = { "plan_find", COLUMNS " WHERE code = $1", 1 };

/* "demo, starter and business" of the plans that have the feature bits; "" for none. */
static const char *names(const struct plan *plans, size_t count, unsigned features,
                         struct arena *arena)
{
    const char *text = "";
    size_t left = 0;

    for (size_t i = 0; i < count; i++) {
        left += (plans[i].features & features) == features;
    }
    for (size_t i = 0; i < count; i++) {
        if ((plans[i].features & features) == features) {
            left--;
            text = arena_printf(arena, "%s%s%s", text, plans[i].code,
                                left > 1    ? ", "
                                : left == 1 ? " and "
                                            : "");
        }
    }
    return text;
}

bool plan_find(struct db *db, const char *code, struct arena *arena, struct plan *out_plan,
               struct err *err)
{
    AUTO_DB_RESULT struct db_result *rows = NULL;
    struct plan *plans;
    size_t count;

    if (!db_query(db, &find_plan, (struct db_value[]){ db_text(code) }, &rows, err)) {
        return false;
    }
    if (db_rows(rows) > 0) {
        *out_plan = read_plan(rows, 0, arena);
        return true;
    }
    return plan_list(db, PLANS_ON_SALE, arena, &plans, &count, err) &&
           err_permanent(err, "plan_unknown", "'%.40s' is no plan; there are %s", code,
                         names(plans, count, 0, arena));
}

static const struct db_statement save_plan = {
    "plan_save",
    "INSERT INTO plans (code, name, price_minor, currency, tokens, valid_days, features, once,"
    "                   carries_over, on_sale, position, tokens_per_minute)"
    " VALUES ($1, $2, $3, $4, $5, $6, string_to_array($7, ','), $8, $9, $10, $11, $12)"
    " ON CONFLICT ON CONSTRAINT plans_pkey DO UPDATE"
    "    SET name = excluded.name, price_minor = excluded.price_minor,"
    "        currency = excluded.currency, tokens = excluded.tokens,"
    "        valid_days = excluded.valid_days, features = excluded.features,"
    "        once = excluded.once, carries_over = excluded.carries_over,"
    "        on_sale = excluded.on_sale, position = excluded.position,"
    "        tokens_per_minute = excluded.tokens_per_minute, changed_at = now()",
    12,
};

bool plan_save(struct db *db, const struct plan *plan, struct err *err)
{
    struct str features = { 0 };
    bool saved;

    plan_features_write(plan->features, "", ",", &features);
    saved = db_run(db, &save_plan,
                   (struct db_value[]){ db_text(plan->code), db_text(plan->name),
                                        db_int8(plan->price_minor), db_text(plan->currency),
                                        db_int8(plan->tokens), db_int4((int32_t)plan->valid_days),
                                        db_text(features.len > 0 ? features.bytes : ""),
                                        db_bool(plan->once), db_bool(plan->carries_over),
                                        db_bool(plan->on_sale), db_int4((int32_t)plan->position),
                                        db_int4((int32_t)plan->tokens_per_minute) },
                   NULL, err);
    str_free(&features);
    return saved;
}

static const struct db_statement features_now = {
    "plan_features",
    "SELECT array_to_string(account_features($1, $2), ',')",
    2,
};

bool plan_features(struct db *db, int64_t account, int64_t now_ms, unsigned *out_features,
                   struct err *err)
{
    AUTO_DB_RESULT struct db_result *rows = NULL;

    if (!db_query(db, &features_now, (struct db_value[]){ db_int8(account), db_time(now_ms) },
                  &rows, err)) {
        return false;
    }
    *out_features = plan_features_known(db_get_text(rows, 0, 0));
    return true;
}

bool plan_fail(struct db *db, enum plan_feature feature, const char *field, struct arena *arena,
               struct err *err)
{
    struct plan *plans;
    const char *having;
    size_t count;

    if (!plan_list(db, PLANS_ON_SALE, arena, &plans, &count, err)) {
        return false;
    }
    having = names(plans, count, PLAN_BIT(feature), arena);
    return err_permanent(err, "feature_not_in_plan", "%s%s is not in your plan; %s", field,
                         plan_feature_word(feature),
                         *having != '\0' ? arena_printf(arena, "it is in %s", having)
                                         : "no plan on sale has it");
}
