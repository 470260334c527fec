/*
 * parts - how many SMS a text takes
 */
#include "parts.h"

#include <stdbool.h>
#include <stdint.h>

#define GSM_SINGLE 160
#define GSM_PART 153
#define UCS_SINGLE 70
#define UCS_PART 67

/* Characters of the default alphabet beyond ASCII. */
static const uint16_t gsm_basic[] = {
    0xA3,  0xA5,  0xE8,  0xE9,  0xF9,  0xEC,  0xF2,  0xC7,  0xD8,  0xF8, 0xC5, 0xE5, 0x394,
    0x3A6, 0x393, 0x39B, 0x3A9, 0x3A0, 0x3A8, 0x3A3, 0x398, 0x39E, 0xC6, 0xE6, 0xDF, 0xC9,
    0xA4,  0xA1,  0xC4,  0xD6,  0xD1,  0xDC,  0xA7,  0xBF,  0xE4,  0xF6, 0xF1, 0xFC, 0xE0,
};

/* Septets of a character in GSM-7, 0 when it has none. */
static int gsm_septets(uint32_t c)
{
    if (c < 0x80) {
        switch (c) {
        case '^':
        case '{':
        case '}':
        case '[':
        case ']':
        case '~':
        case '\\':
        case '|':
        case '\f':
            return 2;
        case '`':
        case 0x7F:
            return 0;
        default:
            return c >= ' ' || c == '\n' || c == '\r' ? 1 : 0;
        }
    }
    if (c == 0x20AC) {
        return 2;
    }
    for (size_t i = 0; i < sizeof(gsm_basic) / sizeof(gsm_basic[0]); i++) {
        if (gsm_basic[i] == c) {
            return 1;
        }
    }
    return 0;
}

static uint32_t next_character(const unsigned char **at, const unsigned char *end)
{
    const unsigned char *p = *at;
    int more = *p >= 0xF0 ? 3 : *p >= 0xE0 ? 2 : *p >= 0xC0 ? 1 : 0;
    uint32_t c = more == 3 ? *p & 7U : more == 2 ? *p & 15U : more == 1 ? *p & 31U : *p;

    (*at)++;
    for (int i = 1; i <= more; i++) {
        if (p + i >= end || (p[i] & 0xC0) != 0x80) {
            return *p;
        }
        c = (c << 6) | (p[i] & 63U);
    }
    *at += more;
    return c;
}

static bool is_gsm(const unsigned char *at, const unsigned char *end)
{
    while (at < end) {
        if (gsm_septets(next_character(&at, end)) == 0) {
            return false;
        }
    }
    return true;
}

int parts_count(const char *text, size_t len)
{
    const unsigned char *at = (const unsigned char *)text;
    const unsigned char *end = at + len;
    bool gsm = is_gsm(at, end);
    int part_size = gsm ? GSM_PART : UCS_PART;
    int total = 0;
    int parts = 1;
    int filled = 0;

    while (at < end) {
        uint32_t c = next_character(&at, end);
        int units = gsm ? gsm_septets(c) : c > 0xFFFF ? 2 : 1;

        total += units;
        if (filled + units > part_size) {
            parts++;
            filled = 0;
        }
        filled += units;
    }
    return total <= (gsm ? GSM_SINGLE : UCS_SINGLE) ? 1 : parts;
}
