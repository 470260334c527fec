#include "audio_view.h"

#include <string.h>

#include "base/id.h"

enum reply audio_view_check_folder(struct request *req)
{
    if (*req->app->settings->audio.folder != '\0') {
        return REPLY_NONE;
    }
    return refuse(req, REPLY_UNAVAILABLE, "audio_off", NULL,
                  "this server keeps no files of sound: AUDIO_FOLDER is not set");
}

enum reply audio_view_refuse(struct request *req, const struct err *err)
{
    return strcmp(err->what, "audio_unknown") == 0
               ? refuse(req, REPLY_NOT_FOUND, err->what, NULL, "%s", err->detail)
               : refuse_err(req, err);
}

enum reply audio_view_find(struct request *req, struct audio_asset *out_asset)
{
    struct err err;
    int64_t id;

    if (!id_parse("aud", req->id, &id)) {
        err_permanent(&err, "audio_unknown", "there is no such audio asset");
        return audio_view_refuse(req, &err);
    }
    if (!audio_asset_find(req->db, req->caller.account_id, id, req->arena, out_asset, &err)) {
        return audio_view_refuse(req, &err);
    }
    return REPLY_NONE;
}

void audio_view_put(struct str *out, const struct audio_asset *asset, const bool *is_new)
{
    char id[ID_TEXT_BYTES];

    id_format("aud", asset->id, id);
    str_putc(out, '{');
    put_text(out, "id", id);
    put_text(out, "name", asset->name);
    put_text(out, "format", audio_kind_word(asset->facts.kind));
    put_int(out, "bytes", asset->bytes);
    str_printf(out, ",\"durationSeconds\":%lld.%03lld",
               (long long)(asset->facts.duration_ms / 1000),
               (long long)(asset->facts.duration_ms % 1000));
    put_int(out, "sampleRate", asset->facts.sample_rate);
    put_int(out, "channels", asset->facts.channels);
    put_text(out, "sha256", asset->sha256);
    put_time(out, "createdAt", asset->created_ms);
    if (is_new != NULL) {
        str_printf(out, ",\"isNew\":%s", *is_new ? "true" : "false");
    }
    str_putc(out, '}');
}
