/*
 * usage - one statement over ledger and batches, one over what is counted by network
 */
#include "usage/usage.h"

#include <string.h>

#define DAY_MS (24 * 3600 * INT64_C(1000))

/*
 * The ledger's index holds all that is asked of it. Which campaigns had batches follows from the
 * entries, and each is looked up by its key: the planner, left a plain join, would walk through
 * every account's batches. What a refusal released is of interest only for that.
 */
static const struct db_statement read_use = {
    "usage_read",
    "WITH moved AS MATERIALIZED ("
    "    SELECT hold_id, date_trunc('day', created_at, 'UTC') AS day,"
    "           coalesce(sum(amount) FILTER (WHERE kind = 'capture'), 0) AS tokens,"
    "           coalesce(sum(amount) FILTER (WHERE kind = 'refund'), 0) AS refunded"
    "      FROM ledger_entries"
    "     WHERE account_id = $1 AND kind IN ('capture', 'release', 'refund')"
    "       AND created_at >= $2 AND created_at < $3"
    "     GROUP BY 1, 2),"
    " asked AS MATERIALIZED ("
    "    SELECT m.hold_id, date_trunc('day', b.started_at, 'UTC') AS day,"
    "           sum(b.recipients) AS recipients"
    "      FROM (SELECT DISTINCT hold_id FROM moved) m"
    "     CROSS JOIN LATERAL (SELECT started_at, sent + delivered + failed + expired + in_doubt"
    "                                            AS recipients"
    "                           FROM batches x"
    "                          WHERE x.campaign_id = m.hold_id"
    "                            AND x.started_at >= $2 AND x.started_at < $3 OFFSET 0) b"
    "     GROUP BY 1, 2),"
    " used AS MATERIALIZED ("
    "    SELECT coalesce(m.hold_id, a.hold_id) AS id, coalesce(m.day, a.day) AS day,"
    "           coalesce(m.tokens, 0) AS tokens, coalesce(m.refunded, 0) AS refunded,"
    "           coalesce(a.recipients, 0) AS recipients"
    "      FROM moved m FULL JOIN asked a ON a.hold_id = m.hold_id AND a.day = m.day"
    "     WHERE coalesce(m.tokens, 0) + coalesce(m.refunded, 0) + coalesce(a.recipients, 0) > 0),"
    " campaigns_used AS MATERIALIZED ("
    "    SELECT u.*, coalesce(c.kind, '') AS kind, coalesce(c.channel, 'unknown') AS channel,"
    "           coalesce(c.title, '') AS title"
    "      FROM (SELECT id, sum(tokens) AS tokens, sum(refunded) AS refunded,"
    "                   sum(recipients) AS recipients FROM used GROUP BY id) u"
    "      LEFT JOIN campaigns c ON c.id = u.id)"
    " SELECT 'day', NULL::bigint, day, NULL, NULL, NULL, sum(tokens)::bigint,"
    "        sum(refunded)::bigint, sum(recipients)::bigint FROM used GROUP BY day"
    " UNION ALL"
    " SELECT 'channel', count(*), NULL, NULL, channel, NULL, sum(tokens)::bigint,"
    "        sum(refunded)::bigint, sum(recipients)::bigint FROM campaigns_used GROUP BY channel"
    " UNION ALL"
    " (SELECT 'campaign', id, NULL, kind, channel, title, tokens::bigint, refunded::bigint,"
    "         recipients::bigint FROM campaigns_used"
    "   ORDER BY tokens - refunded DESC, id DESC LIMIT $4)",
    4,
};

enum column { WHICH, ID, DAY, KIND, CHANNEL, TITLE, TOKENS };

static struct usage_sums read_sums(const struct db_result *found, int row)
{
    return (struct usage_sums){
        .tokens = db_get_int(found, row, TOKENS),
        .refunded = db_get_int(found, row, TOKENS + 1),
        .recipients = db_get_int(found, row, TOKENS + 2),
    };
}

static void add_row(struct usage *usage, const struct db_result *found, int row,
                    struct arena *arena)
{
    const char *which = db_get_text(found, row, WHICH);
    const struct usage_sums sums = read_sums(found, row);

    if (strcmp(which, "day") == 0) {
        const size_t at = (size_t)((db_get_time(found, row, DAY) - usage->from_ms) / DAY_MS);

        usage->days[at].sums = sums;
        return;
    }
    if (strcmp(which, "campaign") == 0) {
        usage->top[usage->top_count++] = (struct usage_campaign){
            .id = db_get_int(found, row, ID),
            .kind = arena_strdup(arena, db_get_text(found, row, KIND)),
            .channel = arena_strdup(arena, db_get_text(found, row, CHANNEL)),
            .title = arena_strdup(arena, db_get_text(found, row, TITLE)),
            .sums = sums,
        };
        return;
    }
    usage->channels[usage->channel_count++] = (struct usage_channel){
        .channel = arena_strdup(arena, db_get_text(found, row, CHANNEL)),
        .campaigns = db_get_int(found, row, ID),
        .sums = sums,
    };
    usage->campaigns += db_get_int(found, row, ID);
    usage->total.tokens += sums.tokens;
    usage->total.refunded += sums.refunded;
    usage->total.recipients += sums.recipients;
}

