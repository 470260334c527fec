/*
 * name - a file's name as it was sent, without what could lead anybody astray
 */
#include <string.h>

#include "audio/asset.h"
#include "base/str.h"

/* The character is shown, and turns nothing around: no control, no direction mark or override. */
static bool is_shown(const char *at, size_t len)
{
    const unsigned char *u = (const unsigned char *)at;

    if (len == 1) {
        return u[0] >= 0x20 && u[0] != 0x7F;
    }
    if (len == 2) {
        return !(u[0] == 0xC2 && u[1] < 0xA0); /* U+0080 to U+009F */
    }
    if (len == 3 && u[0] == 0xE2) { /* U+200B to U+200F, U+2028 to U+202E, U+2066 to U+2069 */
        return !(u[1] == 0x80 &&
                 ((u[2] >= 0x8B && u[2] <= 0x8F) || (u[2] >= 0xA8 && u[2] <= 0xAE))) &&
               !(u[1] == 0x81 && u[2] >= 0xA6 && u[2] <= 0xA9);
    }
    return true;
}

const char *audio_name_clean(const char *name, enum audio_kind kind, struct arena *arena)
{
    char clean[AUDIO_NAME_MAX + 1];
    size_t len = 0;

    for (const char *at = name; *at != '\0';) {
        size_t wide = str_utf8_char(at, strlen(at));
        if (*at == '/' || *at == '\\') {
            len = 0; /* only what is behind the last of them */
        } else if (wide > 0 && is_shown(at, wide) && (len > 0 || (*at != ' ' && *at != '.'))) {
            if (len + wide <= AUDIO_NAME_MAX) {
                memcpy(clean + len, at, wide);
                len += wide;
            } else {
                at += strcspn(at, "/\\");
                continue;
            }
        }
        at += wide > 0 ? wide : 1;
    }
    while (len > 0 && clean[len - 1] == ' ') {
        len--;
    }
    return len > 0 ? arena_strndup(arena, clean, len)
                   : arena_printf(arena, "audio.%s", audio_kind_word(kind));
}
