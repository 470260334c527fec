/*
 * apply - delivery reports meet their recipients
 *
 * One update for all reports of a message, sorted so that two workers lock rows in the same order;
 * then the batches' counters, sorted too. The extra questions are only asked about reports the
 * update did not place.
 */
#include "apply.h"

#include <stdlib.h>
#include <string.h>

#include "base/id.h"
#include "base/str.h"
#include "ledger/ledger.h"

enum { STATE_SENT = 3, STATE_DELIVERED = 4, STATE_FAILED = 5, STATE_EXPIRED = 6 };

#define MSISDN_MAX 999999999999999 /* E.164: 15 digits */
#define LOOK_AHEAD_MS (60 * 1000)  /* clocks of several machines differ */
#define DAY_MS (24LL * 3600 * 1000)
#define LOOK_BACK_MS (35 * DAY_MS) /* a report older than its campaign by this is a stranger */
#define RECENT_MS (2 * DAY_MS)     /* most reports are about a campaign no older than this */

int64_t apply_msisdn(const char *phone)
{
    int64_t msisdn;

    return str_parse_int(*phone == '+' ? phone + 1 : phone, 1, MSISDN_MAX, &msisdn) ? msisdn : 0;
}

static int16_t state_of(const struct report *report)
{
    return report->state == REPORT_DELIVERED ? STATE_DELIVERED
           : report->state == REPORT_EXPIRED ? STATE_EXPIRED
                                             : STATE_FAILED;
}

/* What is stored as the reason; the words of AbsentSubscriber are what a later Success looks for.
 */
static const char *reason_of(const struct report *report)
{
    if (report->state == REPORT_DELIVERED) {
        return NULL;
    }
    if (report->state == REPORT_ABSENT) {
        return "AbsentSubscriber";
    }
    return *report->reason ? report->reason : report->status;
}

static int by_place(const void *a, const void *b)
{
    const struct report *x = a, *y = b;
    int order;

    if (x->msisdn != y->msisdn) {
        return x->msisdn < y->msisdn ? -1 : 1;
    }
    order = strcmp(x->id, y->id);
    if (order != 0) {
        return order;
    }
    /* Of several reports about one message the best word comes first and is the one that counts. */
    return (state_of(x) > state_of(y)) - (state_of(x) < state_of(y));
}

struct columns {
    size_t count;
    int64_t *msisdns;
    int16_t *states;
    int32_t *networks;
    int64_t *times;
    const char **ids, **reasons;
    size_t *reports; /* index of each into the reports */
};

/* Columns of the distinct messages, sorted. */
static struct columns *lay_out(struct report *reports, size_t count, struct arena *arena,
                               int64_t *out_repeats)
{
    struct columns *columns = arena_alloc(arena, sizeof *columns);
    int64_t network;

    qsort(reports, count, sizeof *reports, by_place);
    columns->msisdns = arena_array(arena, count + 1, sizeof *columns->msisdns);
    columns->states = arena_array(arena, count + 1, sizeof *columns->states);
    columns->networks = arena_array(arena, count + 1, sizeof *columns->networks);
    columns->times = arena_array(arena, count + 1, sizeof *columns->times);
    columns->ids = arena_array(arena, count + 1, sizeof *columns->ids);
    columns->reasons = arena_array(arena, count + 1, sizeof *columns->reasons);
    columns->reports = arena_array(arena, count + 1, sizeof *columns->reports);
    *out_repeats = 0;
    for (size_t i = 0; i < count; i++) {
        size_t at = columns->count;

        if (i > 0 && reports[i].msisdn == reports[i - 1].msisdn &&
            strcmp(reports[i].id, reports[i - 1].id) == 0) {
            ++*out_repeats;
            continue;
        }
        columns->msisdns[at] = reports[i].msisdn;
        columns->states[at] = state_of(&reports[i]);
        columns->networks[at] =
            str_parse_int(reports[i].network, 1, 999999, &network) ? (int32_t)network : 0;
        columns->times[at] = reports[i].received_ms;
        columns->ids[at] = reports[i].id;
        columns->reasons[at] = reason_of(&reports[i]);
        columns->reports[at] = i;
        columns->count++;
    }
    return columns;
}

