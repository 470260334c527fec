/* reserve-tokens: accounts hear of what goes wrong with their tokens before it hurts */
#include "reserve_tokens_scene.h"

#define ALERTED "account.alerted.v1"

/* Alerts are off in the other tests. */
static void alert_on(struct fake_stage *fake, const char *setting, const char *value)
{
    setenv(setting, value, 1);
    fake_stage_restart(fake);
}

/* How many alerts the next round tells. */
static size_t alerted(struct fake_stage *fake)
{
    fake_stage_advance_ms(fake, 61 * 1000);
    assert_true(fake_stage_tick(fake));
    return fake_stage_emitted_of(fake, ALERTED);
}

static void a_low_balance_is_told_once_and_again_when_it_moved(void **state)
{
    struct fake_stage *fake = *state;
    struct alert_event event;
    char id[ID_TEXT_BYTES];

    fake_sql(fake, "SELECT scene_grant(2, 90, 'few'); UPDATE accounts SET low_balance = 100"
                   " WHERE id = 2");
    take_all_but(fake, 49);
    alert_on(fake, "ALERT_LOW_BALANCE", "50");
    assert_true(fake_stage_tick_lost(fake));
    assert_int_equal(fake_stage_emitted_of(fake, ALERTED), 2);
    fake_stage_read(fake, &account_alerted_v1, 0, &event);
    snprintf(id, sizeof id, "%s", event.alert);
    fake_stage_restart(fake); /* killed before it was marked as told */
    assert_int_equal(alerted(fake), 2);
    fake_stage_read(fake, &account_alerted_v1, 0, &event);
    assert_string_equal(event.alert, id); /* the same one */
    assert_string_equal(event.account, "acme");
    assert_string_equal(event.kind, "low_balance");
    assert_int_equal(event.value, 49);
    assert_int_equal(event.threshold, 50);
    assert_string_equal(event.detail, "49 tokens are left, fewer than 50");
    assert_string_equal(fake_stage_out(fake, 0)->key, "account.alerted.acme");
    fake_stage_read(fake, &account_alerted_v1, 1, &event);
    assert_int_equal(event.threshold, 100);
    assert_int_equal(alerted(fake), 0);
    fake_stage_advance_ms(fake, 24LL * 3600 * 1000);
    assert_int_equal(alerted(fake), 0); /* another day, but nothing has moved */
    /* The grant is after the alert: this clock was moved on, the database's was not. */
    fake_sql(fake, "SELECT scene_grant(1, 1, 'one'); UPDATE accounts SET low_balance = 100;"
                   "UPDATE alerts SET created_at = created_at - interval '3 days'"
                   " WHERE account_id = 1");
    assert_int_equal(alerted(fake), 1);
    fake_stage_read(fake, &account_alerted_v1, 0, &event);
    assert_string_equal(event.detail, "50 tokens are left, fewer than 100");
    alert_off();
}

static void tokens_that_expire_soon_are_told_every_day(void **state)
{
    struct fake_stage *fake = *state;
    struct alert_event event;

    fake_sql(fake, "SELECT scene_grant(2, 30, 'a'); SELECT scene_grant(2, 40, 'b');"
                   "SELECT scene_grant(2, 50, 'c');"
                   "UPDATE token_lots SET expires_at = now() + interval '60 hours'"
                   " WHERE reference = 'a';"
                   "UPDATE token_lots SET expires_at = now() + interval '6 days'"
                   " WHERE reference = 'b';"
                   "UPDATE token_lots SET expires_at = now() + interval '8 days'"
                   " WHERE reference = 'c'");
    alert_on(fake, "ALERT_EXPIRING", "168h");
    assert_int_equal(alerted(fake), 1);
    fake_stage_read(fake, &account_alerted_v1, 0, &event);
    assert_string_equal(event.kind, "lot_expiring");
    assert_int_equal(event.value, 70);
    assert_true(event.expires_ms > 0);
    assert_int_equal(alerted(fake), 0);
    fake_stage_advance_ms(fake, 25LL * 3600 * 1000);
    assert_int_equal(alerted(fake), 1);
    fake_stage_read(fake, &account_alerted_v1, 0, &event);
    assert_int_equal(event.value, 120);
    alert_off();
}

