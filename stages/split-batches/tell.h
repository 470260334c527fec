/*
 * tell - the events of this stage
 */
#ifndef SPLIT_BATCHES_TELL_H
#define SPLIT_BATCHES_TELL_H

#include <stdbool.h>
#include <stdint.h>

#include "stage/stage.h"

/*
 * Tells that a campaign took a status, NULL: the one it has. Told again it has the same id, unless
 * since_ms, the time at which it took the status, is another; 0 will do for what happens once.
 */
bool tell_campaign(struct stage *stage, int64_t campaign, const char *status, int64_t since_ms,
                   struct err *err);

/*
 * From the tick: tells of campaigns that somebody paused, resumed or cancelled, that send-sms
 * paused or that were abandoned. Of two changes within a tick only the last is told.
 */
bool tell_untold(struct stage *stage, struct err *err);

#endif
