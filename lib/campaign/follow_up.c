/*
 * follow_up - making one, and beginning it
 */
#include "campaign/follow_up.h"

#include <string.h>

#include "base/id.h"
#include "campaign/voice.h"
#include "ledger/ledger.h"

/* The ends of recipients by what the first is; the first `usual` of them when none are named. */
static const struct {
    const char *words[CAMPAIGN_FOLLOW_WORDS_MAX + 1];
    size_t usual;
    const char *told;
} ends[] = {
    [CHANNEL_SMS] = { { "failed", "expired", NULL }, 2, "failed or expired" },
    [CHANNEL_VOICE] = { { "no_answer", "busy", "unreachable", "rejected", "failed", "expired" },
                        3,
                        "no_answer, busy, unreachable, rejected, failed or expired" },
};

bool follow_up_is_wanted(const struct campaign_submitted *definition)
{
    const struct campaign_follow_up *follow = &definition->follow_up;
    const struct campaign_submitted calls = { .voice = follow->voice };
    struct err unused;

    return follow->when.count > 0 || (follow->message_template && *follow->message_template) ||
           (follow->sender_id && *follow->sender_id) || !voice_check_none(&calls, &unused);
}

static bool is_end(int channel, const char *word)
{
    for (size_t i = 0; i < CAMPAIGN_FOLLOW_WORDS_MAX && ends[channel].words[i]; i++) {
        if (strcmp(ends[channel].words[i], word) == 0) {
            return true;
        }
    }
    return false;
}

static bool take_words(int channel, const struct strings *wanted, struct arena *arena,
                       struct strings *out_words, struct err *err)
{
    const char **words = arena_array(arena, CAMPAIGN_FOLLOW_WORDS_MAX, sizeof *words);

    for (size_t i = 0; i < wanted->count; i++) {
        if (!is_end(channel, wanted->items[i])) {
            return err_permanent(
                err, "follow_up_words", "follow_up.when: '%.20s' is no end of %s; use %s",
                wanted->items[i], channel == CHANNEL_SMS ? "an SMS" : "calls", ends[channel].told);
        }
        words[i] = wanted->items[i];
    }
    for (size_t i = 0; wanted->count == 0 && i < ends[channel].usual; i++) {
        words[i] = ends[channel].words[i];
    }
    *out_words = (struct strings){ wanted->count ? wanted->count : ends[channel].usual, words };
    return true;
}

bool follow_up_create(struct db *db, const struct campaign_new *first, int64_t parent,
                      struct arena *arena, struct err *err)
{
    const struct campaign_follow_up *follow = &first->definition->follow_up;
    struct campaign_submitted definition = *first->definition;
    struct campaign_new new = *first;
    struct campaign_made made;
    struct err inner;
    char id[ID_TEXT_BYTES];

    if (!take_words(definition.channel, &follow->when, arena, &new.words, err)) {
        return false;
    }
    definition.channel = definition.channel == CHANNEL_SMS ? CHANNEL_VOICE : CHANNEL_SMS;
    definition.message_template = follow->message_template;
    definition.sender_id = follow->sender_id;
    definition.voice = follow->voice;
    definition.follow_up = (struct campaign_follow_up){ 0 };
    definition.scheduled_at = 0;
    definition.hold = false;
    id_format("cmp", parent, id);
    new.definition = &definition;
    new.reference = arena_printf(arena, "follow-up of %s", id);
    new.parent = parent;
    new.now_ms = first->now_ms + 1; /* its id is another, and later */
    if (campaign_create(db, &new, arena, &made, &inner)) {
        return true;
    }
    *err = inner;
    if (inner.kind == ERR_PERMANENT) {
        return err_permanent(err, inner.what, "follow_up.%.180s", inner.detail);
    }
    return false;
}

#define WAITING                                                                                    \
    "  FROM campaigns f JOIN campaigns p ON p.id = f.parent_id"                                    \
    " WHERE f.parent_id IS NOT NULL AND NOT f.follow_done"

static const struct db_statement find_unsorted = {
    "follow_up_find_unsorted",
    "SELECT f.id, p.id, f.follow_seq, f.last_seq" WAITING
    "   AND f.status = 'waiting' AND p.status = 'completed' AND f.follow_seq < f.last_seq"
    " ORDER BY f.id LIMIT 1 FOR UPDATE OF f SKIP LOCKED",
    0,
};

