/* lib/ledger: transfers, corrections and refunds, and how they are read */
#include "base/arena.h"
#include "ledger/history.h"
#include "ledger/ledger.h"
#include "migrated.h"

#define NOW INT64_C(1795000000000)
#define DAY_MS (24 * 3600 * INT64_C(1000))

static struct ledger_balance balance(struct db *db, int64_t account)
{
    struct ledger_balance balance;
    struct err err;

    assert_ok(ledger_balance(db, account, &balance, &err));
    return balance;
}

static void grant(struct db *db, int64_t account, int64_t tokens, const char *reference,
                  int64_t expires_ms)
{
    struct err err;

    assert_ok(db_begin(db, &err));
    assert_ok(ledger_grant(db, account, tokens, reference, expires_ms, NOW, NULL, &err));
    assert_ok(db_commit(db, &err));
}

static void hold(struct db *db, int64_t account, int64_t id, int64_t tokens)
{
    struct ledger_held held;
    struct err err;

    assert_ok(db_begin(db, &err));
    assert_ok(ledger_hold(db, account, id, tokens, NOW, &held, &err));
    assert_ok(db_commit(db, &err));
    assert_true(held.held);
}

static void capture(struct db *db, int64_t account, int64_t id, const char *reference,
                    int64_t tokens)
{
    struct err err;

    assert_ok(db_begin(db, &err));
    assert_ok(ledger_settle(db, account, id, reference, tokens, 0, NOW, &err));
    assert_ok(db_commit(db, &err));
}

/* Whether it was new. */
static bool transfer(struct db *db, struct ledger_transfer transfer)
{
    struct err err;
    bool is_new;

    assert_ok(db_begin(db, &err));
    assert_ok(ledger_transfer(db, &transfer, NOW, &is_new, &err));
    assert_ok(db_commit(db, &err));
    return is_new;
}

static void assert_refused(struct db *db, struct ledger_transfer transfer, const char *what)
{
    struct ledger_balance one = balance(db, 1), two = balance(db, 2);
    struct ledger_balance now;
    struct err err;

    assert_ok(db_begin(db, &err));
    assert_fails(ledger_transfer(db, &transfer, NOW, NULL, &err), ERR_PERMANENT, what);
    assert_ok(db_commit(db, &err)); /* a refusal leaves the transaction as it was */
    now = balance(db, 1);
    assert_memory_equal(&now, &one, sizeof now);
    now = balance(db, 2);
    assert_memory_equal(&now, &two, sizeof now);
}

static const char *lots_of(struct db *db, int64_t account)
{
    char sql[300];

    snprintf(sql, sizeof sql,
             "SELECT string_agg(available || coalesce(' until ' || (extract(epoch FROM expires_at)"
             " * 1000)::bigint - %lld, ''), ', ' ORDER BY expires_at NULLS LAST, id)"
             "  FROM token_lots WHERE account_id = %lld AND available > 0",
             (long long)NOW, (long long)account);
    return text_of(db, sql);
}

static void tokens_keep_their_expiry_when_they_change_hands(void **state)
{
    struct db *db = *state;
    struct ledger_transfer fifty = { .from = 1, .to = 2, .tokens = 150, .reference = "TRF-1" };

    grant(db, 1, 100, "never", 0);
    grant(db, 1, 60, "soon", NOW + 1000);
    grant(db, 1, 60, "as soon", NOW + 1000);
    grant(db, 1, 50, "later", NOW + 2000);
    grant(db, 1, 50, "over", NOW);
    assert_true(transfer(db, fifty));
    assert_string_equal(lots_of(db, 1), "50 until 0, 20 until 2000, 100");
    assert_string_equal(lots_of(db, 2), "120 until 1000, 30 until 2000");
    assert_int_equal(balance(db, 1).transferred, 150);
    assert_int_equal(balance(db, 1).available, 170);
    assert_int_equal(balance(db, 2).transferred, -150);
    assert_int_equal(balance(db, 2).available, 150);
    assert_true(transfer(
        db, (struct ledger_transfer){ .from = 2, .to = 1, .tokens = 150, .reference = "TRF-2" }));
    assert_int_equal(balance(db, 1).transferred, 0);
    assert_string_equal(lots_of(db, 1), "50 until 0, 120 until 1000, 20 until 2000, "
                                        "30 until 2000, 100");
    assert_null(lots_of(db, 2));
}

