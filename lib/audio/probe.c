#include "audio/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <sndfile.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audio/mp3.h"
#include "audio/wav.h"

#define HEAD_BYTES 16

static const struct {
    enum audio_kind kind;
    const char *word, *type;
} kinds[] = {
    { AUDIO_WAV, "wav", "audio/wav" },
    { AUDIO_MP3, "mp3", "audio/mpeg" },
};

/* What people send instead, by how it begins. */
static const struct {
    size_t at, len;
    const char *bytes;
    const char *name;
} strangers[] = {
    { 0, 4, "%PDF", "a PDF document" },
    { 0, 4, "OggS", "an Ogg file" },
    { 0, 4, "fLaC", "a FLAC file" },
    { 4, 4, "ftyp", "an MP4 or M4A file" },
    { 0, 5, "#!AMR", "an AMR file" },
    { 0, 4, "FORM", "an AIFF file" },
    { 0, 4, "MThd", "a MIDI file" },
    { 0, 4, "\x1A\x45\xDF\xA3", "a Matroska or WebM file" },
    { 0, 4, "RIFF", "a RIFF file, but no WAV" },
    { 0, 4, "RF64", "an RF64 file" },
    { 0, 4, "\x89PNG", "a PNG image" },
    { 0, 3, "\xFF\xD8\xFF", "a JPEG image" },
    { 0, 4, "PK\x03\x04", "a ZIP archive or office document" },
    { 0, 1, "<", "a page of HTML or XML" },
};

const char *audio_kind_word(enum audio_kind kind)
{
    return kinds[kind - AUDIO_WAV].word;
}

const char *audio_kind_type(enum audio_kind kind)
{
    return kinds[kind - AUDIO_WAV].type;
}

bool audio_kind_parse(const char *word, enum audio_kind *out_kind)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
        if (strcmp(kinds[i].word, word) == 0) {
            *out_kind = kinds[i].kind;
            return true;
        }
    }
    return false;
}

static bool find_kind(const unsigned char *head, enum audio_kind *out_kind, struct err *err)
{
    if (memcmp(head, "RIFF", 4) == 0 && memcmp(head + 8, "WAVE", 4) == 0) {
        *out_kind = AUDIO_WAV;
        return true;
    }
    if (memcmp(head, "ID3", 3) == 0 || mp3_is_frame(head)) {
        *out_kind = AUDIO_MP3;
        return true;
    }
    for (size_t i = 0; i < sizeof(strangers) / sizeof(*strangers); i++) {
        if (memcmp(head + strangers[i].at, strangers[i].bytes, strangers[i].len) == 0) {
            return err_permanent(err, "audio_not_sound",
                                 "it is %s, whatever its name; send a WAV or an MP3 file",
                                 strangers[i].name);
        }
    }
    return err_permanent(err, "audio_not_sound",
                         "it is neither a WAV nor an MP3 file, whatever its name; send one of "
                         "those");
}

static bool read_wav(const SF_INFO *info, struct audio_facts *out, struct err *err)
{
    const int64_t rate = info->samplerate;

    if (rate < AUDIO_RATE_MIN || rate > AUDIO_RATE_MAX) {
        return err_permanent(err, "audio_broken",
                             "the WAV file has %lld samples a second, %d to %d are taken",
                             (long long)rate, AUDIO_RATE_MIN, AUDIO_RATE_MAX);
    }
    if (info->channels < 1 || info->channels > AUDIO_CHANNELS_MAX) {
        return err_permanent(err, "audio_broken",
                             "the WAV file has %d channels, at most %d are taken", info->channels,
                             AUDIO_CHANNELS_MAX);
    }
    out->sample_rate = rate;
    out->channels = info->channels;
    out->duration_ms = info->frames / rate * 1000 + info->frames % rate * 1000 / rate;
    return true;
}

static bool measure_wav(int fd, int64_t size, struct audio_facts *out, struct err *err)
{
    SF_INFO info = { 0 };

    if (!wav_check(fd, size, err)) {
        return false;
    }
    if (lseek(fd, 0, SEEK_SET) != 0) {
        return err_temporary(err, "audio_unreadable", "cannot read the file: %s", strerror(errno));
    }
    SNDFILE *sound = sf_open_fd(fd, SFM_READ, &info, SF_FALSE);
    if (sound == NULL) {
        return err_permanent(err, "audio_broken", "the WAV file cannot be read: %.100s",
                             sf_strerror(NULL));
    }
    sf_close(sound);
    return read_wav(&info, out, err);
}

static bool check_length(const struct audio_facts *facts, struct err *err)
{
    if (facts->duration_ms > AUDIO_MAX_MS) {
        return err_permanent(err, "audio_too_long", "it plays longer than %lld minutes; cut it",
                             (long long)AUDIO_MAX_MS / 60000);
    }
    return facts->duration_ms > 0 ||
           err_permanent(err, "audio_silent", "there is no sound in the file");
}

static bool probe(int fd, struct audio_facts *out, struct err *err)
{
    unsigned char head[HEAD_BYTES] = { 0 };
    struct stat stat;

    if (fstat(fd, &stat) != 0 || pread(fd, head, sizeof(head), 0) < 0) {
        return err_temporary(err, "audio_unreadable", "cannot read the file: %s", strerror(errno));
    }
    if (stat.st_size == 0) {
        return err_permanent(err, "audio_empty", "the file is empty");
    }
    return find_kind(head, &out->kind, err) &&
           (out->kind == AUDIO_WAV ? measure_wav : mp3_measure)(fd, stat.st_size, out, err) &&
           check_length(out, err);
}

bool audio_probe(const char *path, struct audio_facts *out, struct err *err)
{
    struct audio_facts facts = { 0 };
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0) {
        return err_temporary(err, "audio_unreadable", "cannot open the file: %s", strerror(errno));
    }
    bool ok = probe(fd, &facts, err);
    close(fd);
    if (ok) {
        *out = facts;
    }
    return ok;
}
