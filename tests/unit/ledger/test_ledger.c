/* lib/ledger: tokens are granted, held, captured and released, each once, by many at a time */
#include <pthread.h>

#include "base/clock.h"
#include "base/panic.h"
#include "ledger/ledger.h"
#include "migrated.h"

#define NOW INT64_C(1795000000000)
#define DAY_MS (24 * 3600 * INT64_C(1000))
#define THREADS 8

static struct ledger_balance balance(struct db *db, int64_t account)
{
    struct ledger_balance balance;
    struct err err;

    assert_ok(ledger_balance(db, account, &balance, &err));
    return balance;
}

static void assert_balance(struct db *db, int64_t account, int64_t available, int64_t reserved,
                           int64_t spent)
{
    struct ledger_balance now = balance(db, account);

    assert_int_equal(now.available, available);
    assert_int_equal(now.reserved, reserved);
    assert_int_equal(now.spent, spent);
}

static bool grant(struct db *db, int64_t account, int64_t tokens, const char *reference,
                  int64_t expires_ms)
{
    bool new;
    struct err err;

    assert_ok(ledger_grant(db, account, tokens, reference, expires_ms, NOW, &new, &err));
    return new;
}

static struct ledger_held hold(struct db *db, int64_t account, int64_t id, int64_t tokens)
{
    struct ledger_held held;
    struct err err;

    assert_ok(db_begin(db, &err));
    assert_ok(ledger_hold(db, account, id, tokens, NOW, &held, &err));
    assert_ok(db_commit(db, &err));
    return held;
}

static void settle(struct db *db, int64_t id, const char *reference, int64_t capture,
                   int64_t release)
{
    struct err err;

    assert_ok(db_begin(db, &err));
    assert_ok(ledger_settle(db, 1, id, reference, capture, release, NOW, &err));
    assert_ok(db_commit(db, &err));
}

static int64_t lot(struct db *db, const char *reference)
{
    char sql[100];

    snprintf(sql, sizeof sql, "SELECT available FROM token_lots WHERE reference = '%s'", reference);
    return number_of(db, sql);
}

static void a_grant_counts_once_by_its_reference(void **state)
{
    struct db *db = *state;
    struct err err;

    assert_true(grant(db, 1, 1000, "TKN-1", 0));
    assert_false(grant(db, 1, 1000, "TKN-1", 0));
    assert_false(grant(db, 1, 77, "TKN-1", NOW + DAY_MS)); /* whatever else it says */
    assert_true(grant(db, 1, 5, "TKN-2", 0));
    assert_true(grant(db, 2, 9, "TKN-1", 0)); /* another account's own name */
    assert_ok(ledger_grant(db, 2, 1, "TKN-3", 0, NOW, NULL, &err));
    assert_balance(db, 1, 1005, 0, 0);
    assert_balance(db, 2, 10, 0, 0);
    assert_int_equal(balance(db, 1).granted, 1005);
    assert_fails(ledger_grant(db, 1, 0, "TKN-4", 0, NOW, NULL, &err), ERR_PERMANENT,
                 "tokens_not_positive");
    assert_fails(ledger_grant(db, 1, -1, "TKN-4", 0, NOW, NULL, &err), ERR_PERMANENT,
                 "tokens_not_positive");
    assert_fails(ledger_grant(db, 99, 1, "TKN-4", 0, NOW, NULL, &err), ERR_PERMANENT,
                 "account_unknown");
}

static void an_account_without_tokens_has_a_balance_of_zero(void **state)
{
    assert_balance(*state, 1, 0, 0, 0);
    assert_int_equal(hold(*state, 1, 7, 3).missing, 3);
    assert_balance(*state, 1, 0, 0, 0);
}

