/*
 * transfers - tells both accounts of tokens that went from one to the other
 */
#ifndef RESERVE_TOKENS_TRANSFERS_H
#define RESERVE_TOKENS_TRANSFERS_H

#include <stdbool.h>

#include "stage/stage.h"

/* From the tick. Told again, an event has the same id. */
bool transfers_tell(struct stage *stage, struct err *err);

#endif
