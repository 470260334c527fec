/*
 * gsm7 - how many SMS a text costs, and why
 *
 * Most texts are ASCII, so the common case is one table look-up a byte and no decoding. All others
 * go through two packers at once, one per encoding, because which one counts is known at the end
 * only. A packer fills parts as the sender's side does: what does not fit whole starts the next.
 */
#include "text/gsm7.h"

#include <assert.h>
#include <string.h>

#include "text/utf8.h"

const struct text_sizes text_sizes_standard = {
    .gsm7_single = 160,
    .gsm7_part = 153,
    .ucs2_single = 70,
    .ucs2_part = 67,
};

/*
 * Septets of the characters below U+0100, from 3GPP TS 23.038, 6.2.1 and 6.2.1.1; 0 is not in the
 * alphabet. The capital C with cedilla is, the small one is not. Escape (0x1B) is no character.
 */
static const uint8_t latin_septets[256] = {
    ['\n'] = 1,          ['\f'] = 2, ['\r'] = 1, [' ' ... 'Z'] = 1, ['['] = 2, ['\\'] = 2,
    [']'] = 2,           ['^'] = 2,  ['_'] = 1,  ['a' ... 'z'] = 1, ['{'] = 2, ['|'] = 2,
    ['}'] = 2,           ['~'] = 2,  [0xA1] = 1, /* inverted exclamation mark */
    [0xA3 ... 0xA5] = 1,                         /* pound, currency, yen */
    [0xA7] = 1,                                  /* section */
    [0xBF] = 1,                                  /* inverted question mark */
    [0xC4 ... 0xC7] = 1,                         /* A diaeresis, A ring, AE, C cedilla */
    [0xC9] = 1,                                  /* E acute */
    [0xD1] = 1,                                  /* N tilde */
    [0xD6] = 1,                                  /* O diaeresis */
    [0xD8] = 1,                                  /* O stroke */
    [0xDC] = 1,                                  /* U diaeresis */
    [0xDF ... 0xE0] = 1,                         /* sharp s, a grave */
    [0xE4 ... 0xE6] = 1,                         /* a diaeresis, a ring, ae */
    [0xE8 ... 0xE9] = 1,                         /* e grave, e acute */
    [0xEC] = 1,                                  /* i grave */
    [0xF1 ... 0xF2] = 1,                         /* n tilde, o grave */
    [0xF6] = 1,                                  /* o diaeresis */
    [0xF8 ... 0xF9] = 1,                         /* o stroke, u grave */
    [0xFC] = 1,                                  /* u diaeresis */
};

/* Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega: a bit each, from U+0390. */
#define GREEK_FIRST 0x0390U
static const uint32_t greek_capitals = 1U << 0x03 | 1U << 0x04 | 1U << 0x08 | 1U << 0x0B |
                                       1U << 0x0E | 1U << 0x10 | 1U << 0x13 | 1U << 0x16 |
                                       1U << 0x18 | 1U << 0x19;
#define EURO_SIGN 0x20ACU

/* 1 or 2, or 0 when the character is not in the GSM alphabet. */
static inline uint32_t septets_of(uint32_t code_point)
{
    if (code_point < 256) {
        return latin_septets[code_point];
    }
    if (code_point - GREEK_FIRST < 32) {
        return greek_capitals >> (code_point - GREEK_FIRST) & 1;
    }
    return code_point == EURO_SIGN ? 2 : 0;
}

/* The parts of a text while it is read, should it turn out to need several. */
struct packer {
    uint32_t part_size;
    uint32_t units;
    uint32_t room; /* left in the last part */
    uint32_t parts;
};

static inline void pack(struct packer *packer, uint32_t width)
{
    packer->units += width;
    if (width > packer->room) {
        packer->parts++;
        packer->room = packer->part_size;
    }
    packer->room -= width;
}

static struct text_count packed(const struct packer *packer, enum text_encoding encoding,
                                uint32_t single)
{
    return (struct text_count){
        .encoding = encoding,
        .units = packer->units,
        .segments = packer->units <= single ? packer->units > 0 : packer->parts,
    };
}

/* Any text; decodes it. */
static bool count_decoded(const char *text, size_t len, const struct text_sizes *sizes,
                          struct text_count *out_count)
{
    const unsigned char *at = (const unsigned char *)text;
    const unsigned char *end = at + len;
    struct packer gsm7 = { .part_size = sizes->gsm7_part };
    struct packer ucs2 = { .part_size = sizes->ucs2_part };
    bool is_gsm7 = true;

    while (at < end) {
        uint32_t code_point = utf8_next(&at, end);

        if (code_point == UTF8_BAD) {
            return false;
        }
        if (is_gsm7) {
            uint32_t septets = septets_of(code_point);

            is_gsm7 = septets > 0;
            pack(&gsm7, septets);
        }
        pack(&ucs2, code_point > 0xFFFF ? 2 : 1);
    }
    *out_count = is_gsm7 ? packed(&gsm7, TEXT_GSM7, sizes->gsm7_single)
                         : packed(&ucs2, TEXT_UCS2, sizes->ucs2_single);
    return true;
}

