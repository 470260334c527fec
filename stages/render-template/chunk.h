/*
 * chunk - rows of an upload become recipients
 *
 * One chunk at a time: numbers normalised, the invalid, duplicate and suppressed sorted out with a
 * reason each, texts rendered and priced (in segments; of calls in tokens for the minutes they may
 * take at most), all written in a handful of statements.
 */
#ifndef RENDER_TEMPLATE_CHUNK_H
#define RENDER_TEMPLATE_CHUNK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "campaign/voice.h"
#include "db/db.h"
#include "json/shape.h"

/* What a chunk needs to know of its campaign. Text borrowed. */
struct chunk_campaign {
    int64_t id, account_id;
    const char *status, *message_template, *missing, *missing_default, *country;
    bool keep_whitespace;
    const struct voice *voice; /* NULL: texts are sent */
};

struct chunk {
    int64_t number, first_row;
    const struct strings *columns;
    const struct table *rows;
};

/*
 * Takes a chunk in, inside the caller's transaction; one that was taken before changes nothing.
 * A permanent error means that the campaign as a whole must be refused, and why; the chunk is
 * then not stored.
 */
bool chunk_take(struct db *db, const struct chunk_campaign *campaign, const struct chunk *chunk,
                struct arena *arena, struct err *err) __attribute__((warn_unused_result));

#endif
