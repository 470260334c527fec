/*
 * statement - running statements, and the cache of those the server has prepared
 *
 * The first use on a connection prepares the statement and asks the server for the types of its
 * parameters (two round trips); later uses are one. The cache finds a statement by its address.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/panic.h"
#include "internal.h"

#define FORMAT_TEXT 0
#define FORMAT_BINARY 1
#define FIRST_PREPARED 64
#define SERVER_NAME_BYTES NAME_BYTES

/* --- errors --- */

static const char *field(const PGresult *result, int code)
{
    const char *text = PQresultErrorField(result, code);

    return text != NULL ? text : "";
}

static bool raise_as(struct err *err, enum err_kind kind, const char *what, const char *name,
                     const char *message)
{
    switch (kind) {
    case ERR_TEMPORARY:
        return err_temporary(err, what, "%s: %s", name, message);
    case ERR_UNKNOWN:
        return err_unknown(err, what, "%s: %s", name, message);
    case ERR_PERMANENT:
        break;
    }
    return err_permanent(err, what, "%s: %s", name, message);
}

/* "cached plan must not change result type": a table got other columns under us. */
static bool is_stale_plan(const PGresult *result)
{
    return strcmp(field(result, PG_DIAG_SQLSTATE), "0A000") == 0 &&
           strcmp(field(result, PG_DIAG_SOURCE_FUNCTION), "RevalidateCachedQuery") == 0;
}

bool pg_raise_result(struct db *db, const char *name, const PGresult *result, struct err *err)
{
    const char *code = field(result, PG_DIAG_SQLSTATE);
    const char *severity = field(result, PG_DIAG_SEVERITY_NONLOCALIZED);
    const struct sqlstate *row = pg_sqlstate_find(code);

    snprintf(db->constraint, sizeof(db->constraint), "%s", field(result, PG_DIAG_CONSTRAINT_NAME));
    if (*code == '\0') {
        return pg_link_lost(db, err); /* made by libpq itself: the connection broke */
    }
    if (is_stale_plan(result)) {
        return err_temporary(err, "pg_plan_changed", "%s: prepared before the table changed", name);
    }
    /* The primary message names things; the detail may quote a row. */
    raise_as(err, row->kind, row->what, name, field(result, PG_DIAG_MESSAGE_PRIMARY));
    if (strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0) {
        pg_link_drop(db);
    }
    return false;
}

/* --- answers --- */

/*
 * A COPY that a script or statement began by mistake. COPY IN ends with an error from the server,
 * which is read like any other; COPY OUT cannot be ended, so the connection is given up.
 */
static bool refuse_copy(struct db *db, const char *name, ExecStatusType status, struct err *err)
{
    err_permanent(err, "pg_unexpected_copy", "%s: COPY has calls of its own", name);
    if (status != PGRES_COPY_IN || PQputCopyEnd(db->conn, "not expected") != 1) {
        pg_link_drop(db);
    }
    return false;
}

/* One result: an error is raised, rows are kept. */
static bool take_result(struct db *db, const char *name, PGresult *result, PGresult **kept,
                        struct err *err)
{
    ExecStatusType status = PQresultStatus(result);

    if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH) {
        PQclear(result);
        return refuse_copy(db, name, status, err);
    }
    if (status == PGRES_FATAL_ERROR || status == PGRES_BAD_RESPONSE) {
        pg_raise_result(db, name, result, err);
        PQclear(result);
        return false;
    }
    PQclear(*kept);
    *kept = result;
    return true;
}

bool pg_await_answer(struct db *db, const char *name, PGresult **out_result, struct err *err)
{
    int64_t deadline_ms = pg_link_deadline(db);
    PGresult *kept = NULL;
    PGresult *result;
    struct err later;
    bool ok = true;

    /* The rest is read also after an error: the connection is usable only when nothing is left. */
    while (db->conn != NULL) {
        struct err *to = ok ? err : &later;

        if (!pg_link_next(db, deadline_ms, &result, to)) {
            ok = false;
            break;
        }
        if (result == NULL) {
            break;
        }
        if (!take_result(db, name, result, &kept, to)) {
            ok = false;
        }
    }
    if (ok && out_result != NULL) {
        *out_result = kept;
    } else {
        PQclear(kept);
    }
    return ok;
}

