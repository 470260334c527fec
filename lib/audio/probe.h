/*
 * probe - what a file of sound is, by its content
 *
 *     struct audio_facts facts;
 *     if (!audio_probe(path, &facts, &err)) ...    // err.detail is for whoever made the file
 *     audio_kind_word(facts.kind), facts.duration_ms
 *
 * WAV (PCM, float, A-law, u-law) and MP3, which is what a provider plays. A name or a content type
 * is never asked, nor what a file says of its own length: a WAV's header is held against the bytes
 * that are there, an MP3's frames are counted. Nothing is decoded. Any thread; memory does not
 * depend on the file.
 */
#ifndef AUDIO_PROBE_H
#define AUDIO_PROBE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* Nobody listens longer, and a call costs by the minute. */
#define AUDIO_MAX_MS INT64_C(600000)
#define AUDIO_RATE_MIN 4000
#define AUDIO_RATE_MAX 192000
#define AUDIO_CHANNELS_MAX 8

enum audio_kind {
    AUDIO_WAV = 1,
    AUDIO_MP3,
};

struct audio_facts {
    enum audio_kind kind;
    int64_t duration_ms; /* at least 1 */
    int64_t sample_rate; /* a second */
    int64_t channels;
};

/* "wav", "mp3": also the extension. */
const char *audio_kind_word(enum audio_kind kind);
const char *audio_kind_type(enum audio_kind kind); /* "audio/wav", "audio/mpeg" */
bool audio_kind_parse(const char *word, enum audio_kind *out_kind);

/*
 * Permanent: audio_empty, audio_not_sound (something else, said if it is known), audio_codec,
 * audio_truncated, audio_broken, audio_silent (there is no sound in it), audio_too_long.
 * Temporary: audio_unreadable.
 */
bool audio_probe(const char *path, struct audio_facts *out, struct err *err)
    __attribute__((warn_unused_result));

#endif
