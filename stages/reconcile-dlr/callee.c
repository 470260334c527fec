/*
 * callee - who is meant, and what is known of them
 *
 * Two questions find them: by the campaign named, which is one look at one index, and, of what that
 * did not find, by the number in the campaigns of the last weeks. Recipients are looked up in a
 * LATERAL of their own that OFFSET keeps apart: the planner, left a plain join, would know no
 * better than to walk through a whole campaign for each.
 */
#include "callee.h"

#include <stdlib.h>
#include <string.h>

#include "base/id.h"

#define DAY_MS (24LL * 3600 * 1000)
#define LOOK_BACK_MS (35 * DAY_MS) /* a report older than its campaign by this is a stranger */

static const struct db_statement find_named = {
    "callee_find_named",
    "SELECT u.i, r.campaign_id, r.seq"
    "  FROM unnest($1::bigint[], $2::bigint[]) WITH ORDINALITY AS u(msisdn, campaign_id, i)"
    "  JOIN voice_campaigns v ON v.campaign_id = u.campaign_id"
    " CROSS JOIN LATERAL (SELECT x.campaign_id, x.seq FROM recipients x"
    "                      WHERE x.campaign_id = u.campaign_id AND x.msisdn = u.msisdn OFFSET 0) r",
    2,
};

/*
 * Two in doubt are one too many: then nobody can say which of them is meant. One whose last known
 * call has ended is in doubt about another.
 */
static const struct db_statement find_unnamed = {
    "callee_find_unnamed",
    "SELECT u.i, r.campaign_id, r.seq, r.rank"
    "  FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::timestamptz[])"
    "       WITH ORDINALITY AS u(msisdn, campaign_id, session, at, i)"
    " CROSS JOIN LATERAL ("
    "       SELECT r.campaign_id, r.seq,"
    "              CASE WHEN r.provider_id = u.session"
    "                     OR EXISTS (SELECT FROM calls k WHERE k.campaign_id = r.campaign_id"
    "                                   AND k.seq = r.seq AND k.session_id = u.session) THEN 1"
    "                   WHEN r.state = 2 AND u.campaign_id = 0 AND c.created_at <= u.at"
    "                    AND u.at <= $6"
    "                    AND (r.provider_id IS NULL"
    "                         OR EXISTS (SELECT FROM calls k WHERE k.campaign_id = r.campaign_id"
    "                                       AND k.seq = r.seq AND k.session_id = r.provider_id))"
    "                   THEN 2 END AS rank"
    "         FROM (SELECT * FROM recipients x"
    "                WHERE x.msisdn = u.msisdn AND x.campaign_id >= $5 OFFSET 0) r"
    "         JOIN campaigns c ON c.id = r.campaign_id AND c.channel = 'voice') r"
    " WHERE r.rank IS NOT NULL ORDER BY u.i, r.rank",
    6,
};

struct find_columns {
    int64_t *msisdns, *campaigns, *times;
    const char **sessions;
};

static bool find_by_number(struct db *db, const struct find_columns *columns, size_t count,
                           int64_t old_ms, int64_t now_ms, struct place *places, struct err *err)
{
    AUTO_DB_RESULT struct db_result *found = NULL;

    if (!db_query(db, &find_unnamed,
                  (struct db_value[]){
                      db_int8s(columns->msisdns, count), db_int8s(columns->campaigns, count),
                      db_texts(columns->sessions, count), db_times(columns->times, count),
                      db_int8(id_floor(now_ms - LOOK_BACK_MS)), db_time(old_ms) },
                  &found, err)) {
        return false;
    }
    for (int i = 0; i < db_rows(found); i++) {
        struct place *place = &places[db_get_int(found, i, 0) - 1];
        bool doubted = db_get_int(found, i, 3) == 2;
        bool first = i == 0 || db_get_int(found, i - 1, 0) != db_get_int(found, i, 0);
        bool last =
            i + 1 == db_rows(found) || db_get_int(found, i + 1, 0) != db_get_int(found, i, 0);

        if (place->campaign_id == 0 && first && (!doubted || last)) {
            *place = (struct place){ db_get_int(found, i, 1), (int32_t)db_get_int(found, i, 2) };
        }
    }
    return true;
}

