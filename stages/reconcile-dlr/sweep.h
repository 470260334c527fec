/*
 * sweep - what the reports' stage looks after by the clock
 *
 * Reports that found nobody are tried again; recipients in doubt for too long are settled by the
 * stated policy, and so are calls whose end nobody told; campaigns whose last report is in, or will
 * not come, are completed.
 */
#ifndef RECONCILE_DLR_SWEEP_H
#define RECONCILE_DLR_SWEEP_H

#include <stdbool.h>
#include <stdint.h>

#include "apply.h"
#include "stage/stage.h"

struct reconcile_conf {
    long doubt_after_ms;    /* a report older than this may be about a recipient in doubt */
    long unmatched_for_ms;  /* how long a report without recipient is tried again */
    long no_report_ms;      /* a campaign is completed without the reports missing then */
    long doubt_deadline_ms; /* in doubt for so long: failed, tokens go back */
    bool refund_failed;     /* of accounts that do not say otherwise */
    long call_attempts;     /* to one who does not answer, of campaigns that do not say */
    long call_backoff_ms;   /* before the second of them */
    long call_report_ms;    /* a call whose end nobody told counts as expired then */
};

/* Keeps reports that found nobody. */
bool sweep_keep(struct db *db, const struct report *reports, const struct applied *applied,
                struct arena *arena, struct err *err);

/* One turn; emits campaign.completed for the campaigns it completes. */
bool sweep_tick(struct stage *stage, const struct reconcile_conf *conf, struct err *err);

#endif
