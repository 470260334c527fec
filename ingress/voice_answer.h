/*
 * voice_answer - the document that says what one callee hears next
 *
 *     voice_answer_write(&script, &turn, &out, &err)
 *
 * A first post gets the content, played or spoken, and when keys are asked for, an asking around it
 * whose answer comes back as step 1. Then: the key for hearing it again asks again, as often as the
 * campaign allows; the one for stopping, and an answer, are thanked for, or the call ends; anything
 * else, nothing included, is asked for again, at least once. A document without actions ends the
 * call.
 */
#ifndef INGRESS_VOICE_ANSWER_H
#define INGRESS_VOICE_ANSWER_H

#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"
#include "campaign/voice.h"

/* What there is to be heard: the audio when the campaign has one, else the text. */
struct voice_script {
    struct voice voice;
    const char *text;      /* NULL none */
    const char *audio_url; /* NULL none */
};

/* Where the call is. */
struct voice_turn {
    bool is_answer;     /* to an asking */
    int step;           /* which one; 0: not known, and then nothing is asked again */
    const char *digits; /* "" none */
    /* What is before the step's number; NULL: the provider posts to the number's own address. */
    const char *callback_url;
};

/* Appends a whole document. Permanent errors, *out as it was: no_content, and those of
 * at_voice_xml. */
bool voice_answer_write(const struct voice_script *script, const struct voice_turn *turn,
                        struct str *out, struct err *err) __attribute__((warn_unused_result));

#endif
