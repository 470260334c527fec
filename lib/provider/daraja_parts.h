/*
 * daraja_parts - what the readers of M-Pesa's replies and of its callbacks share
 *
 * Private to lib/provider.
 */
#ifndef PROVIDER_DARAJA_PARTS_H
#define PROVIDER_DARAJA_PARTS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/err.h"
#include "json/loose.h"

/* Longer bodies are not M-Pesa's: its own are well below 2 KiB. Our bound. */
#define DARAJA_BODY_BYTES_MAX (64 << 10)

/* Identifiers are opaque; those seen have up to 40 bytes. Our bound. */
#define DARAJA_ID_BYTES_MAX 100

/* A JSON object of a tolerable size; any fault is permanent: bad_json, bad_field, body_too_long. */
bool daraja_body_read(const char *body, size_t len, const struct loose **out_root,
                      struct arena *arena, struct err *err) __attribute__((warn_unused_result));

/* The member's text, or "" when there is none. */
const char *daraja_text(const struct loose *node, const char *key);

/* Visible ASCII without spaces, 1 to max bytes; an id at most DARAJA_ID_BYTES_MAX. */
bool daraja_is_visible(const char *text, size_t max);
bool daraja_is_id(const char *text);

#endif
