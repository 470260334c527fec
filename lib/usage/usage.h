/*
 * usage - what an account's tokens went for: by day, campaign, channel and network
 *
 *     struct usage usage;
 *     usage_read(db, account, 30, 20, clock_now_ms(), arena, &usage, &err);
 *     for (size_t i = 0; i < usage.day_count; i++) … usage.days[i].sums.tokens …
 *
 * Days are UTC, the last one is today and not over. Tokens and refunds are what the ledger booked
 * on a day; recipients are those the provider was asked for in batches begun on it. Nothing here
 * walks over recipients but for campaigns under way, and of those only over so many: once over, a
 * campaign is counted by network, by usage_count() a piece at a time.
 */
#ifndef USAGE_USAGE_H
#define USAGE_USAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "db/db.h"

#define USAGE_DAYS_MAX 366
#define USAGE_CAMPAIGNS_MAX 100

/* Recipients of campaigns under way that one reading may walk over. */
#define USAGE_WALK_MAX 100000

struct usage_sums {
    int64_t tokens;   /* captured; one pays one segment, or a minute of a call as its plan says */
    int64_t refunded; /* of those, or of earlier ones */
    int64_t recipients;
};

struct usage_day {
    int64_t day_ms; /* its midnight */
    struct usage_sums sums;
};

struct usage_campaign {
    int64_t id;
    const char *kind, *channel, *title; /* of a campaign that was removed: "", "unknown", "" */
    struct usage_sums sums;
};

struct usage_channel {
    const char *channel;
    int64_t campaigns;
    struct usage_sums sums;
};

struct usage_network {
    int64_t network;    /* MCC and MNC; 0: no report named one */
    int64_t recipients; /* whom the provider accepted */
    int64_t tokens;     /* captured for them */
    int64_t delivered;
    int64_t failed, failed_tokens; /* accepted and paid for, and never delivered */
};

struct usage {
    int64_t from_ms, to_ms;
    struct usage_sums total;
    int64_t campaigns; /* that used any */
    struct usage_day *days;
    size_t day_count;
    struct usage_campaign *top; /* those that used most */
    size_t top_count;
    struct usage_channel *channels;
    size_t channel_count;
    struct usage_network *networks;
    size_t network_count;
    int64_t uncounted; /* tokens in no network: their campaigns are under way and large */
};

/* The last days, 1 to USAGE_DAYS_MAX, and at most top campaigns. */
bool usage_read(struct db *db, int64_t account, int64_t days, int64_t top, int64_t now_ms,
                struct arena *arena, struct usage *out_usage, struct err *err);

/*
 * Counts some more recipients, at most about most, of campaigns that are over; a cancelled one once
 * its reports are in or old_ms is past. Inside the caller's transaction. *out_campaigns: how many
 * were looked at.
 */
bool usage_count(struct db *db, int64_t most, int64_t old_ms, int64_t *out_campaigns,
                 struct err *err);

#endif
