/*
 * idempotency - a POST said twice is done once
 *
 * With an Idempotency-Key, the first answer is stored and given again for 24 hours; while the first
 * is under way a second is 409; the same key with another request is 422. Answers that may differ
 * next time (429, 5xx) are not stored. Should the process die in between, the claim lapses after a
 * minute and the request is run again: what it creates is named after the key, so it is not created
 * twice, and what it publishes has the same ids. An upload keeps its claim for as long as pieces of
 * it come, and is begun anew if its campaign did not come whole (lease.h).
 */
#ifndef INGRESS_IDEMPOTENCY_H
#define INGRESS_IDEMPOTENCY_H

#include "request.h"
#include "routes.h"

/* Runs the handler, or answers as before. On a worker. */
enum reply idempotency_run(struct request *req, handle_fn *handle);

/* The two halves, for an upload: REPLY_NONE means go on; then store what was answered. */
enum reply idempotency_begin(struct request *req);
void idempotency_end(struct request *req, enum reply reply);

/* Says that the request is still under way; with a connection of the caller's own. */
bool idempotency_renew(struct db *db, const struct request *req, struct err *err);

/* The name of what the request creates: of its key, or of chance. In the arena. */
const char *idempotency_reference(struct request *req);

/*
 * What the request made, for a handler whose creations cannot be named after the key: noted in the
 * transaction that makes it, and found when the request is run again because its answer was lost or
 * was "later". NULL when nothing was made; without a key nothing is ever noted.
 */
bool idempotency_note(struct request *req, const char *what, struct err *err);
bool idempotency_noted(struct request *req, const char **out_what, struct err *err);

/* Forgets what is older than 24 hours; called now and then. */
bool idempotency_purge(struct db *db, struct err *err);

#endif
