/*
 * gsm7_replace - what to write instead of a character that makes a text expensive
 *
 * Letters lose their accents where the GSM alphabet lacks the accented form; typographers' marks
 * become the ones of a typewriter; marks that are not seen are dropped. Nothing is suggested that
 * would change a word into another script's, so emoji, Arabic or Amharic have no entry.
 */
#include "text/gsm7.h"

/* One-character strings, two bytes each, from U+0020. */
static const char ascii[] = /* clang-format off */
    " \0!\0\"\0#\0$\0%\0&\0'\0(\0)\0*\0+\0,\0-\0.\0/\000"
    "0\0001\0002\0003\0004\0005\0006\0007\0008\0009\0:\0;\0<\0=\0>\0\?\0"
    "@\0A\0B\0C\0D\0E\0F\0G\0H\0I\0J\0K\0L\0M\0N\0O\0"
    "P\0Q\0R\0S\0T\0U\0V\0W\0X\0Y\0Z\0[\0\\\0]\0^\0_\0"
    "`\0a\0b\0c\0d\0e\0f\0g\0h\0i\0j\0k\0l\0m\0n\0o\0"
    "p\0q\0r\0s\0t\0u\0v\0w\0x\0y\0z\0{\0|\0}\0~\0"; /* clang-format on */

/* The plain letter, or '.' for none: Latin-1 to the IPA letters that African spellings use. */
static const char latin[] = /* clang-format off */
    "AAAA....E.EEIIIID.OOOO...UUU.Y...aaa...c..ee.iiid..ooo....uu.y.y" /* U+00C0 */
    "AaAaAaCcCcCcCcDdDdEeEeEeEeEeGgGgGgGgHhHhIiIiIiIiIi..JjKkkLlLlLl." /* U+0100 */
    ".LlNnNnNn.NnOoOoOo..RrRrRrSsSsSsSsTtTtTtUuUuUuUuUuUuWwYyYZzZzZzs" /* U+0140 */
    "bB....OCcDD...EEEFfGG.IIKkl..Nn.Oo..Pp.....tTtTUu.VYyZz........." /* U+0180 */
    ".............AaIiOoUuUuUuUuUueAaAa..GgGgKkOoOo..j...Gg..NnAa...." /* U+01C0 */
    "AaAaEeEeIiIiOoOoRrRrUuUuSsTt..Hh......AaEeOoOoOoOoYy......ACcLT." /* U+0200 */
    "...B..EeJj..RrYy...bo.dd.e.e....gg.g..h.ii........n............." /* U+0240 */
    "........t..v....................................h.jr...wy......." /* U+0280 */; /* clang-format on */
#define LATIN_FIRST 0x00C0

/* Latin Extended Additional: Yoruba, Igbo, Vietnamese. */
static const char latin_more[] = /* clang-format off */
    "AaBbBbBbCcDdDdDdDdDdEeEeEeEeEeFfGgHhHhHhHhHhIiIiKkKkKkLlLlLlLlMm" /* U+1E00 */
    "MmMmNnNnNnNnOoOoOoOoPpPpRrRrRrRrSsSsSsSsSsTtTtTtTtUuUuUuUuUuVvVv" /* U+1E40 */
    "WwWwWwWwWwXxXxYyZzZzZzhtwy.s....AaAaAaAaAaAaAaAaAaAaAaAaEeEeEeEe" /* U+1E80 */
    "EeEeEeEeIiIiOoOoOoOoOoOoOoOoOoOoOoOoUuUuUuUuUuUuUuYyYyYyYy......" /* U+1EC0 */; /* clang-format on */
#define LATIN_MORE_FIRST 0x1E00

/* Full-width forms of ASCII, from '!'. */
#define FULL_WIDTH_FIRST 0xFF01
#define FULL_WIDTH_LAST 0xFF5E

