/*
 * conf - settings: the environment and one table
 *
 *     struct send_conf { const char *url; const char *key; long batch; long timeout_ms; };
 *     static const struct conf_item items[] = {
 *         CONF_STR(struct send_conf, url, "AT_SMS_URL", "https://...", "Where SMS are posted."),
 *         CONF_SECRET(struct send_conf, key, "AT_API_KEY", NULL, "The provider's key."),
 *         CONF_INT(struct send_conf, batch, "SMS_BATCH_SIZE", "500", 1, 500, "Recipients a
 * batch."), CONF_MS(struct send_conf, timeout_ms, "SMS_TIMEOUT", "30s", 100, 60000, "..."),
 *         CONF_END,
 *     };
 *     if (!conf_load(items, &conf, arena, &problems)) { puts(problems.bytes); return 78; }
 *
 * No default (NULL) means required. Durations carry a unit (200ms, 5s, 2m, 1h). Any value may come
 * from a file: NAME_FILE names it (its trailing newline is cut). All problems are collected, one
 * line each, naming the variable, the fault and what is allowed. Secrets are never printed. Values
 * live in the arena. This file is the only caller of getenv().
 */
#ifndef BASE_CONF_H
#define BASE_CONF_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/str.h"

enum conf_type {
    CONF_TYPE_END,
    CONF_TYPE_STR,
    CONF_TYPE_SECRET,
    CONF_TYPE_INT,
    CONF_TYPE_MS,
    CONF_TYPE_BOOL, /* true false yes no 1 0 on off */
};

struct conf_item {
    enum conf_type type;
    const char *env;
    size_t offset;
    const char *fallback;
    long min, max;
    const char *help;
};

#define CONF_MEMBER(T, m, want)                                                                    \
    (offsetof(T, m) +                                                                              \
     0 * sizeof(char[__builtin_types_compatible_p(__typeof__(((T *)0)->m), want) ? 1 : -1]))
#define CONF_STR(T, m, name, def, text)                                                            \
    {                                                                                              \
        .type = CONF_TYPE_STR, .env = (name), .offset = CONF_MEMBER(T, m, const char *),           \
        .fallback = (def), .help = (text)                                                          \
    }
#define CONF_SECRET(T, m, name, def, text)                                                         \
    {                                                                                              \
        .type = CONF_TYPE_SECRET, .env = (name), .offset = CONF_MEMBER(T, m, const char *),        \
        .fallback = (def), .help = (text)                                                          \
    }
#define CONF_INT(T, m, name, def, lo, hi, text)                                                    \
    {                                                                                              \
        .type = CONF_TYPE_INT, .env = (name), .offset = CONF_MEMBER(T, m, long),                   \
        .fallback = (def), .min = (lo), .max = (hi), .help = (text)                                \
    }
#define CONF_MS(T, m, name, def, lo, hi, text)                                                     \
    {                                                                                              \
        .type = CONF_TYPE_MS, .env = (name), .offset = CONF_MEMBER(T, m, long), .fallback = (def), \
        .min = (lo), .max = (hi), .help = (text)                                                   \
    }
#define CONF_BOOL(T, m, name, def, text)                                                           \
    {                                                                                              \
        .type = CONF_TYPE_BOOL, .env = (name), .offset = CONF_MEMBER(T, m, bool),                  \
        .fallback = (def), .help = (text)                                                          \
    }
#define CONF_END                                                                                   \
    {                                                                                              \
        .type = CONF_TYPE_END                                                                      \
    }

/* Fills *out; appends a line per problem to *problems and returns false if there was any. */
bool conf_load(const struct conf_item *items, void *out, struct arena *arena, struct str *problems);

/* "5s" to 5000. The text form of the other types is strict too. */
bool conf_parse_ms(const char *text, long *out_ms);

/*
 * The value of one variable (or of its _FILE), or NULL: for the few readers without a table. NULL
 * too when the file cannot be read; who must tell the two apart uses a table.
 */
const char *conf_get(const char *name, struct arena *arena);

#endif
