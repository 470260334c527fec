/*
 * template - texts with fields: "Hi {{name|friend}}, your bill is {{amount}}"
 *
 * Compile once, bind once to the columns of an upload, render for every row.
 *
 *     const struct text_template *template;
 *     const struct text_binding *binding;
 *     if (!text_template_compile(source, len, arena, &template, &err)) ...
 *     if (!text_template_bind(template, columns, column_count, arena, &binding, &err)) ...
 *     for each row:
 *         switch (text_template_render(binding, cells, &how, &out, &err)) {
 *         case TEXT_RENDERED: out.bytes, out.len; break;
 *         case TEXT_LEFT_OUT: this recipient gets nothing, because of err; break;
 *         case TEXT_REFUSED:  the whole campaign is refused, because of err; break;
 *         }
 *
 * A field is {{name}} or {{ name }} or {{name|what to say when it is missing}}. A name may hold
 * anything but braces, '|' and control characters; it matches a column whatever its case, an exact
 * match first. A single brace is plain text. Two braces cannot be written otherwise.
 *
 * A cell that is empty or only spaces is missing. A field with its own default is never missing.
 * Control characters are dropped from template and cells, except newline; a tab becomes a space
 * (so CR LF, as web forms send it, costs one character). All work is linear in its input.
 */
#ifndef TEXT_TEMPLATE_H
#define TEXT_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

/*
 * 1600 characters is the longest text that bulk SMS providers are known to take (about 11 parts);
 * a character is at most 4 bytes of UTF-8. 32 fields are several times what a person writes.
 * 64 bytes for a name is what a column heading needs.
 */
enum {
    TEXT_TEMPLATE_CHARS_MAX = 1600,
    TEXT_TEMPLATE_BYTES_MAX = 4 * TEXT_TEMPLATE_CHARS_MAX,
    TEXT_TEMPLATE_FIELDS_MAX = 32,
    TEXT_RENDERED_CHARS_MAX = 1600,
    TEXT_FIELD_NAME_BYTES_MAX = 64,
};

/* What to do about a recipient whose row lacks a field. The order is that of the API's words. */
enum text_missing {
    TEXT_MISSING_BLOCK,   /* refuse the whole campaign */
    TEXT_MISSING_SKIP,    /* leave this recipient out, with a reason */
    TEXT_MISSING_DEFAULT, /* use the campaign's default text, or nothing */
};

struct text_piece;

struct text_template {
    const struct text_piece *pieces;
    size_t piece_count;
    const char *const *fields; /* distinct names as written, in order of appearance */
    size_t field_count;
    bool is_constant; /* no fields: render once, all recipients share the text */
};

struct text_binding;

struct text_render {
    enum text_missing missing;
    const char *default_text; /* for TEXT_MISSING_DEFAULT; NULL is "" */
    bool squeeze; /* trim, and make one of every run of blanks: a newline if it held one */
};

enum text_rendered { TEXT_RENDERED, TEXT_LEFT_OUT, TEXT_REFUSED };

/*
 * Returns the template in the arena; source is copied. An error is permanent and names the
 * character where it is, counting from 1: template_empty, template_too_long, template_bad_utf8,
 * template_unterminated, template_empty_field, template_bad_field, template_stray_braces,
 * template_too_many_fields.
 */
bool text_template_compile(const char *source, size_t len, struct arena *arena,
                           const struct text_template **out_template, struct err *err)
    __attribute__((warn_unused_result));

/*
 * Finds each field's column; the template is kept, the names are not. Fails with
 * template_unknown_field, naming the field and the columns there are.
 */
bool text_template_bind(const struct text_template *text_template, const char *const *columns,
                        size_t column_count, struct arena *arena,
                        const struct text_binding **out_binding, struct err *err)
    __attribute__((warn_unused_result));

/*
 * Overwrites *out with the text for one row; cells has column_count entries and may be NULL for a
 * constant template. Unless TEXT_RENDERED, err says why (missing_field, text_too_long, text_empty)
 * and *out is not to be used. Cells are taken to be UTF-8; text_segments() refuses what is not.
 */
enum text_rendered text_template_render(const struct text_binding *binding,
                                        const char *const *cells, const struct text_render *how,
                                        struct str *out, struct err *err)
    __attribute__((warn_unused_result));

#endif
