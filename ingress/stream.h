/*
 * stream - an answer that goes on: server-sent events and CSV exports
 *
 *     req->stream = stream_create(req, fill, 0);      // in the endpoint; NULL: too many
 *     return REPLY_STREAM;
 *
 *     static bool fill(struct request *req, struct str *out) { append; return whether more follows
 * }
 *
 * fill() runs on a worker with req->db set, whenever what it wrote before has been read and, with
 * an interval, at most that often. The client's connection is suspended meanwhile, so memory stays
 * at one fill's worth however long the answer is.
 */
#ifndef INGRESS_STREAM_H
#define INGRESS_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/str.h"

struct MHD_Response;
struct request;
struct stream;
struct streams;

typedef bool stream_fill_fn(struct request *req, struct str *out);

struct streams *streams_create(struct arena *arena);

/* Starts fills that are due; with ending, closes every stream as soon as it may. */
void streams_tick(struct streams *streams, bool ending);

struct stream *stream_create(struct request *req, stream_fill_fn *fill, int64_t interval_ms);

/* For "return stream_fail(req)" in a fill: the answer ends as broken, not as complete. */
bool stream_fail(struct request *req);

/* The server's: the response that reads the stream; the client is done; nobody needs it any more.
 */
struct MHD_Response *stream_response(struct request *req);
void stream_close(struct stream *stream);
void stream_free(struct stream *stream);

#endif
