/*
 * internal - what the files of lib/db share; nobody else includes it
 *
 *     connection.c   the link to the server: opening it, waiting on it, giving it up
 *     statement.c    running statements, the cache of prepared ones
 *     transaction.c  begin, commit, rollback, savepoints
 *     value.c        C values to PostgreSQL's binary format
 *     result.c       and back
 *     copy.c         COPY in
 *     sqlstate.c     the server's error codes to kinds and names
 */
#ifndef DB_INTERNAL_H
#define DB_INTERNAL_H

#include <libpq-fe.h>

#include "base/str.h"
#include "db/db.h"

/* Type numbers of pg_type that we speak. */
enum {
    TYPE_BOOL = 16,
    TYPE_BYTEA = 17,
    TYPE_CHAR = 18,
    TYPE_NAME = 19,
    TYPE_INT8 = 20,
    TYPE_INT2 = 21,
    TYPE_INT4 = 23,
    TYPE_TEXT = 25,
    TYPE_JSON = 114,
    TYPE_UNKNOWN = 705,
    TYPE_INT2S = 1005,
    TYPE_INT4S = 1007,
    TYPE_TEXTS = 1009,
    TYPE_VARCHARS = 1015,
    TYPE_INT8S = 1016,
    TYPE_BPCHAR = 1042,
    TYPE_VARCHAR = 1043,
    TYPE_TIMESTAMPTZ = 1184,
    TYPE_TIMESTAMPTZS = 1185,
    TYPE_JSONB = 3802,
    TYPE_FIRST_OF_USERS = 16384, /* enums and extensions' types: text in both formats */
};

/* From 1970-01-01 to 2000-01-01, where PostgreSQL's clock starts. */
#define EPOCH_MS ((int64_t)946684800000)

#define PARAMS_MAX 64

#define NAME_BYTES 64 /* NAMEDATALEN of a stock server */

/* A statement the server has prepared on this connection. */
struct prepared {
    const struct db_statement *statement;
    unsigned serial; /* part of its name on the server: a re-prepared one gets a new name */
    Oid types[PARAMS_MAX];
};

struct db {
    PGconn *conn; /* NULL while down */
    char *url;
    char *name;
    int64_t timeout_ms;
    bool by_key; /* see db_open_by_key() */
    char constraint[NAME_BYTES];

    struct prepared **prepared; /* hash by address, open addressing */
    size_t prepared_count;
    size_t prepared_size; /* a power of two, or 0 */
    unsigned prepared_serial;

    struct str params; /* encoded parameters of the statement in hand */
    struct str copy;   /* rows of a COPY not yet handed to libpq */
    bool copying;
};

struct db_result {
    PGresult *rows;
};

/* connection.c */

/* False, temporary, when the connection is down. */
bool pg_link_up(const struct db *db, struct err *err);

/* Gives the connection up; the error says why. For all failures after which its state is unsure. */
void pg_link_drop(struct db *db);

/* When an answer to something sent now must be there, on the monotonic clock. */
int64_t pg_link_deadline(const struct db *db);

/* Sends what libpq holds back. On failure the connection is down. */
bool pg_link_flush(struct db *db, int64_t deadline_ms, struct err *err);

/* The next result, NULL after the last. On failure the connection is down. */
bool pg_link_next(struct db *db, int64_t deadline_ms, PGresult **out_result, struct err *err);

/* Raises "lost": libpq's last words about the connection, which is given up. */
bool pg_link_lost(struct db *db, struct err *err);

/* statement.c */

/* Waits for all results of what was sent and keeps the last; false with the first error. */
bool pg_await_answer(struct db *db, const char *name, PGresult **out_result, struct err *err);

/* Sends one or more commands as text and waits. */
bool pg_run_text(struct db *db, const char *name, const char *sql, struct err *err);

/* Turns an error result into err; gives the connection up when the server did. */
bool pg_raise_result(struct db *db, const char *name, const PGresult *result, struct err *err);

void pg_forget_prepared(struct db *db);

/* The number of rows a command touched. */
int64_t pg_touched_rows(PGresult *result);

/* value.c */

/*
 * Appends the binary form of a value, without its length. wanted is the type that the server
 * expects, or 0 for the value's own. False when a number does not fit the wanted type, or, with
 * *out_mismatch set, when the types do not go together at all.
 */
bool pg_value_encode(struct str *out, const struct db_value *value, Oid wanted, bool *out_mismatch,
                     struct err *err);

const char *pg_value_type_name(enum db_type type);

/* sqlstate.c */

struct sqlstate {
    char code[6];
    enum err_kind kind;
    const char *what;
};

/* The row of a code, of its class ("08000" for "08xyz"), or the general one. Never NULL. */
const struct sqlstate *pg_sqlstate_find(const char *code);

/* All rows, sorted by code; for the test that walks them. */
const struct sqlstate *pg_sqlstate_table(size_t *out_count);

#endif
