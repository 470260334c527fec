/*
 * ledger - each movement is one entry, and the sums move with it
 *
 * The entry is inserted first and its uniqueness (account, kind, reference) decides whether the
 * sums move at all: every statement below takes its amounts from the entry it just inserted, so a
 * repeated call finds nothing to add. Lots, holds and the head of the chain change only under the
 * lock of their account's balance, which is taken first: whoever waits for it holds nothing that
 * another waits for.
 */
#include "ledger/ledger.h"

#include <string.h>

#include "base/id.h"
#include "ledger/entry.h"

#define REFERENCE_BYTES_MAX 200
#define DETAIL_BYTES_MAX 500
#define ACTOR_BYTES_MAX 200

static const struct db_statement balance_of = {
    "ledger_balance",
    "SELECT granted, available, reserved, spent, expired, transferred"
    "  FROM token_balances"
    " WHERE account_id = $1",
    1
};

bool ledger_balance(struct db *db, int64_t account, struct ledger_balance *out_balance,
                    struct err *err)
{
    AUTO_DB_RESULT struct db_result *found = NULL;

    if (!db_query(db, &balance_of, (struct db_value[]){ db_int8(account) }, &found, err)) {
        return false;
    }
    struct ledger_balance balance = { 0 };
    if (db_rows(found) > 0) {
        balance = (struct ledger_balance){
            .granted = db_get_int(found, 0, 0),
            .available = db_get_int(found, 0, 1),
            .reserved = db_get_int(found, 0, 2),
            .spent = db_get_int(found, 0, 3),
            .expired = db_get_int(found, 0, 4),
            .transferred = db_get_int(found, 0, 5),
        };
    }
    *out_balance = balance;
    return true;
}

static const struct db_statement lock_balance = {
    "ledger_lock_balance",
    "SELECT FROM token_balances WHERE account_id = $1 FOR UPDATE",
    1,
};

bool ledger_lock(struct db *db, int64_t account, bool *out_found, struct err *err)
{
    AUTO_DB_RESULT struct db_result *locked = NULL;

    if (!db_query(db, &lock_balance, (struct db_value[]){ db_int8(account) }, &locked, err)) {
        return false;
    }
    *out_found = db_rows(locked) > 0;
    return true;
}

static const struct db_statement open_balance = {
    "ledger_open_balance",
    "INSERT INTO token_balances (account_id) SELECT id FROM accounts WHERE id = $1"
    " ON CONFLICT ON CONSTRAINT token_balances_pkey DO NOTHING",
    1,
};

bool ledger_lock_or_open(struct db *db, int64_t account, struct err *err)
{
    bool found;

    if (!ledger_lock(db, account, &found, err)) {
        return false;
    }
    if (!found && (!db_run(db, &open_balance, (struct db_value[]){ db_int8(account) }, NULL, err) ||
                   !ledger_lock(db, account, &found, err))) {
        return false;
    }
    return found ||
           err_permanent(err, "account_unknown", "there is no account %lld", (long long)account);
}

bool ledger_check_words(const char *reference, const char *detail, const char *actor,
                        struct err *err)
{
    const struct {
        const char *name, *text;
        size_t least, most;
    } words[] = { { "reference", reference, 1, REFERENCE_BYTES_MAX },
                  { "reason", detail, 0, DETAIL_BYTES_MAX },
                  { "actor", actor, 0, ACTOR_BYTES_MAX } };

    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        size_t len = words[i].text ? strlen(words[i].text) : 0;

        if (len < words[i].least || len > words[i].most) {
            return err_permanent(err, "bad_words", "%s: %zu bytes; must be %zu to %zu",
                                 words[i].name, len, words[i].least, words[i].most);
        }
    }
    return true;
}

#define GRANT_ENTRY                                                                                \
    LEDGER_ENTRY("grant", "source", "available", "$2", "$3", "NULL", "NULL", "NULL", "NULL")

static const struct db_statement grant_lot = {
    "ledger_grant",
    "WITH entry AS (" GRANT_ENTRY "),"
    " lot AS ("
    "    INSERT INTO token_lots (id, account_id, granted, available, reference, expires_at)"
    "    SELECT $4, $1, amount, amount, $3, $5 FROM entry)"
    " UPDATE token_balances SET granted = granted + e.amount, available = available + e.amount,"
    "       " LEDGER_HEAD "   FROM entry e"
    "  WHERE account_id = $1",
    5
};