static bool read_sums_by(struct db *db, int64_t account, int64_t top, struct arena *arena,
                         struct usage *usage, struct err *err)
{
    AUTO_DB_RESULT struct db_result *found = NULL;

    if (!db_query(db, &read_use,
                  (struct db_value[]){ db_int8(account), db_time(usage->from_ms),
                                       db_time(usage->to_ms), db_int8(top) },
                  &found, err)) {
        return false;
    }
    usage->top = arena_array(arena, (size_t)db_rows(found) + 1, sizeof *usage->top);
    usage->channels = arena_array(arena, (size_t)db_rows(found) + 1, sizeof *usage->channels);
    for (int i = 0; i < db_rows(found); i++) {
        add_row(usage, found, i, arena);
    }
    return true;
}

/*
 * Whether the provider accepted a recipient follows from its row: what it refused has its end when
 * it has its answer.
 */
#define ACCEPTED                                                                                   \
    "(x.state IN (3, 4, 6) OR x.state = 5 AND x.provider_id IS NOT NULL"                           \
    "                         AND x.final_at <> x.sent_at)"
#define NETWORK_SUMS                                                                               \
    "coalesce(x.network, 0) AS network, count(*) AS recipients, sum(t.tokens) AS tokens,"          \
    " count(*) FILTER (WHERE x.state = 4) AS delivered,"                                           \
    " count(*) FILTER (WHERE x.state IN (5, 6) AND t.tokens > 0) AS failed,"                       \
    " coalesce(sum(t.tokens) FILTER (WHERE x.state IN (5, 6)), 0) AS failed_tokens"

/*
 * Recipients and what each costs: a message its segments once it is accepted, calls theirs once the
 * last of them has ended. The channel is the campaign's.
 */
#define RECIPIENTS                                                                                 \
    "recipients x CROSS JOIN LATERAL ("                                                            \
    "  SELECT CASE WHEN channel <> 'voice' THEN x.segments::bigint WHEN x.state = 3 THEN 0"        \
    "              ELSE (SELECT coalesce(sum(k.tokens), 0) FROM calls k"                           \
    "                     WHERE k.campaign_id = x.campaign_id AND k.seq = x.seq) END AS tokens) t"

/* Campaigns under way: of small ones first, as many as may be walked over. */
static const struct db_statement read_networks = {
    "usage_networks",
    "WITH open AS MATERIALIZED ("
    "    SELECT id, channel, counted_seq, sum(last_seq - counted_seq)"
    "                            OVER (ORDER BY last_seq - counted_seq, id) AS walk"
    "      FROM campaigns WHERE account_id = $1 AND counted_at IS NULL AND started_at IS NOT NULL),"
    " walked AS ("
    "    SELECT r.* FROM open o"
    "     CROSS JOIN LATERAL (SELECT " NETWORK_SUMS " FROM " RECIPIENTS
    "                          WHERE x.campaign_id = o.id AND x.seq > o.counted_seq AND " ACCEPTED
    "                            AND x.sent_at >= $2 AND x.sent_at < $3 GROUP BY 1 OFFSET 0) r"
    "     WHERE o.walk <= $4)"
    " SELECT network, sum(recipients)::bigint, sum(tokens)::bigint, sum(delivered)::bigint,"
    "        sum(failed)::bigint, sum(failed_tokens)::bigint"
    "   FROM (SELECT network, recipients, tokens, delivered, failed, failed_tokens"
    "           FROM network_usage"
    "          WHERE account_id = $1 AND day >= ($2::timestamptz AT TIME ZONE 'UTC')::date"
    "            AND day <= ($3::timestamptz AT TIME ZONE 'UTC')::date"
    "         UNION ALL SELECT * FROM walked) n"
    "  GROUP BY network ORDER BY 3 DESC, 1",
    4,
};

static bool read_by_network(struct db *db, int64_t account, struct arena *arena,
                            struct usage *usage, struct err *err)
{
    AUTO_DB_RESULT struct db_result *found = NULL;
    int64_t counted = 0;

