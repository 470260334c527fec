/*
 * lease - an upload is under way for as long as its ingress says so
 *
 *     lease_take(req, campaign, &err)               in the transaction that makes the campaign
 *     lease_begin(&lease, req, campaign)            it is committed
 *     lease_keep(&lease)                            a piece of the body has come
 *     lease_end(&lease, &err)                       it came whole: nobody gives it up any more
 *
 * An ingress that is killed cannot say that its uploads broke off. So the campaign's row carries
 * the time until which the upload is believed (receiving_until, by the database's clock); past it,
 * split-batches' tick marks the campaign abandoned, and a request with the same Idempotency-Key
 * takes its name away from it and begins anew.
 */
#ifndef INGRESS_LEASE_H
#define INGRESS_LEASE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "db/db.h"
#include "request.h"
#include "settings.h"
#include "work.h"

struct lease {
    struct request *req;
    int64_t campaign;
    int64_t renewed_ms;
    atomic_bool renewing; /* a worker is at it */
    struct job job;
};

/* From the last piece of a body until the upload counts as dead: a connection that is silent for
 * HTTP_IDLE is closed by the ingress that has it, so only a dead one is silent for longer. */
int64_t lease_ms(const struct settings *settings);

/* With the request's connection, on a worker. */
bool lease_take(struct request *req, int64_t campaign, struct err *err);
void lease_begin(struct lease *lease, struct request *req, int64_t campaign);

/* Renews it now and then, and the claim of the Idempotency-Key with it; never waits. */
void lease_keep(struct lease *lease);

/* A temporary error when the campaign was given up meanwhile, so that nothing of it is sent. On a
 * worker. */
bool lease_end(struct lease *lease, struct err *err);

/*
 * Gives up a campaign whose upload did not come whole, if that is what it is, and takes its name
 * away. The caller knows that nobody sends the upload any more. *out_done tells.
 */
bool lease_break(struct db *db, int64_t campaign, bool *out_done, struct err *err);

#endif