bool ledger_grant(struct db *db, int64_t account, int64_t tokens, const char *reference,
                  int64_t expires_ms, int64_t now_ms, bool *out_new, struct err *err)
{
    int64_t rows;

    if (tokens <= 0) {
        return err_permanent(err, "tokens_not_positive", "tokens: %lld; must be 1 or more",
                             (long long)tokens);
    }
    if (!ledger_lock_or_open(db, account, err) ||
        !db_run(db, &grant_lot,
                (struct db_value[]){ db_int8(account), db_int8(tokens), db_text(reference),
                                     db_int8(id_create(now_ms)), db_time(expires_ms) },
                &rows, err)) {
        return false;
    }
    if (out_new) {
        *out_new = rows > 0;
    }
    return true;
}

static const struct db_statement sum_usable = {
    "ledger_usable",
    "SELECT coalesce(sum(available), 0)::bigint FROM token_lots"
    " WHERE account_id = $1 AND available > 0 AND (expires_at IS NULL OR expires_at > $2)",
    2,
};

bool ledger_usable(struct db *db, int64_t account, int64_t now_ms, int64_t *out_tokens,
                   struct err *err)
{
    AUTO_DB_RESULT struct db_result *found = NULL;

    if (!db_query(db, &sum_usable, (struct db_value[]){ db_int8(account), db_time(now_ms) }, &found,
                  err)) {
        return false;
    }
    *out_tokens = db_get_int(found, 0, 0);
    return true;
}

/* Asked under the lock: a statement sees only what was committed when it began. */
static const struct db_statement look_before_hold = {
    "ledger_look_before_hold",
    "SELECT EXISTS (SELECT FROM token_holds WHERE id = $2),"
    "       (SELECT coalesce(sum(available), 0)::bigint FROM token_lots"
    "         WHERE account_id = $1 AND available > 0"
    "           AND (expires_at IS NULL OR expires_at > $3))",
    3
};

#define HOLD_DRAW LEDGER_DRAW("$3", "$4")
#define HOLD_ENTRY                                                                                 \
    LEDGER_ENTRY("hold", "available", "reserved", "$3", "$2::bigint", "$2", "NULL", "NULL", "NULL")

static const struct db_statement take_hold = {
    "ledger_take_hold",
    "WITH entry AS (" HOLD_ENTRY "),"
    " hold AS ("
    "    INSERT INTO token_holds (id, account_id, amount) SELECT $2, $1, amount FROM "
    "entry)," HOLD_DRAW ","
    " drawn AS ("
    "    INSERT INTO token_hold_lots (hold_id, lot_id, amount) SELECT $2, id, take FROM lots)"
    " UPDATE token_balances SET available = available - e.amount, reserved = reserved + e.amount,"
    "       " LEDGER_HEAD "   FROM entry e"
    "  WHERE account_id = $1",
    4
};

bool ledger_hold(struct db *db, int64_t account, int64_t hold, int64_t tokens, int64_t now_ms,
                 struct ledger_held *out_held, struct err *err)
{
    AUTO_DB_RESULT struct db_result *before = NULL;
    struct db_value values[] = { db_int8(account), db_int8(hold), db_int8(tokens),
                                 db_time(now_ms) };
    int64_t available;
    bool found;

    if (!ledger_lock(db, account, &found, err)) {
        return false;
    }
    if (!found) { /* nothing is locked: whatever comes in this moment comes too late */
        *out_held = (struct ledger_held){ .missing = tokens };
        return true;
    }
    if (!db_query(db, &look_before_hold,
                  (struct db_value[]){ db_int8(account), db_int8(hold), db_time(now_ms) }, &before,
                  err)) {
        return false;
    }
    available = db_get_int(before, 0, 1);
    if (!db_get_bool(before, 0, 0)) {
        if (available < tokens) {
            *out_held = (struct ledger_held){ .missing = tokens - available };
            return true;
        }
        if (!db_run(db, &take_hold, values, NULL, err)) {
            return false;
        }
    }
    *out_held = (struct ledger_held){ .held = true };
    return true;
}

#define CAPTURE_ENTRY                                                                              \
    LEDGER_ENTRY("capture", "reserved", "spent", "$3", "$4", "$2", "NULL", "NULL", "NULL")

static const struct db_statement capture_hold = {
    "ledger_capture",
    "WITH entry AS (" CAPTURE_ENTRY "),"
    " hold AS ("
    "    UPDATE token_holds SET captured = captured + e.amount FROM entry e WHERE id = $2)"
    " UPDATE token_balances SET reserved = reserved - e.amount, spent = spent + e.amount,"
    "       " LEDGER_HEAD "   FROM entry e"
    "  WHERE account_id = $1",
    4
};

