/*
 * Every type there and back, arrays, COPY, transactions, the statement cache.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "fixture.h"

#define COPY_ROWS 200000
#define BATCH 1000

static void a_type_comes_back_as_it_went(void **state)
{
    static const struct db_statement echo = {
        "echo",
        "SELECT $1::smallint, $2::integer, $3::bigint, $4::boolean, $5::text, $6::bytea,"
        " $7::timestamptz, $8::jsonb, $9::json, $10::varchar, $11::name",
        11,
    };
    static const char bytes[] = { 0, 1, (char)0xff, '\\', 0 };
    AUTO_DB_RESULT struct db_result *rows = NULL;
    struct err err;

    assert_ok(db_query(
        *state, &echo,
        (struct db_value[]){ db_int2(INT16_MIN), db_int4(INT32_MIN), db_int8(INT64_MIN),
                             db_bool(true), db_text("Habari, ñ €"), db_bytes(bytes, sizeof(bytes)),
                             db_time(1764012345678), db_text("{\"a\": [1]}"),
                             db_bytes("{\"b\":2}", 7), db_text(""), db_text("tuma") },
        &rows, &err));
    assert_int_equal(db_rows(rows), 1);
    assert_int_equal(db_columns(rows), 11);
    assert_string_equal(db_column_name(rows, 0), "int2");
    assert_int_equal(db_get_int(rows, 0, 0), INT16_MIN);
    assert_int_equal(db_get_int(rows, 0, 1), INT32_MIN);
    assert_true(db_get_int(rows, 0, 2) == INT64_MIN);
    assert_true(db_get_bool(rows, 0, 3));
    assert_string_equal(db_get_text(rows, 0, 4), "Habari, ñ €");
    assert_int_equal(db_get_length(rows, 0, 4), strlen("Habari, ñ €"));
    assert_int_equal(db_get_length(rows, 0, 5), sizeof(bytes));
    assert_memory_equal(db_get_text(rows, 0, 5), bytes, sizeof(bytes));
    assert_true(db_get_time(rows, 0, 6) == 1764012345678);
    assert_string_equal(db_get_text(rows, 0, 7), "{\"a\": [1]}");
    assert_int_equal(db_get_length(rows, 0, 7), strlen("{\"a\": [1]}"));
    assert_string_equal(db_get_text(rows, 0, 8), "{\"b\":2}");
    assert_string_equal(db_get_text(rows, 0, 9), "");
    assert_false(db_is_null(rows, 0, 9));
    assert_string_equal(db_get_text(rows, 0, 10), "tuma");
}

static void null_comes_back_as_null(void **state)
{
    static const struct db_statement nulls = {
        "nulls",
        "SELECT $1::smallint, $2::integer, $3::bigint, $4::boolean, $5::text, $6::bytea,"
        " $7::timestamptz, $8::bigint[]",
        8,
    };
    AUTO_DB_RESULT struct db_result *rows = NULL;
    struct err err;

    assert_ok(db_query(*state, &nulls,
                       (struct db_value[]){ db_null(), db_null(), db_null(), db_null(),
                                            db_text(NULL), db_null(), db_time(0), db_null() },
                       &rows, &err));
    for (int i = 0; i < 8; i++) {
        assert_true(db_is_null(rows, 0, i));
    }
    assert_int_equal(db_get_int(rows, 0, 0), 0);
    assert_int_equal(db_get_int(rows, 0, 1), 0);
    assert_int_equal(db_get_int(rows, 0, 2), 0);
    assert_false(db_get_bool(rows, 0, 3));
    assert_null(db_get_text(rows, 0, 4));
    assert_null(db_get_text(rows, 0, 5));
    assert_int_equal(db_get_time(rows, 0, 6), 0);
}

static void an_integer_takes_the_width_of_its_column(void **state)
{
    static const struct db_statement widths = {
        "widths", "SELECT $1::bigint, $2::smallint, ($3::bigint[])[1], ($4::smallint[])[2]", 4
    };
    static const int16_t small[] = { -2 };
    static const int64_t large[] = { 1, 32767 };
    static const int64_t too_large[] = { 1, 32768 };
    AUTO_DB_RESULT struct db_result *rows = NULL;
    struct err err;

    assert_ok(db_query(
        *state, &widths,
        (struct db_value[]){ db_int2(-7), db_int8(-8), db_int2s(small, 1), db_int8s(large, 2) },
        &rows, &err));
    assert_int_equal(db_get_int(rows, 0, 0), -7);
    assert_int_equal(db_get_int(rows, 0, 1), -8);
    assert_int_equal(db_get_int(rows, 0, 2), -2);
    assert_int_equal(db_get_int(rows, 0, 3), 32767);

    assert_fails(db_query(*state, &widths,
                          (struct db_value[]){ db_int2(1), db_int8(32768), db_int2s(small, 1),
                                               db_int8s(large, 2) },
                          &rows, &err),
                 ERR_PERMANENT, "pg_numeric_value_out_of_range");
    assert_fails(db_query(*state, &widths,
                          (struct db_value[]){ db_int2(1), db_int8(1), db_int2s(small, 1),
                                               db_int8s(too_large, 2) },
                          &rows, &err),
                 ERR_PERMANENT, "pg_numeric_value_out_of_range");
    assert_false(db_is_down(*state));
}

static void times_keep_their_milliseconds(void **state)
{
    static const struct db_statement text_of = {
        "text_of", "SELECT to_char($1::timestamptz, 'YYYY-MM-DD HH24:MI:SS.US'), $1", 1
    };
    static const struct db_statement odd = {
        "odd",
        "SELECT '1969-12-31 23:59:59.9995+00'::timestamptz, 'infinity'::timestamptz,"
        " '-infinity'::timestamptz, '1999-12-31 23:59:59.999999+00'::timestamptz",
        0
    };
    AUTO_DB_RESULT struct db_result *rows = NULL;
    AUTO_DB_RESULT struct db_result *odd_rows = NULL;
    struct err err;

    assert_ok(db_query(*state, &text_of, (struct db_value[]){ db_time(1) }, &rows, &err));
    assert_string_equal(db_get_text(rows, 0, 0), "1970-01-01 00:00:00.001000");
    assert_int_equal(db_get_time(rows, 0, 1), 1);
    assert_ok(db_query(*state, &odd, NULL, &odd_rows, &err));
    assert_int_equal(db_get_time(odd_rows, 0, 0), -1);
    assert_true(db_get_time(odd_rows, 0, 1) == INT64_MAX);
    assert_true(db_get_time(odd_rows, 0, 2) == INT64_MIN);
    assert_true(db_get_time(odd_rows, 0, 3) == 946684799999);
}

/* Each array as the server writes it in text: the form people can check. */
static void expect_arrays(struct db *db, const struct db_value values[5], const char *const want[5])
{
    static const struct db_statement as_text = {
        "as_text",
        "SELECT $1::smallint[]::text, $2::integer[]::text, $3::bigint[]::text, $4::text[]::text,"
        " $5::timestamptz[]::text",
        5
    };
    AUTO_DB_RESULT struct db_result *rows = NULL;
    struct err err;

    assert_ok(db_query(db, &as_text, values, &rows, &err));
    for (int i = 0; i < 5; i++) {
        assert_string_equal(db_get_text(rows, 0, i), want[i]);
    }
}