bool pg_run_text(struct db *db, const char *name, const char *sql, struct err *err)
{
    if (!pg_link_up(db, err)) {
        return false;
    }
    if (PQsendQuery(db->conn, sql) == 0) {
        return pg_link_lost(db, err);
    }
    return pg_await_answer(db, name, NULL, err);
}

bool db_script(struct db *db, const char *sql, struct err *err)
{
    return pg_run_text(db, "script", sql, err);
}

int64_t pg_touched_rows(PGresult *result)
{
    int64_t rows = 0;

    /* Empty for commands that touch none, as SET. */
    str_parse_int(PQcmdTuples(result), 0, INT64_MAX, &rows);
    return rows;
}

/* --- prepared statements --- */

static size_t slot_of(const struct db *db, const struct db_statement *statement)
{
    uintptr_t bits = (uintptr_t)statement;
    size_t mask = db->prepared_size - 1;
    size_t slot = (bits >> 4 ^ bits >> 12) & mask;

    while (db->prepared[slot] != NULL && db->prepared[slot]->statement != statement) {
        slot = (slot + 1) & mask;
    }
    return slot;
}

static void grow_prepared(struct db *db)
{
    struct prepared **old = db->prepared;
    size_t old_size = db->prepared_size;

    db->prepared_size = old_size > 0 ? old_size * 2 : FIRST_PREPARED;
    db->prepared = calloc(db->prepared_size, sizeof(*db->prepared));
    if (db->prepared == NULL) {
        panic("out of memory");
    }
    for (size_t i = 0; i < old_size; i++) {
        if (old[i] != NULL) {
            db->prepared[slot_of(db, old[i]->statement)] = old[i];
        }
    }
    free(old);
}

void pg_forget_prepared(struct db *db)
{
    for (size_t i = 0; i < db->prepared_size; i++) {
        free(db->prepared[i]);
        db->prepared[i] = NULL;
    }
    db->prepared_count = 0;
}

static void server_name(const struct prepared *prepared, char out[SERVER_NAME_BYTES])
{
    snprintf(out, SERVER_NAME_BYTES, "%.40s.%u", prepared->statement->name, prepared->serial);
}

/* Asks for the types of the parameters; they decide how values are encoded. */
static bool describe(struct db *db, struct prepared *prepared, const char *name, struct err *err)
{
    const struct db_statement *statement = prepared->statement;
    PGresult *result = NULL;

    if (PQsendDescribePrepared(db->conn, name) == 0) {
        return pg_link_lost(db, err);
    }
    if (!pg_await_answer(db, statement->name, &result, err)) {
        return false;
    }
    if (PQnparams(result) != statement->params) {
        panic("statement %s has %d parameters, not %d", statement->name, PQnparams(result),
              statement->params);
    }
    for (int i = 0; i < statement->params; i++) {
        prepared->types[i] = PQparamtype(result, i);
    }
    PQclear(result);
    return true;
}

static bool prepare(struct db *db, struct prepared *prepared, struct err *err)
{
    const struct db_statement *statement = prepared->statement;
    char name[SERVER_NAME_BYTES];

    server_name(prepared, name);
    if (PQsendPrepare(db->conn, name, statement->sql, 0, NULL) == 0) {
        return pg_link_lost(db, err);
    }
    return pg_await_answer(db, statement->name, NULL, err) && describe(db, prepared, name, err);
}

/* The prepared form of a statement, made on first use. */
static bool find_prepared(struct db *db, const struct db_statement *statement,
                          const struct prepared **out_prepared, struct err *err)
{
    struct prepared *made;

    if (db->prepared_count * 2 >= db->prepared_size) {
        grow_prepared(db);
    }
    if (db->prepared[slot_of(db, statement)] == NULL) {
        if (statement->params < 0 || statement->params > PARAMS_MAX) {
            panic("statement %s has %d parameters", statement->name, statement->params);
        }
        made = calloc(1, sizeof(*made));
        if (made == NULL) {
            panic("out of memory");
        }
        made->statement = statement;
        made->serial = ++db->prepared_serial;
        if (!prepare(db, made, err)) {
            free(made);
            return false;
        }
        db->prepared[slot_of(db, statement)] = made;
        db->prepared_count++;
    }
    *out_prepared = db->prepared[slot_of(db, statement)];
    return true;
}

