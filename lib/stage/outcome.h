/*
 * outcome - the one line and the one count that each message leaves behind
 *
 * The same keys in the same order for every stage, so that dashboards and grep can rely on them.
 */
#ifndef STAGE_OUTCOME_H
#define STAGE_OUTCOME_H

#include "stage/core.h"

struct flight;

/* A settled message: done, to be retried, or parked. */
void outcome_log(const struct stage *stage, const struct flight *flight);

/*
 * A round of publishing that the broker sent back. Unroutable is a defect of the topology and an
 * error each time; a full queue is backpressure, counted each time and told when it begins.
 */
void outcome_refused(struct stage *stage, const struct output *out, bool unroutable, bool is_new);

#endif
