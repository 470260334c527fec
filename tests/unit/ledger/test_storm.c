/*
 * lib/ledger in a storm: processes that do by chance all that can be done to a few accounts, some
 * of them killed in the middle of it, and once PostgreSQL too; then everything must add up
 *
 * What a reference stands for is a function of its number, so that any process may book it, again
 * and again, and what was booked can be told from the number.
 */
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/id.h"
#include "ledger/ledger.h"
#include "migrated.h"

#define NOW INT64_C(1795000000000)
#define HOUR_MS INT64_C(3600000)
#define ACCOUNTS 3 /* that are in use at a time */
#define ACCOUNTS_ALL 600
#define ACCOUNT_LIFE 30 /* numbers after which others, without a balance so far, come into use */
#define WORKERS 6
#define NUMBERS 40     /* references of a kind that are in use at a time */
#define NUMBER_LIFE 16 /* moves after which the next number comes into use */
#define PARTS 4        /* settlements of a hold */
#define KILLS 80
#define MOVES_A_KILL 40 /* finished by all together between two kills, at most */
#ifndef MOVES_AT_END
#define MOVES_AT_END 1000
#endif
#define PATIENCE_S 60

enum move { GRANT, HOLD, SETTLE, CLOSE, TRANSFER, ADJUST, REFUND, EXPIRE, STATUS, MOVES };

static const char *const move_names[MOVES] = { "grant",  "hold",   "settle", "close", "transfer",
                                               "adjust", "refund", "expire", "status" };

enum end { END_DONE = 0, END_WRONG = 1, END_SERVER = 2 };

/* Shared by all processes. */
static struct {
    _Atomic int64_t booked[MOVES], refused[MOVES], again[MOVES];
    _Atomic int64_t finished, deadlocks;
    _Atomic bool is_over;
    char wrong[200];
} * seen;

struct worker {
    struct db *db;
    uint32_t chance;
};

static int64_t chance(struct worker *worker, int64_t below)
{
    worker->chance = worker->chance * 1664525 + 1013904223;
    return (int64_t)(worker->chance >> 8) % below;
}

/* What the numbers stand for; the SQL at the end says the same. */
static int64_t first_account_of(int64_t n)
{
    return 1 + n / ACCOUNT_LIFE % (ACCOUNTS_ALL / ACCOUNTS) * ACCOUNTS;
}

static int64_t account_of(int64_t n)
{
    return first_account_of(n) + n % ACCOUNTS;
}

static int64_t other_account_of(int64_t n)
{
    return first_account_of(n) + (n + 1 + n / ACCOUNTS % (ACCOUNTS - 1)) % ACCOUNTS;
}

static int64_t granted_of(int64_t n)
{
    return 50 + n % 200;
}

static int64_t held_of(int64_t n)
{
    return PARTS * (5 + n % 20);
}

static int64_t captured_of(int64_t n, int64_t part)
{
    return (n * 7 + part * 5) % (5 + n % 20 + 1);
}

static int64_t transferred_of(int64_t n)
{
    return 1 + n % 90;
}

static int64_t adjusted_of(int64_t n)
{
    return n % 2 ? 1 + n % 50 : -1 - n % 60;
}

/* A clock, so that lots do not all have ids of one millisecond, which has but two million of them.
 */
static int64_t now_ms(void)
{
    return NOW + seen->finished;
}

static bool do_grant(struct worker *worker, int64_t n, bool *out_new, struct err *err)
{
    char reference[40];

    snprintf(reference, sizeof reference, "g %lld", (long long)n);
    return ledger_grant(worker->db, account_of(n), granted_of(n), reference,
                        n % 3 ? NOW + n % 5 * HOUR_MS : 0, now_ms(), out_new, err);
}

static bool do_settle(struct worker *worker, int64_t n, struct err *err)
{
    int64_t part = chance(worker, PARTS);
    int64_t captured = captured_of(n, part);
    char reference[40];

    snprintf(reference, sizeof reference, "s %lld/%lld", (long long)n, (long long)part);
    return ledger_settle(worker->db, account_of(n), 1000 + n, reference, captured,
                         held_of(n) / PARTS - captured, now_ms(), err);
}

