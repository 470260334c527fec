/*
 * str - a growable byte string
 *
 * The memory doubles as it grows and always has a byte for the NUL beyond what was asked for.
 */
#include "base/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/panic.h"

#define FIRST_BYTES 64

static void grow(struct str *str, size_t want)
{
    size_t size = str->size < FIRST_BYTES ? FIRST_BYTES : str->size;

    while (size < want) {
        if (__builtin_mul_overflow(size, 2, &size)) {
            size = want;
        }
    }
    char *bytes = realloc(str->bytes, size);
    if (bytes == NULL) {
        panic("out of memory for a string of %zu bytes", size);
    }
    str->bytes = bytes;
    str->size = size;
}

char *str_room(struct str *str, size_t len)
{
    size_t end;
    size_t want;

    if (__builtin_add_overflow(str->len, len, &end) || __builtin_add_overflow(end, 1, &want)) {
        panic("string of %zu + %zu bytes", str->len, len);
    }
    if (want > str->size) {
        grow(str, want);
    }
    str->bytes[str->len] = '\0';
    str->bytes[end] = '\0';
    return str->bytes + str->len;
}

void str_append(struct str *str, const void *bytes, size_t len)
{
    char *to = str_room(str, len);

    if (len > 0) {
        memcpy(to, bytes, len);
        str->len += len;
    }
}

void str_puts(struct str *str, const char *text)
{
    str_append(str, text, strlen(text));
}

void str_putc(struct str *str, char c)
{
    *str_room(str, 1) = c;
    str->len++;
}

void str_put_markup(struct str *str, char c)
{
    switch (c) {
    case '&':
        str_puts(str, "&amp;");
        break;
    case '<':
        str_puts(str, "&lt;");
        break;
    case '>':
        str_puts(str, "&gt;");
        break;
    case '"':
        str_puts(str, "&quot;");
        break;
    case '\'':
        str_puts(str, "&#39;");
        break;
    default:
        str_putc(str, c);
        break;
    }
}

void str_vprintf(struct str *str, const char *fmt, va_list args)
{
    va_list again;

    va_copy(again, args);
    char *to = str_room(str, FIRST_BYTES);
    size_t free_bytes = str->size - str->len;
    int len = vsnprintf(to, free_bytes, fmt, args);
    if (len < 0) {
        panic("cannot format '%s'", fmt);
    }
    if ((size_t)len >= free_bytes) {
        to = str_room(str, (size_t)len);
        if (vsnprintf(to, (size_t)len + 1, fmt, again) != len) {
            panic("'%s' changed while it was formatted", fmt);
        }
    }
    va_end(again);
    str->len += (size_t)len;
}

void str_printf(struct str *str, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    str_vprintf(str, fmt, args);
    va_end(args);
}

void str_put_int(struct str *str, int64_t value)
{
    char digits[20]; /* "-9223372036854775808" */
    char *at = digits + sizeof(digits);
    uint64_t left = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;

    do {
        *--at = (char)('0' + left % 10);
        left /= 10;
    } while (left > 0);
    if (value < 0) {
        *--at = '-';
    }
    str_append(str, at, (size_t)(digits + sizeof(digits) - at));
}

void str_reset(struct str *str)
{
    str->len = 0;
    if (str->bytes != NULL) {
        str->bytes[0] = '\0';
    }
}

void str_free(struct str *str)
{
    free(str->bytes);
    *str = (struct str){ 0 };
}

bool str_parse_int_n(const char *text, size_t len, int64_t min, int64_t max, int64_t *out_value)
{
    bool negative = len > 0 && text[0] == '-';
    int64_t value = 0;

    if (len == (negative ? 1 : 0)) {
        return false;
    }
    /* Counts downwards, because the range below zero is the larger one. */
    for (size_t i = negative ? 1 : 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9' || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_sub_overflow(value, text[i] - '0', &value)) {
            return false;
        }
    }
    if (!negative && __builtin_sub_overflow(0, value, &value)) {
        return false;
    }
    if (value < min || value > max) {
        return false;
    }
    *out_value = value;
    return true;
}

bool str_parse_int(const char *text, int64_t min, int64_t max, int64_t *out_value)
{
    return text != NULL && str_parse_int_n(text, strlen(text), min, max, out_value);
}

/* The forms of RFC 3629, section 4. */
size_t str_utf8_char(const char *bytes, size_t len)
{
    const unsigned char *at = (const unsigned char *)bytes;
    unsigned char low = 0x80;
    unsigned char high = 0xbf;
    size_t size;

    if (len == 0 || at[0] == 0) {
        return 0;
    }
    if (at[0] < 0x80) {
        return 1;
    }
    if (at[0] >= 0xc2 && at[0] <= 0xdf) {
        size = 2;
    } else if (at[0] >= 0xe0 && at[0] <= 0xef) {
        size = 3;
        low = at[0] == 0xe0 ? 0xa0 : low;   /* overlong below */
        high = at[0] == 0xed ? 0x9f : high; /* surrogates above */
    } else if (at[0] >= 0xf0 && at[0] <= 0xf4) {
        size = 4;
        low = at[0] == 0xf0 ? 0x90 : low;
        high = at[0] == 0xf4 ? 0x8f : high; /* beyond U+10FFFF */
    } else {
        return 0;
    }
    if (len < size || at[1] < low || at[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < size; i++) {
        if (at[i] < 0x80 || at[i] > 0xbf) {
            return 0;
        }
    }
    return size;
}

bool str_is_utf8(const char *bytes, size_t len)
{
    size_t at = 0;

    while (at < len) {
        uint64_t word;
        if (len - at >= sizeof(word)) {
            /* Eight plain letters at a time: no high bit, and no byte that is zero. */
            memcpy(&word, bytes + at, sizeof(word));
            if (((word | (word - 0x0101010101010101U)) & 0x8080808080808080U) == 0) {
                at += sizeof(word);
                continue;
            }
        }
        size_t size = str_utf8_char(bytes + at, len - at);
        if (size == 0) {
            return false;
        }
        at += size;
    }
    return true;
}
