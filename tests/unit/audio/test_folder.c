/* lib/audio/folder.h: a file appears whole, once, under its hash, or not at all */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <sys/stat.h>

#include "audio/folder.h"
#include "base/clock.h"
#include "base/id.h"
#include "crypto/crypto.h"
#include "sounds.h"

static struct arena *arena;

static int start(void **state)
{
    arena = arena_create(1 << 20);
    return folder_start(state);
}

static int stop(void **state)
{
    arena_destroy(arena);
    return folder_stop(state);
}

static struct str tone(void)
{
    char outside[] = "/tmp/tuma-tone-XXXXXX";
    char folder_was[sizeof folder];

    /* Made elsewhere, so that the folder holds only what is tested. */
    assert_non_null(mkdtemp(outside));
    memcpy(folder_was, folder, sizeof folder);
    snprintf(folder, sizeof folder, "%s", outside);
    const char *path = make_sound("tone.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16, 8000, 1, 400);
    struct str bytes = bytes_of(path);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(outside), 0);
    memcpy(folder, folder_was, sizeof folder);
    return bytes;
}

static struct audio_upload *begin(void)
{
    struct err err;
    struct audio_upload *upload = audio_upload_begin(folder, arena, &err);

    if (upload == NULL) {
        fail_msg("%s: %s", err.what, err.detail);
    }
    return upload;
}

/* In uneven pieces. */
static void add(struct audio_upload *upload, const struct str *bytes)
{
    struct err err;

    for (size_t at = 0, piece = 1; at < bytes->len; at += piece, piece = piece * 3 + 1) {
        piece = piece < bytes->len - at ? piece : bytes->len - at;
        assert_true(audio_upload_add(upload, bytes->bytes + at, piece, &err));
    }
}

static void put(const struct str *bytes, char out_sha256[AUDIO_SHA256_TEXT])
{
    struct audio_upload *upload = begin();
    const struct audio_file *file;
    struct err err;

    add(upload, bytes);
    assert_true(audio_upload_end(upload, &file, &err));
    assert_int_equal(file->bytes, bytes->len);
    assert_int_equal(file->facts.duration_ms, 400);
    memcpy(out_sha256, file->sha256, AUDIO_SHA256_TEXT);
    assert_true(audio_upload_keep(upload, &err));
    audio_upload_free(upload);
}

static void a_file_is_kept_once_under_its_hash(void **state)
{
    char first[AUDIO_SHA256_TEXT], second[AUDIO_SHA256_TEXT], right[AUDIO_SHA256_TEXT];
    unsigned char digest[CRYPTO_SHA256_BYTES];
    struct str bytes = tone();
    struct stat stat_first, stat_second;
    struct err err;

    (void)state;
    put(&bytes, first);
    crypto_sha256(bytes.bytes, bytes.len, digest);
    id_hex(digest, sizeof digest, right);
    assert_string_equal(first, right);
    struct str kept = bytes_of(audio_path(folder, first, arena));
    assert_int_equal(kept.len, bytes.len);
    assert_memory_equal(kept.bytes, bytes.bytes, bytes.len);
    assert_int_equal(stat(audio_path(folder, first, arena), &stat_first), 0);
    put(&bytes, second);
    assert_string_equal(first, second);
    assert_int_equal(stat(audio_path(folder, first, arena), &stat_second), 0);
    assert_int_equal(stat_first.st_ino, stat_second.st_ino);
    assert_int_equal(stat_second.st_nlink, 1);
    assert_int_equal(count_files(""), 1);
    assert_true(audio_folder_remove(folder, first, &err));
    assert_true(audio_folder_remove(folder, first, &err));
    assert_int_equal(count_files(""), 0);
    str_free(&kept);
    str_free(&bytes);
}

static void what_is_refused_or_breaks_off_leaves_nothing(void **state)
{
    struct audio_upload *upload = begin();
    const struct audio_file *file;
    struct str bytes = tone();
    struct err err;

    (void)state;
    add(upload, &bytes);
    assert_int_equal(count_files(".new-"), 1);
    audio_upload_free(upload); /* broken off */
    assert_int_equal(count_files(""), 0);

    upload = begin();
    bytes.len--;
    add(upload, &bytes);
    assert_false(audio_upload_end(upload, &file, &err));
    assert_string_equal(err.what, "audio_truncated");
    audio_upload_free(upload);
    assert_int_equal(count_files(""), 0);

    upload = begin();
    assert_false(audio_upload_end(upload, &file, &err));
    assert_string_equal(err.what, "audio_empty");
    audio_upload_free(upload);
    assert_int_equal(count_files(""), 0);

    upload = begin();
    bytes.len++;
    add(upload, &bytes);
    assert_true(audio_upload_end(upload, &file, &err)); /* and not kept */
    audio_upload_free(upload);
    assert_int_equal(count_files(""), 0);
    audio_upload_free(NULL);
    str_free(&bytes);
}