/*
 * $8 is the state the recipient must have, $9 the reason it must have or NULL. The bounds keep the
 * campaigns and partitions of other times out of it: each campaign to the same number is a row to
 * look at, cold ones from the disk. They are given per row, because a condition on the campaign
 * alone would offer the planner a scan of all of them. Calls are none of this: OFFSET keeps that a
 * look for each row found.
 */
static const struct db_statement update_recipients = {
    "apply_update_recipients",
    "UPDATE recipients r"
    "   SET state = u.state, network = nullif(u.network, 0), final_at = u.at, reason = u.reason"
    "  FROM unnest($1::bigint[], $2::text[], $3::smallint[], $4::int[], $5::timestamptz[],"
    "              $6::text[], array_fill($7::bigint, ARRAY[cardinality($1::bigint[])]),"
    "              array_fill($10::bigint, ARRAY[cardinality($1::bigint[])]))"
    "       WITH ORDINALITY AS u(msisdn, id, state, network, at, reason, low, high, i)"
    " WHERE r.msisdn = u.msisdn AND r.campaign_id >= u.low AND r.campaign_id < u.high"
    "   AND r.provider_id = u.id AND r.state = $8 AND ($9::text IS NULL OR (r.reason = $9 AND "
    "u.state = 4))"
    "   AND NOT EXISTS (SELECT FROM voice_campaigns v WHERE v.campaign_id = r.campaign_id OFFSET 0)"
    " RETURNING u.i, r.campaign_id, r.batch, r.state, r.seq, r.segments",
    10
};

/* Campaigns that began at from_ms or later and before until_ms. */
struct span {
    int64_t from_ms, until_ms;
};

static bool update(struct db *db, const struct columns *columns, struct span span, int16_t from,
                   const char *reason, struct db_result **out_rows, struct err *err)
{
    size_t n = columns->count;

    return db_query(db, &update_recipients,
                    (struct db_value[]){ db_int8s(columns->msisdns, n), db_texts(columns->ids, n),
                                         db_int2s(columns->states, n),
                                         db_int4s(columns->networks, n),
                                         db_times(columns->times, n), db_texts(columns->reasons, n),
                                         db_int8(id_floor(span.from_ms)), db_int2(from),
                                         db_text(reason), db_int8(id_floor(span.until_ms)) },
                    out_rows, err);
}

/* Counts per batch, sorted by batch. */
struct per_batch {
    int64_t campaign_id;
    int32_t batch;
    int32_t delivered, failed, expired;
};

static int by_batch(const void *a, const void *b)
{
    const struct per_batch *x = a, *y = b;

    if (x->campaign_id != y->campaign_id) {
        return x->campaign_id < y->campaign_id ? -1 : 1;
    }
    return (x->batch > y->batch) - (x->batch < y->batch);
}

static size_t group_rows(const struct db_result *rows, struct per_batch *groups)
{
    size_t count = (size_t)db_rows(rows);
    size_t last = 0;

    for (size_t i = 0; i < count; i++) {
        int64_t state = db_get_int(rows, (int)i, 3);

        groups[i] = (struct per_batch){
            .campaign_id = db_get_int(rows, (int)i, 1),
            .batch = (int32_t)db_get_int(rows, (int)i, 2),
            .delivered = state == STATE_DELIVERED,
            .failed = state == STATE_FAILED,
            .expired = state == STATE_EXPIRED,
        };
    }
    qsort(groups, count, sizeof *groups, by_batch);
    for (size_t i = 1; i < count; i++) {
        if (by_batch(&groups[last], &groups[i]) != 0) {
            groups[++last] = groups[i];
            continue;
        }
        groups[last].delivered += groups[i].delivered;
        groups[last].failed += groups[i].failed;
        groups[last].expired += groups[i].expired;
    }
    return count > 0 ? last + 1 : 0;
}

/* Locked in order before they are changed: an UPDATE … FROM picks an order of its own. */
static const struct db_statement lock_batches = {
    "apply_lock_batches",
    "SELECT FROM batches b JOIN unnest($1::bigint[], $2::int[]) AS u(campaign_id, batch)"
    "         ON b.campaign_id = u.campaign_id AND b.batch = u.batch"
    " ORDER BY b.campaign_id, b.batch FOR UPDATE OF b",
    2
};

