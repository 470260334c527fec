/*
 * callee_write - what changes of recipients goes to their rows, their batches and the ledger
 */
#include <stdlib.h>

#include "callee.h"
#include "ledger/ledger.h"

static size_t count_touched(const struct callees *callees)
{
    size_t count = 0;

    for (size_t i = 0; i < callees->count; i++) {
        count += callees->list[i].is_changed || callees->list[i].cost_e4 != 0;
    }
    return count;
}

/* The batches are locked: a row in another state than was read is a defect of somebody's. */
static const struct db_statement update_rows = {
    "callee_update",
    "UPDATE recipients r"
    "   SET state = u.state, provider_id = coalesce(u.session, r.provider_id),"
    "       reason = CASE u.moves WHEN 0 THEN r.reason ELSE u.reason END,"
    "       final_at = CASE u.moves WHEN 0 THEN r.final_at ELSE u.at END,"
    "       sent_at = CASE WHEN u.moves = 1 AND u.state = 0 THEN NULL ELSE r.sent_at END,"
    "       cost_e4 = CASE u.cost WHEN 0 THEN r.cost_e4"
    "                 ELSE least(coalesce(r.cost_e4, 0) + u.cost, 2147483647) END,"
    "       currency = coalesce(u.currency, r.currency)"
    "  FROM unnest($1::bigint[], $2::int[], $3::smallint[], $4::smallint[], $5::smallint[],"
    "              $6::text[], $7::text[], $8::timestamptz[], $9::bigint[], $10::text[])"
    "       AS u(campaign_id, seq, before, state, moves, session, reason, at, cost, currency)"
    " WHERE r.campaign_id = u.campaign_id AND r.seq = u.seq AND r.state = u.before",
    10,
};

static bool write_rows(struct db *db, const struct callees *callees, struct arena *arena,
                       struct err *err)
{
    size_t most = count_touched(callees), n = 0;
    int64_t *campaigns = arena_array(arena, most + 1, sizeof *campaigns);
    int64_t *times = arena_array(arena, most + 1, sizeof *times);
    int64_t *costs = arena_array(arena, most + 1, sizeof *costs);
    int32_t *seqs = arena_array(arena, most + 1, sizeof *seqs);
    int16_t *before = arena_array(arena, most + 1, sizeof *before);
    int16_t *states = arena_array(arena, most + 1, sizeof *states);
    int16_t *moves = arena_array(arena, most + 1, sizeof *moves);
    const char **sessions = arena_array(arena, most + 1, sizeof *sessions);
    const char **reasons = arena_array(arena, most + 1, sizeof *reasons);
    const char **currencies = arena_array(arena, most + 1, sizeof *currencies);
    int64_t rows;

    for (size_t i = 0; i < callees->count; i++) {
        const struct callee *callee = &callees->list[i];

        if (!callee->is_changed && callee->cost_e4 == 0) {
            continue;
        }
        campaigns[n] = callee->campaign_id;
        seqs[n] = callee->seq;
        before[n] = callee->state_before;
        states[n] = callee->state;
        moves[n] = callee->is_changed;
        sessions[n] = callee->new_session;
        reasons[n] = callee->reason;
        times[n] = callee->final_ms;
        costs[n] = callee->cost_e4;
        currencies[n++] = callee->currency;
    }
    if (!db_run(db, &update_rows,
                (struct db_value[]){ db_int8s(campaigns, n), db_int4s(seqs, n), db_int2s(before, n),
                                     db_int2s(states, n), db_int2s(moves, n), db_texts(sessions, n),
                                     db_texts(reasons, n), db_times(times, n), db_int8s(costs, n),
                                     db_texts(currencies, n) },
                &rows, err)) {
        return false;
    }
    return (size_t)rows == n || err_temporary(err, "callee_moved",
                                              "%zu of %zu recipients changed "
                                              "under the lock of their batch",
                                              n - (size_t)rows, n);
}

/* What a batch's counters gain or lose. */
struct delta {
    int64_t campaign_id;
    int32_t batch;
    int32_t sent, in_doubt, delivered, failed, expired, captured, released;
    int64_t cost_e4, retry_ms;
};

static int32_t captured_of(const struct callee *callee)
{
    return callee->tokens < callee->segments ? callee->tokens : callee->segments;
}

static void add_up(const struct callee *callee, struct delta *delta)
{
    int16_t from = callee->state_before, to = callee->state;

    delta->sent += (to == CALLEE_CALLED) - (from == CALLEE_CALLED);
    delta->in_doubt += (to == CALLEE_IN_DOUBT) - (from == CALLEE_IN_DOUBT);
    delta->delivered += (to == CALLEE_DELIVERED) - (from == CALLEE_DELIVERED);
    delta->failed += (to == CALLEE_FAILED) - (from == CALLEE_FAILED);
    delta->expired += (to == CALLEE_EXPIRED) - (from == CALLEE_EXPIRED);
    delta->cost_e4 += callee->cost_e4;
    if (callee->is_final_now) {
        delta->captured += captured_of(callee);
        delta->released += callee->segments - captured_of(callee);
    }
    if (callee->retry_ms > delta->retry_ms) {
        delta->retry_ms = callee->retry_ms;
    }
}