static void a_hold_takes_all_or_nothing_and_once(void **state)
{
    struct db *db = *state;

    grant(db, 1, 60, "a", 0);
    grant(db, 1, 40, "b", 0);
    grant(db, 2, 1000, "c", 0);
    assert_false(hold(db, 1, 7, 101).held);
    assert_int_equal(hold(db, 1, 7, 101).missing, 1);
    assert_balance(db, 1, 100, 0, 0);
    assert_true(hold(db, 1, 7, 70).held);
    assert_true(hold(db, 1, 7, 70).held);
    assert_true(hold(db, 1, 7, 5000).held); /* held is held: the first price counts */
    assert_balance(db, 1, 30, 70, 0);
    assert_int_equal(hold(db, 1, 8, 31).missing, 1);
    assert_true(hold(db, 1, 8, 30).held);
    assert_balance(db, 1, 0, 100, 0);
    assert_balance(db, 2, 1000, 0, 0);
}

static void the_tokens_that_expire_first_are_held_first(void **state)
{
    struct db *db = *state;

    grant(db, 1, 100, "never", 0);
    grant(db, 1, 100, "late", NOW + 9 * DAY_MS);
    grant(db, 1, 100, "soon", NOW + DAY_MS);
    grant(db, 1, 100, "over", NOW - 1);
    grant(db, 1, 100, "just over", NOW);
    assert_int_equal(hold(db, 1, 7, 301).missing, 1); /* what has expired does not count */
    assert_true(hold(db, 1, 8, 130).held);
    assert_int_equal(lot(db, "soon"), 0);
    assert_int_equal(lot(db, "late"), 70);
    assert_int_equal(lot(db, "never"), 100);
    assert_int_equal(lot(db, "over"), 100);
    assert_true(hold(db, 1, 9, 80).held);
    assert_int_equal(lot(db, "late"), 0);
    assert_int_equal(lot(db, "never"), 90);
}

static void a_settlement_counts_once_by_its_reference(void **state)
{
    struct db *db = *state;

    grant(db, 1, 100, "a", 0);
    hold(db, 1, 7, 50);
    settle(db, 7, "batch 1", 10, 5);
    settle(db, 7, "batch 1", 10, 5);
    settle(db, 7, "batch 1", 3, 4); /* said otherwise: already done */
    assert_balance(db, 1, 55, 35, 10);
    settle(db, 7, "batch 2", 0, 0);
    assert_int_equal(number_of(db, "SELECT count(*) FROM ledger_entries"), 4);
    settle(db, 7, "batch 3", 35, 0);
    assert_balance(db, 1, 55, 0, 45);
}

static void no_hold_gives_more_than_it_took(void **state)
{
    static const struct {
        int64_t capture, release;
    } table[] = { { 51, 0 }, { 0, 51 }, { 26, 25 }, { 50, 1 } };
    struct db *db = *state;
    struct err err;

    grant(db, 1, 1000, "a", 0);
    hold(db, 1, 7, 50);
    hold(db, 1, 8, 500);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        assert_ok(db_begin(db, &err));
        assert_fails(
            ledger_settle(db, 1, 7, "too much", table[i].capture, table[i].release, NOW, &err),
            ERR_PERMANENT, "pg_check_violation");
        db_rollback(db);
        assert_balance(db, 1, 450, 550, 0);
    }
    assert_fails(ledger_settle(db, 1, 99, "nothing", 1, 0, NOW, &err), ERR_PERMANENT,
                 "hold_unknown");
    assert_fails(ledger_settle(db, 1, 99, "nothing", 0, 1, NOW, &err), ERR_PERMANENT,
                 "hold_unknown");
    assert_ok(ledger_settle(db, 1, 99, "nothing", 0, 0, NOW, &err));
}

static void released_tokens_go_back_to_the_lots_that_expire_last(void **state)
{
    struct db *db = *state;

    grant(db, 1, 100, "soon", NOW + DAY_MS);
    grant(db, 1, 100, "late", NOW + 9 * DAY_MS);
    grant(db, 1, 100, "never", 0);
    hold(db, 1, 7, 250);
    settle(db, 7, "1", 0, 60); /* 50 to never, 10 to late: spent is what expires first */
    assert_int_equal(lot(db, "soon"), 0);
    assert_int_equal(lot(db, "late"), 10);
    assert_int_equal(lot(db, "never"), 100);
    settle(db, 7, "2", 0, 91);
    assert_int_equal(lot(db, "soon"), 1);
    assert_int_equal(lot(db, "late"), 100);
}

