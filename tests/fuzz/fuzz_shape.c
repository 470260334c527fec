/*
 * fuzz_shape - whatever the body is, the decoder refuses it in words or reads it faithfully
 *
 * What was read is written and read again: both documents must be the same, which also proves
 * that the encoder writes nothing that its own decoder refuses. The input is furthermore written
 * as one JSON string, which must be read back as it was, apart from what is not UTF-8.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/panic.h"
#include "json/shape.h"

struct inner {
    const char *text;
    int64_t number;
    struct strings words;
};

static const struct field inner_fields[] = {
    FIELD_STR(struct inner, text, 1, 64),
    FIELD_INT(struct inner, number, -100, 100, FIELD_OPTIONAL),
    FIELD_STRINGS(struct inner, words, 0, 8, 16, FIELD_OPTIONAL),
    FIELD_END,
};

static const struct shape inner_shape = { "inner", sizeof(struct inner), inner_fields };

static const char *const colors[] = { "red", "green", "blue", NULL };

struct all {
    const char *s;
    int64_t i;
    bool b;
    int64_t t;
    int e;
    struct inner o;
    struct list l;
    struct strings a;
    struct map m;
    struct table r;
    const char *z;
};

/* Short names, so that the fuzzer finds them; all optional, so that each may stand alone. */
static const struct field all_fields[] = {
    FIELD_STR(struct all, s, 0, 64, FIELD_OPTIONAL),
    FIELD_INT(struct all, i, INT64_MIN, INT64_MAX, FIELD_OPTIONAL),
    FIELD_BOOL(struct all, b, FIELD_OPTIONAL),
    FIELD_TIME(struct all, t, FIELD_OPTIONAL),
    FIELD_ENUM(struct all, e, colors, FIELD_OPTIONAL),
    FIELD_OBJECT(struct all, o, &inner_shape, FIELD_OPTIONAL),
    FIELD_LIST(struct all, l, &inner_shape, 0, 16, FIELD_OPTIONAL),
    FIELD_STRINGS(struct all, a, 0, 16, 32, FIELD_OPTIONAL),
    FIELD_MAP(struct all, m, 16, 32, FIELD_OPTIONAL),
    FIELD_TABLE(struct all, r, 16, 32, FIELD_OPTIONAL),
    FIELD_STR(struct all, z, 2, 64, FIELD_OPTIONAL),
    FIELD_END,
};

static const struct shape all_shape = { "all", sizeof(struct all), all_fields };

struct text {
    const char *text;
};

static const struct field text_fields[] = {
    FIELD_STR(struct text, text, 0, INT64_MAX),
    FIELD_END,
};

static const struct shape text_shape = { "text", sizeof(struct text), text_fields };

static void check_refusal(const struct err *err)
{
    if (err->kind != ERR_PERMANENT ||
        (strcmp(err->what, "bad_json") != 0 && strcmp(err->what, "bad_field") != 0) ||
        err->detail[0] == '\0') {
        panic("odd refusal %d %s %s", (int)err->kind, err->what, err->detail);
    }
}

static void check_document(const char *body, size_t len, struct arena *arena)
{
    struct str first = { 0 };
    struct str second = { 0 };
    struct all all;
    struct err err = { 0 };

    if (!shape_read(&all_shape, body, len, &all, arena, &err)) {
        check_refusal(&err);
        return;
    }
    shape_write(&all_shape, &all, &first);
    if (!shape_read(&all_shape, first.bytes, first.len, &all, arena, &err)) {
        panic("own document refused: %s: %s", err.detail, first.bytes);
    }
    shape_write(&all_shape, &all, &second);
    if (first.len != second.len || memcmp(first.bytes, second.bytes, first.len) != 0) {
        panic("changed from %s to %s", first.bytes, second.bytes);
    }
    str_free(&first);
    str_free(&second);
}

static void check_text(const char *bytes, size_t len, struct arena *arena)
{
    struct str body = { 0 };
    struct text text;
    struct err err;

    if (memchr(bytes, '\0', len) != NULL) {
        return; /* cannot be a field's text */
    }
    str_puts(&body, "{\"text\":");
    json_put_string(&body, bytes, len);
    str_puts(&body, "}");
    if (!shape_read(&text_shape, body.bytes, body.len, &text, arena, &err)) {
        panic("own text refused: %s: %s", err.detail, body.bytes);
    }
    if (!str_is_utf8(text.text, strlen(text.text))) {
        panic("read what is not UTF-8");
    }
    if (str_is_utf8(bytes, len) &&
        (strlen(text.text) != len || memcmp(text.text, bytes, len) != 0)) {
        panic("text changed to '%s'", text.text);
    }
    str_free(&body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct arena *arena;

    if (arena == NULL) {
        arena = arena_create((size_t)64 << 20);
    }
    check_document((const char *)data, size, arena);
    check_text((const char *)data, size, arena);
    arena_reset(arena);
    return 0;
}
