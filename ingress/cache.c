#include "cache.h"

#include <pthread.h>
#include <stddef.h>

#include "base/clock.h"

#define PLACES 64

struct place {
    const char *kind;
    int64_t id;
    int64_t until_ms;
    struct str text;
};

struct cache {
    pthread_mutex_t lock;
    struct place places[PLACES];
};

struct cache *cache_create(struct arena *arena)
{
    struct cache *cache = arena_alloc(arena, sizeof(*cache));

    pthread_mutex_init(&cache->lock, NULL);
    return cache;
}

void cache_destroy(struct cache *cache)
{
    for (int i = 0; i < PLACES; i++) {
        str_free(&cache->places[i].text);
    }
    pthread_mutex_destroy(&cache->lock);
}

bool cache_find(struct cache *cache, const char *kind, int64_t id, struct str *out)
{
    bool found = false;

    pthread_mutex_lock(&cache->lock);
    for (int i = 0; i < PLACES && !found; i++) {
        struct place *place = &cache->places[i];
        found = place->kind == kind && place->id == id && place->until_ms > clock_mono_ms();
        if (found) {
            str_append(out, place->text.bytes, place->text.len);
        }
    }
    pthread_mutex_unlock(&cache->lock);
    return found;
}

void cache_keep(struct cache *cache, const char *kind, int64_t id, const struct str *text,
                int64_t for_ms)
{
    pthread_mutex_lock(&cache->lock);
    struct place *place = cache->places;
    for (int i = 0; i < PLACES; i++) {
        struct place *here = &cache->places[i];
        if (here->kind == kind && here->id == id) {
            place = here;
            break;
        }
        if (here->until_ms < place->until_ms) {
            place = here;
        }
    }
    place->kind = kind;
    place->id = id;
    place->until_ms = clock_mono_ms() + for_ms;
    str_reset(&place->text);
    str_append(&place->text, text->bytes, text->len);
    pthread_mutex_unlock(&cache->lock);
}
