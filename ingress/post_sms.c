/*
 * POST /api/communications/sms - an SMS campaign
 *
 * Here with its recipients inline; as CSV or NDJSON it never gets this far: see upload.c.
 */
#include "draft.h"
#include "routes.h"

enum reply post_sms(struct request *req)
{
    return draft_post(req, CHANNEL_SMS);
}