/* What was planned is from now on what ever came, in one chunk: rows are taken out of both. */
static const struct db_statement count_planned = {
    "follow_up_count_planned",
    "UPDATE campaigns SET rows_received = planned, invalid = 0, duplicates = 0, just_over = 0,"
    "                     chunks_expected = 1, chunks_done = 1"
    " WHERE id = $1",
    1,
};
static const struct db_statement forget_rejects = {
    "follow_up_forget_rejects",
    "DELETE FROM campaign_rejects WHERE campaign_id = $1",
    1,
};
static const struct db_statement forget_chunks = {
    "follow_up_forget_chunks",
    "DELETE FROM campaign_chunks WHERE campaign_id = $1",
    1,
};
static const struct db_statement write_chunk = {
    "follow_up_write_chunk",
    "INSERT INTO campaign_chunks (campaign_id, chunk, rows, planned)"
    " SELECT id, 1, planned, planned FROM campaigns WHERE id = $1",
    1,
};

/*
 * By number, not by row: a row may have been left out of one of the two and the number have come
 * again. Whoever is no longer to be reached by anybody is left out like whoever was reached.
 */
static const struct db_statement sort_rows = {
    "follow_up_sort",
    "WITH gone AS ("
    "    DELETE FROM recipients r"
    "     WHERE r.campaign_id = $1 AND r.seq > $3 AND r.seq <= $4"
    "       AND (r.state <> 0"
    "            OR NOT EXISTS (SELECT FROM recipients p, campaigns f"
    "                         WHERE p.campaign_id = $2 AND p.msisdn = r.msisdn AND f.id = $1"
    "                           AND (p.state = 5 AND ('failed' = ANY (f.follow_words)"
    "                                                 OR p.reason = ANY (f.follow_words))"
    "                                OR p.state = 6 AND 'expired' = ANY (f.follow_words)))"
    "            OR EXISTS (SELECT FROM suppressions s JOIN campaigns f ON f.id = $1"
    "                        WHERE s.msisdn = r.msisdn"
    "                          AND (s.account_id = f.account_id OR s.account_id IS NULL)))"
    "    RETURNING r.state, r.segments),"
    " n AS ("
    "    SELECT count(*) AS rows, count(*) FILTER (WHERE state = 7) AS suppressed,"
    "           coalesce(sum(segments) FILTER (WHERE state <> 7), 0)::bigint AS segments FROM "
    "gone),"
    " chunk AS ("
    "    UPDATE campaign_chunks c SET rows = c.rows - n.rows::int, planned = planned - n.rows::int"
    "      FROM n WHERE c.campaign_id = $1)"
    " UPDATE campaigns c"
    "    SET follow_seq = $4, planned = planned - n.rows, rows_received = rows_received - n.rows,"
    "        suppressed = c.suppressed - n.suppressed, segments = c.segments - n.segments"
    "   FROM n WHERE c.id = $1",
    4
};

bool follow_up_sort(struct db *db, bool *out_some, struct err *err)
{
    AUTO_DB_RESULT struct db_result *found = NULL;
    struct db_value id;
    int64_t sorted, until;

    if (!db_query(db, &find_unsorted, NULL, &found, err)) {
        return false;
    }
    *out_some = db_rows(found) > 0;
    if (!*out_some) {
        return true;
    }
    id = db_int8(db_get_int(found, 0, 0));
    sorted = db_get_int(found, 0, 2);
    until = db_get_int(found, 0, 3);
    if (until - sorted > FOLLOW_UP_ROWS) {
        until = sorted + FOLLOW_UP_ROWS;
    }
    if (sorted == 0 && (!db_run(db, &count_planned, &id, NULL, err) ||
                        !db_run(db, &forget_rejects, &id, NULL, err) ||
                        !db_run(db, &forget_chunks, &id, NULL, err) ||
                        !db_run(db, &write_chunk, &id, NULL, err))) {
        return false;
    }
    return db_run(db, &sort_rows,
                  (struct db_value[]){ id, db_int8(db_get_int(found, 0, 1)),
                                       db_int4((int32_t)sorted), db_int4((int32_t)until) },
                  NULL, err);
}

/* Those that can begin and those that never will; in the order in which the ledger wants its
 * accounts. */
static const struct db_statement find_ready = {
    "follow_up_find_ready",
    "SELECT f.id, f.account_id, f.status, f.planned, f.segments, f.lane,"
    "       (SELECT a.slug FROM accounts a WHERE a.id = f.account_id), p.id, p.status,"
    "       p.follow_segments,"
    "       coalesce((SELECT h.amount - h.captured - h.released FROM token_holds h"
    "                  WHERE h.id = p.id), 0)" WAITING
    "   AND p.status IN ('completed', 'cancelled', 'expired', 'refused', 'abandoned')"
    "   AND (f.status <> 'waiting' OR p.status <> 'completed' OR f.follow_seq >= f.last_seq)"
    " ORDER BY f.account_id, f.id LIMIT $1 FOR UPDATE OF f SKIP LOCKED",
    1,
};

/* One whose first is over. */
struct follow_up {
    int64_t id, account, parent;
    const char *status, *parent_status;
    int64_t planned, price;
    int64_t share; /* tokens held for it with the first's that are still there */
};

