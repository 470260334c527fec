/*
 * copy - COPY … FROM STDIN (FORMAT binary)
 *
 * Rows gather here and go to libpq in pieces of 64 KiB, so that a row costs no call into it. The
 * server's complaint about a row comes with db_copy_end(): it reads on until then.
 */
#include <endian.h>
#include <string.h>

#include "base/panic.h"
#include "internal.h"

#define PIECE_BYTES ((size_t)64 << 10)

/* Signature, flags, length of the header's extension. */
static const char header[19] = "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0";
static const char trailer[2] = "\377\377";

bool db_copy_begin(struct db *db, const char *sql, struct err *err)
{
    int64_t deadline_ms = pg_link_deadline(db);
    PGresult *result;

    if (!pg_link_up(db, err)) {
        return false;
    }
    if (!db_in_transaction(db) || db->copying) {
        panic("COPY outside of a transaction or inside another COPY");
    }
    if (PQsendQuery(db->conn, sql) == 0) {
        return pg_link_lost(db, err);
    }
    if (!pg_link_next(db, deadline_ms, &result, err)) {
        return false;
    }
    if (PQresultStatus(result) != PGRES_COPY_IN) {
        bool failed = PQresultStatus(result) == PGRES_FATAL_ERROR;
        struct err ignored;

        if (!failed) {
            panic("not a COPY FROM STDIN: %s", sql);
        }
        pg_raise_result(db, "copy", result, err);
        PQclear(result);
        (void)(db->conn != NULL && pg_await_answer(db, "copy", NULL, &ignored));
        return false;
    }
    if (PQbinaryTuples(result) != 1) {
        panic("not a binary COPY: %s", sql);
    }
    PQclear(result);
    db->copying = true;
    str_reset(&db->copy);
    str_append(&db->copy, header, sizeof(header));
    return true;
}

/* Hands what gathered to libpq and that to the socket. */
static bool send_piece(struct db *db, struct err *err)
{
    int64_t deadline_ms = pg_link_deadline(db);

    for (;;) {
        int taken = PQputCopyData(db->conn, db->copy.bytes, (int)db->copy.len);

        if (taken < 0) {
            return pg_link_lost(db, err);
        }
        if (!pg_link_flush(db, deadline_ms, err)) {
            return false;
        }
        if (taken == 1) {
            str_reset(&db->copy);
            return true;
        }
    }
}

static void patch4(char *at, size_t len)
{
    uint32_t bits = htobe32((uint32_t)len);

    memcpy(at, &bits, sizeof(bits));
}

bool db_copy_row(struct db *db, const struct db_value *values, int count, struct err *err)
{
    uint16_t fields = htobe16((uint16_t)count);
    bool mismatch;

    if (!pg_link_up(db, err)) {
        return false;
    }
    if (!db->copying) {
        panic("a row outside of a COPY");
    }
    str_append(&db->copy, &fields, sizeof(fields));
    for (int i = 0; i < count; i++) {
        size_t at = db->copy.len;

        str_append(&db->copy, "\377\377\377\377", 4); /* the length of NULL */
        if (values[i].type == DB_NULL) {
            continue;
        }
        if (!pg_value_encode(&db->copy, &values[i], 0, &mismatch, err)) {
            return false;
        }
        patch4(db->copy.bytes + at, db->copy.len - at - 4);
    }
    return db->copy.len < PIECE_BYTES || send_piece(db, err);
}

bool db_copy_end(struct db *db, int64_t *out_rows, struct err *err)
{
    PGresult *result = NULL;

    if (!pg_link_up(db, err)) {
        return false;
    }
    if (!db->copying) {
        panic("the end of a COPY that did not begin");
    }
    str_append(&db->copy, trailer, sizeof(trailer));
    if (!send_piece(db, err)) {
        return false;
    }
    db->copying = false;
    if (PQputCopyEnd(db->conn, NULL) != 1) {
        return pg_link_lost(db, err);
    }
    if (!pg_await_answer(db, "copy", &result, err)) {
        return false;
    }
    if (out_rows != NULL) {
        *out_rows = pg_touched_rows(result);
    }
    PQclear(result);
    return true;
}
