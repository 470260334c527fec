/*
 * folder - files of sound, each kept once under the SHA-256 of its bytes
 *
 *     struct audio_upload *upload = audio_upload_begin(folder, arena, &err);
 *     … audio_upload_add(upload, piece, len, &err), as pieces come …
 *     audio_upload_end(upload, &file, &err)     // hashed, on disk, and it is sound
 *     audio_upload_keep(upload, &err)           // now it has its name; see audio_asset_add()
 *     audio_upload_free(upload);                // always: what was not kept is gone
 *
 * A file appears under its name whole and fsynced, or not at all; it never changes. What a crash
 * leaves is ".new-…", which audio_folder_sweep() removes. Every ingress needs the same folder.
 * Memory does not depend on the file. One thread for each upload.
 */
#ifndef AUDIO_FOLDER_H
#define AUDIO_FOLDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "audio/probe.h"
#include "base/arena.h"
#include "base/err.h"

#define AUDIO_MAX_BYTES ((int64_t)100 << 20) /* AUDIO_BYTES_MAX may ask for less */
#define AUDIO_SHA256_TEXT 65                 /* hex, with the NUL */

struct audio_upload;

struct audio_file {
    char sha256[AUDIO_SHA256_TEXT];
    int64_t bytes;
    struct audio_facts facts;
};

/*
 * Makes the folder, and those above it, unless it is there, and tries it. For start-up. Permanent:
 * bad_setting, which says what AUDIO_FOLDER lacks.
 */
bool audio_folder_prepare(const char *folder, struct err *err) __attribute__((warn_unused_result));

/* NULL with a temporary audio_folder: it is not there, not writable, or full. It lives in the
 * arena. */
struct audio_upload *audio_upload_begin(const char *folder, struct arena *arena, struct err *err)
    __attribute__((warn_unused_result));

/* Permanent: audio_too_large. Temporary: audio_folder. After either there is only the end. */
bool audio_upload_add(struct audio_upload *upload, const void *bytes, size_t len, struct err *err)
    __attribute__((warn_unused_result));

/* No more bytes come. Errors of audio_probe() besides; out is valid until audio_upload_free(). */
bool audio_upload_end(struct audio_upload *upload, const struct audio_file **out, struct err *err)
    __attribute__((warn_unused_result));
bool audio_upload_keep(struct audio_upload *upload, struct err *err)
    __attribute__((warn_unused_result));
void audio_upload_free(struct audio_upload *upload); /* accepts NULL */

/* Where a kept file is. */
const char *audio_path(const char *folder, const char *sha256, struct arena *arena);

/* It need not be there. */
bool audio_folder_remove(const char *folder, const char *sha256, struct err *err)
    __attribute__((warn_unused_result));

/* Removes unfinished uploads last written before a time; says how many. */
bool audio_folder_sweep(const char *folder, int64_t before_ms, int64_t *out_removed,
                        struct err *err) __attribute__((warn_unused_result));

#endif
