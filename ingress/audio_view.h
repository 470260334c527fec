/*
 * audio_view - audio assets as JSON
 */
#ifndef INGRESS_AUDIO_VIEW_H
#define INGRESS_AUDIO_VIEW_H

#include "audio/asset.h"
#include "request.h"

/* REPLY_NONE unless this server keeps no files of sound. */
enum reply audio_view_check_folder(struct request *req);

/* refuse_err() where the path names the asset: one that is unknown is 404, not a wrong value. */
enum reply audio_view_refuse(struct request *req, const struct err *err);

/* The account's asset that the path names; REPLY_NONE when found. */
enum reply audio_view_find(struct request *req, struct audio_asset *out_asset);

/* {"id":…}: all of it, and "isNew" unless is_new is NULL. */
void audio_view_put(struct str *out, const struct audio_asset *asset, const bool *is_new);

#endif
