/*
 * entry - the SQL that movements of tokens share: the next entry of a chain, and lots drawn on
 *
 *     "WITH entry AS (" LEDGER_ENTRY("grant", "source", "available", "$2", "$3", "NULL", "NULL",
 *                                    "NULL", "NULL") ")"
 *     " UPDATE token_balances SET granted = granted + e.amount, " LEDGER_HEAD
 *     "   FROM entry e WHERE account_id = $1"
 *
 * $1 is the account, whose balance must be locked by an earlier statement of the transaction: the
 * head is read as it was when this statement began. A known reference gives no entry, and whatever
 * takes its amount from entry then changes nothing.
 */
#ifndef LEDGER_ENTRY_H
#define LEDGER_ENTRY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "db/db.h"

#define LEDGER_ENTRY(kind, debit, credit, amount, reference, hold, peer, detail, actor)            \
    "INSERT INTO ledger_entries (account_id, kind, debit, credit, amount, reference, hold_id,"     \
    "                            peer_id, detail, actor, created_at, position, previous, hash)"    \
    " SELECT $1, '" kind "', '" debit "', '" credit "', " amount "::bigint, " reference            \
    "::text, " hold "::bigint, " peer "::bigint, " detail "::text, " actor                         \
    "::text, now(), b.head_position + 1, b.head_hash,"                                             \
    "        ledger_hash($1, b.head_position + 1, b.head_hash,"                                    \
    "                    ledger_line(now(), '" kind "', '" debit "', '" credit "', " amount        \
    "::bigint, " hold "::bigint, " peer "::bigint, " reference "::text, " detail "::text, " actor  \
    "::text))"                                                                                     \
    "   FROM token_balances b WHERE b.account_id = $1"                                             \
    " ON CONFLICT ON CONSTRAINT ledger_entries_once DO NOTHING"                                    \
    " RETURNING amount, position, hash"

/* The entry e is the head now. */
#define LEDGER_HEAD "head_position = e.position, head_hash = e.hash"

/* Draws the amount from lots that are valid at the time $at, those that expire first. Gives lots.
 */
#define LEDGER_DRAW(amount, at)                                                                    \
    " running AS ("                                                                                \
    "    SELECT id, least(available, greatest(0, " amount                                          \
    "                                          - (sum(available) OVER spending - available)))"     \
    "               AS take"                                                                       \
    "      FROM token_lots"                                                                        \
    "     WHERE account_id = $1 AND available > 0 AND (expires_at IS NULL OR expires_at > " at ")" \
    "    WINDOW spending AS (ORDER BY expires_at NULLS LAST, id)),"                                \
    " lots AS ("                                                                                   \
    "    UPDATE token_lots SET available = available - take"                                       \
    "      FROM running, entry"                                                                    \
    "     WHERE token_lots.id = running.id AND take > 0"                                           \
    " RETURNING token_lots.id, token_lots.expires_at, take)"

/*
 * Gives the amount back to the lots that the hold drew on, those that expire last first, so that
 * what was spent is what expires first. Gives drawn (lot_id, give).
 */
#define LEDGER_GIVE_BACK(amount, hold)                                                             \
    " running AS ("                                                                                \
    "    SELECT lot_id, least(d.amount, greatest(0, " amount                                       \
    "                                              - (sum(d.amount) OVER giving - d.amount)))"     \
    "               AS give"                                                                       \
    "      FROM token_hold_lots d JOIN token_lots l ON l.id = d.lot_id"                            \
    "     WHERE d.hold_id = " hold " AND d.amount > 0"                                             \
    "    WINDOW giving AS (ORDER BY l.expires_at DESC NULLS FIRST, l.id DESC)),"                   \
    " drawn AS ("                                                                                  \
    "    UPDATE token_hold_lots d SET amount = d.amount - give"                                    \
    "      FROM running r, entry"                                                                  \
    "     WHERE d.hold_id = " hold " AND d.lot_id = r.lot_id AND give > 0"                         \
    " RETURNING d.lot_id, give),"                                                                  \
    " lots AS ("                                                                                   \
    "    UPDATE token_lots SET available = available + give FROM drawn WHERE id = lot_id)"

/* Locks an account's balance until the commit. Without one nothing is locked: *out_found is false.
 */
bool ledger_lock(struct db *db, int64_t account, bool *out_found, struct err *err);

/* The same, for tokens that come: makes the balance unless there is one; or account_unknown. */
bool ledger_lock_or_open(struct db *db, int64_t account, struct err *err);

/* What may be used of an account, asked under its lock. */
bool ledger_usable(struct db *db, int64_t account, int64_t now_ms, int64_t *out_tokens,
                   struct err *err);

/* A reference, a reason and who it was are of a sane length; detail and actor may be NULL. */
bool ledger_check_words(const char *reference, const char *detail, const char *actor,
                        struct err *err);

#endif
