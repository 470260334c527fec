/*
 * cache - answers that cost the database or the provider much, kept for some seconds
 *
 *     if (cache_find(cache, "performance", account, &req->body_out)) return REPLY_OK;
 *     … write the answer …
 *     cache_keep(cache, "performance", account, &req->body_out, 30000);
 *
 * A few dozen places, each forgotten for whoever comes next. Any thread.
 */
#ifndef INGRESS_CACHE_H
#define INGRESS_CACHE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/str.h"

struct cache;

struct cache *cache_create(struct arena *arena);
void cache_destroy(struct cache *cache);

/* kind is a literal. Appends what is kept to *out. */
bool cache_find(struct cache *cache, const char *kind, int64_t id, struct str *out);
void cache_keep(struct cache *cache, const char *kind, int64_t id, const struct str *text,
                int64_t for_ms);

#endif
