/*
 * call_view - what only campaigns of calls show: what is heard, and what became of the calls
 */
#ifndef INGRESS_CALL_VIEW_H
#define INGRESS_CALL_VIEW_H

#include "campaign/voice.h"
#include "view.h"

/* ,"audioAssetId":…,"callerId":…,"voice":{…} of such a campaign's JSON. */
void call_view_put_campaign(struct str *out, const struct campaign_view *view);

/* "voice":{…} of its stats, by a walk over its calls. */
bool call_view_put_stats(struct db *db, const struct campaign_view *view, struct str *out,
                         struct err *err) __attribute__((warn_unused_result));

/* As view_recipients(), with what its calls came to in further columns. */
bool call_view_recipients(struct db *db, const struct recipients_query *query,
                          struct db_result **out_result, struct err *err)
    __attribute__((warn_unused_result));

/* Those columns, behind a recipient's own. */
void call_view_put_recipient(struct str *out, const struct db_result *result, int row);
extern const char call_view_csv_heading[];
void call_view_put_recipient_csv(struct str *out, const struct db_result *result, int row);

#endif
