/*
 * lease - an upload is under way for as long as its ingress says so
 *
 *     lease_take(db, campaign, ms, &err)                in the transaction that makes the campaign
 *     lease_renew(db, campaign, ms, &err)               now and then, while its body comes
 *     lease_end(db, campaign, &lost, &err)              it came whole: nobody gives it up any more
 *
 * An ingress that is killed cannot say that its uploads broke off. So the campaign's row carries
 * the time until which the upload is believed (receiving_until, by the database's clock); past it,
 * split-batches' tick marks the campaign abandoned, and a request with the same Idempotency-Key
 * takes its name away from it and begins anew.
 */
#ifndef INGRESS_LEASE_H
#define INGRESS_LEASE_H

#include <stdbool.h>
#include <stdint.h>

#include "db/db.h"
#include "settings.h"

/* From the last piece of a body until the upload counts as dead: a connection that is silent for
 * HTTP_IDLE is closed by the ingress that has it, so only a dead one is silent for longer. */
int64_t lease_ms(const struct settings *settings);

bool lease_take(struct db *db, int64_t campaign, int64_t ms, struct err *err);

/* Does nothing to a campaign that was given up or whose lease has ended. */
bool lease_renew(struct db *db, int64_t campaign, int64_t ms, struct err *err);

/* *out_lost: the campaign was given up meanwhile, so nothing of it is sent. */
bool lease_end(struct db *db, int64_t campaign, bool *out_lost, struct err *err);

/*
 * Gives up a campaign whose upload did not come whole, if that is what it is, and takes its name
 * away. The caller knows that nobody sends the upload any more. *out_done tells.
 */
bool lease_break(struct db *db, int64_t campaign, bool *out_done, struct err *err);

#endif
