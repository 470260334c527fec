/*
 * ledger - how many movements of tokens a second, and how many the bare SQL would do
 *
 *     bench_ledger <database url> <floor|hold|capture|transfer> <accounts> <workers> <ms>
 *
 * Each worker has a connection and does one movement a transaction, over all accounts in turn, for
 * so many milliseconds; prints the movements a second. The floor is what any ledger has to write:
 * one UPDATE of a balance and one INSERT of an entry under a unique reference. A capture is a
 * batch's ledger_settle() with captured and released tokens. A transfer needs two accounts: of one
 * account it goes to and fro between two.
 */
#include "ledger/ledger.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "db/db.h"

#define ACCOUNT_FIRST 1000000
#define WORKERS_MOST 64
#define PLENTY INT64_C(1000000000)

enum what { FLOOR, HOLD, CAPTURE, TRANSFER };
static const char *const words[] = { "floor", "hold", "capture", "transfer", NULL };

struct bench {
    const char *url;
    enum what what;
    int64_t accounts;
    int64_t until_ms; /* of the monotonic clock; 0 until all are ready */
    int64_t run;      /* makes references and holds of this run its own */
};

struct worker {
    const struct bench *bench;
    int64_t number;
    int64_t done;
    pthread_t thread;
    pthread_barrier_t *ready;
};

static void give_up(const struct err *err)
{
    fprintf(stderr, "bench_ledger: %s: %s\n", err->what, err->detail);
    exit(1);
}

static const struct db_statement floor_balance = {
    "floor_balance",
    "UPDATE bench_balances SET available = available - $2 WHERE account_id = $1",
    2,
};
static const struct db_statement floor_entry = {
    "floor_entry",
    "INSERT INTO bench_entries (account_id, kind, amount, reference)"
    " VALUES ($1, 'capture', $2, $3)",
    3,
};

static bool move_floor(struct db *db, int64_t account, const char *reference, struct err *err)
{
    struct db_value values[] = { db_int8(account), db_int8(1), db_text(reference) };

    return db_run(db, &floor_entry, values, NULL, err) &&
           db_run(db, &floor_balance, values, NULL, err);
}

static int64_t hold_of(const struct worker *worker, int64_t account)
{
    return worker->bench->run + worker->number * 100000 + (account - ACCOUNT_FIRST);
}

static bool move(struct worker *worker, struct db *db, struct err *err)
{
    const struct bench *bench = worker->bench;
    const int64_t turn = worker->number + worker->done;
    const int64_t account = ACCOUNT_FIRST + turn % bench->accounts;
    const int64_t now_ms = clock_now_ms();
    struct ledger_held held;
    char reference[60];

    snprintf(reference, sizeof reference, "%" PRId64 " %" PRId64 " %" PRId64, bench->run,
             worker->number, worker->done);
    switch (bench->what) {
    case FLOOR:
        return move_floor(db, account, reference, err);
    case HOLD:
        return ledger_hold(db, account, bench->run + worker->number * 100000000 + worker->done + 1,
                           2, now_ms, &held, err);
    case CAPTURE:
        return ledger_settle(db, account, hold_of(worker, account), reference, 1, 1, now_ms, err);
    case TRANSFER:
        break;
    }
    const int64_t others = bench->accounts > 1 ? bench->accounts : 2;
    return ledger_transfer(db,
                           &(struct ledger_transfer){ .from = ACCOUNT_FIRST + turn % others,
                                                      .to = ACCOUNT_FIRST + (turn + 1) % others,
                                                      .tokens = 1,
                                                      .reference = reference,
                                                      .reason = "bench" },
                           now_ms, NULL, err);
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    const struct bench *bench = worker->bench;
    struct ledger_held held;
    struct db *db;
    struct err err;

    if (!db_open_by_key(bench->url, "bench", &db, &err)) {
        give_up(&err);
    }
    for (int64_t i = 0; bench->what == CAPTURE && i < bench->accounts; i++) {
        if (!db_begin(db, &err) ||
            !ledger_hold(db, ACCOUNT_FIRST + i, hold_of(worker, ACCOUNT_FIRST + i), 10000000,
                         clock_now_ms(), &held, &err) ||
            !db_commit(db, &err)) {
            give_up(&err);
        }
    }
    pthread_barrier_wait(worker->ready);
    pthread_barrier_wait(worker->ready); /* until_ms is set between the two */
    while (clock_mono_ms() < bench->until_ms) {
        if (!db_begin(db, &err) || !move(worker, db, &err) || !db_commit(db, &err)) {
            give_up(&err);
        }
        worker->done++;
    }
    db_close(db);
    return NULL;
}

