/*
 * stages - the queues there are, from the table of topics
 */
#ifndef TUMACTL_STAGES_H
#define TUMACTL_STAGES_H

#include <stdbool.h>

typedef void stages_queue_fn(void *context, const char *stage, const char *queue);

/* Calls fn for every queue of every stage, its parked queue after the others, then for the delay
 * queues with stage NULL. Names are valid during the call. */
void stages_queues(const char *prefix, stages_queue_fn *fn, void *context);

bool stages_known(const char *stage);

#endif
