/*
 * verify - prove from the rows that nothing was lost, sent twice or paid twice
 *
 * Two sums: for every campaign planned = pending + sending + in_doubt + sent + delivered + failed +
 * expired + suppressed + cancelled, and for every account granted = available + reserved + spent +
 * expired + transferred. Neither is taken from the counters that the stages keep: states are
 * counted over recipients, tokens summed over ledger entries, and then compared with the counters.
 *
 * Each check is one question that finds nothing when all is well, and names the rows that differ
 * otherwise. All of them see one snapshot, so it may run while everything else does.
 */
#include "verify.h"

#include <stdio.h>

#include "base/id.h"
#include "ctl.h"
#include "provider/africastalking.h"

#define SHOWN_MAX 5 /* rows named per check; the others are only counted */

/* $1 of every question is one campaign's id, or 0 for all; $2 the codes of refusals. */
#define IF_WANTED(column) " ($1::bigint = 0 OR " column " = $1::bigint) "

/* Of messages: a failed recipient was paid for when the provider had taken it first. */
#define IS_PAID                                                                                    \
    "(r.state IN (3, 4, 6)"                                                                        \
    " OR (r.state = 5 AND r.provider_id IS NOT NULL AND r.reason IS DISTINCT FROM 'answer_lost'"   \
    "     AND coalesce(r.provider_code, 0) <> ALL ($2::int[])))"

/* States counted over the recipients; what left a claim without an outcome is on its way. */
#define COUNTED                                                                                    \
    "WITH flying AS ("                                                                             \
    "  SELECT b.campaign_id, count(*) AS n"                                                        \
    "    FROM batches b JOIN recipients r ON r.campaign_id = b.campaign_id"                        \
    "         AND r.seq > b.recorded_seq AND r.seq <= b.claimed_seq AND r.state = 0"               \
    "   WHERE b.claimed_seq > b.recorded_seq"                                                      \
    "     AND ($1::bigint = 0 OR b.campaign_id = $1::bigint) GROUP BY 1),"                         \
    " counted AS ("                                                                                \
    "  SELECT r.campaign_id, count(*) AS planned,"                                                 \
    "         count(*) FILTER (WHERE state = 0) AS waiting,"                                       \
    "         count(*) FILTER (WHERE state = 1) AS sending,"                                       \
    "         count(*) FILTER (WHERE state = 2) AS in_doubt,"                                      \
    "         count(*) FILTER (WHERE state = 3) AS sent,"                                          \
    "         count(*) FILTER (WHERE state = 4) AS delivered,"                                     \
    "         count(*) FILTER (WHERE state = 5) AS failed,"                                        \
    "         count(*) FILTER (WHERE state = 6) AS expired,"                                       \
    "         count(*) FILTER (WHERE state = 7) AS suppressed,"                                    \
    "         count(*) FILTER (WHERE state = 8) AS cancelled,"                                     \
    "         coalesce(sum(segments) FILTER (WHERE state <> 7), 0) AS price,"                      \
    "         coalesce(sum(segments) FILTER (WHERE state = 2), 0) AS doubt_tokens,"                \
    "         coalesce(sum(segments) FILTER (WHERE state = 3), 0) AS sent_tokens,"                 \
    "         coalesce(sum(segments) FILTER (WHERE state = 0), 0) AS waiting_tokens"               \
    "    FROM recipients r WHERE ($1::bigint = 0 OR r.campaign_id = $1::bigint) GROUP BY 1),"      \
    " rows AS ("                                                                                   \
    "  SELECT c.id, c.status, coalesce(n.planned, 0) AS planned,"                                  \
    "         coalesce(n.sending, 0) + coalesce(f.n, 0) AS sending,"                               \
    "         coalesce(n.waiting, 0) - coalesce(f.n, 0) AS rest,"                                  \
    "         coalesce(n.in_doubt, 0) AS in_doubt, coalesce(n.sent, 0) AS sent,"                   \
    "         coalesce(n.delivered, 0) AS delivered, coalesce(n.failed, 0) AS failed,"             \
    "         coalesce(n.expired, 0) AS expired, coalesce(n.suppressed, 0) AS suppressed,"         \
    "         coalesce(n.cancelled, 0) AS cancelled, coalesce(n.price, 0) AS price,"               \
    "         coalesce(n.doubt_tokens, 0) + CASE c.channel WHEN 'voice'"                           \
    "                                       THEN coalesce(n.sent_tokens, 0) ELSE 0 END AS "        \
    "out_tokens,"                                                                                  \
    "         coalesce(n.waiting_tokens, 0) AS waiting_tokens"                                     \
    "    FROM campaigns c LEFT JOIN counted n ON n.campaign_id = c.id"                             \
    "         LEFT JOIN flying f ON f.campaign_id = c.id"                                          \
    "   WHERE ($1::bigint = 0 OR c.id = $1::bigint)) "