static void arrays_mean_what_their_text_says(void **state)
{
    static const int16_t twos[] = { 0, -1, INT16_MAX };
    static const int32_t fours[] = { 0, -1, INT32_MAX };
    static const int64_t eights[] = { INT64_MIN, 0, INT64_MAX };
    static const char *const texts[] = { "a", NULL, "", "x,\"y\" \\ é", "NULL" };
    static const int64_t times[] = { 1000, 0, 946684800000 };

    script(*state, "SET timezone = 'UTC'");
    expect_arrays(*state,
                  (struct db_value[]){ db_int2s(twos, 0), db_int4s(NULL, 0), db_int8s(NULL, 0),
                                       db_texts(NULL, 0), db_times(NULL, 0) },
                  (const char *const[]){ "{}", "{}", "{}", "{}", "{}" });
    expect_arrays(*state,
                  (struct db_value[]){ db_int2s(twos, 1), db_int4s(fours, 1), db_int8s(eights, 1),
                                       db_texts(texts, 1), db_times(times, 1) },
                  (const char *const[]){ "{0}", "{0}", "{-9223372036854775808}", "{a}",
                                         "{\"1970-01-01 00:00:01+00\"}" });
    expect_arrays(
        *state,
        (struct db_value[]){ db_int2s(twos, 3), db_int4s(fours, 3), db_int8s(eights, 3),
                             db_texts(texts, 5), db_times(times, 3) },
        (const char *const[]){ "{0,-1,32767}", "{0,-1,2147483647}",
                               "{-9223372036854775808,0,9223372036854775807}",
                               "{a,NULL,\"\",\"x,\\\"y\\\" \\\\ é\",\"NULL\"}",
                               "{\"1970-01-01 00:00:01+00\",NULL,\"2000-01-01 00:00:00+00\"}" });
}

