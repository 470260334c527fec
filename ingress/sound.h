/*
 * sound - a file of sound that goes to disk while it arrives
 *
 * The body is the file, or a form with the file in it (http/multipart.h). A block of it at a time
 * is gathered where libmicrohttpd delivers it and written by a worker, the connection suspended
 * meanwhile: memory is a block however long the file, and no loop waits for a disk. When the body
 * is whole the endpoint runs, and sound_keep() looks at the file and keeps it. What breaks off or
 * is refused leaves nothing; what a killed ingress leaves, another sweeps (sound_sweep_before_ms).
 */
#ifndef INGRESS_SOUND_H
#define INGRESS_SOUND_H

#include <microhttpd.h>
#include <stdbool.h>
#include <stdint.h>

#include "audio/asset.h"
#include "request.h"

/* Looks at the head; REPLY_NONE: go on with the body. */
enum reply sound_begin(struct request *req);

/* The most that the body may have, with the form around the file. */
size_t sound_body_max(const struct settings *settings);

/* A piece of the body. Takes all of it. May suspend the connection. */
enum MHD_Result sound_feed(struct request *req, const char *data, size_t *size);

/* The body is whole. REPLY_NONE: the endpoint may run. */
enum reply sound_finish(struct request *req);

/* In the endpoint: fsynced, looked at, and one of the account's. Errors of lib/audio, and
 * audio_full. */
bool sound_keep(struct request *req, struct audio_asset *out_asset, bool *out_is_new,
                struct err *err) __attribute__((warn_unused_result));

/* Of the file, as it was counted. */
int64_t sound_bytes(const struct sound *sound);

/* The request is over, answered or broken off. */
void sound_end(struct request *req);
void sound_free(struct sound *sound);

/* Unfinished files last written before this are nobody's any more. */
int64_t sound_sweep_before_ms(int64_t now_ms);

#endif
