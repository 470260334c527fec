/*
 * tell - fill the event that says what became of a campaign
 */
#include "campaign/tell.h"

#include "base/id.h"

const struct campaign_event *campaign_tell(const struct campaign_view *view, const char *status,
                                           const char *detail, int64_t now_ms, struct arena *arena)
{
    struct campaign_event *event = arena_alloc(arena, sizeof *event);
    char *id = arena_alloc(arena, ID_TEXT_BYTES);

    id_format("cmp", view->id, id);
    *event = (struct campaign_event){
        .campaign = id,
        .reference = view->reference,
        .account = view->account,
        .status = status ? status : view->status,
        .detail = detail ? detail : view->detail,
        .planned = view->planned,
        .sent = view->sent,
        .delivered = view->delivered,
        .failed = view->failed,
        .expired = view->expired,
        .in_doubt = view->in_doubt,
        .suppressed = view->suppressed,
        .cancelled = view->cancelled,
        .invalid = view->invalid,
        .duplicates = view->duplicates,
        .tokens = view->segments,
        .at_ms = now_ms,
    };
    return event;
}