static void a_close_releases_all_but_what_is_kept(void **state)
{
    struct db *db = *state;
    struct err err;

    grant(db, 1, 100, "a", 0);
    hold(db, 1, 7, 50);
    settle(db, 7, "batch 1", 10, 5);
    assert_ok(ledger_close(db, 1, 7, "the end", 3, NOW, &err));
    assert_balance(db, 1, 87, 3, 10);
    assert_ok(ledger_close(db, 1, 7, "the end", 3, NOW, &err));
    assert_balance(db, 1, 87, 3, 10);
    settle(db, 7, "doubt 1", 2, 0);
    settle(db, 7, "doubt 2", 0, 1);
    assert_balance(db, 1, 88, 0, 12);
    assert_ok(ledger_close(db, 1, 7, "again", 0, NOW, &err));
    assert_ok(ledger_close(db, 1, 99, "never held", 0, NOW, &err));
    assert_balance(db, 1, 88, 0, 12);
}

static void what_is_left_of_a_lot_expires_and_again_if_more_comes_back(void **state)
{
    struct db *db = *state;
    struct err err;
    int64_t lots;

    grant(db, 1, 100, "soon", NOW + DAY_MS);
    grant(db, 1, 100, "soon too", NOW + DAY_MS);
    grant(db, 2, 100, "soon", NOW + DAY_MS);
    grant(db, 2, 100, "never", 0);
    hold(db, 1, 7, 130);
    assert_ok(ledger_expire(db, NOW + DAY_MS - 1, 100, &lots, &err));
    assert_int_equal(balance(db, 1).expired, 0);
    assert_ok(ledger_expire(db, NOW + DAY_MS, 100, &lots, &err));
    assert_int_equal(lots, 1);
    assert_int_equal(balance(db, 1).expired, 70);
    assert_int_equal(balance(db, 2).expired, 0); /* one account at a time */
    assert_ok(ledger_expire(db, NOW + DAY_MS, 100, &lots, &err));
    assert_int_equal(balance(db, 2).expired, 100);
    assert_ok(ledger_expire(db, NOW + DAY_MS, 100, &lots, &err));
    assert_int_equal(lots, 0);
    assert_balance(db, 1, 0, 130, 0);
    assert_balance(db, 2, 100, 0, 0);
    for (int i = 0; i < 3; i++) { /* within the same second, too */
        char reference[20];

        snprintf(reference, sizeof reference, "refused %d", i);
        settle(db, 7, reference, 0, 10);
        assert_ok(ledger_expire(db, NOW + DAY_MS, 100, NULL, &err));
        assert_int_equal(balance(db, 1).expired, 80 + 10 * i);
        assert_int_equal(balance(db, 1).available, 0);
    }
}

static void lots_expire_a_few_at_a_time(void **state)
{
    struct db *db = *state;
    struct err err;
    int64_t lots, sum = 0;

    for (int i = 0; i < 25; i++) {
        char reference[20];

        snprintf(reference, sizeof reference, "lot %d", i);
        grant(db, 1, 1, reference, NOW + i + 1);
    }
    for (int expected = 10; expected <= 30; expected += 10) {
        assert_ok(ledger_expire(db, NOW + DAY_MS, 10, &lots, &err));
        sum += lots;
        assert_int_equal(balance(db, 1).expired, expected < 25 ? expected : 25);
    }
    assert_int_equal(sum, 25);
}

static void the_entries_are_append_only(void **state)
{
    static const char *const attempts[] = {
        "UPDATE ledger_entries SET amount = 1",
        "DELETE FROM ledger_entries",
        "TRUNCATE ledger_entries",
        "UPDATE ledger_entries SET amount = 1 WHERE false",
    };
    struct db *db = *state;
    struct err err;

    grant(db, 1, 100, "a", 0);
    for (size_t i = 0; i < sizeof attempts / sizeof *attempts; i++) {
        assert_false(db_script(db, attempts[i], &err));
        assert_non_null(strstr(err.detail, "append only"));
    }
}

