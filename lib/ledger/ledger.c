/*
 * ledger - each movement is one entry, and the sums move with it
 *
 * The entry is inserted first and its uniqueness (account, kind, reference) decides whether the
 * sums move at all: every statement below takes its amounts from the entry it just inserted, so a
 * repeated call finds nothing to add. Lots and holds change only under the lock of their account's
 * balance, which is taken first: whoever waits for it holds nothing that another waits for.
 */
#include "ledger/ledger.h"

#include "base/id.h"

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

static const struct db_statement grant_lot = {
    "ledger_grant",
    "WITH entry AS ("
    "    INSERT INTO ledger_entries (account_id, kind, debit, credit, amount, reference)"
    "    VALUES ($1, 'grant', 'source', 'available', $2, $3)"
    "    ON CONFLICT ON CONSTRAINT ledger_entries_once DO NOTHING"
    "    RETURNING amount),"
    " lot AS ("
    "    INSERT INTO token_lots (id, account_id, granted, available, reference, expires_at)"
    "    SELECT $4, $1, amount, amount, $3, $5 FROM entry)"
    " INSERT INTO token_balances AS b (account_id, granted, available)"
    " SELECT $1, amount, amount FROM entry"
    " ON CONFLICT ON CONSTRAINT token_balances_pkey DO UPDATE"
    "    SET granted = b.granted + excluded.granted, available = b.available + excluded.available",
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
    if (!db_run(db, &grant_lot,
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

static const struct db_statement lock_balance = {
    "ledger_lock_balance",
    "SELECT FROM token_balances WHERE account_id = $1 FOR UPDATE",
    1,
};

static bool lock_account(struct db *db, int64_t account, struct err *err)
{
    AUTO_DB_RESULT struct db_result *locked = NULL;

    return db_query(db, &lock_balance, (struct db_value[]){ db_int8(account) }, &locked, err);
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

static const struct db_statement take_hold = {
    "ledger_take_hold",
    "WITH entry AS ("
    "    INSERT INTO ledger_entries (account_id, kind, debit, credit, amount, reference, hold_id)"
    "    VALUES ($1, 'hold', 'available', 'reserved', $3, $2::bigint::text, $2)"
    "    ON CONFLICT ON CONSTRAINT ledger_entries_once DO NOTHING"
    "    RETURNING amount),"
    " hold AS ("
    "    INSERT INTO token_holds (id, account_id, amount) SELECT $2, $1, amount FROM entry),"
    " running AS ("
    "    SELECT id, least(available, greatest(0, $3 - (sum(available) OVER spending - available)))"
    "               AS take"
    "      FROM token_lots"
    "     WHERE account_id = $1 AND available > 0 AND (expires_at IS NULL OR expires_at > $4)"
    "    WINDOW spending AS (ORDER BY expires_at NULLS LAST, id)),"
    " lots AS ("
    "    UPDATE token_lots SET available = available - take"
    "      FROM running, entry"
    "     WHERE token_lots.id = running.id AND take > 0"
    " RETURNING token_lots.id, take),"
    " drawn AS ("
    "    INSERT INTO token_hold_lots (hold_id, lot_id, amount) SELECT $2, id, take FROM lots)"
    " UPDATE token_balances SET available = available - amount, reserved = reserved + amount"
    "   FROM entry"
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

    if (!lock_account(db, account, err) ||
        !db_query(db, &look_before_hold,
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

static const struct db_statement capture_hold = {
    "ledger_capture",
    "WITH entry AS ("
    "    INSERT INTO ledger_entries (account_id, kind, debit, credit, amount, reference, hold_id)"
    "    VALUES ($1, 'capture', 'reserved', 'spent', $3, $4, $2)"
    "    ON CONFLICT ON CONSTRAINT ledger_entries_once DO NOTHING"
    "    RETURNING amount),"
    " hold AS ("
    "    UPDATE token_holds SET captured = captured + e.n FROM entry e(n) WHERE id = $2)"
    " UPDATE token_balances SET reserved = reserved - e.n, spent = spent + e.n"
    "   FROM entry e(n)"
    "  WHERE account_id = $1",
    4
};

/* Gives back to the lots that expire last, so that what was spent is what expires first. */
static const struct db_statement release_hold = {
    "ledger_release",
    "WITH entry AS ("
    "    INSERT INTO ledger_entries (account_id, kind, debit, credit, amount, reference, hold_id)"
    "    VALUES ($1, 'release', 'reserved', 'available', $3, $4, $2)"
    "    ON CONFLICT ON CONSTRAINT ledger_entries_once DO NOTHING"
    "    RETURNING amount),"
    " hold AS ("
    "    UPDATE token_holds SET released = released + e.n FROM entry e(n) WHERE id = $2),"
    " running AS ("
    "    SELECT lot_id, least(d.amount, greatest(0, $3 - (sum(d.amount) OVER giving - d.amount)))"
    "               AS give"
    "      FROM token_hold_lots d JOIN token_lots l ON l.id = d.lot_id"
    "     WHERE d.hold_id = $2 AND d.amount > 0"
    "    WINDOW giving AS (ORDER BY l.expires_at DESC NULLS FIRST, l.id DESC)),"
    " drawn AS ("
    "    UPDATE token_hold_lots d SET amount = d.amount - give"
    "      FROM running r, entry"
    "     WHERE d.hold_id = $2 AND d.lot_id = r.lot_id AND give > 0"
    " RETURNING d.lot_id, give),"
    " lots AS ("
    "    UPDATE token_lots SET available = available + give FROM drawn WHERE id = lot_id)"
    " UPDATE token_balances SET reserved = reserved - e.n, available = available + e.n"
    "   FROM entry e(n)"
    "  WHERE account_id = $1",
    4
};

static const struct db_statement find_rest = {
    "ledger_find_rest",
    "SELECT amount - captured - released FROM token_holds WHERE id = $1 AND account_id = $2",
    2,
};

/* Locks the account and says what is left of a hold; *out_found false when there is none. */
static bool lock_hold(struct db *db, int64_t account, int64_t hold, int64_t *out_rest,
                      bool *out_found, struct err *err)
{
    AUTO_DB_RESULT struct db_result *found = NULL;

    if (!lock_account(db, account, err) ||
        !db_query(db, &find_rest, (struct db_value[]){ db_int8(hold), db_int8(account) }, &found,
                  err)) {
        return false;
    }
    *out_found = db_rows(found) > 0;
    *out_rest = *out_found ? db_get_int(found, 0, 0) : 0;
    return true;
}

bool ledger_settle(struct db *db, int64_t account, int64_t hold, const char *reference,
                   int64_t capture, int64_t release, int64_t now_ms, struct err *err)
{
    struct db_value values[] = { db_int8(account), db_int8(hold), db_int8(release),
                                 db_text(reference) };
    int64_t rest;
    bool found;

    (void)now_ms;
    if (capture <= 0 && release <= 0) {
        return true;
    }
    if (!lock_hold(db, account, hold, &rest, &found, err)) {
        return false;
    }
    if (!found) {
        return err_permanent(err, "hold_unknown", "no tokens are held under %lld", (long long)hold);
    }
    if (release > 0 && !db_run(db, &release_hold, values, NULL, err)) {
        return false;
    }
    values[2] = db_int8(capture);
    return capture <= 0 || db_run(db, &capture_hold, values, NULL, err);
}

bool ledger_close(struct db *db, int64_t account, int64_t hold, const char *reference, int64_t keep,
                  int64_t now_ms, struct err *err)
{
    int64_t rest;
    bool found;

    if (!lock_hold(db, account, hold, &rest, &found, err)) {
        return false;
    }
    /* Without a hold nothing was ever reserved. */
    return !found || ledger_settle(db, account, hold, reference, 0, rest - keep, now_ms, err);
}

/*
 * A lot that gets tokens back after its time expires again: the transaction tells the times apart.
 * Accounts that are locked have their turn next time.
 */
static const struct db_statement expire_lots = {
    "ledger_expire",
    "WITH due AS ("
    "    SELECT l.id, l.account_id, l.available"
    "      FROM token_lots l JOIN token_balances b ON b.account_id = l.account_id"
    "     WHERE l.available > 0 AND l.expires_at <= $1"
    "     ORDER BY l.expires_at, l.id LIMIT $2 FOR UPDATE OF b, l SKIP LOCKED),"
    " lots AS ("
    "    UPDATE token_lots SET available = 0 FROM due WHERE token_lots.id = due.id"
    "    RETURNING due.account_id, due.available, token_lots.id),"
    " entries AS ("
    "    INSERT INTO ledger_entries (account_id, kind, debit, credit, amount, reference)"
    "    SELECT account_id, 'expire', 'available', 'expired', available,"
    "           id::text || ' ' || pg_current_xact_id()::text"
    "      FROM lots"
    "    RETURNING account_id, amount),"
    " sums AS (SELECT account_id, sum(amount)::bigint AS n FROM entries GROUP BY account_id),"
    " booked AS ("
    "    UPDATE token_balances b SET available = available - n, expired = expired + n"
    "      FROM sums WHERE b.account_id = sums.account_id)"
    " SELECT count(*) FROM lots",
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
