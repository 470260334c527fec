#include "stage/intake.h"

#include <string.h>

void intake_init(struct intake *intake, struct broker_consumer *consumer, size_t size,
                 struct arena *arena)
{
    *intake = (struct intake){ .consumer = consumer, .size = size };
    intake->waiting = arena_array(arena, size, sizeof *intake->waiting);
}

void intake_fini(struct intake *intake)
{
    for (size_t i = 0; i < intake->count; i++) {
        broker_delivery_free(&intake->waiting[i]);
    }
    intake->count = 0;
}

void intake_fill(struct intake *intake)
{
    while (intake->count < intake->size &&
           broker_consumer_next(intake->consumer, 0, &intake->waiting[intake->count]) ==
               BROKER_DELIVERY) {
        intake->count++;
    }
}

bool intake_take(struct intake *intake, struct broker_delivery *out_delivery)
{
    size_t first = 0;

    if (intake->count == 0) {
        return false;
    }
    for (size_t i = 1; i < intake->count; i++) {
        if (intake->waiting[i].queue < intake->waiting[first].queue) {
            first = i;
        }
    }
    *out_delivery = intake->waiting[first];
    intake->count--;
    memmove(&intake->waiting[first], &intake->waiting[first + 1],
            (intake->count - first) * sizeof *intake->waiting);
    return true;
}

int intake_fd(const struct intake *intake)
{
    return intake->count < intake->size ? broker_consumer_fd(intake->consumer) : -1;
}
