/*
 * voice - the part of a campaign that only calls have: what is heard, asked and paid
 *
 *     voice_check(db, account, now, definition, &voice, &err) && voice_insert(db, …)
 *     voice_load(db, campaign, arena, &voice, &found, &err)
 *     tokens = voice_tokens_most(&voice, voice_content_ms(&voice, text));   // hold this
 *     tokens = voice_tokens(&voice, duration_s);                // charge this, at most that
 *     voice_request_write(campaign, batch, pass, request);      // names calls to the provider
 *
 * A minute is paid as soon as it has begun. What is held for a recipient is what its calls may cost
 * at most: everything heard as often as keys allow, the whole wait for each key, and twice that
 * when whoever listened to too little is called once more. Nobody pays more than was quoted.
 */
#ifndef CAMPAIGN_VOICE_H
#define CAMPAIGN_VOICE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "db/db.h"
#include "json/shape.h"
#include "msg/campaign.h"

struct voice {
    int64_t audio;    /* asset; 0: the text is spoken */
    int64_t audio_ms; /* 0 unless audio */
    const char *say_voice;
    int attempts;      /* 0: as the operator has set */
    int retry_s;       /* 0: as the operator has set */
    int below_percent; /* 0: nobody is called again for listening to too little */
    char repeat_key;   /* 0: none */
    int repeats;
    char stop_key;      /* 0: none */
    struct map answers; /* one-character keys */
    int wait_s;
    const char *thanks, *stopped;
    int tokens_per_minute;
};

/*
 * What a definition says of calls, with what it leaves out filled in; audio and price are those of
 * now, texts the definition's. Inside the caller's transaction: the audio is held until it ends.
 * Permanent: content_missing, content_twice, say_empty, say_too_long, bad_voice, audio_unknown,
 * bad_key, key_twice, label_empty, no_repeat_key, no_answers, no_stop_key, no_keys; the detail
 * begins with the field. The caller id is the campaign's sender: see campaign_create().
 */
bool voice_check(struct db *db, int64_t account, int64_t now_ms,
                 const struct campaign_submitted *definition, struct voice *out_voice,
                 struct err *err) __attribute__((warn_unused_result));

/* Permanent, voice_without_calls: the definition of a campaign by SMS has something of calls. */
bool voice_check_none(const struct campaign_submitted *definition, struct err *err)
    __attribute__((warn_unused_result));

/* The row of a campaign that is there. */
bool voice_insert(struct db *db, int64_t campaign, const struct voice *voice, struct err *err)
    __attribute__((warn_unused_result));

/* *out_found is false for a campaign without calls. */
bool voice_load(struct db *db, int64_t campaign, struct arena *arena, struct voice *out_voice,
                bool *out_found, struct err *err) __attribute__((warn_unused_result));

/* Of so many campaigns at once: out_voices has n elements, NULL for one without calls. */
bool voice_load_all(struct db *db, const int64_t *campaigns, size_t n, struct arena *arena,
                    const struct voice **out_voices, struct err *err)
    __attribute__((warn_unused_result));

/* Whether a key is asked for at all, and whether this one is. */
bool voice_asks(const struct voice *voice);
bool voice_is_answer(const struct voice *voice, char key);

/* How long the content takes to hear once; text is ignored for audio, else estimated by its length.
 */
int64_t voice_content_ms(const struct voice *voice, const char *text);

/* The most that a recipient's calls may cost; VOICE_TOKENS_MAX + 1 for anything above it. */
#define VOICE_TOKENS_MAX INT16_MAX /* what a recipient's row holds */
int voice_tokens_most(const struct voice *voice, int64_t content_ms);

/* What a call of that length costs; 0 of one that was not answered. */
int voice_tokens(const struct voice *voice, int64_t duration_s);

/* "cmp_…-17-2", for at_call_request(). */
#define VOICE_REQUEST_BYTES 64
void voice_request_write(int64_t campaign, int batch, int pass, char out[VOICE_REQUEST_BYTES]);
bool voice_request_read(const char *request, int64_t *out_campaign, int *out_batch, int *out_pass)
    __attribute__((warn_unused_result));

#endif
