/* lib/usage: what tokens went for adds up with the ledger, and what follows from it is exact */
#include "base/clock.h"
#include "base/id.h"
#include "ledger/ledger.h"
#include "migrated.h"
#include "plan/plan.h"
#include "usage/insights.h"
#include "usage/usage.h"

#define DAY_MS (24 * 3600 * INT64_C(1000))
#define SAFARICOM 63902
#define AIRTEL 63903
#define REFUSED (-1) /* for a network: the provider never took it */

static struct arena *arena;

/* One recipient: its state, network and segments. */
struct one {
    int state, network, segments;
};

static int64_t campaign_of_chance(void)
{
    static int64_t last;
    int64_t id = id_create(clock_now_ms());

    last = id > last ? id : last + 1; /* in the order of their making */
    return last;
}

static void grant(struct db *db, int64_t tokens, const char *reference, int64_t expires_ms)
{
    struct err err;

    assert_ok(db_begin(db, &err));
    assert_ok(ledger_grant(db, 1, tokens, reference, expires_ms, clock_now_ms(), NULL, &err));
    assert_ok(db_commit(db, &err));
}

/* The hold is booked now; what was captured, on the day. */
static void capture(struct db *db, int64_t id, int64_t tokens, const char *at)
{
    struct str sql = { 0 };

    str_printf(&sql,
               "WITH e AS (INSERT INTO ledger_entries (account_id, kind, debit, credit, amount,"
               "        reference, hold_id, created_at, position, previous, hash)"
               "    SELECT 1, 'capture', 'reserved', 'spent', %lld, '%lld', %lld, %s,"
               "           head_position + 1, head_hash,"
               "           ledger_hash(1, head_position + 1, head_hash, ledger_line(%s, 'capture',"
               "               'reserved', 'spent', %lld, %lld, NULL, '%lld', NULL, NULL))"
               "      FROM token_balances WHERE account_id = 1 RETURNING position, hash)"
               " UPDATE token_balances SET reserved = reserved - %lld, spent = spent + %lld,"
               "        head_position = e.position, head_hash = e.hash FROM e"
               "  WHERE account_id = 1;"
               " UPDATE token_holds SET captured = %lld WHERE id = %lld",
               (long long)tokens, (long long)id, (long long)id, at, at, (long long)tokens,
               (long long)id, (long long)id, (long long)tokens, (long long)tokens,
               (long long)tokens, (long long)id);
    script(db, sql.bytes);
    str_free(&sql);
}

/* A campaign whose one batch went out so many days ago, at noon. */
static int64_t campaign(struct db *db, const char *status, int days_ago, const struct one *ones,
                        int count)
{
    const int64_t id = campaign_of_chance();
    struct str sql = { 0 };
    struct ledger_held held;
    char at[120];
    struct err err;
    int64_t captured = 0, released = 0;

    snprintf(at, sizeof at,
             "date_trunc('day', now(), 'UTC') - interval '%d days' + interval '1 millisecond'",
             days_ago);
    for (int i = 0; i < count; i++) {
        if (ones[i].network == REFUSED) {
            released += ones[i].segments;
        } else if (ones[i].state != 2) {
            captured += ones[i].segments;
        }
        str_printf(&sql,
                   "INSERT INTO recipients (campaign_id, msisdn, seq, batch, network, state,"
                   "   segments, sent_at, final_at, provider_id) VALUES (%lld, %lld, %d, 1,"
                   "   nullif(greatest(%d, 0), 0), %d, %d, %s, CASE WHEN %d > 3 THEN %s"
                   "   + interval '%d seconds' END, %s);",
                   (long long)id, 254700000001LL + i, i + 1, ones[i].network, ones[i].state,
                   ones[i].segments, at, ones[i].state, at, ones[i].network == REFUSED ? 0 : 9,
                   ones[i].state == 2 ? "NULL" : "'id'");
    }
    str_printf(&sql,
               "INSERT INTO campaigns (id, account_id, reference, status, title, message_template,"
               "    country, started_at, sent_at, rows_received, planned, last_seq, segments,"
               "    chunks_expected, chunks_done, next_seq)"
               " SELECT %lld, 1, '%lld', '%s', 'No %lld', 'x', 'KE', %s, %s, %d, %d, %d,"
               "        sum(segments), 1, 1, %d FROM recipients WHERE campaign_id = %lld;"
               "INSERT INTO batches (campaign_id, batch, first_seq, last_seq, origin, claimed_seq,"
               "    recorded_seq, done_at, settled_at, started_at, sent, delivered, failed,"
               "    expired, in_doubt, captured, released)"
               " SELECT %lld, 1, 1, %d, 'x', %d, %d, %s, CASE WHEN count(*) FILTER (WHERE state < "
               "4)"
               "        = 0 THEN now() END, %s, count(*) FILTER (WHERE state = 3),"
               "        count(*) FILTER (WHERE state = 4), count(*) FILTER (WHERE state = 5),"
               "        count(*) FILTER (WHERE state = 6), count(*) FILTER (WHERE state = 2),"
               "        %lld, %lld FROM recipients WHERE campaign_id = %lld",
               (long long)id, (long long)id, status, (long long)id, at, at, count, count, count,
               count + 1, (long long)id, (long long)id, count, count, count, at, at,
               (long long)captured, (long long)released, (long long)id);
    script(db, sql.bytes);
    str_reset(&sql);
    assert_ok(db_begin(db, &err));
    str_printf(&sql, "SELECT segments FROM campaigns WHERE id = %lld", (long long)id);
    assert_ok(ledger_hold(db, 1, id, number_of(db, sql.bytes), clock_now_ms(), &held, &err));
    assert_true(held.held);
    assert_ok(ledger_settle(db, 1, id, "refused", 0, released, clock_now_ms(), &err));
    assert_ok(db_commit(db, &err));
    if (captured > 0) {
        capture(db, id, captured, at);
    }
    str_free(&sql);
    return id;
}

