#include "sound.h"

#include <string.h>
#include <strings.h>

#include "audio/asset.h"
#include "audio_view.h"
#include "base/clock.h"
#include "http/multipart.h"
#include "routes.h"
#include "server.h"

#define BLOCK_BYTES ((size_t)128 << 10)
#define FORM_BYTES_MAX ((size_t)64 << 10) /* around the file */
#define NAME_SENT_MAX 400                 /* bytes; audio_name_clean() keeps AUDIO_NAME_MAX */
#define SWEEP_AFTER_MS INT64_C(3600000)   /* more than HTTP_IDLE may be */

static const char form_type[] = "multipart/form-data";
static const char *const file_types[] = { "audio/wav",
                                          "audio/x-wav",
                                          "audio/wave",
                                          "audio/mpeg",
                                          "audio/mp3",
                                          "audio/vnd.wave",
                                          "application/octet-stream" };

enum part { PART_NONE, PART_FILE, PART_NAME };

struct sound {
    struct request *req;
    struct http_multipart *form; /* NULL: the body is the file */
    enum part part;              /* that is coming */
    bool has_file, has_name;
    const char *name;      /* of the arguments; NULL */
    const char *file_name; /* as the file came; NULL */
    struct str part_name;
    struct str block;            /* of the file, not on disk yet */
    int64_t bytes;               /* of the file */
    struct audio_upload *upload; /* the workers' */
    struct job job;
};

/* --- a body comes
 * -------------------------------------------------------------------------------- */

static bool is_file_type(const char *type)
{
    size_t len = strcspn(type, "; ");

    for (size_t i = 0; i < sizeof(file_types) / sizeof(*file_types); i++) {
        if (strlen(file_types[i]) == len && strncasecmp(file_types[i], type, len) == 0) {
            return true;
        }
    }
    return false;
}

static bool fail_large(const struct request *req, struct err *err)
{
    return err_permanent(err, "audio_too_large", "file: it is larger than %ld bytes",
                         req->app->settings->audio.bytes_max);
}

static bool take(struct sound *sound, const char *bytes, size_t len, struct err *err)
{
    if ((int64_t)len > sound->req->app->settings->audio.bytes_max - sound->bytes) {
        return fail_large(sound->req, err);
    }
    sound->bytes += (int64_t)len;
    str_append(&sound->block, bytes, len);
    return true;
}

static bool on_part(void *context, const struct http_part *part, struct err *err)
{
    struct sound *sound = context;

    if (part->filename != NULL || is_file_type(part->type)) {
        if (sound->has_file) {
            return err_permanent(err, "two_files", "file: the form has two; send one at a time");
        }
        sound->part = PART_FILE;
        sound->has_file = true;
        sound->file_name = part->filename;
        return true;
    }
    if (strcmp(part->name, "name") != 0) {
        return err_permanent(err, "unknown_part",
                             "%.60s: this part of the form is neither a file, which has a "
                             "filename, nor the name",
                             part->name);
    }
    if (sound->has_name) {
        return err_permanent(err, "two_names", "name: the form has two");
    }
    sound->part = PART_NAME;
    sound->has_name = true;
    return true;
}

static bool on_bytes(void *context, const char *bytes, size_t len, struct err *err)
{
    struct sound *sound = context;

    if (sound->part == PART_FILE) {
        return take(sound, bytes, len, err);
    }
    if (sound->part_name.len + len > NAME_SENT_MAX) {
        return err_permanent(err, "name_too_long", "name: it has more than %d bytes",
                             NAME_SENT_MAX);
    }
    str_append(&sound->part_name, bytes, len);
    return true;
}

size_t sound_body_max(const struct settings *settings)
{
    return (size_t)settings->audio.bytes_max + FORM_BYTES_MAX;
}

enum reply sound_begin(struct request *req)
{
    static const struct http_form_events events = { .part = on_part, .bytes = on_bytes };
    static const char *const known[] = { "name", NULL };
    const struct settings *settings = req->app->settings;
    const bool is_form = strcmp(req->content_type, form_type) == 0;
    size_t max = is_form ? sound_body_max(settings) : (size_t)settings->audio.bytes_max;
    enum reply reply = request_check_arguments(req, known);
    struct err err;

    if (reply == REPLY_NONE) {
        reply = audio_view_check_folder(req);
    }
    if (reply != REPLY_NONE) {
        return reply;
    }
    if (!is_form && !is_file_type(req->content_type)) {
        return refuse(req, REPLY_BAD_MEDIA_TYPE, "content_type", "Content-Type",
                      "send the file as audio/wav, audio/mpeg or application/octet-stream, or in "
                      "a multipart/form-data");
    }
    if (req->content_length != LENGTH_CHUNKED && req->content_length > max) {
        (void)fail_large(req, &err);
        return refuse_err(req, &err);
    }
    struct sound *sound = arena_alloc(req->arena, sizeof(*sound));
    sound->req = req;
    sound->name = request_argument(req, "name");
    if (is_form) {
        sound->form =
            http_multipart_begin(req->content_type_whole, &events, sound, req->arena, &err);
        if (sound->form == NULL) {
            return refuse_err(req, &err);
        }
    } else {
        sound->has_file = true;
        if (req->content_disposition != NULL) {
            sound->file_name =
                http_header_parameter(req->content_disposition, "filename", req->arena);
        }
    }
    req->sound = sound;
    return REPLY_NONE;
}

