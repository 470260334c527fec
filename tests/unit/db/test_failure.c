/*
 * What fails, how it is called, and that no wait is without end.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "db/internal.h"
#include "fixture.h"

#define SLACK_MS 1500 /* for a busy machine */

static const struct db_statement one = { "one", "SELECT 1::bigint", 0 };
static const struct db_statement nap = { "nap", "SELECT pg_sleep($1)", 1 };

static void expect_works(struct db *db)
{
    AUTO_DB_RESULT struct db_result *rows = NULL;
    struct err err;

    assert_ok(db_query(db, &one, NULL, &rows, &err));
    assert_int_equal(db_get_int(rows, 0, 0), 1);
}

/* --- names --- */

static void every_row_of_the_table_is_what_the_server_calls_it(void **state)
{
    size_t count;
    const struct sqlstate *rows = pg_sqlstate_table(&count);
    char sql[200];
    struct err err;

    for (size_t i = 0; i < count; i++) {
        assert_ptr_equal(pg_sqlstate_find(rows[i].code), &rows[i]); /* sorted, none twice */
        assert_int_equal(strncmp(rows[i].what, "pg_", 3), 0);
        assert_in_range(rows[i].kind, ERR_TEMPORARY, ERR_UNKNOWN);
        /* By its name the server raises the code. */
        snprintf(sql, sizeof(sql), "DO $$ BEGIN RAISE %s; END $$", rows[i].what + 3);
        assert_fails(db_script(*state, sql, &err), rows[i].kind, rows[i].what);
    }
    expect_works(*state);
}

static void other_codes_take_their_class(void **state)
{
    struct err err;

    assert_fails(db_script(*state, "DO $$ BEGIN RAISE invalid_xml_document; END $$", &err),
                 ERR_PERMANENT, "pg_data_exception");
    assert_fails(db_script(*state, "DO $$ BEGIN RAISE SQLSTATE '57099'; END $$", &err),
                 ERR_TEMPORARY, "pg_operator_intervention");
    assert_fails(db_script(*state, "DO $$ BEGIN RAISE SQLSTATE 'TUMA1'; END $$", &err),
                 ERR_PERMANENT, "pg_error");
    assert_string_equal(pg_sqlstate_find("")->what, "pg_error");
}

static void constraints_are_named(void **state)
{
    static const struct {
        const char *sql, *what, *constraint;
    } cases[] = {
        { "INSERT INTO child VALUES (1, 1, 1)", "pg_unique_violation", "child_pkey" },
        { "INSERT INTO child VALUES (2, 9, 1)", "pg_foreign_key_violation", "child_parent_fkey" },
        { "INSERT INTO child VALUES (2, 1, 0)", "pg_check_violation", "child_positive" },
        { "INSERT INTO child VALUES (2, 1, NULL)", "pg_not_null_violation", "" },
        { "SELECT nonsense", "pg_undefined_column", "" },
    };
    struct err err;

    script(*state, "CREATE TABLE parent (id bigint PRIMARY KEY); INSERT INTO parent VALUES (1);"
                   "CREATE TABLE child (id bigint CONSTRAINT child_pkey PRIMARY KEY,"
                   " parent bigint CONSTRAINT child_parent_fkey REFERENCES parent,"
                   " n bigint NOT NULL CONSTRAINT child_positive CHECK (n > 0));"
                   "INSERT INTO child VALUES (1, 1, 1)");
    assert_string_equal(db_constraint(*state), "");
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        assert_fails(db_script(*state, cases[i].sql, &err), ERR_PERMANENT, cases[i].what);
        assert_string_equal(db_constraint(*state), cases[i].constraint);
        assert_null(strchr(err.detail, '\n'));
    }
}

/* --- opening --- */

