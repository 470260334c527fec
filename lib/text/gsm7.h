/*
 * gsm7 - how many SMS a text costs, and why
 *
 * A text that fits the GSM alphabet (3GPP TS 23.038) takes 7 bits a character; one character
 * outside it turns the whole text into UCS-2, 16 bits each. A longer text is sent in parts, each
 * smaller than a single message by the header that joins them (3GPP TS 23.040).
 *
 *     struct text_count count;
 *     if (!text_segments(text, len, &count)) { not UTF-8 }
 *     tokens += count.segments;                  // 1 segment = 1 token
 *
 *     struct text_report report;                 // slower: names the costly characters
 *     text_inspect(text, len, &report);
 *     if (report.odd_count > 0) "U+2019 costs 3 instead of 2; replace it with '"
 *
 * Count the raw rendered text, never an encoded form of it. CR LF is two characters. ^ { } [ ] ~ \
 * | EUR and form feed take two septets in GSM-7 and one unit in UCS-2. Neither an escape pair nor a
 * surrogate pair is ever split over two parts, so a full part may be one unit short.
 */
#ifndef TEXT_GSM7_H
#define TEXT_GSM7_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

enum text_encoding { TEXT_GSM7, TEXT_UCS2 };

struct text_count {
    enum text_encoding encoding;
    uint32_t units;    /* septets, or UTF-16 code units */
    uint32_t segments; /* what is billed; 0 for the empty text */
};

/* Units that fit one message, and one part of several. Data, because some networks differ. */
struct text_sizes {
    uint16_t gsm7_single, gsm7_part;
    uint16_t ucs2_single, ucs2_part;
};

/* 160, 153, 70, 67. */
extern const struct text_sizes text_sizes_standard;

/* False when the text is not valid UTF-8 or contains NUL. About 1 ns a character of ASCII. */
bool text_segments(const char *text, size_t len, struct text_count *out_count)
    __attribute__((warn_unused_result));

/* The same for a network with other sizes; each size is at least 2. */
bool text_segments_sized(const char *text, size_t len, const struct text_sizes *sizes,
                         struct text_count *out_count) __attribute__((warn_unused_result));

/* Units beyond what one segment fewer holds; 0 when it is one segment. */
uint32_t text_over(const struct text_count *count);

/* From 1 to this many units over, a few words fewer would have saved a segment. */
#define TEXT_JUST_OVER 10

/* A character that is not in the GSM alphabet. */
struct text_odd {
    uint32_t code_point;
    uint32_t count;          /* how often it occurs */
    uint32_t first_at;       /* index of its first occurrence, in characters from 0 */
    char utf8[5];            /* the character itself, NUL-terminated */
    const char *replacement; /* GSM-7 text that says the same, "" to drop it, NULL for none */
};

#define TEXT_ODD_MAX 16 /* enough to show a person; a text in another script has more */

struct text_report {
    struct text_count count;
    uint32_t characters; /* code points */
    size_t odd_count;    /* entries in odd, by first occurrence; 0 for a GSM-7 text */
    bool odd_more;       /* there were more distinct ones than fit */
    struct text_odd odd[TEXT_ODD_MAX];
    bool replaceable; /* every odd character has a replacement */
    /* The count in GSM-7 with every replacement made, one septet for a character without one. */
    struct text_count replaced;
};

/* False when the text is not valid UTF-8 or contains NUL. */
bool text_inspect(const char *text, size_t len, struct text_report *out_report)
    __attribute__((warn_unused_result));

/* The suggested replacement of one character: GSM-7 text, "" to drop it, NULL for none. */
const char *text_replacement(uint32_t code_point);

/*
 * Appends the text, with every suggested replacement made if that brings it into GSM-7: then it
 * returns true. Otherwise the text is appended as it is, since replacing some would gain nothing.
 * Never done without the sender's consent: it changes what is said.
 */
bool text_simplify(const char *text, size_t len, struct str *out);

#endif