/* What is held with a campaign for the one that follows it. */
#define FOLLOW_SHARE                                                                               \
    "CASE WHEN r.status NOT IN ('cancelled', 'expired')"                                           \
    "      AND EXISTS (SELECT FROM campaigns f WHERE f.parent_id = r.id AND NOT f.follow_done)"    \
    "     THEN c.follow_segments ELSE 0 END"

/* One state of one campaign: the word, its count over the rows, its counter. */
#define STATE(word, rows) "('" word "', " rows ", k." word ")"

/* Movements of an account between its purses. */
#define PURSE(purse)                                                                               \
    "coalesce(sum(CASE WHEN credit = '" purse "' THEN amount WHEN debit = '" purse                 \
    "' THEN -amount END), 0)"

/* The hashes of all entries anew, and the head that the balance has of each account. */
#define BROKEN_CHAINS                                                                              \
    "WITH linked AS ("                                                                             \
    "  SELECT e.*, row_number() OVER chain AS nr,"                                                 \
    "         lag(hash, 1, decode(repeat('00', 32), 'hex')) OVER chain AS before"                  \
    "    FROM ledger_entries e WINDOW chain AS (PARTITION BY account_id ORDER BY position)),"      \
    " broken AS ("                                                                                 \
    "  SELECT account_id, min(position) AS position FROM linked"                                   \
    "   WHERE position <> nr OR previous <> before"                                                \
    "      OR hash <> ledger_hash(account_id, position, previous, ledger_line(created_at, kind,"   \
    "             debit, credit, amount, hold_id, peer_id, reference, detail, actor))"             \
    "   GROUP BY 1)"                                                                               \
    " SELECT 0::bigint, 'account ' || a.slug || ': broken at entry ' || b.position"                \
    "   FROM broken b JOIN accounts a ON a.id = b.account_id"                                      \
    " UNION ALL"                                                                                   \
    " SELECT 0::bigint, 'account ' || a.slug || ': the head is entry ' || b.head_position"         \
    "        || ', the last is ' || l.position || CASE WHEN b.head_position = l.position"          \
    "                                                  THEN ', but another hash' ELSE '' END"      \
    "   FROM token_balances b JOIN accounts a ON a.id = b.account_id,"                             \
    "        LATERAL (SELECT coalesce(max(position), 0) AS position FROM ledger_entries e"         \
    "                  WHERE e.account_id = b.account_id) l"                                       \
    "  WHERE b.head_position <> l.position"                                                        \
    "     OR b.head_hash <> coalesce((SELECT hash FROM ledger_entries e"                           \
    "                                  WHERE e.account_id = b.account_id"                          \
    "                                    AND e.position = l.position),"                            \
    "                                decode(repeat('00', 32), 'hex'))"

/* Sides of transfers that lack the other, or of which the other says otherwise. */
#define ODD_TRANSFERS                                                                              \
    "SELECT 0::bigint, 'account ' || a.slug || ': transfer ' || t.reference || ' of ' || t.amount" \
    "       || ' tokens'"                                                                          \
    "  FROM ledger_entries t JOIN accounts a ON a.id = t.account_id"                               \
    "       LEFT JOIN ledger_entries o ON o.account_id = t.peer_id AND o.kind = 'transfer'"        \
    "                                 AND o.reference = t.reference"                               \
    " WHERE t.kind = 'transfer' AND (o.account_id IS NULL OR o.peer_id IS DISTINCT FROM "          \
    "t.account_id"                                                                                 \
    "       OR o.amount <> t.amount OR o.debit <> t.credit OR o.credit <> t.debit)"

