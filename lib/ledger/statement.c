/*
 * statement - entries by position, a page at a time, and a signature over all
 */
#include "ledger/statement.h"

#include "base/id.h"
#include "crypto/crypto.h"

#define PAGE_ENTRIES 5000
#define NO_HASH "0000000000000000000000000000000000000000000000000000000000000000"

/*
 * The last positions before either time. Times are those when transactions began, so that they are
 * not quite in the order of positions: asked in one way for both ends, what ends one statement
 * begins the next.
 */
static const struct db_statement find_ends = {
    "ledger_statement_ends",
    "SELECT coalesce((SELECT max(position) FROM ledger_entries"
    "                  WHERE account_id = $1 AND created_at < $2), 0),"
    "       coalesce((SELECT max(position) FROM ledger_entries"
    "                  WHERE account_id = $1 AND created_at < coalesce($3::timestamptz,"
    "                                                                  'infinity')), 0)",
    3
};

static const struct db_statement find_hash = {
    "ledger_statement_hash",
    "SELECT encode(hash, 'hex') FROM ledger_entries WHERE account_id = $1 AND position = $2",
    2,
};

static const struct db_statement page_lines = {
    "ledger_statement_lines",
    "SELECT position, encode(hash, 'hex'),"
    "       ledger_line(created_at, kind, debit, credit, amount, hold_id, peer_id, reference,"
    "                   detail, actor)"
    "  FROM ledger_entries"
    " WHERE account_id = $1 AND position > $2 AND position <= $3"
    " ORDER BY position LIMIT $4",
    4
};

/* A line "opening" or "closing" for a position. */
static bool put_end(struct db *db, int64_t account, const char *word, int64_t position,
                    struct str *out, struct err *err)
{
    AUTO_DB_RESULT struct db_result *found = NULL;

    if (!db_query(db, &find_hash, (struct db_value[]){ db_int8(account), db_int8(position) },
                  &found, err)) {
        return false;
    }
    str_printf(out, "%s\t%lld\t%s\n", word, (long long)position,
               db_rows(found) > 0 ? db_get_text(found, 0, 0) : NO_HASH);
    return true;
}

static bool put_entries(struct db *db, int64_t account, int64_t after, int64_t last,
                        struct str *out, struct err *err)
{
    while (after < last) {
        AUTO_DB_RESULT struct db_result *found = NULL;

        if (!db_query(db, &page_lines,
                      (struct db_value[]){ db_int8(account), db_int8(after), db_int8(last),
                                           db_int8(PAGE_ENTRIES) },
                      &found, err)) {
            return false;
        }
        if (db_rows(found) == 0) {
            return err_permanent(err, "chain_broken", "there is no entry after %lld",
                                 (long long)after);
        }
        for (int i = 0; i < db_rows(found); i++) {
            after = db_get_int(found, i, 0);
            str_printf(out, "entry\t%lld\t", (long long)after);
            str_puts(out, db_get_text(found, i, 2));
            str_printf(out, "\t%s\n", db_get_text(found, i, 1));
        }
    }
    return true;
}

static bool put_signature(const char *key, size_t begin, struct str *out, struct err *err)
{
    unsigned char signature[CRYPTO_SIGNATURE_BYTES];
    char hex[2 * CRYPTO_SIGNATURE_BYTES + 1];

    if (!crypto_sign(key, out->bytes + begin, out->len - begin, signature, err)) {
        return false;
    }
    id_hex(signature, sizeof signature, hex);
    str_printf(out, "signature\t%s\n", hex);
    return true;
}

bool ledger_statement(struct db *db, const struct ledger_statement *wanted, struct str *out,
                      struct err *err)
{
    AUTO_DB_RESULT struct db_result *ends = NULL;
    size_t begin = out->len;
    int64_t before, last;

    if (!db_query(db, &find_ends,
                  (struct db_value[]){ db_int8(wanted->account), db_time(wanted->from_ms),
                                       db_time(wanted->to_ms) },
                  &ends, err)) {
        return false;
    }
    before = db_get_int(ends, 0, 0);
    last = db_get_int(ends, 0, 1);
    last = last > before ? last : before;
    str_printf(out, "tuma-statement-1\naccount\t%lld\t%s\n", (long long)wanted->account,
               wanted->name);
    return put_end(db, wanted->account, "opening", before, out, err) &&
           put_entries(db, wanted->account, before, last, out, err) &&
           put_end(db, wanted->account, "closing", last, out, err) &&
           put_signature(wanted->key, begin, out, err);
}