static bool do_hold(struct worker *worker, int64_t n, bool *out_new, struct err *err)
{
    struct ledger_held held = { 0 };

    if (!ledger_hold(worker->db, account_of(n), 1000 + n, held_of(n), now_ms(), &held, err)) {
        return false;
    }
    *out_new = held.held;
    /* A batch may be settled in the transaction that holds. */
    return !held.held || chance(worker, 3) > 0 || do_settle(worker, n, err);
}

static bool do_close(struct worker *worker, int64_t n, struct err *err)
{
    char reference[40];

    snprintf(reference, sizeof reference, "c %lld", (long long)n);
    return ledger_close(worker->db, account_of(n), 1000 + n, reference, 0, now_ms(), err);
}

static bool do_transfer(struct worker *worker, int64_t n, bool *out_new, struct err *err)
{
    char reference[40];
    struct ledger_transfer transfer = {
        .from = account_of(n),
        .to = other_account_of(n),
        .tokens = transferred_of(n),
        .reference = reference,
        .reason = n % 2 ? "why not" : NULL,
        .actor = n % 3 ? "somebody" : NULL,
        .limit_day = n % 5 ? 0 : 1000,
    };

    snprintf(reference, sizeof reference, "t %lld", (long long)n);
    return ledger_transfer(worker->db, &transfer, now_ms(), out_new, err);
}

static bool do_adjust(struct worker *worker, int64_t n, bool *out_new, struct err *err)
{
    char reference[40];
    struct ledger_adjustment adjustment = {
        .account = account_of(n),
        .tokens = adjusted_of(n),
        .expires_ms = n % 3 ? 0 : NOW + n % 7 * HOUR_MS,
        .reference = reference,
        .reason = "a mistake",
        .actor = "a clerk",
    };

    snprintf(reference, sizeof reference, "a %lld", (long long)n);
    return ledger_adjust(worker->db, &adjustment, now_ms(), out_new, err);
}

static bool do_refund(struct worker *worker, int64_t n, struct err *err)
{
    int64_t part = chance(worker, PARTS);
    char reference[40];

    snprintf(reference, sizeof reference, "r %lld/%lld", (long long)n, (long long)part);
    return ledger_refund(worker->db, account_of(n), 1000 + n, reference, captured_of(n, part),
                         now_ms(), err);
}

static bool do_expire(struct worker *worker, bool *out_new, struct err *err)
{
    int64_t lots;
    bool ok = ledger_expire(worker->db, NOW + chance(worker, 3) * HOUR_MS, 5, &lots, err);

    *out_new = ok && lots > 0;
    return ok;
}

/* Accounts are suspended and served again, now and then. */
static bool do_status(struct worker *worker, int64_t n, struct err *err)
{
    char sql[100];

    snprintf(sql, sizeof sql, "UPDATE accounts SET status = '%s' WHERE id = %lld",
             chance(worker, 4) ? "active" : "suspended", (long long)account_of(n));
    return db_script(worker->db, sql, err);
}

static bool do_move(struct worker *worker, enum move move, bool *out_new, struct err *err)
{
    int64_t n = seen->finished / NUMBER_LIFE + chance(worker, NUMBERS);

    *out_new = true;
    switch (move) {
    case GRANT:
        return do_grant(worker, n, out_new, err);
    case HOLD:
        return do_hold(worker, n, out_new, err);
    case SETTLE:
        return do_settle(worker, n, err);
    case CLOSE:
        return do_close(worker, n, err);
    case TRANSFER:
        return do_transfer(worker, n, out_new, err);
    case ADJUST:
        return do_adjust(worker, n, out_new, err);
    case REFUND:
        return do_refund(worker, n, err);
    case EXPIRE:
        return do_expire(worker, out_new, err);
    case STATUS:
        return do_status(worker, n, err);
    case MOVES:
    default:
        return false;
    }
}

