/*
 * shape_read - a JSON object into a struct, along the table
 *
 * Jansson parses, then the tree is walked along the table; the struct is built in the arena
 * and copied out when all of it was right. Where an error lies is only worked out when there is
 * one: each level keeps its place on the C stack, linked to the level above. Values never
 * appear in an error's text, because bodies carry phone numbers.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/panic.h"
#include "json/shape.h"

#define PATH_BYTES 120
#define KEY_SHOWN_BYTES 40
#define WORDS_SHOWN_BYTES 100

static void free_json(json_t **json)
{
    json_decref(*json);
}
#define AUTO_JSON __attribute__((cleanup(free_json))) json_t

/* One step of the way from the document: a member's name, or when that is NULL an element's index.
 */
struct place {
    const struct place *up;
    const char *name;
    size_t index;
};

struct reader {
    struct arena *arena;
    struct err *err;
};

static size_t format_place(const struct place *place, char *out, size_t size)
{
    size_t at = place->up != NULL ? format_place(place->up, out, size) : 0;
    int len;

    if (place->name == NULL) {
        len = snprintf(out + at, size - at, "[%zu]", place->index);
    } else {
        len = snprintf(out + at, size - at, "%s%.*s", at > 0 ? "." : "", KEY_SHOWN_BYTES,
                       place->name);
    }
    at += len > 0 ? (size_t)len : 0;
    return at < size ? at : size - 1;
}

__attribute__((format(printf, 3, 4))) static bool
refuse(const struct reader *reader, const struct place *place, const char *fmt, ...)
{
    char path[PATH_BYTES] = "";
    char fault[sizeof(reader->err->detail)] = "";
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(fault, sizeof(fault), fmt, args);
    va_end(args);
    if (place != NULL) {
        (void)format_place(place, path, sizeof(path));
    }
    return err_permanent(reader->err, "bad_field", "%s: %s", place != NULL ? path : "document",
                         fault);
}

static const char *type_name(const json_t *json)
{
    switch (json_typeof(json)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
        return "an integer";
    case JSON_REAL:
        return "a number with a fraction";
    case JSON_TRUE:
    case JSON_FALSE:
        return "a boolean";
    case JSON_NULL:
        return "null";
    }
    panic("json type %d", (int)json_typeof(json));
}

static bool refuse_type(const struct reader *reader, const struct place *place, const json_t *json,
                        const char *wanted)
{
    return refuse(reader, place, "is %s, must be %s", type_name(json), wanted);
}

/* A string of min to max bytes, copied into the arena. */
static bool read_text(const struct reader *reader, const struct place *place, const json_t *json,
                      int64_t min, int64_t max, const char **out_text)
{
    if (!json_is_string(json)) {
        return refuse_type(reader, place, json, "a string");
    }
    const char *text = json_string_value(json);
    size_t len = json_string_length(json);
    if ((int64_t)len > max) {
        return refuse(reader, place, "%zu bytes long, at most %" PRId64 " allowed", len, max);
    }
    if ((int64_t)len < min) {
        return refuse(reader, place, "%zu bytes long, at least %" PRId64 " needed", len, min);
    }
    /* The parser refuses \u0000 already; the struct could not hold it. */
    if (memchr(text, '\0', len) != NULL) {
        return refuse(reader, place, "contains a NUL character");
    }
    *out_text = arena_strndup(reader->arena, text, len);
    return true;
}

static bool check_count(const struct reader *reader, const struct place *place, size_t count,
                        const struct field *field)
{
    if ((int64_t)count > field->max) {
        return refuse(reader, place, "%zu elements, at most %" PRId64 " allowed", count,
                      field->max);
    }
    if ((int64_t)count < field->min) {
        return refuse(reader, place, "%zu elements, at least %" PRId64 " needed", count,
                      field->min);
    }
    return true;
}

static bool read_int(const struct reader *reader, const struct place *place, const json_t *json,
                     const struct field *field, int64_t *out_value)
{
    if (!json_is_integer(json)) {
        return refuse_type(reader, place, json, "an integer");
    }
    int64_t value = json_integer_value(json);
    if (value < field->min || value > field->max) {
        return refuse(reader, place, "outside the range %" PRId64 " to %" PRId64, field->min,
                      field->max);
    }
    *out_value = value;
    return true;
}

