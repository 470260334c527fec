/*
 * record - what the provider answered becomes states, counters and tokens, in one transaction
 */
#include <string.h>

#include "dispatch/batch.h"
#include "ledger/ledger.h"

enum {
    STATE_PENDING = 0,
    STATE_IN_DOUBT = 2,
    STATE_SENT = 3,
    STATE_DELIVERED = 4,
    STATE_FAILED = 5,
};

/* Columns of the update; one element per recipient whose row changes. */
struct change {
    size_t count;
    int32_t *seqs;
    int16_t *states;
    int16_t *codes;
    int16_t *tried; /* added to attempts */
    int32_t *costs;
    const char **ids;
    const char **currencies;
    const char **reasons;
    int32_t *prices, *owed; /* tokens: reserved, and of them due whatever becomes of it */
    bool calls;
    size_t suppressed_count;
    int64_t *suppressed;
};

static struct change *open_change(size_t count, struct arena *arena)
{
    struct change *change = arena_alloc(arena, sizeof *change);

    change->seqs = arena_array(arena, count, sizeof *change->seqs);
    change->states = arena_array(arena, count, sizeof *change->states);
    change->codes = arena_array(arena, count, sizeof *change->codes);
    change->tried = arena_array(arena, count, sizeof *change->tried);
    change->costs = arena_array(arena, count, sizeof *change->costs);
    change->ids = arena_array(arena, count, sizeof *change->ids);
    change->currencies = arena_array(arena, count, sizeof *change->currencies);
    change->reasons = arena_array(arena, count, sizeof *change->reasons);
    change->prices = arena_array(arena, count, sizeof *change->prices);
    change->owed = arena_array(arena, count, sizeof *change->owed);
    change->suppressed = arena_array(arena, count, sizeof *change->suppressed);
    return change;
}

/* The state an outcome leads to; pending ones are tried again later. */
static int16_t state_of(const struct at_outcome *outcome, const struct recipient *recipient,
                        const struct record_how *how)
{
    /* Whoever was reached before and is not now has been reached. */
    const int16_t in_vain = recipient->owed > 0 ? STATE_DELIVERED : STATE_FAILED;

    switch (outcome->class) {
    case AT_ACCEPTED:
        return STATE_SENT;
    case AT_DOUBT:
        return STATE_IN_DOUBT;
    case AT_FINAL:
    case AT_SUPPRESS:
        return in_vain;
    case AT_RETRY:
        /* Only a refusal by the provider is an attempt; a request that never left is not. */
        return outcome->code != 0 && recipient->attempts + 1 >= how->max_attempts ? in_vain
                                                                                  : STATE_PENDING;
    case AT_HOLD_WINDOW:
    case AT_HOLD_ACCOUNT:
        return STATE_PENDING;
    }
    return STATE_IN_DOUBT;
}

static void add_change(struct change *change, const struct recipient *recipient,
                       const struct at_outcome *outcome, int16_t state)
{
    size_t at = change->count++;

    change->seqs[at] = recipient->seq;
    change->states[at] = state;
    change->codes[at] = (int16_t)outcome->code;
    change->tried[at] = 1;
    change->costs[at] =
        outcome->cost_e4 > 0 && outcome->cost_e4 <= INT32_MAX ? (int32_t)outcome->cost_e4 : 0;
    change->ids[at] = outcome->message_id;
    change->currencies[at] = *outcome->currency ? outcome->currency : NULL;
    change->reasons[at] = state == STATE_SENT || state == STATE_DELIVERED ? NULL : outcome->reason;
    change->prices[at] = recipient->segments;
    change->owed[at] =
        recipient->owed < recipient->segments ? recipient->owed : recipient->segments;
    if (outcome->class == AT_SUPPRESS) {
        change->suppressed[change->suppressed_count++] = recipient->msisdn;
    }
}

/* Sorts outcomes into changes; recipients the provider never judged keep their row as it is. */
static struct change *collect(const struct window *window, const struct at_outcome *outcomes,
                              const struct record_how *how, struct arena *arena,
                              struct tally *tally)
{
    struct change *change = open_change(window->count + 1, arena);

    change->calls = how->calls;
    for (size_t i = 0; i < window->count; i++) {
        int16_t state = state_of(&outcomes[i], &window->recipients[i], how);
        bool judged = outcomes[i].class == AT_RETRY && outcomes[i].code != 0;

        tally->accepted += state == STATE_SENT;
        tally->failed += state == STATE_FAILED || state == STATE_DELIVERED;
        tally->in_doubt += state == STATE_IN_DOUBT;
        tally->again += state == STATE_PENDING;
        if (state != STATE_PENDING || judged) {
            add_change(change, &window->recipients[i], &outcomes[i], state);
        }
    }
    return change;
}