/* What programs did before there was a chain, and do until they are restarted after an upgrade. */
static void programs_of_before_the_chain_stay_in_it(void **state)
{
    static const char *const before[] = {
        "WITH entry AS ("
        "    INSERT INTO ledger_entries (account_id, kind, debit, credit, amount, reference)"
        "    VALUES (1, 'grant', 'source', 'available', 100, 'old')"
        "    ON CONFLICT ON CONSTRAINT ledger_entries_once DO NOTHING"
        "    RETURNING amount),"
        " lot AS ("
        "    INSERT INTO token_lots (id, account_id, granted, available, reference, expires_at)"
        "    SELECT 77, 1, amount, amount, 'old', now() FROM entry)"
        " INSERT INTO token_balances AS b (account_id, granted, available)"
        " SELECT 1, amount, amount FROM entry"
        " ON CONFLICT ON CONSTRAINT token_balances_pkey DO UPDATE"
        "    SET granted = b.granted + excluded.granted,"
        "        available = b.available + excluded.available",
        "WITH entry AS ("
        "    INSERT INTO ledger_entries (account_id, kind, debit, credit, amount, reference,"
        "                                hold_id)"
        "    VALUES (1, 'capture', 'reserved', 'spent', 3, 'old', 7)"
        "    ON CONFLICT ON CONSTRAINT ledger_entries_once DO NOTHING"
        "    RETURNING amount),"
        " hold AS ("
        "    UPDATE token_holds SET captured = captured + e.n FROM entry e(n) WHERE id = 7)"
        " UPDATE token_balances SET reserved = reserved - e.n, spent = spent + e.n"
        "   FROM entry e(n)"
        "  WHERE account_id = 1",
        "WITH due AS ("
        "    SELECT l.id, l.account_id, l.available"
        "      FROM token_lots l JOIN token_balances b ON b.account_id = l.account_id"
        "     WHERE l.available > 0 AND l.expires_at <= now()"
        "     ORDER BY l.expires_at, l.id LIMIT 9 FOR UPDATE OF b, l SKIP LOCKED),"
        " lots AS ("
        "    UPDATE token_lots SET available = 0 FROM due WHERE token_lots.id = due.id"
        "    RETURNING due.account_id, due.available, token_lots.id),"
        " entries AS ("
        "    INSERT INTO ledger_entries (account_id, kind, debit, credit, amount, reference)"
        "    SELECT account_id, 'expire', 'available', 'expired', available,"
        "           id::text || ' ' || pg_current_xact_id()::text"
        "      FROM lots"
        "    RETURNING account_id, amount),"
        " sums AS (SELECT account_id, sum(amount)::bigint AS n FROM entries GROUP BY account_id),"
        " booked AS ("
        "    UPDATE token_balances b SET available = available - n, expired = expired + n"
        "      FROM sums WHERE b.account_id = sums.account_id)"
        " SELECT count(*) FROM lots",
    };
    struct db *db = *state;

    script(db, before[0]); /* the account has no balance yet */
    assert_null(text_of(db, invariants_sql));
    hold(db, 1, 7, 10);
    for (size_t i = 0; i < sizeof before / sizeof *before; i++) {
        char reference[20];

        script(db, before[i]);
        script(db, before[i]); /* nothing more */
        snprintf(reference, sizeof reference, "new %zu", i);
        grant(db, 1, 20, reference, i == 1 ? NOW - 1 : 0);
        assert_null(text_of(db, invariants_sql));
    }
    assert_balance(db, 1, 40, 7, 3);
    assert_int_equal(balance(db, 1).expired, 110);
    assert_int_equal(number_of(db, "SELECT head_position FROM token_balances"), 8);
}

