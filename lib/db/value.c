/*
 * value - C values to PostgreSQL's binary format
 *
 * Integers, in arrays too, take the width that the server wants: one function then serves a
 * smallint and a bigint column, and a number that does not fit is an error of the data, not a
 * scrambled one. Arrays: number of dimensions, null flag, element type, count, lower bound, then
 * length and bytes of each element; all big-endian (array_recv in the server's arrayfuncs.c).
 */
#include <endian.h>
#include <string.h>

#include "base/panic.h"
#include "internal.h"

#define ARRAY_HEADER_BYTES 20
#define JSONB_VERSION 1

struct db_value db_text(const char *text)
{
    if (text == NULL) {
        return db_null();
    }
    return (struct db_value){ .type = DB_TEXT, .count = strlen(text), .data = text };
}

const char *pg_value_type_name(enum db_type type)
{
    static const char *const names[] = {
        [DB_NULL] = "null",           [DB_INT2] = "int2",        [DB_INT4] = "int4",
        [DB_INT8] = "int8",           [DB_BOOL] = "bool",        [DB_TEXT] = "text",
        [DB_BYTEA] = "bytea",         [DB_TIME] = "timestamptz", [DB_INT2S] = "int2[]",
        [DB_INT4S] = "int4[]",        [DB_INT8S] = "int8[]",     [DB_TEXTS] = "text[]",
        [DB_TIMES] = "timestamptz[]",
    };

    return names[type];
}

static char *put2(char *at, int16_t value)
{
    uint16_t bits = htobe16((uint16_t)value);

    memcpy(at, &bits, sizeof(bits));
    return at + sizeof(bits);
}

static char *put4(char *at, int32_t value)
{
    uint32_t bits = htobe32((uint32_t)value);

    memcpy(at, &bits, sizeof(bits));
    return at + sizeof(bits);
}

static char *put8(char *at, int64_t value)
{
    uint64_t bits = htobe64((uint64_t)value);

    memcpy(at, &bits, sizeof(bits));
    return at + sizeof(bits);
}

/* Bytes of an integer type or of an element of an array of them; 0 for other types. */
static size_t int_width(Oid type)
{
    switch (type) {
    case TYPE_INT2:
    case TYPE_INT2S:
        return 2;
    case TYPE_INT4:
    case TYPE_INT4S:
        return 4;
    case TYPE_INT8:
    case TYPE_INT8S:
        return 8;
    default:
        return 0;
    }
}

static bool fits(int64_t value, size_t width)
{
    return width == 8 || (width == 4 && value >= INT32_MIN && value <= INT32_MAX) ||
           (width == 2 && value >= INT16_MIN && value <= INT16_MAX);
}

static char *put_int(char *at, int64_t value, size_t width)
{
    switch (width) {
    case 2:
        return put2(at, (int16_t)value);
    case 4:
        return put4(at, (int32_t)value);
    default:
        return put8(at, value);
    }
}

static bool raise_range(struct err *err, int64_t value, size_t width)
{
    return err_permanent(err, "pg_numeric_value_out_of_range", "%lld does not fit %zu bytes",
                         (long long)value, width);
}

static bool encode_int(struct str *out, int64_t value, size_t width, struct err *err)
{
    if (!fits(value, width)) {
        return raise_range(err, value, width);
    }
    put_int(str_room(out, width), value, width);
    out->len += width;
    return true;
}

static int64_t to_pg_us(int64_t ms)
{
    int64_t us;

    if (__builtin_mul_overflow(ms - EPOCH_MS, 1000, &us)) {
        panic("a time of %lld ms", (long long)ms);
    }
    return us;
}

/* An empty array has no dimensions, and so ends after the element type. */
static char *put_array_header(char *at, size_t count, bool has_null, Oid element)
{
    at = put4(at, count > 0 ? 1 : 0);
    at = put4(at, has_null);
    at = put4(at, (int32_t)element);
    if (count > 0) {
        at = put4(at, (int32_t)count);
        at = put4(at, 1);
    }
    return at;
}

static bool encode_ints(struct str *out, const struct db_value *value, size_t width,
                        struct err *err)
{
    Oid element = width == 8 ? TYPE_INT8 : width == 4 ? TYPE_INT4 : TYPE_INT2;
    char *start = str_room(out, ARRAY_HEADER_BYTES + value->count * (4 + width));
    char *at = put_array_header(start, value->count, false, element);

    for (size_t i = 0; i < value->count; i++) {
        int64_t number = value->type == DB_INT8S   ? ((const int64_t *)value->data)[i]
                         : value->type == DB_INT4S ? ((const int32_t *)value->data)[i]
                                                   : ((const int16_t *)value->data)[i];

        if (!fits(number, width)) {
            return raise_range(err, number, width);
        }
        at = put4(at, (int32_t)width);
        at = put_int(at, number, width);
    }
    out->len += (size_t)(at - start);
    return true;
}