static void a_transfer_is_done_once(void **state)
{
    struct db *db = *state;
    struct ledger_transfer ten = { .from = 1, .to = 2, .tokens = 10, .reference = "TRF-1" };
    struct ledger_transfer other = ten;

    grant(db, 1, 100, "a", 0);
    grant(db, 2, 100, "b", 0);
    assert_true(transfer(db, ten));
    assert_false(transfer(db, ten));
    script(db, "UPDATE accounts SET status = 'closed'");
    assert_false(transfer(db, ten)); /* done is done */
    script(db, "UPDATE accounts SET status = 'active'");
    assert_int_equal(balance(db, 1).available, 90);
    assert_int_equal(balance(db, 2).available, 110);
    other.tokens = 11;
    assert_refused(db, other, "reference_used");
    other = (struct ledger_transfer){ .from = 2, .to = 1, .tokens = 10, .reference = "TRF-1" };
    assert_refused(db, other, "reference_used");
    script(db, "INSERT INTO accounts (id, slug, name, email) VALUES (3, 'third', 'T', 't@t')");
    other = (struct ledger_transfer){ .from = 1, .to = 3, .tokens = 10, .reference = "TRF-1" };
    assert_refused(db, other, "reference_used");
    other = (struct ledger_transfer){ .from = 3, .to = 2, .tokens = 10, .reference = "TRF-1" };
    assert_refused(db, other, "reference_used");
}

static void what_must_not_be_transferred_is_refused(void **state)
{
    static const struct {
        struct ledger_transfer transfer;
        const char *what;
    } table[] = {
        { { 1, 2, 0, "a", 0, 0, 0, 0 }, "tokens_not_positive" },
        { { 1, 2, -5, "a", 0, 0, 0, 0 }, "tokens_not_positive" },
        { { 1, 2, INT64_MIN, "a", 0, 0, 0, 0 }, "tokens_not_positive" },
        { { 1, 2, INT64_MAX, "a", 0, 0, 0, 0 }, "tokens_missing" },
        { { 1, 1, 5, "a", 0, 0, 0, 0 }, "transfer_to_self" },
        { { 1, 99, 5, "a", 0, 0, 0, 0 }, "account_unknown" },
        { { 99, 2, 5, "a", 0, 0, 0, 0 }, "account_unknown" },
        { { 1, 2, 5, "", 0, 0, 0, 0 }, "bad_words" },
        { { 1, 2, 5, NULL, 0, 0, 0, 0 }, "bad_words" },
        { { 1, 2, 71, "a", 0, 0, 0, 0 }, "tokens_missing" }, /* 30 are held, 50 over */
        { { 2, 1, 1, "a", 0, 0, 0, 0 }, "tokens_missing" },
        { { 1, 2, 21, "a", 0, 0, 20, 0 }, "transfer_limit" },
        { { 1, 2, 21, "a", 0, 0, 0, 20 }, "daily_limit" },
        { { 1, 2, INT64_MAX, "a", 0, 0, 0, 20 }, "daily_limit" },
    };
    char reason[600];
    struct db *db = *state;

    grant(db, 1, 100, "a", 0);
    grant(db, 1, 50, "over", NOW - 1);
    hold(db, 1, 7, 30);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        assert_refused(db, table[i].transfer, table[i].what);
    }
    memset(reason, 'x', sizeof reason);
    reason[sizeof reason - 1] = '\0';
    assert_refused(db, (struct ledger_transfer){ 1, 2, 5, "a", reason, NULL, 0, 0 }, "bad_words");
    for (int i = 0; i < 4; i++) {
        char sql[100];

        snprintf(sql, sizeof sql, "UPDATE accounts SET status = '%s' WHERE id = %d",
                 i < 2 ? "suspended" : "closed", 1 + i % 2);
        script(db, sql);
        assert_refused(db, (struct ledger_transfer){ 1, 2, 5, "a", 0, 0, 0, 0 },
                       "account_inactive");
        script(db, "UPDATE accounts SET status = 'active'");
    }
    assert_true(transfer(db, (struct ledger_transfer){ 1, 2, 70, "a", "why", "me", 70, 70 }));
}