static void a_thousand_rows_update_in_one_statement(void **state)
{
    static const struct db_statement update_states = {
        "update_states",
        "UPDATE recipients r SET state = u.state, ref = u.ref"
        " FROM unnest($1::bigint[], $2::smallint[], $3::text[]) AS u (id, state, ref)"
        " WHERE r.id = u.id AND r.state <> u.state",
        3
    };
    static int64_t ids[BATCH];
    static int16_t states[BATCH];
    static char refs[BATCH][24];
    static const char *ref_of[BATCH];
    struct err err;
    int64_t rows;
    int64_t start_us;

    script(*state, "CREATE TABLE recipients (id bigint PRIMARY KEY, state smallint NOT NULL,"
                   " ref text) WITH (fillfactor = 50);"
                   "INSERT INTO recipients SELECT i, 0 FROM generate_series(1, 100000) i");
    start_us = clock_mono_us();
    for (int batch = 0; batch < 100; batch++) {
        for (int i = 0; i < BATCH; i++) {
            ids[i] = batch * BATCH + i + 1;
            states[i] = (int16_t)(1 + i % 3);
            snprintf(refs[i], sizeof(refs[i]), "ATXid_%016llx", (long long)ids[i]);
            ref_of[i] = refs[i];
        }
        assert_ok(db_run(*state, &update_states,
                         (struct db_value[]){ db_int8s(ids, BATCH), db_int2s(states, BATCH),
                                              db_texts(ref_of, BATCH) },
                         &rows, &err));
        assert_int_equal(rows, BATCH);
    }
    print_message("unnest: %.0f updated rows/s in batches of %d\n",
                  100.0 * BATCH * 1e6 / (double)(clock_mono_us() - start_us), BATCH);
}

static int64_t number(struct db *db, const struct db_statement *statement)
{
    AUTO_DB_RESULT struct db_result *rows = NULL;
    struct err err;

    assert_ok(db_query(db, statement, NULL, &rows, &err));
    return db_get_int(rows, 0, 0);
}

static void copied_rows_are_all_there(void **state)
{
    static const struct db_statement differing = {
        "differing",
        "SELECT count(*) FROM copied WHERE n <> id * 3 OR s <> id % 100 OR body <> 'text ' || id"
        " OR at <> to_timestamp(id) OR ok <> (id % 2 = 0) OR raw <> '\\x00ff'"
        " OR (id % 10 = 0) <> (nothing IS NULL) OR many <> ARRAY[id, -id]",
        0
    };
    char body[32];
    struct err err;
    int64_t rows;
    int64_t start_us;

    script(*state, "CREATE TABLE copied (id bigint NOT NULL, n integer NOT NULL,"
                   " s smallint NOT NULL, body text NOT NULL, at timestamptz NOT NULL,"
                   " ok boolean NOT NULL, raw bytea NOT NULL, nothing text,"
                   " many bigint[] NOT NULL)");
    start_us = clock_mono_us();
    assert_ok(db_begin(*state, &err));
    assert_ok(db_copy_begin(*state, "COPY copied FROM STDIN (FORMAT binary)", &err));
    for (int32_t id = 1; id <= COPY_ROWS; id++) {
        const int64_t many[] = { id, -id };

        snprintf(body, sizeof(body), "text %d", id);
        assert_ok(db_copy_row(
            *state,
            (struct db_value[]){ db_int8(id), db_int4(id * 3), db_int2((int16_t)(id % 100)),
                                 db_text(body), db_time((int64_t)id * 1000), db_bool(id % 2 == 0),
                                 db_bytes("\0\377", 2), db_text(id % 10 == 0 ? NULL : "some"),
                                 db_int8s(many, 2) },
            9, &err));
    }
    assert_ok(db_copy_end(*state, &rows, &err));
    assert_ok(db_commit(*state, &err));
    assert_int_equal(rows, COPY_ROWS);
    print_message("COPY: %.0f rows/s\n", COPY_ROWS * 1e6 / (double)(clock_mono_us() - start_us));
    assert_int_equal(number(*state, &differing), 0);
}