/* --- and goes to disk
 * ---------------------------------------------------------------------------- */

static bool flush(struct sound *sound, struct err *err)
{
    struct request *req = sound->req;

    if (sound->upload == NULL) {
        sound->upload = audio_upload_begin(req->app->settings->audio.folder, req->arena, err);
        if (sound->upload == NULL) {
            return false;
        }
    }
    if (!audio_upload_add(sound->upload, sound->block.bytes, sound->block.len, err)) {
        return false;
    }
    str_reset(&sound->block);
    return true;
}

static void write_job(struct job *job, struct worker *worker)
{
    struct sound *sound = job->context;
    struct request *req = sound->req;
    struct err err;

    (void)worker;
    if (!flush(sound, &err)) {
        req->reply = refuse_err(req, &err);
    }
    server_resume(req->visit);
}

enum MHD_Result sound_feed(struct request *req, const char *data, size_t *size)
{
    struct sound *sound = req->sound;
    struct err err;
    bool ok = sound->form != NULL ? http_multipart_add(sound->form, data, *size, &err)
                                  : take(sound, data, *size, &err);

    *size = 0;
    if (!ok) {
        req->reply = refuse_err(req, &err);
    } else if (sound->block.len >= BLOCK_BYTES) {
        sound->job = (struct job){ .run = write_job, .context = sound };
        server_suspend(req->visit);
        (void)work_submit(req->app->work, &sound->job, true);
    }
    return MHD_YES;
}

enum reply sound_finish(struct request *req)
{
    struct sound *sound = req->sound;
    struct err err;

    if (sound->form != NULL && !http_multipart_end(sound->form, &err)) {
        return refuse_err(req, &err);
    }
    if (!sound->has_file) {
        return refuse(req, REPLY_UNPROCESSABLE, "no_file", "file",
                      "the form has no file: a part with a filename");
    }
    return REPLY_NONE;
}

int64_t sound_bytes(const struct sound *sound)
{
    return sound->bytes;
}

static void drop_job(struct job *job, struct worker *worker)
{
    struct sound *sound = job->context;

    (void)worker;
    audio_upload_free(sound->upload);
    sound->upload = NULL;
    request_drop(sound->req);
}

/* Not while a worker writes: the connection is suspended then, and a suspended one does not end. */
void sound_end(struct request *req)
{
    struct sound *sound = req->sound;

    if (sound->upload != NULL) {
        request_hold(req);
        sound->job = (struct job){ .run = drop_job, .context = sound };
        (void)work_submit(req->app->work, &sound->job, true);
    }
}

void sound_free(struct sound *sound)
{
    str_free(&sound->block);
    str_free(&sound->part_name);
}

int64_t sound_sweep_before_ms(int64_t now_ms)
{
    return now_ms - SWEEP_AFTER_MS;
}

/* --- and is kept
 * -------------------------------------------------------------------------------- */

/* What the file is called: by the address, by the form, or as it was sent. */
static const char *choose_name(struct sound *sound)
{
    if (sound->name != NULL && *sound->name != '\0') {
        return sound->name;
    }
    if (sound->part_name.len > 0) {
        return arena_strndup(sound->req->arena, sound->part_name.bytes, sound->part_name.len);
    }
    return sound->file_name != NULL ? sound->file_name : "";
}

static bool check_room(struct request *req, const struct audio_file *file, struct err *err)
{
    const int64_t max = req->app->settings->audio.account_max;
    int64_t others;

    if (max == 0) {
        return true;
    }
    return audio_asset_others(req->db, req->caller.account_id, file->sha256, &others, err) &&
           (file->bytes <= max - others ||
            err_permanent(err, "audio_full",
                          "the account's audio assets have %lld bytes and may have %lld; delete "
                          "some",
                          (long long)others, (long long)max));
}

static bool keep(struct sound *sound, struct audio_asset *out, bool *out_is_new, struct err *err)
{
    struct request *req = sound->req;
    const struct audio_file *file;

    return flush(sound, err) && audio_upload_end(sound->upload, &file, err) &&
           check_room(req, file, err) &&
           audio_asset_add(req->db, req->caller.account_id, sound->upload, file, choose_name(sound),
                           clock_now_ms(), req->arena, out, out_is_new, err);
}

bool sound_keep(struct request *req, struct audio_asset *out_asset, bool *out_is_new,
                struct err *err)
{
    struct sound *sound = req->sound;
    bool ok = keep(sound, out_asset, out_is_new, err);

    audio_upload_free(sound->upload);
    sound->upload = NULL;
    return ok;
}
