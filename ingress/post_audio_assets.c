/*
 * POST /api/communications/audio-assets - keep a file of sound
 *
 * It has come by then: see sound.h.
 */
#include "audio_view.h"
#include "routes.h"
#include "sound.h"

enum reply post_audio_assets(struct request *req)
{
    struct audio_asset asset;
    struct err err;
    bool is_new;

    if (!sound_keep(req, &asset, &is_new, &err)) {
        return refuse_err(req, &err);
    }
    audio_view_put(&req->body_out, &asset, &is_new);
    return is_new ? REPLY_CREATED : REPLY_OK;
}
