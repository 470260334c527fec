/*
 * clock - the only place that asks what time it is
 *
 * Days are turned into dates and back by Howard Hinnant's arithmetic (days_from_civil), which
 * needs neither tables nor the C library's time zones.
 */
#include "base/clock.h"

#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "base/panic.h"

#define MS_PER_DAY ((int64_t)86400000)
#define MS_PER_MINUTE 60000
#define FIRST_MS ((int64_t)-62167219200000) /* 0000-01-01T00:00:00.000Z */
#define LAST_MS ((int64_t)253402300799999)  /* 9999-12-31T23:59:59.999Z */

static _Atomic int64_t now_offset_ms;

static struct timespec read_clock(clockid_t id)
{
    struct timespec now;

    if (clock_gettime(id, &now) != 0) {
        panic("clock_gettime failed");
    }
    return now;
}

int64_t clock_now_ms(void)
{
    struct timespec now = read_clock(CLOCK_REALTIME);

    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 +
           atomic_load_explicit(&now_offset_ms, memory_order_relaxed);
}

int64_t clock_mono_ms(void)
{
    return clock_mono_us() / 1000;
}

int64_t clock_mono_us(void)
{
    struct timespec now = read_clock(CLOCK_MONOTONIC);

    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

void clock_set_offset_ms(int64_t offset_ms)
{
    atomic_store_explicit(&now_offset_ms, offset_ms, memory_order_relaxed);
}

void clock_sleep_ms(int64_t ms)
{
    if (ms > 0) {
        struct timespec wait = { .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 };
        /* An interrupted sleep is an early return, as promised. */
        (void)nanosleep(&wait, NULL);
    }
}

static int64_t days_from_date(int year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

    return era * 146097 + day_of_era - 719468;
}

static void date_from_days(int64_t days, int *out_year, int *out_month, int *out_day)
{
    int64_t z = days + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t day_of_era = z - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t shifted = (5 * day_of_year + 2) / 153;

    *out_day = (int)(day_of_year - (153 * shifted + 2) / 5 + 1);
    *out_month = (int)(shifted < 10 ? shifted + 3 : shifted - 9);
    *out_year = (int)(year_of_era + era * 400 + (*out_month <= 2 ? 1 : 0));
}

static void put_digits(char *at, int count, int value)
{
    for (int i = count - 1; i >= 0; i--) {
        at[i] = (char)('0' + value % 10);
        value /= 10;
    }
}

void clock_format(int64_t ms, char out[CLOCK_RFC3339_BYTES])
{
    int year;
    int month;
    int day;

    if (ms < FIRST_MS || ms > LAST_MS) {
        ms = ms < FIRST_MS ? FIRST_MS : LAST_MS;
    }
    int64_t days = (ms >= 0 ? ms : ms - (MS_PER_DAY - 1)) / MS_PER_DAY;
    int rest = (int)(ms - days * MS_PER_DAY);
    date_from_days(days, &year, &month, &day);

    memcpy(out, "0000-00-00T00:00:00.000Z", CLOCK_RFC3339_BYTES);
    put_digits(out, 4, year);
    put_digits(out + 5, 2, month);
    put_digits(out + 8, 2, day);
    put_digits(out + 11, 2, rest / 3600000);
    put_digits(out + 14, 2, rest / MS_PER_MINUTE % 60);
    put_digits(out + 17, 2, rest / 1000 % 60);
    put_digits(out + 20, 3, rest % 1000);
}

/* Takes exactly count digits off the front. */
static bool take_digits(const char **at, const char *end, int count, int *out_value)
{
    int value = 0;

    if (end - *at < count) {
        return false;
    }
    for (int i = 0; i < count; i++) {
        char c = (*at)[i];
        if (c < '0' || c > '9') {
            return false;
        }
        value = value * 10 + (c - '0');
    }
    *at += count;
    *out_value = value;
    return true;
}

static bool take_char(const char **at, const char *end, char c, char other)
{
    if (*at == end || (**at != c && **at != other)) {
        return false;
    }
    (*at)++;
    return true;
}

/* ".031" to 31; digits past the milliseconds are dropped. No fraction is 0. */
static bool take_fraction(const char **at, const char *end, int *out_ms)
{
    int scale = 100;

    *out_ms = 0;
    if (!take_char(at, end, '.', '.')) {
        return true;
    }
    if (*at == end || **at < '0' || **at > '9') {
        return false;
    }
    for (; *at < end && **at >= '0' && **at <= '9'; (*at)++) {
        *out_ms += (**at - '0') * scale;
        scale /= 10;
    }
    return true;
}

/* "Z", "+03:00" or "-00:30" in minutes east. */
static bool take_zone(const char **at, const char *end, int *out_minutes)
{
    int hours;
    int minutes;

    if (take_char(at, end, 'Z', 'z')) {
        *out_minutes = 0;
        return true;
    }
    if (*at == end) {
        return false;
    }
    bool west = **at == '-';
    if (!take_char(at, end, '+', '-') || !take_digits(at, end, 2, &hours) ||
        !take_char(at, end, ':', ':') || !take_digits(at, end, 2, &minutes) || hours > 23 ||
        minutes > 59) {
        return false;
    }
    *out_minutes = (hours * 60 + minutes) * (west ? -1 : 1);
    return true;
}

static bool is_date(int year, int month, int day)
{
    static const int lengths[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return month >= 1 && month <= 12 && day >= 1 &&
           day <= lengths[month - 1] + (month == 2 && leap ? 1 : 0);
}

bool clock_parse(const char *text, size_t len, int64_t *out_ms)
{
    const char *at = text;
    const char *end = text + len;
    int year;
    int month;
    int day;
    int hour;
    int minute;
    int second;
    int ms;
    int zone;

    if (!take_digits(&at, end, 4, &year) || !take_char(&at, end, '-', '-') ||
        !take_digits(&at, end, 2, &month) || !take_char(&at, end, '-', '-') ||
        !take_digits(&at, end, 2, &day) || !take_char(&at, end, 'T', 't') ||
        !take_digits(&at, end, 2, &hour) || !take_char(&at, end, ':', ':') ||
        !take_digits(&at, end, 2, &minute) || !take_char(&at, end, ':', ':') ||
        !take_digits(&at, end, 2, &second) || !take_fraction(&at, end, &ms) ||
        !take_zone(&at, end, &zone) || at != end) {
        return false;
    }
    if (!is_date(year, month, day) || hour > 23 || minute > 59 || second > 60) {
        return false;
    }
    int64_t minutes = days_from_date(year, month, day) * 1440 + hour * 60 + minute - zone;
    /* A leap second ends a UTC day and counts as the first second of the next, as in POSIX. */
    if (second == 60 && (minutes + 1) % 1440 != 0) {
        return false;
    }
    int64_t whole = minutes * MS_PER_MINUTE + second * 1000 + ms;
    if (whole < FIRST_MS || whole > LAST_MS) {
        return false;
    }
    *out_ms = whole;
    return true;
}
