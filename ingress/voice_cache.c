/*
 * voice_cache - two tables under one lock, held for no longer than a copy takes
 *
 * Campaigns are few and looked through. Calls are in a list from the one seen longest ago to the
 * newest, and in two tables by number and by session.
 */
#include "voice_cache.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/panic.h"
#include "provider/at_call.h"

#define BUCKETS 65536
#define CAMPAIGN_ARENA_MAX ((size_t)1 << 20)

struct campaign_place {
    struct arena *arena; /* NULL: free */
    struct voice_campaign campaign;
    int64_t put_ms;
};

struct call_place {
    struct call_place *older, *newer;          /* while in use; newer is the free list's too */
    struct call_place *by_number, *by_session; /* the next of the bucket */
    int64_t campaign, msisdn, called_ms;
    char *text; /* NULL: the campaign's */
    size_t text_bytes;
    char session[AT_SESSION_ID_BYTES_MAX + 1];
};

struct voice_cache {
    pthread_mutex_t lock;
    struct campaign_place campaigns[VOICE_CAMPAIGNS_MAX];
    int64_t campaign_count, call_count;
    struct call_place *places, *unused;
    struct call_place *oldest, *newest;
    size_t text_bytes;
    struct call_place *by_number[BUCKETS], *by_session[BUCKETS];
};

struct voice_cache *voice_cache_create(void)
{
    struct voice_cache *cache = calloc(1, sizeof(*cache));
    struct call_place *places = calloc(VOICE_CALLS_MAX, sizeof(*places));

    if (cache == NULL || places == NULL) {
        panic("out of memory");
    }
    pthread_mutex_init(&cache->lock, NULL);
    cache->places = places;
    for (size_t i = 0; i < VOICE_CALLS_MAX; i++) {
        places[i].newer = i + 1 < VOICE_CALLS_MAX ? &places[i + 1] : NULL;
    }
    cache->unused = places;
    return cache;
}

void voice_cache_destroy(struct voice_cache *cache)
{
    if (cache == NULL) {
        return;
    }
    for (size_t i = 0; i < VOICE_CAMPAIGNS_MAX; i++) {
        arena_destroy(cache->campaigns[i].arena);
    }
    for (size_t i = 0; i < VOICE_CALLS_MAX; i++) {
        free(cache->places[i].text);
    }
    pthread_mutex_destroy(&cache->lock);
    free(cache->places);
    free(cache);
}

/* --- campaigns ----------------------------------------------------------------------------------
 */

static struct campaign_place *find_campaign(struct voice_cache *cache, int64_t id)
{
    for (size_t i = 0; i < VOICE_CAMPAIGNS_MAX && cache->campaigns[i].arena != NULL; i++) {
        if (cache->campaigns[i].campaign.id == id) {
            return &cache->campaigns[i];
        }
    }
    return NULL;
}

/* A free one, or the one put longest ago. */
static struct campaign_place *make_room(struct voice_cache *cache)
{
    struct campaign_place *place = &cache->campaigns[0];

    for (size_t i = 0; i < VOICE_CAMPAIGNS_MAX && place->arena != NULL; i++) {
        struct campaign_place *here = &cache->campaigns[i];
        if (here->arena == NULL || here->put_ms < place->put_ms) {
            place = here;
        }
    }
    if (place->arena == NULL) {
        place->arena = arena_create(CAMPAIGN_ARENA_MAX);
        cache->campaign_count++;
    }
    return place;
}

static void copy_campaign(const struct voice_campaign *from, struct arena *arena,
                          struct voice_campaign *to)
{
    struct map *answers = &to->voice.answers;

    *to = *from;
    to->text = from->text != NULL ? arena_strdup(arena, from->text) : NULL;
    to->voice.say_voice = arena_strdup(arena, from->voice.say_voice);
    to->voice.thanks = arena_strdup(arena, from->voice.thanks);
    to->voice.stopped = arena_strdup(arena, from->voice.stopped);
    if (answers->count > 0) {
        answers->keys = arena_array(arena, answers->count, sizeof(*answers->keys));
        answers->values = arena_array(arena, answers->count, sizeof(*answers->values));
    }
    for (size_t i = 0; i < answers->count; i++) {
        answers->keys[i] = arena_strdup(arena, from->voice.answers.keys[i]);
        answers->values[i] = arena_strdup(arena, from->voice.answers.values[i]);
    }
}

