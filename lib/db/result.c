/*
 * result - rows from PostgreSQL's binary format
 */
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "base/panic.h"
#include "internal.h"

void db_result_destroy(struct db_result *result)
{
    if (result != NULL) {
        PQclear(result->rows);
        free(result);
    }
}

void db_result_cleanup(struct db_result **result)
{
    db_result_destroy(*result);
}

int db_rows(const struct db_result *result)
{
    return PQntuples(result->rows);
}

int db_columns(const struct db_result *result)
{
    return PQnfields(result->rows);
}

const char *db_column_name(const struct db_result *result, int col)
{
    return PQfname(result->rows, col);
}

/* The bytes of a cell; panics outside of the result. */
static const char *cell(const struct db_result *result, int row, int col)
{
    if (row < 0 || row >= PQntuples(result->rows) || col < 0 || col >= PQnfields(result->rows)) {
        panic("row %d, column %d of a result of %d x %d", row, col, PQntuples(result->rows),
              PQnfields(result->rows));
    }
    return PQgetvalue(result->rows, row, col);
}

static void wrong_type(const struct db_result *result, int col, const char *wanted)
{
    panic("column %s is of type %u, read as %s", PQfname(result->rows, col),
          PQftype(result->rows, col), wanted);
}

static int64_t get8(const char *bytes)
{
    uint64_t bits;

    memcpy(&bits, bytes, sizeof(bits));
    return (int64_t)be64toh(bits);
}

bool db_is_null(const struct db_result *result, int row, int col)
{
    (void)cell(result, row, col);
    return PQgetisnull(result->rows, row, col);
}

int64_t db_get_int(const struct db_result *result, int row, int col)
{
    const char *bytes = cell(result, row, col);
    bool is_null = PQgetisnull(result->rows, row, col);
    uint32_t bits4;
    uint16_t bits2;

    switch (PQftype(result->rows, col)) {
    case TYPE_INT8:
        return is_null ? 0 : get8(bytes);
    case TYPE_INT4:
        memcpy(&bits4, is_null ? "\0\0\0" : bytes, sizeof(bits4));
        return (int32_t)be32toh(bits4);
    case TYPE_INT2:
        memcpy(&bits2, is_null ? "\0" : bytes, sizeof(bits2));
        return (int16_t)be16toh(bits2);
    default:
        wrong_type(result, col, "an integer");
        return 0;
    }
}

bool db_get_bool(const struct db_result *result, int row, int col)
{
    const char *bytes = cell(result, row, col);

    if (PQftype(result->rows, col) != TYPE_BOOL) {
        wrong_type(result, col, "a bool");
    }
    return !PQgetisnull(result->rows, row, col) && *bytes != 0;
}

int64_t db_get_time(const struct db_result *result, int row, int col)
{
    const char *bytes = cell(result, row, col);
    int64_t us;

    if (PQftype(result->rows, col) != TYPE_TIMESTAMPTZ) {
        wrong_type(result, col, "a timestamptz");
    }
    if (PQgetisnull(result->rows, row, col)) {
        return 0;
    }
    us = get8(bytes);
    if (us == INT64_MAX || us == INT64_MIN) {
        return us; /* infinity */
    }
    /* Rounded down, before 2000 too. */
    return us / 1000 - (us % 1000 < 0) + EPOCH_MS;
}

/* Whether the binary form of a type is its text. */
static bool is_text(Oid type)
{
    switch (type) {
    case TYPE_TEXT:
    case TYPE_VARCHAR:
    case TYPE_BPCHAR:
    case TYPE_NAME:
    case TYPE_CHAR:
    case TYPE_JSON:
    case TYPE_JSONB:
    case TYPE_BYTEA:
    case TYPE_UNKNOWN:
        return true;
    default:
        return type >= TYPE_FIRST_OF_USERS;
    }
}

const char *db_get_text(const struct db_result *result, int row, int col)
{
    const char *bytes = cell(result, row, col);
    Oid type = PQftype(result->rows, col);

    if (!is_text(type)) {
        wrong_type(result, col, "text");
    }
    if (PQgetisnull(result->rows, row, col)) {
        return NULL;
    }
    return type == TYPE_JSONB ? bytes + 1 : bytes; /* jsonb has a version first */
}

size_t db_get_length(const struct db_result *result, int row, int col)
{
    size_t len;

    (void)cell(result, row, col);
    len = (size_t)PQgetlength(result->rows, row, col);
    return PQftype(result->rows, col) == TYPE_JSONB && len > 0 ? len - 1 : len;
}
