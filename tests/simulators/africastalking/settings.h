/*
 * settings - the simulator's environment
 *
 * Each row of the table in settings.c is one SIM_ variable with its default and its meaning.
 */
#ifndef SIM_SETTINGS_H
#define SIM_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

struct settings {
    const char *listen;
    const char *username;
    const char *api_key;
    const char *senders;
    const char *balance;
    const char *total_currency;
    const char *report_url;
    const char *incoming_url;
    const char *opt_out_url;
    const char *voice_url;
    const char *voice_events_url;
    const char *callers;
    const char *report_delay;
    const char *force;
    const char *faults;
    long price_e4;
    long report_connections;
    long report_retries;
    long report_retry_ms;
    long report_timeout_ms;
    long call_price_e4;
    long voice_connections;
    long voice_timeout_ms;
    long call_capacity;
    long seed;
    long capacity;
    long texts;
    bool message_parts;
    bool voice_client_id;

    /* Derived. */
    char currency[4];
    int64_t balance_e4;
    long report_delay_min_ms;
    long report_delay_max_ms;
};

/* Reads the environment; on failure *problems holds a line for each fault. */
bool settings_load(struct settings *settings, struct arena *arena, struct str *problems)
    __attribute__((warn_unused_result));

/* Is it in the comma list? An empty list allows everything. */
bool settings_allow(const char *list, const char *word);

/* Is the sender one of SIM_SENDERS? */
bool settings_allow_sender(const struct settings *settings, const char *sender);

#endif
