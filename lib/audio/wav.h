/*
 * wav - whether a WAV file holds what its header promises; for probe.c
 *
 * libsndfile takes a cut file for a shorter one, so its header is read here first.
 */
#ifndef AUDIO_WAV_H
#define AUDIO_WAV_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* fd is a file of size bytes that begins with a RIFF head. Errors as of audio_probe(). */
bool wav_check(int fd, int64_t size, struct err *err) __attribute__((warn_unused_result));

#endif
