/*
 * Alarms ring once each, in their order, not before their time, and at the end all at once.
 */
/* cmocka.h wants these before it. clang-format would sort them. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <stdatomic.h>

#include "alarms.h"
#include "base/clock.h"

#define MANY 200

struct rung {
    _Atomic int64_t at_us;
    atomic_int count;
    int place;
};

static atomic_int places;

static void ring(struct alarm *alarm)
{
    struct rung *rung = alarm->context;

    rung->place = places++;
    rung->at_us = clock_mono_us();
    rung->count++; /* the last: whoever waits for it may read the others */
}

static void each_rings_once_in_order_and_in_time(void **state)
{
    static struct rung rung[MANY];
    static struct alarm alarm[MANY];
    struct alarms *alarms = alarms_create(20);

    (void)state;
    places = 0;
    for (int i = 0; i < MANY; i++) {
        alarm[i] = (struct alarm){ .ring = ring, .context = &rung[i] };
        alarms_set(alarms, &alarm[i]);
    }
    while (rung[MANY - 1].count == 0) {
        clock_sleep_ms(1);
    }
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(rung[i].count, 1);
        assert_int_equal(rung[i].place, i);
        assert_true(rung[i].at_us >= alarm[i].at_us);
    }
    assert_true(alarm[0].at_us + 20000 > clock_mono_us() - 5000000); /* and not for ever */
    alarms_destroy(alarms);
}

static void the_end_rings_what_is_set(void **state)
{
    static struct rung rung;
    static struct alarm alarm = { .ring = ring, .context = &rung };
    struct alarms *alarms = alarms_create(3600000);

    (void)state;
    alarms_set(alarms, &alarm);
    assert_int_equal(rung.count, 0);
    alarms_destroy(alarms);
    assert_int_equal(rung.count, 1);
    alarms_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_rings_once_in_order_and_in_time),
        cmocka_unit_test(the_end_rings_what_is_set),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