#define GIVE_BACK LEDGER_GIVE_BACK("$3", "$2")
#define RELEASE_ENTRY                                                                              \
    LEDGER_ENTRY("release", "reserved", "available", "$3", "$4", "$2", "NULL", "NULL", "NULL")

static const struct db_statement release_hold = {
    "ledger_release",
    "WITH entry AS (" RELEASE_ENTRY "),"
    " hold AS ("
    "    UPDATE token_holds SET released = released + e.amount FROM entry e WHERE id = "
    "$2)," GIVE_BACK
    " UPDATE token_balances SET reserved = reserved - e.amount, available = available + e.amount,"
    "       " LEDGER_HEAD "   FROM entry e"
    "  WHERE account_id = $1",
    4
};

static const struct db_statement find_rest = {
    "ledger_find_rest",
    "SELECT amount - captured - released FROM token_holds WHERE id = $1 AND account_id = $2",
    2,
};

/* Says what is left of a hold, under the account's lock; *out_found false when there is none. */
static bool find_hold(struct db *db, int64_t account, int64_t hold, int64_t *out_rest,
                      bool *out_found, struct err *err)
{
    AUTO_DB_RESULT struct db_result *found = NULL;

    if (!db_query(db, &find_rest, (struct db_value[]){ db_int8(hold), db_int8(account) }, &found,
                  err)) {
        return false;
    }
    *out_found = db_rows(found) > 0;
    *out_rest = *out_found ? db_get_int(found, 0, 0) : 0;
    return true;
}

/* One question for both: a hold that was seen is never gone again. */
static const struct db_statement lock_and_look = {
    "ledger_lock_and_look",
    "SELECT EXISTS (SELECT FROM token_holds WHERE id = $2 AND account_id = $1)"
    "  FROM token_balances"
    " WHERE account_id = $1"
    "   FOR UPDATE",
    2
};

/* Locks the account; fails with hold_unknown. */
static bool lock_hold(struct db *db, int64_t account, int64_t hold, struct err *err)
{
    AUTO_DB_RESULT struct db_result *locked = NULL;
    int64_t rest;
    bool found;

    if (!db_query(db, &lock_and_look, (struct db_value[]){ db_int8(account), db_int8(hold) },
                  &locked, err)) {
        return false;
    }
    found = db_rows(locked) > 0 && db_get_bool(locked, 0, 0);
    /* Not seen may be made while we waited for the lock, if there was one to wait for. */
    if (!found && db_rows(locked) > 0 && !find_hold(db, account, hold, &rest, &found, err)) {
        return false;
    }
    return found ||
           err_permanent(err, "hold_unknown", "no tokens are held under %lld", (long long)hold);
}

bool ledger_settle(struct db *db, int64_t account, int64_t hold, const char *reference,
                   int64_t capture, int64_t release, int64_t now_ms, struct err *err)
{
    struct db_value values[] = { db_int8(account), db_int8(hold), db_int8(release),
                                 db_text(reference) };

    (void)now_ms;
    if (capture <= 0 && release <= 0) {
        return true;
    }
    if (!lock_hold(db, account, hold, err) ||
        (release > 0 && !db_run(db, &release_hold, values, NULL, err))) {
        return false;
    }
    values[2] = db_int8(capture);
    return capture <= 0 || db_run(db, &capture_hold, values, NULL, err);
}

#define REFUND_ENTRY                                                                               \
    LEDGER_ENTRY("refund", "spent", "available", "$3", "$4", "$2", "NULL", "NULL", "NULL")

static const struct db_statement refund_hold = {
    "ledger_refund",
    "WITH entry AS (" REFUND_ENTRY "),"
    " hold AS ("
    "    UPDATE token_holds SET refunded = refunded + e.amount FROM entry e WHERE id = "
    "$2)," GIVE_BACK ","
    " rest AS ("
    "    SELECT amount - coalesce((SELECT sum(give) FROM drawn), 0)::bigint AS n FROM entry),"
    " lot AS ("
    "    INSERT INTO token_lots (id, account_id, granted, available, reference)"
    "    SELECT $5, $1, n, n, 'refund ' || $4 FROM rest WHERE n > 0)"
    " UPDATE token_balances SET spent = spent - e.amount, available = available + e.amount,"
    "       " LEDGER_HEAD "   FROM entry e"
    "  WHERE account_id = $1",
    5
};