static int by_batch(const void *a, const void *b)
{
    const struct callee *x = *(const struct callee *const *)a;
    const struct callee *y = *(const struct callee *const *)b;

    if (x->campaign_id != y->campaign_id) {
        return x->campaign_id < y->campaign_id ? -1 : 1;
    }
    return (x->batch > y->batch) - (x->batch < y->batch);
}

static const struct db_statement count_batch = {
    "callee_count_batch",
    "UPDATE batches"
    "   SET sent = sent + $3, in_doubt = in_doubt + $4, delivered = delivered + $5,"
    "       failed = failed + $6, expired = expired + $7, captured = captured + $8,"
    "       released = released + $9, cost_e4 = cost_e4 + $10, retry_at = greatest(retry_at, $11),"
    "       settled_at = CASE WHEN settled_at IS NULL AND done_at IS NOT NULL AND sent + $3 = 0"
    "                          AND in_doubt + $4 = 0 THEN $12 ELSE settled_at END"
    " WHERE campaign_id = $1 AND batch = $2",
    12,
};

static bool write_delta(struct db *db, const struct delta *delta, int64_t now_ms, struct err *err)
{
    return db_run(db, &count_batch,
                  (struct db_value[]){
                      db_int8(delta->campaign_id), db_int4(delta->batch), db_int4(delta->sent),
                      db_int4(delta->in_doubt), db_int4(delta->delivered), db_int4(delta->failed),
                      db_int4(delta->expired), db_int4(delta->captured), db_int4(delta->released),
                      db_int8(delta->cost_e4), db_time(delta->retry_ms), db_time(now_ms) },
                  NULL, err);
}

static bool count_batches(struct db *db, const struct callees *callees, int64_t now_ms,
                          struct arena *arena, struct err *err)
{
    const struct callee **sorted = arena_array(arena, callees->count + 1, sizeof *sorted);
    size_t n = 0;

    for (size_t i = 0; i < callees->count; i++) {
        if (callees->list[i].is_changed || callees->list[i].cost_e4 != 0) {
            sorted[n++] = &callees->list[i];
        }
    }
    qsort(sorted, n, sizeof *sorted, by_batch);
    for (size_t i = 0; i < n;) {
        struct delta delta = { .campaign_id = sorted[i]->campaign_id, .batch = sorted[i]->batch };
        size_t first = i;

        for (; i < n && by_batch(&sorted[i], &sorted[first]) == 0; i++) {
            add_up(sorted[i], &delta);
        }
        if (!write_delta(db, &delta, now_ms, err)) {
            return false;
        }
    }
    return true;
}

bool callees_write(struct db *db, const struct callees *callees, int64_t now_ms,
                   struct arena *arena, struct err *err)
{
    return count_touched(callees) == 0 ||
           (write_rows(db, callees, arena, err) && count_batches(db, callees, now_ms, arena, err));
}

/* What moves of a campaign's hold. */
struct settlement {
    int64_t account_id, campaign_id;
    int64_t captured, released;
    int32_t first_seq;
};

static int by_account(const void *a, const void *b)
{
    const struct settlement *x = a, *y = b;

    if (x->account_id != y->account_id) {
        return x->account_id < y->account_id ? -1 : 1;
    }
    return (x->campaign_id > y->campaign_id) - (x->campaign_id < y->campaign_id);
}

static size_t sum_up(const struct callees *callees, struct arena *arena,
                     struct settlement **out_settlements)
{
    struct settlement *list = arena_array(arena, callees->count + 1, sizeof *list);
    size_t n = 0;

    for (size_t i = 0; i < callees->count; i++) { /* by campaign and seq */
        const struct callee *callee = &callees->list[i];

        if (!callee->is_final_now) {
            continue;
        }
        if (n == 0 || list[n - 1].campaign_id != callee->campaign_id) {
            list[n++] = (struct settlement){ .account_id = callee->account_id,
                                             .campaign_id = callee->campaign_id,
                                             .first_seq = callee->seq };
        }
        list[n - 1].captured += captured_of(callee);
        list[n - 1].released += callee->segments - captured_of(callee);
    }
    qsort(list, n, sizeof *list, by_account);
    *out_settlements = list;
    return n;
}

bool callees_book(struct db *db, const struct callees *callees, int64_t now_ms, struct arena *arena,
                  struct err *err)
{
    struct settlement *list;
    size_t n = sum_up(callees, arena, &list);

    for (size_t i = 0; i < n; i++) {
        /* A recipient comes to its end once: no other settlement begins with this one. */
        if (!ledger_settle(db, list[i].account_id, list[i].campaign_id,
                           arena_printf(arena, "%lld/calls/%d", (long long)list[i].campaign_id,
                                        (int)list[i].first_seq),
                           list[i].captured, list[i].released, now_ms, err)) {
            return false;
        }
    }
    return true;
}

size_t callees_campaigns(const struct callees *callees, struct arena *arena,
                         int64_t **out_campaigns)
{
    struct settlement *list;
    size_t n = sum_up(callees, arena, &list);

    *out_campaigns = arena_array(arena, n + 1, sizeof **out_campaigns);
    for (size_t i = 0; i < n; i++) {
        (*out_campaigns)[i] = list[i].campaign_id;
    }
    return n;
}