#define ZEROS "decode(repeat('00', 32), 'hex')"
#define INSERT_ENTRY(values)                                                                       \
    "INSERT INTO ledger_entries (account_id, kind, debit, credit, amount, reference, position,"    \
    "                            previous, hash)"                                                  \
    " VALUES (1, " values ", " ZEROS ", " ZEROS ")"

static void the_balance_refuses_to_be_wrong(void **state)
{
    static const struct {
        const char *sql, *constraint;
    } table[] = {
        { "UPDATE token_balances SET available = available - 101, spent = spent + 101",
          "token_balances_no_overdraft" },
        { "UPDATE token_balances SET reserved = -1, available = available + 1",
          "token_balances_no_overdraft" },
        { "UPDATE token_balances SET available = available + 1", "token_balances_add_up" },
        { "UPDATE token_balances SET spent = 1", "token_balances_add_up" },
        { "UPDATE token_lots SET available = 101", "token_lots_available_bounds" },
        { "UPDATE token_lots SET available = -1", "token_lots_available_bounds" },
        { INSERT_ENTRY("'grant', 'available', 'available', 1, 'x', 2"), "ledger_entries_purses" },
        { INSERT_ENTRY("'grant', 'source', 'available', 0, 'x', 2"),
          "ledger_entries_amount_positive" },
        { INSERT_ENTRY("'grant', 'source', 'available', 1, 'a', 2"), "ledger_entries_once" },
        { INSERT_ENTRY("'grant', 'source', 'available', 1, 'x', 1"), "ledger_entries_chain" },
        { INSERT_ENTRY("'grant', 'source', 'available', 1, 'x', 0"), "ledger_entries_hashes" },
    };
    struct db *db = *state;
    struct err err;

    grant(db, 1, 100, "a", 0);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        assert_false(db_script(db, table[i].sql, &err));
        assert_string_equal(db_constraint(db), table[i].constraint);
    }
}

/* --- many at a time ---------------------------------------------------------------------------
 */

struct worker {
    pthread_t thread;
    int index;
    int64_t held, deadlocks, others; /* others: errors that were not expected */
    char detail[200];
};

static struct db *worker_db(void)
{
    struct db *db;
    struct err err;

    if (!db_open(servers_get("DATABASE_URL"), "worker", &db, &err)) {
        panic("%s", err.detail);
    }
    return db;
}

static void run_workers(struct worker *workers, void *(*work)(void *))
{
    memset(workers, 0, THREADS * sizeof *workers);
    for (int i = 0; i < THREADS; i++) {
        workers[i].index = i;
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(workers[i].thread, NULL);
        if (workers[i].deadlocks > 0 || workers[i].others > 0) {
            fail_msg("worker %d: %lld deadlocks, %lld others: %s", i,
                     (long long)workers[i].deadlocks, (long long)workers[i].others,
                     workers[i].detail);
        }
    }
}

/* Ends a transaction; an error is counted by its kind. */
static bool end(struct db *db, struct worker *worker, bool ok, struct err *err)
{
    ok = ok && db_commit(db, err);
    if (!ok) {
        bool deadlock = strcmp(err->what, "pg_deadlock_detected") == 0;

        db_rollback(db);
        worker->deadlocks += deadlock;
        worker->others += !deadlock;
        snprintf(worker->detail, sizeof worker->detail, "%.50s: %.140s", err->what, err->detail);
    }
    return ok;
}

static void *hold_thirty(void *context)
{
    struct worker *worker = context;
    struct db *db = worker_db();
    struct ledger_held held;
    struct err err;

    for (int i = 0; i < 10; i++) {
        bool ok = db_begin(db, &err) &&
                  ledger_hold(db, 1, 1000 + worker->index * 10 + i, 30, NOW, &held, &err);

        worker->held += end(db, worker, ok, &err) && held.held;
    }
    db_close(db);
    return NULL;
}

