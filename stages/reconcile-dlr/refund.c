/*
 * refund - tokens back for messages that did not arrive
 *
 * One question for all campaigns of the transaction says whose tokens go back; where that is
 * nobody, it is all that a refund costs. One entry of the ledger per campaign and transaction.
 */
#include "refund.h"

#include <stdlib.h>
#include <string.h>

#include "ledger/ledger.h"

#define FIRST_ROOM 16

struct failure {
    int64_t campaign;
    int32_t batch, seq, tokens;
};

struct refunds {
    struct arena *arena;
    struct failure *failures;
    size_t count, room;
};

struct refunds *refunds_begin(struct arena *arena)
{
    struct refunds *refunds = arena_alloc(arena, sizeof *refunds);

    refunds->arena = arena;
    return refunds;
}

void refunds_note(struct refunds *refunds, int64_t campaign, int32_t batch, int32_t seq,
                  int32_t tokens)
{
    if (refunds->count == refunds->room) {
        size_t room = refunds->room ? 2 * refunds->room : FIRST_ROOM;
        struct failure *larger = arena_array(refunds->arena, room, sizeof *larger);

        if (refunds->count > 0) {
            memcpy(larger, refunds->failures, refunds->count * sizeof *larger);
        }
        refunds->failures = larger;
        refunds->room = room;
    }
    refunds->failures[refunds->count++] = (struct failure){ campaign, batch, seq, tokens };
}

static int by_place(const void *a, const void *b)
{
    const struct failure *x = a, *y = b;

    if (x->campaign != y->campaign) {
        return x->campaign < y->campaign ? -1 : 1;
    }
    if (x->batch != y->batch) {
        return x->batch < y->batch ? -1 : 1;
    }
    return (x->seq > y->seq) - (x->seq < y->seq);
}

static const struct db_statement find_owners = {
    "refund_find_owners",
    "SELECT c.id, c.account_id FROM campaigns c JOIN accounts a ON a.id = c.account_id"
    " WHERE c.id = ANY ($1::bigint[]) AND coalesce(a.refund_failed, $2)"
    " ORDER BY c.account_id, c.id",
    2
};

static const struct db_statement count_batches = {
    "refund_count_batches",
    "UPDATE batches b SET refunded = b.refunded + u.tokens"
    "  FROM unnest($2::int[], $3::int[]) AS u(batch, tokens)"
    " WHERE b.campaign_id = $1 AND b.batch = u.batch",
    3
};

/* What one campaign's failures come to; the batches of the failures are in order. */
struct sum {
    int64_t tokens;
    int32_t first_seq;
    int32_t *batches, *batch_tokens;
    size_t batch_count;
};

static struct sum sum_up(const struct refunds *refunds, int64_t campaign)
{
    struct sum sum = { .first_seq = INT32_MAX };

    sum.batches = arena_array(refunds->arena, refunds->count, sizeof *sum.batches);
    sum.batch_tokens = arena_array(refunds->arena, refunds->count, sizeof *sum.batch_tokens);
    for (size_t i = 0; i < refunds->count; i++) {
        const struct failure *failure = &refunds->failures[i];

        if (failure->campaign != campaign) {
            continue;
        }
        if (sum.batch_count == 0 || sum.batches[sum.batch_count - 1] != failure->batch) {
            sum.batches[sum.batch_count++] = failure->batch;
        }
        sum.batch_tokens[sum.batch_count - 1] += failure->tokens;
        sum.tokens += failure->tokens;
        sum.first_seq = failure->seq < sum.first_seq ? failure->seq : sum.first_seq;
    }
    return sum;
}

static bool book(struct db *db, const struct refunds *refunds, const struct db_result *owners,
                 int64_t now_ms, struct err *err)
{
    size_t n = (size_t)db_rows(owners);
    struct sum *sums = arena_array(refunds->arena, n, sizeof *sums);

    for (size_t i = 0; i < n; i++) { /* rows before balances, as everybody locks them */
        int64_t campaign = db_get_int(owners, (int)i, 0);

        sums[i] = sum_up(refunds, campaign);
        if (!db_run(db, &count_batches,
                    (struct db_value[]){ db_int8(campaign),
                                         db_int4s(sums[i].batches, sums[i].batch_count),
                                         db_int4s(sums[i].batch_tokens, sums[i].batch_count) },
                    NULL, err)) {
            return false;
        }
    }
    for (size_t i = 0; i < n; i++) {
        int64_t campaign = db_get_int(owners, (int)i, 0);

        if (!ledger_refund(db, db_get_int(owners, (int)i, 1), campaign,
                           arena_printf(refunds->arena, "%lld/failed/%d", (long long)campaign,
                                        (int)sums[i].first_seq),
                           sums[i].tokens, now_ms, err)) {
            return false;
        }
    }
    return true;
}

size_t refunds_campaigns(const struct refunds *refunds, int64_t **out_campaigns)
{
    int64_t *campaigns = arena_array(refunds->arena, refunds->count + 1, sizeof *campaigns);

    for (size_t i = 0; i < refunds->count; i++) {
        campaigns[i] = refunds->failures[i].campaign;
    }
    *out_campaigns = campaigns;
    return refunds->count;
}

bool refunds_book(struct db *db, struct refunds *refunds, bool by_default, int64_t now_ms,
                  struct err *err)
{
    AUTO_DB_RESULT struct db_result *owners = NULL;
    int64_t *campaigns;
    size_t n = 0;

    if (refunds->count == 0) {
        return true;
    }
    qsort(refunds->failures, refunds->count, sizeof *refunds->failures, by_place);
    campaigns = arena_array(refunds->arena, refunds->count, sizeof *campaigns);
    for (size_t i = 0; i < refunds->count; i++) {
        if (n == 0 || campaigns[n - 1] != refunds->failures[i].campaign) {
            campaigns[n++] = refunds->failures[i].campaign;
        }
    }
    return db_query(db, &find_owners,
                    (struct db_value[]){ db_int8s(campaigns, n), db_bool(by_default) }, &owners,
                    err) &&
           (db_rows(owners) == 0 || book(db, refunds, owners, now_ms, err));
}
