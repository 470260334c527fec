/*
 * sounds - small files of sound in a folder of the test's own
 *
 * Include it behind cmocka.h. A sound is a saw-tooth tone; folder_start and folder_stop are a
 * group's set-up and tear-down.
 */
#ifndef UNIT_AUDIO_SOUNDS_H
#define UNIT_AUDIO_SOUNDS_H

#include <dirent.h>
#include <limits.h>
#include <sndfile.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"

#define BLOCK_FRAMES 4096

static char folder[64];

static const char *in_folder(const char *name)
{
    static char path[512];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static int folder_start(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/tuma-audio-XXXXXX");
    return mkdtemp(folder) == NULL;
}

/* Files in the folder whose name begins so. */
__attribute__((unused)) static int count_files(const char *beginning)
{
    DIR *dir = opendir(folder);
    const struct dirent *entry;
    int count = 0;

    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL) {
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
                 strncmp(entry->d_name, beginning, strlen(beginning)) == 0;
    }
    closedir(dir);
    return count;
}

static int folder_stop(void **state)
{
    DIR *dir = opendir(folder);
    const struct dirent *entry;

    (void)state;
    while ((entry = readdir(dir)) != NULL) {
        unlinkat(dirfd(dir), entry->d_name, 0);
    }
    closedir(dir);
    return rmdir(folder);
}

/* format is SF_FORMAT_…; returns where it is, valid until the next call. */
static const char *make_sound(const char *name, int format, int rate, int channels,
                              int64_t milliseconds)
{
    SF_INFO info = { .samplerate = rate, .channels = channels, .format = format };
    const int64_t frames = milliseconds * rate / 1000;
    const char *path = in_folder(name);
    static float block[BLOCK_FRAMES * 2];
    SNDFILE *sound = sf_open(path, SFM_WRITE, &info);

    assert_in_range(channels, 1, 2);
    if (sound == NULL) {
        fail_msg("%s: %s", name, sf_strerror(NULL));
    }
    for (int64_t i = 0; i < (int64_t)(sizeof block / sizeof *block); i++) {
        block[i] = (float)(i % 20) / 40.0F;
    }
    for (int64_t left = frames, piece; left > 0; left -= piece) {
        piece = left < BLOCK_FRAMES ? left : BLOCK_FRAMES;
        assert_int_equal(sf_writef_float(sound, block, piece), piece);
    }
    assert_int_equal(sf_close(sound), 0);
    return path;
}

__attribute__((unused)) static struct str bytes_of(const char *path)
{
    FILE *file = fopen(path, "re");
    struct str bytes = { 0 };
    char piece[4096];
    size_t got;

    assert_non_null(file);
    while ((got = fread(piece, 1, sizeof piece, file)) > 0) {
        str_append(&bytes, piece, got);
    }
    fclose(file);
    return bytes;
}

__attribute__((unused)) static const char *make_file(const char *name, const void *bytes,
                                                     size_t len)
{
    const char *path = in_folder(name);
    FILE *file = fopen(path, "we");

    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
    return path;
}

#endif
