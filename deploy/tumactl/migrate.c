/*
 * migrate - bring the database's schema up to date
 *
 * Files NNNN_subject.sql, in order and without gaps, each in a transaction of its own together with
 * its row in schema_migrations. Forward only: a file that was applied must not change, which its
 * checksum tells. Two of us at once wait for each other.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/conf.h"
#include "base/id.h"
#include "base/str.h"
#include "crypto/crypto.h"
#include "ctl.h"

#define FILE_BYTES_MAX ((size_t)16 << 20)
#define VERSION_DIGITS 4
#define LOCK_KEY "7883955113590092" /* any number that nobody else locks */

struct migration {
    int64_t version;
    const char *name; /* of the file */
    const char *path;
    char checksum[2 * CRYPTO_SHA256_BYTES + 1];
    const char *sql;
};

struct migrations {
    const char *folder;
    size_t count;
    struct migration *items;
};

static bool is_folder(const char *path)
{
    struct stat about;

    return stat(path, &about) == 0 && S_ISDIR(about.st_mode);
}

/* The one on the command line, else TUMA_MIGRATIONS, else beside the sources, else as installed. */
static const char *find_folder(struct ctl *ctl, struct err *err)
{
    static const char *const usual[] = { TUMA_SOURCE_DIR "/migrations", TUMA_DATA_DIR "/migrations",
                                         NULL };
    const char *named =
        ctl->argument_count > 0 ? ctl->arguments[0] : conf_get("TUMA_MIGRATIONS", ctl->arena);

    if (named) {
        if (!is_folder(named)) {
            ctl_usage(err, "'%.120s' is no folder", named);
            return NULL;
        }
        return named;
    }
    for (const char *const *at = usual; *at; at++) {
        if (is_folder(*at)) {
            return *at;
        }
    }
    ctl_usage(err, "no migrations found; name their folder, or set TUMA_MIGRATIONS");
    return NULL;
}

static bool read_file(struct ctl *ctl, struct migration *migration, struct err *err)
{
    int fd = open(migration->path, O_RDONLY | O_CLOEXEC);
    unsigned char digest[CRYPTO_SHA256_BYTES];
    struct str text = { 0 };
    ssize_t got = -1;

    while (fd >= 0 && text.len < FILE_BYTES_MAX) {
        got = read(fd, str_room(&text, BUFSIZ), BUFSIZ);
        if (got <= 0) {
            break;
        }
        text.len += (size_t)got;
    }
    if (fd >= 0) {
        close(fd);
    }
    if (got != 0 || text.len == 0) {
        str_free(&text);
        return err_permanent(err, "migration_unreadable", "%.120s: %s", migration->path,
                             got < 0    ? strerror(errno)
                             : got == 0 ? "is empty"
                                        : "is too long");
    }
    crypto_sha256(text.bytes, text.len, digest);
    id_hex(digest, sizeof digest, migration->checksum);
    migration->sql = arena_strndup(ctl->arena, text.bytes, text.len);
    str_free(&text);
    return true;
}

static int is_migration(const struct dirent *entry)
{
    size_t len = strlen(entry->d_name);

    return strspn(entry->d_name, "0123456789") == VERSION_DIGITS &&
           entry->d_name[VERSION_DIGITS] == '_' && len > VERSION_DIGITS + 5 &&
           strcmp(entry->d_name + len - 4, ".sql") == 0;
}

static bool load_folder(struct ctl *ctl, struct migrations *out, struct err *err)
{
    const char *folder = find_folder(ctl, err);
    struct dirent **entries = NULL;
    bool ok = true;
    int count;

    if (!folder) {
        return false;
    }
    count = scandir(folder, &entries, is_migration, alphasort);
    if (count <= 0) {
        free(entries);
        return ctl_usage(err, "'%.120s' has no migrations (NNNN_subject.sql)", folder);
    }
    *out = (struct migrations){ .folder = folder, .count = (size_t)count };
    out->items = arena_array(ctl->arena, (size_t)count, sizeof *out->items);
    for (int i = 0; i < count; i++) {
        struct migration *migration = &out->items[i];

        migration->name = arena_strdup(ctl->arena, entries[i]->d_name);
        migration->path = arena_printf(ctl->arena, "%s/%s", folder, migration->name);
        free(entries[i]);
        if (ok &&
            (!str_parse_int_n(migration->name, VERSION_DIGITS, 0, INT32_MAX, &migration->version) ||
             migration->version != i + 1)) {
            ok = err_permanent(err, "migrations_gap", "%.120s/%.60s: number %04d is expected",
                               folder, migration->name, i + 1);
        }
        ok = ok && read_file(ctl, migration, err);
    }
    free(entries);
    return ok;
}

