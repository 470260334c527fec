#include "stage/intake.h"

#include <string.h>

#include "base/clock.h"
#include "base/id.h"

void intake_init(struct intake *intake, struct broker_consumer *consumer, size_t size,
                 struct arena *arena)
{
    *intake = (struct intake){ .consumer = consumer, .size = size };
    intake->waiting = arena_array(arena, size, sizeof *intake->waiting);
}

void intake_fini(struct intake *intake)
{
    for (size_t i = 0; i < intake->count; i++) {
        broker_delivery_free(&intake->waiting[i].delivery);
    }
    intake->count = 0;
}

void intake_fill(struct intake *intake)
{
    while (intake->count < intake->size &&
           broker_consumer_next(intake->consumer, 0, &intake->waiting[intake->count].delivery) ==
               BROKER_DELIVERY) {
        intake->waiting[intake->count++].since_ms = clock_mono_ms();
    }
}

/* The one whose turn it is, or count. */
static size_t choose(const struct intake *intake, bool alone)
{
    const struct waiting *waiting = intake->waiting;
    size_t first = intake->count;

    for (size_t i = 0; i < intake->count; i++) {
        if (!waiting[i].delivery.redelivered &&
            (first == intake->count || waiting[i].delivery.queue < waiting[first].delivery.queue)) {
            first = i;
        }
    }
    if (first == intake->count && intake->count > 0 && alone) {
        first = id_random_below((uint32_t)intake->count);
    }
    return first;
}

bool intake_take(struct intake *intake, bool alone, struct broker_delivery *out_delivery)
{
    const size_t first = choose(intake, alone);

    if (first == intake->count) {
        return false;
    }
    *out_delivery = intake->waiting[first].delivery;
    intake->count--;
    memmove(&intake->waiting[first], &intake->waiting[first + 1],
            (intake->count - first) * sizeof *intake->waiting);
    return true;
}

size_t intake_sociable(const struct intake *intake, int64_t *out_since_ms)
{
    size_t count = 0;

    for (size_t i = 0; i < intake->count; i++) {
        if (!intake->waiting[i].delivery.redelivered && count++ == 0) {
            *out_since_ms = intake->waiting[i].since_ms;
        }
    }
    return count;
}

int intake_fd(const struct intake *intake)
{
    return intake->count < intake->size ? broker_consumer_fd(intake->consumer) : -1;
}