static void many_holders_at_once_do_not_overdraw(void **state)
{
    struct worker workers[THREADS];
    int64_t held = 0;

    for (int i = 0; i < 10; i++) {
        char reference[20];

        snprintf(reference, sizeof reference, "lot %d", i);
        grant(*state, 1, 100, reference, i % 2 ? NOW + DAY_MS + i : 0);
    }
    run_workers(workers, hold_thirty);
    for (int i = 0; i < THREADS; i++) {
        held += workers[i].held;
    }
    assert_int_equal(held, 33);
    assert_balance(*state, 1, 10, 990, 0);
}

static void *hold_the_same(void *context)
{
    struct worker *worker = context;
    struct db *db = worker_db();
    struct ledger_held held;
    struct err err;

    for (int i = 0; i < 20; i++) {
        bool ok = db_begin(db, &err) && ledger_hold(db, 1, 2000 + i, 10, NOW, &held, &err);

        worker->held += end(db, worker, ok, &err) && held.held;
    }
    db_close(db);
    return NULL;
}

static void the_same_hold_from_many_is_one(void **state)
{
    struct worker workers[THREADS];
    int64_t held = 0;

    grant(*state, 1, 500, "a", 0);
    grant(*state, 1, 500, "b", NOW + DAY_MS);
    run_workers(workers, hold_the_same);
    for (int i = 0; i < THREADS; i++) {
        held += workers[i].held;
    }
    assert_int_equal(held, THREADS * 20);
    assert_balance(*state, 1, 800, 200, 0);
}

static void *give_without_a_balance(void *context)
{
    struct ledger_transfer transfer = { 1, 2, 5, "TRF-1", NULL, NULL, 0, 0 };
    struct worker *worker = context;
    struct db *db = worker_db();
    struct err err;

    end(db, worker, db_begin(db, &err) && ledger_transfer(db, &transfer, NOW, NULL, &err), &err);
    db_close(db);
    return NULL;
}

/* Or tokens could come between the look for its lock and the look at its tokens. */
static void who_gives_is_locked_even_without_a_balance(void **state)
{
    static const struct db_statement waiting = {
        "test_waiting", "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'", 0
    };
    struct worker worker = { 0 };
    struct db *locker = migrated_db();
    struct db *db = *state;
    int64_t count = 0;
    struct err err;

    grant(db, 2, 9, "a", 0);
    assert_ok(db_begin(locker, &err));
    script(locker, "SELECT FROM token_balances WHERE account_id = 2 FOR UPDATE");
    assert_int_equal(pthread_create(&worker.thread, NULL, give_without_a_balance, &worker), 0);
    while (count == 0) {
        AUTO_DB_RESULT struct db_result *found = NULL;

        assert_ok(db_query(db, &waiting, NULL, &found, &err));
        count = db_get_int(found, 0, 0);
    }
    script(db, "SET lock_timeout = '100ms'");
    assert_fails(ledger_grant(db, 1, 100, "b", 0, NOW, NULL, &err), ERR_TEMPORARY,
                 "pg_lock_not_available");
    db_rollback(locker);
    assert_int_equal(pthread_join(worker.thread, NULL), 0);
    assert_int_equal(worker.others, 1);
    assert_non_null(strstr(worker.detail, "tokens_missing"));
    assert_true(grant(db, 1, 100, "b", 0));
    db_close(locker);
}

#define GRANTS 20
#define CAMPAIGNS 40
#define BATCHES 12
#define BATCH_TOKENS 9

/* How a batch ends, the same whoever asks: captured, the rest is released. */
static int64_t captured_of(int campaign, int batch)
{
    return (campaign * 7 + batch * 5) % (BATCH_TOKENS + 1);
}

/*
 * The life of many campaigns of one account at once: each worker grants, holds, settles and expires
 * in an order of its own, and much of it is done by several workers.
 */