/* Whether the ledger may say so of a move that comes at the wrong time. */
static bool is_refusal(const struct err *err)
{
    static const char *const words[] = { "hold_unknown", "tokens_missing", "account_inactive",
                                         "daily_limit", "pg_check_violation" };

    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcmp(err->what, words[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* One transaction; false when the process has to end. */
static bool step(struct worker *worker, enum end *out_end)
{
    static const enum move often[] = { GRANT,    GRANT,    HOLD,     HOLD,   HOLD,   SETTLE,
                                       SETTLE,   SETTLE,   SETTLE,   SETTLE, SETTLE, CLOSE,
                                       TRANSFER, TRANSFER, TRANSFER, ADJUST, REFUND, REFUND,
                                       REFUND,   EXPIRE,   EXPIRE,   STATUS };
    enum move move = often[chance(worker, sizeof often / sizeof *often)];
    bool is_new = true;
    struct err err;
    bool ok = db_begin(worker->db, &err) && do_move(worker, move, &is_new, &err) &&
              db_commit(worker->db, &err);

    if (ok) {
        (is_new ? seen->booked : seen->again)[move]++;
    } else if (strcmp(err.what, "pg_deadlock_detected") == 0) {
        seen->deadlocks++;
        db_rollback(worker->db);
    } else if (is_refusal(&err)) {
        seen->refused[move]++;
        db_rollback(worker->db);
    } else if (err.kind != ERR_PERMANENT) {
        *out_end = END_SERVER;
        return false;
    } else {
        snprintf(seen->wrong, sizeof seen->wrong, "%s: %.60s: %.100s", move_names[move], err.what,
                 err.detail);
        *out_end = END_WRONG;
        return false;
    }
    seen->finished++;
    return true;
}

static enum end work(uint32_t seed)
{
    struct worker worker = { .chance = seed };
    enum end end = END_DONE;
    struct err err;

    if (!db_open(servers_get("DATABASE_URL"), "storm", &worker.db, &err)) {
        return END_SERVER;
    }
    while (!seen->is_over && step(&worker, &end)) {
    }
    db_close(worker.db);
    return end;
}

static pid_t start_worker(uint32_t seed)
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        _exit((int)work(seed * 7919 + 1));
    }
    return pid;
}

static void nap(void)
{
    (void)nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
}

/* Until so many more moves were finished, or a process has ended. */
static void await_moves(int64_t count)
{
    const int64_t wanted = seen->finished + count;
    const time_t late = time(NULL) + PATIENCE_S;
    siginfo_t ended = { 0 };

    while (seen->finished < wanted && ended.si_pid == 0) {
        assert_true(time(NULL) < late);
        assert_int_equal(waitid(P_ALL, 0, &ended, WEXITED | WNOHANG | WNOWAIT), 0);
        nap();
    }
}

/* How a worker ended that was not killed by us must be said. */
static void assert_ended_well(int status, bool may_be_killed)
{
    if (WIFSIGNALED(status)) {
        assert_true(may_be_killed && WTERMSIG(status) == SIGKILL);
    } else if (WEXITSTATUS(status) == END_WRONG) {
        fail_msg("%s", seen->wrong);
    } else {
        assert_true(WEXITSTATUS(status) == END_DONE || WEXITSTATUS(status) == END_SERVER);
    }
}

static uint32_t next_seed = 1;

/* Others in the place of those that have ended by themselves, because the server was away. */
static void replace_ended(pid_t *workers)
{
    for (int i = 0; i < WORKERS; i++) {
        int status;

        if (waitpid(workers[i], &status, WNOHANG) == workers[i]) {
            assert_ended_well(status, false);
            workers[i] = start_worker(next_seed++);
        }
    }
}

static void kill_one(pid_t *workers)
{
    int i = (int)id_random_below(WORKERS);
    int status;

    assert_int_equal(kill(workers[i], SIGKILL), 0);
    assert_int_equal(waitpid(workers[i], &status, 0), workers[i]);
    assert_ended_well(status, true);
    workers[i] = start_worker(next_seed++);
}

static void await_backends(struct db *db)
{
    static const struct db_statement others = {
        "storm_others", "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'storm'", 0
    };
    const time_t late = time(NULL) + PATIENCE_S;
    int64_t count;

    do {
        AUTO_DB_RESULT struct db_result *found = NULL;
        struct err err;

        assert_true(time(NULL) < late);
        assert_ok(db_query(db, &others, NULL, &found, &err));
        count = db_get_int(found, 0, 0);
        nap();
    } while (count > 0);
}

/* What is booked under a number that stands for something else. */
static const char wrong_numbers[] =
    "SELECT string_agg(kind || ' ' || reference || ' ' || amount, ', ') FROM ("
    "  SELECT e.*, n, 1 + n / 30 % 200 * 3 AS base"
    "    FROM ledger_entries e, LATERAL (SELECT CASE WHEN kind IN ('grant', 'transfer', 'adjust')"
    "                                    THEN substr(reference, 3)::bigint END AS n) number) e"
    " WHERE kind = 'grant' AND (amount <> 50 + n % 200 OR account_id <> base + n % 3)"
    "    OR kind = 'transfer' AND (amount <> 1 + n % 90"
    "       OR CASE debit WHEN 'available' THEN account_id ELSE peer_id END <> base + n % 3"
    "       OR CASE debit WHEN 'available' THEN peer_id ELSE account_id END"
    "          <> base + (n + 1 + n / 3 % 2) % 3)"
    "    OR kind = 'adjust' AND (account_id <> base + n % 3"
    "       OR CASE credit WHEN 'available' THEN amount ELSE -amount END"
    "          <> CASE n % 2 WHEN 1 THEN 1 + n % 50 ELSE -1 - n % 60 END)";

static void assert_all_is_right(struct db *db)
{
    const char *faults = text_of(db, invariants_sql);

    if (faults) {
        fail_msg("%s", faults);
    }
    faults = text_of(db, wrong_numbers);
    if (faults) {
        fail_msg("%s", faults);
    }
    assert_int_equal(number_of(db, "SELECT count(*) FROM token_balances WHERE least(available,"
                                   " reserved, spent, expired, granted) < 0"),
                     0);
    assert_int_equal(number_of(db, "SELECT count(*) FROM (SELECT FROM ledger_entries"
                                   " GROUP BY account_id, kind, reference"
                                   " HAVING count(*) > 1) twice"),
                     0);
    assert_int_equal(number_of(db, "SELECT count(*) FROM (SELECT FROM ledger_entries"
                                   " WHERE kind = 'capture' GROUP BY hold_id"
                                   " HAVING count(DISTINCT account_id) > 1) astray"),
                     0);
}

static void print_moves(void)
{
    for (int i = 0; i < MOVES; i++) {
        print_message("%-8s %lld booked, %lld known before, %lld refused\n", move_names[i],
                      (long long)seen->booked[i], (long long)seen->again[i],
                      (long long)seen->refused[i]);
    }
    print_message("%lld deadlocks\n", (long long)seen->deadlocks);
}

static void whatever_is_killed_it_adds_up(void **state)
{
    struct db *db = *state;
    pid_t workers[WORKERS];

    seen = mmap(NULL, sizeof *seen, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(seen != MAP_FAILED);
    script(db, "INSERT INTO accounts (id, slug, name, email)"
               " SELECT i, 'account' || i, 'A', i || '@x' FROM generate_series(3, 600) i");
    for (int i = 0; i < WORKERS; i++) {
        workers[i] = start_worker(next_seed++);
    }
    for (int kills = 0; kills < KILLS; kills++) {
        await_moves(1 + id_random_below(MOVES_A_KILL));
        replace_ended(workers);
        if (kills == KILLS / 2) {
            servers_do("kill", "postgres");
        } else {
            kill_one(workers);
        }
    }
    for (int64_t end = seen->finished + MOVES_AT_END; seen->finished < end;) {
        await_moves(end - seen->finished);
        replace_ended(workers);
    }
    seen->is_over = true;
    for (int i = 0; i < WORKERS; i++) {
        int status;

        assert_int_equal(waitpid(workers[i], &status, 0), workers[i]);
        assert_ended_well(status, false);
    }
    db_close(db); /* PostgreSQL was killed meanwhile */
    *state = db = migrated_db();
    await_backends(db);
    print_moves();
    assert_all_is_right(db);
    assert_int_equal(seen->deadlocks, 0);
    for (int i = 0; i < MOVES; i++) {
        assert_true(seen->booked[i] > 0);
    }
    assert_true(seen->again[GRANT] > 0);
    assert_int_equal(munmap(seen, sizeof *seen), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = { MIGRATED(whatever_is_killed_it_adds_up) };

    return cmocka_run_group_tests_name("unit.ledger.storm", tests, migrated_start, migrated_stop);
}
