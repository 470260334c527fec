/*
 * id - names for things
 *
 * Among the 21 random bits of one millisecond a thousand ids drawn at random would collide with
 * each other in one case out of five. So a thread draws once per millisecond and counts on from
 * there: its own ids differ for certain, and two processes collide only if their runs overlap.
 * That state must not be shared with a forked child, which would count on from the same place.
 */
#include "base/id.h"

#include <ctype.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/random.h>

#include "base/panic.h"

#define EPOCH_MS ((int64_t)1735689600000) /* 2025-01-01T00:00:00Z */
#define RANDOM_BITS 21
#define RANDOM_MASK (((int64_t)1 << RANDOM_BITS) - 1)
#define MAX_MS (((int64_t)1 << 42) - 1) /* the year 2164 */
#define LETTERS 13
#define KIND_MAX 6

static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"; /* Crockford: no I L O U */

static _Thread_local struct {
    int64_t last_ms;
    int64_t last_random;
    uint64_t jitter; /* state of id_random_below(); 0 is not seeded yet */
    bool used;
} state;

static void forget_state(void)
{
    memset(&state, 0, sizeof(state));
}

__attribute__((constructor)) static void watch_forks(void)
{
    if (pthread_atfork(NULL, NULL, forget_state) != 0) {
        panic("pthread_atfork failed");
    }
}

void id_random(void *out, size_t len)
{
    char *at = out;

    while (len > 0) {
        ssize_t got = getrandom(at, len, 0);
        if (got < 0 && errno != EINTR) {
            panic("getrandom: %s", strerror(errno));
        }
        if (got > 0) {
            at += got;
            len -= (size_t)got;
        }
    }
}

/* splitmix64, see Steele, Lea and Flood, "Fast splittable pseudorandom number generators". */
static uint64_t next_jitter(void)
{
    while (state.jitter == 0) {
        id_random(&state.jitter, sizeof(state.jitter));
    }
    state.jitter += 0x9e3779b97f4a7c15U;
    uint64_t z = state.jitter;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

uint32_t id_random_below(uint32_t below)
{
    if (below == 0) {
        panic("nothing is below 0");
    }
    /* Lemire's multiplication; values under the threshold would be favoured and are drawn again. */
    uint32_t threshold = (0U - below) % below;
    uint64_t product;
    do {
        product = (next_jitter() >> 32) * below;
    } while ((uint32_t)product < threshold);
    return (uint32_t)(product >> 32);
}

static int64_t clamp_ms(int64_t ms)
{
    int64_t since = ms < EPOCH_MS ? 0 : ms - EPOCH_MS;

    return since > MAX_MS ? MAX_MS : since;
}

int64_t id_create(int64_t now_ms)
{
    int64_t ms = clamp_ms(now_ms);

    if (state.used && state.last_ms == ms) {
        state.last_random = (state.last_random + 1) & RANDOM_MASK;
    } else {
        uint32_t draw;
        id_random(&draw, sizeof(draw));
        state.last_random = (int64_t)draw & RANDOM_MASK;
        state.last_ms = ms;
        state.used = true;
    }
    int64_t id = (ms << RANDOM_BITS) | state.last_random;
    /* 0 is no id; only the very first millisecond can come upon it. */
    return id != 0 ? id : id_create(now_ms);
}

int64_t id_floor(int64_t ms)
{
    return clamp_ms(ms) << RANDOM_BITS;
}

int64_t id_born_ms(int64_t id)
{
    return (id >> RANDOM_BITS) + EPOCH_MS;
}

void id_format(const char *kind, int64_t id, char out[ID_TEXT_BYTES])
{
    size_t len = strlen(kind);
    uint64_t left = (uint64_t)id;

    if (len > KIND_MAX || id < 0) {
        panic("no id: kind '%s', %lld", kind, (long long)id);
    }
    memcpy(out, kind, len);
    out[len] = '_';
    for (size_t i = LETTERS; i > 0; i--) {
        out[len + i] = alphabet[left & 31];
        left >>= 5;
    }
    out[len + 1 + LETTERS] = '\0';
}

bool id_parse(const char *kind, const char *text, int64_t *out_id)
{
    size_t len = strlen(kind);
    uint64_t id = 0;

    if (text == NULL || strncmp(text, kind, len) != 0 || text[len] != '_' ||
        strlen(text + len + 1) != LETTERS) {
        return false;
    }
    for (size_t i = 0; i < LETTERS; i++) {
        const char *letter =
            memchr(alphabet, toupper((unsigned char)text[len + 1 + i]), sizeof(alphabet) - 1);
        /* 13 letters hold 65 bits, an id only 63. */
        if (letter == NULL || (i == 0 && letter - alphabet > 7)) {
            return false;
        }
        id = id << 5 | (uint64_t)(letter - alphabet);
    }
    if (id == 0) {
        return false;
    }
    *out_id = (int64_t)id;
    return true;
}

void id_hex(const void *bytes, size_t len, char *out)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *at = bytes;

    for (size_t i = 0; i < len; i++) {
        out[2 * i] = digits[at[i] >> 4];
        out[2 * i + 1] = digits[at[i] & 15];
    }
    out[2 * len] = '\0';
}

void id_message(char out[ID_MESSAGE_BYTES])
{
    unsigned char bytes[(ID_MESSAGE_BYTES - 1) / 2];

    id_random(bytes, sizeof(bytes));
    id_hex(bytes, sizeof(bytes), out);
}
