/*
 * view - campaigns and recipients as JSON and CSV
 *
 * The communications family of the API speaks camelCase, the messages family snake_case, as each
 * always did.
 */
#ifndef INGRESS_VIEW_H
#define INGRESS_VIEW_H

#include "campaign/store.h"
#include "request.h"

/* The campaign of the path; REPLY_NONE when found. Runs one statement. */
enum reply view_find(struct request *req, struct campaign_view *out_view);

/* "cmp_…" or "msg_…" by the campaign's kind. */
void view_id(const struct campaign_view *view, char out[ID_TEXT_BYTES]);

/* {"id":…}: all of it. */
void view_put_campaign(struct str *out, const struct campaign_view *view);

/* "counts":{…}, and the nine that add up to planned in it. */
void view_put_counts(struct str *out, const struct campaign_view *view, bool snake);

/* 8000 is "0.8000". */
void view_put_money(struct str *out, int64_t e4);

/* A page of recipients from seq after on; state NULL or "" for all. */
struct recipients_query {
    int64_t campaign_id;
    int64_t after;
    const char *state;
    bool calls; /* with what call_view.h has of each */
    int limit;
};
bool view_recipients(struct db *db, const struct recipients_query *query,
                     struct db_result **out_result, struct err *err)
    __attribute__((warn_unused_result));

/* The columns of such a result, in their order; those of calls follow. */
#define VIEW_RECIPIENT_NAMES                                                                       \
    "seq, msisdn, word, segments, provider_id, network, cost_e4, currency::text, reason,"          \
    " sent_at, final_at"
#define VIEW_RECIPIENT_COLUMNS 11

int64_t view_recipient_seq(const struct db_result *result, int row);
void view_put_recipient(struct str *out, const struct db_result *result, int row, bool snake);
void view_put_csv_heading(struct str *out, bool calls);
void view_put_recipient_csv(struct str *out, const struct db_result *result, int row);

/* One of the nine states. */
bool view_is_state(const char *word);

#endif