/* The last entry of account 1. */
static void make_older(struct db *db, const char *age)
{
    char sql[1000];

    snprintf(sql, sizeof sql,
             "ALTER TABLE ledger_entries DISABLE TRIGGER ledger_entries_frozen;"
             "WITH e AS (UPDATE ledger_entries SET created_at = created_at - interval '%s',"
             "    hash = ledger_hash(1, position, previous, ledger_line("
             "        created_at - interval '%s', kind, debit, credit, amount, hold_id, peer_id,"
             "        reference, detail, actor))"
             "    WHERE account_id = 1"
             "      AND position = (SELECT head_position FROM token_balances WHERE account_id = 1)"
             "    RETURNING hash)"
             " UPDATE token_balances SET head_hash = hash FROM e WHERE account_id = 1;"
             "ALTER TABLE ledger_entries ENABLE TRIGGER ledger_entries_frozen",
             age, age);
    script(db, sql);
}

static void a_day_has_its_limit(void **state)
{
    struct db *db = *state;
    struct ledger_transfer ten = { 1, 2, 10, "1", NULL, NULL, 0, 25 };

    grant(db, 1, 100, "a", 0);
    transfer(db, (struct ledger_transfer){ 1, 2, 20, "long ago", NULL, NULL, 0, 0 });
    assert_refused(db, ten, "daily_limit");
    make_older(db, "24 hours");
    assert_true(transfer(db, ten));
    ten.reference = "2";
    assert_true(transfer(db, ten));
    ten.reference = "3";
    assert_refused(db, ten, "daily_limit");
    ten.tokens = 5;
    assert_true(transfer(db, ten));
    /* What came in does not count. */
    transfer(db, (struct ledger_transfer){ 2, 1, 25, "back", NULL, NULL, 0, 25 });
    ten.reference = "4";
    assert_refused(db, ten, "daily_limit");
}

/* Whether it was new. */
static bool adjust(struct db *db, int64_t tokens, const char *reference, int64_t expires_ms)
{
    struct ledger_adjustment adjustment = {
        1, tokens, expires_ms, reference, "by mistake", "clerk"
    };
    struct err err;
    bool is_new;

    assert_ok(db_begin(db, &err));
    assert_ok(ledger_adjust(db, &adjustment, NOW, &is_new, &err));
    assert_ok(db_commit(db, &err));
    return is_new;
}

static void a_correction_has_a_reason_and_a_name(void **state)
{
    static const struct {
        struct ledger_adjustment adjustment;
        const char *what;
    } table[] = {
        { { 1, 0, 0, "x", "why", "me" }, "tokens_zero" },
        { { 1, INT64_MIN, 0, "x", "why", "me" }, "tokens_zero" },
        { { 1, 1, 0, "x", "", "me" }, "bad_words" },
        { { 1, 1, 0, "x", "why", NULL }, "bad_words" },
        { { 1, 1, 0, "", "why", "me" }, "bad_words" },
        { { 99, 1, 0, "x", "why", "me" }, "account_unknown" },
        { { 1, -101, 0, "x", "why", "me" }, "tokens_missing" },
        { { 1, 51, 0, "up", "why", "me" }, "reference_used" },
        { { 1, -50, 0, "up", "why", "me" }, "reference_used" },
    };
    struct db *db = *state;
    struct err err;

    grant(db, 1, 100, "up", 0);
    assert_true(adjust(db, 50, "up", NOW + 5));
    assert_false(adjust(db, 50, "up", NOW + 5));
    assert_string_equal(lots_of(db, 1), "50 until 5, 100");
    assert_int_equal(balance(db, 1).granted, 150);
    assert_true(adjust(db, -60, "down", 0));
    assert_false(adjust(db, -60, "down", 0));
    assert_string_equal(lots_of(db, 1), "90");
    assert_int_equal(balance(db, 1).granted, 90);
    assert_string_equal(text_of(db, "SELECT string_agg(detail || ' ' || actor, ',')"
                                    "  FROM ledger_entries WHERE kind = 'adjust'"),
                        "by mistake clerk,by mistake clerk");
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        assert_ok(db_begin(db, &err));
        assert_fails(ledger_adjust(db, &table[i].adjustment, NOW, NULL, &err), ERR_PERMANENT,
                     table[i].what);
        assert_ok(db_commit(db, &err));
        assert_int_equal(balance(db, 1).available, 90);
    }
}