static void a_bad_address_is_told_without_the_password(void **state)
{
    char url[300];
    const char *good = servers_get("DATABASE_URL");
    struct db *db = NULL;
    struct err err;

    (void)state;
    assert_fails(db_open("postgresql://u:secret@h:1:2/x?y", "test", &db, &err), ERR_PERMANENT,
                 "pg_bad_url");
    assert_null(strstr(err.detail, "secret"));
    assert_fails(db_open("postgresql://u:secret@127.0.0.1:1/x", "test", &db, &err), ERR_TEMPORARY,
                 "pg_connect_failed");
    assert_null(strstr(err.detail, "secret"));
    snprintf(url, sizeof(url), "postgresql://tuma:secret%s", strchr(good, '@'));
    assert_fails(db_open(url, "test", &db, &err), ERR_TEMPORARY, "pg_connect_failed");
    assert_null(strstr(err.detail, "secret"));
    assert_null(db);
    db_close(NULL);
}

static void the_connection_is_set_up_as_the_header_says(void **state)
{
    static const struct db_statement settings = {
        "settings",
        "SELECT current_setting('application_name'), current_setting('statement_timeout'),"
        " current_setting('client_encoding'), current_setting('enable_seqscan')",
        0
    };
    char url[300];
    AUTO_DB_RESULT struct db_result *rows = NULL;
    AUTO_DB_RESULT struct db_result *later = NULL;
    struct db *db;
    struct err err;

    (void)state;
    snprintf(url, sizeof(url), "%s?options=-c%%20enable_seqscan%%3Doff",
             servers_get("DATABASE_URL"));
    assert_ok(db_open(url, "render-template/3", &db, &err));
    memset(url, 0, sizeof(url)); /* it was copied */
    assert_ok(db_set_timeout(db, 1234, &err));
    assert_ok(db_query(db, &settings, NULL, &rows, &err));
    assert_string_equal(db_get_text(rows, 0, 0), "render-template/3");
    assert_string_equal(db_get_text(rows, 0, 1), "1234ms");
    assert_string_equal(db_get_text(rows, 0, 2), "UTF8");
    assert_string_equal(db_get_text(rows, 0, 3), "off");
    assert_ok(db_reconnect(db, &err));
    assert_ok(db_query(db, &settings, NULL, &later, &err));
    assert_string_equal(db_get_text(later, 0, 1), "1234ms");
    db_close(db);
}

/* --- time --- */

static void a_statement_that_takes_too_long_is_cancelled(void **state)
{
    int64_t start_ms = clock_mono_ms();
    struct err err;

    assert_ok(db_set_timeout(*state, 300, &err));
    assert_fails(db_run(*state, &nap, (struct db_value[]){ db_text("10") }, NULL, &err),
                 ERR_TEMPORARY, "pg_query_canceled");
    assert_in_range(clock_mono_ms() - start_ms, 290, 300 + SLACK_MS);
    expect_works(*state);
}

static void a_frozen_server_is_given_up(void **state)
{
    pid_t pid;
    int64_t start_ms;
    static const struct db_statement backend = { "backend", "SELECT pg_backend_pid()", 0 };
    AUTO_DB_RESULT struct db_result *rows = NULL;
    AUTO_DB_RESULT struct db_result *none = NULL;
    struct err err;

    assert_ok(db_query(*state, &backend, NULL, &rows, &err));
    pid = (pid_t)db_get_int(rows, 0, 0);
    expect_works(*state);
    assert_ok(db_set_timeout(*state, 300, &err));
    assert_int_equal(kill(pid, SIGSTOP), 0);
    start_ms = clock_mono_ms();
    assert_false(db_query(*state, &one, NULL, &none, &err));
    assert_int_equal(kill(pid, SIGCONT), 0);
    assert_string_equal(err.what, "pg_no_answer");
    assert_int_equal(err.kind, ERR_TEMPORARY);
    assert_in_range(clock_mono_ms() - start_ms, 300, 2300 + SLACK_MS);
    assert_true(db_is_down(*state));
    assert_ok(db_reconnect(*state, &err));
    expect_works(*state);
}

static void a_frozen_server_is_not_waited_for_at_connecting(void **state)
{
    int64_t pid = 0;
    int64_t start_ms = clock_mono_ms();
    struct db *db;
    struct err err;

    (void)state;
    assert_true(str_parse_int(servers_get("POSTGRES_PID"), 2, INT32_MAX, &pid));
    assert_int_equal(kill((pid_t)pid, SIGSTOP), 0); /* the kernel accepts for it all the same */
    assert_false(db_open(servers_get("DATABASE_URL"), "test", &db, &err));
    assert_int_equal(kill((pid_t)pid, SIGCONT), 0);
    assert_string_equal(err.what, "pg_connect_failed");
    assert_int_equal(err.kind, ERR_TEMPORARY);
    assert_in_range(clock_mono_ms() - start_ms, 5000, 5000 + SLACK_MS);
}

