/*
 * transaction - begin, commit, rollback and savepoints
 *
 * Whether a transaction is open is libpq's knowledge, so that a script's own BEGIN counts too.
 */
#include <string.h>

#include "base/panic.h"
#include "internal.h"

/* Savepoints nest: of several with one name PostgreSQL means the newest. */
#define SAVEPOINT "SAVEPOINT try"
#define SAVEPOINT_ROLLBACK "ROLLBACK TO SAVEPOINT try; RELEASE SAVEPOINT try"
#define SAVEPOINT_RELEASE "RELEASE SAVEPOINT try"

bool db_in_transaction(const struct db *db)
{
    return db->conn != NULL && PQtransactionStatus(db->conn) != PQTRANS_IDLE;
}

bool db_begin(struct db *db, struct err *err)
{
    if (db_in_transaction(db)) {
        panic("a transaction inside a transaction");
    }
    return pg_run_text(db, "begin", "BEGIN", err);
}

/* Once COMMIT has been sent, only the server's word says whether it happened. */
static bool await_commit(struct db *db, struct err *err)
{
    PGresult *result = NULL;
    bool rolled_back;

    if (!pg_await_answer(db, "commit", &result, err)) {
        if (db->conn == NULL) {
            char why[sizeof(err->detail)];

            memcpy(why, err->detail, sizeof(why));
            return err_unknown(err, "pg_commit_unknown", "no answer to COMMIT: %s", why);
        }
        return false;
    }
    rolled_back = strcmp(PQcmdStatus(result), "ROLLBACK") == 0;
    PQclear(result);
    if (rolled_back) {
        return err_permanent(err, "pg_in_failed_sql_transaction",
                             "commit: a statement had failed, so it was rolled back");
    }
    return true;
}

bool db_commit(struct db *db, struct err *err)
{
    if (!pg_link_up(db, err)) {
        return false;
    }
    if (!db_in_transaction(db)) {
        panic("commit outside of a transaction");
    }
    if (db->copying) {
        panic("commit inside a COPY");
    }
    if (PQsendQuery(db->conn, "COMMIT") == 0) {
        return pg_link_lost(db, err);
    }
    return await_commit(db, err);
}

/* Undoes with a command; if even that fails, by giving the connection up, which undoes everything.
 */
static void undo(struct db *db, const char *sql)
{
    struct err err;

    if (db->copying) {
        db->copying = false;
        str_reset(&db->copy);
        if (PQputCopyEnd(db->conn, "rolled back") != 1) {
            pg_link_drop(db);
            return;
        }
        (void)pg_await_answer(db, "copy", NULL, &err); /* fails by design */
    }
    if (db->conn != NULL && !pg_run_text(db, "rollback", sql, &err)) {
        pg_link_drop(db);
    }
}

void db_rollback(struct db *db)
{
    if (db_in_transaction(db)) {
        undo(db, "ROLLBACK");
    }
}

bool db_savepoint(struct db *db, struct err *err)
{
    if (!pg_link_up(db, err)) {
        return false;
    }
    if (!db_in_transaction(db)) {
        panic("a savepoint outside of a transaction");
    }
    return pg_run_text(db, "savepoint", SAVEPOINT, err);
}

void db_savepoint_rollback(struct db *db)
{
    if (db_in_transaction(db)) {
        undo(db, SAVEPOINT_ROLLBACK);
    }
}

bool db_savepoint_release(struct db *db, struct err *err)
{
    return pg_run_text(db, "savepoint_release", SAVEPOINT_RELEASE, err);
}