static bool refund(struct db *db, int64_t id, const char *reference, int64_t tokens,
                   struct err *err)
{
    bool ok = db_begin(db, err) && ledger_refund(db, 1, id, reference, tokens, NOW, err) &&
              db_commit(db, err);

    if (!ok) {
        db_rollback(db);
    }
    return ok;
}

static void spent_tokens_come_back_to_their_lots(void **state)
{
    struct db *db = *state;
    struct err err;

    grant(db, 1, 10, "soon", NOW + 1000);
    grant(db, 1, 100, "never", 0);
    hold(db, 1, 7, 50);
    capture(db, 1, 7, "batch 1", 45);
    assert_ok(refund(db, 7, "dlr 1", 30, &err));
    assert_ok(refund(db, 7, "dlr 1", 30, &err));
    assert_string_equal(lots_of(db, 1), "90");
    assert_int_equal(balance(db, 1).spent, 15);
    assert_int_equal(balance(db, 1).reserved, 5);
    assert_fails(refund(db, 7, "dlr 2", 16, &err), ERR_PERMANENT, "pg_check_violation");
    assert_fails(refund(db, 8, "dlr 2", 1, &err), ERR_PERMANENT, "hold_unknown");
    assert_ok(refund(db, 7, "dlr 2", 0, &err));
    assert_ok(refund(db, 7, "dlr 3", 15, &err));
    assert_string_equal(lots_of(db, 1), "5 until 1000, 100");
    assert_int_equal(balance(db, 1).spent, 0);
    /* The rest of the hold is still there to be settled. */
    capture(db, 1, 7, "batch 2", 5);
    assert_int_equal(balance(db, 1).spent, 5);
    assert_int_equal(balance(db, 1).available, 105);
}

static void spent_tokens_whose_lots_are_forgotten_get_one(void **state)
{
    struct db *db = *state;
    struct err err;

    grant(db, 1, 100, "a", NOW + 1000);
    hold(db, 1, 7, 50);
    capture(db, 1, 7, "batch 1", 50);
    script(db, "UPDATE token_hold_lots SET amount = 20");
    assert_ok(refund(db, 7, "dlr 1", 35, &err));
    assert_ok(refund(db, 7, "dlr 1", 35, &err));
    assert_string_equal(lots_of(db, 1), "70 until 1000, 15");
    assert_int_equal(balance(db, 1).available, 85);
    script(db, "DELETE FROM token_hold_lots; DELETE FROM token_holds;"); /* as the invariants
                                                                            cannot know it */
    assert_non_null(text_of(db, invariants_sql));
    script(db, "ALTER TABLE ledger_entries DISABLE TRIGGER ledger_entries_frozen;"
               "TRUNCATE accounts CASCADE;"
               "ALTER TABLE ledger_entries ENABLE TRIGGER ledger_entries_frozen");
}

static void the_history_is_paged_from_the_newest(void **state)
{
    struct ledger_page page = { .account = 1, .limit = 3 };
    struct arena *arena = arena_create(1 << 20);
    struct db *db = *state;
    struct ledger_entry *entries;
    int64_t next = 11;
    struct err err;
    size_t count;

    for (int i = 1; i <= 10; i++) {
        char reference[20];

        snprintf(reference, sizeof reference, "g %d", i);
        grant(db, 1, i, reference, 0);
        grant(db, 2, i, reference, 0);
    }
    do {
        assert_ok(ledger_history(db, &page, arena, &entries, &count, &err));
        for (size_t i = 0; i < count; i++) {
            assert_int_equal(entries[i].position, --next);
            assert_int_equal(entries[i].amount, next);
        }
        page.before = count > 0 ? entries[count - 1].position : 1;
        grant(db, 1, 100, next == 8 ? "more" : next == 5 ? "and more" : "most", 0);
    } while (count == 3);
    assert_int_equal(next, 1);
    arena_destroy(arena);
}