static void locks_and_conflicts_are_temporary(void **state)
{
    static const struct db_statement lock = {
        "lock", "SELECT 1::bigint FROM locked WHERE id = $1 FOR UPDATE NOWAIT", 1
    };
    static const struct db_statement touch = { "touch", "UPDATE locked SET n = n + 1 WHERE id = $1",
                                               1 };
    struct db *other = open_db();
    struct err err;

    script(*state, "CREATE TABLE locked (id bigint PRIMARY KEY, n bigint NOT NULL);"
                   "INSERT INTO locked VALUES (1, 0)");
    assert_ok(db_begin(other, &err));
    assert_ok(db_run(other, &touch, (struct db_value[]){ db_int8(1) }, NULL, &err));
    assert_ok(db_begin(*state, &err));
    assert_fails(db_run(*state, &lock, (struct db_value[]){ db_int8(1) }, NULL, &err),
                 ERR_TEMPORARY, "pg_lock_not_available");
    db_rollback(*state);

    script(*state, "BEGIN ISOLATION LEVEL REPEATABLE READ");
    expect_works(*state); /* takes the snapshot */
    assert_ok(db_commit(other, &err));
    assert_fails(db_run(*state, &touch, (struct db_value[]){ db_int8(1) }, NULL, &err),
                 ERR_TEMPORARY, "pg_serialization_failure");
    db_rollback(*state);
    db_close(other);
}

/* --- lost connections --- */

static void end_backend_of(struct db *db)
{
    static const struct db_statement end = {
        "end",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'victim'",
        0
    };
    struct err err;

    assert_ok(db_run(db, &end, NULL, NULL, &err));
}

/* A connection named victim, in a transaction that another session can end. */
static struct db *open_victim(void)
{
    struct db *db;
    struct err err;

    assert_ok(db_open(servers_get("DATABASE_URL"), "victim", &db, &err));
    return db;
}

static void await_down(const struct db *db)
{
    int64_t deadline_ms = clock_mono_ms() + 10000;

    while (!db_is_down(db)) {
        assert_true(clock_mono_ms() < deadline_ms);
        clock_sleep_ms(1);
    }
}

static void a_session_that_was_ended_is_noticed_and_comes_back(void **state)
{
    struct db *victim = open_victim();
    struct err err;

    expect_works(victim);
    assert_false(db_is_down(victim));
    assert_ok(db_begin(victim, &err));
    end_backend_of(*state);
    await_down(victim); /* without asking it anything */
    assert_false(db_run(victim, &one, NULL, NULL, &err));
    assert_int_equal(err.kind, ERR_TEMPORARY);
    assert_true(db_is_down(victim));
    assert_false(db_in_transaction(victim));
    db_rollback(victim);
    assert_fails(db_commit(victim, &err), ERR_TEMPORARY, "pg_connection_lost");
    assert_fails(db_begin(victim, &err), ERR_TEMPORARY, "pg_connection_lost");
    assert_fails(db_copy_begin(victim, "COPY x FROM STDIN (FORMAT binary)", &err), ERR_TEMPORARY,
                 "pg_connection_lost");
    assert_ok(db_reconnect(victim, &err));
    expect_works(victim); /* its statements are prepared anew */
    db_close(victim);
}

static void a_commit_without_an_answer_is_unknown(void **state)
{
    static const struct db_statement insert = { "insert", "INSERT INTO doubtful VALUES (1)", 0 };
    struct db *victim;
    struct err err;

    script(*state, "CREATE TABLE doubtful (id bigint)");
    victim = open_victim();
    assert_ok(db_begin(victim, &err));
    assert_ok(db_run(victim, &insert, NULL, NULL, &err));
    end_backend_of(*state);
    await_down(victim);
    assert_fails(db_commit(victim, &err), ERR_UNKNOWN, "pg_commit_unknown");
    assert_true(db_is_down(victim));
    db_close(victim);
}

