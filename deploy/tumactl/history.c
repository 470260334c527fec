/*
 * history - an account's ledger, as a table for people or as CSV
 */
#include "ledger/history.h"

#include <stdio.h>
#include <string.h>

#include "ctl.h"

#define PAGE_ENTRIES 1000
#define TABLE_ENTRIES 50
#define LIMIT_MAX 100000000

static void print_row(struct ctl *ctl, const struct ledger_entry *entry)
{
    const char *id = ledger_entry_campaign(entry, ctl->arena);
    const char *campaign = id ? id : "";

    printf("%8lld %s %-8s %14s %14s  %s%s%s%s%s%s%s%s%s\n", (long long)entry->position,
           ctl_time(ctl, entry->created_ms), entry->kind, ctl_number(ctl, entry->amount),
           ctl_number(ctl, entry->change), entry->reference, *campaign ? " " : "", campaign,
           entry->peer ? (entry->change < 0 ? " to " : " from ") : "",
           entry->peer ? entry->peer : "", entry->detail ? ": " : "",
           entry->detail ? entry->detail : "", entry->actor ? ", by " : "",
           entry->actor ? entry->actor : "");
}

static bool print_pages(struct ctl *ctl, struct ledger_page *page, int64_t limit, bool is_csv,
                        struct err *err)
{
    struct ledger_entry *entries;
    size_t count;

    do {
        struct arena *kept = ctl->arena;
        struct arena *arena = arena_create((size_t)64 << 20);
        struct str rows = { 0 };
        bool ok;

        page->limit = limit < PAGE_ENTRIES ? limit : PAGE_ENTRIES;
        ok = ledger_history(ctl->db, page, arena, &entries, &count, err);
        ctl->arena = arena; /* what a page needs goes with it */
        for (size_t i = 0; ok && i < count; i++) {
            if (is_csv) {
                ledger_put_csv(&rows, &entries[i]);
            } else {
                print_row(ctl, &entries[i]);
            }
            page->before = entries[i].position;
        }
        if (rows.len > 0) {
            fwrite(rows.bytes, 1, rows.len, stdout);
        }
        str_free(&rows);
        ctl->arena = kept;
        arena_destroy(arena);
        if (!ok) {
            return false;
        }
        limit -= (int64_t)count;
    } while (count == (size_t)page->limit && limit > 0);
    return true;
}

static bool history(struct ctl *ctl, struct err *err)
{
    struct ledger_page page = { .kind = ctl_option(ctl, "kind") };
    bool is_csv = ctl_option(ctl, "csv") != NULL;
    struct account account;
    struct db *db;
    int64_t limit;

    if (!ctl_option_int(ctl, "limit", 1, LIMIT_MAX, is_csv ? LIMIT_MAX : TABLE_ENTRIES, &limit,
                        err) ||
        !ctl_option_int(ctl, "before", 1, INT64_MAX, 0, &page.before, err) ||
        !ctl_option_time(ctl, "from", &page.from_ms, err) ||
        !ctl_option_time(ctl, "to", &page.to_ms, err) || !ctl_account(ctl, &account, err) ||
        !ctl_db(ctl, &db, err)) {
        return false;
    }
    page.account = account.id;
    if (is_csv) {
        fputs(ledger_csv_heading, stdout);
    } else {
        printf("%8s %-19s %-8s %14s %14s  %s\n", "POSITION", "TIME", "KIND", "TOKENS", "AVAILABLE",
               "REFERENCE");
    }
    return print_pages(ctl, &page, limit, is_csv, err);
}

const struct command tokens_history_command = {
    .name = "tokens history",
    .arguments = "",
    .summary = "List every movement of an account's tokens, the newest first",
    .options =
        (const struct option_def[]){
            { OPTION_TEXT, "account", "SLUG", "whose" },
            { OPTION_TEXT, "user", "EMAIL", "whose, by e-mail address" },
            { OPTION_TEXT, "kind", "WORD",
              "only grant, hold, capture, release, refund, expire, "
              "transfer or adjust" },
            { OPTION_TEXT, "from", "TIME", "RFC 3339; made then or later" },
            { OPTION_TEXT, "to", "TIME", "RFC 3339; made before" },
            { OPTION_TEXT, "before", "N", "only below this position: the next page" },
            { OPTION_TEXT, "limit", "N", "how many; default 50, with --csv all" },
            { OPTION_FLAG, "csv", NULL, "as CSV" },
            { OPTION_END, NULL, NULL, NULL },
        },
    .run = history,
};