static const struct db_statement find_applied = {
    "migrate_find_applied",
    "SELECT version, name, checksum FROM schema_migrations ORDER BY version",
    0,
};

/* Everything applied must still be what the folder has. *out_applied: how many that are. */
static bool compare(const struct migrations *migrations, struct db *db, size_t *out_applied,
                    struct err *err)
{
    AUTO_DB_RESULT struct db_result *found = NULL;

    if (!db_query(db, &find_applied, NULL, &found, err)) {
        return false;
    }
    for (int i = 0; i < db_rows(found); i++) {
        const char *name = db_get_text(found, i, 1);

        if ((size_t)i >= migrations->count) {
            return err_permanent(err, "migrations_older",
                                 "the database has %s, which is newer than this tumactl", name);
        }
        if (db_get_int(found, i, 0) != migrations->items[i].version ||
            strcmp(db_get_text(found, i, 2), migrations->items[i].checksum) != 0) {
            return err_permanent(err, "migration_changed",
                                 "%.60s was changed after it had been applied as %.60s; restore it "
                                 "and write the change into a new migration",
                                 migrations->items[i].name, name);
        }
    }
    *out_applied = (size_t)db_rows(found);
    return true;
}

static const struct db_statement note_applied = {
    "migrate_note_applied",
    "INSERT INTO schema_migrations (version, name, checksum) VALUES ($1, $2, $3)",
    3,
};

static bool apply(struct db *db, const struct migration *migration, struct err *err)
{
    struct err inner;

    if (!db_begin(db, err)) {
        return false;
    }
    if (!db_script(db, migration->sql, &inner)) {
        db_rollback(db);
        return err_permanent(err, "migration_failed", "%.60s: %.130s", migration->name,
                             inner.detail);
    }
    if (!db_run(db, &note_applied,
                (struct db_value[]){ db_int4((int32_t)migration->version), db_text(migration->name),
                                     db_text(migration->checksum) },
                NULL, err) ||
        !db_commit(db, err)) {
        db_rollback(db);
        return false;
    }
    printf("applied %s\n", migration->name);
    fflush(stdout);
    return true;
}

static bool migrate(struct ctl *ctl, struct err *err)
{
    struct migrations migrations = { 0 };
    struct db *db;
    size_t applied = 0;

    if (!load_folder(ctl, &migrations, err) || !ctl_db(ctl, &db, err) ||
        !db_script(db,
                   "SELECT pg_advisory_lock(" LOCK_KEY "); "
                   "CREATE TABLE IF NOT EXISTS schema_migrations ("
                   "    version int CONSTRAINT schema_migrations_pkey PRIMARY KEY,"
                   "    name text NOT NULL, checksum text NOT NULL,"
                   "    applied_at timestamptz NOT NULL DEFAULT now())",
                   err) ||
        !compare(&migrations, db, &applied, err)) {
        return false;
    }
    for (size_t i = applied; i < migrations.count; i++) {
        if (!apply(db, &migrations.items[i], err)) {
            return false;
        }
    }
    if (!db_script(db, "SELECT ensure_partitions(); SELECT pg_advisory_unlock(" LOCK_KEY ")",
                   err)) {
        return false;
    }
    printf("schema is at version %zu, %zu applied now\n", migrations.count,
           migrations.count - applied);
    return true;
}

const struct command migrate_command = {
    .name = "migrate",
    .arguments = "[FOLDER]",
    .arguments_max = 1,
    .summary = "Bring the database's schema up to date, forward only",
    .run = migrate,
};