static struct usage use(struct db *db, int64_t days, int64_t top)
{
    struct usage usage;
    struct err err;

    assert_ok(usage_read(db, 1, days, top, clock_now_ms(), arena, &usage, &err));
    return usage;
}

static int64_t count_pieces(struct db *db, int64_t most, int64_t old_ms)
{
    struct err err;
    int64_t campaigns;

    assert_ok(db_begin(db, &err));
    assert_ok(usage_count(db, most, old_ms, &campaigns, &err));
    assert_ok(db_commit(db, &err));
    return campaigns;
}

#define assert_sums(sums, t, r, n)                                                                 \
    do {                                                                                           \
        assert_int_equal((sums).tokens, t);                                                        \
        assert_int_equal((sums).refunded, r);                                                      \
        assert_int_equal((sums).recipients, n);                                                    \
    } while (0)

#define assert_network(network_, code, r, t, d, f, ft)                                             \
    do {                                                                                           \
        assert_int_equal((network_).network, code);                                                \
        assert_int_equal((network_).recipients, r);                                                \
        assert_int_equal((network_).tokens, t);                                                    \
        assert_int_equal((network_).delivered, d);                                                 \
        assert_int_equal((network_).failed, f);                                                    \
        assert_int_equal((network_).failed_tokens, ft);                                            \
    } while (0)

static const struct one mixed[] = {
    { 4, SAFARICOM, 2 }, { 4, SAFARICOM, 1 }, { 5, SAFARICOM, 3 }, { 4, AIRTEL, 1 },
    { 3, 0, 1 },         { 5, REFUSED, 4 },   { 6, AIRTEL, 2 },
};
#define MIXED ((int)(sizeof mixed / sizeof *mixed))

static void an_account_without_use_has_days_of_nothing(void **state)
{
    struct usage usage = use(*state, 366, 20);

    assert_int_equal(usage.day_count, 366);
    assert_int_equal(usage.days[365].day_ms - usage.days[0].day_ms, 365 * DAY_MS);
    assert_int_equal(usage.days[365].day_ms % DAY_MS, 0);
    assert_sums(usage.total, 0, 0, 0);
    assert_int_equal(usage.top_count + usage.channel_count + usage.network_count, 0);
    assert_int_equal(usage.uncounted, 0);
}

