/*
 * routes - every endpoint there is: one row each
 *
 * The table is what requests are matched against, what --describe prints, and what
 * schemas/openapi.yaml is held against by a test. Paths match with and without a slash at the end.
 */
#ifndef INGRESS_ROUTES_H
#define INGRESS_ROUTES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/str.h"
#include "msg/campaign.h"
#include "request.h"

enum body_kind {
    BODY_NONE,     /* a body is read and ignored, up to a small size */
    BODY_JSON,     /* application/json, gathered */
    BODY_ROWS,     /* the same, or text/csv or application/x-ndjson, streamed */
    BODY_CALLBACK, /* a provider's form: callbacks.c */
    BODY_PAYMENT,  /* a payment provider's JSON, likewise */
    BODY_SOUND,    /* a file of sound or a form with one, streamed to disk: sound.h */
};

#define ROUTE_PARAMETERS 2

typedef enum reply handle_fn(struct request *req);

struct route {
    const char *method;
    const char *path; /* {id} stands for one segment; there are at most ROUTE_PARAMETERS */
    int scope;        /* SCOPE_NONE: no key is needed */
    enum body_kind body;
    bool inline_answer;   /* answered by the HTTP thread: never waits */
    bool acts;            /* honours Idempotency-Key */
    enum channel channel; /* of a campaign that is streamed */
    unsigned features;    /* PLAN_BITs that the account's plan must have */
    /* True: not counted against its address. A provider's requests that are proven to be its. */
    bool (*is_welcome)(const struct request *req);
    handle_fn *handle;
    const char *summary;
};

extern const struct route routes[];
extern const size_t routes_count;

/*
 * The route, and its {id} and further ones in the arena (NULL where it has none). NULL when there
 * is none; *out_path_known says that another method would find one.
 */
const struct route *route_find(const char *method, const char *path, struct arena *arena,
                               const char *out_parameters[ROUTE_PARAMETERS], bool *out_path_known);

/* The methods that the path takes, "DELETE, GET", in the arena; "" for an unknown path. */
const char *route_methods(const char *path, struct arena *arena);

size_t route_body_max(const struct route *route);

/* The table as a JSON array. */
void routes_describe(struct str *out);

bool media_is_signed(const struct request *req);
handle_fn delete_audio_asset, get_alerts, get_audio, get_audio_asset, get_audio_assets, get_balance,
    get_campaign, get_campaigns, get_events, get_healthz, get_history, get_insights, get_media,
    get_message_status, get_metrics, get_payment, get_payment_events, get_payments, get_performance,
    get_plans, get_provider_balance, get_readyz, get_receipt, get_recipients, get_rejects,
    get_stats, get_token_receipt, get_usage, post_alert_settings, post_audio_assets, post_cancel,
    post_launch, post_messages_send, post_pause, post_purchase, post_quote, post_resume, post_retry,
    post_sms, post_transfer, post_voice;

#endif
