/*
 * shape - a table that says how a struct and a JSON object correspond
 *
 *     struct paced { const char *campaign; int64_t batch; bool last; };
 *     static const struct field paced_fields[] = {
 *         FIELD_STR(struct paced, campaign, 1, 24),
 *         FIELD_INT(struct paced, batch, 0, INT32_MAX),
 *         FIELD_BOOL(struct paced, last, FIELD_OPTIONAL),
 *         FIELD_END,
 *     };
 *     const struct shape paced_v1 = { "batch.paced.v1", sizeof(struct paced), paced_fields };
 *
 *     if (!shape_read(&paced_v1, body, len, &paced, arena, &err)) ...
 *     shape_write(&paced_v1, &paced, &out);
 *
 * Reading is strict about types, required fields, limits, duplicate keys, embedded NULs and
 * trailing bytes, and ignores unknown fields. An error is permanent, its `what` is "bad_json" or
 * "bad_field" and its detail names the path, the fault and what is allowed
 * ("recipients[3].phone: 70 bytes long, at most 32 allowed"). What a read fills lives in the arena.
 * The same tables are held against schemas/ by a test, so limits are written here once.
 */
#ifndef JSON_SHAPE_H
#define JSON_SHAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

enum field_type {
    FIELD_TYPE_END,
    FIELD_TYPE_STR,     /* const char *                                       */
    FIELD_TYPE_INT,     /* int64_t                                            */
    FIELD_TYPE_BOOL,    /* bool                                               */
    FIELD_TYPE_TIME,    /* int64_t milliseconds; RFC 3339 on the wire; 0 none */
    FIELD_TYPE_ENUM,    /* int; a word of the table on the wire               */
    FIELD_TYPE_OBJECT,  /* a struct in place                                  */
    FIELD_TYPE_LIST,    /* struct list of structs                             */
    FIELD_TYPE_STRINGS, /* struct strings                                     */
    FIELD_TYPE_MAP,     /* struct map: object of strings                      */
    FIELD_TYPE_TABLE,   /* struct table: array of arrays of strings           */
};

/* Flags. An optional field that is absent or null leaves zero (FIELD_ENUM: the table's first word).
 */
enum { FIELD_REQUIRED = 0, FIELD_OPTIONAL = 1 };

/* count elements of item->size bytes each, in the arena. */
struct list {
    size_t count;
    void *items;
};

struct strings {
    size_t count;
    const char **items;
};

struct map {
    size_t count;
    const char **keys;
    const char **values;
};

/* rows * cols cells, row after row; every row has exactly cols cells; a cell is never NULL. */
struct table {
    size_t rows;
    size_t cols;
    const char **cells;
};

struct shape;

struct field {
    enum field_type type;
    int flags;
    const char *name;
    size_t offset;
    int64_t min, max;          /* STR: bytes. INT: value. LIST, STRINGS, MAP, TABLE: elements */
    int64_t item_max;          /* STRINGS, MAP values, TABLE cells: bytes of each             */
    const struct shape *shape; /* OBJECT, LIST                                               */
    const char *const *words;  /* ENUM: NULL-terminated, index is the value                  */
};

struct shape {
    const char *type; /* for a message: its type with version, "batch.paced.v1" */
    size_t size;
    const struct field *fields;
};

#define FIELD_STR(T, m, lo, hi, ...)                                                               \
    {                                                                                              \
        .type = FIELD_TYPE_STR, .name = #m, .offset = offsetof(T, m), .min = (lo), .max = (hi),    \
        .flags = 0 __VA_OPT__(| __VA_ARGS__)                                                       \
    }
#define FIELD_INT(T, m, lo, hi, ...)                                                               \
    {                                                                                              \
        .type = FIELD_TYPE_INT, .name = #m, .offset = offsetof(T, m), .min = (lo), .max = (hi),    \
        .flags = 0 __VA_OPT__(| __VA_ARGS__)                                                       \
    }
#define FIELD_BOOL(T, m, ...)                                                                      \
    {                                                                                              \
        .type = FIELD_TYPE_BOOL, .name = #m, .offset = offsetof(T, m),                             \
        .flags = 0 __VA_OPT__(| __VA_ARGS__)                                                       \
    }
#define FIELD_TIME(T, m, ...)                                                                      \
    {                                                                                              \
        .type = FIELD_TYPE_TIME, .name = #m, .offset = offsetof(T, m),                             \
        .flags = 0 __VA_OPT__(| __VA_ARGS__)                                                       \
    }
#define FIELD_ENUM(T, m, table, ...)                                                               \
    {                                                                                              \
        .type = FIELD_TYPE_ENUM, .name = #m, .offset = offsetof(T, m), .words = (table),           \
        .flags = 0 __VA_OPT__(| __VA_ARGS__)                                                       \
    }
#define FIELD_OBJECT(T, m, inner, ...)                                                             \
    {                                                                                              \
        .type = FIELD_TYPE_OBJECT, .name = #m, .offset = offsetof(T, m), .shape = (inner),         \
        .flags = 0 __VA_OPT__(| __VA_ARGS__)                                                       \
    }
#define FIELD_LIST(T, m, inner, lo, hi, ...)                                                       \
    {                                                                                              \
        .type = FIELD_TYPE_LIST, .name = #m, .offset = offsetof(T, m), .shape = (inner),           \
        .min = (lo), .max = (hi), .flags = 0 __VA_OPT__(| __VA_ARGS__)                             \
    }
#define FIELD_STRINGS(T, m, lo, hi, each, ...)                                                     \
    {                                                                                              \
        .type = FIELD_TYPE_STRINGS, .name = #m, .offset = offsetof(T, m), .min = (lo),             \
        .max = (hi), .item_max = (each), .flags = 0 __VA_OPT__(| __VA_ARGS__)                      \
    }
#define FIELD_MAP(T, m, hi, each, ...)                                                             \
    {                                                                                              \
        .type = FIELD_TYPE_MAP, .name = #m, .offset = offsetof(T, m), .max = (hi),                 \
        .item_max = (each), .flags = 0 __VA_OPT__(| __VA_ARGS__)                                   \
    }
#define FIELD_TABLE(T, m, hi, each, ...)                                                           \
    {                                                                                              \
        .type = FIELD_TYPE_TABLE, .name = #m, .offset = offsetof(T, m), .max = (hi),               \
        .item_max = (each), .flags = 0 __VA_OPT__(| __VA_ARGS__)                                   \
    }
#define FIELD_END                                                                                  \
    {                                                                                              \
        .type = FIELD_TYPE_END                                                                     \
    }

/* Decodes len bytes into *out, which is overwritten only on success. */
bool shape_read(const struct shape *shape, const char *body, size_t len, void *out,
                struct arena *arena, struct err *err) __attribute__((warn_unused_result));

/* Appends the JSON object. Optional fields that are zero are left out. Never fails. */
void shape_write(const struct shape *shape, const void *in, struct str *out);

/* Appends text as a JSON string with quotes; invalid UTF-8 becomes U+FFFD. */
void json_put_string(struct str *out, const char *text, size_t len);

#endif