static const struct db_statement set_status = {
    "follow_up_set_status",
    "UPDATE campaigns"
    "   SET status = $2, detail = $3, follow_done = true,"
    "       reserved_at = CASE WHEN $2 = 'sending' THEN $4::timestamptz END,"
    "       waiting_since = CASE WHEN $2 = 'insufficient_tokens' THEN $4::timestamptz END,"
    "       completed_at = CASE WHEN $2 IN ('completed', 'cancelled') THEN $4::timestamptz END"
    " WHERE id = $1",
    4
};
static const struct db_statement set_done = {
    "follow_up_set_done",
    "UPDATE campaigns SET follow_done = true WHERE id = $1",
    1,
};

static bool become(struct db *db, const struct follow_up *follow, const char *status,
                   const char *detail, int64_t now_ms, struct follow_up_begun *begun,
                   struct err *err)
{
    begun->status = status;
    return db_run(db, &set_status,
                  (struct db_value[]){ db_int8(follow->id), db_text(status), db_text(detail),
                                       db_time(now_ms) },
                  NULL, err);
}

/* What was held for it with the first's; one that was cancelled has released all by itself. */
static bool release_share(struct db *db, const struct follow_up *follow, int64_t now_ms,
                          struct arena *arena, struct err *err)
{
    if (follow->share == 0) {
        return true;
    }
    return ledger_settle(db, follow->account, follow->parent,
                         arena_printf(arena, "%lld/follow-up", (long long)follow->parent), 0,
                         follow->share, now_ms, err);
}

/* The first ended early, or this one was cancelled while it waited. */
static bool give_up(struct db *db, const struct follow_up *follow, int64_t now_ms,
                    struct arena *arena, struct follow_up_begun *begun, struct err *err)
{
    const bool waits =
        strcmp(follow->status, "waiting") == 0 || strcmp(follow->status, "receiving") == 0;
    const char *detail =
        arena_printf(arena, "the campaign that it follows is %s", follow->parent_status);

    if (waits ? !become(db, follow, "cancelled", detail, now_ms, begun, err)
              : !db_run(db, &set_done, (struct db_value[]){ db_int8(follow->id) }, NULL, err)) {
        return false;
    }
    return release_share(db, follow, now_ms, arena, err);
}

static bool start(struct db *db, const struct follow_up *follow, int64_t now_ms,
                  struct arena *arena, struct follow_up_begun *begun, struct err *err)
{
    struct ledger_held held;

    if (!release_share(db, follow, now_ms, arena, err)) {
        return false;
    }
    if (follow->planned == 0) {
        return become(db, follow, "completed", "nobody was left for it", now_ms, begun, err);
    }
    if (!ledger_hold(db, follow->account, follow->id, follow->price, now_ms, &held, err)) {
        return false;
    }
    return held.held ? become(db, follow, "sending", NULL, now_ms, begun, err)
                     : become(db, follow, "insufficient_tokens",
                              "its tokens expired while it waited", now_ms, begun, err);
}

bool follow_up_begin(struct db *db, int64_t now_ms, struct arena *arena,
                     const struct follow_up_begun **out_begun, size_t *out_count, struct err *err)
{
    AUTO_DB_RESULT struct db_result *found = NULL;
    struct follow_up_begun *begun = arena_array(arena, FOLLOW_UPS_AT_ONCE, sizeof *begun);

    if (!db_query(db, &find_ready, (struct db_value[]){ db_int8(FOLLOW_UPS_AT_ONCE) }, &found,
                  err)) {
        return false;
    }
    for (int i = 0; i < db_rows(found); i++) {
        const char *parent_status = db_get_text(found, i, 8);
        const bool over = strcmp(parent_status, "completed") == 0;
        const int64_t share = db_get_int(found, i, 9), open = db_get_int(found, i, 10);
        const struct follow_up follow = {
            .id = db_get_int(found, i, 0),
            .account = db_get_int(found, i, 1),
            .status = db_get_text(found, i, 2),
            .planned = db_get_int(found, i, 3),
            .price = db_get_int(found, i, 4),
            .parent = db_get_int(found, i, 7),
            .parent_status = parent_status,
            .share = !over          ? 0
                     : share < open ? share
                                    : open,
        };

        begun[i] = (struct follow_up_begun){
            .id = follow.id,
            .account = arena_strdup(arena, db_get_text(found, i, 6)),
            .lane = strcmp(db_get_text(found, i, 5), "high") == 0 ? LANE_HIGH : LANE_NORMAL,
        };
        if (over && strcmp(follow.status, "waiting") == 0
                ? !start(db, &follow, now_ms, arena, &begun[i], err)
                : !give_up(db, &follow, now_ms, arena, &begun[i], err)) {
            return false;
        }
    }
    *out_begun = begun;
    *out_count = (size_t)db_rows(found);
    return true;
}