bool callees_find(struct db *db, const struct asked *asked, size_t count, int64_t old_ms,
                  int64_t now_ms, struct arena *arena, struct place *places, struct err *err)
{
    AUTO_DB_RESULT struct db_result *found = NULL;
    struct find_columns columns = {
        .msisdns = arena_array(arena, count + 1, sizeof *columns.msisdns),
        .campaigns = arena_array(arena, count + 1, sizeof *columns.campaigns),
        .times = arena_array(arena, count + 1, sizeof *columns.times),
        .sessions = arena_array(arena, count + 1, sizeof *columns.sessions),
    };

    for (size_t i = 0; i < count; i++) {
        places[i] = (struct place){ 0 };
        columns.msisdns[i] = asked[i].msisdn;
        columns.campaigns[i] = asked[i].campaign_id;
        columns.times[i] = asked[i].received_ms;
        columns.sessions[i] = asked[i].session;
    }
    if (!db_query(db, &find_named,
                  (struct db_value[]){ db_int8s(columns.msisdns, count),
                                       db_int8s(columns.campaigns, count) },
                  &found, err)) {
        return false;
    }
    for (int i = 0; i < db_rows(found); i++) {
        places[db_get_int(found, i, 0) - 1] =
            (struct place){ db_get_int(found, i, 1), (int32_t)db_get_int(found, i, 2) };
    }
    return (size_t)db_rows(found) == count ||
           find_by_number(db, &columns, count, old_ms, now_ms, places, err);
}

static int by_place(const void *a, const void *b)
{
    const struct place *x = a, *y = b;

    if (x->campaign_id != y->campaign_id) {
        return x->campaign_id < y->campaign_id ? -1 : 1;
    }
    return (x->seq > y->seq) - (x->seq < y->seq);
}

/*
 * One after the other in the order of the places, which is that of the batches: of LIMIT the
 * planner makes a look for each. As a join it may read all batches of a campaign for each place.
 */
static const struct db_statement lock_batches = {
    "callee_lock_batches",
    "SELECT FROM unnest($1::bigint[], $2::int[]) AS u(campaign_id, seq)"
    " CROSS JOIN LATERAL (SELECT FROM batches b"
    "                      WHERE b.campaign_id = u.campaign_id AND b.first_seq <= u.seq"
    "                      ORDER BY b.first_seq DESC LIMIT 1 FOR UPDATE OF b) b",
    2,
};

/*
 * A statement of its own, after the locks: it sees what those before us have written. Here too
 * LIMIT keeps it to a look for each place; as joins the recipients, or the keys, of whole campaigns
 * are read for each as soon as the planner takes these for small.
 */
static const struct db_statement read_callees = {
    "callee_read",
    "SELECT r.campaign_id, r.seq, b.batch, c.account_id, r.msisdn, r.state, r.segments, r.attempts,"
    "       r.provider_id, r.reason, r.sent_at, coalesce(r.text, c.text, ''),"
    "       r.seq > b.recorded_seq AND r.seq <= b.claimed_seq,"
    "       b.done_at IS NULL AND c.status IN ('sending', 'paused')"
    "           AND (c.expires_at IS NULL OR c.expires_at > $3),"
    "       k.tokens, k.heard, k.has_ended,"
    "       coalesce((SELECT true FROM voice_campaigns v"
    "                   JOIN call_keys p ON p.campaign_id = v.campaign_id"
    "                  WHERE v.campaign_id = r.campaign_id AND v.stop_key <> ''"
    "                    AND p.seq = r.seq AND left(p.keys, 1) = v.stop_key LIMIT 1), false)"
    "  FROM unnest($1::bigint[], $2::int[]) AS u(campaign_id, seq)"
    " CROSS JOIN LATERAL (SELECT * FROM recipients x"
    "                      WHERE x.campaign_id = u.campaign_id AND x.seq = u.seq LIMIT 1) r"
    "  JOIN campaigns c ON c.id = r.campaign_id"
    " CROSS JOIN LATERAL (SELECT * FROM batches y"
    "                      WHERE y.campaign_id = r.campaign_id AND y.first_seq <= r.seq"
    "                      ORDER BY y.first_seq DESC LIMIT 1) b"
    " CROSS JOIN LATERAL (SELECT coalesce(sum(tokens), 0)::int AS tokens,"
    "                           count(*) FILTER (WHERE word = 'completed')::int AS heard,"
    "                           coalesce(bool_or(session_id = r.provider_id), false) AS has_ended"
    "                      FROM calls k"
    "                     WHERE k.campaign_id = r.campaign_id AND k.seq = r.seq) k"
    " ORDER BY r.campaign_id, r.seq",
    3,
};

static struct callee read_row(const struct db_result *found, int row, struct arena *arena)
{
    struct callee callee = {
        .campaign_id = db_get_int(found, row, 0),
        .seq = (int32_t)db_get_int(found, row, 1),
        .batch = (int32_t)db_get_int(found, row, 2),
        .account_id = db_get_int(found, row, 3),
        .msisdn = db_get_int(found, row, 4),
        .state = (int16_t)db_get_int(found, row, 5),
        .segments = (int32_t)db_get_int(found, row, 6),
        .attempts = (int32_t)db_get_int(found, row, 7),
        .session = db_is_null(found, row, 8) ? "" : arena_strdup(arena, db_get_text(found, row, 8)),
        .reason = db_is_null(found, row, 9) ? "" : arena_strdup(arena, db_get_text(found, row, 9)),
        .sent_ms = db_is_null(found, row, 10) ? 0 : db_get_time(found, row, 10),
        .is_claimed = db_get_bool(found, row, 12),
        .goes_on = db_get_bool(found, row, 13),
        .tokens = (int32_t)db_get_int(found, row, 14),
        .heard = (int32_t)db_get_int(found, row, 15),
        .has_ended = db_get_bool(found, row, 16),
        .has_stopped = db_get_bool(found, row, 17),
    };