/* The name is what is claimed; the columns are a campaign or 0, and how it differs. */
static const struct db_statement checks[] = {
    { "campaigns: planned is the sum of the nine states",
      COUNTED "SELECT r.id, c.planned || ' planned, ' || r.planned"
              "       || ' recipients' FROM rows r JOIN campaigns c ON c.id = r.id"
              " WHERE r.planned <> c.planned OR r.rest < 0 OR r.planned <> r.rest + r.sending"
              "       + r.in_doubt + r.sent + r.delivered + r.failed + r.expired + r.suppressed"
              "       + r.cancelled",
      1 },
    { "campaigns: each state's counter is the count of its recipients",
      COUNTED
      "SELECT r.id, s.counter || ' ' || s.word || ', ' || s.counted"
      "       || ' recipients'"
      "  FROM rows r JOIN campaign_counts k ON k.campaign_id = r.id,"
      "       LATERAL (VALUES " STATE("sending", "r.sending") ", " STATE(
          "in_doubt",
          "r.in_"
          "doubt") ", " STATE("sent",
                              "r.sent") ", " STATE("delivered",
                                                   "r.delivered") ", " STATE("failed",
                                                                             "r.failed") ", " STATE("suppressed",
                                                                                                    "r.suppressed") ", " STATE("expired",
                                                                                                                               "r."
                                                                                                                               "expired "
                                                                                                                               "+ CASE "
                                                                                                                               "WHEN "
                                                                                                                               "r."
                                                                                                                               "status "
                                                                                                                               "= "
                                                                                                                               "'expired"
                                                                                                                               "' THEN "
                                                                                                                               "r.rest "
                                                                                                                               "ELSE 0 "
                                                                                                                               "END") ","
                                                                                                                                      " " STATE(
                                                                                                                                          "cancelled",
                                                                                                                                          "r.cancelled + CASE WHEN r.status IN ('cancelling', 'cancelled')"
                                                                                                                                          " THEN r.rest ELSE 0 END") ", " STATE("pending",
                                                                                                                                                                                "CASE WHEN r.status IN ('expired', 'cancelling', 'cancelled') THEN 0"
                                                                                                                                                                                " ELSE r.rest END") ") AS s(word, counted, counter)"
                                                                                                                                                                                                    " WHERE s.counted <> s.counter",
      1 },
    { "campaigns: the quote is the sum of the recipients' segments",
      COUNTED "SELECT r.id, 'quoted ' || c.segments || ', ' || r.price"
              "       || ' segments' FROM rows r JOIN campaigns c ON c.id = r.id"
              " WHERE c.segments <> r.price",
      1 },
    { "campaigns: every row received is a recipient, invalid or a duplicate",
      "SELECT c.id, c.rows_received || ' rows, ' || c.planned"
      "       || ' planned, ' || c.invalid || ' invalid, ' || c.duplicates || ' duplicates'"
      "  FROM campaigns c"
      " WHERE c.rows_received <> c.planned + c.invalid + c.duplicates AND" IF_WANTED("c.id"),
      1 },
    { "campaigns: every chunk was counted once",
      "SELECT c.id, c.chunks_done || ' chunks of ' || c.rows_received"
      "       || ' rows, ' || coalesce(k.n, 0) || ' of ' || coalesce(k.rows, 0) || ' on record'"
      "  FROM campaigns c LEFT JOIN (SELECT campaign_id, count(*) AS n, sum(rows) AS rows"
      "                                FROM campaign_chunks GROUP BY 1) k ON k.campaign_id = "
      "c.id"
      " WHERE (c.chunks_done <> coalesce(k.n, 0) OR c.rows_received <> coalesce(k.rows, 0)) "
      "AND" IF_WANTED("c.id"),
      1 },
    { "campaigns: every row that became no recipient has its reason",
      "SELECT c.id, c.invalid || ' invalid and ' || c.duplicates"
      "       || ' duplicates, ' || coalesce(j.invalid, 0) || ' and '"
      "       || coalesce(j.duplicates, 0) || ' on record'"
      "  FROM campaigns c LEFT JOIN ("
      "       SELECT campaign_id, count(*) FILTER (WHERE reason <> 'duplicate') AS invalid,"
      "              count(*) FILTER (WHERE reason = 'duplicate') AS duplicates"
      "         FROM campaign_rejects GROUP BY 1) j ON j.campaign_id = c.id"
      " WHERE (c.invalid <> coalesce(j.invalid, 0) OR c.duplicates <> coalesce(j.duplicates, "
      "0))"
      "   AND" IF_WANTED("c.id"),
      1 },
    { "campaigns: nothing of a finished one is still on its way",
      COUNTED "SELECT r.id, 'is ' || r.status || ': ' || r.sending || ' sending, '"
              "       || r.rest || ' pending' FROM rows r"
              " WHERE r.sending > 0"
              "       AND r.status IN ('completed', 'cancelled', 'expired', 'refused', 'abandoned')"
              "    OR r.rest > 0 AND r.status IN ('sent', 'completed')",
      1 },
    { "batches: each counter is the count of its recipients",
      "WITH counted AS ("
      "  SELECT r.campaign_id, r.batch, count(*) FILTER (WHERE state = 2) AS in_doubt,"
      "         count(*) FILTER (WHERE state = 3) AS sent,"
      "         count(*) FILTER (WHERE state = 4) AS delivered,"
      "         count(*) FILTER (WHERE state = 5) AS failed,"
      "         count(*) FILTER (WHERE state = 6) AS expired"
      "    FROM recipients r WHERE r.batch IS NOT NULL AND" IF_WANTED(
          "r.campaign_id") "   GROUP BY 1, 2)"
                           " SELECT b.campaign_id, 'batch ' || b.batch || ': ' || s.counter || "
                           "' '"
                           "        || s.word || ', ' || s.counted || ' recipients'"
                           "   FROM batches b LEFT JOIN counted n ON n.campaign_id = "
                           "b.campaign_id AND n.batch = b.batch,"
                           "        LATERAL (VALUES ('in_doubt', coalesce(n.in_doubt, 0), "
                           "b.in_doubt),"
                           "                        ('sent', coalesce(n.sent, 0), b.sent),"
                           "                        ('delivered', coalesce(n.delivered, 0), "
                           "b.delivered),"
                           "                        ('failed', coalesce(n.failed, 0), "
                           "b.failed),"
                           "                        ('expired', coalesce(n.expired, 0), "
                           "b.expired))"
                           "        AS s(word, counted, counter)"
                           "  WHERE s.counted <> s.counter AND" IF_WANTED("b.campaign_id"),
      1 },
    { "batches: tokens captured and released are their recipients' segments",
      "WITH paid AS ("
      "  SELECT r.campaign_id, r.batch, sum(segments) FILTER (WHERE " IS_PAID ") AS captured,"
      "         sum(segments) FILTER (WHERE r.state = 5 AND NOT " IS_PAID ") AS released"
      "    FROM recipients r"
      "   WHERE r.batch IS NOT NULL AND ($1::bigint = 0 OR r.campaign_id = $1::bigint)"
      "   GROUP BY 1, 2)"
      " SELECT b.campaign_id, 'batch ' || b.batch || ': ' || b.captured || ' captured and '"
      "        || b.released || ' released, recipients say ' || coalesce(p.captured, 0) || ' and '"
      "        || coalesce(p.released, 0)"
      "   FROM batches b LEFT JOIN paid p ON p.campaign_id = b.campaign_id AND p.batch = b.batch"
      "  WHERE (b.captured <> coalesce(p.captured, 0) OR b.released <> coalesce(p.released, 0))"
      "    AND NOT EXISTS (SELECT FROM voice_campaigns v WHERE v.campaign_id = b.campaign_id)"
      "    AND ($1::bigint = 0 OR b.campaign_id = $1::bigint)",
      2 },
    { "batches: they cover their campaign's rows without gap or overlap",
      "SELECT campaign_id, 'batch ' || batch || ': begins at row ' || first_seq"
      "       || ', ' || expected || ' is next'"
      "  FROM (SELECT campaign_id, batch, first_seq,"
      "               coalesce(lag(last_seq) OVER up + 1, 1) AS expected"
      "          FROM batches WHERE" IF_WANTED(
          "campaign_id") "        WINDOW up AS (PARTITION BY campaign_id ORDER BY first_seq)) b"
                         " WHERE first_seq <> expected",
      1 },
    { "accounts: granted is available + reserved + spent + expired + transferred",
      "SELECT 0::bigint, 'account ' || a.slug || ': granted ' || b.granted || ', '"
      "       || b.available + b.reserved + b.spent + b.expired + b.transferred || ' accounted "
      "for'"
      "  FROM token_balances b JOIN accounts a ON a.id = b.account_id"
      " WHERE b.granted <> b.available + b.reserved + b.spent + b.expired + b.transferred",
      0 },
    { "accounts: each balance is the sum of its ledger entries",
      "WITH moved AS ("
      "  SELECT account_id, -(" PURSE("source") ") AS granted, " PURSE(
          "available") " AS available,"
                       "         " PURSE("reserved") " AS reserved, " PURSE(
                           "spent") " AS spent,"
                                    "         " PURSE("expired") " AS expired, " PURSE(
                                        "peer") " AS transferred"
                                                "    FROM ledger_entries GROUP BY 1)"
                                                " SELECT 0::bigint, 'account ' || a.slug || ': "
                                                "balance of ' || s.purse || ' ' || s.balance"
                                                "        || ', entries say ' || s.entries"
                                                "   FROM accounts a LEFT JOIN token_balances b "
                                                "ON b.account_id = a.id"
                                                "        LEFT JOIN moved m ON m.account_id = "
                                                "a.id,"
                                                "        LATERAL (VALUES ('granted', "
                                                "coalesce(b.granted, 0), coalesce(m.granted, "
                                                "0)),"
                                                "                        ('available', "
                                                "coalesce(b.available, 0), "
                                                "coalesce(m.available, 0)),"
                                                "                        ('reserved', "
                                                "coalesce(b.reserved, 0), coalesce(m.reserved, "
                                                "0)),"
                                                "                        ('spent', "
                                                "coalesce(b.spent, 0), coalesce(m.spent, 0)),"
                                                "                        ('expired', "
                                                "coalesce(b.expired, 0), coalesce(m.expired, "
                                                "0)),"
                                                "                        ('transferred', "
                                                "coalesce(b.transferred, 0),"
                                                "                                        "
                                                "coalesce(m.transferred, 0)))"
                                                "        AS s(purse, balance, entries)"
                                                "  WHERE s.balance <> s.entries",
      0 },
    { "accounts: what the lots have left is what is available",
      "SELECT 0::bigint, 'account ' || a.slug || ': ' || coalesce(b.available, 0) || ' "
      "available, lots have '"
      "       || coalesce(l.available, 0)"
      "  FROM accounts a LEFT JOIN token_balances b ON b.account_id = a.id"
      "       LEFT JOIN (SELECT account_id, sum(available) AS available FROM token_lots GROUP "
      "BY 1) l"
      "              ON l.account_id = a.id"
      " WHERE coalesce(b.available, 0) <> coalesce(l.available, 0)",
      0 },
    { "accounts: what the holds have open is what is reserved",
      "SELECT 0::bigint, 'account ' || a.slug || ': ' || coalesce(b.reserved, 0) || ' "
      "reserved, holds have '"
      "       || coalesce(h.open, 0) || ' open'"
      "  FROM accounts a LEFT JOIN token_balances b ON b.account_id = a.id"
      "       LEFT JOIN (SELECT account_id, sum(amount - captured - released) AS open"
      "                    FROM token_holds GROUP BY 1) h ON h.account_id = a.id"
      " WHERE coalesce(b.reserved, 0) <> coalesce(h.open, 0)",
      0 },
    { "accounts: every entry follows the one before it, and the last is the head", BROKEN_CHAINS,
      0 },
    { "accounts: what one gave by a transfer another has got", ODD_TRANSFERS, 0 },
    { "holds: amount, captured, released and refunded are the sums of their entries",
      "WITH moved AS ("
      "  SELECT hold_id, sum(amount) FILTER (WHERE kind = 'hold') AS amount,"
      "         sum(amount) FILTER (WHERE kind = 'capture') AS captured,"
      "         sum(amount) FILTER (WHERE kind = 'release') AS released,"
      "         sum(amount) FILTER (WHERE kind = 'refund') AS refunded"
      "    FROM ledger_entries WHERE hold_id IS NOT NULL AND" IF_WANTED(
          "hold_id") "GROUP BY 1)"
                     " SELECT coalesce(h.id, m.hold_id), s.word || ' '"
                     "        || s.held || ', entries say ' || s.entries"
                     "   FROM (SELECT * FROM token_holds WHERE" IF_WANTED(
                         "id") ") h"
                               "        FULL JOIN moved m ON m.hold_id = h.id,"
                               "        LATERAL (VALUES ('amount', coalesce(h.amount, 0), "
                               "coalesce(m.amount, 0)),"
                               "                        ('captured', coalesce(h.captured, 0), "
                               "coalesce(m.captured, 0)),"
                               "                        ('released', coalesce(h.released, 0), "
                               "coalesce(m.released, 0)),"
                               "                        ('refunded', coalesce(h.refunded, 0), "
                               "coalesce(m.refunded, 0)))"
                               "        AS s(word, held, entries)"
                               "  WHERE s.held <> s.entries",
      1 },
    { "holds: what was drawn from lots and not given back is not released",
      "SELECT h.id, h.amount - h.released - h.refunded || ' kept, lots gave '"
      "       || coalesce(d.amount, 0)"
      "  FROM token_holds h"
      "       LEFT JOIN (SELECT hold_id, sum(amount) AS amount"
      "                    FROM (SELECT hold_id, amount FROM token_hold_lots"
      "                          UNION ALL"
      "                          SELECT hold_id, amount FROM token_hold_lots_archive) lots"
      "                   GROUP BY 1) d ON d.hold_id = h.id"
      " WHERE h.amount - h.released - h.refunded <> coalesce(d.amount, 0) AND" IF_WANTED("h.id"),
      1 },
    { "holds: each is the quote of its campaign",
      "SELECT h.id, h.amount || ' held, quoted '"
      "       || coalesce((c.segments + c.follow_segments)::text, 'nothing')"
      "  FROM token_holds h LEFT JOIN campaigns c ON c.id = h.id AND c.account_id = "
      "h.account_id"
      " WHERE h.amount IS DISTINCT FROM c.segments + c.follow_segments AND" IF_WANTED("h.id"),
      1 },
    { "holds: what is open belongs to recipients that wait, are in doubt or are called",
      COUNTED "SELECT h.id, r.status || ': '"
              "       || h.amount - h.captured - h.released || ' open, recipients say '"
              "       || r.out_tokens + CASE WHEN r.status IN ('completed', 'cancelled', 'expired')"
              "                                THEN 0 ELSE r.waiting_tokens END + " FOLLOW_SHARE
              "  FROM rows r JOIN token_holds h ON h.id = r.id JOIN campaigns c ON c.id = r.id"
              " WHERE h.amount - h.captured - h.released <> r.out_tokens"
              "       + CASE WHEN r.status IN ('completed', 'cancelled', 'expired') THEN 0"
              "              ELSE r.waiting_tokens END + " FOLLOW_SHARE,
      1 },
    { "holds: tokens captured are those of the campaign's batches",
      "SELECT h.id, h.captured || ' captured, batches say '"
      "       || coalesce(b.captured, 0)"
      "  FROM token_holds h LEFT JOIN (SELECT campaign_id, sum(captured) AS captured FROM "
      "batches"
      "                                 GROUP BY 1) b ON b.campaign_id = h.id"
      " WHERE h.captured <> coalesce(b.captured, 0) AND" IF_WANTED("h.id"),
      1 },
    { "holds: tokens refunded are those of the campaign's batches",
      "SELECT h.id, h.refunded || ' refunded, batches say ' || coalesce(b.refunded, 0)"
      "  FROM token_holds h LEFT JOIN (SELECT campaign_id, sum(refunded) AS refunded"
      "                                  FROM batches GROUP BY 1) b ON b.campaign_id = h.id"
      " WHERE h.refunded <> coalesce(b.refunded, 0) AND" IF_WANTED("h.id"),
      1 },
    { "batches: tokens refunded are of recipients that a report has ended",
      "WITH ended AS ("
      "  SELECT r.campaign_id, r.batch, sum(segments) AS tokens FROM recipients r"
      "   WHERE r.state IN (4, 5, 6) AND " IS_PAID " AND r.batch IS NOT NULL AND" IF_WANTED(
          "r.campaign_id") "GROUP BY 1, 2)"
                           " SELECT b.campaign_id, 'batch ' || b.batch || ': ' || b.refunded || ' "
                           "refunded of '"
                           "        || coalesce(e.tokens, 0)"
                           "   FROM batches b LEFT JOIN ended e ON e.campaign_id = b.campaign_id "
                           "AND e.batch = b.batch"
                           "  WHERE b.refunded > coalesce(e.tokens, 0) AND" IF_WANTED(
                               "b.campaign_id"),
      2 },
    { "campaigns: nothing was sent without a hold",
      "SELECT b.campaign_id, 'batches but no hold'"
      "  FROM (SELECT DISTINCT campaign_id FROM batches WHERE" IF_WANTED(
          "campaign_id") ") b"
                         " WHERE NOT EXISTS (SELECT FROM token_holds h WHERE h.id = "
                         "b.campaign_id)",
      1 },
};
#define OWN_COUNT (sizeof checks / sizeof *checks)
#define CHECK_COUNT (OWN_COUNT + verify_calls_count + verify_payments_count)

