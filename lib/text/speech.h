/*
 * speech - what of a text can be spoken
 *
 *     if (text_speech_chars(text, len) == 0) … there is nothing to hear
 *
 * Shared by whoever makes a campaign and whoever writes what a provider reads out, so that what the
 * one took the other can say.
 */
#ifndef TEXT_SPEECH_H
#define TEXT_SPEECH_H

#include <stdbool.h>
#include <stddef.h>

#define TEXT_SPEECH_VOICE_BYTES_MAX 64

/*
 * Whether the character of len bytes has no sound and should not stand in XML: controls, DEL, the
 * C1 controls, U+FFFE and U+FFFF. (Tabs and line breaks are controls too; they are said as blanks.)
 */
bool text_speech_is_mute(const char *at, size_t len);

/*
 * Characters that are said, blanks among them; 0 when there are blanks only. What is not UTF-8 is
 * not said.
 */
size_t text_speech_chars(const char *text, size_t len);

/* The name of a voice: man, woman, or letters, digits and '-'; "" is the provider's own. */
bool text_speech_is_voice(const char *voice);

#endif