/*
 * $10 is the state the rows must have: pending for the owner of the claim, in doubt for a late
 * answer. The campaign is given per row: a condition on it alone would offer the planner a scan of
 * the whole campaign, which it takes while its statistics are from before.
 */
static const struct db_statement update_recipients = {
    "record_update_recipients",
    "UPDATE recipients r"
    "   SET state = u.state, batch = $2, provider_code = u.code, attempts = r.attempts + u.tried,"
    "       cost_e4 = coalesce(r.cost_e4, 0) + u.cost, provider_id = u.id,"
    "       currency = coalesce(u.currency, r.currency), reason = u.reason,"
    "       sent_at = CASE WHEN u.state = 0 THEN NULL ELSE $11::timestamptz END,"
    "       final_at = CASE WHEN u.state IN (4, 5) THEN $11::timestamptz END"
    "  FROM unnest(array_fill($1::bigint, ARRAY[cardinality($3::int[])]), $3::int[],"
    "              $4::smallint[], $5::smallint[], $6::smallint[], $7::int[], $8::text[],"
    "              $9::text[], $12::text[])"
    "       AS u(campaign_id, seq, state, code, tried, cost, id, currency, reason)"
    " WHERE r.campaign_id = u.campaign_id AND r.seq = u.seq AND r.state = $10"
    " RETURNING r.seq",
    12
};

static bool write_rows(struct db *db, const struct batch *batch, const struct change *change,
                       int16_t from, int64_t now_ms, struct db_result **out_rows, struct err *err)
{
    size_t n = change->count;

    return db_query(db, &update_recipients,
                    (struct db_value[]){ db_int8(batch->campaign_id), db_int4(batch->number),
                                         db_int4s(change->seqs, n), db_int2s(change->states, n),
                                         db_int2s(change->codes, n), db_int2s(change->tried, n),
                                         db_int4s(change->costs, n), db_texts(change->ids, n),
                                         db_texts(change->currencies, n), db_int2(from),
                                         db_time(now_ms), db_texts(change->reasons, n) },
                    out_rows, err);
}

static const struct db_statement add_suppressions = {
    "record_add_suppressions",
    "INSERT INTO suppressions (account_id, msisdn, reason)"
    " SELECT $1, msisdn, 'provider_blacklist' FROM unnest($2::bigint[]) AS u(msisdn)"
    " ON CONFLICT ON CONSTRAINT suppressions_key DO NOTHING",
    2
};

/* Sums over the changed rows only; a row that was not in the expected state is not ours. */
struct sums {
    int64_t sent, delivered, failed, in_doubt, capture, release, cost_e4;
};

static struct sums add_up(const struct change *change, const struct db_result *rows)
{
    struct sums sums = { 0 };
    size_t at = 0;
    size_t changed = (size_t)db_rows(rows);
    bool all = changed == change->count;

    for (size_t i = 0; i < changed; i++) {
        bool ended;

        /* Rows come back in any order; when all came their order does not matter. */
        if (all) {
            at = i;
        } else {
            int32_t seq = (int32_t)db_get_int(rows, (int)i, 0);

            for (at = 0; change->seqs[at] != seq; at++) {
            }
        }
        sums.sent += change->states[at] == STATE_SENT;
        sums.delivered += change->states[at] == STATE_DELIVERED;
        sums.failed += change->states[at] == STATE_FAILED;
        sums.in_doubt += change->states[at] == STATE_IN_DOUBT;
        ended = change->states[at] == STATE_DELIVERED || change->states[at] == STATE_FAILED;
        if (ended) {
            sums.capture += change->owed[at];
            sums.release += change->prices[at] - change->owed[at];
        } else if (change->states[at] == STATE_SENT && !change->calls) {
            sums.capture += change->prices[at];
        }
        sums.cost_e4 += change->states[at] == STATE_SENT ? change->costs[at] : 0;
    }
    return sums;
}

static const struct db_statement count_window = {
    "record_count_window",
    "UPDATE batches"
    "   SET recorded_seq = claimed_seq, in_flight = 0, claim = NULL, sent = sent + $4,"
    "       delivered = delivered + $10, failed = failed + $5, in_doubt = in_doubt + $6,"
    "       captured = captured + $7, released = released + $8, cost_e4 = cost_e4 + $9"
    " WHERE campaign_id = $1 AND batch = $2 AND claim = $3",
    10
};

/* The batch went on without us: rows that were in doubt now have their answer. */
static const struct db_statement count_late = {
    "record_count_late",
    "UPDATE batches"
    "   SET sent = sent + $3, delivered = delivered + $9, failed = failed + $4,"
    "       in_doubt = in_doubt - $5, captured = captured + $6, released = released + $7,"
    "       cost_e4 = cost_e4 + $8,"
    "       settled_at = CASE WHEN done_at IS NOT NULL AND sent + $3 = 0 AND in_doubt = $5"
    "                         THEN now() ELSE settled_at END"
    " WHERE campaign_id = $1 AND batch = $2",
    9
};

