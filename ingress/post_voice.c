/*
 * POST /api/communications/voice - a campaign of calls
 *
 * Here with its recipients inline; as CSV or NDJSON it never gets this far: see upload.c.
 */
#include "draft.h"
#include "routes.h"

enum reply post_voice(struct request *req)
{
    return draft_post(req, CHANNEL_VOICE);
}
