#include "alarms.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/panic.h"

struct alarms {
    int64_t after_us;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct alarm *head, **tail; /* all wait equally long, so the first set is the first to ring */
    bool stopping;
};

/* The monotonic clock's. */
static struct timespec at(int64_t us)
{
    return (struct timespec){ .tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000 };
}

/* The first one that is due, or NULL after a wait. Lock held. */
static struct alarm *take(struct alarms *alarms)
{
    struct alarm *alarm = alarms->head;

    if (alarm == NULL) {
        (void)pthread_cond_wait(&alarms->more, &alarms->lock);
        return NULL;
    }
    if (!alarms->stopping && alarm->at_us > clock_mono_us()) {
        const struct timespec until = at(alarm->at_us);
        (void)pthread_cond_timedwait(&alarms->more, &alarms->lock, &until);
        return NULL;
    }
    alarms->head = alarm->next;
    if (alarms->head == NULL) {
        alarms->tail = &alarms->head;
    }
    return alarm;
}

static void *run(void *argument)
{
    struct alarms *alarms = argument;

    pthread_mutex_lock(&alarms->lock);
    while (!alarms->stopping || alarms->head != NULL) {
        struct alarm *alarm = take(alarms);
        if (alarm != NULL) {
            pthread_mutex_unlock(&alarms->lock);
            alarm->ring(alarm);
            pthread_mutex_lock(&alarms->lock);
        }
    }
    pthread_mutex_unlock(&alarms->lock);
    return NULL;
}

struct alarms *alarms_create(int64_t after_ms)
{
    struct alarms *alarms = calloc(1, sizeof(*alarms));
    pthread_condattr_t monotonic;

    if (alarms == NULL) {
        panic("out of memory");
    }
    alarms->after_us = after_ms * 1000;
    alarms->tail = &alarms->head;
    pthread_mutex_init(&alarms->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&alarms->more, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (pthread_create(&alarms->thread, NULL, run, alarms) != 0) {
        panic("no thread for alarms");
    }
    return alarms;
}

void alarms_destroy(struct alarms *alarms)
{
    if (alarms == NULL) {
        return;
    }
    pthread_mutex_lock(&alarms->lock);
    alarms->stopping = true;
    pthread_cond_signal(&alarms->more);
    pthread_mutex_unlock(&alarms->lock);
    pthread_join(alarms->thread, NULL);
    pthread_cond_destroy(&alarms->more);
    pthread_mutex_destroy(&alarms->lock);
    free(alarms);
}

void alarms_set(struct alarms *alarms, struct alarm *alarm)
{
    alarm->next = NULL;
    pthread_mutex_lock(&alarms->lock);
    alarm->at_us = clock_mono_us() + alarms->after_us;
    bool was_empty = alarms->head == NULL;
    *alarms->tail = alarm;
    alarms->tail = &alarm->next;
    if (was_empty) {
        pthread_cond_signal(&alarms->more);
    }
    pthread_mutex_unlock(&alarms->lock);
}
