/*
 * media - the audio that our XML names: fetched once, then known
 */
#include <string.h>

#include "engine/pages.h"
#include "sim.h"

/* Enough for the head of a WAV or for the first frame of an MP3 after a short tag. */
#define KEEP_BYTES ((size_t)16384)
#define CONNECTIONS 8
#define TIMEOUT_MS 30000

/* A fetch that failed is tried again for calls later than this. */
#define FAILED_FOR_MS 1000

#define WAV_HEAD_BYTES 44

static uint32_t little_endian(const unsigned char *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

/* kbit/s of an MPEG layer III frame whose first three bytes these are; 0 when it is none. */
static uint32_t mp3_kbits(const unsigned char *at)
{
    static const uint16_t first[] = { 0,   32,  40,  48,  56,  64,  80,  96,
                                      112, 128, 160, 192, 224, 256, 320, 0 };
    static const uint16_t second[] = { 0,  8,  16, 24,  32,  40,  48,  56,
                                       64, 80, 96, 112, 128, 144, 160, 0 };

    if (at[0] != 0xff || (at[1] & 0xe6) != 0xe2) {
        return 0;
    }
    return (at[1] & 0x08) != 0 ? first[at[2] >> 4] : second[at[2] >> 4];
}

/* How long it plays: WAV by its head, MP3 by its first frame; 0 for what is neither. */
static uint32_t length_of(const char *body, size_t kept, uint64_t bytes)
{
    const unsigned char *at = (const unsigned char *)body;

    if (kept >= WAV_HEAD_BYTES && memcmp(at, "RIFF", 4) == 0) {
        uint32_t per_second = little_endian(at + 28);

        return per_second == 0 ? 0 : (uint32_t)((bytes - WAV_HEAD_BYTES) * 1000 / per_second);
    }
    for (size_t i = 0; i + 3 <= kept; i++) {
        uint32_t kbits = mp3_kbits(at + i);

        if (kbits > 0) {
            return (uint32_t)(bytes * 8 / kbits);
        }
    }
    return 0;
}

struct media *media_find(struct sim *sim, const char *url)
{
    struct media_shelf *shelf = &sim->voice.shelf;
    size_t len = strlen(url);

    for (uint32_t i = 0; i < shelf->count; i++) {
        struct media *media = &shelf->media[i];

        if (media->url.len == len && memcmp(media->url.bytes, url, len) == 0) {
            return media;
        }
    }
    if (shelf->count == MEDIA_MAX) {
        shelf->skipped++;
        return NULL;
    }
    str_puts(&shelf->media[shelf->count].url, url);
    return &shelf->media[shelf->count++];
}

static void want(struct media_shelf *shelf, struct media *media)
{
    if (shelf->job_count == MEDIA_JOBS_MAX) {
        shelf->skipped++;
        return;
    }
    shelf->jobs[(shelf->job_first + shelf->job_count) % MEDIA_JOBS_MAX] =
        (uint32_t)(media - shelf->media);
    shelf->job_count++;
}

bool media_is_ready(struct sim *sim, struct media *media, uint32_t index)
{
    struct media_shelf *shelf = &sim->voice.shelf;
    uint32_t leg = sim->voice.calls[index].leg;

    if (media->known &&
        (media->status == 200 || sim->loop.now_ms - media->failed_ms < FAILED_FOR_MS)) {
        return true;
    }
    if (!media->wanted && shelf->job_count == MEDIA_JOBS_MAX) {
        return true; /* counted as skipped; the call goes on in silence */
    }
    if (!media->wanted) {
        media->wanted = true;
        media->known = false;
        want(shelf, media);
    }
    sim->voice.legs[leg - 1].next_waiting = media->waiting;
    media->waiting = leg;
    return false;
}

void media_fetch_again(struct sim *sim, struct media *media)
{
    /* The first play's fetch has counted already. */
    if (media->fetches++ > 0) {
        want(&sim->voice.shelf, media);
    }
}

static bool next_fetch(void *context, uint32_t slot, struct post *post)
{
    struct sim *sim = context;
    struct media_shelf *shelf = &sim->voice.shelf;

    while (shelf->job_count > 0) {
        uint32_t index = shelf->jobs[shelf->job_first];

        shelf->job_first = (shelf->job_first + 1) % MEDIA_JOBS_MAX;
        shelf->job_count--;
        shelf->in_flight[slot] = index;
        if (voice_route(sim, "GET", shelf->media[index].url.bytes, post)) {
            return true;
        }
        shelf->poster.done(sim, slot, 0);
    }
    return false;
}

static void fetch_answered(void *context, uint32_t slot, const struct poster_answer *answer)
{
    struct sim *sim = context;
    struct media_shelf *shelf = &sim->voice.shelf;
    struct media *media = &shelf->media[shelf->in_flight[slot]];

    memcpy(media->type, answer->type, strlen(answer->type) + 1);
    media->bytes = answer->bytes;
    media->length_ms = length_of(answer->body, answer->kept, answer->bytes);
    shelf->bytes += answer->bytes;
}

static void fetch_done(void *context, uint32_t slot, int status)
{
    struct sim *sim = context;
    struct media_shelf *shelf = &sim->voice.shelf;
    struct media *media = &shelf->media[shelf->in_flight[slot]];
    uint32_t leg = media->waiting;

    media->known = true;
    media->wanted = false;
    media->status = status;
    if (status == 200) {
        shelf->fetched++;
    } else {
        shelf->failed++;
        media->failed_ms = sim->loop.now_ms;
    }
    media->waiting = 0;
    while (leg != 0) {
        uint32_t next = sim->voice.legs[leg - 1].next_waiting;

        voice_follow(sim, sim->voice.legs[leg - 1].call);
        leg = next;
    }
}

bool media_open(struct sim *sim, struct err *err)
{
    struct media_shelf *shelf = &sim->voice.shelf;

    shelf->media = pages_map(MEDIA_MAX * sizeof(struct media));
    shelf->jobs = pages_map(MEDIA_JOBS_MAX * sizeof(uint32_t));
    shelf->in_flight = arena_array(sim->arena, CONNECTIONS, sizeof(uint32_t));
    shelf->poster = (struct poster){
        .loop = &sim->loop,
        .next = next_fetch,
        .done = fetch_done,
        .answered = fetch_answered,
        .keep_bytes = KEEP_BYTES,
        .context = sim,
        .timeout_ms = TIMEOUT_MS,
    };
    return poster_open(&shelf->poster, NULL, CONNECTIONS, sim->arena, err);
}

void media_clear(struct sim *sim)
{
    struct media_shelf *shelf = &sim->voice.shelf;

    for (uint32_t i = 0; i < shelf->count; i++) {
        shelf->media[i].waiting = 0;
    }
    poster_break(&shelf->poster);
    for (uint32_t i = 0; i < shelf->count; i++) {
        str_free(&shelf->media[i].url);
    }
    pages_clear(shelf->media, shelf->count * sizeof(struct media));
    shelf->count = shelf->job_count = 0;
    shelf->fetched = shelf->failed = shelf->bytes = shelf->skipped = 0;
}

void media_close(struct sim *sim)
{
    pages_unmap(sim->voice.shelf.media, MEDIA_MAX * sizeof(struct media));
    pages_unmap(sim->voice.shelf.jobs, MEDIA_JOBS_MAX * sizeof(uint32_t));
}
