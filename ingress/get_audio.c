/*
 * GET /api/communications/audio-assets/{id}/audio, /media/{id}/{signature} - the sound itself
 *
 * The first is for the account's keys. The second is for a provider, who has none: the address is
 * signed and good for a time (audio/address.h). A file never changes, so its hash is its ETag, and
 * whoever has one may keep it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audio_view.h"
#include "base/clock.h"
#include "http/range.h"
#include "routes.h"

/* An asset that has a row has its file, unless the folder is not the one it was put into. */
static bool open_file(struct request *req, const struct audio_asset *asset, int *out_fd,
                      struct err *err)
{
    const char *path = audio_path(req->app->settings->audio.folder, asset->sha256, req->arena);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat stat;

    if (fd < 0) {
        return err_temporary(err, "audio_folder", "cannot open %s: %s", path, strerror(errno));
    }
    if (fstat(fd, &stat) != 0 || stat.st_size != asset->bytes) {
        close(fd);
        return err_temporary(err, "audio_folder", "%s is not as long as its row says", path);
    }
    *out_fd = fd;
    return true;
}

static enum reply send_file(struct request *req, const struct audio_asset *asset, int64_t first,
                            int64_t count)
{
    struct download *download = arena_alloc(req->arena, sizeof(*download));
    struct err err;

    *download = (struct download){ .first = first, .count = count };
    if (!open_file(req, asset, &download->fd, &err)) {
        struct audio_asset again;
        struct err gone;
        bool is_there = audio_asset_find(req->db, 0, asset->id, req->arena, &again, &gone);
        return audio_view_refuse(req, is_there ? &err : &gone); /* deleted meanwhile */
    }
    /* Here, on a worker, rather than when the loop sends it. */
    (void)posix_fadvise(download->fd, first, count, POSIX_FADV_WILLNEED);
    req->download = download;
    req->type_out = audio_kind_type(asset->facts.kind);
    return req->content_range != NULL ? REPLY_PARTIAL : REPLY_OK;
}

/* What of it is asked for. RFC 9110 has a Range only for GET. */
static enum reply send_asset(struct request *req, const struct audio_asset *asset,
                             const char *cache_control)
{
    const char *etag = arena_printf(req->arena, "\"%s\"", asset->sha256);
    const char *range = strcmp(req->method, "GET") == 0 ? req->range : NULL;
    enum reply reply = audio_view_check_folder(req);
    int64_t first, count;

    if (reply != REPLY_NONE) {
        return reply;
    }
    req->accepts_ranges = true;
    req->etag = etag;
    req->cache_control = cache_control;
    if (http_etag_listed(req->if_none_match, etag)) {
        return REPLY_NOT_MODIFIED;
    }
    switch (http_range_read(range, req->if_range, etag, asset->bytes, &first, &count)) {
    case HTTP_RANGE_NONE:
        reply = refuse(req, REPLY_BAD_RANGE, "bad_range", "Range", "the file has %lld bytes",
                       (long long)asset->bytes);
        req->content_range = arena_printf(req->arena, "bytes */%lld", (long long)asset->bytes);
        return reply;
    case HTTP_RANGE_PART:
        req->content_range = arena_printf(req->arena, "bytes %lld-%lld/%lld", (long long)first,
                                          (long long)(first + count - 1), (long long)asset->bytes);
        break;
    case HTTP_RANGE_WHOLE:
        break;
    }
    return send_file(req, asset, first, count);
}

enum reply get_audio(struct request *req)
{
    struct audio_asset asset;
    enum reply reply = audio_view_find(req, &asset);

    return reply != REPLY_NONE ? reply : send_asset(req, &asset, "private, no-cache");
}

static bool is_signed(const struct request *req, int64_t *out_id, enum audio_kind *out_kind,
                      struct err *err)
{
    return audio_check(req->app->settings->audio.secret, req->id, req->tail, clock_now_ms(), out_id,
                       out_kind, err);
}

bool media_is_signed(const struct request *req)
{
    enum audio_kind kind;
    struct err err;
    int64_t id;

    return *req->app->settings->audio.secret != '\0' && is_signed(req, &id, &kind, &err);
}

enum reply get_media(struct request *req)
{
    struct audio_asset asset;
    enum audio_kind kind;
    int64_t id, expires_s;
    struct err err;

    if (*req->app->settings->audio.secret == '\0') {
        return refuse(req, REPLY_NOT_FOUND, "path_unknown", NULL, "there is nothing at this path");
    }
    if (!is_signed(req, &id, &kind, &err) ||
        !audio_asset_find(req->db, 0, id, req->arena, &asset, &err)) {
        return audio_view_refuse(req, &err);
    }
    /* What is signed begins with digits. */
    (void)str_parse_int_n(req->tail, strspn(req->tail, "0123456789"), 0, INT64_MAX, &expires_s);
    return send_asset(req, &asset,
                      arena_printf(req->arena, "public, max-age=%lld, immutable",
                                   (long long)(expires_s - clock_now_ms() / 1000)));
}
