/*
 * at_voice_xml - the document that says what a callee hears
 *
 *     at_xml_begin(&out);
 *     if (!at_xml_play(&out, url, &err)) …           // out is as it was
 *     if (!at_xml_digits(&out, &question, &err)) …
 *     at_xml_end(&out);
 *
 * The provider carries the actions out in their order and hangs up after the last; an action
 * Hangup does not exist. After a GetDigits without input the next action runs and nothing is posted
 * to us. Everything is escaped. Errors are permanent and name the element and the fault; a check
 * of texts and URLs when a campaign is made is the same call into a scratch str.
 */
#ifndef PROVIDER_AT_VOICE_XML_H
#define PROVIDER_AT_VOICE_XML_H

#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"
#include "text/speech.h"

#define AT_XML_CONTENT_TYPE "application/xml; charset=utf-8"

/* The provider publishes no limits; these are our bounds. */
#define AT_SAY_CHARS_MAX 2000
#define AT_SAY_VOICE_BYTES_MAX TEXT_SPEECH_VOICE_BYTES_MAX
#define AT_XML_URL_BYTES_MAX 2000
#define AT_DIGITS_TIMEOUT_S_MAX 120
#define AT_DIGITS_MAX 20

/* Appends the declaration and the root's begin, the root's end. */
void at_xml_begin(struct str *out);
void at_xml_end(struct str *out);

/*
 * Text is spoken as it is: markup in it is escaped. Tabs and line breaks become blanks; other
 * control characters and what is not UTF-8 are left out. Errors: say_empty, say_too_long,
 * bad_voice (man, woman, or letters, digits and '-'; NULL or "" for the provider's own).
 */
bool at_xml_say(struct str *out, const char *voice, const char *text, struct err *err)
    __attribute__((warn_unused_result));

/* http or https, visible ASCII. Error: bad_url. */
bool at_xml_play(struct str *out, const char *url, struct err *err)
    __attribute__((warn_unused_result));

struct at_xml_digits {
    int timeout_s;            /* 1 to AT_DIGITS_TIMEOUT_S_MAX */
    int num_digits;           /* 1 to AT_DIGITS_MAX: an unbounded wait is none of ours */
    char finish_on_key;       /* 0 to 9, '*', '#'; 0 for none */
    const char *callback_url; /* NULL or "": the number's own */
    const char *play_url;     /* exactly one of play_url and say_text; the other is NULL */
    const char *say_text;
    const char *say_voice;
};

/* Errors: those of its child, bad_digits, bad_url. */
bool at_xml_digits(struct str *out, const struct at_xml_digits *digits, struct err *err)
    __attribute__((warn_unused_result));

/* Refuses an incoming call, free of charge. */
void at_xml_reject(struct str *out);

/* Whole documents: a polite end, for sessions that we do not know; and the refusal of a caller. */
void at_xml_goodbye(struct str *out);
void at_xml_refusal(struct str *out);

#endif