static bool read_time(const struct reader *reader, const struct place *place, const json_t *json,
                      int64_t *out_ms)
{
    if (!json_is_string(json)) {
        return refuse_type(reader, place, json, "a string with an RFC 3339 time");
    }
    if (!clock_parse(json_string_value(json), json_string_length(json), out_ms)) {
        return refuse(reader, place, "not an RFC 3339 time such as 2026-11-20T09:12:44Z");
    }
    return true;
}

static bool read_enum(const struct reader *reader, const struct place *place, const json_t *json,
                      const struct field *field, int *out_value)
{
    char allowed[WORDS_SHOWN_BYTES] = "";
    size_t at = 0;

    if (!json_is_string(json)) {
        return refuse_type(reader, place, json, "a string");
    }
    for (int i = 0; field->words[i] != NULL; i++) {
        if (strlen(field->words[i]) == json_string_length(json) &&
            strcmp(field->words[i], json_string_value(json)) == 0) {
            *out_value = i;
            return true;
        }
        int len = snprintf(allowed + at, sizeof(allowed) - at, " %s", field->words[i]);
        at += len > 0 ? (size_t)len : 0;
        at = at < sizeof(allowed) ? at : sizeof(allowed) - 1;
    }
    return refuse(reader, place, "not one of:%s", allowed);
}

static bool read_object(const struct reader *reader, const struct place *place, const json_t *json,
                        const struct shape *shape, void *out);

static bool read_list(const struct reader *reader, const struct place *place, const json_t *json,
                      const struct field *field, struct list *out_list)
{
    if (!json_is_array(json)) {
        return refuse_type(reader, place, json, "an array");
    }
    size_t count = json_array_size(json);
    if (!check_count(reader, place, count, field)) {
        return false;
    }
    char *items = arena_array(reader->arena, count, field->shape->size);
    for (size_t i = 0; i < count; i++) {
        const struct place here = { .up = place, .index = i };
        if (!read_object(reader, &here, json_array_get(json, i), field->shape,
                         items + i * field->shape->size)) {
            return false;
        }
    }
    *out_list = (struct list){ .count = count, .items = items };
    return true;
}

static bool read_strings(const struct reader *reader, const struct place *place, const json_t *json,
                         const struct field *field, struct strings *out_strings)
{
    if (!json_is_array(json)) {
        return refuse_type(reader, place, json, "an array of strings");
    }
    size_t count = json_array_size(json);
    if (!check_count(reader, place, count, field)) {
        return false;
    }
    const char **items = arena_array(reader->arena, count, sizeof(*items));
    for (size_t i = 0; i < count; i++) {
        const struct place here = { .up = place, .index = i };
        if (!read_text(reader, &here, json_array_get(json, i), 0, field->item_max, &items[i])) {
            return false;
        }
    }
    *out_strings = (struct strings){ .count = count, .items = items };
    return true;
}

static bool read_map(const struct reader *reader, const struct place *place, json_t *json,
                     const struct field *field, struct map *out_map)
{
    if (!json_is_object(json)) {
        return refuse_type(reader, place, json, "an object of strings");
    }
    struct map map = { .count = json_object_size(json) };
    if (!check_count(reader, place, map.count, field)) {
        return false;
    }
    map.keys = arena_array(reader->arena, map.count, sizeof(*map.keys));
    map.values = arena_array(reader->arena, map.count, sizeof(*map.values));
    size_t at = 0;
    const char *key;
    json_t *value;
    json_object_foreach(json, key, value)
    {
        const struct place here = { .up = place, .name = key };
        if (!read_text(reader, &here, value, 0, field->item_max, &map.values[at])) {
            return false;
        }
        map.keys[at++] = arena_strdup(reader->arena, key);
    }
    *out_map = map;
    return true;
}

/* Before cells are laid out: a wide first row that no other follows must not cost rows * cols. */
static bool check_rows(const struct reader *reader, const struct place *place, const json_t *json,
                       size_t *out_cols)
{
    size_t cols = 0;

    for (size_t i = 0; i < json_array_size(json); i++) {
        const struct place here = { .up = place, .index = i };
        const json_t *row = json_array_get(json, i);
        if (!json_is_array(row)) {
            return refuse_type(reader, &here, row, "an array of strings");
        }
        if (i == 0) {
            cols = json_array_size(row);
        } else if (json_array_size(row) != cols) {
            return refuse(reader, &here, "%zu cells, but the first row has %zu",
                          json_array_size(row), cols);
        }
    }
    *out_cols = cols;
    return true;
}

