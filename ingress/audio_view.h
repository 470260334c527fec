/*
 * audio_view - audio assets as JSON
 */
#ifndef INGRESS_AUDIO_VIEW_H
#define INGRESS_AUDIO_VIEW_H

#include "audio/asset.h"
#include "request.h"

/* The account's asset that the path names; REPLY_NONE when found. */
enum reply audio_view_find(struct request *req, struct audio_asset *out_asset);

/* {"id":…}: all of it. */
void audio_view_put(struct str *out, const struct audio_asset *asset);

#endif
