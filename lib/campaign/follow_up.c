/*
 * follow_up - making one, and beginning it
 */
#include "campaign/follow_up.h"

#include <string.h>

#include "base/id.h"
#include "ledger/ledger.h"

#define ROWS_A_STEP 20000

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

    return (follow->message_template && *follow->message_template) ||
           (follow->voice.audio && *follow->voice.audio) || follow->when.count > 0;
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
            return err_permanent(err, "follow_up_words",
                                 "follow_up: when: '%.20s' is no end of such a campaign; use %s",
                                 wanted->items[i], ends[channel].told);
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
        return err_permanent(err, inner.what, "follow_up: %.180s", inner.detail);
    }
    return false;
}

static const struct db_statement find_waiting = {
    "follow_up_find",
    "SELECT f.id, f.account_id, f.status, f.follow_seq, f.last_seq, f.lane, a.slug, p.id, p.status,"
    "       p.follow_segments, f.follow_words,"
    "       coalesce((SELECT h.amount - h.captured - h.released FROM token_holds h"
    "                  WHERE h.id = p.id), 0)"
    "  FROM campaigns f JOIN campaigns p ON p.id = f.parent_id"
    "                   JOIN accounts a ON a.id = f.account_id"
    " WHERE f.parent_id IS NOT NULL AND NOT f.follow_done"
    "   AND p.status IN ('completed', 'cancelled', 'expired', 'refused', 'abandoned')"
    " ORDER BY f.id LIMIT 1 FOR UPDATE OF f SKIP LOCKED",
    0,
};

/* In hand: one whose first is over. */
struct follow_up {
    int64_t id, account, parent;
    const char *status, *parent_status;
    int32_t sorted, last_seq;
    int64_t share; /* tokens held for it with the first's that are still there */
};

/* Whoever is no longer to be reached by anybody is left out like whoever was reached. */
static const struct db_statement sort_rows = {
    "follow_up_sort",
    "WITH gone AS ("
    "    DELETE FROM recipients r"
    "     WHERE r.campaign_id = $1 AND r.seq > $3 AND r.seq <= $4"
    "       AND (NOT EXISTS (SELECT FROM recipients p, campaigns f"
    "                         WHERE p.campaign_id = $2 AND p.seq = r.seq AND f.id = $1"
    "                           AND ((p.state = 5 AND ('failed' = ANY (f.follow_words)"
    "                                                  OR p.reason = ANY (f.follow_words)))"
    "                                OR (p.state = 6 AND 'expired' = ANY (f.follow_words))))"
    "            OR EXISTS (SELECT FROM suppressions s JOIN campaigns f ON f.id = $1"
    "                        WHERE s.msisdn = r.msisdn"
    "                          AND (s.account_id = f.account_id OR s.account_id IS NULL))))"
    " UPDATE campaigns SET follow_seq = $4 WHERE id = $1",
    4
};

