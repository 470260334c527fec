/*
 * DELETE /api/communications/audio-assets/{id} - forget a file of sound that nothing uses
 */
#include "audio_view.h"
#include "routes.h"

enum reply delete_audio_asset(struct request *req)
{
    struct audio_asset asset;
    struct err err;
    enum reply reply;

    if ((reply = audio_view_check_folder(req)) != REPLY_NONE ||
        (reply = audio_view_find(req, &asset)) != REPLY_NONE) {
        return reply;
    }
    if (!audio_asset_remove(req->db, req->app->settings->audio.folder, req->caller.account_id,
                            asset.id, req->arena, &err)) {
        return audio_view_refuse(req, &err);
    }
    return REPLY_NO_CONTENT;
}
