/*
 * history - pages of entries by position, and lots by expiry
 */
#include "ledger/history.h"

#include <string.h>

#include "base/clock.h"
#include "base/id.h"
#include "text/cell.h"

#define ENTRIES                                                                                    \
    "SELECT e.position, e.created_at, e.kind, e.debit, e.credit, e.amount, e.reference, "          \
    "e.hold_id,"                                                                                   \
    "       p.slug, e.detail, e.actor,"                                                            \
    "       CASE 'available' WHEN e.credit THEN e.amount WHEN e.debit THEN -e.amount ELSE 0 END"   \
    "  FROM ledger_entries e LEFT JOIN accounts p ON p.id = e.peer_id"

#define PAGE(filter)                                                                               \
    ENTRIES " WHERE e.account_id = $1 AND e.position < $2" filter                                  \
            "   AND e.created_at >= $3 AND e.created_at < $4"                                      \
            " ORDER BY e.position DESC LIMIT $5"

/* Two statements, so that the one for a kind is planned with the index that has it. */
static const struct db_statement page_entries = { "ledger_history", PAGE(""), 5 };
static const struct db_statement page_kind = { "ledger_history_kind", PAGE(" AND e.kind = $6"), 6 };

static const struct db_statement find_entries = {
    "ledger_find",
    ENTRIES " WHERE e.account_id = $1 AND e.reference = $2 AND e.kind = ANY ($3::text[])"
            " ORDER BY e.position",
    3,
};

static const char *const kinds[] = { "grant",  "hold",   "capture",  "release",
                                     "refund", "expire", "transfer", "adjust" };
#define KINDS (sizeof kinds / sizeof *kinds)

bool ledger_is_kind(const char *word)
{
    size_t i = 0;

    while (i < KINDS && strcmp(kinds[i], word) != 0) {
        i++;
    }
    return i < KINDS;
}

static const char *copy_text(struct arena *arena, const struct db_result *found, int row, int col)
{
    return db_is_null(found, row, col) ? NULL : arena_strdup(arena, db_get_text(found, row, col));
}

static struct ledger_entry *read_entries(const struct db_result *found, struct arena *arena)
{
    int rows = db_rows(found);
    struct ledger_entry *entries = arena_array(arena, (size_t)rows + 1, sizeof *entries);

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
    return entries;
}

/* Times that are none: before and after all there is. */
#define FIRST_MS 1
#define LAST_MS INT64_C(253402300799000)

bool ledger_history(struct db *db, const struct ledger_page *page, struct arena *arena,
                    struct ledger_entry **out_entries, size_t *out_count, struct err *err)
{
    AUTO_DB_RESULT struct db_result *found = NULL;

    if (!db_query(db, page->kind ? &page_kind : &page_entries,
                  (struct db_value[]){ db_int8(page->account),
                                       db_int8(page->before > 0 ? page->before : INT64_MAX),
                                       db_time(page->from_ms != 0 ? page->from_ms : FIRST_MS),
                                       db_time(page->to_ms != 0 ? page->to_ms : LAST_MS),
                                       db_int8(page->limit), db_text(page->kind) },
                  &found, err)) {
        return false;
    }
    *out_entries = read_entries(found, arena);
    *out_count = (size_t)db_rows(found);
    return true;
}

bool ledger_find(struct db *db, int64_t account, const char *reference, struct arena *arena,
                 struct ledger_entry **out_entries, size_t *out_count, struct err *err)
{
    AUTO_DB_RESULT struct db_result *found = NULL;

    if (!db_query(
            db, &find_entries,
            (struct db_value[]){ db_int8(account), db_text(reference), db_texts(kinds, KINDS) },
            &found, err)) {
        return false;
    }
    *out_entries = read_entries(found, arena);
    *out_count = (size_t)db_rows(found);
    return true;
}

static bool put_campaign(const struct ledger_entry *entry, char out[ID_TEXT_BYTES])
{
    if (entry->hold == 0) {
        return false;
    }
    id_format("cmp", entry->hold, out);
    return true;
}

const char *ledger_entry_campaign(const struct ledger_entry *entry, struct arena *arena)
{
    char id[ID_TEXT_BYTES];

    return put_campaign(entry, id) ? arena_strdup(arena, id) : NULL;
}

const char ledger_csv_heading[] =
    "position,time,kind,from,to,tokens,available_change,reference,campaign,peer,reason,actor\r\n";

void ledger_put_csv(struct str *out, const struct ledger_entry *entry)
{
    char created[CLOCK_RFC3339_BYTES], id[ID_TEXT_BYTES];

    clock_format(entry->created_ms, created);
    str_printf(out, "%lld,%s,%s,%s,%s,%lld,%lld,", (long long)entry->position, created, entry->kind,
               entry->debit, entry->credit, (long long)entry->amount, (long long)entry->change);
    text_put_cell(out, entry->reference);
    str_printf(out, ",%s,", put_campaign(entry, id) ? id : "");
    text_put_cell(out, entry->peer);
    str_putc(out, ',');
    text_put_cell(out, entry->detail);
    str_putc(out, ',');
    text_put_cell(out, entry->actor);
    str_puts(out, "\r\n");
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
