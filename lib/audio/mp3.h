/*
 * mp3 - how long an MP3 plays, frame by frame; for probe.c
 *
 * Each frame says how long it is, so nothing is decoded. What a tag in its first frame says of the
 * whole (Xing, VBRI) is not believed: a decoder that does is led to take hours for seconds.
 */
#ifndef AUDIO_MP3_H
#define AUDIO_MP3_H

#include "audio/probe.h"

/*
 * fd is a file of size bytes that begins as an MP3 does. Stops counting behind AUDIO_MAX_MS. A last
 * frame that is cut is left out. Errors as of audio_probe().
 */
bool mp3_measure(int fd, int64_t size, struct audio_facts *out, struct err *err)
    __attribute__((warn_unused_result));

/* The four bytes are the head of a frame of MPEG audio, layer III. */
bool mp3_is_frame(const unsigned char *head);

#endif
