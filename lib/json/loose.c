/*
 * loose - a JSON document from a sender whose types wobble
 *
 * Jansson keeps a number with a fraction as a double only. So each number is put in quotes before
 * the parsing; what is not a number by the grammar of RFC 8259 stays bare for Jansson to refuse.
 */
#include "json/loose.h"

#include <jansson.h>
#include <string.h>

#include "base/panic.h"
#include "base/str.h"

static void free_json(json_t **json)
{
    json_decref(*json);
}
#define AUTO_JSON __attribute__((cleanup(free_json))) json_t

static void free_str(struct str *str)
{
    str_free(str);
}
#define AUTO_STR __attribute__((cleanup(free_str))) struct str

static size_t digits(const char *at, const char *end)
{
    const char *start = at;

    while (at < end && *at >= '0' && *at <= '9') {
        at++;
    }
    return (size_t)(at - start);
}

/* Bytes that may stand in a number, or would make one of what must not be one. */
static size_t number_run(const char *at, size_t len)
{
    size_t run = 0;

    while (run < len && (at[run] == '+' || at[run] == '-' || at[run] == '.' ||
                         (at[run] >= '0' && at[run] <= '9') || (at[run] >= 'a' && at[run] <= 'z') ||
                         (at[run] >= 'A' && at[run] <= 'Z'))) {
        run++;
    }
    return run;
}

/* Whether exactly the len bytes are one number. */
static bool is_number(const char *at, size_t len)
{
    const char *end = at + len;
    size_t run;

    at += at < end && *at == '-';
    run = digits(at, end);
    if (run == 0 || (run > 1 && *at == '0')) {
        return false;
    }
    at += run;
    if (at < end && *at == '.') {
        run = digits(++at, end);
        if (run == 0) {
            return false;
        }
        at += run;
    }
    if (at < end && (*at == 'e' || *at == 'E')) {
        at++;
        at += at < end && (*at == '+' || *at == '-');
        run = digits(at, end);
        if (run == 0) {
            return false;
        }
        at += run;
    }
    return at == end;
}

/* A number cannot be a key; in quotes it would be one. */
static bool is_key(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\r' || *at == '\n')) {
        at++;
    }
    return at < end && *at == ':';
}

/* Copies a string from its first quote to its last, mending what a careless sender leaves in. */
static const char *copy_string(const char *at, const char *end, struct str *out)
{
    str_putc(out, *at++);
    while (at < end && *at != '"') {
        unsigned char c = (unsigned char)*at;
        size_t size = 1;
        if (c == '\\' && at + 1 < end && at[1] >= ' ' && at[1] <= '~') {
            size = 2;
        }
        if (c >= 0x80) {
            size = str_utf8_char(at, (size_t)(end - at));
        }
        if (size == 0) {
            str_puts(out, "\xef\xbf\xbd"); /* U+FFFD */
            size = 1;
        } else if (c < ' ') {
            str_putc(out, ' ');
        } else {
            str_append(out, at, size);
        }
        at += size;
    }
    if (at < end) {
        str_putc(out, *at++);
    }
    return at;
}

static void quote_numbers(const char *at, const char *end, struct str *out)
{
    while (at < end) {
        if (*at == '"') {
            at = copy_string(at, end, out);
            continue;
        }
        size_t run = number_run(at, (size_t)(end - at));
        bool quoted = run > 0 && is_number(at, run) && !is_key(at + run, end);
        run = run > 0 ? run : 1;
        if (quoted) {
            str_putc(out, '"');
        }
        str_append(out, at, run);
        if (quoted) {
            str_putc(out, '"');
        }
        at += run;
    }
}

static void build(json_t *json, struct loose *out, struct arena *arena)
{
    struct loose *items;
    const char *key;
    json_t *value;
    size_t i = 0;

    switch (json_typeof(json)) {
    case JSON_STRING:
        out->kind = LOOSE_TEXT;
        out->text = arena_strndup(arena, json_string_value(json), json_string_length(json));
        return;
    case JSON_ARRAY:
        out->kind = LOOSE_LIST;
        out->count = json_array_size(json);
        items = arena_array(arena, out->count, sizeof(*items));
        json_array_foreach(json, i, value)
        {
            build(value, &items[i], arena);
        }
        out->items = items;
        return;
    case JSON_OBJECT:
        out->kind = LOOSE_OBJECT;
        out->count = json_object_size(json);
        out->keys = arena_array(arena, out->count, sizeof(*out->keys));
        items = arena_array(arena, out->count, sizeof(*items));
        json_object_foreach(json, key, value)
        {
            out->keys[i] = arena_strdup(arena, key);
            build(value, &items[i++], arena);
        }
        out->items = items;
        return;
    case JSON_INTEGER:
    case JSON_REAL:
        panic("a number without quotes");
    case JSON_TRUE:
    case JSON_FALSE:
    case JSON_NULL:
        break;
    }
    out->kind = LOOSE_OTHER;
}

bool loose_read(const char *body, size_t len, const struct loose **out_root, struct arena *arena,
                struct err *err)
{
    AUTO_STR text = { 0 };
    json_error_t error;

    (void)str_room(&text, len);
    quote_numbers(body, body + len, &text);
    AUTO_JSON *json =
        json_loadb(text.bytes != NULL ? text.bytes : "", text.len, JSON_REJECT_DUPLICATES, &error);
    if (json == NULL) {
        if (json_error_code(&error) == json_error_out_of_memory) {
            panic("out of memory for a JSON document");
        }
        /* Jansson quotes the text near a fault, which may be a phone number. */
        const char *near = strstr(error.text, " near ");
        int shown = near != NULL ? (int)(near - error.text) : (int)strlen(error.text);
        return err_permanent(err, "bad_json", "line %d: %.*s", error.line, shown, error.text);
    }
    struct loose *root = arena_alloc(arena, sizeof(*root));
    build(json, root, arena);
    *out_root = root;
    return true;
}

const struct loose *loose_member(const struct loose *node, const char *key)
{
    if (node == NULL || node->kind != LOOSE_OBJECT) {
        return NULL;
    }
    for (size_t i = 0; i < node->count; i++) {
        if (strcmp(node->keys[i], key) == 0) {
            return &node->items[i];
        }
    }
    return NULL;
}

const char *loose_text(const struct loose *node)
{
    return node != NULL && node->kind == LOOSE_TEXT ? node->text : NULL;
}

const char *loose_kind_name(const struct loose *node)
{
    static const char *const names[] = {
        [LOOSE_OTHER] = "null or a boolean",
        [LOOSE_TEXT] = "text",
        [LOOSE_LIST] = "a list",
        [LOOSE_OBJECT] = "an object",
    };

    return node != NULL ? names[node->kind] : "missing";
}
