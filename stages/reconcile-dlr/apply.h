/*
 * apply - delivery reports meet their recipients
 *
 *     apply_reports(db, reports, n, now_ms, arena, &applied, &err)
 *
 * A recipient is found by its number and the provider's message id. States never go backwards,
 * with one exception: AbsentSubscriber may be overturned by a later Success. Reports that find
 * nobody are handed back: they came before the answer was stored, or the answer was lost.
 */
#ifndef RECONCILE_DLR_APPLY_H
#define RECONCILE_DLR_APPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "db/db.h"
#include "provider/africastalking.h"
#include "refund.h"

/* A report that decides something: its words already have their meaning. */
struct report {
    const char *id;
    int64_t msisdn; /* 0: the provider's number was unreadable */
    enum report_state state;
    const char *status, *network, *reason;
    int64_t received_ms;
};

struct applied {
    int64_t changed;  /* recipients that took a new state */
    int64_t known;    /* said before, or overtaken by a later state */
    size_t unmatched; /* how many found nobody */
    size_t *which;    /* their indexes, in the arena */
};

/* Recipients that failed or expired by them are noted in refunds. */
bool apply_reports(struct db *db, struct report *reports, size_t count, int64_t now_ms,
                   struct refunds *refunds, struct arena *arena, struct applied *out_applied,
                   struct err *err) __attribute__((warn_unused_result));

/*
 * A report whose message id no sent recipient has: it is about the recipient in doubt that has the
 * id, or else about the one with its number, if exactly one is in doubt since before the report.
 * *out_matched says so; then the recipient, its batch and the ledger are set right, and what failed
 * is noted in refunds.
 */
bool apply_to_doubt(struct db *db, const struct report *report, int64_t now_ms,
                    struct refunds *refunds, struct arena *arena, bool *out_matched,
                    struct err *err) __attribute__((warn_unused_result));

/*
 * Numbers whose network says that they opted out are not sent to again. To be called once the
 * reports were applied: it is the recipient that says whose customer it is.
 */
bool apply_opt_outs(struct db *db, const struct report *reports, size_t count, struct arena *arena,
                    struct err *err) __attribute__((warn_unused_result));

/* "+254700000001" to 254700000001; 0 when it is no number. */
int64_t apply_msisdn(const char *phone);

#endif
