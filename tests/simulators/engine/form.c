/*
 * form - application/x-www-form-urlencoded, both ways
 */
#include "engine/form.h"

#include <string.h>

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decodes [from, end) in place and ends it in NUL. A broken escape stands for itself. */
static void decode(char *from, char *end)
{
    char *to = from;

    while (from < end) {
        if (*from == '%' && end - from > 2 && hex_digit(from[1]) >= 0 && hex_digit(from[2]) >= 0) {
            *to++ = (char)(hex_digit(from[1]) * 16 + hex_digit(from[2]));
            from += 3;
        } else {
            char c = *from++;

            if (c == '+') {
                c = ' ';
            }
            *to++ = c;
        }
    }
    *to = '\0';
}

bool form_next(struct form *form, char **out_name, char **out_value)
{
    char *name = form->next;
    char *end;
    char *equals;

    if (name == NULL || name >= form->end) {
        return false;
    }
    end = memchr(name, '&', (size_t)(form->end - name));
    form->next = end == NULL ? form->end : end + 1;
    if (end == NULL) {
        end = form->end;
    }
    equals = memchr(name, '=', (size_t)(end - name));
    if (equals == NULL) {
        equals = end;
        *out_value = end;
    } else {
        *out_value = equals + 1;
    }
    decode(*out_value, end);
    decode(name, equals);
    *out_name = name;
    return true;
}

static bool is_plain(unsigned char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' ||
           c == '_' || c == '.' || c == '*';
}

void form_put(struct str *out, const char *name, const char *value)
{
    static const char digits[] = "0123456789ABCDEF";

    if (out->len > 0) {
        str_putc(out, '&');
    }
    str_puts(out, name);
    str_putc(out, '=');
    for (const char *at = value; *at != '\0'; at++) {
        unsigned char c = (unsigned char)*at;

        if (is_plain(c)) {
            str_putc(out, *at);
        } else if (c == ' ') {
            str_putc(out, '+');
        } else {
            str_append(out, (char[]){ '%', digits[c >> 4], digits[c & 15] }, 3);
        }
    }
}