/* What leaves `sent` (or, overturned, `failed`) arrives in its new state. */
static const struct db_statement count_batches = {
    "apply_count_batches",
    "UPDATE batches b"
    "   SET sent = b.sent - u.from_sent, failed = b.failed + u.failed,"
    "       delivered = b.delivered + u.delivered, expired = b.expired + u.expired,"
    "       settled_at = CASE WHEN settled_at IS NULL AND done_at IS NOT NULL AND in_doubt = 0"
    "                          AND b.sent - u.from_sent = 0 THEN $7 ELSE settled_at END"
    "  FROM unnest($1::bigint[], $2::int[], $3::int[], $4::int[], $5::int[], $6::int[])"
    "       AS u(campaign_id, batch, from_sent, delivered, failed, expired)"
    " WHERE b.campaign_id = u.campaign_id AND b.batch = u.batch",
    7
};

/* overturned: the recipients come from failed, not from sent. */
static bool count(struct db *db, const struct db_result *rows, bool overturned, int64_t now_ms,
                  struct arena *arena, struct err *err)
{
    AUTO_DB_RESULT struct db_result *locked = NULL;
    size_t most = (size_t)db_rows(rows) + 1;
    struct per_batch *groups = arena_array(arena, most, sizeof *groups);
    size_t n = group_rows(rows, groups);
    int64_t *campaigns = arena_array(arena, n + 1, sizeof *campaigns);
    int32_t *columns[5];

    if (n == 0) {
        return true;
    }
    for (size_t c = 0; c < 5; c++) {
        columns[c] = arena_array(arena, n, sizeof *columns[c]);
    }
    for (size_t i = 0; i < n; i++) {
        const struct per_batch *group = &groups[i];
        int32_t moved = group->delivered + group->failed + group->expired;

        campaigns[i] = group->campaign_id;
        columns[0][i] = group->batch;
        columns[1][i] = overturned ? 0 : moved;
        columns[2][i] = group->delivered;
        columns[3][i] = overturned ? -moved : group->failed;
        columns[4][i] = group->expired;
    }
    return db_query(db, &lock_batches,
                    (struct db_value[]){ db_int8s(campaigns, n), db_int4s(columns[0], n) }, &locked,
                    err) &&
           db_run(db, &count_batches,
                  (struct db_value[]){ db_int8s(campaigns, n), db_int4s(columns[0], n),
                                       db_int4s(columns[1], n), db_int4s(columns[2], n),
                                       db_int4s(columns[3], n), db_int4s(columns[4], n),
                                       db_time(now_ms) },
                  NULL, err);
}

/* What was sent, and so paid for, and did not arrive. */
static void note_failed(const struct db_result *rows, struct refunds *refunds)
{
    for (int i = 0; i < db_rows(rows); i++) {
        if (db_get_int(rows, i, 3) != STATE_DELIVERED) {
            refunds_note(refunds, db_get_int(rows, i, 1), (int32_t)db_get_int(rows, i, 2),
                         (int32_t)db_get_int(rows, i, 4), (int32_t)db_get_int(rows, i, 5));
        }
    }
}

/* The columns without those that rows returned. */
static struct columns *without(const struct columns *all, const struct db_result *rows,
                               struct arena *arena)
{
    struct columns *rest = arena_alloc(arena, sizeof *rest);
    bool *placed = arena_array(arena, all->count + 1, sizeof *placed);

    *rest = *all; /* compacted in place: the placed ones are no longer wanted */
    rest->count = 0;
    for (int i = 0; i < db_rows(rows); i++) {
        placed[db_get_int(rows, i, 0) - 1] = true;
    }
    for (size_t i = 0; i < all->count; i++) {
        size_t at = rest->count;

        if (placed[i]) {
            continue;
        }
        rest->msisdns[at] = all->msisdns[i];
        rest->states[at] = all->states[i];
        rest->networks[at] = all->networks[i];
        rest->times[at] = all->times[i];
        rest->ids[at] = all->ids[i];
        rest->reasons[at] = all->reasons[i];
        rest->reports[at] = all->reports[i];
        rest->count++;
    }
    return rest;
}

/*
 * A recipient may have got its id since the update looked for it. One that a report would still
 * change is not known but early: the report is kept and tried again.
 */
