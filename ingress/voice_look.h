/*
 * voice_look - what the database knows of calls, read into memory
 *
 *     voice_look_campaigns(look, now_ms, &err)          // those that may call
 *     voice_look_calls(look, back_ms, &err)             // who was called since then
 *     voice_look_up(look, &key, now_ms, &err)           // one callee, for a post that nothing
 * matches
 *
 * Statements only; when and how often is voice_watch's.
 */
#ifndef INGRESS_VOICE_LOOK_H
#define INGRESS_VOICE_LOOK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "db/db.h"
#include "voice_cache.h"

struct voice_look {
    struct db *db;
    struct voice_cache *cache;
    const char *audio_folder; /* "": files are not looked for */
    struct arena *arena;      /* reset by each */
};

/* Loads those that are not known yet or were loaded long ago. */
bool voice_look_campaigns(struct voice_look *look, int64_t now_ms, struct err *err)
    __attribute__((warn_unused_result));
bool voice_look_calls(struct voice_look *look, int64_t back_ms, struct err *err)
    __attribute__((warn_unused_result));

/* True also when there is no such callee: the cache tells. */
bool voice_look_up(struct voice_look *look, const struct voice_key *key, int64_t now_ms,
                   struct err *err) __attribute__((warn_unused_result));

#endif