/* A text of GSM characters below U+0080 that is longer than one message and has escapes. */
static uint32_t parts_with_escapes(const unsigned char *text, size_t len, uint32_t part_size)
{
    struct packer packer = { .part_size = part_size };

    for (size_t i = 0; i < len; i++) {
        pack(&packer, latin_septets[text[i]]);
    }
    return packer.parts;
}

bool text_segments_sized(const char *text, size_t len, const struct text_sizes *sizes,
                         struct text_count *out_count)
{
    const unsigned char *bytes = (const unsigned char *)text;
    uint32_t septets = 0;
    uint32_t odd = 0;

    assert(len < UINT32_MAX / 2);
    for (size_t i = 0; i < len; i++) {
        uint32_t width = latin_septets[bytes[i]];

        septets += width;
        odd |= bytes[i] & 0x80U;
        odd |= width == 0;
    }
    if (odd != 0) {
        return count_decoded(text, len, sizes, out_count);
    }
    out_count->encoding = TEXT_GSM7;
    out_count->units = septets;
    if (septets <= sizes->gsm7_single) {
        out_count->segments = septets > 0;
    } else if (septets == len) {
        out_count->segments = (septets + sizes->gsm7_part - 1) / sizes->gsm7_part;
    } else {
        out_count->segments = parts_with_escapes(bytes, len, sizes->gsm7_part);
    }
    return true;
}

bool text_segments(const char *text, size_t len, struct text_count *out_count)
{
    return text_segments_sized(text, len, &text_sizes_standard, out_count);
}

uint32_t text_over(const struct text_count *count)
{
    const struct text_sizes *sizes = &text_sizes_standard;
    uint32_t fits;

    if (count->segments < 2) {
        return 0;
    }
    if (count->segments == 2) {
        fits = count->encoding == TEXT_GSM7 ? sizes->gsm7_single : sizes->ucs2_single;
    } else {
        fits = (count->segments - 1) *
               (count->encoding == TEXT_GSM7 ? sizes->gsm7_part : sizes->ucs2_part);
    }
    /* Pairs that may not be split leave parts a unit short: then it fits, and yet does not. */
    return count->units > fits ? count->units - fits : 1;
}

/* Notes one character outside the alphabet; returns its replacement or NULL. */
static const char *note_odd(struct text_report *report, uint32_t code_point,
                            const unsigned char *utf8, size_t utf8_len)
{
    struct text_odd *odd;

    for (size_t i = 0; i < report->odd_count; i++) {
        if (report->odd[i].code_point == code_point) {
            report->odd[i].count++;
            return report->odd[i].replacement;
        }
    }
    if (report->odd_count == TEXT_ODD_MAX) {
        report->odd_more = true;
        return text_replacement(code_point);
    }
    odd = &report->odd[report->odd_count++];
    odd->code_point = code_point;
    odd->count = 1;
    odd->first_at = report->characters;
    memcpy(odd->utf8, utf8, utf8_len);
    odd->utf8[utf8_len] = '\0';
    odd->replacement = text_replacement(code_point);
    return odd->replacement;
}

/* Packs a replacement, which is GSM-7 and mostly ASCII. */
static void pack_replacement(struct packer *packer, const char *replacement)
{
    const unsigned char *at = (const unsigned char *)replacement;
    const unsigned char *end = at + strlen(replacement);

    while (at < end) {
        pack(packer, septets_of(utf8_next(&at, end)));
    }
}

bool text_inspect(const char *text, size_t len, struct text_report *out_report)
{
    const unsigned char *at = (const unsigned char *)text;
    const unsigned char *end = at + len;
    struct packer replaced = { .part_size = text_sizes_standard.gsm7_part };
    struct text_report report = { .replaceable = true };

    if (!text_segments(text, len, &report.count)) {
        return false;
    }
    for (const unsigned char *from = at; at < end; from = at, report.characters++) {
        uint32_t code_point = utf8_next(&at, end);
        uint32_t septets = septets_of(code_point);
        const char *replacement;

        if (septets > 0) {
            pack(&replaced, septets);
            continue;
        }
        replacement = note_odd(&report, code_point, from, (size_t)(at - from));
        if (replacement == NULL) {
            report.replaceable = false;
            pack(&replaced, 1);
        } else {
            pack_replacement(&replaced, replacement);
        }
    }
    report.replaced = packed(&replaced, TEXT_GSM7, text_sizes_standard.gsm7_single);
    *out_report = report;
    return true;
}

bool text_simplify(const char *text, size_t len, struct str *out)
{
    const unsigned char *at = (const unsigned char *)text;
    const unsigned char *end = at + len;
    size_t start = out->len;

    for (const unsigned char *from = at; at < end; from = at) {
        uint32_t code_point = utf8_next(&at, end);
        const char *replacement;

        if (code_point != UTF8_BAD && septets_of(code_point) > 0) {
            str_append(out, from, (size_t)(at - from));
            continue;
        }
        replacement = code_point == UTF8_BAD ? NULL : text_replacement(code_point);
        if (replacement == NULL) {
            out->len = start;
            str_append(out, text, len);
            return false;
        }
        str_puts(out, replacement);
    }
    return true;
}
