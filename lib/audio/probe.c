#include "audio/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <sndfile.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audio/wav.h"

#define HEAD_BYTES 16
#define READ_FRAMES 4096
#define MP3_CHANNELS_MAX 2

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

/* The first four bytes are a frame's head of MPEG audio, layer III. */
static bool is_mp3_frame(const unsigned char *head)
{
    return head[0] == 0xFF && (head[1] & 0xE0) == 0xE0 && (head[1] & 0x18) != 0x08 &&
           (head[1] & 0x06) == 0x02 && (head[2] & 0xF0) != 0xF0 && (head[2] & 0x0C) != 0x0C;
}

static bool find_kind(const unsigned char *head, enum audio_kind *out_kind, struct err *err)
{
    if (memcmp(head, "RIFF", 4) == 0 && memcmp(head + 8, "WAVE", 4) == 0) {
        *out_kind = AUDIO_WAV;
        return true;
    }
    if (memcmp(head, "ID3", 3) == 0 || is_mp3_frame(head)) {
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

static bool fail_too_long(struct err *err)
{
    return err_permanent(err, "audio_too_long", "it plays longer than %lld minutes; cut it",
                         (long long)AUDIO_MAX_MS / 60000);
}

/* Frames of an MP3 by decoding it, up to one piece more than may be. */
static int64_t count_frames(SNDFILE *sound, const SF_INFO *info)
{
    const int64_t most = AUDIO_MAX_MS * info->samplerate / 1000;
    short samples[READ_FRAMES * MP3_CHANNELS_MAX];
    int64_t frames = 0;
    sf_count_t got;

    while (frames <= most && (got = sf_readf_short(sound, samples, READ_FRAMES)) > 0) {
        frames += got;
    }
    return frames;
}

static bool read_facts(SNDFILE *sound, const SF_INFO *info, struct audio_facts *out,
                       struct err *err)
{
    const char *word = out->kind == AUDIO_WAV ? "WAV" : "MP3";
    int64_t frames = info->frames;

    if (info->samplerate < AUDIO_RATE_MIN || info->samplerate > AUDIO_RATE_MAX) {
        return err_permanent(err, "audio_broken",
                             "the %s file has %d samples a second, %d to %d are taken", word,
                             info->samplerate, AUDIO_RATE_MIN, AUDIO_RATE_MAX);
    }
    if (info->channels < 1 ||
        info->channels > (out->kind == AUDIO_MP3 ? MP3_CHANNELS_MAX : AUDIO_CHANNELS_MAX)) {
        return err_permanent(err, "audio_broken",
                             "the %s file has %d channels, at most %d are taken", word,
                             info->channels, AUDIO_CHANNELS_MAX);
    }
    if (out->kind == AUDIO_MP3) {
        frames = count_frames(sound, info);
    }
    out->sample_rate = info->samplerate;
    out->channels = info->channels;
    out->duration_ms =
        frames / info->samplerate * 1000 + frames % info->samplerate * 1000 / info->samplerate;
    if (out->duration_ms > AUDIO_MAX_MS) {
        return fail_too_long(err);
    }
    if (out->kind == AUDIO_MP3 && sf_error(sound) != SF_ERR_NO_ERROR) {
        return err_permanent(err, "audio_broken",
                             "the MP3 file is broken after %lld ms; save it again",
                             (long long)out->duration_ms);
    }
    return out->duration_ms > 0 ||
           err_permanent(err, "audio_silent", "there is no sound in the %s file", word);
}

static bool decode(int fd, struct audio_facts *out, struct err *err)
{
    const int wanted = out->kind == AUDIO_WAV ? SF_FORMAT_WAV : SF_FORMAT_MPEG;
    SF_INFO info = { 0 };
    int format;
    bool ok;

    if (lseek(fd, 0, SEEK_SET) != 0) {
        return err_temporary(err, "audio_unreadable", "cannot read the file: %s", strerror(errno));
    }
    SNDFILE *sound = sf_open_fd(fd, SFM_READ, &info, SF_FALSE);
    if (sound == NULL) {
        return err_permanent(err, "audio_broken", "the %s file cannot be read: %.100s",
                             out->kind == AUDIO_WAV ? "WAV" : "MP3", sf_strerror(NULL));
    }
    format = info.format & SF_FORMAT_TYPEMASK;
    format = format == SF_FORMAT_WAVEX ? SF_FORMAT_WAV : format;
    ok = format == wanted ? read_facts(sound, &info, out, err)
                          : err_permanent(err, "audio_not_sound",
                                          "what follows its head is neither WAV nor MP3");
    sf_close(sound);
    return ok;
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
           (out->kind != AUDIO_WAV || wav_check(fd, stat.st_size, err)) && decode(fd, out, err);
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
