/*
 * limit - requests a second, per key or per address
 *
 *     if (!limit_take(limit, hash, &wait_s)) … 429 with Retry-After: wait_s
 *
 * GCRA: one time per key, the moment at which its bucket would be empty again; a burst of
 * RATE_BURST_S seconds' worth is free. The table is fixed; when it is full the key that has been
 * quiet the longest in its corner is forgotten, which errs on the side of the caller. Any thread.
 */
#ifndef INGRESS_LIMIT_H
#define INGRESS_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"

struct limit;

/* per_second 0 means no limit. In the arena. */
struct limit *limit_create(struct arena *arena, long per_second);

/* One request of the key; *out_wait_s, unless true, is when to come back. */
bool limit_take(struct limit *limit, uint64_t key, long *out_wait_s);

/* A well-spread key of any bytes. */
uint64_t limit_key(const void *bytes, unsigned len);

#endif
