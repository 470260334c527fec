#include "limit.h"

#include <pthread.h>
#include <stddef.h>

#include "base/clock.h"
#include "settings.h"

#define CORNERS 2048 /* a power of two */
#define CORNER_SLOTS 4
#define SECOND_US INT64_C(1000000)

struct slot {
    uint64_t key;
    int64_t full_us; /* when the bucket will be full again: past means it is */
};

struct limit {
    pthread_mutex_t lock;
    int64_t cost_us; /* of one request; 0: no limit */
    struct slot slots[CORNERS][CORNER_SLOTS];
};

struct limit *limit_create(struct arena *arena, long per_second)
{
    struct limit *limit = arena_alloc(arena, sizeof(*limit));

    pthread_mutex_init(&limit->lock, NULL);
    limit->cost_us = per_second > 0 ? SECOND_US / per_second : 0;
    return limit;
}

uint64_t limit_key(const void *bytes, unsigned len)
{
    const unsigned char *at = bytes;
    uint64_t hash = 0xcbf29ce484222325U; /* FNV-1a, then mixed as in splitmix64 */

    for (unsigned i = 0; i < len; i++) {
        hash = (hash ^ at[i]) * 0x100000001b3U;
    }
    hash = (hash ^ (hash >> 30)) * 0xbf58476d1ce4e5b9U;
    hash = (hash ^ (hash >> 27)) * 0x94d049bb133111ebU;
    return hash ^ (hash >> 31);
}

/* The key's slot, or the one that has been quiet the longest. */
static struct slot *find_slot(struct limit *limit, uint64_t key)
{
    struct slot *corner = limit->slots[key & (CORNERS - 1)];
    struct slot *oldest = corner;

    for (int i = 0; i < CORNER_SLOTS; i++) {
        if (corner[i].key == key) {
            return &corner[i];
        }
        if (corner[i].full_us < oldest->full_us) {
            oldest = &corner[i];
        }
    }
    *oldest = (struct slot){ .key = key };
    return oldest;
}

bool limit_take(struct limit *limit, uint64_t key, long *out_wait_s)
{
    int64_t now_us = clock_mono_us();
    int64_t burst_us = RATE_BURST_S * SECOND_US;
    bool free;

    if (limit->cost_us == 0) {
        return true;
    }
    pthread_mutex_lock(&limit->lock);
    struct slot *slot = find_slot(limit, key);
    int64_t from_us = slot->full_us > now_us ? slot->full_us : now_us;
    int64_t after_us = from_us + limit->cost_us - now_us;
    free = after_us <= burst_us;
    if (free) {
        slot->full_us = from_us + limit->cost_us;
    }
    pthread_mutex_unlock(&limit->lock);
    if (!free) {
        *out_wait_s = (long)((after_us - burst_us + SECOND_US - 1) / SECOND_US);
    }
    return free;
}