static const struct db_statement *check_at(size_t index)
{
    if (index < OWN_COUNT) {
        return &checks[index];
    }
    index -= OWN_COUNT;
    return index < verify_calls_count ? &verify_calls[index]
                                      : &verify_payments[index - verify_calls_count];
}

/* The codes with which the provider says that it did not send. */
static size_t list_refusals(int32_t *out)
{
    size_t count = 0;

    for (size_t i = 0; i < at_codes_count; i++) {
        if (at_codes[i].class != AT_ACCEPTED && at_codes[i].class != AT_DOUBT) {
            out[count++] = at_codes[i].code;
        }
    }
    return count;
}

static bool run_check(struct ctl *ctl, const struct db_statement *check, int64_t campaign,
                      bool *out_holds, struct err *err)
{
    AUTO_DB_RESULT struct db_result *found = NULL;
    int32_t *refusals = arena_array(ctl->arena, at_codes_count, sizeof *refusals);
    int rows;

    if (!db_query(
            ctl->db, check,
            (struct db_value[]){ db_int8(campaign), db_int4s(refusals, list_refusals(refusals)) },
            &found, err)) {
        return false;
    }
    rows = db_rows(found);
    printf("%-5s %s\n", rows == 0 ? "ok" : "FALSE", check->name);
    for (int i = 0; i < rows && i < SHOWN_MAX; i++) {
        char id[ID_TEXT_BYTES];

        id_format("cmp", db_get_int(found, i, 0), id);
        printf("      %s%s%s\n", db_get_int(found, i, 0) ? id : "",
               db_get_int(found, i, 0) ? ": " : "", db_get_text(found, i, 1));
    }
    if (rows > SHOWN_MAX) {
        printf("      and %d more\n", rows - SHOWN_MAX);
    }
    *out_holds = rows == 0;
    return true;
}

