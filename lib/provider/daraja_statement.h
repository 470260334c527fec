/*
 * daraja_statement - an M-Pesa statement as the organisation portal exports it, line by line
 *
 *     struct daraja_statement *statement = daraja_statement_create(arena, on_line, on_bad,
 * context); while (bytes arrive && daraja_statement_feed(statement, bytes, len)) {} if
 * (!daraja_statement_finish(statement, &err)) …
 *
 * Comma-separated values. Columns are found by name, in any order; what stands above the line with
 * their names is skipped. Needed: Receipt No., Completion Time, Transaction Status, Paid In. Used
 * when there: Details, Withdrawn, A/C No., Linked Transaction ID. Times are East Africa Time, as
 * 2026-11-01 10:15:00 or 01-11-2026 10:15:00. Amounts may have commas: 1,000.00.
 */
#ifndef PROVIDER_DARAJA_STATEMENT_H
#define PROVIDER_DARAJA_STATEMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"

#define DARAJA_RECEIPT_MAX 20

/* Texts are borrowed: valid during the callback, never NULL. */
struct daraja_statement_line {
    size_t line; /* from 1 */
    const char *receipt;
    int64_t completed_ms;
    const char *details;
    bool completed;        /* otherwise no money moved for good: failed, declined, cancelled … */
    int64_t paid_in_minor; /* 0: nothing */
    int64_t withdrawn_minor;    /* without its sign; 0: nothing */
    const char *bill_reference; /* what the payer typed: A/C No., or "Acc. …" at the Details' end */
    const char *linked;         /* the receipt this one takes back, or "" */
};

typedef bool daraja_statement_line_fn(void *context, const struct daraja_statement_line *line);
typedef bool daraja_statement_bad_fn(void *context, size_t line, const struct err *err);

struct daraja_statement;

/* Lives in the arena; both callbacks return false to stop. */
struct daraja_statement *daraja_statement_create(struct arena *arena,
                                                 daraja_statement_line_fn *on_line,
                                                 daraja_statement_bad_fn *on_bad, void *context);

/* False when the rest need not be read. */
bool daraja_statement_feed(struct daraja_statement *statement, const char *bytes, size_t len);

/* Permanent: bad_statement, when no line had the names of the columns. */
bool daraja_statement_finish(struct daraja_statement *statement, struct err *err)
    __attribute__((warn_unused_result));

#endif