static void *live(void *context)
{
    struct worker *worker = context;
    struct db *db = worker_db();
    uint32_t chance = (uint32_t)worker->index * 7919 + 1;
    struct err err;
    char reference[40];

    for (int step = 0; step < 600; step++) {
        chance = chance * 1664525 + 1013904223;
        int campaign = (int)(chance >> 8) % CAMPAIGNS;
        int64_t id = 3000 + campaign;
        bool ok = db_begin(db, &err);

        if (step % 30 == 0) {
            snprintf(reference, sizeof reference, "grant %d", step / 30);
            ok = ok && ledger_grant(db, 1, 1000, reference,
                                    step % 60 ? 0 : NOW + DAY_MS + (step % 7), NOW, NULL, &err);
        } else if (step % 50 == 7) {
            ok = ok && ledger_expire(db, NOW + (step > 400 ? 2 * DAY_MS : 0), 3, NULL, &err);
        } else {
            struct ledger_held held;
            int batch = (int)(chance >> 16) % BATCHES;
            int64_t captured = captured_of(campaign, batch);

            snprintf(reference, sizeof reference, "%lld/%d", (long long)id, batch);
            ok = ok && ledger_hold(db, 1, id, (int64_t)BATCHES * BATCH_TOKENS, NOW, &held, &err) &&
                 db_commit(db, &err) && db_begin(db, &err) &&
                 (!held.held || ledger_settle(db, 1, id, reference, captured,
                                              BATCH_TOKENS - captured, NOW, &err));
        }
        end(db, worker, ok, &err);
    }
    db_close(db);
    return NULL;
}

static void campaigns_of_one_account_do_not_get_into_each_others_way(void **state)
{
    struct db *db = *state;
    struct worker workers[THREADS];
    int64_t spent = 0;

    run_workers(workers, live);
    /* Whatever batches were not met by chance. */
    for (int campaign = 0; campaign < CAMPAIGNS; campaign++) {
        assert_true(hold(db, 1, 3000 + campaign, (int64_t)BATCHES * BATCH_TOKENS).held);
        for (int batch = 0; batch < BATCHES; batch++) {
            char reference[40];

            snprintf(reference, sizeof reference, "%d/%d", 3000 + campaign, batch);
            settle(db, 3000 + campaign, reference, captured_of(campaign, batch),
                   BATCH_TOKENS - captured_of(campaign, batch));
            spent += captured_of(campaign, batch);
        }
    }
    struct ledger_balance now = balance(db, 1);
    assert_int_equal(now.granted, GRANTS * 1000);
    assert_int_equal(now.reserved, 0);
    assert_int_equal(now.spent, spent);
    assert_int_equal(now.available + now.expired, GRANTS * 1000 - spent);
    assert_int_equal(number_of(db, "SELECT count(*) FROM token_holds"), CAMPAIGNS);
    assert_int_equal(number_of(db, "SELECT deadlocks FROM pg_stat_database"
                                   " WHERE datname = current_database()"),
                     0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MIGRATED(a_grant_counts_once_by_its_reference),
        MIGRATED(an_account_without_tokens_has_a_balance_of_zero),
        MIGRATED(a_hold_takes_all_or_nothing_and_once),
        MIGRATED(the_tokens_that_expire_first_are_held_first),
        MIGRATED(a_settlement_counts_once_by_its_reference),
        MIGRATED(no_hold_gives_more_than_it_took),
        MIGRATED(released_tokens_go_back_to_the_lots_that_expire_last),
        MIGRATED(a_close_releases_all_but_what_is_kept),
        MIGRATED(what_is_left_of_a_lot_expires_and_again_if_more_comes_back),
        MIGRATED(lots_expire_a_few_at_a_time),
        MIGRATED(the_entries_are_append_only),
        MIGRATED(programs_of_before_the_chain_stay_in_it),
        MIGRATED(the_balance_refuses_to_be_wrong),
        MIGRATED(many_holders_at_once_do_not_overdraw),
        MIGRATED(the_same_hold_from_many_is_one),
        MIGRATED(who_gives_is_locked_even_without_a_balance),
        MIGRATED(campaigns_of_one_account_do_not_get_into_each_others_way),
    };

    return cmocka_run_group_tests_name("unit.ledger.ledger", tests, migrated_start, migrated_stop);
}
