/*
 * turns - the life of a simulator between its start and its end
 */
#include "engine/turns.h"

#include <stdio.h>

#include "engine/stopper.h"

#define TICK_MS 100

static void tell_address(const struct server *server)
{
    struct str text = { 0 };

    server_address(server, &text);
    (void)printf("listening %s\n", text.bytes);
    (void)fflush(stdout);
    str_free(&text);
}

static int wait_ms(const struct turns *turns)
{
    int until_timer = wheel_wait_ms(turns->wheel, turns->loop->now_ms);
    bool watched = turns->waits(turns->context);

    for (int i = 0; i < TURNS_POSTERS_MAX && turns->posters[i] != NULL; i++) {
        watched = watched || poster_is_busy(turns->posters[i]);
    }
    return watched && (until_timer < 0 || until_timer > TICK_MS) ? TICK_MS : until_timer;
}

void turns_run(const struct turns *turns)
{
    static struct stopper stopper; /* the loop knows it until the process ends */
    int64_t ticked_ms = 0;

    stopper_open(&stopper, turns->loop);
    tell_address(turns->server);
    while (!stopper.stopped) {
        bool ticks;

        loop_wait(turns->loop, wait_ms(turns));
        wheel_run(turns->wheel, turns->loop->now_ms, turns->fire, turns->context);
        ticks = turns->loop->now_ms - ticked_ms >= TICK_MS;
        ticked_ms = ticks ? turns->loop->now_ms : ticked_ms;
        for (int i = 0; i < TURNS_POSTERS_MAX && turns->posters[i] != NULL; i++) {
            poster_pump(turns->posters[i]);
        }
        for (int i = 0; ticks && i < TURNS_POSTERS_MAX && turns->posters[i] != NULL; i++) {
            poster_tick(turns->posters[i]);
        }
    }
}
