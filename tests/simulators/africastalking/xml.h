/*
 * xml - our answer to a call: what the callee is to hear and what is asked of them
 *
 *     if (!xml_read(bytes, len, arena, &script, &problem)) ...   // problem: "a raw & in a text"
 *     for (size_t i = 0; i < script.count; i++) ...
 *
 * Reads Say, Play, GetDigits with one Say or Play, and Redirect. Everything else that is not
 * well-formed, or that this simulator does not do, is a problem: a test is to hear of it.
 */
#ifndef SIM_XML_H
#define SIM_XML_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"

#define XML_ELEMENTS_MAX 32

enum element_kind { ELEMENT_NONE, ELEMENT_SAY, ELEMENT_PLAY, ELEMENT_GET_DIGITS, ELEMENT_REDIRECT };

struct element {
    enum element_kind kind;
    enum element_kind prompt; /* of a GetDigits: Say, Play or none */
    const char *url;          /* of Play and Redirect, and of a prompt that is a Play */
    size_t chars;             /* of Say, and of a prompt that is a Say */
    const char *callback_url; /* of GetDigits; NULL: the current one */
    long timeout_s;
    long num_digits; /* 0: not told */
};

struct script {
    struct element elements[XML_ELEMENTS_MAX];
    size_t count;
};

/* The texts are the arena's. */
bool xml_read(const char *bytes, size_t len, struct arena *arena, struct script *out_script,
              const char **out_problem) __attribute__((warn_unused_result));

#endif
