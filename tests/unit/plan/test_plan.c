/* lib/plan: plans are data, a subscription is bought once, features and lots follow from both */
#include <pthread.h>

#include "base/clock.h"
#include "ledger/ledger.h"
#include "migrated.h"
#include "plan/plan.h"

#define NOW INT64_C(1795000000000)
#define DAY_MS (24 * 3600 * INT64_C(1000))
#define THREADS 6

static struct arena *arena;

static struct subscription buy(struct db *db, const char *plan, const char *reference,
                               int64_t now_ms)
{
    struct subscription bought;
    struct err err;

    assert_ok(db_begin(db, &err));
    assert_ok(plan_subscribe(db, 1, plan, reference, NULL, now_ms, arena, &bought, &err));
    assert_ok(db_commit(db, &err));
    return bought;
}

static void refuse(struct db *db, const char *plan, const char *reference, int64_t now_ms,
                   const char *what)
{
    struct subscription bought;
    struct err err;

    assert_ok(db_begin(db, &err));
    assert_fails(plan_subscribe(db, 1, plan, reference, NULL, now_ms, arena, &bought, &err),
                 ERR_PERMANENT, what);
    db_rollback(db);
}

static unsigned features(struct db *db, int64_t now_ms)
{
    unsigned bits;
    struct err err;

    assert_ok(plan_features(db, 1, now_ms, &bits, &err));
    return bits;
}

static int64_t available(struct db *db)
{
    struct ledger_balance balance;
    struct err err;

    assert_ok(ledger_balance(db, 1, &balance, &err));
    return balance.available;
}

/* Milliseconds until which a lot is valid. */
static int64_t lot_ends(struct db *db, const char *reference)
{
    char sql[160];

    snprintf(sql, sizeof sql,
             "SELECT (extract(epoch FROM expires_at) * 1000)::bigint FROM token_lots"
             " WHERE reference = '%s'",
             reference);
    return number_of(db, sql);
}

static void words_and_bits_are_the_same(void **state)
{
    struct str text = { 0 };
    const char *bad;
    unsigned bits;

    (void)state;
    plan_features_write(PLAN_EVERYTHING, "", ",", &text);
    assert_true(plan_features_parse(text.bytes, &bits, &bad));
    assert_int_equal(bits, PLAN_EVERYTHING);
    assert_true(plan_features_parse("analytics,basic_sending", &bits, &bad));
    assert_int_equal(bits, PLAN_BIT(PLAN_ANALYTICS) | PLAN_BIT(PLAN_BASIC_SENDING));
    str_reset(&text);
    plan_features_write(bits, "\"", ", ", &text);
    assert_string_equal(text.bytes, "\"basic_sending\", \"analytics\"");
    assert_true(plan_features_parse("", &bits, &bad));
    assert_int_equal(bits, 0);
    assert_false(plan_features_parse("analytics,analytic,api_access", &bits, &bad));
    assert_string_equal(bad, "analytic,api_access");
    assert_int_equal(plan_features_known("analytics,telepathy,api_access"),
                     PLAN_BIT(PLAN_ANALYTICS) | PLAN_BIT(PLAN_API_ACCESS));
    assert_false(plan_features_parse("analytics,,", &bits, &bad));
    str_free(&text);
}

static void the_four_plans_are_there(void **state)
{
    static const struct {
        const char *code;
        int64_t tokens, days;
        unsigned without;
    } wanted[] = {
        { "demo", 100, 7,
          PLAN_EVERYTHING & ~(PLAN_BIT(PLAN_BASIC_SENDING) | PLAN_BIT(PLAN_DELIVERY_REPORTS)) },
        { "starter", 1000, 30,
          PLAN_BIT(PLAN_API_ACCESS) | PLAN_BIT(PLAN_SCHEDULED_SENDING) |
              PLAN_BIT(PLAN_PRIORITY_SENDING) | PLAN_BIT(PLAN_DEDICATED_SUPPORT) },
        { "business", 5000, 30,
          PLAN_BIT(PLAN_PRIORITY_SENDING) | PLAN_BIT(PLAN_DEDICATED_SUPPORT) },
        { "enterprise", 20000, 30, 0 },
    };
    struct db *db = *state;
    struct plan *plans;
    struct err err;
    size_t count;

    assert_ok(plan_list(db, PLANS_ON_SALE, arena, &plans, &count, &err));
    assert_int_equal(count, 4);
    for (size_t i = 0; i < count; i++) {
        assert_string_equal(plans[i].code, wanted[i].code);
        assert_int_equal(plans[i].tokens, wanted[i].tokens);
        assert_int_equal(plans[i].valid_days, wanted[i].days);
        assert_int_equal(plans[i].features, PLAN_EVERYTHING & ~wanted[i].without);
        assert_int_equal(plans[i].once, i == 0);
        assert_int_equal(plans[i].price_minor == 0, i == 0);
    }
}

