#include "audio/asset.h"

#include <string.h>

#include "base/id.h"

#define COLUMNS                                                                                    \
    "SELECT id, account_id, encode(sha256, 'hex'), kind, name, bytes, duration_ms, sample_rate,"   \
    "       channels, created_at FROM audio_assets"

static const struct db_statement lock_file = {
    "audio_lock_file",
    "SELECT pg_advisory_xact_lock(('x' || left($1::text, 16))::bit(64)::bigint)",
    1,
};
static const struct db_statement add_asset = {
    "audio_add_asset",
    "INSERT INTO audio_assets (id, account_id, sha256, kind, name, bytes, duration_ms,"
    "                          sample_rate, channels, created_at)"
    " VALUES ($1, $2, decode($3::text, 'hex'), $4, $5, $6, $7, $8, $9, $10)"
    " ON CONFLICT ON CONSTRAINT audio_assets_once DO NOTHING",
    10,
};
static const struct db_statement find_by_file = {
    "audio_find_by_file",
    COLUMNS " WHERE account_id = $1 AND sha256 = decode($2::text, 'hex')",
    2,
};
static const struct db_statement find_by_id = {
    "audio_find_by_id",
    COLUMNS " WHERE id = $1 AND ($2::bigint = 0 OR account_id = $2)",
    2,
};
static const struct db_statement list_assets = {
    "audio_list_assets",
    COLUMNS " WHERE account_id = $1 AND ($2::bigint = 0 OR id < $2) ORDER BY id DESC LIMIT $3",
    3,
};
static const struct db_statement sum_others = {
    "audio_sum_others",
    "SELECT coalesce(sum(bytes), 0)::bigint FROM audio_assets"
    " WHERE account_id = $1 AND sha256 <> decode($2::text, 'hex')",
    2,
};
static const struct db_statement remove_asset = {
    "audio_remove_asset",
    "DELETE FROM audio_assets WHERE id = $1",
    1,
};
static const struct db_statement find_users = {
    "audio_find_users",
    "SELECT id FROM audio_assets WHERE sha256 = decode($1::text, 'hex') LIMIT 1",
    1,
};

static void read_asset(const struct db_result *found, int row, struct arena *arena,
                       struct audio_asset *out)
{
    *out = (struct audio_asset){
        .id = db_get_int(found, row, 0),
        .account = db_get_int(found, row, 1),
        .sha256 = arena_strdup(arena, db_get_text(found, row, 2)),
        .name = arena_strdup(arena, db_get_text(found, row, 4)),
        .bytes = db_get_int(found, row, 5),
        .facts = { .duration_ms = db_get_int(found, row, 6),
                   .sample_rate = db_get_int(found, row, 7),
                   .channels = db_get_int(found, row, 8) },
        .created_ms = db_get_time(found, row, 9),
    };
    /* The column's constraint knows the same words. */
    (void)audio_kind_parse(db_get_text(found, row, 3), &out->facts.kind);
}

/* The only row, or audio_unknown. */
static bool find_one(struct db *db, const struct db_statement *statement,
                     const struct db_value *values, struct arena *arena, struct audio_asset *out,
                     struct err *err)
{
    AUTO_DB_RESULT struct db_result *found = NULL;

    if (!db_query(db, statement, values, &found, err)) {
        return false;
    }
    if (db_rows(found) == 0) {
        return err_permanent(err, "audio_unknown", "there is no such audio asset");
    }
    read_asset(found, 0, arena, out);
    return true;
}

static bool lock(struct db *db, const char *sha256, struct err *err)
{
    AUTO_DB_RESULT struct db_result *found = NULL;
    struct db_value key = db_text(sha256);

    return db_query(db, &lock_file, &key, &found, err);
}

static bool add(struct db *db, const struct audio_asset *asset, struct audio_upload *upload,
                int64_t *out_rows, struct err *err)
{
    const struct db_value values[] = {
        db_int8(asset->id),
        db_int8(asset->account),
        db_text(asset->sha256),
        db_text(audio_kind_word(asset->facts.kind)),
        db_text(asset->name),
        db_int8(asset->bytes),
        db_int8(asset->facts.duration_ms),
        db_int8(asset->facts.sample_rate),
        db_int8(asset->facts.channels),
        db_time(asset->created_ms),
    };

    /* The file first: a row that is there has one. */
    return lock(db, asset->sha256, err) && audio_upload_keep(upload, err) &&
           db_run(db, &add_asset, values, out_rows, err);
}

