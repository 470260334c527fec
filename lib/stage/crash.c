/*
 * crash - the named places where a test may kill the process
 *
 * TUMA_CRASH_AT=after_commit:3 kills it the third time it commits. A worker that the supervisor
 * starts in place of a killed one is disarmed: a test wants one crash and then the recovery.
 */
#include "stage/stage.h"

#ifdef CRASH_POINTS

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/panic.h"
#include "stage/core.h"

static bool disarmed;

void crash_disarm(void)
{
    disarmed = true;
}

/* The point and the countdown, read once. */
static const char *armed_point(int64_t **out_left)
{
    static struct arena *forever; /* holds the point */
    static const char *point;
    static int64_t left;

    if (point == NULL) {
        forever = arena_create(4096);
        const char *setting = conf_get("TUMA_CRASH_AT", forever);
        point = setting != NULL ? setting : "";
        left = 1;
        const char *colon = strchr(point, ':');
        if (colon != NULL) {
            if (!str_parse_int(colon + 1, 1, INT32_MAX, &left)) {
                panic("TUMA_CRASH_AT=%s: <point>[:<nth time>] is expected", point);
            }
            point = arena_strndup(forever, point, (size_t)(colon - point));
        }
    }
    *out_left = &left;
    return point;
}

void stage_crash_point(const char *point)
{
    int64_t *left;

    if (!disarmed && strcmp(armed_point(&left), point) == 0 && --*left == 0) {
        kill(getpid(), SIGKILL);
    }
}

#endif
