/*
 * asset - the files of sound that accounts have: a row for each, its file in the folder
 *
 *     audio_upload_end(upload, &file, &err)
 *     audio_asset_add(db, account, upload, file, name, now, arena, &asset, &is_new, &err)
 *
 * An account has the same file once; accounts that send the same share it. A file is there as long
 * as a row names it: rows of a hash and its file change under one advisory lock, and a file goes
 * only after its last row is gone for good. A crash between leaves a file too many, never a row
 * without one. Ids are shown as "aud_…" (base/id.h).
 */
#ifndef AUDIO_ASSET_H
#define AUDIO_ASSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "audio/folder.h"
#include "base/arena.h"
#include "base/err.h"
#include "db/db.h"

#define AUDIO_NAME_MAX 100 /* bytes */

struct audio_asset {
    int64_t id;
    int64_t account;
    const char *sha256; /* hex: its file, and its strong ETag */
    const char *name;
    int64_t bytes;
    struct audio_facts facts;
    int64_t created_ms;
};

/*
 * What is behind the last slash of either kind, in UTF-8 that is shown, without dots before it, at
 * most AUDIO_NAME_MAX bytes; "audio.wav" if that is nothing.
 */
const char *audio_name_clean(const char *name, enum audio_kind kind, struct arena *arena);

/*
 * Keeps an upload that has ended; of one that the account has already it gives that, with the name
 * it has. A transaction of its own. Temporary: audio_folder.
 */
bool audio_asset_add(struct db *db, int64_t account, struct audio_upload *upload,
                     const struct audio_file *file, const char *name, int64_t now_ms,
                     struct arena *arena, struct audio_asset *out, bool *out_is_new,
                     struct err *err) __attribute__((warn_unused_result));

/* account 0 is any. Permanent: audio_unknown. */
bool audio_asset_find(struct db *db, int64_t account, int64_t id, struct arena *arena,
                      struct audio_asset *out, struct err *err) __attribute__((warn_unused_result));

/* The newest first, those before id `before` (0: from the newest), at most `most`. */
bool audio_asset_list(struct db *db, int64_t account, int64_t before, size_t most,
                      struct arena *arena, struct audio_asset **out_list, size_t *out_count,
                      struct err *err) __attribute__((warn_unused_result));

/* How many bytes the account's files have, but for the one with this hash. */
bool audio_asset_others(struct db *db, int64_t account, const char *sha256, int64_t *out_bytes,
                        struct err *err) __attribute__((warn_unused_result));

/*
 * Forgets one that nothing refers to, and its file with the last row of it. Transactions of its
 * own. Permanent: audio_unknown, audio_in_use.
 */
bool audio_asset_remove(struct db *db, const char *folder, int64_t account, int64_t id,
                        struct arena *arena, struct err *err) __attribute__((warn_unused_result));

#endif
