/*
 * ends - one statement for all that are read, one for all that are written
 */
#include "ends.h"

#include <string.h>

struct end {
    const struct callee *callee;
    const struct call *call;
    int16_t listened, tokens;
};

/* OFFSET keeps it a look for each, whatever the planner takes the tables for. */
static const struct db_statement find_told = {
    "ends_find_told",
    "SELECT u.i FROM unnest($1::bigint[], $2::int[], $3::text[])"
    "                WITH ORDINALITY AS u(campaign_id, seq, session, i)"
    " WHERE EXISTS (SELECT FROM calls k WHERE k.campaign_id = u.campaign_id AND k.seq = u.seq"
    "                  AND k.session_id = u.session OFFSET 0)",
    3,
};

bool ends_begin(struct db *db, struct call *calls, const struct place *places, size_t count,
                struct arena *arena, struct ends *out_ends, struct err *err)
{
    AUTO_DB_RESULT struct db_result *found = NULL;
    int64_t *campaigns = arena_array(arena, count + 1, sizeof *campaigns);
    int32_t *seqs = arena_array(arena, count + 1, sizeof *seqs);
    const char **sessions = arena_array(arena, count + 1, sizeof *sessions);

    *out_ends = (struct ends){
        .list = arena_array(arena, count + 1, sizeof(struct end)),
    };
    for (size_t i = 0; i < count; i++) {
        calls[i].is_told = false;
        campaigns[i] = places[i].campaign_id;
        seqs[i] = places[i].seq;
        sessions[i] = calls[i].session;
    }
    if (!db_query(db, &find_told,
                  (struct db_value[]){ db_int8s(campaigns, count), db_int4s(seqs, count),
                                       db_texts(sessions, count) },
                  &found, err)) {
        return false;
    }
    for (int i = 0; i < db_rows(found); i++) {
        calls[db_get_int(found, i, 0) - 1].is_told = true;
    }
    return true;
}

bool ends_has(const struct ends *ends, const struct callee *callee, const struct call *call)
{
    bool has = call->is_told;

    for (size_t i = 0; i < ends->count && !has; i++) {
        has = ends->list[i].callee == callee &&
              strcmp(ends->list[i].call->session, call->session) == 0;
    }
    return has;
}

void ends_add(struct ends *ends, const struct callee *callee, const struct call *call,
              int16_t listened, int32_t tokens)
{
    ends->list[ends->count++] = (struct end){
        .callee = callee, .call = call, .listened = listened, .tokens = (int16_t)tokens
    };
}

static const struct db_statement add_calls = {
    "ends_add_calls",
    "INSERT INTO calls (campaign_id, seq, session_id, word, status, cause, duration_s, listened,"
    "                   tokens, cost_e4, currency, ended_at)"
    " SELECT campaign_id, seq, session, word, status, cause, duration_s, nullif(listened, -1),"
    "        tokens, cost_e4, nullif(currency, ''), ended_at"
    "   FROM unnest($1::bigint[], $2::int[], $3::text[], $4::text[], $5::text[], $6::text[],"
    "               $7::int[], $8::smallint[], $9::smallint[], $10::bigint[], $11::text[],"
    "               $12::timestamptz[])"
    "        AS u(campaign_id, seq, session, word, status, cause, duration_s, listened, tokens,"
    "             cost_e4, currency, ended_at)"
    " ON CONFLICT ON CONSTRAINT calls_pkey DO NOTHING",
    12,
};

bool ends_write(struct db *db, const struct ends *ends, struct arena *arena, struct err *err)
{
    size_t n = ends->count;
    int64_t *campaigns = arena_array(arena, n + 1, sizeof *campaigns);
    int64_t *costs = arena_array(arena, n + 1, sizeof *costs);
    int64_t *times = arena_array(arena, n + 1, sizeof *times);
    int32_t *seqs = arena_array(arena, n + 1, sizeof *seqs);
    int32_t *durations = arena_array(arena, n + 1, sizeof *durations);
    int16_t *listened = arena_array(arena, n + 1, sizeof *listened);
    int16_t *tokens = arena_array(arena, n + 1, sizeof *tokens);
    const char **sessions = arena_array(arena, n + 1, sizeof *sessions);
    const char **words = arena_array(arena, n + 1, sizeof *words);
    const char **statuses = arena_array(arena, n + 1, sizeof *statuses);
    const char **causes = arena_array(arena, n + 1, sizeof *causes);
    const char **currencies = arena_array(arena, n + 1, sizeof *currencies);
    int64_t rows;

    if (n == 0) {
        return true;
    }
    for (size_t i = 0; i < n; i++) {
        const struct end *end = &ends->list[i];

        campaigns[i] = end->callee->campaign_id;
        seqs[i] = end->callee->seq;
        sessions[i] = end->call->session;
        words[i] = end->call->end.word;
        statuses[i] = end->call->status;
        causes[i] = end->call->cause;
        durations[i] = (int32_t)end->call->duration_s;
        listened[i] = end->listened;
        tokens[i] = end->tokens;
        costs[i] = end->call->amount_e4;
        currencies[i] = end->call->currency;
        times[i] = end->call->received_ms;
    }
    if (!db_run(
            db, &add_calls,
            (struct db_value[]){ db_int8s(campaigns, n), db_int4s(seqs, n), db_texts(sessions, n),
                                 db_texts(words, n), db_texts(statuses, n), db_texts(causes, n),
                                 db_int4s(durations, n), db_int2s(listened, n), db_int2s(tokens, n),
                                 db_int8s(costs, n), db_texts(currencies, n), db_times(times, n) },
            &rows, err)) {
        return false;
    }
    return (size_t)rows == n || err_temporary(err, "call_told",
                                              "%zu of %zu calls were written under the lock of "
                                              "their batch",
                                              n - (size_t)rows, n);
}
