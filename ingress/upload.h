/*
 * upload - a CSV or NDJSON body that goes to the broker while it arrives
 *
 * Rows are parsed where libmicrohttpd delivers them, packed into chunks and published as they fill.
 * While too many chunks are unconfirmed the connection is suspended, so memory is a few chunks
 * however long the file. The database is asked twice, by a worker: once behind the heading (the
 * campaign's row, the template against the columns) and once at the end (the campaign is closed).
 * An upload that breaks off marks its campaign 'abandoned'; nothing of it is sent. For one whose
 * ingress dies see lease.h.
 */
#ifndef INGRESS_UPLOAD_H
#define INGRESS_UPLOAD_H

#include <stdbool.h>

#include "request.h"
#include "server.h"

/* The content type says so. */
bool upload_is_streamed(const struct request *req);

/* Reads the definition from the query arguments; REPLY_NONE: go on with the body. */
enum reply upload_begin(struct request *req);

/* A piece of the body: takes *size bytes, says what it left. May suspend the connection. */
enum MHD_Result upload_feed(struct request *req, const char *data, size_t *size);

/* The body is whole. True: the connection is suspended until req->reply is there. */
bool upload_finish(struct request *req);

/* The request is over, answered or broken off. */
void upload_end(struct request *req);
void upload_free(struct upload *upload);

#endif