static const struct db_statement find_known = {
    "apply_find_known",
    "SELECT u.i"
    "  FROM unnest($1::bigint[], $2::text[], $4::smallint[],"
    "              array_fill($3::bigint, ARRAY[cardinality($1::bigint[])]))"
    "       WITH ORDINALITY AS u(msisdn, id, state, low, i)"
    " WHERE EXISTS (SELECT FROM recipients r"
    "                WHERE r.msisdn = u.msisdn AND r.campaign_id >= u.low AND r.provider_id = u.id"
    "                  AND r.state NOT IN (2, 3)"
    "                  AND NOT (r.state = 5 AND r.reason = 'AbsentSubscriber' AND u.state = 4))",
    4
};

/*
 * Reports the first update did not place: about an old campaign, a success after an absence, a
 * repetition, a stranger.
 */
static bool place_rest(struct db *db, struct columns *rest, int64_t now_ms, struct refunds *refunds,
                       struct arena *arena, struct applied *applied, struct err *err)
{
    const struct span old = { now_ms - LOOK_BACK_MS, now_ms - RECENT_MS };
    const struct span whole = { now_ms - LOOK_BACK_MS, now_ms + LOOK_AHEAD_MS };
    AUTO_DB_RESULT struct db_result *placed = NULL;
    AUTO_DB_RESULT struct db_result *overturned = NULL;
    AUTO_DB_RESULT struct db_result *known = NULL;

    if (!update(db, rest, old, STATE_SENT, NULL, &placed, err) ||
        !count(db, placed, false, now_ms, arena, err)) {
        return false;
    }
    note_failed(placed, refunds);
    applied->changed += db_rows(placed);
    rest = without(rest, placed, arena);
    if (!update(db, rest, whole, STATE_FAILED, "AbsentSubscriber", &overturned, err) ||
        !count(db, overturned, true, now_ms, arena, err)) {
        return false;
    }
    applied->changed += db_rows(overturned);
    rest = without(rest, overturned, arena);
    if (!db_query(db, &find_known,
                  (struct db_value[]){ db_int8s(rest->msisdns, rest->count),
                                       db_texts(rest->ids, rest->count),
                                       db_int8(id_floor(now_ms - LOOK_BACK_MS)),
                                       db_int2s(rest->states, rest->count) },
                  &known, err)) {
        return false;
    }
    applied->known += db_rows(known);
    rest = without(rest, known, arena);
    applied->unmatched = rest->count;
    applied->which = rest->reports;
    return true;
}

bool apply_reports(struct db *db, struct report *reports, size_t report_count, int64_t now_ms,
                   struct refunds *refunds, struct arena *arena, struct applied *out_applied,
                   struct err *err)
{
    AUTO_DB_RESULT struct db_result *rows = NULL;
    const struct span recent = { now_ms - RECENT_MS, now_ms + LOOK_AHEAD_MS };
    struct applied applied = { 0 };
    struct columns *columns;

    if (report_count == 0) {
        *out_applied = applied;
        return true;
    }
    columns = lay_out(reports, report_count, arena, &applied.known);
    if (!update(db, columns, recent, STATE_SENT, NULL, &rows, err) ||
        !count(db, rows, false, now_ms, arena, err)) {
        return false;
    }
    note_failed(rows, refunds);
    applied.changed = db_rows(rows);
    if ((size_t)db_rows(rows) < columns->count &&
        !place_rest(db, without(columns, rows, arena), now_ms, refunds, arena, &applied, err)) {
        return false;
    }
    *out_applied = applied;
    return true;
}

/*
 * Two candidates are one too many: then nobody can say which of them the report is about. One in
 * doubt has the id when the provider named it with a code that nobody knows.
 */
static const struct db_statement find_doubt = {
    "apply_find_doubt",
    "SELECT r.campaign_id, r.seq, r.batch, r.segments, c.account_id,"
    "       r.provider_id IS NOT NULL AS named"
    "  FROM recipients r JOIN campaigns c ON c.id = r.campaign_id"
    " WHERE r.msisdn = $1 AND r.campaign_id >= $2 AND r.state = 2 AND c.channel = 'sms'"
    "   AND (r.provider_id IS NULL OR r.provider_id = $4) AND c.created_at <= $3"
    " ORDER BY named DESC LIMIT 2",
    4
};

