/*
 * wheel - a million timers at 16 bytes each
 *
 *     wheel_add(&wheel, now_ms + 700, (struct timer){ .kind = TIMER_OWN, .subject = index });
 *     timeout_ms = wheel_wait_ms(&wheel, now_ms);
 *     wheel_run(&wheel, now_ms, fire, context);
 *
 * A hashed wheel with a slot per millisecond: adding and firing are constant time. A timer further
 * away than one turn stays in its slot and is passed over. Timers due in the same millisecond fire
 * in the order they were added.
 */
#ifndef SIM_WHEEL_H
#define SIM_WHEEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum timer_kind {
    TIMER_ANSWER = 1, /* subject: slot of the connection whose answer was held back */
    TIMER_OWN,        /* this and higher ones are the simulator's own */
};

struct timer {
    uint32_t next;
    uint32_t due_ms; /* set by wheel_add(), since the wheel's start */
    uint32_t subject;
    uint8_t kind;
    uint8_t word;
    uint8_t reason;
    uint8_t attempt;
};

#define WHEEL_SLOTS 4096

struct wheel {
    struct timer *timers;
    uint32_t capacity;
    uint32_t used; /* highest timer ever handed out */
    uint32_t free;
    uint32_t count;
    int64_t start_ms;
    uint32_t done_ms; /* every slot up to this time was run */
    uint64_t busy[WHEEL_SLOTS / 64];
    uint32_t head[WHEEL_SLOTS];
    uint32_t tail[WHEEL_SLOTS];
};

typedef void (*timer_fn)(void *context, const struct timer *timer);

void wheel_init(struct wheel *wheel, uint32_t capacity, int64_t now_ms);

/* Panics beyond the capacity. A time in the past is due at the next run. */
void wheel_add(struct wheel *wheel, int64_t due_ms, struct timer timer);

/* Fires what is due; the function may add timers. */
void wheel_run(struct wheel *wheel, int64_t now_ms, timer_fn fire, void *context);

/* Milliseconds until something may be due; -1 when there is no timer. */
int wheel_wait_ms(const struct wheel *wheel, int64_t now_ms);

/* Drops all timers of one kind. */
void wheel_drop(struct wheel *wheel, int kind);

#endif