/* Tokens captured some days ago. */
static void spend(struct fake_stage *fake, int days_ago, int tokens)
{
    static int number;

    scene_sql(fake,
              "BEGIN; SET LOCAL session_replication_role = replica;"
              "SELECT scene_entry(1, 'hold', 'available', 'reserved', %d, 'h %d');"
              "SELECT scene_entry(1, 'capture', 'reserved', 'spent', %d, 's %d');"
              "UPDATE token_lots SET available = available - %d WHERE id = 1;"
              "UPDATE token_balances SET available = available - %d, spent = spent + %d"
              " WHERE account_id = 1;"
              "UPDATE ledger_entries SET created_at = created_at - interval '%d days'"
              " WHERE reference = 's %d'; COMMIT",
              tokens, number, tokens, number, tokens, tokens, tokens, days_ago, number);
    number++;
}

static void a_day_that_costs_a_multiple_of_the_usual_is_told(void **state)
{
    struct fake_stage *fake = *state;
    struct alert_event event;

    for (int day = 1; day <= 5; day++) {
        spend(fake, day * 2, day * 100); /* the usual is 300 */
    }
    spend(fake, 45, 1000000 / 10); /* too long ago */
    spend(fake, 0, 1200);
    alert_on(fake, "ALERT_SPEND_FACTOR", "4");
    assert_int_equal(alerted(fake), 0);
    spend(fake, 0, 1);
    assert_int_equal(alerted(fake), 1);
    fake_stage_read(fake, &account_alerted_v1, 0, &event);
    assert_string_equal(event.kind, "unusual_spend");
    assert_int_equal(event.value, 1201);
    assert_int_equal(event.threshold, 1200);
    spend(fake, 0, 5000);
    assert_int_equal(alerted(fake), 0);
    fake_sql(fake, "DELETE FROM alerts");
    alert_on(fake, "ALERT_SPEND_FLOOR", "10000");
    assert_int_equal(alerted(fake), 0);
    alert_off();
    /* The dates were moved by hand: the chain is no longer one. */
    fake_sql(fake, "ALTER TABLE ledger_entries DISABLE TRIGGER ALL; DELETE FROM ledger_entries;"
                   "DELETE FROM token_lots; DELETE FROM token_balances");
}

static void a_round_looks_at_a_hundred_accounts_a_tick(void **state)
{
    struct fake_stage *fake = *state;

    fake_sql(fake, "INSERT INTO accounts (id, slug, name, email, status)"
                   " SELECT i, 'a' || i, 'A', i || '@example.com',"
                   "        CASE WHEN i % 10 = 3 THEN 'closed' ELSE 'active' END"
                   "   FROM generate_series(3, 252) i;"
                   "SELECT scene_grant(i, 10, 'few') FROM generate_series(2, 252) i");
    alert_on(fake, "ALERT_LOW_BALANCE", "50");
    assert_true(fake_stage_tick(fake));
    assert_int_equal(fake_stage_emitted_of(fake, ALERTED), 89);
    assert_true(fake_stage_tick(fake));
    assert_int_equal(fake_stage_emitted_of(fake, ALERTED), 90);
    assert_true(fake_stage_tick(fake));
    assert_int_equal(fake_stage_emitted_of(fake, ALERTED), 47);
    assert_true(fake_stage_tick(fake)); /* a new round is not due */
    assert_int_equal(fake_stage_emitted(fake), 0);
    assert_int_equal(fake_number(fake, "SELECT count(*) FROM alerts"), 226);
    alert_off();
}

static void an_alert_of_the_platform_is_told_to_operators(void **state)
{
    struct fake_stage *fake = *state;
    struct alert_event event;

    fake_sql(fake, "INSERT INTO alerts (id, kind, day, value, threshold, currency, created_at,"
                   "                    untold_at)"
                   " VALUES (7, 'provider_credit_low', '2026-11-20', -12500, 5000000, 'KES', now(),"
                   "         now())");
    assert_int_equal(alerted(fake), 1);
    fake_stage_read(fake, &account_alerted_v1, 0, &event);
    assert_string_equal(event.account, "");
    assert_string_equal(event.detail, "the provider's credit is KES -1.25, less than KES 500.00");
    assert_string_equal(fake_stage_out(fake, 0)->key, "account.alerted.-");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(a_low_balance_is_told_once_and_again_when_it_moved),
        SCENE(tokens_that_expire_soon_are_told_every_day),
        SCENE(a_day_that_costs_a_multiple_of_the_usual_is_told),
        SCENE(a_round_looks_at_a_hundred_accounts_a_tick),
        SCENE(an_alert_of_the_platform_is_told_to_operators),
    };

    alert_off();
    return cmocka_run_group_tests_name("stage.reserve-tokens.alerts", tests, scene_start_server,
                                       scene_stop_server);
}