static const struct db_statement resolve_doubt = {
    "apply_resolve_doubt",
    "WITH resolved AS ("
    "    UPDATE recipients"
    "       SET state = $4, provider_id = $5, network = nullif($6, 0), final_at = $7, reason = $8"
    "     WHERE campaign_id = $1 AND seq = $2 AND state = 2"
    " RETURNING segments)"
    " UPDATE batches"
    "    SET in_doubt = in_doubt - 1, delivered = delivered + ($4 = 4)::int,"
    "        failed = failed + ($4 = 5)::int, expired = expired + ($4 = 6)::int,"
    "        captured = captured + segments,"
    "        settled_at = CASE WHEN done_at IS NOT NULL AND sent = 0 AND in_doubt = 1"
    "                          THEN $7::timestamptz END"
    "   FROM resolved"
    "  WHERE campaign_id = $1 AND batch = $3",
    8
};

bool apply_to_doubt(struct db *db, const struct report *report, int64_t now_ms,
                    struct refunds *refunds, struct arena *arena, bool *out_matched,
                    struct err *err)
{
    AUTO_DB_RESULT struct db_result *found = NULL;
    int64_t network = 0;
    int64_t rows;

    *out_matched = false;
    if (!db_query(db, &find_doubt,
                  (struct db_value[]){ db_int8(report->msisdn),
                                       db_int8(id_floor(now_ms - LOOK_BACK_MS)),
                                       db_time(report->received_ms), db_text(report->id) },
                  &found, err)) {
        return false;
    }
    if (db_rows(found) == 0 || (db_rows(found) > 1 && !db_get_bool(found, 0, 5))) {
        return true;
    }
    (void)str_parse_int(report->network, 1, 999999, &network); /* unreadable: none is stored */
    if (!db_run(db, &resolve_doubt,
                (struct db_value[]){
                    db_int8(db_get_int(found, 0, 0)), db_int4((int32_t)db_get_int(found, 0, 1)),
                    db_int4((int32_t)db_get_int(found, 0, 2)), db_int2(state_of(report)),
                    db_text(report->id), db_int4((int32_t)network), db_time(report->received_ms),
                    db_text(reason_of(report)) },
                &rows, err)) {
        return false;
    }
    *out_matched = rows == 1;
    if (rows == 1 && state_of(report) != STATE_DELIVERED) {
        refunds_note(refunds, db_get_int(found, 0, 0), (int32_t)db_get_int(found, 0, 2),
                     (int32_t)db_get_int(found, 0, 1), (int32_t)db_get_int(found, 0, 3));
    }
    return rows == 0 ||
           ledger_settle(db, db_get_int(found, 0, 4), db_get_int(found, 0, 0),
                         arena_printf(arena, "%lld/doubt/%lld", (long long)db_get_int(found, 0, 0),
                                      (long long)db_get_int(found, 0, 1)),
                         db_get_int(found, 0, 3), 0, now_ms, err);
}

static const struct db_statement suppress = {
    "apply_suppress",
    "INSERT INTO suppressions (account_id, msisdn, reason)"
    " SELECT DISTINCT c.account_id, r.msisdn, 'opted_out_at_network'"
    "   FROM unnest($1::bigint[], $2::text[]) AS u(msisdn, id)"
    "   JOIN recipients r ON r.msisdn = u.msisdn AND r.provider_id = u.id"
    "   JOIN campaigns c ON c.id = r.campaign_id"
    " ON CONFLICT ON CONSTRAINT suppressions_key DO NOTHING",
    2
};

bool apply_opt_outs(struct db *db, const struct report *reports, size_t count, struct arena *arena,
                    struct err *err)
{
    int64_t *msisdns = arena_array(arena, count + 1, sizeof *msisdns);
    const char **ids = arena_array(arena, count + 1, sizeof *ids);
    size_t n = 0;

    for (size_t i = 0; i < count; i++) {
        if (reports[i].state == REPORT_FAILED && at_reason_is_opt_out(reports[i].reason)) {
            msisdns[n] = reports[i].msisdn;
            ids[n++] = reports[i].id;
        }
    }
    return n == 0 ||
           db_run(db, &suppress, (struct db_value[]){ db_int8s(msisdns, n), db_texts(ids, n) },
                  NULL, err);
}
