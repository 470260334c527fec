#include "audio/wav.h"

#include <string.h>
#include <unistd.h>

#define RIFF_HEAD 12
#define CHUNK_HEAD 8
#define FORMAT_MIN 16
#define FORMAT_EXTENSIBLE 26 /* with the first two bytes of its sub-format */
#define CHUNKS_MAX 64        /* before the sound */

static const struct {
    unsigned tag;
    const char *name;
} codecs[] = {
    { 0x0001, "PCM" },
    { 0x0003, "float" },
    { 0x0006, "A-law" },
    { 0x0007, "u-law" },
};
#define TAG_EXTENSIBLE 0xFFFEU

static unsigned get16(const unsigned char *at)
{
    return at[0] | (unsigned)at[1] << 8;
}

static uint32_t get32(const unsigned char *at)
{
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static bool fail_cut(int64_t size, struct err *err)
{
    return err_permanent(err, "audio_truncated",
                         "the WAV file ends after %lld bytes, within its header; send it whole",
                         (long long)size);
}

/* The whole of wanted bytes, or what is wrong. */
static bool read_at(int fd, int64_t at, unsigned char *out, size_t wanted, int64_t size,
                    struct err *err)
{
    if (at + (int64_t)wanted > size) {
        return fail_cut(size, err);
    }
    if (pread(fd, out, wanted, (off_t)at) != (ssize_t)wanted) {
        return err_temporary(err, "audio_unreadable", "cannot read the file");
    }
    return true;
}

static bool check_format(int fd, int64_t at, uint32_t len, int64_t size, struct err *err)
{
    unsigned char format[FORMAT_EXTENSIBLE] = { 0 };

    if (len < FORMAT_MIN) {
        return err_permanent(err, "audio_broken",
                             "the WAV header's format has %u bytes, at least %d are needed", len,
                             FORMAT_MIN);
    }
    if (!read_at(fd, at, format, len < sizeof(format) ? FORMAT_MIN : sizeof(format), size, err)) {
        return false;
    }
    unsigned tag = get16(format);
    if (tag == TAG_EXTENSIBLE && len >= sizeof(format)) {
        tag = get16(format + FORMAT_EXTENSIBLE - 2);
    }
    for (size_t i = 0; i < sizeof(codecs) / sizeof(*codecs); i++) {
        if (codecs[i].tag == tag) {
            return true;
        }
    }
    return err_permanent(err, "audio_codec",
                         "the WAV file is coded in a way (0x%04X) that is not taken; save it as "
                         "16-bit PCM, or as MP3",
                         tag);
}

static bool check_sound(int64_t at, uint32_t len, int64_t size, struct err *err)
{
    if (at + (int64_t)len > size) {
        return err_permanent(err, "audio_truncated",
                             "the WAV header promises %u bytes of sound, the file has %lld; send "
                             "it whole, or save it again",
                             len, (long long)(size - at));
    }
    return len > 0 || err_permanent(err, "audio_silent", "there is no sound in the WAV file");
}

bool wav_check(int fd, int64_t size, struct err *err)
{
    unsigned char head[CHUNK_HEAD];
    bool format_seen = false;
    int64_t at = RIFF_HEAD;

    for (int i = 0; i < CHUNKS_MAX; i++) {
        if (!read_at(fd, at, head, sizeof(head), size, err)) {
            return false;
        }
        uint32_t len = get32(head + 4);
        at += CHUNK_HEAD;
        if (memcmp(head, "data", 4) == 0) {
            return format_seen ? check_sound(at, len, size, err)
                               : err_permanent(err, "audio_broken",
                                               "the WAV file's sound comes before its format");
        }
        if (memcmp(head, "fmt ", 4) == 0) {
            if (!check_format(fd, at, len, size, err)) {
                return false;
            }
            format_seen = true;
        }
        at += (int64_t)len + (len & 1);
    }
    return err_permanent(err, "audio_broken", "the WAV file has no sound in its first %d parts",
                         CHUNKS_MAX);
}
