/*
 * shape_write - a struct into a JSON object, along the table
 *
 * Straight into the string, with no tree between. Most text is plain ASCII, which is looked at
 * eight bytes at a time and copied whole.
 */
#include <string.h>

#include "base/clock.h"
#include "base/panic.h"
#include "json/shape.h"

/* Length of the run at the front that stands in a JSON string as it is. */
static size_t plain_run(const char *text, size_t len)
{
    const uint64_t ones = 0x0101010101010101U;
    const uint64_t highs = 0x8080808080808080U;
    size_t at = 0;

    /* Eight at a time: no high bit, nothing below a space, no quote, no backslash. */
    while (len - at >= sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, text + at, sizeof(word));
        uint64_t quote = word ^ (ones * '"');
        uint64_t slash = word ^ (ones * '\\');
        if (((word | (word - ones * ' ') | (quote - ones) | (slash - ones)) & highs) != 0) {
            break;
        }
        at += sizeof(word);
    }
    while (at < len) {
        unsigned char c = (unsigned char)text[at];
        if (c < ' ' || c >= 0x80 || c == '"' || c == '\\') {
            break;
        }
        at++;
    }
    return at;
}

/* Writes one character that a plain run stopped at; returns how many bytes of text it took. */
static size_t put_special(struct str *out, const char *text, size_t len)
{
    static const char short_forms[] = { ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f',
                                        ['\r'] = 'r', ['"'] = '"',  ['\\'] = '\\' };
    unsigned char c = (unsigned char)*text;

    if (c >= 0x80) {
        size_t size = str_utf8_char(text, len);
        if (size == 0) {
            str_append(out, "\xef\xbf\xbd", 3); /* U+FFFD */
            return 1;
        }
        str_append(out, text, size);
        return size;
    }
    if (short_forms[c] != '\0') {
        const char escape[] = { '\\', short_forms[c] };
        str_append(out, escape, sizeof(escape));
    } else {
        str_printf(out, "\\u%04x", c);
    }
    return 1;
}

void json_put_string(struct str *out, const char *text, size_t len)
{
    char *to = str_room(out, len + 2);
    size_t at = plain_run(text, len);

    to[0] = '"';
    if (at > 0) {
        memcpy(to + 1, text, at);
    }
    out->len += 1 + at;
    while (at < len) {
        at += put_special(out, text + at, len - at);
        size_t run = plain_run(text + at, len - at);
        if (run > 0) {
            str_append(out, text + at, run);
            at += run;
        }
    }
    str_putc(out, '"');
}

static void put_text(struct str *out, const char *text)
{
    if (text != NULL) {
        json_put_string(out, text, strlen(text));
    } else {
        str_append(out, "\"\"", 2);
    }
}

static void put_name(struct str *out, const char *name, bool first)
{
    size_t len = strlen(name);
    char *to = str_room(out, len + 4);

    /* Names in tables are identifiers: nothing in them needs escaping. */
    if (!first) {
        *to++ = ',';
    }
    *to++ = '"';
    memcpy(to, name, len);
    to[len] = '"';
    to[len + 1] = ':';
    out->len += len + (first ? 3 : 4);
    out->bytes[out->len] = '\0';
}

static void put_strings(struct str *out, const char *const *items, size_t count)
{
    str_putc(out, '[');
    for (size_t i = 0; i < count; i++) {
        if (i > 0) {
            str_putc(out, ',');
        }
        put_text(out, items[i]);
    }
    str_putc(out, ']');
}

static void put_map(struct str *out, const struct map *map)
{
    str_putc(out, '{');
    for (size_t i = 0; i < map->count; i++) {
        if (i > 0) {
            str_putc(out, ',');
        }
        put_text(out, map->keys[i]);
        str_putc(out, ':');
        put_text(out, map->values[i]);
    }
    str_putc(out, '}');
}

static void put_time(struct str *out, int64_t ms)
{
    char text[CLOCK_RFC3339_BYTES];

    clock_format(ms, text);
    str_putc(out, '"');
    str_append(out, text, sizeof(text) - 1);
    str_putc(out, '"');
}

