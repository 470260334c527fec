/*
 * GET /api/communications/campaigns/{id} - one campaign
 */
#include "routes.h"
#include "view.h"

enum reply get_campaign(struct request *req)
{
    struct campaign_view view;
    enum reply reply = view_find(req, &view);

    if (reply != REPLY_NONE) {
        return reply;
    }
    view_put_campaign(&req->body_out, &view);
    return REPLY_OK;
}
