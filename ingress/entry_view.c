#include "entry_view.h"

void entry_view_put(struct request *req, struct str *out, const struct ledger_entry *entry)
{
    str_putc(out, '{');
    put_int(out, "position", entry->position);
    put_time(out, "at", entry->created_ms);
    put_text(out, "kind", entry->kind);
    put_text(out, "from", entry->debit);
    put_text(out, "to", entry->credit);
    put_int(out, "tokens", entry->amount);
    put_int(out, "change", entry->change);
    put_text(out, "reference", entry->reference);
    put_text(out, "campaign", ledger_entry_campaign(entry, req->arena));
    put_text(out, "peer", entry->peer);
    put_text(out, "reason", entry->detail);
    put_text(out, "actor", entry->actor);
    str_putc(out, '}');
}
