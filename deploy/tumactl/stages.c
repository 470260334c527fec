#include "stages.h"

#include <string.h>

#include "base/str.h"
#include "msg/topic.h"

/* The table names a stage once per type: this is its first line. */
static bool is_first(const struct topic *topic)
{
    for (const struct topic *at = topics; at != topic; at++) {
        if (at->stage && strcmp(at->stage, topic->stage) == 0) {
            return false;
        }
    }
    return true;
}

static void each_lane(const char *prefix, const char *stage, const char *route, stages_queue_fn *fn,
                      void *context)
{
    struct str name = { 0 };

    for (int lane = 0; lane < LANE_COUNT; lane++) {
        str_reset(&name);
        topic_queue(prefix, stage, route, (enum lane)lane, &name);
        fn(context, stage, name.bytes);
    }
    str_free(&name);
}

void stages_queues(const char *prefix, stages_queue_fn *fn, void *context)
{
    struct str name = { 0 };

    for (const struct topic *topic = topics; topic->shape; topic++) {
        if (!topic->stage || !is_first(topic)) {
            continue;
        }
        if (topic->routes) {
            for (const char *const *route = topic->routes; *route; route++) {
                each_lane(prefix, topic->stage, *route, fn, context);
            }
        } else {
            each_lane(prefix, topic->stage, NULL, fn, context);
        }
        str_reset(&name);
        str_printf(&name, "%s.%s.parked", prefix, topic->stage);
        fn(context, topic->stage, name.bytes);
    }
    for (const int *delay_s = topic_delays_s; *delay_s; delay_s++) {
        str_reset(&name);
        str_printf(&name, "%s.delay.%ds", prefix, *delay_s);
        fn(context, NULL, name.bytes);
    }
    str_free(&name);
}

bool stages_known(const char *stage)
{
    for (const struct topic *topic = topics; topic->shape; topic++) {
        if (topic->stage && strcmp(topic->stage, stage) == 0) {
            return true;
        }
    }
    return false;
}
