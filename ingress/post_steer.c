/*
 * POST …/campaigns/{id}/launch, pause, resume, cancel
 *
 * The row changes first, then the chain is told; a stage that missed the telling finds the row.
 * Saying it again is no error and tells again.
 */
#include <string.h>

#include "campaign/store.h"
#include "routes.h"
#include "view.h"

static bool tell(struct request *req, int64_t id, const struct campaign_steered *steered,
                 struct err *err)
{
    struct campaign_fact fact;
    struct str body = { 0 };
    char campaign[ID_TEXT_BYTES];

    if (steered->publish == NULL) {
        return true;
    }
    id_format("cmp", id, campaign);
    fact.campaign = campaign;
    shape_write(steered->publish, &fact, &body);
    struct parcel parcel = {
        .shape = steered->publish,
        .lane = steered->lane,
        .correlation = campaign,
        .account = req->caller.account,
        .trace = req->trace,
        .body = body.bytes,
        .body_len = body.len,
    };
    id_message(parcel.id);
    bool ok = publish_all(req->app->publisher, &parcel, 1, err);
    str_free(&body);
    return ok;
}

static enum reply steer(struct request *req, enum campaign_action action)
{
    struct campaign_steered steered;
    struct campaign_view view;
    struct err err;
    int64_t id;
    enum reply reply;

    if (!request_campaign(req, &id)) {
        return refuse(req, REPLY_NOT_FOUND, "campaign_unknown", "id", "there is no such campaign");
    }
    if (!db_begin(req->db, &err) ||
        !campaign_steer(req->db, req->caller.account_id, id, action, &steered, &err) ||
        !db_commit(req->db, &err)) {
        db_rollback(req->db);
        return refuse_err(req, &err);
    }
    if (!tell(req, id, &steered, &err)) {
        log_warn(&req->log, "steering_not_told",
                 KV_STR("why", err.what)); /* a tick makes it good */
    }
    reply = view_find(req, &view);
    if (reply != REPLY_NONE) {
        return reply;
    }
    view_put_campaign(&req->body_out, &view);
    return REPLY_ACCEPTED;
}

enum reply post_launch(struct request *req)
{
    return steer(req, CAMPAIGN_LAUNCH);
}

enum reply post_pause(struct request *req)
{
    return steer(req, CAMPAIGN_PAUSE);
}

enum reply post_resume(struct request *req)
{
    return steer(req, CAMPAIGN_RESUME);
}

enum reply post_cancel(struct request *req)
{
    return steer(req, CAMPAIGN_CANCEL);
}
