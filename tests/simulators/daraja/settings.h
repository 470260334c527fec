/*
 * settings - the simulator's environment
 *
 * Each row of the table in settings.c is one SIM_ variable with its default and its meaning.
 */
#ifndef SIM_SETTINGS_H
#define SIM_SETTINGS_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/str.h"

struct settings {
    const char *listen;
    const char *consumer_key;
    const char *consumer_secret;
    const char *shortcode;
    const char *till;
    const char *passkey;
    const char *initiator;
    const char *callback_to;
    const char *force;
    const char *faults;
    long callback_connections;
    long callback_timeout_ms;
    long seed;
    long capacity;
};

/* Reads the environment; on failure *problems holds a line for each fault. */
bool settings_load(struct settings *settings, struct arena *arena, struct str *problems)
    __attribute__((warn_unused_result));

#endif
