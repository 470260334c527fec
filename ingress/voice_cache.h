/*
 * voice_cache - what is heard in calls, in memory: campaigns, and who is being called
 *
 *     voice_cache_put_campaign(cache, &campaign);    // by voice_watch, from the database
 *     voice_cache_put_call(cache, &call);
 *
 *     voice_cache_find(cache, &key, arena, &found)   // any thread, never waits for a database
 *
 * A call is found by its campaign and number; without the campaign by its session; else by its
 * number alone, the newest, unless that is known to be another session or was seen long ago. Full,
 * the campaign that was loaded, or the call that was seen, longest ago makes room.
 */
#ifndef INGRESS_VOICE_CACHE_H
#define INGRESS_VOICE_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "audio/probe.h"
#include "base/arena.h"
#include "campaign/voice.h"

#define VOICE_CAMPAIGNS_MAX 1024 /* of about 10 KB at most */
#define VOICE_CALLS_MAX 65536    /* of about 150 bytes, and their texts: */
#define VOICE_TEXTS_BYTES_MAX ((size_t)64 << 20)
#define VOICE_UNNAMED_MS 60000 /* a call without a session is found by its number for so long */

struct voice_cache;

struct voice_campaign {
    int64_t id;
    struct voice voice;
    const char *text; /* the one of all callees; NULL: each has its own */
    enum audio_kind kind;
    bool is_there; /* the audio, when it has one */
};

struct voice_call {
    int64_t campaign, msisdn;
    const char *session; /* "" not known yet */
    const char *text;    /* NULL: the campaign's */
    int64_t called_ms;
};

/* What a post says of itself; 0 and "" for what it does not. */
struct voice_key {
    int64_t campaign, msisdn;
    const char *session;
};

struct voice_cache *voice_cache_create(void);
void voice_cache_destroy(struct voice_cache *cache); /* accepts NULL */

/* Both copy. What was known of the same campaign, the same number in it, is replaced. */
void voice_cache_put_campaign(struct voice_cache *cache, const struct voice_campaign *campaign,
                              int64_t now_ms);
void voice_cache_put_call(struct voice_cache *cache, const struct voice_call *call);

/* Whether it was put since then. */
bool voice_cache_has_campaign(struct voice_cache *cache, int64_t campaign, int64_t since_ms);

/* A copy in the arena, its text this callee's; false when anything is missing but the audio. */
bool voice_cache_find(struct voice_cache *cache, const struct voice_key *key, int64_t now_ms,
                      struct arena *arena, struct voice_campaign *out)
    __attribute__((warn_unused_result));

/* Whether it would be found. */
bool voice_cache_has(struct voice_cache *cache, const struct voice_key *key, int64_t now_ms);

/* For the metrics. */
void voice_cache_count(struct voice_cache *cache, int64_t *out_campaigns, int64_t *out_calls);

#endif