static void a_copy_of_nothing_is_fine(void **state)
{
    struct err err;
    int64_t rows = -1;

    script(*state, "CREATE TABLE empty (id bigint)");
    assert_ok(db_begin(*state, &err));
    assert_ok(db_copy_begin(*state, "COPY empty FROM STDIN (FORMAT binary)", &err));
    assert_ok(db_copy_end(*state, &rows, &err));
    assert_ok(db_commit(*state, &err));
    assert_int_equal(rows, 0);
}

static void a_failed_copy_tells_why_and_leaves_a_usable_connection(void **state)
{
    static const struct db_statement count = { "count", "SELECT count(*) FROM strict", 0 };
    struct err err;

    script(*state, "CREATE TABLE strict (id bigint CONSTRAINT strict_positive CHECK (id > 0))");
    assert_ok(db_begin(*state, &err));
    assert_fails(db_copy_begin(*state, "COPY missing FROM STDIN (FORMAT binary)", &err),
                 ERR_PERMANENT, "pg_undefined_table");
    db_rollback(*state);
    for (int bad = 0; bad < 2; bad++) {
        assert_ok(db_begin(*state, &err));
        assert_ok(db_copy_begin(*state, "COPY strict FROM STDIN (FORMAT binary)", &err));
        for (int i = 0; i < 50000; i++) {
            assert_ok(db_copy_row(*state, (struct db_value[]){ db_int8(i - 10) }, 1, &err));
        }
        if (bad == 0) {
            assert_fails(db_copy_end(*state, NULL, &err), ERR_PERMANENT, "pg_check_violation");
            assert_string_equal(db_constraint(*state), "strict_positive");
        }
        db_rollback(*state); /* the second time in mid-COPY */
        assert_false(db_is_down(*state));
    }
    assert_int_equal(number(*state, &count), 0);
}

static void a_transaction_is_all_or_nothing(void **state)
{
    static const struct db_statement insert = { "insert", "INSERT INTO kept VALUES ($1)", 1 };
    static const struct db_statement sum = { "sum", "SELECT sum(id)::bigint FROM kept", 0 };
    struct db_value one[] = { db_int8(1) };
    struct db_value two[] = { db_int8(2) };
    struct db_value four[] = { db_int8(4) };
    struct err err;
    int64_t rows;

    script(*state, "CREATE TABLE kept (id bigint CONSTRAINT kept_pkey PRIMARY KEY)");
    db_rollback(*state); /* nothing to roll back */
    assert_false(db_in_transaction(*state));
    assert_ok(db_begin(*state, &err));
    assert_true(db_in_transaction(*state));
    assert_ok(db_run(*state, &insert, one, &rows, &err));
    assert_int_equal(rows, 1);
    assert_ok(db_savepoint(*state, &err));
    assert_ok(db_run(*state, &insert, two, NULL, &err));
    assert_fails(db_run(*state, &insert, one, NULL, &err), ERR_PERMANENT, "pg_unique_violation");
    assert_string_equal(db_constraint(*state), "kept_pkey");
    assert_non_null(strstr(err.detail, "insert"));
    assert_fails(db_run(*state, &insert, two, NULL, &err), ERR_PERMANENT,
                 "pg_in_failed_sql_transaction");
    db_savepoint_rollback(*state);
    assert_ok(db_savepoint(*state, &err));
    assert_ok(db_savepoint(*state, &err));
    assert_ok(db_run(*state, &insert, four, NULL, &err));
    assert_ok(db_savepoint_release(*state, &err));
    assert_ok(db_savepoint_release(*state, &err));
    assert_ok(db_commit(*state, &err));
    assert_false(db_in_transaction(*state));
    assert_int_equal(number(*state, &sum), 5);

    assert_ok(db_begin(*state, &err));
    assert_ok(db_run(*state, &insert, two, NULL, &err));
    db_rollback(*state);
    assert_int_equal(number(*state, &sum), 5);

    assert_ok(db_begin(*state, &err));
    assert_false(db_run(*state, &insert, one, NULL, &err));
    assert_fails(db_commit(*state, &err), ERR_PERMANENT, "pg_in_failed_sql_transaction");
    assert_false(db_in_transaction(*state));
}