/* All others, sorted. */
static const struct {
    uint32_t first, last;
    const char *text;
} marks[] = {
    { 0x0009, 0x0009, " " },   { 0x0060, 0x0060, "'" },   { 0x00A0, 0x00A0, " " },
    { 0x00A2, 0x00A2, "c" },   { 0x00A6, 0x00A6, "|" },   { 0x00A9, 0x00A9, "(c)" },
    { 0x00AA, 0x00AA, "a" },   { 0x00AB, 0x00AB, "\"" },  { 0x00AD, 0x00AD, "" },
    { 0x00AE, 0x00AE, "(R)" }, { 0x00B1, 0x00B1, "+/-" }, { 0x00B2, 0x00B2, "2" },
    { 0x00B3, 0x00B3, "3" },   { 0x00B4, 0x00B4, "'" },   { 0x00B5, 0x00B5, "u" },
    { 0x00B7, 0x00B7, "." },   { 0x00B9, 0x00B9, "1" },   { 0x00BA, 0x00BA, "o" },
    { 0x00BB, 0x00BB, "\"" },  { 0x00BC, 0x00BC, "1/4" }, { 0x00BD, 0x00BD, "1/2" },
    { 0x00BE, 0x00BE, "3/4" }, { 0x00D7, 0x00D7, "x" },   { 0x00DE, 0x00DE, "Th" },
    { 0x00F7, 0x00F7, "/" },   { 0x00FE, 0x00FE, "th" },  { 0x0132, 0x0132, "IJ" },
    { 0x0133, 0x0133, "ij" },  { 0x0149, 0x0149, "'n" },  { 0x0152, 0x0152, "OE" },
    { 0x0153, 0x0153, "oe" },  { 0x02B9, 0x02BD, "'" },   { 0x02C6, 0x02C6, "^" },
    { 0x02DC, 0x02DC, "~" },   { 0x0300, 0x036F, "" },    { 0x0391, 0x0391, "A" },
    { 0x0392, 0x0392, "B" },   { 0x0395, 0x0395, "E" },   { 0x0396, 0x0396, "Z" },
    { 0x0397, 0x0397, "H" },   { 0x0399, 0x0399, "I" },   { 0x039A, 0x039A, "K" },
    { 0x039C, 0x039C, "M" },   { 0x039D, 0x039D, "N" },   { 0x039F, 0x039F, "O" },
    { 0x03A1, 0x03A1, "P" },   { 0x03A4, 0x03A4, "T" },   { 0x03A5, 0x03A5, "Y" },
    { 0x03A7, 0x03A7, "X" },   { 0x1E9E, 0x1E9E, "ß" },   { 0x2000, 0x200A, " " },
    { 0x200B, 0x200F, "" },    { 0x2010, 0x2015, "-" },   { 0x2018, 0x2019, "'" },
    { 0x201A, 0x201A, "'" },   { 0x201B, 0x201B, "'" },   { 0x201C, 0x201F, "\"" },
    { 0x2022, 0x2022, "-" },   { 0x2023, 0x2023, "-" },   { 0x2024, 0x2024, "." },
    { 0x2025, 0x2025, ".." },  { 0x2026, 0x2026, "..." }, { 0x2028, 0x2029, "\n" },
    { 0x202A, 0x202E, "" },    { 0x202F, 0x202F, " " },   { 0x2032, 0x2032, "'" },
    { 0x2033, 0x2033, "\"" },  { 0x2035, 0x2035, "'" },   { 0x2036, 0x2036, "\"" },
    { 0x2039, 0x2039, "'" },   { 0x203A, 0x203A, "'" },   { 0x203C, 0x203C, "!!" },
    { 0x2044, 0x2044, "/" },   { 0x2047, 0x2047, "??" },  { 0x2048, 0x2048, "?!" },
    { 0x2049, 0x2049, "!?" },  { 0x205F, 0x205F, " " },   { 0x2060, 0x2064, "" },
    { 0x2070, 0x2070, "0" },   { 0x2074, 0x2074, "4" },   { 0x2075, 0x2075, "5" },
    { 0x2076, 0x2076, "6" },   { 0x2077, 0x2077, "7" },   { 0x2078, 0x2078, "8" },
    { 0x2079, 0x2079, "9" },   { 0x2080, 0x2080, "0" },   { 0x2081, 0x2081, "1" },
    { 0x2082, 0x2082, "2" },   { 0x2083, 0x2083, "3" },   { 0x2084, 0x2084, "4" },
    { 0x2085, 0x2085, "5" },   { 0x2086, 0x2086, "6" },   { 0x2087, 0x2087, "7" },
    { 0x2088, 0x2088, "8" },   { 0x2089, 0x2089, "9" },   { 0x20A4, 0x20A4, "£" },
    { 0x20A6, 0x20A6, "N" },   { 0x20A8, 0x20A8, "Rs" },  { 0x20B5, 0x20B5, "c" },
    { 0x20B9, 0x20B9, "Rs" },  { 0x2116, 0x2116, "No" },  { 0x2122, 0x2122, "(TM)" },
    { 0x2126, 0x2126, "Ω" },   { 0x212A, 0x212A, "K" },   { 0x212B, 0x212B, "Å" },
    { 0x2153, 0x2153, "1/3" }, { 0x2154, 0x2154, "2/3" }, { 0x2190, 0x2190, "<-" },
    { 0x2192, 0x2192, "->" },  { 0x2194, 0x2194, "<->" }, { 0x21D0, 0x21D0, "<=" },
    { 0x21D2, 0x21D2, "=>" },  { 0x2206, 0x2206, "Δ" },   { 0x2212, 0x2212, "-" },
    { 0x2215, 0x2215, "/" },   { 0x2217, 0x2217, "*" },   { 0x2219, 0x2219, "." },
    { 0x2248, 0x2248, "~" },   { 0x2260, 0x2260, "!=" },  { 0x2264, 0x2264, "<=" },
    { 0x2265, 0x2265, ">=" },  { 0x22C5, 0x22C5, "." },   { 0x25AA, 0x25AA, "-" },
    { 0x25CF, 0x25CF, "-" },   { 0x2605, 0x2605, "*" },   { 0x2606, 0x2606, "*" },
    { 0x3000, 0x3000, " " },   { 0xFB00, 0xFB00, "ff" },  { 0xFB01, 0xFB01, "fi" },
    { 0xFB02, 0xFB02, "fl" },  { 0xFB03, 0xFB03, "ffi" }, { 0xFB04, 0xFB04, "ffl" },
    { 0xFE00, 0xFE0F, "" },    { 0xFEFF, 0xFEFF, "" },    { 0xFF40, 0xFF40, "'" },
};

static const char *one_character(char c)
{
    return ascii + 2 * (size_t)(c - ' ');
}

static const char *letter(char base)
{
    return base == '.' ? NULL : one_character(base);
}

static const char *find_mark(uint32_t code_point)
{
    size_t low = 0;
    size_t high = sizeof(marks) / sizeof(marks[0]);

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (code_point < marks[middle].first) {
            high = middle;
        } else if (code_point > marks[middle].last) {
            low = middle + 1;
        } else {
            return marks[middle].text;
        }
    }
    return NULL;
}

const char *text_replacement(uint32_t code_point)
{
    const char *mark = find_mark(code_point);

    if (mark != NULL) {
        return mark;
    }
    if (code_point - LATIN_FIRST < sizeof(latin) - 1) {
        return letter(latin[code_point - LATIN_FIRST]);
    }
    if (code_point - LATIN_MORE_FIRST < sizeof(latin_more) - 1) {
        return letter(latin_more[code_point - LATIN_MORE_FIRST]);
    }
    if (code_point >= FULL_WIDTH_FIRST && code_point <= FULL_WIDTH_LAST) {
        return one_character((char)(code_point - FULL_WIDTH_FIRST + '!'));
    }
    return NULL;
}