static const char prepare_floor[] =
    "CREATE TABLE IF NOT EXISTS bench_balances (account_id bigint PRIMARY KEY,"
    "    available bigint NOT NULL CHECK (available >= 0)) WITH (fillfactor = 50);"
    "CREATE TABLE IF NOT EXISTS bench_entries (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
    "    account_id bigint NOT NULL, kind text NOT NULL, amount bigint NOT NULL,"
    "    reference text NOT NULL, created_at timestamptz NOT NULL DEFAULT now(),"
    "    UNIQUE (account_id, kind, reference))";

static void prepare(const struct bench *bench)
{
    const int64_t accounts = bench->accounts > 1 ? bench->accounts : 2;
    struct db *db;
    struct err err;
    char script[600], reference[60];

    if (!db_open_by_key(bench->url, "bench", &db, &err) || !db_script(db, prepare_floor, &err)) {
        give_up(&err);
    }
    for (int64_t id = ACCOUNT_FIRST; id < ACCOUNT_FIRST + accounts; id++) {
        snprintf(script, sizeof script,
                 "INSERT INTO accounts (id, slug, name, email) VALUES (%" PRId64 ", 'b%" PRId64
                 "', 'Bench', 'b%" PRId64 "@example.com') ON CONFLICT DO NOTHING;"
                 "INSERT INTO bench_balances VALUES (%" PRId64 ", %" PRId64
                 ") ON CONFLICT (account_id) DO UPDATE SET available = excluded.available",
                 id, id, id, id, PLENTY);
        snprintf(reference, sizeof reference, "bench %" PRId64, bench->run);
        if (!db_script(db, script, &err) || !db_begin(db, &err) ||
            !ledger_grant(db, id, PLENTY, reference, 0, clock_now_ms(), NULL, &err) ||
            !db_commit(db, &err)) {
            give_up(&err);
        }
    }
    db_close(db);
}

static void measure(struct bench *bench, int workers, int64_t ms)
{
    struct worker crew[WORKERS_MOST] = { 0 };
    pthread_barrier_t ready;
    int64_t begun_us, done = 0;

    pthread_barrier_init(&ready, NULL, (unsigned)workers + 1);
    for (int i = 0; i < workers; i++) {
        crew[i] = (struct worker){ .bench = bench, .number = i + 1, .ready = &ready };
        if (pthread_create(&crew[i].thread, NULL, work, &crew[i]) != 0) {
            abort();
        }
    }
    pthread_barrier_wait(&ready);
    begun_us = clock_mono_us();
    bench->until_ms = begun_us / 1000 + ms;
    pthread_barrier_wait(&ready);
    for (int i = 0; i < workers; i++) {
        pthread_join(crew[i].thread, NULL);
        done += crew[i].done;
    }
    printf("%.1f\n", (double)done * 1e6 / (double)(clock_mono_us() - begun_us));
    pthread_barrier_destroy(&ready);
}

int main(int argc, char **argv)
{
    struct bench bench = { .run = clock_now_ms() << 20 };
    int what = 0;

    while (argc == 6 && words[what] != NULL && strcmp(words[what], argv[2]) != 0) {
        what++;
    }
    const long workers = argc == 6 ? strtol(argv[4], NULL, 10) : 0;
    if (argc != 6 || words[what] == NULL || workers < 1 || workers > WORKERS_MOST) {
        fputs("usage: bench_ledger URL floor|hold|capture|transfer ACCOUNTS WORKERS MS\n", stderr);
        return 64;
    }
    bench.url = argv[1];
    bench.what = (enum what)what;
    bench.accounts = strtol(argv[3], NULL, 10);
    prepare(&bench);
    measure(&bench, (int)workers, strtol(argv[5], NULL, 10));
    return 0;
}
