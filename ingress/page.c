#include "page.h"

#include <string.h>

#include "base/clock.h"

enum reply page_read(struct request *req, struct page *out_page)
{
    const char *limit = request_argument(req, "limit");
    const char *cursor = request_argument(req, "cursor");
    int64_t value = PAGE_DEFAULT;

    *out_page = (struct page){ 0 };
    if (limit != NULL && !str_parse_int(limit, 1, PAGE_MAX, &value)) {
        return refuse(req, REPLY_BAD_REQUEST, "bad_limit", "limit", "a number from 1 to %d",
                      PAGE_MAX);
    }
    out_page->limit = (int)value;
    if (cursor != NULL &&
        (*cursor != 'c' || !str_parse_int(cursor + 1, 1, INT64_MAX, &out_page->after))) {
        return refuse(req, REPLY_BAD_REQUEST, "bad_cursor", "cursor",
                      "take it from next of the page before, as it is");
    }
    return REPLY_NONE;
}

enum reply page_read_format(struct request *req, bool *out_csv)
{
    const char *format = request_argument(req, "format");

    if (format != NULL && strcmp(format, "csv") != 0 && strcmp(format, "json") != 0) {
        return refuse(req, REPLY_BAD_REQUEST, "bad_format", "format", "csv or json");
    }
    *out_csv = format != NULL ? strcmp(format, "csv") == 0
                              : req->accept != NULL && strstr(req->accept, "text/csv") != NULL;
    return REPLY_NONE;
}

enum reply page_read_time(struct request *req, const char *name, int64_t *out_ms)
{
    const char *text = request_argument(req, name);
    const char *whole;

    *out_ms = 0;
    if (text == NULL) {
        return REPLY_NONE;
    }
    whole = strlen(text) == sizeof("2026-11-20") - 1
                ? arena_printf(req->arena, "%sT00:00:00Z", text)
                : text;
    if (!clock_parse(whole, strlen(whole), out_ms) || *out_ms <= 0) {
        return refuse(req, REPLY_BAD_REQUEST, "bad_time", name,
                      "a date, 2026-11-20, or a time, 2026-11-20T09:12:44Z, after 1970");
    }
    return REPLY_NONE;
}

void page_end(struct str *out, bool more, int64_t last)
{
    if (more) {
        str_printf(out, ",\"next\":\"c%lld\"", (long long)last);
    } else {
        str_puts(out, ",\"next\":null");
    }
}