void voice_cache_put_campaign(struct voice_cache *cache, const struct voice_campaign *campaign,
                              int64_t now_ms)
{
    pthread_mutex_lock(&cache->lock);
    struct campaign_place *place = find_campaign(cache, campaign->id);
    if (place == NULL) {
        place = make_room(cache);
    }
    arena_reset(place->arena);
    copy_campaign(campaign, place->arena, &place->campaign);
    place->put_ms = now_ms;
    pthread_mutex_unlock(&cache->lock);
}

bool voice_cache_has_campaign(struct voice_cache *cache, int64_t campaign, int64_t since_ms)
{
    pthread_mutex_lock(&cache->lock);
    const struct campaign_place *place = find_campaign(cache, campaign);
    bool has = place != NULL && place->put_ms >= since_ms;
    pthread_mutex_unlock(&cache->lock);
    return has;
}

/* --- calls --------------------------------------------------------------------------------------
 */

static struct call_place **number_bucket(struct voice_cache *cache, int64_t msisdn)
{
    return &cache->by_number[((uint64_t)msisdn * UINT64_C(0x9E3779B97F4A7C15)) >> 48];
}

static struct call_place **session_bucket(struct voice_cache *cache, const char *session)
{
    uint64_t hash = UINT64_C(0xCBF29CE484222325); /* FNV-1a */

    for (; *session != '\0'; session++) {
        hash = (hash ^ (unsigned char)*session) * UINT64_C(0x100000001B3);
    }
    return &cache->by_session[(hash ^ hash >> 32) % BUCKETS];
}

static void leave_session(struct voice_cache *cache, struct call_place *place)
{
    if (place->session[0] == '\0') {
        return;
    }
    struct call_place **at = session_bucket(cache, place->session);
    while (*at != place) {
        at = &(*at)->by_session;
    }
    *at = place->by_session;
    place->session[0] = '\0';
}

static void leave_list(struct voice_cache *cache, struct call_place *place)
{
    *(place->older != NULL ? &place->older->newer : &cache->oldest) = place->newer;
    *(place->newer != NULL ? &place->newer->older : &cache->newest) = place->older;
}

static void join_list(struct voice_cache *cache, struct call_place *place)
{
    place->newer = NULL;
    place->older = cache->newest;
    *(cache->newest != NULL ? &cache->newest->newer : &cache->oldest) = place;
    cache->newest = place;
}

static void drop_text(struct voice_cache *cache, struct call_place *place)
{
    cache->text_bytes -= place->text_bytes;
    free(place->text);
    place->text = NULL;
    place->text_bytes = 0;
}

static void forget_oldest(struct voice_cache *cache)
{
    struct call_place *place = cache->oldest;
    struct call_place **at = number_bucket(cache, place->msisdn);

    leave_session(cache, place);
    leave_list(cache, place);
    while (*at != place) {
        at = &(*at)->by_number;
    }
    *at = place->by_number;
    drop_text(cache, place);
    place->newer = cache->unused;
    cache->unused = place;
    cache->call_count--;
}

static struct call_place *find_call(struct voice_cache *cache, int64_t campaign, int64_t msisdn)
{
    struct call_place *place = *number_bucket(cache, msisdn);

    while (place != NULL && (place->campaign != campaign || place->msisdn != msisdn)) {
        place = place->by_number;
    }
    return place;
}

static struct call_place *new_call(struct voice_cache *cache, const struct voice_call *call)
{
    struct call_place **bucket = number_bucket(cache, call->msisdn);

    if (cache->unused == NULL) {
        forget_oldest(cache);
    }
    struct call_place *place = cache->unused;
    cache->unused = place->newer;
    place->campaign = call->campaign;
    place->msisdn = call->msisdn;
    place->by_number = *bucket;
    *bucket = place;
    cache->call_count++;
    return place;
}

static void set_session(struct voice_cache *cache, struct call_place *place, const char *session)
{
    if (strcmp(place->session, session) == 0 || strlen(session) >= sizeof(place->session)) {
        return;
    }
    leave_session(cache, place);
    memcpy(place->session, session, strlen(session) + 1);
    if (session[0] != '\0') {
        struct call_place **bucket = session_bucket(cache, session);
        place->by_session = *bucket;
        *bucket = place;
    }
}

