/*
 * history - an account's entries and lots, to be shown
 *
 *     struct ledger_page page = { .account = account, .limit = 100 };
 *     do {
 *         ledger_history(db, &page, arena, &entries, &count, &err);
 *         …
 *         page.before = count > 0 ? entries[count - 1].position : 1;
 *     } while (count == page.limit);
 *
 * The cursor is a position: entries are only added, above it, so no page shows one twice or skips
 * one. All texts are returned in the arena.
 */
#ifndef LEDGER_HISTORY_H
#define LEDGER_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "db/db.h"

struct ledger_entry {
    int64_t position; /* 1 is the account's first */
    int64_t created_ms;
    const char *kind;           /* grant hold capture release refund expire transfer adjust */
    const char *debit, *credit; /* purses: source available reserved spent expired peer */
    int64_t amount;
    int64_t change; /* of what is available: -amount, 0 or amount */
    const char *reference;
    int64_t hold;       /* the campaign's id, or 0 */
    const char *peer;   /* slug of the other account of a transfer, or NULL */
    const char *detail; /* reason, or NULL */
    const char *actor;  /* or NULL */
};

struct ledger_page {
    int64_t account;
    int64_t before; /* position; 0: begin with the newest */
    int64_t limit;
    const char *kind;       /* NULL: all */
    int64_t from_ms, to_ms; /* from <= created < to; 0: any */
};

/* The newest first. */
bool ledger_history(struct db *db, const struct ledger_page *page, struct arena *arena,
                    struct ledger_entry **out_entries, size_t *out_count, struct err *err);

/* What one reference names, the oldest first: mostly one entry, at most a few of several kinds. */
bool ledger_find(struct db *db, int64_t account, const char *reference, struct arena *arena,
                 struct ledger_entry **out_entries, size_t *out_count, struct err *err);

/* "cmp_…" of an entry's hold, or NULL. In the arena. */
const char *ledger_entry_campaign(const struct ledger_entry *entry, struct arena *arena);

bool ledger_is_kind(const char *word);

/* A row of CSV, and the row of headings; spreadsheets may open it (text/cell.h). */
extern const char ledger_csv_heading[];
void ledger_put_csv(struct str *out, const struct ledger_entry *entry);

struct ledger_lot {
    int64_t id;
    const char *reference;
    int64_t granted, available;
    int64_t created_ms;
    int64_t expires_ms; /* 0: never */
};

/* Those with something left, in the order in which they will be spent; at most limit. */
bool ledger_lots(struct db *db, int64_t account, int64_t limit, struct arena *arena,
                 struct ledger_lot **out_lots, size_t *out_count, struct err *err);

#endif