/* What is left is what was ever planned, in one chunk. */
static const struct db_statement count_rows = {
    "follow_up_count",
    "UPDATE campaigns c"
    "   SET planned = n.planned, suppressed = 0, segments = n.segments, rows_received = n.planned,"
    "       invalid = 0, duplicates = 0, just_over = 0, chunks_expected = 1, chunks_done = 1"
    "  FROM (SELECT count(*) AS planned, coalesce(sum(segments), 0)::bigint AS segments"
    "          FROM recipients WHERE campaign_id = $1) n"
    " WHERE c.id = $1"
    " RETURNING c.segments",
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

static const struct db_statement set_status = {
    "follow_up_set_status",
    "UPDATE campaigns"
    "   SET status = $2, detail = $3, follow_done = true, untold_at = now(),"
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
                   const char *detail, int64_t now_ms, struct err *err)
{
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
    bool waits = strcmp(follow->status, "waiting") == 0 || strcmp(follow->status, "receiving") == 0;
    const char *detail =
        arena_printf(arena, "the campaign that it follows was %s", follow->parent_status);

    begun->id = follow->id;
    if (!waits) {
        return db_run(db, &set_done, (struct db_value[]){ db_int8(follow->id) }, NULL, err) &&
               release_share(db, follow, now_ms, arena, err);
    }
    begun->completed = true;
    return become(db, follow, "cancelled", detail, now_ms, err) &&
           release_share(db, follow, now_ms, arena, err);
}

static bool start(struct db *db, const struct follow_up *follow, int64_t now_ms,
                  struct arena *arena, struct follow_up_begun *begun, struct err *err)
{
    AUTO_DB_RESULT struct db_result *counted = NULL;
    struct ledger_held held = { 0 };
    struct db_value id = db_int8(follow->id);
    int64_t price;

    begun->id = follow->id;
    if (!db_query(db, &count_rows, &id, &counted, err) ||
        !db_run(db, &forget_rejects, &id, NULL, err) ||
        !db_run(db, &forget_chunks, &id, NULL, err) || !db_run(db, &write_chunk, &id, NULL, err) ||
        !release_share(db, follow, now_ms, arena, err)) {
        return false;
    }
    price = db_get_int(counted, 0, 0);
    if (price == 0) {
        begun->completed = true;
        return become(db, follow, "completed", "nobody was left for it", now_ms, err);
    }
    if (!ledger_hold(db, follow->account, follow->id, price, now_ms, &held, err)) {
        return false;
    }
    begun->reserved = held.held;
    return held.held ? become(db, follow, "sending", NULL, now_ms, err)
                     : become(db, follow, "insufficient_tokens",
                              "its tokens expired while it waited", now_ms, err);
}

bool follow_up_begin(struct db *db, int64_t now_ms, struct arena *arena,
                     struct follow_up_begun *out_begun, struct err *err)
{
    AUTO_DB_RESULT struct db_result *found = NULL;
    struct follow_up follow;
    int64_t share, open;

    *out_begun = (struct follow_up_begun){ 0 };
    if (!db_query(db, &find_waiting, NULL, &found, err)) {
        return false;
    }
    if (db_rows(found) == 0) {
        return true;
    }
    share = db_get_int(found, 0, 9);
    open = db_get_int(found, 0, 11);
    follow = (struct follow_up){
        .id = db_get_int(found, 0, 0),
        .account = db_get_int(found, 0, 1),
        .status = db_get_text(found, 0, 2),
        .sorted = (int32_t)db_get_int(found, 0, 3),
        .last_seq = (int32_t)db_get_int(found, 0, 4),
        .parent = db_get_int(found, 0, 7),
        .parent_status = db_get_text(found, 0, 8),
        .share = strcmp(db_get_text(found, 0, 8), "completed") != 0 ? 0
                 : share < open                                     ? share
                                                                    : open,
    };
    *out_begun = (struct follow_up_begun){
        .found = true,
        .lane = strcmp(db_get_text(found, 0, 5), "high") == 0 ? LANE_HIGH : LANE_NORMAL,
        .account = arena_strdup(arena, db_get_text(found, 0, 6)),
    };
    if (strcmp(follow.status, "waiting") != 0 || strcmp(follow.parent_status, "completed") != 0) {
        return give_up(db, &follow, now_ms, arena, out_begun, err);
    }
    if (follow.sorted < follow.last_seq) {
        int32_t until = follow.last_seq - follow.sorted > ROWS_A_STEP ? follow.sorted + ROWS_A_STEP
                                                                      : follow.last_seq;
        if (!db_run(db, &sort_rows,
                    (struct db_value[]){ db_int8(follow.id), db_int8(follow.parent),
                                         db_int4(follow.sorted), db_int4(until) },
                    NULL, err)) {
            return false;
        }
        if (until < follow.last_seq) {
            return true;
        }
    }
    return start(db, &follow, now_ms, arena, out_begun, err);
}