static void a_failed_commit_that_was_answered_is_not_unknown(void **state)
{
    struct err err;

    script(*state, "CREATE TABLE late (id bigint CONSTRAINT late_key UNIQUE DEFERRABLE"
                   " INITIALLY DEFERRED)");
    assert_ok(db_begin(*state, &err));
    script(*state, "INSERT INTO late VALUES (1), (1)");
    assert_fails(db_commit(*state, &err), ERR_PERMANENT, "pg_unique_violation");
    assert_string_equal(db_constraint(*state), "late_key");
    assert_false(db_in_transaction(*state));
    expect_works(*state);
}

static void a_killed_server_comes_back_with_what_was_committed(void **state)
{
    static const struct db_statement insert = { "insert_survivor",
                                                "INSERT INTO survivors VALUES ($1)", 1 };
    static const struct db_statement sum = { "sum", "SELECT sum(id)::bigint FROM survivors", 0 };
    AUTO_DB_RESULT struct db_result *rows = NULL;
    struct db_value two[] = { db_int8(2) };
    struct err err;

    script(*state, "CREATE TABLE survivors (id bigint); INSERT INTO survivors VALUES (1)");
    assert_ok(db_begin(*state, &err));
    assert_ok(db_run(*state, &insert, two, NULL, &err));
    servers_do("halt", "postgres");
    await_down(*state);
    assert_false(db_run(*state, &insert, two, NULL, &err));
    assert_int_equal(err.kind, ERR_TEMPORARY);
    assert_fails(db_reconnect(*state, &err), ERR_TEMPORARY, "pg_connect_failed");
    assert_fails(db_run(*state, &insert, two, NULL, &err), ERR_TEMPORARY, "pg_connection_lost");
    servers_do("start", "postgres");
    assert_ok(db_reconnect(*state, &err));
    assert_ok(db_query(*state, &sum, NULL, &rows, &err));
    assert_int_equal(db_get_int(rows, 0, 0), 1);
    assert_ok(db_run(*state, &insert, two, NULL, &err));
}

static void a_copy_into_a_lost_connection_fails_in_time(void **state)
{
    struct db *victim;
    struct err err;
    bool ok = true;

    script(*state, "CREATE TABLE sink (id bigint, body text)");
    victim = open_victim();
    assert_ok(db_begin(victim, &err));
    assert_ok(db_copy_begin(victim, "COPY sink FROM STDIN (FORMAT binary)", &err));
    end_backend_of(*state);
    await_down(victim);
    for (int i = 0; ok && i < 10000000; i++) {
        ok = db_copy_row(victim, (struct db_value[]){ db_int8(i), db_text("some text") }, 2, &err);
    }
    assert_false(ok);
    assert_int_equal(err.kind, ERR_TEMPORARY);
    db_rollback(victim);
    assert_ok(db_reconnect(victim, &err));
    expect_works(victim);
    db_close(victim);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, open_state, close_state)
    const struct CMUnitTest tests[] = {
        TEST(every_row_of_the_table_is_what_the_server_calls_it),
        TEST(other_codes_take_their_class),
        TEST(constraints_are_named),
        cmocka_unit_test(a_bad_address_is_told_without_the_password),
        cmocka_unit_test(the_connection_is_set_up_as_the_header_says),
        TEST(a_statement_that_takes_too_long_is_cancelled),
        TEST(a_frozen_server_is_given_up),
        cmocka_unit_test(a_frozen_server_is_not_waited_for_at_connecting),
        TEST(locks_and_conflicts_are_temporary),
        TEST(a_session_that_was_ended_is_noticed_and_comes_back),
        TEST(a_commit_without_an_answer_is_unknown),
        TEST(a_failed_commit_that_was_answered_is_not_unknown),
        TEST(a_killed_server_comes_back_with_what_was_committed),
        TEST(a_copy_into_a_lost_connection_fails_in_time),
    };

    return cmocka_run_group_tests(tests, start_server, stop_server);
}