static void an_operator_edits_them(void **state)
{
    struct db *db = *state;
    struct plan plan, *plans;
    struct err err;
    size_t count;

    assert_ok(plan_find(db, "starter", arena, &plan, &err));
    plan.price_minor = 120000;
    plan.features = 0;
    plan.on_sale = false;
    assert_ok(plan_save(db, &plan, &err));
    plan = (struct plan){ .code = "school",
                          .name = "School term",
                          .price_minor = 300000,
                          .currency = "KES",
                          .tokens = 4000,
                          .valid_days = 100,
                          .tokens_per_minute = 3,
                          .features = PLAN_BIT(PLAN_ANALYTICS),
                          .on_sale = true,
                          .position = 9 };
    assert_ok(plan_save(db, &plan, &err));
    assert_ok(plan_list(db, PLANS_ALL, arena, &plans, &count, &err));
    assert_int_equal(count, 5);
    assert_int_equal(plans[1].price_minor, 120000);
    assert_int_equal(plans[1].features, 0);
    assert_int_equal(plans[1].tokens_per_minute, 1);
    assert_string_equal(plans[4].name, "School term");
    assert_int_equal(plans[4].tokens_per_minute, 3);
    plans[4].tokens_per_minute = 4;
    assert_ok(plan_save(db, &plans[4], &err));
    assert_int_equal(number_of(db, "SELECT tokens_per_minute FROM plans WHERE code = 'school'"), 4);
    assert_int_equal(plans[4].features, PLAN_BIT(PLAN_ANALYTICS));
    assert_ok(plan_list(db, PLANS_ON_SALE, arena, &plans, &count, &err));
    assert_int_equal(count, 4);
    refuse(db, "starter", "PAY-1", NOW, "plan_not_on_sale");
    refuse(db, "gold", "PAY-1", NOW, "plan_unknown");
    assert_fails(plan_find(db, "gold", arena, &plan, &err), ERR_PERMANENT, "plan_unknown");
    assert_string_equal(err.detail,
                        "'gold' is no plan; there are demo, business, enterprise and school");
    plan.tokens = 0;
    plan.code = "nothing";
    assert_false(plan_save(db, &plan, &err));
}

static void a_plan_is_bought_once_by_its_reference(void **state)
{
    struct db *db = *state;
    struct subscription first = buy(db, "business", "PAY-1", NOW);
    struct subscription again = buy(db, "business", "PAY-1", NOW + 5000);

    assert_true(first.is_new);
    assert_false(again.is_new);
    assert_int_equal(again.id, first.id);
    assert_int_equal(again.ends_ms, NOW + 30 * DAY_MS);
    assert_int_equal(available(db), 5000);
    assert_int_equal(lot_ends(db, "PAY-1"), NOW + 30 * DAY_MS);
    assert_int_equal(number_of(db, "SELECT count(*) FROM subscriptions"), 1);
    assert_int_equal(number_of(db, "SELECT price_minor FROM subscriptions"), 450000);
}

/* Or there would be a subscription without its tokens. */
static void a_reference_that_granted_tokens_buys_no_plan(void **state)
{
    struct db *db = *state;
    struct err err;

    assert_ok(ledger_grant(db, 1, 7, "CASH-1", 0, NOW, NULL, &err));
    refuse(db, "business", "CASH-1", NOW, "reference_used");
    assert_int_equal(number_of(db, "SELECT count(*) FROM subscriptions"), 0);
    assert_int_equal(available(db), 7);
}

