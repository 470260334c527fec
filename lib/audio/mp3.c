#include "audio/mp3.h"

#include <string.h>
#include <unistd.h>

#define HEAD_BYTES 4
#define ID3_BYTES 10
#define ID3_HAS_FOOTER 0x10
#define WINDOW_BYTES 16384

/* What follows the last frame in files of all sorts. */
static const char *const endings[] = { "TAG", "APETAGEX", "LYRICS", "3DI" };

struct window {
    int fd;
    int64_t size;
    int64_t at; /* of its first byte in the file */
    size_t len;
    bool failed;
    unsigned char bytes[WINDOW_BYTES];
};

struct frame {
    int64_t bytes, samples, rate, channels;
};

/* wanted bytes at a place; NULL: the file ends before, or it failed. */
static const unsigned char *look(struct window *window, int64_t at, size_t wanted)
{
    if (at + (int64_t)wanted > window->size) {
        return NULL;
    }
    if (at < window->at || at + (int64_t)wanted > window->at + (int64_t)window->len) {
        ssize_t got = pread(window->fd, window->bytes, sizeof(window->bytes), (off_t)at);
        if (got < (ssize_t)wanted) {
            window->failed = true;
            return NULL;
        }
        window->at = at;
        window->len = (size_t)got;
    }
    return window->bytes + (at - window->at);
}

bool mp3_is_frame(const unsigned char *head)
{
    return head[0] == 0xFF && (head[1] & 0xE0) == 0xE0 && (head[1] & 0x18) != 0x08 &&
           (head[1] & 0x06) == 0x02 && (head[2] & 0xF0) != 0xF0 && (head[2] & 0xF0) != 0 &&
           (head[2] & 0x0C) != 0x0C;
}

static struct frame read_frame(const unsigned char *head)
{
    /* Thousands of bits a second, by version and index; then samples a second of version 1. */
    static const int64_t rates_1[] = { 0,   32,  40,  48,  56,  64,  80, 96,
                                       112, 128, 160, 192, 224, 256, 320 };
    static const int64_t rates_2[] = {
        0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160
    };
    static const int64_t samples_1[] = { 44100, 48000, 32000 };
    const unsigned version = head[1] >> 3 & 3; /* 3: 1, 2: 2, 0: 2.5 */
    const unsigned bits = head[2] >> 4, rate = head[2] >> 2 & 3, padding = head[2] >> 1 & 1;
    struct frame frame = {
        .samples = version == 3 ? 1152 : 576,
        .rate = samples_1[rate] / (version == 3   ? 1
                                   : version == 2 ? 2
                                                  : 4),
        .channels = head[3] >> 6 == 3 ? 1 : 2,
    };

    frame.bytes =
        frame.samples / 8 * (version == 3 ? rates_1 : rates_2)[bits] * 1000 / frame.rate + padding;
    return frame;
}

/* Behind the ID3 tags and zeroes that come first. */
static int64_t skip_tags(struct window *window)
{
    const unsigned char *head;
    int64_t at = 0;

    while ((head = look(window, at, ID3_BYTES)) != NULL && memcmp(head, "ID3", 3) == 0) {
        at += ID3_BYTES + ((int64_t)(head[6] & 0x7F) << 21 | (int64_t)(head[7] & 0x7F) << 14 |
                           (int64_t)(head[8] & 0x7F) << 7 | (int64_t)(head[9] & 0x7F));
        at += head[5] & ID3_HAS_FOOTER ? ID3_BYTES : 0;
    }
    while ((head = look(window, at, 1)) != NULL && head[0] == 0) {
        at++;
    }
    return at;
}

/* Nothing is played from here on: a known ending, or zeroes. */
static bool is_end(struct window *window, int64_t at)
{
    const unsigned char *bytes;

    for (size_t i = 0; i < sizeof(endings) / sizeof(*endings); i++) {
        bytes = look(window, at, strlen(endings[i]));
        if (bytes != NULL && memcmp(bytes, endings[i], strlen(endings[i])) == 0) {
            return true;
        }
    }
    while ((bytes = look(window, at, 1)) != NULL && bytes[0] == 0) {
        at++;
    }
    return at >= window->size;
}

static bool measure(struct window *window, struct audio_facts *out, struct err *err)
{
    int64_t samples = 0, at = skip_tags(window);
    const unsigned char *head;

    for (struct frame frame = { 0 }; (head = look(window, at, HEAD_BYTES)) != NULL;
         at += frame.bytes) {
        bool fits = mp3_is_frame(head);
        if (fits) {
            frame = read_frame(head);
            fits = samples == 0 || frame.rate == out->sample_rate;
        }
        if (!fits && is_end(window, at)) {
            break;
        }
        if (!fits) {
            return err_permanent(err, "audio_broken",
                                 "what follows in the MP3 file after %lld ms, at byte %lld, is no "
                                 "MP3; save it again",
                                 (long long)out->duration_ms, (long long)at);
        }
        if (at + frame.bytes > window->size) {
            break;
        }
        if (samples == 0) {
            out->sample_rate = frame.rate;
            out->channels = frame.channels;
        }
        samples += frame.samples;
        out->duration_ms = samples * 1000 / out->sample_rate;
        if (out->duration_ms > AUDIO_MAX_MS) {
            break;
        }
    }
    return samples > 0 || err_permanent(err, "audio_silent", "there is no sound in the MP3 file");
}

bool mp3_measure(int fd, int64_t size, struct audio_facts *out, struct err *err)
{
    struct window window = { .fd = fd, .size = size };
    bool ok = measure(&window, out, err);

    if (window.failed) {
        return err_temporary(err, "audio_unreadable", "cannot read the file");
    }
    return ok;
}
