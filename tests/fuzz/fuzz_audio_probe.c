/*
 * fuzz_audio_probe - what a file of sound is: the reader of WAV headers, and libsndfile behind it
 *
 * The input is the file. None may crash it; what is taken has a length within bounds, and what is
 * refused is refused for good and in words.
 */
#include <assert.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "audio/probe.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int fd = memfd_create("sound", MFD_CLOEXEC);
    struct audio_facts facts;
    struct err err;
    char path[40];

    assert(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (audio_probe(path, &facts, &err)) {
        assert(facts.kind == AUDIO_WAV || facts.kind == AUDIO_MP3);
        assert(facts.duration_ms > 0 && facts.duration_ms <= AUDIO_MAX_MS);
        assert(facts.sample_rate >= AUDIO_RATE_MIN && facts.sample_rate <= AUDIO_RATE_MAX);
        assert(facts.channels >= 1 && facts.channels <= AUDIO_CHANNELS_MAX);
    } else {
        assert(err.kind == ERR_PERMANENT && err.detail[0] != '\0');
    }
    close(fd);
    return 0;
}
