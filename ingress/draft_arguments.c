/*
 * draft_arguments - the definition of an upload, which stands in its query arguments
 *
 * They are written as the JSON that the body of a request would have been, along the table of its
 * fields, and read as that. A field of an object is named by its path: keys.answers.1=Yes; words of
 * a list have commas between them. A field that is there twice is so in the JSON too, and refused
 * with it.
 */
#include <string.h>

#include "base/str.h"
#include "draft_fields.h"

struct arguments {
    const struct request *req;
    bool used[ARGUMENTS_MAX];
    struct str *json;
    struct err *err;
};

static void put_name(struct str *json, const char *name)
{
    if (json->bytes[json->len - 1] != '{') {
        str_putc(json, ',');
    }
    json_put_string(json, name, strlen(name));
    str_putc(json, ':');
}

/* ["no_answer","busy"] */
static void put_words(struct str *json, const char *value)
{
    str_putc(json, '[');
    while (*value != '\0') {
        const size_t len = strcspn(value, ",");

        json_put_string(json, value, len);
        value += len;
        if (*value == ',') {
            str_putc(json, ',');
            if (*++value == '\0') {
                json_put_string(json, "", 0); /* nothing after the comma is no word, either */
            }
        }
    }
    str_putc(json, ']');
}

/* Numbers and booleans stand as they are in JSON; other faults are the reader's to find. */
static bool put_value(struct arguments *arguments, const struct field *field, const char *path,
                      const char *value)
{
    struct str *json = arguments->json;
    int64_t number;

    put_name(json, field->name);
    if (field->type == FIELD_TYPE_BOOL) {
        if (strcmp(value, "true") != 0 && strcmp(value, "false") != 0) {
            return err_permanent(arguments->err, "bad_field", "%s: neither true nor false", path);
        }
        str_puts(json, value);
    } else if (field->type == FIELD_TYPE_INT) {
        if (!str_parse_int(value, INT64_MIN, INT64_MAX, &number)) {
            return err_permanent(arguments->err, "bad_field", "%s: is no whole number", path);
        }
        str_put_int(json, number);
    } else if (field->type == FIELD_TYPE_STRINGS) {
        put_words(json, value);
    } else {
        json_put_string(json, value, strlen(value));
    }
    return true;
}

/* How far into an argument's name its rest begins, when it is path and a dot and a rest; or 0. */
static size_t inside(const char *name, const char *path)
{
    size_t len = strlen(path);

    return strncmp(name, path, len) == 0 && name[len] == '.' ? len + 1 : 0;
}

/* {"1":"Yes",…} */
static void put_map(struct arguments *arguments, const char *path)
{
    const struct request *req = arguments->req;

    str_putc(arguments->json, '{');
    for (int i = 0; i < req->argument_count; i++) {
        const size_t rest = inside(req->arguments[i].key, path);
        if (rest > 0) {
            put_name(arguments->json, req->arguments[i].key + rest);
            json_put_string(arguments->json, req->arguments[i].value,
                            strlen(req->arguments[i].value));
            arguments->used[i] = true;
        }
    }
    str_putc(arguments->json, '}');
}

static bool any_inside(const struct request *req, const char *path)
{
    for (int i = 0; i < req->argument_count; i++) {
        if (inside(req->arguments[i].key, path) > 0) {
            return true;
        }
    }
    return false;
}

static bool put_plain(struct arguments *arguments, const struct field *field, const char *path)
{
    const struct request *req = arguments->req;

    for (int i = 0; i < req->argument_count; i++) {
        if (strcmp(req->arguments[i].key, path) == 0) {
            arguments->used[i] = true;
            if (!put_value(arguments, field, path, req->arguments[i].value)) {
                return false;
            }
        }
    }
    return true;
}

/* The object that the arguments amount to whose names begin with `where`. */
static bool put_object(struct arguments *arguments, const struct shape *shape, const char *where)
{
    bool ok = true;

    str_putc(arguments->json, '{');
    for (const struct field *field = shape->fields; ok && field->type != FIELD_TYPE_END; field++) {
        const char *path = arena_printf(arguments->req->arena, "%s%s", where, field->name);
        const bool holds = field->type == FIELD_TYPE_OBJECT || field->type == FIELD_TYPE_MAP;
        if (!holds) {
            ok = put_plain(arguments, field, path);
        } else if (any_inside(arguments->req, path)) {
            put_name(arguments->json, field->name);
            if (field->type == FIELD_TYPE_MAP) {
                put_map(arguments, path);
            } else {
                ok = put_object(arguments, field->shape,
                                arena_printf(arguments->req->arena, "%s.", path));
            }
        }
    }
    str_putc(arguments->json, '}');
    return ok;
}

static bool check_used(const struct arguments *arguments)
{
    const struct request *req = arguments->req;

    for (int i = 0; i < req->argument_count; i++) {
        if (!arguments->used[i]) {
            return err_permanent(arguments->err, "unknown_argument",
                                 "%.64s: no such query argument", req->arguments[i].key);
        }
    }
    return true;
}

bool draft_read_arguments(const struct request *req, enum channel channel, struct draft *out_draft,
                          struct err *err)
{
    struct str json = { 0 };
    struct arguments arguments = { .req = req, .json = &json, .err = err };
    bool ok = put_object(&arguments,
                         channel == CHANNEL_VOICE ? &draft_voice_shape : &draft_sms_shape, "") &&
              check_used(&arguments) &&
              draft_read(channel, json.bytes, json.len, req->arena, out_draft, err);

    str_free(&json);
    if (ok) {
        out_draft->streamed = true;
    }
    return ok;
}