static void a_file_too_large_is_refused_while_it_comes(void **state)
{
    static const char piece[1 << 20];
    struct audio_upload *upload = begin();
    struct err err;

    (void)state;
    for (int64_t sent = 0; sent < AUDIO_MAX_BYTES; sent += (int64_t)sizeof piece) {
        assert_true(audio_upload_add(upload, piece, sizeof piece, &err));
    }
    assert_false(audio_upload_add(upload, piece, 1, &err));
    assert_string_equal(err.what, "audio_too_large");
    assert_int_equal(err.kind, ERR_PERMANENT);
    audio_upload_free(upload);
    assert_int_equal(count_files(""), 0);
}

static void a_folder_that_is_not_there_is_tried_again(void **state)
{
    struct err err;
    int64_t removed;

    (void)state;
    assert_null(audio_upload_begin("/tmp/tuma-audio-not-there", arena, &err));
    assert_string_equal(err.what, "audio_folder");
    assert_int_equal(err.kind, ERR_TEMPORARY);
    assert_null(audio_upload_begin("", arena, &err));
    assert_string_equal(err.what, "audio_folder");
    assert_false(audio_folder_sweep("/tmp/tuma-audio-not-there", 1, &removed, &err));
    assert_string_equal(err.what, "audio_folder");
}

static void what_a_crash_left_is_swept_and_nothing_else(void **state)
{
    char sha256[AUDIO_SHA256_TEXT];
    struct str bytes = tone();
    int64_t removed;
    struct err err;

    (void)state;
    put(&bytes, sha256);
    make_file(".new-abcdef", "half", 4);
    assert_true(audio_folder_sweep(folder, clock_now_ms() - 60000, &removed, &err));
    assert_int_equal(removed, 0);
    assert_true(audio_folder_sweep(folder, clock_now_ms() + 60000, &removed, &err));
    assert_int_equal(removed, 1);
    assert_int_equal(count_files(""), 1);
    assert_int_equal(count_files(sha256), 1);
    assert_true(audio_folder_remove(folder, sha256, &err));
    str_free(&bytes);
}

static void fail_prepare(const char *path, const char *why)
{
    struct err err;

    assert_false(audio_folder_prepare(path, &err));
    assert_string_equal(err.what, "bad_setting");
    assert_non_null(strstr(err.detail, why));
    assert_memory_equal(err.detail, "AUDIO_FOLDER: ", 14);
}

static void a_folder_is_made_with_those_above_it(void **state)
{
    char path[PATH_MAX];
    struct stat stat_made;
    struct err err;

    (void)state;
    for (int i = 0; i < 2; i++) { /* made, then there */
        snprintf(path, sizeof path, "%s/a//b/c/", folder);
        assert_true(audio_folder_prepare(path, &err));
        assert_int_equal(stat(path, &stat_made), 0);
        assert_int_equal(stat_made.st_mode & 0777, 0750 & stat_made.st_mode);
    }
    snprintf(path, sizeof path, "%s/a/b/c", folder);
    assert_int_equal(rmdir(path), 0); /* nothing was left in it */
    fail_prepare("", "empty");
    fail_prepare("/dev/null", "cannot make a file in /dev/null: Not a directory");
    fail_prepare("/dev/null/x", "cannot make the folder /dev/null/x: Not a directory");
    fail_prepare("/proc/nothing/here", "cannot make the folder /proc/nothing");
    memset(path, 'x', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    fail_prepare(path, "too long");
    snprintf(path, sizeof path, "%s/a/b", folder);
    assert_int_equal(rmdir(path), 0);
    snprintf(path, sizeof path, "%s/a", folder);
    assert_int_equal(rmdir(path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_kept_once_under_its_hash),
        cmocka_unit_test(what_is_refused_or_breaks_off_leaves_nothing),
        cmocka_unit_test(a_file_too_large_is_refused_while_it_comes),
        cmocka_unit_test(a_folder_that_is_not_there_is_tried_again),
        cmocka_unit_test(what_a_crash_left_is_swept_and_nothing_else),
        cmocka_unit_test(a_folder_is_made_with_those_above_it),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