static void encode_times(struct str *out, const struct db_value *value)
{
    const int64_t *times = value->data;
    char *start = str_room(out, ARRAY_HEADER_BYTES + value->count * (4 + 8));
    char *at;
    bool has_null = false;

    for (size_t i = 0; i < value->count; i++) {
        has_null |= times[i] == 0;
    }
    at = put_array_header(start, value->count, has_null, TYPE_TIMESTAMPTZ);
    for (size_t i = 0; i < value->count; i++) {
        if (times[i] == 0) {
            at = put4(at, -1);
        } else {
            at = put8(put4(at, 8), to_pg_us(times[i]));
        }
    }
    out->len += (size_t)(at - start);
}

static void encode_texts(struct str *out, const struct db_value *value, Oid element)
{
    const char *const *texts = value->data;
    size_t bytes = ARRAY_HEADER_BYTES;
    bool has_null = false;
    char *start;
    char *at;

    for (size_t i = 0; i < value->count; i++) {
        bytes += 4 + (texts[i] != NULL ? strlen(texts[i]) : 0);
        has_null |= texts[i] == NULL;
    }
    start = str_room(out, bytes);
    at = put_array_header(start, value->count, has_null, element);
    for (size_t i = 0; i < value->count; i++) {
        size_t len = texts[i] != NULL ? strlen(texts[i]) : 0;

        at = put4(at, texts[i] != NULL ? (int32_t)len : -1);
        memcpy(at, texts[i] != NULL ? texts[i] : "", len);
        at += len;
    }
    out->len += (size_t)(at - start);
}

/* The type a value has when nobody wants another. */
static Oid own_type(enum db_type type)
{
    static const Oid types[] = {
        [DB_NULL] = 0,
        [DB_INT2] = TYPE_INT2,
        [DB_INT4] = TYPE_INT4,
        [DB_INT8] = TYPE_INT8,
        [DB_BOOL] = TYPE_BOOL,
        [DB_TEXT] = TYPE_TEXT,
        [DB_BYTEA] = TYPE_BYTEA,
        [DB_TIME] = TYPE_TIMESTAMPTZ,
        [DB_INT2S] = TYPE_INT2S,
        [DB_INT4S] = TYPE_INT4S,
        [DB_INT8S] = TYPE_INT8S,
        [DB_TEXTS] = TYPE_TEXTS,
        [DB_TIMES] = TYPE_TIMESTAMPTZS,
    };

    return types[type];
}

/* Whether a value of one type may be given where the server expects wanted. */
static bool goes_as(enum db_type type, Oid wanted)
{
    switch (type) {
    case DB_INT2:
    case DB_INT4:
    case DB_INT8:
        return wanted == TYPE_INT2 || wanted == TYPE_INT4 || wanted == TYPE_INT8;
    case DB_INT2S:
    case DB_INT4S:
    case DB_INT8S:
        return wanted == TYPE_INT2S || wanted == TYPE_INT4S || wanted == TYPE_INT8S;
    case DB_TEXT: /* sent in text format, which any type has */
        return wanted != TYPE_BYTEA;
    case DB_TEXTS:
        return wanted == TYPE_TEXTS || wanted == TYPE_VARCHARS;
    case DB_BYTEA:
        return wanted == TYPE_BYTEA || wanted == TYPE_TEXT || wanted == TYPE_JSON ||
               wanted == TYPE_JSONB;
    case DB_NULL:
        return true;
    case DB_BOOL:
    case DB_TIME:
    case DB_TIMES:
        return wanted == own_type(type);
    }
    return false;
}

bool pg_value_encode(struct str *out, const struct db_value *value, Oid wanted, bool *out_mismatch,
                     struct err *err)
{
    if (wanted == 0) {
        wanted = own_type(value->type);
    }
    *out_mismatch = !goes_as(value->type, wanted);
    if (*out_mismatch) {
        return false;
    }
    switch (value->type) {
    case DB_NULL:
        return true;
    case DB_INT2:
    case DB_INT4:
    case DB_INT8:
        return encode_int(out, value->num, int_width(wanted), err);
    case DB_BOOL:
        str_putc(out, value->num != 0);
        return true;
    case DB_TEXT:
    case DB_BYTEA:
        if (wanted == TYPE_JSONB && value->type == DB_BYTEA) {
            str_putc(out, JSONB_VERSION);
        }
        str_append(out, value->data, value->count);
        return true;
    case DB_TIME:
        return encode_int(out, to_pg_us(value->num), 8, err);
    case DB_INT2S:
    case DB_INT4S:
    case DB_INT8S:
        return encode_ints(out, value, int_width(wanted), err);
    case DB_TEXTS:
        encode_texts(out, value, wanted == TYPE_VARCHARS ? TYPE_VARCHAR : TYPE_TEXT);
        return true;
    case DB_TIMES:
        encode_times(out, value);
        return true;
    }
    panic("value of type %d", (int)value->type);
}
