/*
 * turns - the life of a simulator between its start and its end
 *
 *     turns_run(&(struct turns){ .loop = &loop, .wheel = &wheel, .server = &server,
 *                                .posters = { &poster }, .fire = fire, .waits = waits,
 *                                .context = sim });
 *
 * Tells "listening <address>" on stdout, then waits, fires timers and posts until SIGTERM or
 * SIGINT.
 */
#ifndef SIM_TURNS_H
#define SIM_TURNS_H

#include <stdbool.h>

#include "engine/loop.h"
#include "engine/poster.h"
#include "engine/server.h"
#include "engine/wheel.h"

#define TURNS_POSTERS_MAX 8

struct turns {
    struct loop *loop;
    struct wheel *wheel;
    const struct server *server;
    struct poster *posters[TURNS_POSTERS_MAX]; /* NULL ends them */
    timer_fn fire;
    bool (*waits)(const void *context); /* does something wait for a poster? */
    void *context;                      /* of fire and waits */
};

void turns_run(const struct turns *turns);

#endif
