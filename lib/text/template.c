/*
 * template - texts with fields
 *
 * A compiled template is a list of pieces, literal or field, cleaned of control characters when it
 * is compiled; rendering copies them one after the other. White space is squeezed afterwards, in
 * place, because runs may cross the edges of pieces.
 */
#include "text/template.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "text/utf8.h"

/* A literal, or a field with its default. */
struct text_piece {
    const char *text; /* the literal, or the field's default: NULL when it has none */
    size_t len;
    const char *field; /* name, NULL for a literal */
};

struct text_binding {
    const struct text_template *of;
    const size_t *columns; /* of each piece; unused for literals */
};

/* Where the compiler is. */
struct source {
    const char *text;
    size_t len;
    struct arena *arena;
    struct text_piece *pieces;
    size_t piece_count;
    const char **fields;
    size_t field_count;
    size_t field_pieces;
};

/* The position for people: the number of the character that starts at this byte. */
static size_t position(const struct source *source, size_t at)
{
    size_t characters = 1;

    for (size_t i = 0; i < at; i++) {
        characters += ((unsigned char)source->text[i] & 0xC0) != 0x80;
    }
    return characters;
}

/*
 * Copies without control characters (newline stays, tab becomes a space); returns the length.
 * Those of U+0080 to U+009F are two bytes, the first being 0xC2. to may be from.
 */
static size_t copy_clean(char *to, const char *from, size_t len)
{
    size_t out = 0;

    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)from[i];

        if (c >= 0x20 && c != 0x7F && c != 0xC2) {
            to[out++] = (char)c;
        } else if (c == '\n') {
            to[out++] = '\n';
        } else if (c == '\t') {
            to[out++] = ' ';
        } else if (c == 0xC2) {
            if (i + 1 < len && (unsigned char)from[i + 1] >= 0x80 &&
                (unsigned char)from[i + 1] < 0xA0) {
                i++;
            } else {
                to[out++] = (char)c;
            }
        }
    }
    return out;
}

static const char *clean_copy(struct arena *arena, const char *text, size_t len, size_t *out_len)
{
    char *copy = arena_alloc(arena, len + 1);

    *out_len = copy_clean(copy, text, len);
    copy[*out_len] = '\0';
    return copy;
}

static void add_literal(struct source *source, size_t from, size_t to)
{
    struct text_piece *piece = &source->pieces[source->piece_count];

    if (from == to) {
        return;
    }
    piece->text = clean_copy(source->arena, source->text + from, to - from, &piece->len);
    source->piece_count++;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* The name once, however often it is used. */
static const char *intern_field(struct source *source, const char *name, size_t len)
{
    for (size_t i = 0; i < source->field_count; i++) {
        if (strlen(source->fields[i]) == len && memcmp(source->fields[i], name, len) == 0) {
            return source->fields[i];
        }
    }
    source->fields[source->field_count] = arena_strndup(source->arena, name, len);
    return source->fields[source->field_count++];
}

/* The inside of {{ }}: [from, to); open is where the braces are. */
static bool add_field(struct source *source, size_t open, size_t from, size_t to, struct err *err)
{
    const char *text = source->text;
    const char *bar = memchr(text + from, '|', to - from);
    size_t name_end = bar == NULL ? to : (size_t)(bar - text);
    struct text_piece *piece = &source->pieces[source->piece_count];

    if (bar != NULL) {
        piece->text = clean_copy(source->arena, bar + 1, to - name_end - 1, &piece->len);
    }
    while (from < name_end && is_blank(text[from])) {
        from++;
    }
    while (name_end > from && is_blank(text[name_end - 1])) {
        name_end--;
    }
    if (from == name_end) {
        return err_permanent(err, "template_empty_field",
                             "the braces at character %zu hold no field name",
                             position(source, open));
    }
    if (name_end - from > TEXT_FIELD_NAME_BYTES_MAX) {
        return err_permanent(err, "template_bad_field",
                             "the field name at character %zu is longer than %d bytes",
                             position(source, open), TEXT_FIELD_NAME_BYTES_MAX);
    }
    for (size_t i = from; i < name_end; i++) {
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7F) {
            return err_permanent(err, "template_bad_field",
                                 "the field name at character %zu holds a control character",
                                 position(source, open));
        }
    }
    if (source->field_pieces == TEXT_TEMPLATE_FIELDS_MAX) {
        return err_permanent(err, "template_too_many_fields",
                             "the field at character %zu is one more than the %d allowed",
                             position(source, open), TEXT_TEMPLATE_FIELDS_MAX);
    }
    source->field_pieces++;
    piece->field = intern_field(source, text + from, name_end - from);
    source->piece_count++;
    return true;
}