bool audio_asset_add(struct db *db, int64_t account, struct audio_upload *upload,
                     const struct audio_file *file, const char *name, int64_t now_ms,
                     struct arena *arena, struct audio_asset *out, bool *out_is_new,
                     struct err *err)
{
    const struct audio_asset asset = {
        .id = id_create(now_ms),
        .account = account,
        .sha256 = file->sha256,
        .name = audio_name_clean(name, file->facts.kind, arena),
        .bytes = file->bytes,
        .facts = file->facts,
        .created_ms = now_ms,
    };
    const struct db_value by_file[] = { db_int8(account), db_text(file->sha256) };
    struct audio_asset made;
    int64_t rows;

    if (!db_begin(db, err) || !add(db, &asset, upload, &rows, err) ||
        !find_one(db, &find_by_file, by_file, arena, &made, err) || !db_commit(db, err)) {
        db_rollback(db);
        return false;
    }
    *out = made;
    *out_is_new = rows > 0;
    return true;
}

bool audio_asset_find(struct db *db, int64_t account, int64_t id, struct arena *arena,
                      struct audio_asset *out, struct err *err)
{
    return find_one(db, &find_by_id, (struct db_value[]){ db_int8(id), db_int8(account) }, arena,
                    out, err);
}

bool audio_asset_list(struct db *db, int64_t account, int64_t before, size_t most,
                      struct arena *arena, struct audio_asset **out_list, size_t *out_count,
                      struct err *err)
{
    AUTO_DB_RESULT struct db_result *found = NULL;

    if (!db_query(db, &list_assets,
                  (struct db_value[]){ db_int8(account), db_int8(before), db_int8((int64_t)most) },
                  &found, err)) {
        return false;
    }
    *out_count = (size_t)db_rows(found);
    *out_list = arena_array(arena, *out_count + 1, sizeof(**out_list));
    for (size_t i = 0; i < *out_count; i++) {
        read_asset(found, (int)i, arena, &(*out_list)[i]);
    }
    return true;
}

bool audio_asset_others(struct db *db, int64_t account, const char *sha256, int64_t *out_bytes,
                        struct err *err)
{
    AUTO_DB_RESULT struct db_result *found = NULL;

    if (!db_query(db, &sum_others, (struct db_value[]){ db_int8(account), db_text(sha256) }, &found,
                  err)) {
        return false;
    }
    *out_bytes = db_get_int(found, 0, 0);
    return true;
}

/* Whatever refers to a row does so by a foreign key. */
static bool remove_row(struct db *db, int64_t id, struct err *err)
{
    struct db_value key = db_int8(id);
    int64_t rows;

    if (!db_run(db, &remove_asset, &key, &rows, err)) {
        return strcmp(err->what, "pg_foreign_key_violation") == 0
                   ? err_permanent(err, "audio_in_use", "the audio asset is used by a campaign")
                   : false;
    }
    return rows > 0 || err_permanent(err, "audio_unknown", "there is no such audio asset");
}

/* In a transaction that nothing else is part of: what it finds gone is gone for good. */
static bool remove_file(struct db *db, const char *folder, const char *sha256, struct err *err)
{
    AUTO_DB_RESULT struct db_result *users = NULL;
    struct db_value key = db_text(sha256);

    return lock(db, sha256, err) && db_query(db, &find_users, &key, &users, err) &&
           (db_rows(users) > 0 || audio_folder_remove(folder, sha256, err));
}

bool audio_asset_remove(struct db *db, const char *folder, int64_t account, int64_t id,
                        struct arena *arena, struct err *err)
{
    struct audio_asset asset;

    if (!audio_asset_find(db, account, id, arena, &asset, err)) {
        return false;
    }
    if (!remove_row(db, id, err)) {
        return false;
    }
    if (!db_begin(db, err) || !remove_file(db, folder, asset.sha256, err) || !db_commit(db, err)) {
        db_rollback(db);
        return false;
    }
    return true;
}