static void use_is_summed_by_day_campaign_channel_and_network(void **state)
{
    struct db *db = *state;
    struct usage usage;
    struct err err;
    int64_t early, late;

    grant(db, 1000, "TKN-1", 0);
    early = campaign(db, "sending", 2, mixed, MIXED);
    late = campaign(db, "sending", 0, mixed, 3);
    campaign(db, "sending", 3, mixed, 1); /* before the three days */
    assert_ok(db_begin(db, &err));
    assert_ok(ledger_refund(db, 1, early, "late word", 3, clock_now_ms(), &err));
    script(db, "UPDATE batches SET refunded = 3 FROM token_holds h"
               " WHERE campaign_id = h.id AND h.refunded = 3");
    assert_ok(db_commit(db, &err));

    usage = use(db, 3, 20);
    assert_sums(usage.days[0].sums, 10, 0, 7);
    assert_sums(usage.days[1].sums, 0, 0, 0);
    assert_sums(usage.days[2].sums, 6, 3, 3);
    assert_sums(usage.total, 16, 3, 10);
    assert_int_equal(usage.campaigns, 2);
    assert_int_equal(usage.top_count, 2);
    assert_int_equal(usage.top[0].id, early);
    assert_sums(usage.top[0].sums, 10, 3, 7);
    assert_int_equal(usage.top[1].id, late);
    assert_sums(usage.top[1].sums, 6, 0, 3);
    assert_int_equal(usage.channel_count, 1);
    assert_string_equal(usage.channels[0].channel, "sms");
    assert_int_equal(usage.channels[0].campaigns, 2);
    assert_sums(usage.channels[0].sums, 16, 3, 10);
    assert_int_equal(usage.network_count, 3);
    assert_network(usage.networks[0], SAFARICOM, 6, 12, 4, 2, 6);
    assert_network(usage.networks[1], AIRTEL, 2, 3, 1, 1, 2);
    assert_network(usage.networks[2], 0, 1, 1, 0, 0, 0);
    assert_int_equal(usage.uncounted, 0);
    assert_int_equal(use(db, 3, 1).top_count, 1);
    assert_int_equal(use(db, 1, 20).total.tokens, 6);
}

/* Counted by pieces or walked over: the same sums, at every moment. */
static void counting_piece_by_piece_changes_no_sum(void **state)
{
    struct db *db = *state;

    grant(db, 1000, "TKN-1", 0);
    campaign(db, "completed", 1, mixed, MIXED);
    campaign(db, "completed", 0, mixed, 4);
    for (int round = 0; round < 6; round++) {
        struct usage usage = use(db, 30, 20);

        assert_sums(usage.total, 17, 0, 11);
        assert_int_equal(usage.network_count, 3);
        assert_network(usage.networks[0], SAFARICOM, 6, 12, 4, 2, 6);
        assert_network(usage.networks[1], AIRTEL, 3, 4, 2, 1, 2);
        assert_network(usage.networks[2], 0, 1, 1, 0, 0, 0);
        /* 3 + 3, then 1 of the first and 2 of the second, 2, none */
        assert_int_equal(count_pieces(db, 3, 1), round < 2 ? 1 : round == 2 ? 2 : round == 3);
    }
    assert_int_equal(number_of(db, "SELECT count(*) FROM campaigns WHERE counted_at IS NULL"), 0);
    assert_int_equal(number_of(db, "SELECT count(DISTINCT day) FROM network_usage"), 2);
}

static void what_is_not_over_is_not_counted(void **state)
{
    struct db *db = *state;

    grant(db, 1000, "TKN-1", 0);
    campaign(db, "sent", 0, mixed, 2);
    campaign(db, "cancelled", 4, mixed, MIXED); /* one is waited for */
    assert_int_equal(count_pieces(db, 1000, clock_now_ms() - 5 * DAY_MS), 0);
    campaign(db, "cancelled", 4, mixed, 2); /* all is known */
    assert_int_equal(count_pieces(db, 1000, clock_now_ms() - 5 * DAY_MS), 1);
    assert_int_equal(count_pieces(db, 1000, clock_now_ms() - 3 * DAY_MS), 1);
    assert_int_equal(number_of(db, "SELECT count(*) FROM campaigns WHERE counted_at IS NULL"), 1);
}

static void large_campaigns_under_way_are_said_to_be_uncounted(void **state)
{
    struct db *db = *state;
    struct usage usage;

    grant(db, 1000, "TKN-1", 0);
    campaign(db, "sending", 0, mixed, 3);
    campaign(db, "sending", 0, mixed, 4);
    script(db, "UPDATE campaigns SET last_seq = 100000 WHERE planned = 4");
    usage = use(db, 1, 20);
    assert_int_equal(usage.network_count, 1);
    assert_network(usage.networks[0], SAFARICOM, 3, 6, 2, 1, 3);
    assert_int_equal(usage.uncounted, 7);
    script(db, "UPDATE campaigns SET last_seq = planned");
}

