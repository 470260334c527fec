#include "page.h"

#include <string.h>

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

void page_end(struct str *out, bool more, int64_t last)
{
    if (more) {
        str_printf(out, ",\"next\":\"c%lld\"", (long long)last);
    } else {
        str_puts(out, ",\"next\":null");
    }
}
