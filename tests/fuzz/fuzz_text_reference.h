/*
 * fuzz_text_reference - how many SMS a text costs, computed the slow and plain way
 *
 *     struct reference expected;
 *     if (!reference_count(text, len, &expected)) { not UTF-8 }
 *
 * For tests and fuzzing. Shares nothing with lib/text: it spells the alphabet out, writes every
 * message down unit by unit, and takes the sizes from the 140 octets of a message and the 6 of the
 * header that joins parts (3GPP TS 23.040).
 */
#ifndef TESTS_FUZZ_TEXT_REFERENCE_H
#define TESTS_FUZZ_TEXT_REFERENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define REFERENCE_CHARACTERS_MAX 8192

struct reference {
    bool gsm7;
    uint32_t units;
    uint32_t segments;
};

/* 3GPP TS 23.038, 6.2.1 row by row, and 6.2.1.1. */
static const char reference_basic[] = "@£$¥èéùìòÇ\nØø\rÅå"
                                      "Δ_ΦΓΛΩΠΨΣΘΞÆæßÉ"
                                      " !\"#¤%&'()*+,-./"
                                      "0123456789:;<=>?"
                                      "¡ABCDEFGHIJKLMNO"
                                      "PQRSTUVWXYZÄÖÑÜ§"
                                      "¿abcdefghijklmno"
                                      "pqrstuvwxyzäöñüà";
static const char reference_extension[] = "\f^{}\\[~]|€";

/* The length of the valid character at text, or 0. Overlong forms and surrogates are not valid. */
static size_t reference_utf8(const unsigned char *text, size_t len, uint32_t *out_code_point)
{
    static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
    size_t want = text[0] < 0x80             ? 1
                  : (text[0] & 0xE0) == 0xC0 ? 2
                  : (text[0] & 0xF0) == 0xE0 ? 3
                  : (text[0] & 0xF8) == 0xF0 ? 4
                                             : 0;
    uint32_t c;

    if (want == 0 || want > len || text[0] == 0) {
        return 0;
    }
    c = want == 1 ? text[0] : text[0] & (0x7FU >> want);
    for (size_t i = 1; i < want; i++) {
        if ((text[i] & 0xC0) != 0x80) {
            return 0;
        }
        c = c << 6 | (text[i] & 0x3FU);
    }
    if (c < least[want] || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF)) {
        return 0;
    }
    *out_code_point = c;
    return want;
}

static bool reference_contains(const char *set, const unsigned char *character, size_t len)
{
    for (const char *at = set; *at != '\0';) {
        uint32_t c;
        size_t n = reference_utf8((const unsigned char *)at, strlen(at), &c);

        if (n == len && memcmp(at, character, len) == 0) {
            return true;
        }
        at += n;
    }
    return false;
}

/* Fills messages of `size` units with characters of these widths; a character stays whole. */
static uint32_t reference_messages(const uint8_t *widths, size_t count, uint32_t size)
{
    uint32_t messages = 0;
    uint32_t used = size;

    for (size_t i = 0; i < count; i++) {
        if (used + widths[i] > size) {
            messages++;
            used = 0;
        }
        used += widths[i];
    }
    return messages;
}

static bool reference_count(const char *text, size_t len, struct reference *out)
{
    static uint8_t gsm7[REFERENCE_CHARACTERS_MAX], utf16[REFERENCE_CHARACTERS_MAX];
    const unsigned char *at = (const unsigned char *)text;
    size_t count = 0;
    uint32_t total;
    uint32_t unit_bits;
    const uint8_t *widths;

    out->gsm7 = true;
    for (size_t left = len; left > 0; count++) {
        uint32_t c;
        size_t n = reference_utf8(at, left, &c);

        if (n == 0 || count == REFERENCE_CHARACTERS_MAX) {
            return false;
        }
        utf16[count] = c > 0xFFFF ? 2 : 1;
        gsm7[count] = reference_contains(reference_extension, at, n) ? 2 : 1;
        if (gsm7[count] == 1 && !reference_contains(reference_basic, at, n)) {
            out->gsm7 = false;
        }
        at += n;
        left -= n;
    }
    widths = out->gsm7 ? gsm7 : utf16;
    unit_bits = out->gsm7 ? 7 : 16;
    total = 0;
    for (size_t i = 0; i < count; i++) {
        total += widths[i];
    }
    out->units = total;
    out->segments = reference_messages(widths, count, 140 * 8 / unit_bits);
    if (out->segments > 1) {
        out->segments = reference_messages(widths, count, (140 - 6) * 8 / unit_bits);
    }
    return true;
}

#endif