/* Finds the }} that ends the field opened at open; braces inside are a mistake. */
static bool find_close(const struct source *source, size_t open, size_t *out_close, struct err *err)
{
    for (size_t i = open + 2; i < source->len; i++) {
        char c = source->text[i];

        if (c == '}' && i + 1 < source->len && source->text[i + 1] == '}') {
            *out_close = i;
            return true;
        }
        if (c == '{' && i + 1 < source->len && source->text[i + 1] == '{') {
            return err_permanent(err, "template_unterminated",
                                 "the {{ at character %zu is not closed before the next one at %zu",
                                 position(source, open), position(source, i));
        }
        if (c == '{' || c == '}') {
            return err_permanent(err, "template_bad_field",
                                 "the field at character %zu holds a brace at character %zu",
                                 position(source, open), position(source, i));
        }
    }
    return err_permanent(err, "template_unterminated",
                         "the {{ at character %zu is never closed with }}", position(source, open));
}

static bool compile_pieces(struct source *source, struct err *err)
{
    size_t literal = 0;
    size_t at = 0;

    while (at + 1 < source->len) {
        const char *here = source->text + at;
        size_t close = 0;

        if (here[0] == '}' && here[1] == '}') {
            return err_permanent(err, "template_stray_braces",
                                 "the }} at character %zu closes nothing", position(source, at));
        }
        if (here[0] != '{' || here[1] != '{') {
            at++;
            continue;
        }
        add_literal(source, literal, at);
        if (!find_close(source, at, &close, err) || !add_field(source, at, at + 2, close, err)) {
            return false;
        }
        at = close + 2;
        literal = at;
    }
    add_literal(source, literal, source->len);
    return true;
}

/* Length and encoding; says where the first bad byte is. */
static bool check_source(const char *text, size_t len, struct err *err)
{
    const unsigned char *at = (const unsigned char *)text;
    const unsigned char *end = at + len;
    size_t characters = 0;

    if (len == 0) {
        return err_permanent(err, "template_empty", "the template is empty");
    }
    if (len > TEXT_TEMPLATE_BYTES_MAX) {
        return err_permanent(err, "template_too_long",
                             "the template is %zu bytes long, at most %d characters are allowed",
                             len, TEXT_TEMPLATE_CHARS_MAX);
    }
    for (; at < end; characters++) {
        if (utf8_next(&at, end) == UTF8_BAD) {
            return err_permanent(err, "template_bad_utf8",
                                 "the template is not valid UTF-8 at character %zu",
                                 characters + 1);
        }
    }
    if (characters > TEXT_TEMPLATE_CHARS_MAX) {
        return err_permanent(err, "template_too_long",
                             "the template has %zu characters, at most %d are allowed", characters,
                             TEXT_TEMPLATE_CHARS_MAX);
    }
    return true;
}

bool text_template_compile(const char *source, size_t len, struct arena *arena,
                           const struct text_template **out_template, struct err *err)
{
    struct source state = { .text = source, .len = len, .arena = arena };
    struct text_template *compiled;

    if (!check_source(source, len, err)) {
        return false;
    }
    state.pieces = arena_array(arena, 2 * TEXT_TEMPLATE_FIELDS_MAX + 2, sizeof(struct text_piece));
    state.fields = arena_array(arena, TEXT_TEMPLATE_FIELDS_MAX, sizeof(const char *));
    if (!compile_pieces(&state, err)) {
        return false;
    }
    compiled = arena_alloc(arena, sizeof(*compiled));
    compiled->pieces = state.pieces;
    compiled->piece_count = state.piece_count;
    compiled->fields = state.fields;
    compiled->field_count = state.field_count;
    compiled->is_constant = state.field_count == 0;
    *out_template = compiled;
    return true;
}

/* The column of a field: the same name, or else the first one that differs in case only. */
static bool find_column(const char *field, const char *const *columns, size_t column_count,
                        size_t *out_column)
{
    for (size_t i = 0; i < column_count; i++) {
        if (strcmp(columns[i], field) == 0) {
            *out_column = i;
            return true;
        }
    }
    for (size_t i = 0; i < column_count; i++) {
        if (strcasecmp(columns[i], field) == 0) {
            *out_column = i;
            return true;
        }
    }
    return false;
}

/* "phone, name, amount", as far as an error has room. */
static const char *list_columns(struct arena *arena, const char *const *columns,
                                size_t column_count)
{
    const char *list = "";

    if (column_count == 0) {
        return "none";
    }
    for (size_t i = 0; i < column_count && strlen(list) < sizeof(((struct err *)0)->detail); i++) {
        list = arena_printf(arena, "%s%s%.64s", list, i == 0 ? "" : ", ", columns[i]);
    }
    return list;
}

