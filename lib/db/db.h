/*
 * db - PostgreSQL: prepared statements with typed parameters, arrays and COPY
 *
 *     static const struct db_statement add_lot = {
 *         "add_lot", "INSERT INTO token_lots (id, account_id, granted) VALUES ($1, $2, $3)", 3 };
 *     if (!db_run(db, &add_lot, (struct db_value[]){ db_int8(id), db_int8(account), db_int8(n) },
 *                 &rows, &err)) ...
 *
 *     AUTO_DB_RESULT struct db_result *found = NULL;
 *     if (!db_query(db, &find_lots, (struct db_value[]){ db_int8(account) }, &found, &err)) ...
 *     for (int i = 0; i < db_rows(found); i++) { int64_t id = db_get_int(found, i, 0); ... }
 *
 * Statements are prepared on first use of each connection and found by their address: make them
 * static. Parameters and results are binary. Integers, in arrays too, take the width of the
 * statement's parameter; one that does not fit is pg_numeric_value_out_of_range. Text may be given
 * for a parameter of any type but bytea, bytes for bytea, text, json and jsonb; any other mismatch
 * panics. sum() of bigints is numeric: cast it. In COPY nothing is converted.
 * One connection, one thread. Errors: serialization failures, deadlocks, lost connections,
 * server start-up and shutdown, lock and statement timeouts are temporary; the rest is permanent.
 * what is "pg_<condition>" ("pg_unique_violation"); the name of a violated constraint is
 * db_constraint(). A lost connection is noticed by db_is_down(); db_reconnect() brings it back,
 * transaction gone. Times are int64_t milliseconds since 1970. A failed COMMIT whose answer was
 * lost is ERR_UNKNOWN with what "pg_commit_unknown": redeliver and let the constraints tell.
 */
#ifndef DB_DB_H
#define DB_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"

struct db;
struct db_result;

struct db_statement {
    const char *name; /* unique in the process: the function it serves */
    const char *sql;
    int params;
};

enum db_type {
    DB_NULL,
    DB_INT2,
    DB_INT4,
    DB_INT8,
    DB_BOOL,
    DB_TEXT,
    DB_BYTEA,
    DB_TIME /* timestamptz */,
    DB_INT2S,
    DB_INT4S,
    DB_INT8S,
    DB_TEXTS,
    DB_TIMES, /* arrays */
};

struct db_value {
    enum db_type type;
    size_t count; /* array: elements. DB_TEXT, DB_BYTEA: bytes */
    union {
        int64_t num;
        const void *data; /* array: const int16_t*, int32_t*, int64_t* or const char *const* (NULL
                             is SQL NULL) */
    };
};

static inline struct db_value db_null(void)
{
    return (struct db_value){ .type = DB_NULL };
}
static inline struct db_value db_int2(int16_t v)
{
    return (struct db_value){ .type = DB_INT2, .num = v };
}
static inline struct db_value db_int4(int32_t v)
{
    return (struct db_value){ .type = DB_INT4, .num = v };
}
static inline struct db_value db_int8(int64_t v)
{
    return (struct db_value){ .type = DB_INT8, .num = v };
}
static inline struct db_value db_bool(bool v)
{
    return (struct db_value){ .type = DB_BOOL, .num = v };
}
/* A zero time is SQL NULL. */
static inline struct db_value db_time(int64_t ms)
{
    return (struct db_value){ .type = ms ? DB_TIME : DB_NULL, .num = ms };
}
struct db_value db_text(const char *text); /* NULL is SQL NULL */
static inline struct db_value db_bytes(const void *p, size_t n)
{
    return (struct db_value){ .type = DB_BYTEA, .count = n, .data = p };
}
static inline struct db_value db_int2s(const int16_t *v, size_t n)
{
    return (struct db_value){ .type = DB_INT2S, .count = n, .data = v };
}
static inline struct db_value db_int4s(const int32_t *v, size_t n)
{
    return (struct db_value){ .type = DB_INT4S, .count = n, .data = v };
}
static inline struct db_value db_int8s(const int64_t *v, size_t n)
{
    return (struct db_value){ .type = DB_INT8S, .count = n, .data = v };
}
static inline struct db_value db_texts(const char *const *v, size_t n)
{
    return (struct db_value){ .type = DB_TEXTS, .count = n, .data = v };
}
/* Milliseconds; zero elements are SQL NULL. */
static inline struct db_value db_times(const int64_t *v, size_t n)
{
    return (struct db_value){ .type = DB_TIMES, .count = n, .data = v };
}