static void put_word(struct str *out, const struct field *field, int value)
{
    int count = 0;

    while (field->words[count] != NULL) {
        count++;
    }
    if (value < 0 || value >= count) {
        panic("field '%s': %d is none of its %d words", field->name, value, count);
    }
    put_text(out, field->words[value]);
}

static void put_list(struct str *out, const struct list *list, const struct shape *shape)
{
    str_putc(out, '[');
    for (size_t i = 0; i < list->count; i++) {
        if (i > 0) {
            str_putc(out, ',');
        }
        shape_write(shape, (const char *)list->items + i * shape->size, out);
    }
    str_putc(out, ']');
}

static void put_table(struct str *out, const struct table *table)
{
    str_putc(out, '[');
    for (size_t i = 0; i < table->rows; i++) {
        if (i > 0) {
            str_putc(out, ',');
        }
        put_strings(out, table->cells + i * table->cols, table->cols);
    }
    str_putc(out, ']');
}

static bool is_all_zero(const struct shape *shape, const void *in);

/* Whether an optional field would read back the same if it were left out. */
static bool is_zero(const struct field *field, const void *member)
{
    switch (field->type) {
    case FIELD_TYPE_STR: {
        const char *text = *(const char *const *)member;
        /* Where empty text is not allowed, it means none. */
        return text == NULL || (text[0] == '\0' && field->min > 0);
    }
    case FIELD_TYPE_INT:
    case FIELD_TYPE_TIME:
        return *(const int64_t *)member == 0;
    case FIELD_TYPE_BOOL:
        return !*(const bool *)member;
    case FIELD_TYPE_ENUM:
        return *(const int *)member == 0;
    case FIELD_TYPE_OBJECT:
        return is_all_zero(field->shape, member);
    case FIELD_TYPE_LIST:
        return ((const struct list *)member)->count == 0;
    case FIELD_TYPE_STRINGS:
        return ((const struct strings *)member)->count == 0;
    case FIELD_TYPE_MAP:
        return ((const struct map *)member)->count == 0;
    case FIELD_TYPE_TABLE:
        return ((const struct table *)member)->rows == 0;
    case FIELD_TYPE_END:
        break;
    }
    panic("field '%s' has no type", field->name);
}

static bool is_all_zero(const struct shape *shape, const void *in)
{
    for (const struct field *field = shape->fields; field->type != FIELD_TYPE_END; field++) {
        if (!is_zero(field, (const char *)in + field->offset)) {
            return false;
        }
    }
    return true;
}

static void put_field(struct str *out, const struct field *field, const void *member)
{
    switch (field->type) {
    case FIELD_TYPE_STR:
        put_text(out, *(const char *const *)member);
        return;
    case FIELD_TYPE_INT:
        str_put_int(out, *(const int64_t *)member);
        return;
    case FIELD_TYPE_BOOL:
        str_puts(out, *(const bool *)member ? "true" : "false");
        return;
    case FIELD_TYPE_TIME:
        put_time(out, *(const int64_t *)member);
        return;
    case FIELD_TYPE_ENUM:
        put_word(out, field, *(const int *)member);
        return;
    case FIELD_TYPE_OBJECT:
        shape_write(field->shape, member, out);
        return;
    case FIELD_TYPE_LIST:
        put_list(out, member, field->shape);
        return;
    case FIELD_TYPE_STRINGS:
        put_strings(out, ((const struct strings *)member)->items,
                    ((const struct strings *)member)->count);
        return;
    case FIELD_TYPE_MAP:
        put_map(out, member);
        return;
    case FIELD_TYPE_TABLE:
        put_table(out, member);
        return;
    case FIELD_TYPE_END:
        break;
    }
    panic("field '%s' has no type", field->name);
}

void shape_write(const struct shape *shape, const void *in, struct str *out)
{
    bool first = true;

    str_putc(out, '{');
    for (const struct field *field = shape->fields; field->type != FIELD_TYPE_END; field++) {
        const void *member = (const char *)in + field->offset;
        if ((field->flags & FIELD_OPTIONAL) != 0 && is_zero(field, member)) {
            continue;
        }
        put_name(out, field->name, first);
        put_field(out, field, member);
        first = false;
    }
    str_putc(out, '}');
}
