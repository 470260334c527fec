/*
 * chunker - rows into the bodies of recipients.submitted, each full but below the broker's limit
 *
 *     chunker_init(&chunker, columns, count, on_chunk, context);
 *     for each row: if (!chunker_add(&chunker, cells)) … one row is too long for any message
 *     chunker.campaign = "cmp_…";                        // before the first chunk is full
 *     chunker_flush(&chunker);                           // the rest
 *
 * The body is built in the table's own words (shape_write), then the rows, which are kept as JSON,
 * are put into it: a row is encoded once and never held as cells. An upload is cut the same
 * whether it came over HTTP or from tumactl, so a repetition makes the same chunks.
 */
#ifndef CAMPAIGN_CHUNKER_H
#define CAMPAIGN_CHUNKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct chunker;

/* The chunk of that number is full; chunker_body() writes it. */
typedef void chunk_fn(void *context, struct chunker *chunker);

struct chunker {
    const char *campaign;
    const char *const *columns;
    size_t column_count;
    chunk_fn *on_chunk;
    void *context;
    struct str rows, row;
    int64_t row_count; /* in this chunk */
    int64_t first_row; /* of this chunk, from 1 */
    int64_t chunk;     /* its number, from 1 */
};

/* The columns and the context are kept. */
void chunker_init(struct chunker *chunker, const char *const *columns, size_t column_count,
                  chunk_fn *on_chunk, void *context);
void chunker_free(struct chunker *chunker);

/* False when the row alone would not fit a message: it is not taken. */
bool chunker_add(struct chunker *chunker, const char *const *cells);
void chunker_flush(struct chunker *chunker);

/* Rows taken so far, and chunks they make. */
int64_t chunker_rows(const struct chunker *chunker);
int64_t chunker_chunks(const struct chunker *chunker);

/* Overwrites *out with the body of the present chunk. */
void chunker_body(const struct chunker *chunker, struct str *out);

#endif
