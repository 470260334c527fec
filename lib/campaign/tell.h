/*
 * tell - fill the event that says what became of a campaign
 */
#ifndef CAMPAIGN_TELL_H
#define CAMPAIGN_TELL_H

#include "campaign/store.h"
#include "msg/event.h"

/*
 * The event for a campaign as it stands, its id formatted in the arena; status NULL means the
 * view's. Returned in the arena.
 */
const struct campaign_event *campaign_tell(const struct campaign_view *view, const char *status,
                                           const char *detail, int64_t now_ms, struct arena *arena);

#endif
