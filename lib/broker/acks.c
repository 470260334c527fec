/*
 * acks - which deliveries are settled, and with how few acks the broker can be told
 */
#include "acks.h"

#include <stdlib.h>
#include <string.h>

#include "base/panic.h"

#define RING_FIRST 1024
#define READY_FIRST 256

enum { HELD, READY, TOLD };

void acks_init(struct acks *acks)
{
    *acks = (struct acks){ .size = RING_FIRST, .ready_size = READY_FIRST };
    acks->states = calloc(acks->size, 1);
    acks->ready = calloc(acks->ready_size, sizeof(*acks->ready));
    if (acks->states == NULL || acks->ready == NULL) {
        panic("out of memory");
    }
    acks_restart(acks);
}

void acks_fini(struct acks *acks)
{
    free(acks->states);
    free(acks->ready);
    *acks = (struct acks){ 0 };
}

void acks_restart(struct acks *acks)
{
    acks->lo = 1;
    acks->end = 1;
    acks->ready_count = 0;
    acks->held = 0;
}

static uint8_t *state(const struct acks *acks, uint64_t tag)
{
    return &acks->states[tag & (acks->size - 1)];
}

/* One delivery that stays unsettled makes the ring long, a byte for each that passes it. */
static void grow_ring(struct acks *acks)
{
    struct acks wider = *acks;

    wider.size = acks->size * 2;
    wider.states = calloc(wider.size, 1);
    if (wider.states == NULL) {
        panic("out of memory");
    }
    for (uint64_t tag = acks->lo; tag < acks->end; tag++) {
        *state(&wider, tag) = *state(acks, tag);
    }
    free(acks->states);
    acks->states = wider.states;
    acks->size = wider.size;
}

bool acks_delivered(struct acks *acks, uint64_t tag)
{
    if (tag != acks->end) {
        return false;
    }
    if (acks->end - acks->lo == acks->size) {
        grow_ring(acks);
    }
    *state(acks, tag) = HELD;
    acks->end++;
    acks->held++;
    return true;
}

static bool is_held(const struct acks *acks, uint64_t tag)
{
    return tag >= acks->lo && tag < acks->end && *state(acks, tag) == HELD;
}

/* Keeps lo at the lowest tag the broker was not told about. */
static void advance(struct acks *acks)
{
    while (acks->lo < acks->end && *state(acks, acks->lo) == TOLD) {
        acks->lo++;
    }
}

bool acks_settle(struct acks *acks, uint64_t tag)
{
    if (!is_held(acks, tag)) {
        return false;
    }
    if (acks->ready_count == acks->ready_size) {
        acks->ready_size *= 2;
        acks->ready = realloc(acks->ready, acks->ready_size * sizeof(*acks->ready));
        if (acks->ready == NULL) {
            panic("out of memory");
        }
    }
    *state(acks, tag) = READY;
    acks->ready[acks->ready_count++] = tag;
    acks->held--;
    return true;
}

bool acks_told(struct acks *acks, uint64_t tag)
{
    if (!is_held(acks, tag)) {
        return false;
    }
    *state(acks, tag) = TOLD;
    acks->held--;
    advance(acks);
    return true;
}

/* The settled run at the start: its last tag that the broker holds, or 0. */
static uint64_t take_run(struct acks *acks)
{
    uint64_t last = 0;

    while (acks->lo < acks->end && *state(acks, acks->lo) != HELD) {
        if (*state(acks, acks->lo) == READY) {
            last = acks->lo;
        }
        *state(acks, acks->lo) = TOLD;
        acks->lo++;
    }
    return last;
}

bool acks_next(struct acks *acks, uint64_t *out_tag, bool *out_multiple)
{
    uint64_t run = take_run(acks);

    if (run != 0) {
        *out_tag = run;
        *out_multiple = true;
        return true;
    }
    while (acks->ready_count > 0) {
        uint64_t tag = acks->ready[--acks->ready_count];

        /* Below lo: the run has told it. */
        if (tag >= acks->lo && *state(acks, tag) == READY) {
            *state(acks, tag) = TOLD;
            *out_tag = tag;
            *out_multiple = false;
            return true;
        }
    }
    return false;
}