/* --- running --- */

struct encoded {
    const char *values[PARAMS_MAX];
    int lengths[PARAMS_MAX];
    int formats[PARAMS_MAX];
};

static bool encode_params(struct db *db, const struct prepared *prepared,
                          const struct db_value *values, struct encoded *out, struct err *err)
{
    const struct db_statement *statement = prepared->statement;
    size_t starts[PARAMS_MAX];
    bool mismatch;

    str_reset(&db->params);
    for (int i = 0; i < statement->params; i++) {
        starts[i] = db->params.len;
        if (!pg_value_encode(&db->params, &values[i], prepared->types[i], &mismatch, err)) {
            if (mismatch) {
                panic("statement %s: parameter $%d is of type %u, given %s", statement->name, i + 1,
                      prepared->types[i], pg_value_type_name(values[i].type));
            }
            return false;
        }
        if (db->params.len - starts[i] > INT32_MAX) {
            return err_permanent(err, "pg_program_limit_exceeded", "%s: parameter $%d is too long",
                                 statement->name, i + 1);
        }
        out->lengths[i] = (int)(db->params.len - starts[i]);
        out->formats[i] = values[i].type == DB_TEXT ? FORMAT_TEXT : FORMAT_BINARY;
        str_putc(&db->params, '\0'); /* libpq measures text itself */
    }
    for (int i = 0; i < statement->params; i++) {
        out->values[i] = values[i].type == DB_NULL ? NULL : db->params.bytes + starts[i];
    }
    return true;
}

static bool send_prepared(struct db *db, const struct prepared *prepared,
                          const struct db_value *values, struct err *err)
{
    struct encoded params;
    char name[SERVER_NAME_BYTES];

    if (!encode_params(db, prepared, values, &params, err)) {
        return false;
    }
    server_name(prepared, name);
    if (PQsendQueryPrepared(db->conn, name, prepared->statement->params, params.values,
                            params.lengths, params.formats, FORMAT_BINARY) == 0) {
        return pg_link_lost(db, err);
    }
    return true;
}

static bool execute(struct db *db, const struct db_statement *statement,
                    const struct db_value *values, PGresult **out_result, struct err *err)
{
    const struct prepared *prepared;

    if (!pg_link_up(db, err)) {
        return false;
    }
    if (db->copying) {
        panic("statement %s inside a COPY", statement->name);
    }
    if (!find_prepared(db, statement, &prepared, err) ||
        !send_prepared(db, prepared, values, err)) {
        return false;
    }
    if (pg_await_answer(db, statement->name, out_result, err)) {
        return true;
    }
    if (strcmp(err->what, "pg_plan_changed") == 0 ||
        strcmp(err->what, "pg_invalid_sql_statement_name") == 0) {
        pg_forget_prepared(db); /* prepared anew at the next try */
    }
    return false;
}

bool db_run(struct db *db, const struct db_statement *statement, const struct db_value *values,
            int64_t *out_rows, struct err *err)
{
    PGresult *result = NULL;

    if (!execute(db, statement, values, &result, err)) {
        return false;
    }
    if (out_rows != NULL) {
        *out_rows = pg_touched_rows(result);
    }
    PQclear(result);
    return true;
}

bool db_query(struct db *db, const struct db_statement *statement, const struct db_value *values,
              struct db_result **out_result, struct err *err)
{
    PGresult *rows = NULL;
    struct db_result *result;

    if (!execute(db, statement, values, &rows, err)) {
        return false;
    }
    result = calloc(1, sizeof(*result));
    if (result == NULL) {
        panic("out of memory");
    }
    result->rows = rows;
    *out_result = result;
    return true;
}