/* --- insights --- */

static struct insights see(struct db *db)
{
    struct insights insights;
    struct err err;

    assert_ok(insights_read(db, 1, clock_now_ms(), arena, &insights, &err));
    return insights;
}

static void captured(struct db *db, int days_ago, int segments)
{
    const struct one one = { 4, SAFARICOM, segments };

    campaign(db, "sending", days_ago, &one, 1);
}

static void set_age(struct db *db, int days)
{
    struct str sql = { 0 };

    /* The first entry's time is in its hash: the chain is made anew by whoever checks it. */
    str_printf(&sql,
               "ALTER TABLE ledger_entries DISABLE TRIGGER ledger_entries_frozen;"
               "UPDATE ledger_entries SET created_at = now() - interval '%d days' + interval '1 "
               "hour' WHERE position = 1;"
               "ALTER TABLE ledger_entries ENABLE TRIGGER ledger_entries_frozen;",
               days);
    script(db, sql.bytes);
    str_free(&sql);
}

static void empty(struct db *db)
{
    script(db, "ALTER TABLE ledger_entries DISABLE TRIGGER ledger_entries_frozen;"
               "TRUNCATE ledger_entries, token_balances, token_lots, token_holds, token_hold_lots,"
               "         token_hold_lots_archive, campaigns, voice_campaigns, recipients, batches,"
               "         network_usage;"
               "ALTER TABLE ledger_entries ENABLE TRIGGER ledger_entries_frozen;");
}

static void the_rate_is_use_by_days_and_says_how_long_tokens_last(void **state)
{
    struct db *db = *state;
    struct insights insights = see(db);

    assert_int_equal(insights.month.tokens, 0);
    assert_int_equal(insights.month.days_left_e1, -1);
    grant(db, 10000, "TKN-1", 0);
    captured(db, 0, 300);
    captured(db, 10, 900);
    insights = see(db); /* not a day old */
    assert_int_equal(insights.month.days, 1);
    assert_int_equal(insights.month.tokens, 1200);
    assert_int_equal(insights.month.e2_per_day, 120000);
    assert_int_equal(insights.month.days_left_e1, 8800 * 10 / 1200);
    set_age(db, 20);
    insights = see(db);
    assert_int_equal(insights.week.days, 7);
    assert_int_equal(insights.week.tokens, 300);
    assert_int_equal(insights.week.e2_per_day, 4285);
    assert_int_equal(insights.week.days_left_e1, 2053); /* 8800 / (300 / 7) = 205.3 */
    assert_int_equal(insights.month.days, 20);
    assert_int_equal(insights.month.e2_per_day, 6000);
    assert_int_equal(insights.month.days_left_e1, 1466);
    set_age(db, 400);
    assert_int_equal(see(db).month.days, 30);
    assert_int_equal(see(db).month.days_left_e1, 2200);
    empty(db);
}

static void lots_that_expire_unused_are_lost(void **state)
{
    struct db *db = *state;
    const int64_t now_ms = clock_now_ms();
    struct insights insights;

    grant(db, 1200, "TKN-a", now_ms + 10 * DAY_MS + 60000);
    grant(db, 500, "TKN-b", now_ms + 11 * DAY_MS + 60000);
    grant(db, 700, "TKN-c", 0);
    captured(db, 1, 600); /* of the first: 600 left */
    set_age(db, 20);      /* 30 a day */
    insights = see(db);
    assert_int_equal(insights.month.e2_per_day, 3000);
    assert_int_equal(insights.lot_count, 2);
    assert_string_equal(insights.lots[0].reference, "TKN-a");
    assert_int_equal(insights.lots[0].available, 600);
    assert_int_equal(insights.lots[0].lost, 300); /* 10 days use 300 */
    assert_int_equal(insights.lots[1].lost, 470); /* the eleventh uses 30 */
    assert_int_equal(insights.lost, 770);
    captured(db, 0, 1); /* draws on the first too */
    assert_int_equal(see(db).lots[0].available, 599);
    empty(db);
}

static void subscribe(struct db *db, const char *plan)
{
    struct subscription bought;
    struct err err;

    assert_ok(db_begin(db, &err));
    assert_ok(plan_subscribe(db, 1, plan, plan, NULL, clock_now_ms(), arena, &bought, &err));
    assert_ok(db_commit(db, &err));
}

