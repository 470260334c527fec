/*
 * fuzz_text_template - whatever compiles also renders, within its bounds
 *
 * The input is flags, the template, a NUL and one cell a line. The template's own fields are the
 * columns. A text that was rendered is a constant template itself (unless it holds braces), and
 * renders to itself.
 */
#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "base/panic.h"
#include "base/str.h"
#include "text/gsm7.h"
#include "text/template.h"

#define ARENA_BYTES (4 << 20)

/* One cell per field, from the lines of the input; "" when they run out. */
static const char **read_cells(struct arena *arena, const char *text, size_t len, size_t count)
{
    const char **cells = arena_array(arena, count + 1, sizeof(*cells));

    for (size_t i = 0; i < count; i++) {
        const char *newline = memchr(text, '\n', len);
        size_t line = newline == NULL ? len : (size_t)(newline - text);

        cells[i] = arena_strndup(arena, text, line);
        line += newline != NULL;
        text += line;
        len -= line;
    }
    return cells;
}

static void check_text(const struct str *text, const struct text_render *how)
{
    size_t characters = 0;

    if (strlen(text->bytes) != text->len || text->len == 0) {
        panic("%zu bytes rendered, %zu before the NUL", text->len, strlen(text->bytes));
    }
    for (size_t i = 0; i < text->len; i++) {
        unsigned char c = (unsigned char)text->bytes[i];

        characters += (c & 0xC0) != 0x80;
        if ((c < 0x20 && c != '\n') || c == 0x7F) {
            panic("a control character is left");
        }
    }
    if (characters > TEXT_RENDERED_CHARS_MAX) {
        panic("%zu characters rendered", characters);
    }
    if (how->squeeze &&
        (strstr(text->bytes, "  ") != NULL || strstr(text->bytes, "\n\n") != NULL ||
         strchr(" \n", text->bytes[0]) != NULL || strchr(" \n", text->bytes[text->len - 1]))) {
        panic("not squeezed: '%s'", text->bytes);
    }
}

static void check_again(const struct str *text, const struct text_render *how, struct arena *arena)
{
    const struct text_template *again;
    const struct text_binding *binding;
    struct text_count count;
    struct str second = { 0 };
    struct err err;

    if (strstr(text->bytes, "{{") != NULL || strstr(text->bytes, "}}") != NULL ||
        !text_segments(text->bytes, text->len, &count)) {
        return;
    }
    if (!text_template_compile(text->bytes, text->len, arena, &again, &err) ||
        !again->is_constant || !text_template_bind(again, NULL, 0, arena, &binding, &err) ||
        text_template_render(binding, NULL, how, &second, &err) != TEXT_RENDERED) {
        panic("a rendered text is no template: %s", err.detail);
    }
    if (second.len != text->len || memcmp(second.bytes, text->bytes, text->len) != 0) {
        panic("'%s' became '%s'", text->bytes, second.bytes);
    }
    str_free(&second);
}

static bool are_utf8(const char *const *cells, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!str_is_utf8(cells[i], strlen(cells[i]))) {
            return false;
        }
    }
    return true;
}

static void check_render(const struct text_template *compiled, const char *const *cells,
                         const struct text_render *how, struct arena *arena)
{
    const struct text_binding *binding;
    struct str out = { 0 };
    struct err err = { .what = NULL };
    enum text_rendered outcome;

    if (!text_template_bind(compiled, compiled->fields, compiled->field_count, arena, &binding,
                            &err)) {
        panic("its own fields are unknown: %s", err.detail);
    }
    outcome = text_template_render(binding, cells, how, &out, &err);
    if (outcome == TEXT_RENDERED) {
        check_text(&out, how);
        if (are_utf8(cells, compiled->field_count)) {
            check_again(&out, how, arena);
        }
    } else if (err.what == NULL ||
               (outcome == TEXT_REFUSED) !=
                   (strcmp(err.what, "missing_field") == 0 && how->missing == TEXT_MISSING_BLOCK)) {
        panic("outcome %d because of %s", outcome, err.what == NULL ? "nothing" : err.what);
    }
    str_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *source = (const char *)data + 1;
    const struct text_template *compiled;
    struct text_render how = { .default_text = NULL };
    struct arena *arena;
    struct err err;
    const char *cells;
    size_t len;

    if (size < 2) {
        return 0;
    }
    arena = arena_create(ARENA_BYTES);
    how.missing = data[0] % 3 == 0   ? TEXT_MISSING_BLOCK
                  : data[0] % 3 == 1 ? TEXT_MISSING_SKIP
                                     : TEXT_MISSING_DEFAULT;
    how.squeeze = data[0] & 0x40;
    how.default_text = data[0] & 0x20 ? "dear\tcustomer" : NULL;
    cells = memchr(source, '\0', size - 1);
    len = cells == NULL ? size - 1 : (size_t)(cells - source);
    cells = cells == NULL ? "" : cells + 1;
    if (text_template_compile(source, len, arena, &compiled, &err)) {
        check_render(compiled,
                     read_cells(arena, cells, len + 1 < size - 1 ? size - 2 - len : 0,
                                compiled->field_count),
                     &how, arena);
    }
    arena_destroy(arena);
    return 0;
}
