/*
 * verify_payments - what is claimed of money: credited once when it was paid, and never otherwise
 *
 * The ledger says what was granted, the receipts say for what; a purchase and its payments must say
 * the same. Money that was paid back has "reversed" in all three, and its tokens are taken by
 * another entry.
 */
#include "verify.h"

#define PURCHASE_OF "'account ' || a.slug || ', ' || p.reference || ': ' || "

/* A purchase is granted, and subscribed to, when it is paid. */
#define ODD_GRANTS                                                                                 \
    "SELECT 0::bigint, " PURCHASE_OF "p.status || ', ' || p.tokens || ' tokens sold, '"            \
    "       || coalesce(e.amount::text, 'none') || ' granted'"                                     \
    "       || CASE WHEN s.id IS NULL THEN ', no subscription' ELSE '' END"                        \
    "  FROM purchases p JOIN accounts a ON a.id = p.account_id"                                    \
    "  LEFT JOIN ledger_entries e ON e.account_id = p.account_id AND e.kind = 'grant'"             \
    "                            AND e.reference = p.reference"                                    \
    "  LEFT JOIN subscriptions s ON s.account_id = p.account_id AND s.reference = p.reference"     \
    " WHERE CASE p.status"                                                                         \
    "       WHEN 'open' THEN e.amount IS NOT NULL OR s.id IS NOT NULL"                             \
    "       ELSE e.amount IS DISTINCT FROM p.tokens OR s.plan IS DISTINCT FROM p.plan END"

/* Under the reference of somebody else's purchase. */
#define STRAY_GRANTS                                                                               \
    "SELECT 0::bigint, 'account ' || a.slug || ': ' || e.amount || ' granted for ' || p.reference" \
    "       || ', which is another account''s'"                                                    \
    "  FROM purchases p JOIN ledger_entries e ON e.kind = 'grant' AND e.reference = p.reference"   \
    "       JOIN accounts a ON a.id = e.account_id"                                                \
    " WHERE e.account_id <> p.account_id"

/* What costs nothing has no receipt. */
#define ODD_RECEIPTS                                                                               \
    "WITH received AS ("                                                                           \
    "  SELECT purchase_id, count(*) FILTER (WHERE status = 'credited') AS credited,"               \
    "         count(*) FILTER (WHERE status = 'reversing') AS reversing,"                          \
    "         count(*) FILTER (WHERE status = 'reversed') AS reversed"                             \
    "    FROM payment_receipts WHERE purchase_id IS NOT NULL GROUP BY 1)"                          \
    " SELECT 0::bigint, " PURCHASE_OF "p.status || ', ' || coalesce(r.credited, 0)"                \
    "        || ' receipts credited'"                                                              \
    "   FROM purchases p JOIN accounts a ON a.id = p.account_id"                                   \
    "   LEFT JOIN received r ON r.purchase_id = p.id"                                              \
    "  WHERE coalesce(r.credited, 0) > (p.status = 'paid' AND p.amount_minor > 0)::int"            \
    "     OR (p.status = 'paid' AND p.amount_minor > 0"                                            \
    "         AND coalesce(r.credited + r.reversing, 0) = 0)"                                      \
    "     OR (p.status = 'reversed' AND coalesce(r.reversed, 0) = 0)"

#define LOOSE_RECEIPTS                                                                             \
    "SELECT 0::bigint, 'receipt ' || receipt || ': credited to nothing'"                           \
    "  FROM payment_receipts WHERE status = 'credited' AND purchase_id IS NULL"

/* What is paid has the receipt that says so, and is of the purchase that it paid. */
#define ODD_PAYMENTS                                                                               \
    "SELECT 0::bigint, " PURCHASE_OF "'its payment is ' || y.status || ' by '"                     \
    "       || coalesce(y.receipt, 'nothing') || ', the purchase is ' || p.status"                 \
    "       || CASE WHEN r.receipt IS NULL THEN '' ELSE ', ' || r.receipt || ' is '"               \
    "               || r.status END"                                                               \
    "  FROM payments y JOIN purchases p ON p.id = y.purchase_id"                                   \
    "       JOIN accounts a ON a.id = p.account_id"                                                \
    "       LEFT JOIN payment_receipts r ON r.receipt = y.receipt"                                 \
    " WHERE (y.status IN ('paid', 'reversed')) <> (y.receipt IS NOT NULL)"                         \
    "    OR y.account_id <> p.account_id"                                                          \
    "    OR (y.status IN ('paid', 'reversed')"                                                     \
    "        AND (p.status <> y.status OR r.payment_id IS DISTINCT FROM y.id"                      \
    "             OR r.purchase_id IS DISTINCT FROM p.id"                                          \
    "             OR CASE y.status WHEN 'paid' THEN r.status NOT IN ('credited', 'reversing')"     \
    "                              ELSE r.status <> 'reversed' END))"

/* And the other way round. */
#define UNPAID_PAYMENTS                                                                            \
    "SELECT 0::bigint, 'receipt ' || r.receipt || ': credited, its payment is ' || y.status"       \
    "       || ' by ' || coalesce(y.receipt, 'nothing')"                                           \
    "  FROM payment_receipts r JOIN payments y ON y.id = r.payment_id"                             \
    " WHERE r.status = 'credited'"                                                                 \
    "   AND (y.status <> 'paid' OR y.receipt IS DISTINCT FROM r.receipt"                           \
    "        OR y.purchase_id IS DISTINCT FROM r.purchase_id)"

const struct db_statement verify_payments[] = {
    { "purchases: what is paid has its tokens and its plan, once, and what is open has not",
      ODD_GRANTS, 0 },
    { "purchases: nobody else was granted tokens under their references", STRAY_GRANTS, 0 },
    { "purchases: what is paid and cost something has one credited receipt, what is open has none",
      ODD_RECEIPTS, 0 },
    { "receipts: what is credited paid a purchase", LOOSE_RECEIPTS, 0 },
    { "payments: each that is paid has its receipt, and its purchase is paid", ODD_PAYMENTS, 0 },
    { "receipts: the payment of each that is credited is paid by it", UNPAID_PAYMENTS, 0 },
};
const size_t verify_payments_count = sizeof verify_payments / sizeof *verify_payments;
