/*
 * verify_calls - what is claimed of calls: each ended once, and cost what its recipient was charged
 *
 * What is held for a recipient stays held while it is called. At its end captured is what its calls
 * cost, at most what was held, and the rest is released; a recipient that is to be called again has
 * calls that are not paid yet.
 */
#include "verify.h"

#define IF_WANTED(column) " ($1::bigint = 0 OR " column " = $1::bigint) "

/* Sums over the calls of each recipient. */
#define SUMS                                                                                       \
    "sums AS ("                                                                                    \
    "  SELECT campaign_id, seq, sum(tokens) AS tokens, sum(cost_e4) AS cost_e4,"                   \
    "         count(*) FILTER (WHERE word = 'completed') AS answered"                              \
    "    FROM calls k WHERE" IF_WANTED("k.campaign_id") "GROUP BY 1, 2)"

#define ODD_TOKENS                                                                                 \
    "WITH " SUMS ","                                                                               \
    " paid AS ("                                                                                   \
    "  SELECT r.campaign_id, r.batch, sum(r.segments) AS held,"                                    \
    "         sum(least(coalesce(s.tokens, 0), r.segments)) AS captured"                           \
    "    FROM recipients r JOIN voice_campaigns v ON v.campaign_id = r.campaign_id"                \
    "         LEFT JOIN sums s ON s.campaign_id = r.campaign_id AND s.seq = r.seq"                 \
    "   WHERE r.state IN (4, 5, 6) AND r.batch IS NOT NULL AND" IF_WANTED(                         \
        "r.campaign_id") "   GROUP BY 1, 2)"                                                       \
                         " SELECT b.campaign_id, 'batch ' || b.batch || ': ' || b.captured || ' "  \
                         "captured and '"                                                          \
                         "        || b.released || ' released, calls say ' || "                    \
                         "coalesce(p.captured, 0) || ' and '"                                      \
                         "        || coalesce(p.held - p.captured, 0)"                             \
                         "   FROM batches b JOIN voice_campaigns v ON v.campaign_id = "            \
                         "b.campaign_id"                                                           \
                         "        LEFT JOIN paid p ON p.campaign_id = b.campaign_id AND p.batch "  \
                         "= b.batch"                                                               \
                         "  WHERE (b.captured <> coalesce(p.captured, 0)"                          \
                         "         OR b.released <> coalesce(p.held - p.captured, 0)) "            \
                         "AND" IF_WANTED("b.campaign_id")

#define ODD_SUMS                                                                                   \
    "WITH " SUMS " SELECT s.campaign_id, 'row ' || s.seq || ': '"                                  \
    "        || CASE WHEN r.seq IS NULL THEN 'calls without a recipient'"                          \
    "                WHEN s.tokens > r.segments THEN s.tokens || ' tokens of ' || r.segments"      \
    "                ELSE s.cost_e4 || ' is the cost of its calls, its own '"                      \
    "                     || coalesce(r.cost_e4, 0) END"                                           \
    "   FROM sums s LEFT JOIN recipients r ON r.campaign_id = s.campaign_id AND r.seq = s.seq"     \
    "  WHERE r.seq IS NULL OR s.tokens > r.segments"                                               \
    "     OR least(s.cost_e4, 2147483647) <> coalesce(r.cost_e4, 0)"

#define ODD_COSTS                                                                                  \
    "WITH " SUMS                                                                                   \
    " SELECT b.campaign_id, b.cost_e4 || ' is the cost of its batches, of its calls '"             \
    "        || coalesce(s.cost_e4, 0)"                                                            \
    "   FROM (SELECT x.campaign_id, sum(x.cost_e4) AS cost_e4"                                     \
    "           FROM batches x JOIN voice_campaigns v ON v.campaign_id = x.campaign_id"            \
    "          WHERE" IF_WANTED("x.campaign_id") "GROUP BY 1) b"                                   \
                                                 "   LEFT JOIN (SELECT campaign_id, sum(cost_e4) " \
                                                 "AS cost_e4 FROM sums GROUP BY 1) s"              \
                                                 "     ON s.campaign_id = b.campaign_id"           \
                                                 "  WHERE b.cost_e4 <> coalesce(s.cost_e4, 0)"

/* Only an answered call can be paid, or leave a recipient delivered. */
#define ODD_ENDS                                                                                   \
    "WITH " SUMS                                                                                   \
    " SELECT r.campaign_id, 'row ' || r.seq || ': delivered, but no call was answered'"            \
    "   FROM recipients r JOIN voice_campaigns v ON v.campaign_id = r.campaign_id"                 \
    "        LEFT JOIN sums s ON s.campaign_id = r.campaign_id AND s.seq = r.seq"                  \
    "  WHERE r.state = 4 AND coalesce(s.answered, 0) = 0 AND" IF_WANTED(                           \
        "r.campaign_id") " UNION ALL"                                                              \
                         " SELECT k.campaign_id, 'row ' || k.seq || ': ' || k.tokens || ' tokens " \
                         "for a call that was '"                                                   \
                         "        || k.word"                                                       \
                         "   FROM calls k WHERE k.tokens <> 0 AND k.word <> 'completed' "          \
                         "AND" IF_WANTED("k.campaign_id")

const struct db_statement verify_calls[] = {
    { "batches: tokens captured are what their recipients' calls cost, the rest is released",
      ODD_TOKENS, 1 },
    { "calls: each has a recipient, who pays no more than was held and has their cost", ODD_SUMS,
      1 },
    { "calls: what they cost us is what their batches say", ODD_COSTS, 1 },
    { "calls: recipients delivered have answered, and only answered calls cost tokens", ODD_ENDS,
      1 },
};
const size_t verify_calls_count = sizeof verify_calls / sizeof *verify_calls;
