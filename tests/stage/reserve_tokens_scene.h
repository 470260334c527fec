/*
 * reserve_tokens_scene - what the tests of reserve-tokens share: little left, and no alerts
 */
#ifndef STAGE_RESERVE_TOKENS_SCENE_H
#define STAGE_RESERVE_TOKENS_SCENE_H

#include "msg/campaign.h"
#include "msg/event.h"
#include "scene.h"

static inline void take_all_but(struct fake_stage *fake, int64_t left)
{
    int64_t id = scene_campaign(fake, "reserving", 1);

    scene_sql(
        fake,
        "DELETE FROM recipients WHERE campaign_id = %lld;"
        "UPDATE campaigns SET status = 'refused', segments = 0, planned = 0, rows_received = 0"
        " WHERE id = %lld;",
        (long long)id, (long long)id);
    scene_sql(fake,
              "UPDATE token_lots SET available = %lld WHERE id = 1;"
              "SELECT scene_entry(1, 'expire', 'available', 'expired', %lld, 'all but');"
              "UPDATE token_balances SET available = %lld, expired = %lld WHERE account_id = 1",
              (long long)left, (long long)(SCENE_TOKENS - left), (long long)left,
              (long long)(SCENE_TOKENS - left));
}

static inline void alert_off(void)
{
    setenv("ALERT_LOW_BALANCE", "0", 1);
    setenv("ALERT_EXPIRING", "0s", 1);
    setenv("ALERT_SPEND_FACTOR", "0", 1);
    setenv("ALERT_SPEND_FLOOR", "1000", 1);
}

#endif