static const struct db_statement count_rows = {
    "verify_count_rows",
    "SELECT (SELECT count(*) FROM campaigns WHERE" IF_WANTED(
        "id") "),"
              "       (SELECT coalesce(sum(planned), 0)::bigint FROM campaigns WHERE" IF_WANTED(
                  "id") "),"
                        "       (SELECT count(*) FROM accounts)",
    1
};

static bool run_checks(struct ctl *ctl, int64_t campaign, size_t *out_false, struct err *err)
{
    AUTO_DB_RESULT struct db_result *counts = NULL;

    *out_false = 0;
    for (size_t i = 0; i < CHECK_COUNT; i++) {
        const struct db_statement *check = check_at(i);
        bool holds;

        if (!run_check(ctl, check, campaign, &holds, err)) {
            return false;
        }
        *out_false += !holds;
    }
    if (!db_query(ctl->db, &count_rows, (struct db_value[]){ db_int8(campaign) }, &counts, err)) {
        return false;
    }
    printf("%zu checks over %s campaigns, %s recipients, %s accounts: %s\n", CHECK_COUNT,
           ctl_number(ctl, db_get_int(counts, 0, 0)), ctl_number(ctl, db_get_int(counts, 0, 1)),
           ctl_number(ctl, db_get_int(counts, 0, 2)), *out_false == 0 ? "all true" : "NOT TRUE");
    return true;
}

static bool verify(struct ctl *ctl, struct err *err)
{
    struct db *db;
    int64_t campaign = 0;
    size_t falses;

    if ((ctl->argument_count > 0 && !ctl_campaign_id(ctl->arguments[0], &campaign, err)) ||
        !ctl_db(ctl, &db, err) || !db_begin(db, err) ||
        !db_script(db, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY", err) ||
        !run_checks(ctl, campaign, &falses, err)) {
        return false;
    }
    db_rollback(db);
    return falses == 0 ||
           err_permanent(err, "not_true", "%zu of %zu checks are not true", falses, CHECK_COUNT);
}

const struct command verify_command = {
    .name = "verify",
    .arguments = "[CAMPAIGN]",
    .arguments_max = 1,
    .summary = "Prove from the rows that recipients and tokens add up",
    .run = verify,
};
