/*
 * adjust - an operator's corrections, each with a reason and a name
 */
#include "base/id.h"
#include "ledger/entry.h"
#include "ledger/ledger.h"

static const struct db_statement find_adjustment = {
    "ledger_find_adjustment",
    "SELECT CASE credit WHEN 'available' THEN amount ELSE -amount END = $3"
    "  FROM ledger_entries WHERE account_id = $1 AND kind = 'adjust' AND reference = $2",
    3,
};

static bool check_words(const struct ledger_adjustment *adjustment, struct err *err)
{
    if (adjustment->tokens == 0 || adjustment->tokens == INT64_MIN) {
        return err_permanent(err, "tokens_zero", "tokens: a correction adds or takes some");
    }
    if (!adjustment->reason || !*adjustment->reason || !adjustment->actor || !*adjustment->actor) {
        return err_permanent(err, "bad_words", "a correction needs a reason and who made it");
    }
    return ledger_check_words(adjustment->reference, adjustment->reason, adjustment->actor, err);
}

/* Whether just this correction is booked. */
static bool find_done(struct db *db, const struct ledger_adjustment *adjustment, bool *out_done,
                      struct err *err)
{
    AUTO_DB_RESULT struct db_result *found = NULL;

    if (!db_query(db, &find_adjustment,
                  (struct db_value[]){ db_int8(adjustment->account), db_text(adjustment->reference),
                                       db_int8(adjustment->tokens) },
                  &found, err)) {
        return false;
    }
    *out_done = db_rows(found) > 0;
    return !*out_done || db_get_bool(found, 0, 0) ||
           err_permanent(err, "reference_used", "%.80s is another correction's reference",
                         adjustment->reference);
}

#define MORE_ENTRY                                                                                 \
    LEDGER_ENTRY("adjust", "source", "available", "$2", "$3", "NULL", "NULL", "$4", "$5")

static const struct db_statement add = {
    "ledger_adjust_add",
    "WITH entry AS (" MORE_ENTRY "),"
    " lot AS ("
    "    INSERT INTO token_lots (id, account_id, granted, available, reference, expires_at)"
    "    SELECT $6, $1, amount, amount, 'adjust ' || $3, $7 FROM entry)"
    " UPDATE token_balances SET granted = granted + e.amount, available = available + e.amount,"
    "        " LEDGER_HEAD "   FROM entry e"
    "  WHERE account_id = $1",
    7
};

#define LESS_ENTRY                                                                                 \
    LEDGER_ENTRY("adjust", "available", "source", "$2", "$3", "NULL", "NULL", "$4", "$5")
#define LESS_DRAW LEDGER_DRAW("$2", "$6")

static const struct db_statement take = {
    "ledger_adjust_take",
    "WITH entry AS (" LESS_ENTRY ")," LESS_DRAW
    " UPDATE token_balances SET granted = granted - e.amount, available = available - e.amount,"
    "        " LEDGER_HEAD "   FROM entry e"
    "  WHERE account_id = $1",
    6
};

static bool book(struct db *db, const struct ledger_adjustment *adjustment, int64_t now_ms,
                 struct err *err)
{
    int64_t tokens = adjustment->tokens;
    struct db_value values[] = {
        db_int8(adjustment->account),    db_int8(tokens),
        db_text(adjustment->reference),  db_text(adjustment->reason),
        db_text(adjustment->actor),      db_int8(id_create(now_ms)),
        db_time(adjustment->expires_ms),
    };
    int64_t usable;

    if (tokens > 0) {
        return db_run(db, &add, values, NULL, err);
    }
    if (!ledger_usable(db, adjustment->account, now_ms, &usable, err)) {
        return false;
    }
    if (usable < -tokens) {
        return err_permanent(err, "tokens_missing", "%lld tokens are available, %lld are missing",
                             (long long)usable, (long long)(-tokens - usable));
    }
    values[1] = db_int8(-tokens);
    values[5] = db_time(now_ms);
    return db_run(db, &take, values, NULL, err);
}

bool ledger_adjust(struct db *db, const struct ledger_adjustment *adjustment, int64_t now_ms,
                   bool *out_new, struct err *err)
{
    bool is_done;

    if (!check_words(adjustment, err) || !ledger_lock_or_open(db, adjustment->account, err) ||
        !find_done(db, adjustment, &is_done, err) ||
        (!is_done && !book(db, adjustment, now_ms, err))) {
        return false;
    }
    if (out_new) {
        *out_new = !is_done;
    }
    return true;
}
