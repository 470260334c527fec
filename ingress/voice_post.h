/*
 * voice_post - what the provider posts of a call, read, and the message that keeps it
 *
 *     voice_post_read(body, len, &said, now_ms, arena, json, &post);
 *     if (json->len > 0) … it goes on as voice_post_shape(&post), with the id post.id
 *     if (post.is_active) … is answered with XML, else with nothing
 *
 * Never fails: what cannot be read becomes callback.misread with the body as it came. Only keys and
 * ends of our own calls are kept: a call to our number is refused, and its end is no end of ours.
 */
#ifndef INGRESS_VOICE_POST_H
#define INGRESS_VOICE_POST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/id.h"
#include "base/str.h"
#include "json/shape.h"
#include "provider/at_voice.h"

enum voice_made {
    VOICE_ASKS, /* what is to be heard, and no more */
    VOICE_KEYS, /* that too, and what was pressed */
    VOICE_ENDED,
    VOICE_INBOUND, /* somebody calls us, or did */
    VOICE_MISREAD,
    VOICE_MADE_COUNT,
};

/* Arguments of the address it was posted to, NULL when absent: of our own callback addresses. */
struct voice_said {
    const char *campaign;
    const char *step;
};

/* Texts live in the arena. */
struct voice_post {
    enum voice_made made;
    bool is_active;       /* also of what was misread */
    bool is_answer;       /* to an asking of ours, though perhaps nothing was pressed */
    struct at_voice call; /* not of what was misread */
    int64_t campaign;     /* as our address said it, or the request's name; 0 */
    int step;             /* which asking this answers; 0 when our address did not say it */
    char id[ID_MESSAGE_BYTES];
};

/* Overwrites *json. */
void voice_post_read(const char *body, size_t len, const struct voice_said *said, int64_t now_ms,
                     struct arena *arena, struct str *json, struct voice_post *out);

/* Of what is kept. */
const struct shape *voice_post_shape(const struct voice_post *post);

#endif
