/*
 * eat - East Africa Time as M-Pesa writes it
 */
#include "eat.h"

#include <string.h>
#include <time.h>

#include "base/str.h"

#define OFFSET_S (3 * 3600)

void eat_format(int64_t wall_ms, char out[EAT_BYTES])
{
    time_t seconds = (time_t)(wall_ms / 1000 + OFFSET_S);
    struct tm tm;

    (void)gmtime_r(&seconds, &tm);
    (void)strftime(out, EAT_BYTES, "%Y%m%d%H%M%S", &tm);
}

static int digits(const char *text, size_t len)
{
    int value = 0;

    for (size_t i = 0; i < len; i++) {
        value = value * 10 + (text[i] - '0');
    }
    return value;
}

bool eat_parse(const char *text, int64_t *out_wall_ms)
{
    struct tm tm = { 0 };
    char again[EAT_BYTES];
    int64_t wall_ms;

    if (strlen(text) != EAT_BYTES - 1 || strspn(text, "0123456789") != EAT_BYTES - 1) {
        return false;
    }
    tm.tm_year = digits(text, 4) - 1900;
    tm.tm_mon = digits(text + 4, 2) - 1;
    tm.tm_mday = digits(text + 6, 2);
    tm.tm_hour = digits(text + 8, 2);
    tm.tm_min = digits(text + 10, 2);
    tm.tm_sec = digits(text + 12, 2);
    wall_ms = ((int64_t)timegm(&tm) - OFFSET_S) * 1000;
    eat_format(wall_ms, again);
    if (strcmp(text, again) != 0) {
        return false; /* the 31st of February was moved */
    }
    *out_wall_ms = wall_ms;
    return true;
}
