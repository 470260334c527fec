/*
 * conf - the settings of whoever keeps files of sound
 *
 *     struct settings { … struct audio_conf audio; … };
 *     AUDIO_CONF_ITEMS(struct settings, audio.),        // note the dot
 *
 * Who only makes their addresses needs AUDIO_SECRET_ITEM of audio/address.h.
 */
#ifndef AUDIO_CONF_H
#define AUDIO_CONF_H

#include "audio/address.h"
#include "base/conf.h"

struct audio_conf {
    const char *folder; /* "": none are kept */
    const char *secret; /* "": none are signed */
    long bytes_max;     /* of a file */
    long account_max;   /* bytes of all files of an account; 0: no limit */
};

#define AUDIO_CONF_ITEMS(T, in)                                                                    \
    CONF_STR(T, in folder, "AUDIO_FOLDER", "",                                                     \
             "Where files of sound are kept, the same for every ingress; made if need be. Empty: " \
             "none are taken."),                                                                   \
        AUDIO_SECRET_ITEM(T, in secret),                                                           \
        CONF_INT(T, in bytes_max, "AUDIO_BYTES_MAX", "20971520", 1024, 104857600,                  \
                 "Most bytes of a file of sound."),                                                \
        CONF_INT(T, in account_max, "AUDIO_ACCOUNT_BYTES_MAX", "2147483648", 0, 1000000000000000,  \
                 "Most bytes of an account's files of sound; 0 means no limit.")

#endif
