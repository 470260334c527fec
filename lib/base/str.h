/*
 * str - a growable byte string
 *
 *     struct str out = { 0 };
 *     str_printf(&out, "%s=%d", key, value);
 *     send(fd, out.bytes, out.len, 0);
 *     str_reset(&out);            // keeps the memory for the next use
 *     str_free(&out);
 *
 * bytes is NUL-terminated whenever it is not NULL. Growth never fails: out of memory panics.
 * The few parsers of plain text that several layers need live here too.
 */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct str {
    char *bytes;
    size_t len;
    size_t size; /* allocated */
};

void str_append(struct str *str, const void *bytes, size_t len);
void str_puts(struct str *str, const char *text);
void str_putc(struct str *str, char c);
void str_printf(struct str *str, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void str_vprintf(struct str *str, const char *fmt, va_list args)
    __attribute__((format(printf, 2, 0)));

/*
 * Makes room for len more bytes and returns where to write them; then add to str->len. All len
 * bytes written, the text ends in NUL already; after fewer, put the NUL there yourself.
 */
char *str_room(struct str *str, size_t len);

/* Appends a byte as it stands in a text or attribute of XML or HTML: & < > " and ' escaped. */
void str_put_markup(struct str *str, char c);

/* Appends the decimal digits of value; several times faster than str_printf. */
void str_put_int(struct str *str, int64_t value);

void str_reset(struct str *str);
void str_free(struct str *str);

/* Whole text is a decimal integer within [min, max]; anything else is false. */
bool str_parse_int(const char *text, int64_t min, int64_t max, int64_t *out_value);

/* Same, for len bytes that need not end in NUL. */
bool str_parse_int_n(const char *text, size_t len, int64_t min, int64_t max, int64_t *out_value);

/* Valid UTF-8 without NUL, surrogates or overlong forms. */
bool str_is_utf8(const char *bytes, size_t len);

/* Length (1 to 4) of the character that the len bytes begin with, by the same rules; 0 for none. */
size_t str_utf8_char(const char *bytes, size_t len);

#endif
