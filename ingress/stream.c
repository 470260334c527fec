#include "stream.h"

#include <microhttpd.h>
#include <pthread.h>
#include <string.h>

#include "base/clock.h"
#include "base/panic.h"
#include "request.h"
#include "server.h"

#define BLOCK_BYTES ((size_t)32 << 10)

struct stream {
    struct stream *next, **at; /* in the list of all */
    struct streams *streams;
    struct request *req;
    stream_fill_fn *fill;
    int64_t interval_ms;
    struct job job;

    pthread_mutex_t lock;
    struct str ready;
    size_t read;    /* of ready */
    int64_t due_ms; /* monotonic: not filled before */
    bool filling;   /* a job is on its way */
    bool suspended; /* the reader waits for a fill */
    bool ended, failed;
};

struct streams {
    pthread_mutex_t lock;
    struct stream *all;
    int count;
};

struct streams *streams_create(struct arena *arena)
{
    struct streams *streams = arena_alloc(arena, sizeof(*streams));

    pthread_mutex_init(&streams->lock, NULL);
    return streams;
}

/* Called with the stream's lock held. */
static void wake_reader(struct stream *stream)
{
    if (stream->suspended) {
        stream->suspended = false;
        server_resume(stream->req->visit);
    }
}

static void run_fill(struct job *job, struct worker *worker)
{
    struct stream *stream = job->context;
    struct request *req = stream->req;
    struct str out = { 0 };
    struct err err;
    bool more = true;

    req->db = worker_db(worker, &err);
    bool ok = req->db != NULL;
    while (ok && more && out.len == 0) {
        more = stream->fill(req, &out);
        if (stream->interval_ms > 0) {
            break;
        }
    }
    if (req->db != NULL) {
        db_rollback(req->db);
        req->db = NULL;
    }
    pthread_mutex_lock(&stream->lock);
    str_append(&stream->ready, out.bytes, out.len);
    stream->filling = false;
    stream->due_ms = clock_mono_ms() + stream->interval_ms;
    if (!ok && stream->interval_ms == 0) {
        stream->failed = true; /* half an export must not look like a whole one */
    }
    stream->ended = stream->ended || !more || stream->failed;
    if (stream->ready.len > 0 || stream->ended) {
        wake_reader(stream);
    }
    pthread_mutex_unlock(&stream->lock);
    str_free(&out);
    request_drop(req);
}

bool stream_fail(struct request *req)
{
    pthread_mutex_lock(&req->stream->lock);
    req->stream->failed = true;
    pthread_mutex_unlock(&req->stream->lock);
    return false;
}

/* Called with the stream's lock held. */
static void start_fill(struct stream *stream)
{
    stream->filling = true;
    request_hold(stream->req);
    stream->job = (struct job){ .run = run_fill, .context = stream };
    (void)work_submit(stream->req->app->work, &stream->job, true);
}

static ssize_t read_stream(void *context, uint64_t at, char *out, size_t max)
{
    struct stream *stream = context;
    ssize_t result = 0;

    (void)at;
    pthread_mutex_lock(&stream->lock);
    size_t left = stream->ready.len - stream->read;
    if (left > 0) {
        left = left < max ? left : max;
        memcpy(out, stream->ready.bytes + stream->read, left);
        stream->read += left;
        if (stream->read == stream->ready.len) {
            str_reset(&stream->ready);
            stream->read = 0;
        }
        result = (ssize_t)left;
    } else if (stream->ended || server_is_draining(stream->req->server)) {
        stream->failed = stream->failed || (!stream->ended && stream->interval_ms == 0);
        result =
            stream->failed ? MHD_CONTENT_READER_END_WITH_ERROR : MHD_CONTENT_READER_END_OF_STREAM;
    } else {
        stream->suspended = true;
        server_suspend(stream->req->visit);
        if (!stream->filling && clock_mono_ms() >= stream->due_ms) {
            start_fill(stream);
        }
    }
    pthread_mutex_unlock(&stream->lock);
    return result;
}

void streams_tick(struct streams *streams, bool ending)
{
    int64_t now_ms = clock_mono_ms();

    pthread_mutex_lock(&streams->lock);
    for (struct stream *stream = streams->all; stream != NULL; stream = stream->next) {
        pthread_mutex_lock(&stream->lock);
        if (ending && !stream->filling) {
            stream->failed = stream->failed || (!stream->ended && stream->interval_ms == 0);
            stream->ended = true;
            wake_reader(stream);
        } else if (stream->suspended && !stream->filling && now_ms >= stream->due_ms) {
            start_fill(stream);
        }
        pthread_mutex_unlock(&stream->lock);
    }
    pthread_mutex_unlock(&streams->lock);
}

struct stream *stream_create(struct request *req, stream_fill_fn *fill, int64_t interval_ms)
{
    struct streams *streams = req->app->streams;
    struct stream *stream = arena_alloc(req->arena, sizeof(*stream));
    bool room;

    *stream = (struct stream){
        .streams = streams,
        .req = req,
        .fill = fill,
        .interval_ms = interval_ms,
    };
    pthread_mutex_init(&stream->lock, NULL);
    pthread_mutex_lock(&streams->lock);
    room = streams->count < STREAMS_MAX;
    if (room) {
        streams->count++;
        stream->next = streams->all;
        stream->at = &streams->all;
        if (stream->next != NULL) {
            stream->next->at = &stream->next;
        }
        streams->all = stream;
    }
    pthread_mutex_unlock(&streams->lock);
    return room ? stream : NULL;
}

struct MHD_Response *stream_response(struct request *req)
{
    return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_BYTES, read_stream,
                                             req->stream, NULL);
}

void stream_close(struct stream *stream)
{
    struct streams *streams = stream->streams;

    pthread_mutex_lock(&streams->lock);
    *stream->at = stream->next;
    if (stream->next != NULL) {
        stream->next->at = stream->at;
    }
    streams->count--;
    pthread_mutex_unlock(&streams->lock);
    pthread_mutex_lock(&stream->lock);
    stream->ended = true;
    pthread_mutex_unlock(&stream->lock);
}

void stream_free(struct stream *stream)
{
    pthread_mutex_destroy(&stream->lock);
    str_free(&stream->ready);
}