static void the_demo_is_had_once(void **state)
{
    struct db *db = *state;

    buy(db, "demo", "DEMO", NOW);
    refuse(db, "demo", "DEMO-2", NOW + 100 * DAY_MS, "plan_only_once");
    assert_false(buy(db, "demo", "DEMO", NOW + 100 * DAY_MS).is_new); /* the same, told again */
    assert_int_equal(available(db), 100);
}

static void features_are_those_of_what_runs(void **state)
{
    struct db *db = *state;

    assert_int_equal(features(db, NOW), PLAN_EVERYTHING); /* by agreement */
    buy(db, "demo", "DEMO", NOW);
    assert_int_equal(features(db, NOW),
                     PLAN_BIT(PLAN_BASIC_SENDING) | PLAN_BIT(PLAN_DELIVERY_REPORTS));
    buy(db, "business", "PAY-1", NOW + DAY_MS);
    assert_int_equal(features(db, NOW + DAY_MS),
                     PLAN_EVERYTHING &
                         ~(PLAN_BIT(PLAN_PRIORITY_SENDING) | PLAN_BIT(PLAN_DEDICATED_SUPPORT)));
    assert_int_equal(features(db, NOW + 36 * DAY_MS) != 0, 1);
    assert_int_equal(features(db, NOW + 38 * DAY_MS), 0); /* 7 days of demo, then 30 of business */
}

static void a_feature_that_is_missing_says_who_has_it(void **state)
{
    struct db *db = *state;
    struct err err;

    assert_false(plan_fail(db, PLAN_SCHEDULED_SENDING, "", arena, &err));
    assert_string_equal(err.what, "feature_not_in_plan");
    assert_string_equal(err.detail,
                        "scheduled_sending is not in your plan; it is in business and enterprise");
    script(db, "UPDATE plans SET on_sale = false WHERE code <> 'demo'");
    assert_false(plan_fail(db, PLAN_SCHEDULED_SENDING, "scheduled_at: ", arena, &err));
    assert_string_equal(
        err.detail, "scheduled_at: scheduled_sending is not in your plan; no plan on sale has it");
}

static void renewed_in_time_it_carries_over(void **state)
{
    struct db *db = *state;
    struct subscription first = buy(db, "starter", "PAY-1", NOW);
    struct subscription second = buy(db, "starter", "PAY-2", NOW + 20 * DAY_MS);

    assert_int_equal(second.ends_ms, first.ends_ms + 30 * DAY_MS); /* no day is lost */
    assert_int_equal(lot_ends(db, "PAY-1"), second.ends_ms);
    assert_int_equal(lot_ends(db, "PAY-2"), second.ends_ms);
    assert_int_equal(available(db), 2000);
}

static void renewed_too_late_it_does_not(void **state)
{
    struct db *db = *state;
    struct subscription first = buy(db, "starter", "PAY-1", NOW);
    struct subscription second = buy(db, "starter", "PAY-2", NOW + 31 * DAY_MS);

    assert_int_equal(second.ends_ms, NOW + 61 * DAY_MS);
    assert_int_equal(lot_ends(db, "PAY-1"), first.ends_ms);
}

static void a_plan_that_does_not_carry_over_leaves_lots_alone(void **state)
{
    struct db *db = *state;
    struct subscription first = buy(db, "starter", "PAY-1", NOW);
    struct subscription second;
    struct err err;

    assert_ok(ledger_grant(db, 1, 7, "TKN-1", NOW + DAY_MS, NOW, NULL, &err));
    script(db, "UPDATE plans SET carries_over = false WHERE code = 'business'");
    second = buy(db, "business", "PAY-2", NOW + DAY_MS / 2);
    assert_int_equal(second.ends_ms, first.ends_ms + 30 * DAY_MS);
    assert_int_equal(lot_ends(db, "PAY-1"), first.ends_ms);
    buy(db, "enterprise", "PAY-3", NOW + DAY_MS / 2);
    assert_int_equal(lot_ends(db, "PAY-1"), first.ends_ms + 60 * DAY_MS);
    assert_int_equal(lot_ends(db, "TKN-1"), NOW + DAY_MS); /* no subscription's lot */
}

