/*
 * GET /api/tokens/history - every movement of the account's tokens, newest first, or all as CSV
 *
 * Entries are only added, above all others: pages neither skip nor repeat any. The export is a
 * stream of pages, its memory flat.
 */
#include "entry_view.h"
#include "page.h"
#include "routes.h"
#include "stream.h"

#define EXPORT_ENTRIES 1000
#define EXPORT_ARENA_BYTES ((size_t)8 << 20)

static bool fill_export(struct request *req, struct str *out)
{
    struct ledger_page *page = req->stream_state;
    struct arena *arena = arena_create(EXPORT_ARENA_BYTES);
    struct ledger_entry *entries;
    struct err err;
    size_t count;

    if (page->before == 0) {
        str_puts(out, ledger_csv_heading);
    }
    if (!ledger_history(req->db, page, arena, &entries, &count, &err)) {
        log_warn(&req->log, "export_failed", KV_STR("why", err.what), KV_STR("detail", err.detail));
        arena_destroy(arena);
        return stream_fail(req);
    }
    for (size_t i = 0; i < count; i++) {
        ledger_put_csv(out, &entries[i]);
        page->before = entries[i].position;
    }
    arena_destroy(arena);
    return (int64_t)count == page->limit;
}

static enum reply start_export(struct request *req, const struct ledger_page *wanted)
{
    struct ledger_page *page = arena_alloc(req->arena, sizeof *page);

    *page = *wanted;
    page->limit = EXPORT_ENTRIES;
    req->stream_state = page;
    req->stream = stream_create(req, fill_export, 0);
    if (req->stream == NULL) {
        return refuse(req, REPLY_UNAVAILABLE, "too_many_streams", NULL,
                      "too many exports and event streams at once");
    }
    req->type_out = "text/csv; charset=utf-8";
    req->disposition = "attachment; filename=\"tokens.csv\"";
    return REPLY_STREAM;
}

static enum reply read_filter(struct request *req, struct ledger_page *page)
{
    const char *kind = request_argument(req, "kind");
    enum reply reply;

    if (kind != NULL && !ledger_is_kind(kind)) {
        return refuse(req, REPLY_BAD_REQUEST, "bad_filter", "kind",
                      "grant, hold, capture, release, refund, expire, transfer or adjust");
    }
    page->kind = kind;
    if ((reply = page_read_time(req, "from", &page->from_ms)) != REPLY_NONE ||
        (reply = page_read_time(req, "to", &page->to_ms)) != REPLY_NONE) {
        return reply;
    }
    if (page->from_ms != 0 && page->to_ms != 0 && page->from_ms >= page->to_ms) {
        return refuse(req, REPLY_BAD_REQUEST, "bad_time", "to", "it has to be later than from");
    }
    return REPLY_NONE;
}

enum reply get_history(struct request *req)
{
    static const char *const known[] = { "kind", "from", "to", "format", "limit", "cursor", NULL };
    struct ledger_page wanted = { .account = req->caller.account_id };
    struct str *out = &req->body_out;
    struct ledger_entry *entries;
    struct page page;
    enum reply reply;
    struct err err;
    size_t found;
    bool is_csv;

    if ((reply = request_check_arguments(req, known)) != REPLY_NONE ||
        (reply = read_filter(req, &wanted)) != REPLY_NONE ||
        (reply = page_read_format(req, &is_csv)) != REPLY_NONE ||
        (reply = page_read(req, &page)) != REPLY_NONE) {
        return reply;
    }
    if (is_csv) {
        return start_export(req, &wanted);
    }
    wanted.before = page.after;
    wanted.limit = page.limit + 1;
    if (!ledger_history(req->db, &wanted, req->arena, &entries, &found, &err)) {
        return refuse_err(req, &err);
    }
    size_t rows = found < (size_t)page.limit ? found : (size_t)page.limit;
    str_puts(out, "{\"entries\":[");
    for (size_t i = 0; i < rows; i++) {
        str_puts(out, i > 0 ? "," : "");
        entry_view_put(req, out, &entries[i]);
    }
    str_putc(out, ']');
    page_end(out, found > rows, rows > 0 ? entries[rows - 1].position : 0);
    str_putc(out, '}');
    return REPLY_OK;
}