static void set_text(struct voice_cache *cache, struct call_place *place, const char *text)
{
    if (text != NULL && place->text != NULL && strcmp(text, place->text) == 0) {
        return;
    }
    drop_text(cache, place);
    if (text == NULL) {
        return;
    }
    place->text = strdup(text);
    if (place->text == NULL) {
        panic("out of memory");
    }
    place->text_bytes = strlen(text) + 1;
    cache->text_bytes += place->text_bytes;
}

void voice_cache_put_call(struct voice_cache *cache, const struct voice_call *call)
{
    pthread_mutex_lock(&cache->lock);
    struct call_place *place = find_call(cache, call->campaign, call->msisdn);
    if (place != NULL) {
        leave_list(cache, place);
    } else {
        place = new_call(cache, call);
    }
    join_list(cache, place);
    place->called_ms = call->called_ms;
    set_session(cache, place, call->session);
    set_text(cache, place, call->text);
    while (cache->text_bytes > VOICE_TEXTS_BYTES_MAX) {
        forget_oldest(cache);
    }
    pthread_mutex_unlock(&cache->lock);
}

/* --- finding ------------------------------------------------------------------------------------
 */

static struct call_place *find_session(struct voice_cache *cache, const char *session)
{
    struct call_place *place = session[0] != '\0' ? *session_bucket(cache, session) : NULL;

    while (place != NULL && strcmp(place->session, session) != 0) {
        place = place->by_session;
    }
    return place;
}

/* One that has a session has another one: that call is over. */
static struct call_place *find_newest(struct voice_cache *cache, int64_t msisdn, int64_t now_ms)
{
    struct call_place *newest = NULL;

    for (struct call_place *here = *number_bucket(cache, msisdn); here != NULL;
         here = here->by_number) {
        if (here->msisdn == msisdn && here->session[0] == '\0' &&
            here->called_ms > now_ms - VOICE_UNNAMED_MS &&
            (newest == NULL || here->called_ms > newest->called_ms)) {
            newest = here;
        }
    }
    return newest;
}

static struct call_place *find_any(struct voice_cache *cache, const struct voice_key *key,
                                   int64_t now_ms)
{
    struct call_place *call;

    if (key->campaign != 0) {
        return find_call(cache, key->campaign, key->msisdn);
    }
    call = find_session(cache, key->session);
    return call != NULL || key->msisdn == 0 ? call : find_newest(cache, key->msisdn, now_ms);
}

/* The campaign of a post, and its call when it is known, if that is all that is needed. Lock held.
 */
static const struct voice_campaign *find_both(struct voice_cache *cache,
                                              const struct voice_key *key, int64_t now_ms,
                                              const char **out_own_text)
{
    const struct call_place *call = find_any(cache, key, now_ms);
    int64_t id = call != NULL ? call->campaign : key->campaign;
    const struct campaign_place *place = id != 0 ? find_campaign(cache, id) : NULL;

    *out_own_text = call != NULL ? call->text : NULL;
    if (place == NULL || (*out_own_text == NULL && place->campaign.voice.audio == 0 &&
                          place->campaign.text == NULL)) {
        return NULL;
    }
    return &place->campaign;
}

bool voice_cache_find(struct voice_cache *cache, const struct voice_key *key, int64_t now_ms,
                      struct arena *arena, struct voice_campaign *out)
{
    const char *own_text;

    pthread_mutex_lock(&cache->lock);
    const struct voice_campaign *campaign = find_both(cache, key, now_ms, &own_text);
    if (campaign != NULL) {
        copy_campaign(campaign, arena, out);
        if (own_text != NULL) {
            out->text = arena_strdup(arena, own_text);
        }
    }
    pthread_mutex_unlock(&cache->lock);
    return campaign != NULL;
}

bool voice_cache_has(struct voice_cache *cache, const struct voice_key *key, int64_t now_ms)
{
    const char *own_text;

    pthread_mutex_lock(&cache->lock);
    bool has = find_both(cache, key, now_ms, &own_text) != NULL;
    pthread_mutex_unlock(&cache->lock);
    return has;
}

void voice_cache_count(struct voice_cache *cache, int64_t *out_campaigns, int64_t *out_calls)
{
    pthread_mutex_lock(&cache->lock);
    *out_campaigns = cache->campaign_count;
    *out_calls = cache->call_count;
    pthread_mutex_unlock(&cache->lock);
}