static void the_history_shows_all_of_an_entry_and_can_be_filtered(void **state)
{
    struct ledger_page page = { .account = 2, .limit = 10 };
    struct arena *arena = arena_create(1 << 20);
    struct db *db = *state;
    struct ledger_entry *entries;
    struct err err;
    size_t count;

    grant(db, 1, 100, "a", 0);
    grant(db, 2, 9, "TKN-1", 0);
    transfer(db, (struct ledger_transfer){ 1, 2, 30, "TRF-1", "rent", "me@acme", 0, 0 });
    transfer(db, (struct ledger_transfer){ 2, 1, 8, "TRF-2", NULL, NULL, 0, 0 });
    hold(db, 2, 77, 5);
    assert_ok(ledger_history(db, &page, arena, &entries, &count, &err));
    assert_int_equal(count, 4);
    assert_string_equal(entries[0].kind, "hold");
    assert_int_equal(entries[0].hold, 77);
    assert_int_equal(entries[0].change, -5);
    assert_int_equal(entries[1].change, -8);
    assert_null(entries[1].detail);
    assert_int_equal(entries[2].change, 30);
    assert_string_equal(entries[2].reference, "TRF-1");
    assert_string_equal(entries[2].peer, "acme");
    assert_string_equal(entries[2].detail, "rent");
    assert_string_equal(entries[2].actor, "me@acme");
    assert_string_equal(entries[2].debit, "peer");
    assert_null(entries[3].peer);
    page.kind = "transfer";
    assert_ok(ledger_history(db, &page, arena, &entries, &count, &err));
    assert_int_equal(count, 2);
    page.kind = NULL;
    page.from_ms = entries[0].created_ms + 3600000;
    assert_ok(ledger_history(db, &page, arena, &entries, &count, &err));
    assert_int_equal(count, 0);
    page.to_ms = page.from_ms;
    page.from_ms -= 2 * 3600000;
    assert_ok(ledger_history(db, &page, arena, &entries, &count, &err));
    assert_int_equal(count, 4);
    page.to_ms = page.from_ms;
    page.from_ms = 0;
    assert_ok(ledger_history(db, &page, arena, &entries, &count, &err));
    assert_int_equal(count, 0);
    arena_destroy(arena);
}

static void lots_are_listed_as_they_will_be_spent(void **state)
{
    struct arena *arena = arena_create(1 << 20);
    struct db *db = *state;
    struct ledger_lot *lots;
    struct err err;
    size_t count;

    grant(db, 1, 10, "never", 0);
    grant(db, 1, 10, "late", NOW + 9 * DAY_MS);
    grant(db, 1, 10, "soon", NOW + DAY_MS);
    grant(db, 1, 3, "sooner", NOW + 1);
    hold(db, 1, 7, 5);
    assert_ok(ledger_lots(db, 1, 10, arena, &lots, &count, &err));
    assert_int_equal(count, 3);
    assert_string_equal(lots[0].reference, "soon");
    assert_int_equal(lots[0].available, 8);
    assert_int_equal(lots[0].granted, 10);
    assert_int_equal(lots[0].expires_ms, NOW + DAY_MS);
    assert_string_equal(lots[1].reference, "late");
    assert_int_equal(lots[2].expires_ms, 0);
    assert_ok(ledger_lots(db, 1, 2, arena, &lots, &count, &err));
    assert_int_equal(count, 2);
    assert_ok(ledger_lots(db, 2, 10, arena, &lots, &count, &err));
    assert_int_equal(count, 0);
    arena_destroy(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MIGRATED(tokens_keep_their_expiry_when_they_change_hands),
        MIGRATED(a_transfer_is_done_once),
        MIGRATED(what_must_not_be_transferred_is_refused),
        MIGRATED(a_day_has_its_limit),
        MIGRATED(a_correction_has_a_reason_and_a_name),
        MIGRATED(spent_tokens_come_back_to_their_lots),
        MIGRATED(spent_tokens_whose_lots_are_forgotten_get_one),
        MIGRATED(the_history_is_paged_from_the_newest),
        MIGRATED(the_history_shows_all_of_an_entry_and_can_be_filtered),
        MIGRATED(lots_are_listed_as_they_will_be_spent),
    };

    return cmocka_run_group_tests_name("unit.ledger.moves", tests, migrated_start, migrated_stop);
}