static void many_statements_are_prepared_once_each(void **state)
{
    static struct db_statement statements[300];
    static char texts[300][32];
    static const struct db_statement prepared = {
        "prepared", "SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'same.%'", 0
    };

    for (int i = 0; i < 300; i++) {
        snprintf(texts[i], sizeof(texts[i]), "SELECT %d::bigint", i);
        statements[i] = (struct db_statement){ "same", texts[i], 0 };
    }
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 300; i++) {
            assert_int_equal(number(*state, &statements[i]), i);
        }
    }
    assert_int_equal(number(*state, &prepared), 300);
}

static void a_changed_table_is_noticed_and_the_next_try_works(void **state)
{
    static const struct db_statement all = { "all", "SELECT * FROM changing", 0 };
    AUTO_DB_RESULT struct db_result *rows = NULL;
    struct err err;

    script(*state, "CREATE TABLE changing (a bigint); INSERT INTO changing VALUES (7)");
    assert_int_equal(number(*state, &all), 7);
    script(*state, "ALTER TABLE changing ADD b text DEFAULT 'new'");
    assert_fails(db_query(*state, &all, NULL, &rows, &err), ERR_TEMPORARY, "pg_plan_changed");
    assert_ok(db_query(*state, &all, NULL, &rows, &err));
    assert_string_equal(db_get_text(rows, 0, 1), "new");
}

static void a_script_stops_at_its_first_error(void **state)
{
    struct err err;

    assert_fails(db_script(*state, "CREATE TABLE half (a int); SELECT 1/0; SELECT 2", &err),
                 ERR_PERMANENT, "pg_division_by_zero");
    assert_fails(db_script(*state, "SELECT * FROM half", &err), ERR_PERMANENT,
                 "pg_undefined_table");
    assert_fails(db_script(*state, "COPY pg_class FROM STDIN", &err), ERR_PERMANENT,
                 "pg_unexpected_copy");
    assert_false(db_is_down(*state));
    assert_fails(db_script(*state, "COPY pg_class TO STDOUT", &err), ERR_PERMANENT,
                 "pg_unexpected_copy");
    assert_true(db_is_down(*state));
    assert_ok(db_reconnect(*state, &err));
}

/* Runs a function in a child and wants it to abort. */
static void expect_panic(void (*function)(struct db *))
{
    int status;
    pid_t child = fork();

    if (child == 0) {
        struct db *db = open_db();

        int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

        dup2(null, STDERR_FILENO);
        signal(SIGABRT, SIG_DFL);
        function(db);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}

static void give_wrong_type(struct db *db)
{
    static const struct db_statement wrong = { "wrong", "SELECT $1::bigint", 1 };
    struct err err;

    assert_ok(db_run(db, &wrong, (struct db_value[]){ db_bool(true) }, NULL, &err));
}

static void give_wrong_count(struct db *db)
{
    static const struct db_statement wrong = { "wrong", "SELECT $1::bigint", 2 };
    struct err err;

    assert_ok(db_run(db, &wrong, (struct db_value[]){ db_int8(1), db_int8(2) }, NULL, &err));
}

static void read_wrong_type(struct db *db)
{
    static const struct db_statement wrong = { "wrong", "SELECT sum(1::bigint)", 0 };

    (void)number(db, &wrong); /* numeric */
}

static void begin_twice(struct db *db)
{
    struct err err;

    (void)db_begin(db, &err);
    (void)db_begin(db, &err);
}

static void a_wrong_program_panics(void **state)
{
    (void)state;
    expect_panic(give_wrong_type);
    expect_panic(give_wrong_count);
    expect_panic(read_wrong_type);
    expect_panic(begin_twice);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, open_state, close_state)
    const struct CMUnitTest tests[] = {
        TEST(a_type_comes_back_as_it_went),
        TEST(null_comes_back_as_null),
        TEST(an_integer_takes_the_width_of_its_column),
        TEST(times_keep_their_milliseconds),
        TEST(arrays_mean_what_their_text_says),
        TEST(a_thousand_rows_update_in_one_statement),
        TEST(copied_rows_are_all_there),
        TEST(a_copy_of_nothing_is_fine),
        TEST(a_failed_copy_tells_why_and_leaves_a_usable_connection),
        TEST(a_transaction_is_all_or_nothing),
        TEST(many_statements_are_prepared_once_each),
        TEST(a_changed_table_is_noticed_and_the_next_try_works),
        TEST(a_script_stops_at_its_first_error),
        cmocka_unit_test(a_wrong_program_panics),
    };

    return cmocka_run_group_tests(tests, start_server, stop_server);
}
