/*
 * utf8 - one character at a time, for this layer's own loops
 *
 *     const unsigned char *at = text, *end = text + len;
 *     while (at < end) {
 *         uint32_t code_point = utf8_next(&at, end);
 *         if (code_point == UTF8_BAD) ...
 *     }
 *
 * Strict: no overlong forms, surrogates, values past U+10FFFF, and no NUL.
 */
#ifndef TEXT_UTF8_H
#define TEXT_UTF8_H

#include <stddef.h>
#include <stdint.h>

#define UTF8_BAD UINT32_MAX

/* The character at *at, which is before end; moves *at past it, unless it is bad. */
static inline uint32_t utf8_next(const unsigned char **at, const unsigned char *end)
{
    const unsigned char *p = *at;
    size_t left = (size_t)(end - p);
    uint32_t c = p[0];

    if (c < 0x80) {
        *at = p + 1;
        return c == 0 ? UTF8_BAD : c;
    }
    if (c < 0xE0) {
        if (c < 0xC2 || left < 2 || (p[1] & 0xC0) != 0x80) {
            return UTF8_BAD;
        }
        *at = p + 2;
        return (c & 0x1F) << 6 | (p[1] & 0x3FU);
    }
    if (c < 0xF0) {
        if (left < 3 || (p[1] & 0xC0) != 0x80 || (p[2] & 0xC0) != 0x80) {
            return UTF8_BAD;
        }
        c = (c & 0x0F) << 12 | (p[1] & 0x3FU) << 6 | (p[2] & 0x3FU);
        if (c < 0x800 || (c >= 0xD800 && c <= 0xDFFF)) {
            return UTF8_BAD;
        }
        *at = p + 3;
        return c;
    }
    if (c > 0xF4 || left < 4 || (p[1] & 0xC0) != 0x80 || (p[2] & 0xC0) != 0x80 ||
        (p[3] & 0xC0) != 0x80) {
        return UTF8_BAD;
    }
    c = (c & 0x07) << 18 | (p[1] & 0x3FU) << 12 | (p[2] & 0x3FU) << 6 | (p[3] & 0x3FU);
    if (c < 0x10000 || c > 0x10FFFF) {
        return UTF8_BAD;
    }
    *at = p + 4;
    return c;
}

#endif
