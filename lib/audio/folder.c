#include "audio/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/id.h"
#include "crypto/crypto.h"

#define UNFINISHED ".new-"

struct audio_upload {
    struct crypto_hash *hash; /* NULL: ended */
    int fd;                   /* -1: ended */
    char folder[PATH_MAX - 128];
    char path[PATH_MAX]; /* "": nothing is there any more */
    struct audio_file file;
};

static bool fail_folder(const char *doing, struct err *err)
{
    return err_temporary(err, "audio_folder", "cannot %s in AUDIO_FOLDER: %s", doing,
                         strerror(errno));
}

/* --- the folder
 * ---------------------------------------------------------------------------------- */

static bool fail_setting(const char *doing, const char *path, struct err *err)
{
    return err_permanent(err, "bad_setting", "AUDIO_FOLDER: cannot %s %s: %s", doing, path,
                         strerror(errno));
}

/* Each slash's part in turn; whether it is a folder shows when it is used. */
static bool make_folders(char *path, struct err *err)
{
    for (char *slash = strchr(path + 1, '/');; slash = strchr(slash + 1, '/')) {
        if (slash != NULL) {
            *slash = '\0';
        }
        if (mkdir(path, S_IRWXU | S_IRGRP | S_IXGRP) != 0 && errno != EEXIST) {
            return fail_setting("make the folder", path, err);
        }
        if (slash == NULL) {
            return true;
        }
        *slash = '/';
    }
}

bool audio_folder_prepare(const char *folder, struct err *err)
{
    char path[PATH_MAX];
    int len = snprintf(path, sizeof(path) - 128, "%s", folder);

    if (len <= 0 || (size_t)len >= sizeof(path) - 128) {
        return err_permanent(err, "bad_setting", "AUDIO_FOLDER: it is empty or too long");
    }
    if (!make_folders(path, err)) {
        return false;
    }
    snprintf(path + len, sizeof(path) - (size_t)len, "/" UNFINISHED "XXXXXX");
    int fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0) {
        return fail_setting("make a file in", folder, err);
    }
    close(fd);
    return unlink(path) == 0 || fail_setting("remove a file from", folder, err);
}

/* --- a file comes
 * -------------------------------------------------------------------------------- */

struct audio_upload *audio_upload_begin(const char *folder, struct arena *arena, struct err *err)
{
    struct audio_upload *upload = arena_alloc(arena, sizeof(*upload));
    int len;

    len = snprintf(upload->folder, sizeof(upload->folder), "%s", folder);
    if (len <= 0 || (size_t)len >= sizeof(upload->folder)) {
        err_fill(err, ERR_TEMPORARY, "audio_folder", "AUDIO_FOLDER is empty or too long");
        return NULL;
    }
    snprintf(upload->path, sizeof(upload->path), "%s/" UNFINISHED "XXXXXX", folder);
    upload->fd = mkostemp(upload->path, O_CLOEXEC);
    if (upload->fd < 0) {
        (void)fail_folder("make a file", err);
        return NULL;
    }
    upload->hash = crypto_hash_begin();
    return upload;
}

bool audio_upload_add(struct audio_upload *upload, const void *bytes, size_t len, struct err *err)
{
    const char *at = bytes;

    if ((int64_t)len > AUDIO_MAX_BYTES - upload->file.bytes) {
        return err_permanent(err, "audio_too_large", "the file is larger than %lld bytes",
                             (long long)AUDIO_MAX_BYTES);
    }
    crypto_hash_add(upload->hash, bytes, len);
    upload->file.bytes += (int64_t)len;
    while (len > 0) {
        ssize_t done = write(upload->fd, at, len);
        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done < 0) {
            return fail_folder("write", err);
        }
        at += done;
        len -= (size_t)done;
    }
    return true;
}

static void end_hash(struct audio_upload *upload)
{
    unsigned char digest[CRYPTO_SHA256_BYTES];

    if (upload->hash != NULL) {
        crypto_hash_end(upload->hash, digest);
        id_hex(digest, sizeof(digest), upload->file.sha256);
        upload->hash = NULL;
    }
}

static bool close_file(struct audio_upload *upload)
{
    int fd = upload->fd;

    upload->fd = -1;
    return fd < 0 || close(fd) == 0;
}

bool audio_upload_end(struct audio_upload *upload, const struct audio_file **out, struct err *err)
{
    end_hash(upload);
    if (!audio_probe(upload->path, &upload->file.facts, err)) {
        return false;
    }
    if (fsync(upload->fd) != 0 || !close_file(upload)) {
        return fail_folder("write", err);
    }
    *out = &upload->file;
    return true;
}

static bool sync_folder(const char *folder, struct err *err)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 || fsync(fd) != 0) {
        (void)fail_folder("keep a file", err);
        if (fd >= 0) {
            close(fd);
        }
        return false;
    }
    close(fd);
    return true;
}

bool audio_upload_keep(struct audio_upload *upload, struct err *err)
{
    char path[PATH_MAX];

    snprintf(path, sizeof(path), "%s/%s", upload->folder, upload->file.sha256);
    /* One that is there has the same bytes, or it would have another name. */
    if (link(upload->path, path) != 0 && errno != EEXIST) {
        return fail_folder("keep a file", err);
    }
    return sync_folder(upload->folder, err);
}

void audio_upload_free(struct audio_upload *upload)
{
    if (upload == NULL) {
        return;
    }
    end_hash(upload);
    (void)close_file(upload);   /* it is not wanted, or it is fsynced */
    (void)unlink(upload->path); /* what stays is swept */
}

/* --- files that are there
 * ------------------------------------------------------------------------ */

const char *audio_path(const char *folder, const char *sha256, struct arena *arena)
{
    return arena_printf(arena, "%s/%s", folder, sha256);
}

bool audio_folder_remove(const char *folder, const char *sha256, struct err *err)
{
    char path[PATH_MAX];

    snprintf(path, sizeof(path), "%s/%s", folder, sha256);
    if (unlink(path) != 0 && errno != ENOENT) {
        return fail_folder("remove a file", err);
    }
    return true;
}

static bool is_old(int folder, const char *name, int64_t before_ms)
{
    struct stat stat;

    return strncmp(name, UNFINISHED, strlen(UNFINISHED)) == 0 &&
           fstatat(folder, name, &stat, AT_SYMLINK_NOFOLLOW) == 0 &&
           (int64_t)stat.st_mtim.tv_sec * 1000 + stat.st_mtim.tv_nsec / 1000000 < before_ms;
}

bool audio_folder_sweep(const char *folder, int64_t before_ms, int64_t *out_removed,
                        struct err *err)
{
    DIR *dir = opendir(folder);
    const struct dirent *entry;
    bool ok = true;

    *out_removed = 0;
    if (dir == NULL) {
        return fail_folder("look", err);
    }
    while (ok && (entry = readdir(dir)) != NULL) {
        if (!is_old(dirfd(dir), entry->d_name, before_ms)) {
            continue;
        }
        if (unlinkat(dirfd(dir), entry->d_name, 0) == 0) {
            ++*out_removed;
        } else if (errno != ENOENT) { /* somebody else swept */
            ok = fail_folder("remove a file", err);
        }
    }
    closedir(dir);
    return ok;
}
