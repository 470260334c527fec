/*
 * history - pages of entries by position, and lots by expiry
 */
#include "ledger/history.h"

static const struct db_statement page_entries = {
    "ledger_history",
    "SELECT e.position, e.created_at, e.kind, e.debit, e.credit, e.amount, e.reference, e.hold_id,"
    "       p.slug, e.detail, e.actor,"
    "       CASE 'available' WHEN e.credit THEN e.amount WHEN e.debit THEN -e.amount ELSE 0 END"
    "  FROM ledger_entries e LEFT JOIN accounts p ON p.id = e.peer_id"
    " WHERE e.account_id = $1 AND e.position < $2 AND ($3::text IS NULL OR e.kind = $3)"
    "   AND ($4::timestamptz IS NULL OR e.created_at >= $4)"
    "   AND ($5::timestamptz IS NULL OR e.created_at < $5)"
    " ORDER BY e.position DESC LIMIT $6",
    6,
};

static const char *copy_text(struct arena *arena, const struct db_result *found, int row, int col)
{
    return db_is_null(found, row, col) ? NULL : arena_strdup(arena, db_get_text(found, row, col));
}

bool ledger_history(struct db *db, const struct ledger_page *page, struct arena *arena,
                    struct ledger_entry **out_entries, size_t *out_count, struct err *err)
{
    AUTO_DB_RESULT struct db_result *found = NULL;
    struct ledger_entry *entries;
    int rows;

    if (!db_query(db, &page_entries,
                  (struct db_value[]){ db_int8(page->account),
                                       db_int8(page->before > 0 ? page->before : INT64_MAX),
                                       db_text(page->kind), db_time(page->from_ms),
                                       db_time(page->to_ms), db_int8(page->limit) },
                  &found, err)) {
        return false;
    }
    rows = db_rows(found);
    entries = arena_array(arena, (size_t)rows + 1, sizeof *entries);
    for (int i = 0; i < rows; i++) {
        entries[i] = (struct ledger_entry){
            .position = db_get_int(found, i, 0),
            .created_ms = db_get_time(found, i, 1),
            .kind = copy_text(arena, found, i, 2),
            .debit = copy_text(arena, found, i, 3),
            .credit = copy_text(arena, found, i, 4),
            .amount = db_get_int(found, i, 5),
            .reference = copy_text(arena, found, i, 6),
            .hold = db_get_int(found, i, 7),
            .peer = copy_text(arena, found, i, 8),
            .detail = copy_text(arena, found, i, 9),
            .actor = copy_text(arena, found, i, 10),
            .change = db_get_int(found, i, 11),
        };
    }
    *out_entries = entries;
    *out_count = (size_t)rows;
    return true;
}

static const struct db_statement list_lots = {
    "ledger_lots",
    "SELECT id, reference, granted, available, created_at, expires_at FROM token_lots"
    " WHERE account_id = $1 AND available > 0 ORDER BY expires_at NULLS LAST, id LIMIT $2",
    2,
};

bool ledger_lots(struct db *db, int64_t account, int64_t limit, struct arena *arena,
                 struct ledger_lot **out_lots, size_t *out_count, struct err *err)
{
    AUTO_DB_RESULT struct db_result *found = NULL;
    struct ledger_lot *lots;
    int rows;

    if (!db_query(db, &list_lots, (struct db_value[]){ db_int8(account), db_int8(limit) }, &found,
                  err)) {
        return false;
    }
    rows = db_rows(found);
    lots = arena_array(arena, (size_t)rows + 1, sizeof *lots);
    for (int i = 0; i < rows; i++) {
        lots[i] = (struct ledger_lot){
            .id = db_get_int(found, i, 0),
            .reference = copy_text(arena, found, i, 1),
            .granted = db_get_int(found, i, 2),
            .available = db_get_int(found, i, 3),
            .created_ms = db_get_time(found, i, 4),
            .expires_ms = db_get_time(found, i, 5),
        };
    }
    *out_lots = lots;
    *out_count = (size_t)rows;
    return true;
}