static bool read_table(const struct reader *reader, const struct place *place, const json_t *json,
                       const struct field *field, struct table *out_table)
{
    struct table table = { 0 };

    if (!json_is_array(json)) {
        return refuse_type(reader, place, json, "an array of arrays of strings");
    }
    table.rows = json_array_size(json);
    if (!check_count(reader, place, table.rows, field) ||
        !check_rows(reader, place, json, &table.cols)) {
        return false;
    }
    table.cells = arena_array(reader->arena, table.rows * table.cols, sizeof(*table.cells));
    for (size_t i = 0; i < table.rows; i++) {
        const struct place row_place = { .up = place, .index = i };
        const json_t *row = json_array_get(json, i);
        for (size_t j = 0; j < table.cols; j++) {
            const struct place here = { .up = &row_place, .index = j };
            if (!read_text(reader, &here, json_array_get(row, j), 0, field->item_max,
                           &table.cells[i * table.cols + j])) {
                return false;
            }
        }
    }
    *out_table = table;
    return true;
}

static bool read_field(const struct reader *reader, const struct place *place, json_t *json,
                       const struct field *field, void *member)
{
    switch (field->type) {
    case FIELD_TYPE_STR:
        return read_text(reader, place, json, field->min, field->max, member);
    case FIELD_TYPE_INT:
        return read_int(reader, place, json, field, member);
    case FIELD_TYPE_BOOL:
        if (!json_is_boolean(json)) {
            return refuse_type(reader, place, json, "a boolean");
        }
        *(bool *)member = json_is_true(json);
        return true;
    case FIELD_TYPE_TIME:
        return read_time(reader, place, json, member);
    case FIELD_TYPE_ENUM:
        return read_enum(reader, place, json, field, member);
    case FIELD_TYPE_OBJECT:
        return read_object(reader, place, json, field->shape, member);
    case FIELD_TYPE_LIST:
        return read_list(reader, place, json, field, member);
    case FIELD_TYPE_STRINGS:
        return read_strings(reader, place, json, field, member);
    case FIELD_TYPE_MAP:
        return read_map(reader, place, json, field, member);
    case FIELD_TYPE_TABLE:
        return read_table(reader, place, json, field, member);
    case FIELD_TYPE_END:
        break;
    }
    panic("field '%s' has no type", field->name);
}

/* Fills the zeroed struct at out. */
static bool read_object(const struct reader *reader, const struct place *place, const json_t *json,
                        const struct shape *shape, void *out)
{
    if (!json_is_object(json)) {
        return refuse_type(reader, place, json, "an object");
    }
    for (const struct field *field = shape->fields; field->type != FIELD_TYPE_END; field++) {
        const struct place here = { .up = place, .name = field->name };
        json_t *value = json_object_get(json, field->name);
        if ((field->flags & FIELD_OPTIONAL) != 0 && (value == NULL || json_is_null(value))) {
            continue;
        }
        if (value == NULL) {
            return refuse(reader, &here, "missing");
        }
        if (!read_field(reader, &here, value, field, (char *)out + field->offset)) {
            return false;
        }
    }
    return true;
}

/* Jansson quotes the text near a fault, which may be a phone number; the position must do. */
static bool refuse_json(const json_error_t *error, struct err *err)
{
    const char *near = strstr(error->text, " near ");
    int len = near != NULL ? (int)(near - error->text) : (int)strlen(error->text);

    if (json_error_code(error) == json_error_out_of_memory) {
        panic("out of memory for a JSON document");
    }
    return err_permanent(err, "bad_json", "line %d, column %d: %.*s", error->line, error->column,
                         len, error->text);
}

bool shape_read(const struct shape *shape, const char *body, size_t len, void *out,
                struct arena *arena, struct err *err)
{
    const struct reader reader = { .arena = arena, .err = err };
    json_error_t error;

    AUTO_JSON *json = json_loadb(body, len, JSON_REJECT_DUPLICATES, &error);
    if (json == NULL) {
        return refuse_json(&error, err);
    }
    void *built = arena_alloc(arena, shape->size);
    if (!read_object(&reader, NULL, json, shape, built)) {
        return false;
    }
    memcpy(out, built, shape->size);
    return true;
}