/* Opens a connection; name shows in pg_stat_activity. Waits at most 5 s. The url is copied. */
bool db_open(const char *url, const char *name, struct db **out_db, struct err *err);

/*
 * The same for programs whose statements all find their rows by key: indexes are used whatever the
 * planner knows of the tables' sizes.
 */
bool db_open_by_key(const char *url, const char *name, struct db **out_db, struct err *err);

void db_close(struct db *db); /* accepts NULL */
bool db_is_down(const struct db *db);
bool db_reconnect(struct db *db, struct err *err);

/*
 * The longest any statement may take from now on, 30 s at first (statement_timeout): then it is
 * pg_query_canceled. Without any answer 2 s later the connection is given up: pg_no_answer. Inside
 * a transaction a rollback would undo the setting: call it outside.
 */
bool db_set_timeout(struct db *db, int64_t timeout_ms, struct err *err);

bool db_begin(struct db *db, struct err *err);
bool db_commit(struct db *db, struct err *err);
void db_rollback(struct db *db); /* also when there is nothing to roll back */
bool db_in_transaction(const struct db *db);

/* For a try that may fail without losing the transaction. */
bool db_savepoint(struct db *db, struct err *err);
void db_savepoint_rollback(struct db *db);
bool db_savepoint_release(struct db *db, struct err *err);

/* Runs a statement; *out_rows (may be NULL) is the number of rows it touched. */
bool db_run(struct db *db, const struct db_statement *statement, const struct db_value *values,
            int64_t *out_rows, struct err *err) __attribute__((warn_unused_result));

/* Runs a statement and keeps its rows; destroy the result. */
bool db_query(struct db *db, const struct db_statement *statement, const struct db_value *values,
              struct db_result **out_result, struct err *err) __attribute__((warn_unused_result));

/* Several statements as plain text, for migrations and tools; no parameters, no result. Without a
 * BEGIN of its own it is one transaction. */
bool db_script(struct db *db, const char *sql, struct err *err) __attribute__((warn_unused_result));

/* The constraint that the last error violated, or "". */
const char *db_constraint(const struct db *db);

void db_result_destroy(struct db_result *result); /* accepts NULL */
void db_result_cleanup(struct db_result **result);
#define AUTO_DB_RESULT __attribute__((cleanup(db_result_cleanup)))

/* Panic when the column's type is another: a wrong statement, not bad data. Text is borrowed from
 * the result. */
int db_rows(const struct db_result *result);
int db_columns(const struct db_result *result);
const char *db_column_name(const struct db_result *result, int col);
bool db_is_null(const struct db_result *result, int row, int col);
int64_t db_get_int(const struct db_result *result, int row,
                   int col); /* int2, int4, int8; 0 for NULL */
bool db_get_bool(const struct db_result *result, int row, int col);
int64_t db_get_time(const struct db_result *result, int row, int col); /* ms; 0 for NULL */
const char *db_get_text(const struct db_result *result, int row,
                        int col); /* text types; NULL for NULL */
size_t db_get_length(const struct db_result *result, int row, int col);

/*
 * COPY … FROM STDIN (FORMAT binary), inside a transaction:
 *     db_copy_begin(db, "COPY recipients (a, b) FROM STDIN (FORMAT binary)", &err)
 *     per row: db_copy_row(db, (struct db_value[]){ … }, n, &err)
 *     db_copy_end(db, &rows, &err)
 * Types must match the columns exactly. After an error the transaction is to be rolled back.
 */
bool db_copy_begin(struct db *db, const char *sql, struct err *err);
bool db_copy_row(struct db *db, const struct db_value *values, int count, struct err *err);
bool db_copy_end(struct db *db, int64_t *out_rows, struct err *err);

#endif
