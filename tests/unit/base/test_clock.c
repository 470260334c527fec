/* clock: RFC 3339 in and out, and a wall clock that tests can shift. */

/* cmocka.h needs the headers above it. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <signal.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

#include "base/clock.h"

static const struct {
    const char *text;
    int64_t ms;
    const char *canonical; /* NULL: the text itself */
} good[] = {
    { "1970-01-01T00:00:00.000Z", 0, NULL },
    { "2026-11-20T09:12:44.031Z", 1795165964031, NULL },
    { "2024-02-29T23:59:59.999Z", 1709251199999, NULL },
    { "2000-02-29T12:00:00.000Z", 951825600000, NULL },
    { "1969-12-31T23:59:59.999Z", -1, NULL },
    { "1600-03-01T00:00:00.000Z", -11670912000000, NULL },
    { "0000-01-01T00:00:00.000Z", -62167219200000, NULL },
    { "9999-12-31T23:59:59.999Z", 253402300799999, NULL },
    { "2026-11-20T09:12:44Z", 1795165964000, "2026-11-20T09:12:44.000Z" },
    { "2026-11-20t09:12:44.1z", 1795165964100, "2026-11-20T09:12:44.100Z" },
    { "2026-11-20T09:12:44.0319999999Z", 1795165964031, "2026-11-20T09:12:44.031Z" },
    { "2026-11-20T12:12:44.031+03:00", 1795165964031, "2026-11-20T09:12:44.031Z" },
    { "2026-11-19T23:42:44.031-09:30", 1795165964031, "2026-11-20T09:12:44.031Z" },
    { "2016-12-31T23:59:60Z", 1483228800000, "2017-01-01T00:00:00.000Z" }, /* leap second */
    { "2017-01-01T02:59:60+03:00", 1483228800000, "2017-01-01T00:00:00.000Z" },
};

static void times_are_read_and_written(void **state)
{
    char text[CLOCK_RFC3339_BYTES];
    int64_t ms;

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        ms = 1;
        assert_true(clock_parse(good[i].text, strlen(good[i].text), &ms));
        if (ms != good[i].ms) {
            fail_msg("%s: %lld", good[i].text, (long long)ms);
        }
        clock_format(ms, text);
        assert_string_equal(text, good[i].canonical != NULL ? good[i].canonical : good[i].text);
    }
}

static void what_is_no_time_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "2026",
        "2026-11-20",
        "2026-11-20 09:12:44Z",
        "2026-11-20T09:12:44",
        "2026-11-20T09:12Z",
        "2026-11-20T09:12:44.Z",
        "2026-11-20T09:12:44,5Z",
        "2026-13-20T09:12:44Z",
        "2026-00-20T09:12:44Z",
        "2026-11-31T09:12:44Z",
        "2026-11-00T09:12:44Z",
        "2026-02-29T09:12:44Z",
        "2100-02-29T09:12:44Z",
        "2026-11-20T24:00:00Z",
        "2026-11-20T09:60:00Z",
        "2026-11-20T09:12:61Z",
        "2026-11-20T09:12:60Z",
        "2026-11-20T09:12:44+3:00",
        "2026-11-20T09:12:44+0300",
        "2026-11-20T09:12:44+24:00",
        "2026-11-20T09:12:44+03:60",
        "2026-11-20T09:12:44Z ",
        " 2026-11-20T09:12:44Z",
        "2026-11-20T09:12:44ZZ",
        "-026-11-20T09:12:44Z",
        "20261-11-20T09:12:44Z",
        "2026-11-20T09:12:44+",
        "2026-1-20T09:12:44Z",
        "0000-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
    };
    int64_t ms = 77;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (clock_parse(bad[i], strlen(bad[i]), &ms)) {
            fail_msg("'%s' was read as a time", bad[i]);
        }
    }
    assert_false(clock_parse("2026-11-20T09:12:44Z", 19, &ms)); /* the length counts */
    assert_int_equal(ms, 77);
}

static void every_day_agrees_with_the_c_library(void **state)
{
    char text[CLOCK_RFC3339_BYTES];
    char want[CLOCK_RFC3339_BYTES];

    (void)state;
    for (int64_t day = -200000; day < 200000; day += 1) {
        time_t seconds = (time_t)(day * 86400 + 3661);
        struct tm tm;
        gmtime_r(&seconds, &tm);
        strftime(want, sizeof(want), "%Y-%m-%dT%H:%M:%S", &tm);
        strcat(want, ".007Z");
        clock_format((int64_t)seconds * 1000 + 7, text);
        assert_string_equal(text, want);
        int64_t ms = 0;
        assert_true(clock_parse(text, strlen(text), &ms));
        assert_true(ms == (int64_t)seconds * 1000 + 7);
    }
}

static void times_beyond_four_digit_years_are_clamped(void **state)
{
    char text[CLOCK_RFC3339_BYTES];

    (void)state;
    clock_format(INT64_MIN, text);
    assert_string_equal(text, "0000-01-01T00:00:00.000Z");
    clock_format(INT64_MAX, text);
    assert_string_equal(text, "9999-12-31T23:59:59.999Z");
}

static void the_wall_clock_can_be_shifted_and_the_other_not(void **state)
{
    int64_t mono = clock_mono_ms();
    int64_t now = clock_now_ms();

    (void)state;
    assert_true(now / 1000 - (int64_t)time(NULL) <= 1);
    clock_set_offset_ms(86400000);
    assert_true(clock_now_ms() - now >= 86400000);
    assert_true(clock_now_ms() - now < 86400000 + 60000);
    assert_true(clock_mono_ms() - mono < 60000);
    clock_set_offset_ms(0);
    assert_true(clock_now_ms() - now < 60000);
}

static void time_goes_on(void **state)
{
    int64_t us = clock_mono_us();

    (void)state;
    clock_sleep_ms(20);
    assert_true(clock_mono_us() - us >= 20000);
    us = clock_mono_us();
    clock_sleep_ms(0);
    clock_sleep_ms(-5);
    assert_true(clock_mono_us() - us < 5000000);
}

static void note_signal(int number)
{
    (void)number;
}

static void a_signal_ends_the_sleep(void **state)
{
    const struct sigaction action = { .sa_handler = note_signal };
    const struct itimerval soon = { .it_value = { .tv_usec = 20000 } };
    int64_t ms = clock_mono_ms();

    (void)state;
    assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
    assert_int_equal(setitimer(ITIMER_REAL, &soon, NULL), 0);
    clock_sleep_ms(30000);
    assert_true(clock_mono_ms() - ms < 20000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_are_read_and_written),
        cmocka_unit_test(what_is_no_time_is_refused),
        cmocka_unit_test(every_day_agrees_with_the_c_library),
        cmocka_unit_test(times_beyond_four_digit_years_are_clamped),
        cmocka_unit_test(the_wall_clock_can_be_shifted_and_the_other_not),
        cmocka_unit_test(time_goes_on),
        cmocka_unit_test(a_signal_ends_the_sleep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
