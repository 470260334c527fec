/*
 * alarms - a thread that calls back after a short time, the same for all
 *
 *     alarms = alarms_create(35);
 *     alarms_set(alarms, &alarm);        // alarm.ring(&alarm) follows, once
 *
 * There is no taking back: whoever is done before lets it ring for nothing.
 */
#ifndef INGRESS_ALARMS_H
#define INGRESS_ALARMS_H

#include <stdint.h>

struct alarms;
struct alarm;

typedef void alarm_fn(struct alarm *alarm); /* on the thread of the alarms; never blocks */

struct alarm {
    struct alarm *next; /* the alarms' */
    int64_t at_us;      /* likewise */
    alarm_fn *ring;
    void *context;
};

struct alarms *alarms_create(int64_t after_ms);

/* Rings those that are set, at once. Accepts NULL. */
void alarms_destroy(struct alarms *alarms);

/* Any thread. */
void alarms_set(struct alarms *alarms, struct alarm *alarm);

#endif
