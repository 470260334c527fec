/*
 * wheel - a million timers at 16 bytes each
 */
#include "engine/wheel.h"

#include "base/panic.h"
#include "engine/pages.h"

/* Index 0 means "none", so the first timer is 1. */

void wheel_init(struct wheel *wheel, uint32_t capacity, int64_t now_ms)
{
    *wheel = (struct wheel){
        .timers = pages_map(((size_t)capacity + 1) * sizeof(struct timer)),
        .capacity = capacity,
        .start_ms = now_ms,
    };
}

static uint32_t take_timer(struct wheel *wheel)
{
    uint32_t index = wheel->free;

    if (index != 0) {
        wheel->free = wheel->timers[index].next;
        return index;
    }
    if (wheel->used == wheel->capacity) {
        panic("more than %u timers", wheel->capacity);
    }
    return ++wheel->used;
}

static void append(struct wheel *wheel, uint32_t index)
{
    uint32_t slot = wheel->timers[index].due_ms % WHEEL_SLOTS;

    wheel->timers[index].next = 0;
    if (wheel->head[slot] == 0) {
        wheel->head[slot] = index;
        wheel->busy[slot / 64] |= 1ULL << (slot % 64);
    } else {
        wheel->timers[wheel->tail[slot]].next = index;
    }
    wheel->tail[slot] = index;
}

void wheel_add(struct wheel *wheel, int64_t due_ms, struct timer timer)
{
    int64_t due = due_ms - wheel->start_ms;
    uint32_t index = take_timer(wheel);

    if (due <= (int64_t)wheel->done_ms) {
        due = (int64_t)wheel->done_ms + 1;
    }
    timer.due_ms = (uint32_t)due;
    wheel->timers[index] = timer;
    wheel->count++;
    append(wheel, index);
}

/* Fires the timers of one slot that are due and puts the others back. */
static void run_slot(struct wheel *wheel, uint32_t slot, timer_fn fire, void *context)
{
    uint32_t index = wheel->head[slot];

    wheel->head[slot] = 0;
    wheel->tail[slot] = 0;
    wheel->busy[slot / 64] &= ~(1ULL << (slot % 64));
    while (index != 0) {
        struct timer *timer = &wheel->timers[index];
        uint32_t next = timer->next;

        if (timer->due_ms > wheel->done_ms) {
            append(wheel, index);
        } else {
            struct timer fired = *timer;

            timer->next = wheel->free;
            wheel->free = index;
            wheel->count--;
            fire(context, &fired);
        }
        index = next;
    }
}

void wheel_run(struct wheel *wheel, int64_t now_ms, timer_fn fire, void *context)
{
    uint32_t now = (uint32_t)(now_ms - wheel->start_ms);
    uint32_t first = wheel->done_ms + 1;

    if (now <= wheel->done_ms) {
        return;
    }
    if (now - wheel->done_ms > WHEEL_SLOTS) {
        first = now - WHEEL_SLOTS + 1;
    }
    /* Now counts as done first, so that a timer added by fire() lands after it. */
    wheel->done_ms = now;
    for (uint32_t tick = first; tick <= now; tick++) {
        uint32_t slot = tick % WHEEL_SLOTS;

        if (wheel->head[slot] != 0) {
            run_slot(wheel, slot, fire, context);
        }
    }
}

int wheel_wait_ms(const struct wheel *wheel, int64_t now_ms)
{
    uint32_t tick = wheel->done_ms + 1;

    if (wheel->count == 0) {
        return -1;
    }
    for (uint32_t step = 0; step < WHEEL_SLOTS;) {
        uint32_t slot = (tick + step) % WHEEL_SLOTS;
        uint64_t word = wheel->busy[slot / 64] >> (slot % 64);

        if (word != 0) {
            int64_t due = wheel->start_ms + tick + step + (uint32_t)__builtin_ctzll(word);

            return due > now_ms ? (int)(due - now_ms) : 0;
        }
        step += 64 - slot % 64;
    }
    return WHEEL_SLOTS;
}

void wheel_drop(struct wheel *wheel, int kind)
{
    for (uint32_t slot = 0; slot < WHEEL_SLOTS; slot++) {
        uint32_t index = wheel->head[slot];

        wheel->head[slot] = 0;
        wheel->tail[slot] = 0;
        wheel->busy[slot / 64] &= ~(1ULL << (slot % 64));
        while (index != 0) {
            uint32_t next = wheel->timers[index].next;

            if (wheel->timers[index].kind == kind) {
                wheel->timers[index].next = wheel->free;
                wheel->free = index;
                wheel->count--;
            } else {
                append(wheel, index);
            }
            index = next;
        }
    }
}