static void a_plan_fits_better_when_it_has_the_features_and_costs_less(void **state)
{
    struct db *db = *state;
    struct insights insights = see(db);

    assert_string_equal(insights.plan_why, "tokens come by agreement, without a plan to compare "
                                           "with");
    subscribe(db, "starter");
    insights = see(db);
    assert_true(insights.has_current);
    assert_false(insights.has_better);
    assert_string_equal(insights.plan_why, "no tokens were used within 30 days");
    grant(db, 30000, "TKN-1", 0);
    set_age(db, 30);
    captured(db, 1, 900);
    insights = see(db);
    assert_int_equal(insights.current.purchases, 1);
    assert_false(insights.has_better);
    assert_string_equal(insights.plan_why, "for 900 tokens in 30 days nothing with its features is "
                                           "cheaper than starter");
    captured(db, 1, 3601); /* 4501: five of starter are 5,000, one of business 4,500 */
    insights = see(db);
    assert_int_equal(insights.current.purchases, 5);
    assert_int_equal(insights.current.cost_minor, 500000);
    assert_true(insights.has_better);
    assert_string_equal(insights.better.code, "business");
    assert_int_equal(insights.better.purchases, 1);
    assert_int_equal(insights.better.cost_minor, 450000);
    assert_string_equal(insights.plan_why, "for 4501 tokens in 30 days it takes 5 of starter, KES "
                                           "5000.00, or 1 of business, KES 4500.00");
    subscribe(db, "business"); /* the last one bought ends last */
    insights = see(db);
    assert_string_equal(insights.current.code, "business");
    assert_false(insights.has_better);
    script(db, "TRUNCATE subscriptions");
    empty(db);
}

static void waste_is_what_failed_and_what_was_just_too_long(void **state)
{
    struct db *db = *state;
    struct insights insights;
    struct str sql = { 0 };
    int64_t one, two;

    grant(db, 1000, "TKN-1", 0);
    one = campaign(db, "completed", 0, mixed, MIXED);
    two = campaign(db, "completed", 0, mixed, 2);
    assert_int_equal(count_pieces(db, 1000, 1), 2);
    str_printf(&sql,
               "UPDATE campaigns SET just_over = 4, text = repeat('a', 165) WHERE id = %lld;"
               "UPDATE campaigns SET just_over = 9 WHERE id = %lld;"
               "UPDATE campaigns SET invalid = 2, rows_received = rows_received + 2;"
               "INSERT INTO campaign_rejects SELECT id, 100 + n, 'x', 'y' FROM campaigns,"
               " generate_series(1, 2) n",
               (long long)one, (long long)two);
    script(db, sql.bytes);
    str_free(&sql);
    insights = see(db);
    assert_int_equal(insights.invalid_rows, 4);
    assert_int_equal(insights.failed_recipients, 2);
    assert_int_equal(insights.failed_tokens, 5);
    assert_int_equal(insights.just_over_campaigns, 2);
    assert_int_equal(insights.just_over_tokens, 4 + 3); /* no more than was spent */
    assert_int_equal(insights.over_count, 2);
    assert_int_equal(insights.over[0].id, one);
    assert_string_equal(insights.over[0].encoding, "gsm7");
    assert_int_equal(insights.over[0].units, 165);
    assert_int_equal(insights.over[0].over, 5);
    assert_int_equal(insights.over[0].segments, 2);
    assert_null(insights.over[1].encoding);
    assert_int_equal(insights.over[1].recipients, 3);
}

static int start(void **state)
{
    arena = arena_create((size_t)64 << 20);
    return migrated_start(state);
}

static int stop(void **state)
{
    arena_destroy(arena);
    return migrated_stop(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MIGRATED(an_account_without_use_has_days_of_nothing),
        MIGRATED(use_is_summed_by_day_campaign_channel_and_network),
        MIGRATED(counting_piece_by_piece_changes_no_sum),
        MIGRATED(what_is_not_over_is_not_counted),
        MIGRATED(large_campaigns_under_way_are_said_to_be_uncounted),
        MIGRATED(the_rate_is_use_by_days_and_says_how_long_tokens_last),
        MIGRATED(lots_that_expire_unused_are_lost),
        MIGRATED(a_plan_fits_better_when_it_has_the_features_and_costs_less),
        MIGRATED(waste_is_what_failed_and_what_was_just_too_long),
    };

    return cmocka_run_group_tests_name("unit.usage.usage", tests, start, stop);
}
