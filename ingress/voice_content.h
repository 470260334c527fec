/*
 * voice_content - what one post of a live call is answered with, whatever is known of it
 *
 *     source = voice_content_write(settings, &hearer, now_ms, &xml, &err)
 *
 * The campaign's content or what follows a key; else, to a callee who has heard nothing yet, the
 * operator's own audio; else a goodbye. Somebody who calls us is refused.
 */
#ifndef INGRESS_VOICE_CONTENT_H
#define INGRESS_VOICE_CONTENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "settings.h"
#include "voice_cache.h"
#include "voice_post.h"

#define VOICE_PATH "/api/communications/webhooks/voice"

/* Where an answer came from. */
enum voice_source {
    VOICE_CONTENT,
    VOICE_LOOKED_UP, /* that too, after a question to the database: the caller's to say */
    VOICE_FALLBACK,
    VOICE_GOODBYE,
    VOICE_REFUSAL,
    VOICE_SOURCES,
};

struct voice_hearer {
    const struct voice_post *post;
    const struct voice_campaign *campaign; /* NULL: not known */
    bool is_nobody;                        /* and the database does not know it either */
    struct arena *arena;
};

/* Appends a whole document, always. Of a campaign without its content, *err says why. */
enum voice_source voice_content_write(const struct settings *settings,
                                      const struct voice_hearer *hearer, int64_t now_ms,
                                      struct str *out, struct err *err);

#endif