    if (!db_query(db, &read_networks,
                  (struct db_value[]){ db_int8(account), db_time(usage->from_ms),
                                       db_time(usage->to_ms), db_int8(USAGE_WALK_MAX) },
                  &found, err)) {
        return false;
    }
    usage->networks = arena_array(arena, (size_t)db_rows(found) + 1, sizeof *usage->networks);
    for (int i = 0; i < db_rows(found); i++) {
        usage->networks[usage->network_count++] = (struct usage_network){
            .network = db_get_int(found, i, 0),
            .recipients = db_get_int(found, i, 1),
            .tokens = db_get_int(found, i, 2),
            .delivered = db_get_int(found, i, 3),
            .failed = db_get_int(found, i, 4),
            .failed_tokens = db_get_int(found, i, 5),
        };
        counted += db_get_int(found, i, 2);
    }
    usage->uncounted = usage->total.tokens > counted ? usage->total.tokens - counted : 0;
    return true;
}

bool usage_read(struct db *db, int64_t account, int64_t days, int64_t top, int64_t now_ms,
                struct arena *arena, struct usage *out_usage, struct err *err)
{
    struct usage usage = {
        .from_ms = now_ms - now_ms % DAY_MS - (days - 1) * DAY_MS,
        .to_ms = now_ms + 1,
        .day_count = (size_t)days,
    };

    usage.days = arena_array(arena, (size_t)days, sizeof *usage.days);
    for (size_t i = 0; i < usage.day_count; i++) {
        usage.days[i].day_ms = usage.from_ms + (int64_t)i * DAY_MS;
    }
    if (!read_sums_by(db, account, top, arena, &usage, err) ||
        !read_by_network(db, account, arena, &usage, err)) {
        return false;
    }
    *out_usage = usage;
    return true;
}

#define CAMPAIGNS_A_TIME "500"

/*
 * Campaigns that never had a batch are none of ours: campaigns_uncounted leaves them out. Which
 * come first does not matter, and an order would have to be made from all that wait.
 */
static const struct db_statement count_some = {
    "usage_count",
    "WITH over AS ("
    "    SELECT c.id, c.account_id, c.channel, c.counted_seq, c.last_seq FROM campaigns c"
    "     WHERE c.counted_at IS NULL AND c.started_at IS NOT NULL"
    "       AND (c.status = 'completed'"
    "            OR c.status IN ('cancelled', 'expired')"
    "               AND (coalesce(c.sent_at, c.started_at) <= $2"
    "                    OR NOT EXISTS (SELECT FROM batches b WHERE b.campaign_id = c.id"
    "                                                           AND b.settled_at IS NULL)))"
    "     LIMIT " CAMPAIGNS_A_TIME " FOR UPDATE OF c SKIP LOCKED),"
    " queued AS ("
    "    SELECT *, sum(last_seq - counted_seq) OVER (ORDER BY id) - (last_seq - counted_seq)"
    "              AS before FROM over),"
    " pieces AS MATERIALIZED ("
    "    SELECT id, account_id, channel, counted_seq, last_seq,"
    "           least(last_seq, counted_seq + $1 - before)::int AS upto"
    "      FROM queued WHERE before < $1),"
    " counted AS ("
    "    INSERT INTO network_usage AS n (account_id, day, campaign_id, network, recipients, tokens,"
    "                                    delivered, failed, failed_tokens)"
    "    SELECT p.account_id, r.day, p.id, r.network, r.recipients, r.tokens, r.delivered,"
    "           r.failed, r.failed_tokens"
    "      FROM pieces p"
    "     CROSS JOIN LATERAL (SELECT (x.sent_at AT TIME ZONE 'UTC')::date AS day, " NETWORK_SUMS
    "                           FROM " RECIPIENTS
    "                          WHERE x.campaign_id = p.id AND x.seq > p.counted_seq"
    "                            AND x.seq <= p.upto AND " ACCEPTED
    "                          GROUP BY 1, 2 OFFSET 0) r"
    "    ON CONFLICT ON CONSTRAINT network_usage_pkey DO UPDATE"
    "       SET recipients = n.recipients + excluded.recipients,"
    "           tokens = n.tokens + excluded.tokens, delivered = n.delivered + excluded.delivered,"
    "           failed = n.failed + excluded.failed,"
    "           failed_tokens = n.failed_tokens + excluded.failed_tokens)"
    " UPDATE campaigns c SET counted_seq = p.upto,"
    "        counted_at = CASE WHEN p.upto >= p.last_seq THEN now() END"
    "   FROM pieces p WHERE c.id = p.id",
    2,
};

bool usage_count(struct db *db, int64_t most, int64_t old_ms, int64_t *out_campaigns,
                 struct err *err)
{
    return db_run(db, &count_some, (struct db_value[]){ db_int8(most), db_time(old_ms) },
                  out_campaigns, err);
}
