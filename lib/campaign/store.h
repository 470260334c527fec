/*
 * store - the row of a campaign: made, read, steered
 *
 *     struct campaign_new new = { .account_id = 7, .definition = &submitted, … };
 *     if (!campaign_create(db, &new, arena, &made, &err)) … err.detail names the field
 *     if (!campaign_steer(db, account_id, id, CAMPAIGN_PAUSE, &steered, &err)) …
 *
 * Used by the stages, the ingress and tumactl alike; each call is one statement or two inside the
 * caller's transaction (or on its own). Refusals are permanent errors whose `what` is a stable word
 * (sender_id_unknown, schedule_in_past, feature_not_in_plan, campaign_unknown, …) and whose
 * detail starts with the field: "sender_id: 'ACME' is not yours; use one of …".
 */
#ifndef CAMPAIGN_STORE_H
#define CAMPAIGN_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "db/db.h"
#include "msg/campaign.h"
#include "msg/message.h"

struct voice;

struct account {
    int64_t id;
    const char *slug;
    const char *name;
    const char *email;
    const char *country;
    const char *default_sender; /* "" none */
    bool active;
};

/* By slug, or by id when slug is NULL, or by e-mail when slug holds an @. *out_found tells. */
bool account_find(struct db *db, const char *slug, int64_t id, struct arena *arena,
                  struct account *out_account, bool *out_found, struct err *err);

struct campaign_new {
    const struct account *account;
    const struct campaign_submitted *definition;
    const char *reference; /* never empty: the publisher's or the message id */
    const char *kind;      /* "campaign" or "message" */
    enum lane lane;
    bool by_api;          /* it came by REST or AMQP, which is a feature of plans */
    int64_t parent;       /* the campaign it follows; 0: none */
    struct strings words; /* with a parent: see follow_up.h */
    int64_t now_ms;
};

struct campaign_made {
    int64_t id;
    bool existed; /* the reference was known: that campaign's id, nothing changed */
};

/*
 * Checks what can be checked before any recipient is seen (plan, template, what calls are about,
 * sender, times) and inserts the row with status receiving; of a voice campaign two rows, inside
 * the caller's transaction. sender_id of calls is the number they come from: bad_caller_id,
 * caller_id_unknown.
 */
bool campaign_create(struct db *db, const struct campaign_new *new, struct arena *arena,
                     struct campaign_made *out_made, struct err *err);

/* The campaign of an account by its reference; *out_id 0 when there is none. */
bool campaign_by_reference(struct db *db, int64_t account_id, const char *reference,
                           int64_t *out_id, struct err *err);

enum campaign_action { CAMPAIGN_LAUNCH, CAMPAIGN_PAUSE, CAMPAIGN_RESUME, CAMPAIGN_CANCEL };

struct campaign_steered {
    const char *status; /* the one it has now, a literal */
    const struct shape
        *publish; /* the fact to tell the chain, a struct campaign_fact; NULL: none */
    enum lane lane;
};

/*
 * account_id 0 steers any account's. Doing again what is already so is no error. To resume one that
 * lacks tokens is to look for them again: its status stays until they were found.
 */
bool campaign_steer(struct db *db, int64_t account_id, int64_t id, enum campaign_action action,
                    struct campaign_steered *out_steered, struct err *err);

/* The campaign that follows another, as that one shows it. */
struct campaign_following {
    int64_t id; /* 0: none */
    const char *channel, *status;
    const char *when; /* "no_answer,busy" */
    int64_t tokens;   /* of the quote; 0 until it is rendered */
};

struct campaign_view {
    int64_t id, account_id;
    const char *account, *reference, *kind, *channel, *status, *detail, *title, *message_template;
    const char *text, *sender_id, *lane, *country;
    int64_t scheduled_at, expires_at, created_at, rendered_at, reserved_at, started_at, sent_at,
        completed_at;
    int64_t rows_received, invalid, duplicates;
    /* planned = the sum of the nine that follow it */
    int64_t planned, pending, sending, in_doubt, sent, delivered, failed, expired, suppressed,
        cancelled;
    int64_t segments; /* the quote in tokens, the follow-up's share included */
    int64_t captured, released, cost_e4;
    const char *currency; /* of cost_e4; "" while nothing was charged */
    bool hold;
    struct campaign_following follow_up;
    int64_t parent;            /* the campaign that it follows; 0: none */
    const struct voice *voice; /* what its calls are about (campaign/voice.h); NULL of SMS */
};

/* *out_found false when there is none (or not of this account, unless account_id is 0). */
bool campaign_find(struct db *db, int64_t account_id, int64_t id, struct arena *arena,
                   struct campaign_view *out_view, bool *out_found, struct err *err);

/* Newest first. Filters: NULL or "" means any. before_id 0 starts at the newest. At most limit
 * rows. */
struct campaign_filter {
    int64_t account_id; /* 0: all */
    const char *kind, *channel, *status;
    int64_t before_id;
    bool oldest_first; /* then before_id is an after_id */
    int limit;
};
bool campaign_list(struct db *db, const struct campaign_filter *filter, struct arena *arena,
                   struct campaign_view **out_views, int *out_count, struct err *err);

/* True when nothing will change any more but late reports. */
bool campaign_status_is_final(const char *status);

#endif