bool ledger_refund(struct db *db, int64_t account, int64_t hold, const char *reference,
                   int64_t tokens, int64_t now_ms, struct err *err)
{
    if (tokens <= 0) {
        return true;
    }
    return ledger_check_words(reference, NULL, NULL, err) && lock_hold(db, account, hold, err) &&
           db_run(db, &refund_hold,
                  (struct db_value[]){ db_int8(account), db_int8(hold), db_int8(tokens),
                                       db_text(reference), db_int8(id_create(now_ms)) },
                  NULL, err);
}

bool ledger_close(struct db *db, int64_t account, int64_t hold, const char *reference, int64_t keep,
                  int64_t now_ms, struct err *err)
{
    int64_t rest;
    bool found;

    if (!ledger_lock(db, account, &found, err) ||
        (found && !find_hold(db, account, hold, &rest, &found, err))) {
        return false;
    }
    /* Without a hold nothing was ever reserved. */
    return !found || ledger_settle(db, account, hold, reference, 0, rest - keep, now_ms, err);
}

#define EXPIRY_REFERENCE "d.id::text || ' ' || pg_current_xact_id()::text"
#define EXPIRY_LINE                                                                                \
    "ledger_line(now(), 'expire', 'available', 'expired', d.available, NULL, "                     \
    "NULL, " EXPIRY_REFERENCE ", NULL, NULL)"

/*
 * A lot that gets tokens back after its time expires again: the transaction tells the times apart.
 * The account whose lot is due longest has its turn, unless it is locked: then the next one has.
 * Several lots of an account are linked one after the other, beginning at the head.
 */
static const struct db_statement expire_lots = {
    "ledger_expire",
    "WITH RECURSIVE turn AS ("
    "    SELECT b.account_id"
    "      FROM token_lots l JOIN token_balances b ON b.account_id = l.account_id"
    "     WHERE l.available > 0 AND l.expires_at <= $1"
    "     ORDER BY l.expires_at, l.id LIMIT 1 FOR UPDATE OF b SKIP LOCKED),"
    " locked AS ("
    "    SELECT l.id, l.account_id, l.available, b.head_position, b.head_hash"
    "      FROM turn t JOIN token_balances b ON b.account_id = t.account_id"
    "           JOIN token_lots l ON l.account_id = t.account_id"
    "     WHERE l.available > 0 AND l.expires_at <= $1"
    "     ORDER BY l.expires_at, l.id LIMIT $2 FOR UPDATE OF b, l),"
    " due AS ("
    "    SELECT *, row_number() OVER (PARTITION BY account_id ORDER BY id) AS nr FROM locked),"
    " chain AS ("
    "    SELECT d.*, d.head_hash AS previous,"
    "           ledger_hash(d.account_id, d.head_position + d.nr, d.head_hash, " EXPIRY_LINE
    "                      ) AS hash"
    "      FROM due d WHERE d.nr = 1"
    "    UNION ALL"
    "    SELECT d.*, c.hash,"
    "           ledger_hash(d.account_id, d.head_position + d.nr, c.hash, " EXPIRY_LINE ")"
    "      FROM chain c JOIN due d ON d.account_id = c.account_id AND d.nr = c.nr + 1),"
    " lots AS (UPDATE token_lots SET available = 0 FROM locked d WHERE token_lots.id = d.id),"
    " entries AS ("
    "    INSERT INTO ledger_entries (account_id, kind, debit, credit, amount, reference, "
    "created_at,"
    "                                position, previous, hash)"
    "    SELECT d.account_id, 'expire', 'available', 'expired', d.available, " EXPIRY_REFERENCE ","
    "           now(), d.head_position + d.nr, d.previous, d.hash"
    "      FROM chain d"
    "    RETURNING account_id, amount, position, hash),"
    " sums AS ("
    "    SELECT account_id, sum(amount)::bigint AS n, max(position) AS position,"
    "           (array_agg(hash ORDER BY position DESC))[1] AS hash"
    "      FROM entries GROUP BY account_id),"
    " booked AS ("
    "    UPDATE token_balances b SET available = available - n, expired = expired + n,"
    "           " LEDGER_HEAD "      FROM sums e WHERE b.account_id = e.account_id)"
    " SELECT count(*) FROM entries",
    2
};

bool ledger_expire(struct db *db, int64_t now_ms, int limit, int64_t *out_lots, struct err *err)
{
    AUTO_DB_RESULT struct db_result *expired = NULL;

    if (!db_query(db, &expire_lots, (struct db_value[]){ db_time(now_ms), db_int8(limit) },
                  &expired, err)) {
        return false;
    }
    if (out_lots) {
        *out_lots = db_get_int(expired, 0, 0);
    }
    return true;
}
