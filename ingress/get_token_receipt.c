/*
 * GET /api/tokens/receipts/{reference} - of one operation on the account's tokens: as JSON, or as a
 * page to print
 *
 * A reference may name entries of several kinds: all of them are on the receipt. What was paid for
 * has another receipt, of the money: get_receipt.c.
 */
#include <string.h>

#include "entry_view.h"
#include "routes.h"
#include "slip.h"

static const struct db_statement find_customer = {
    "ingress_find_customer",
    "SELECT name FROM accounts WHERE id = $1",
    1,
};

struct receipt {
    const char *reference, *customer;
    struct ledger_entry *entries;
    size_t count;
};

static bool fill(struct request *req, struct receipt *receipt, struct err *err)
{
    AUTO_DB_RESULT struct db_result *found = NULL;
    const struct db_value account = db_int8(req->caller.account_id);

    if (!ledger_find(req->db, req->caller.account_id, receipt->reference, req->arena,
                     &receipt->entries, &receipt->count, err) ||
        !db_query(req->db, &find_customer, &account, &found, err)) {
        return false;
    }
    receipt->customer = arena_strdup(req->arena, db_get_text(found, 0, 0));
    return true;
}

static void put_json(struct request *req, struct str *out, const struct receipt *receipt)
{
    str_putc(out, '{');
    put_text(out, "reference", receipt->reference);
    put_text(out, "account", req->caller.account);
    put_text(out, "customer", receipt->customer);
    str_puts(out, ",\"entries\":[");
    for (size_t i = 0; i < receipt->count; i++) {
        str_puts(out, i > 0 ? "," : "");
        entry_view_put(req, out, &receipt->entries[i]);
    }
    str_puts(out, "]}");
}

/* What people call it. */
static const char *title_of(const struct ledger_entry *entry)
{
    static const struct {
        const char *kind, *title;
    } titles[] = {
        { "grant", "Tokens added" },      { "hold", "Tokens reserved" },
        { "capture", "Tokens spent" },    { "release", "Tokens given back" },
        { "refund", "Tokens refunded" },  { "expire", "Tokens expired" },
        { "adjust", "Tokens corrected" },
    };

    for (size_t i = 0; i < sizeof titles / sizeof *titles; i++) {
        if (strcmp(titles[i].kind, entry->kind) == 0) {
            return titles[i].title;
        }
    }
    return entry->change < 0 ? "Tokens given" : "Tokens received";
}

static void put_entry(struct request *req, struct str *out, const struct ledger_entry *entry)
{
    const char *campaign = ledger_entry_campaign(entry, req->arena);

    slip_row(out, "Operation", title_of(entry));
    slip_row(out, "Tokens", arena_printf(req->arena, "%lld", (long long)entry->amount));
    slip_row(out, "Of those available",
             arena_printf(req->arena, "%+lld", (long long)entry->change));
    slip_time_row(out, "At", entry->created_ms);
    if (entry->peer != NULL) {
        slip_row(out, entry->change < 0 ? "To" : "From", entry->peer);
    }
    if (campaign != NULL) {
        slip_row(out, "Campaign", campaign);
    }
    if (entry->detail != NULL) {
        slip_row(out, "Reason", entry->detail);
    }
    if (entry->actor != NULL) {
        slip_row(out, "By", entry->actor);
    }
    slip_row(out, "Position in the ledger",
             arena_printf(req->arena, "%lld", (long long)entry->position));
}

enum reply get_token_receipt(struct request *req)
{
    struct receipt receipt = { .reference = req->id };
    struct err err;

    if (!fill(req, &receipt, &err)) {
        return refuse_err(req, &err);
    }
    if (receipt.count == 0) {
        return refuse(req, REPLY_NOT_FOUND, "reference_unknown", "reference",
                      "no operation on your tokens has it; GET /api/tokens/history lists them");
    }
    if (!slip_wanted(req)) {
        put_json(req, &req->body_out, &receipt);
        return REPLY_OK;
    }
    slip_begin(&req->body_out);
    slip_row(&req->body_out, "Customer", receipt.customer);
    slip_row(&req->body_out, "Reference", receipt.reference);
    for (size_t i = 0; i < receipt.count; i++) {
        put_entry(req, &req->body_out, &receipt.entries[i]);
    }
    slip_end(&req->body_out);
    req->type_out = slip_type;
    return REPLY_OK;
}
