/*
 * speech - what of a text can be spoken
 */
#include "text/speech.h"

#include <string.h>

#include "base/str.h"

bool text_speech_is_mute(const char *at, size_t len)
{
    return (len == 1 && ((unsigned char)*at < ' ' || *at == 0x7F)) ||
           (len == 2 && memcmp(at, "\xC2\x80", 2) >= 0 && memcmp(at, "\xC2\x9F", 2) <= 0) ||
           (len == 3 && (memcmp(at, "\xEF\xBF\xBE", 3) == 0 || memcmp(at, "\xEF\xBF\xBF", 3) == 0));
}

size_t text_speech_chars(const char *text, size_t len)
{
    size_t chars = 0;
    bool is_heard = false;

    while (len > 0) {
        size_t size = str_utf8_char(text, len);
        if (strchr("\t\n\r ", *text) != NULL && *text != '\0') {
            chars++;
        } else if (size > 0 && !text_speech_is_mute(text, size)) {
            chars++;
            is_heard = true;
        }
        size += size == 0; /* no character begins here: left out byte by byte */
        text += size;
        len -= size;
    }
    return is_heard ? chars : 0;
}

bool text_speech_is_voice(const char *voice)
{
    size_t len = strspn(voice, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-");

    return len <= TEXT_SPEECH_VOICE_BYTES_MAX && voice[len] == '\0';
}