/* Held from a lot that is used up, and given back after the renewal. */
static void tokens_that_come_back_live_as_long_as_the_rest(void **state)
{
    struct db *db = *state;
    struct ledger_held held;
    struct err err;

    buy(db, "starter", "PAY-1", NOW);
    assert_ok(db_begin(db, &err));
    assert_ok(ledger_hold(db, 1, 77, 1000, NOW, &held, &err));
    assert_ok(db_commit(db, &err));
    assert_true(held.held);
    buy(db, "starter", "PAY-2", NOW + DAY_MS);
    assert_ok(db_begin(db, &err));
    assert_ok(ledger_close(db, 1, 77, "back", 0, NOW + 40 * DAY_MS, &err));
    assert_ok(ledger_expire(db, NOW + 40 * DAY_MS, 100, NULL, &err));
    assert_ok(db_commit(db, &err));
    assert_int_equal(available(db), 2000);
}

static void *buy_in_a_thread(void *context)
{
    struct db *db = migrated_db();
    struct arena *mine = arena_create(1 << 20);
    struct subscription bought;
    struct err err;

    assert_ok(db_begin(db, &err));
    assert_ok(plan_subscribe(db, 1, "starter", context, NULL, NOW, mine, &bought, &err));
    assert_ok(db_commit(db, &err));
    db_close(db);
    arena_destroy(mine);
    return NULL;
}

/* Each extends the others, whatever their order; the same reference twice is one. */
static void purchases_at_once_extend_each_other(void **state)
{
    static char references[THREADS][20];
    struct db *db = *state;
    pthread_t threads[THREADS];

    for (int i = 0; i < THREADS; i++) {
        snprintf(references[i], sizeof references[i], "PAY-%d", i / 2);
        assert_int_equal(pthread_create(&threads[i], NULL, buy_in_a_thread, references[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(number_of(db, "SELECT count(*) FROM subscriptions"), THREADS / 2);
    assert_int_equal(available(db), THREADS / 2 * 1000);
    for (int i = 0; i < THREADS; i += 2) {
        assert_int_equal(lot_ends(db, references[i]), NOW + THREADS / 2 * 30 * DAY_MS);
    }
}

static void what_runs_is_listed(void **state)
{
    struct db *db = *state;
    struct subscription *list;
    struct err err;
    size_t count;

    buy(db, "demo", "DEMO", NOW);
    buy(db, "business", "PAY-1", NOW);
    assert_ok(plan_subscriptions(db, 1, NOW, 10, arena, &list, &count, &err));
    assert_int_equal(count, 2);
    assert_string_equal(list[0].plan, "business");
    assert_string_equal(list[1].reference, "DEMO");
    assert_ok(plan_subscriptions(db, 1, NOW, 1, arena, &list, &count, &err));
    assert_int_equal(count, 1);
    assert_ok(plan_subscriptions(db, 1, NOW + 8 * DAY_MS, 10, arena, &list, &count, &err));
    assert_int_equal(count, 1);
}

static int start(void **state)
{
    arena = arena_create(16 << 20);
    return migrated_start(state);
}

/* Each test begins with the plans as they are shipped. */
static int open_fresh(void **state)
{
    migrated_open(state);
    script(*state, "CREATE TABLE IF NOT EXISTS shipped AS TABLE plans;"
                   "DELETE FROM plans; INSERT INTO plans TABLE shipped");
    return 0;
}

static int stop(void **state)
{
    arena_destroy(arena);
    return migrated_stop(state);
}

#define FRESH(test) cmocka_unit_test_setup_teardown(test, open_fresh, migrated_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_and_bits_are_the_same),
        FRESH(the_four_plans_are_there),
        FRESH(an_operator_edits_them),
        FRESH(a_plan_is_bought_once_by_its_reference),
        FRESH(a_reference_that_granted_tokens_buys_no_plan),
        FRESH(the_demo_is_had_once),
        FRESH(features_are_those_of_what_runs),
        FRESH(a_feature_that_is_missing_says_who_has_it),
        FRESH(renewed_in_time_it_carries_over),
        FRESH(renewed_too_late_it_does_not),
        FRESH(a_plan_that_does_not_carry_over_leaves_lots_alone),
        FRESH(tokens_that_come_back_live_as_long_as_the_rest),
        FRESH(purchases_at_once_extend_each_other),
        FRESH(what_runs_is_listed),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
