/*
 * watch - follow a campaign until it is done
 */
#ifndef TUMACTL_WATCH_H
#define TUMACTL_WATCH_H

#include "ctl.h"

/*
 * Draws a bar on a terminal, else prints a line whenever something changed, at most one a second.
 * True when the campaign has the status `until` (NULL: none) or completed; timeout_ms 0 waits for
 * as long as it takes.
 */
bool watch(struct ctl *ctl, int64_t campaign, const char *until, int64_t timeout_ms,
           struct err *err);

#endif
