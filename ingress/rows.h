/*
 * rows - recipients given as JSON: texts, or flat objects of fields
 *
 *     struct rows rows;
 *     rows_init(&rows, arena);
 *     rows_read_all(&rows, "recipients", bytes, len, INLINE_RECIPIENTS_MAX, &err)   // ["2547…",
 * {…}] rows_read_line(&rows, line, len, &cells, &err)                              // one of NDJSON
 *
 * A number is taken as it is written, true and false as those words, null as nothing. The columns
 * are the keys in the order of their first appearance; a plain text is the column "phone". Strict
 * where JSON is: this reads texts that nobody else checks. Errors are permanent and name the place:
 * "recipients[3].first_name: …".
 */
#ifndef INGRESS_ROWS_H
#define INGRESS_ROWS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/err.h"
#include "json/shape.h"
#include "msg/campaign.h"

struct rows {
    struct arena *arena;
    const char *columns[CAMPAIGN_COLUMNS_MAX];
    size_t column_count;
    bool fixed; /* keys that are no column are dropped: after NDJSON's first line */
};

void rows_init(struct rows *rows, struct arena *arena);

/* A whole JSON array of at most max rows; *out_table has a cell for each row and column. */
bool rows_read_all(struct rows *rows, const char *name, const char *json, size_t len, size_t max,
                   struct table *out_table, struct err *err) __attribute__((warn_unused_result));

/* One text or object; out_cells has CAMPAIGN_COLUMNS_MAX entries, column_count of them filled. */
bool rows_read_line(struct rows *rows, const char *json, size_t len, const char **out_cells,
                    struct err *err) __attribute__((warn_unused_result));

/*
 * The value of a member of the object that json is, as its bytes; false when it has none. For what
 * has passed shape_read(): of a document that is not JSON the answer may be anything.
 */
bool json_member(const char *json, size_t len, const char *name, const char **out_value,
                 size_t *out_len);

/* Every member's name is one of those known; likewise for what has passed shape_read(). */
bool json_check_members(const char *json, size_t len, const char *const *known, size_t count,
                        struct err *err) __attribute__((warn_unused_result));

#endif