bool text_template_bind(const struct text_template *text_template, const char *const *columns,
                        size_t column_count, struct arena *arena,
                        const struct text_binding **out_binding, struct err *err)
{
    struct text_binding *binding = arena_alloc(arena, sizeof(*binding));
    size_t *bound = arena_array(arena, text_template->piece_count + 1, sizeof(*bound));

    for (size_t i = 0; i < text_template->piece_count; i++) {
        const char *field = text_template->pieces[i].field;

        if (field != NULL && !find_column(field, columns, column_count, &bound[i])) {
            return err_permanent(err, "template_unknown_field",
                                 "no column is called '%s'; there are: %s", field,
                                 list_columns(arena, columns, column_count));
        }
    }
    binding->of = text_template;
    binding->columns = bound;
    *out_binding = binding;
    return true;
}

/* The length of the character of white space at text, which ends in NUL; 0 when it is none. */
static size_t blank_len(const char *text)
{
    if (is_blank(*text)) {
        return 1;
    }
    return (unsigned char)text[0] == 0xC2 && (unsigned char)text[1] == 0xA0 ? 2 : 0; /* U+00A0 */
}

/* Nothing that would be seen: white space and control characters only. */
static bool is_missing(const char *cell)
{
    while (*cell != '\0') {
        size_t blank = blank_len(cell);

        if (blank == 0 && (unsigned char)*cell > 0x20 && *cell != 0x7F) {
            return false;
        }
        cell += blank == 0 ? 1 : blank;
    }
    return true;
}

/* Trims, and folds each run of white space into one newline or space, in place. */
static void squeeze(struct str *out)
{
    const char *from = out->bytes;
    char *to = out->bytes;

    while (*from != '\0') {
        bool newline = false;
        const char *word = from;

        for (size_t blank; (blank = blank_len(word)) > 0; word += blank) {
            newline |= *word == '\n';
        }
        if (word != from && *word != '\0' && to != out->bytes) {
            *to++ = newline ? '\n' : ' ';
        }
        from = word;
        if (*from != '\0') {
            *to++ = *from++;
        }
    }
    *to = '\0';
    out->len = (size_t)(to - out->bytes);
}

static size_t count_characters(const struct str *text)
{
    size_t characters = 0;

    for (size_t i = 0; i < text->len; i++) {
        characters += ((unsigned char)text->bytes[i] & 0xC0) != 0x80;
    }
    return characters;
}

static void append_clean(struct str *out, const char *text, size_t len)
{
    out->len += copy_clean(str_room(out, len), text, len);
}

/* False when the field is missing and nothing may stand in for it. */
static bool append_field(struct str *out, const struct text_piece *piece, const char *cell,
                         const struct text_render *how)
{
    if (!is_missing(cell)) {
        append_clean(out, cell, strlen(cell));
    } else if (piece->text != NULL) {
        str_append(out, piece->text, piece->len);
    } else if (how->missing != TEXT_MISSING_DEFAULT) {
        return false;
    } else if (how->default_text != NULL) {
        append_clean(out, how->default_text, strlen(how->default_text));
    }
    return true;
}

enum text_rendered text_template_render(const struct text_binding *binding,
                                        const char *const *cells, const struct text_render *how,
                                        struct str *out, struct err *err)
{
    str_reset(out);
    for (size_t i = 0; i < binding->of->piece_count; i++) {
        const struct text_piece *piece = &binding->of->pieces[i];

        if (piece->field == NULL) {
            str_append(out, piece->text, piece->len);
        } else if (!append_field(out, piece, cells[binding->columns[i]], how)) {
            err_permanent(err, "missing_field", "the row has no value for '%s'", piece->field);
            return how->missing == TEXT_MISSING_BLOCK ? TEXT_REFUSED : TEXT_LEFT_OUT;
        }
    }
    if (out->len > 0) {
        out->bytes[out->len] = '\0';
        if (how->squeeze) {
            squeeze(out);
        }
    }
    if (out->len == 0 || is_missing(out->bytes)) {
        err_permanent(err, "text_empty", "nothing is left of the text");
        return TEXT_LEFT_OUT;
    }
    if (out->len > TEXT_RENDERED_CHARS_MAX && count_characters(out) > TEXT_RENDERED_CHARS_MAX) {
        err_permanent(err, "text_too_long", "the text has %zu characters, at most %d are allowed",
                      count_characters(out), TEXT_RENDERED_CHARS_MAX);
        return TEXT_LEFT_OUT;
    }
    return TEXT_RENDERED;
}