static bool count_sums(struct db *db, const struct batch *batch, const struct sums *sums, bool late,
                       int64_t *out_rows, struct err *err)
{
    struct db_value campaign = db_int8(batch->campaign_id);
    struct db_value number = db_int4(batch->number);

    if (!late) {
        return db_run(db, &count_window,
                      (struct db_value[]){
                          campaign, number, db_int8(batch->claim), db_int4((int32_t)sums->sent),
                          db_int4((int32_t)sums->failed), db_int4((int32_t)sums->in_doubt),
                          db_int4((int32_t)sums->capture), db_int4((int32_t)sums->release),
                          db_int8(sums->cost_e4), db_int4((int32_t)sums->delivered) },
                      out_rows, err);
    }
    return db_run(
        db, &count_late,
        (struct db_value[]){ campaign, number, db_int4((int32_t)sums->sent),
                             db_int4((int32_t)sums->failed),
                             db_int4((int32_t)(sums->sent + sums->delivered + sums->failed)),
                             db_int4((int32_t)sums->capture), db_int4((int32_t)sums->release),
                             db_int8(sums->cost_e4), db_int4((int32_t)sums->delivered) },
        out_rows, err);
}

static bool settle(struct db *db, const struct batch *batch, const struct sums *sums, bool late,
                   int64_t now_ms, struct arena *arena, struct err *err)
{
    /* One reference per window and pass, so that a window is paid once whatever happens. */
    const char *reference =
        arena_printf(arena, "%lld/%d/%d/%d%s", (long long)batch->campaign_id, batch->number,
                     batch->pass, batch->claimed_seq, late ? "/late" : "");

    return ledger_settle(db, batch->account_id, batch->campaign_id, reference, sums->capture,
                         sums->release, now_ms, err);
}

/* The batch has moved on past these rows: a refusal for now that comes late is a refusal. */
static void give_up_pending(struct change *change)
{
    for (size_t i = 0; i < change->count; i++) {
        if (change->states[i] == STATE_PENDING) {
            change->states[i] = change->owed[i] > 0 ? STATE_DELIVERED : STATE_FAILED;
        }
    }
}

/* Writes the rows that were pending, or with a late answer in doubt, and what follows from them. */
static bool apply(struct db *db, struct batch *batch, struct change *change, bool late,
                  int64_t now_ms, struct arena *arena, int64_t *out_counted, struct err *err)
{
    AUTO_DB_RESULT struct db_result *rows = NULL;
    struct sums sums;

    if (late) {
        give_up_pending(change);
    }
    if (!write_rows(db, batch, change, late ? STATE_IN_DOUBT : STATE_PENDING, now_ms, &rows, err)) {
        return false;
    }
    sums = add_up(change, rows);
    return count_sums(db, batch, &sums, late, out_counted, err) &&
           (*out_counted == 0 || settle(db, batch, &sums, late, now_ms, arena, err));
}

static const struct db_statement own_claim = {
    "record_own_claim",
    "SELECT claim IS NOT DISTINCT FROM $3 FROM batches"
    " WHERE campaign_id = $1 AND batch = $2 FOR UPDATE",
    3,
};

static bool is_ours(struct db *db, const struct batch *batch, bool *out_ours, struct err *err)
{
    AUTO_DB_RESULT struct db_result *found = NULL;

    if (!db_query(db, &own_claim,
                  (struct db_value[]){ db_int8(batch->campaign_id), db_int4(batch->number),
                                       db_int8(batch->claim) },
                  &found, err)) {
        return false;
    }
    *out_ours = db_rows(found) > 0 && db_get_bool(found, 0, 0);
    return true;
}

bool batch_record(struct db *db, struct batch *batch, const struct window *window,
                  const struct at_outcome *outcomes, const struct record_how *how,
                  struct arena *arena, struct tally *out_tally, bool *out_mine, struct err *err)
{
    struct change *change;
    int64_t counted;

    *out_tally = (struct tally){ 0 };
    change = collect(window, outcomes, how, arena, out_tally);
    if (!is_ours(db, batch, out_mine, err) ||
        !apply(db, batch, change, !*out_mine, how->now_ms, arena, &counted, err)) {
        return false;
    }
    batch->recorded_seq = batch->claimed_seq;
    return change->suppressed_count == 0 ||
           db_run(db, &add_suppressions,
                  (struct db_value[]){ db_int8(batch->account_id),
                                       db_int8s(change->suppressed, change->suppressed_count) },
                  NULL, err);
}