    callee.state_before = callee.state;
    return callee;
}

/* Rows are sorted: one campaign's settings are read once. */
static bool read_voices(struct db *db, const struct db_result *found, struct callees *callees,
                        struct arena *arena, struct err *err)
{
    for (size_t i = 0; i < callees->count; i++) {
        struct callee *callee = &callees->list[i];
        struct voice *voice;
        bool is_voice;

        if (i > 0 && callees->list[i - 1].campaign_id == callee->campaign_id) {
            callee->voice = callees->list[i - 1].voice;
        } else {
            voice = arena_alloc(arena, sizeof *voice);
            if (!voice_load(db, callee->campaign_id, arena, voice, &is_voice, err)) {
                return false;
            }
            if (!is_voice) {
                return err_permanent(err, "no_voice_campaign",
                                     "campaign %lld has calls, but no "
                                     "row in voice_campaigns",
                                     (long long)callee->campaign_id);
            }
            callee->voice = voice;
        }
        callee->content_ms = voice_content_ms(callee->voice, db_get_text(found, (int)i, 11));
    }
    return true;
}

bool callees_lock(struct db *db, const struct place *places, size_t count, int64_t now_ms,
                  struct arena *arena, struct callees *out_callees, struct err *err)
{
    AUTO_DB_RESULT struct db_result *locked = NULL;
    AUTO_DB_RESULT struct db_result *found = NULL;
    struct place *sorted = arena_array(arena, count + 1, sizeof *sorted);
    int64_t *campaigns = arena_array(arena, count + 1, sizeof *campaigns);
    int32_t *seqs = arena_array(arena, count + 1, sizeof *seqs);
    size_t n = 0;

    *out_callees = (struct callees){ 0 };
    memcpy(sorted, places, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, by_place);
    for (size_t i = 0; i < count; i++) {
        bool again = i > 0 && by_place(&sorted[i], &sorted[i - 1]) == 0;

        if (sorted[i].campaign_id != 0 && !again) {
            campaigns[n] = sorted[i].campaign_id;
            seqs[n++] = sorted[i].seq;
        }
    }
    if (n == 0) {
        return true;
    }
    if (!db_query(db, &lock_batches,
                  (struct db_value[]){ db_int8s(campaigns, n), db_int4s(seqs, n) }, &locked, err) ||
        !db_query(db, &read_callees,
                  (struct db_value[]){ db_int8s(campaigns, n), db_int4s(seqs, n), db_time(now_ms) },
                  &found, err)) {
        return false;
    }
    out_callees->count = (size_t)db_rows(found);
    out_callees->list = arena_array(arena, out_callees->count + 1, sizeof *out_callees->list);
    for (size_t i = 0; i < out_callees->count; i++) {
        out_callees->list[i] = read_row(found, (int)i, arena);
    }
    return read_voices(db, found, out_callees, arena, err);
}

static int is_at(const void *place, const void *callee)
{
    const struct callee *at = callee;

    return by_place(place, &(struct place){ at->campaign_id, at->seq });
}

struct callee *callees_at(const struct callees *callees, struct place place)
{
    return callees->count == 0
               ? NULL
               : bsearch(&place, callees->list, callees->count, sizeof *callees->list, is_at);
}

void callee_end(struct callee *callee, int16_t state, const char *reason, int64_t at_ms)
{
    callee->is_changed = callee->is_final_now = true;
    callee->state = state;
    callee->reason = reason;
    callee->final_ms = at_ms;
    callee->retry_ms = 0;
}

void callee_again(struct callee *callee, const char *word, int64_t retry_ms)
{
    callee->is_changed = true;
    callee->state = CALLEE_PENDING;
    callee->reason = word;
    callee->retry_ms = retry_ms;
}

void callee_put_right(struct callee *callee, int16_t state, const char *reason, int64_t at_ms)
{
    callee->is_changed = true;
    callee->state = state;
    callee->reason = reason;
    callee->final_ms = at_ms;
}

void callee_pay(struct callee *callee, int64_t cost_e4, const char *currency)
{
    callee->cost_e4 += cost_e4;
    callee->currency = *currency != '\0' ? currency : callee->currency;
}
