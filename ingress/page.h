/*
 * page - long lists, a piece at a time
 *
 *     reply = page_read(req, &page);              // ?limit=…&cursor=…
 *     … WHERE seq > page.after ORDER BY seq LIMIT page.limit + 1 …
 *     page_end(out, rows > page.limit, last_seq); // ,"next":"…" or null
 *
 * A cursor is what the previous page gave as next: opaque to the caller, and stable while rows are
 * added, since it names the last row seen.
 */
#ifndef INGRESS_PAGE_H
#define INGRESS_PAGE_H

#include "request.h"

struct page {
    int limit;
    int64_t after; /* 0: from the start */
};

/* REPLY_NONE when well. */
enum reply page_read(struct request *req, struct page *out_page);

/* ?format=csv or json, else what Accept says. REPLY_NONE when well. */
enum reply page_read_format(struct request *req, bool *out_csv);

/* An argument that is RFC 3339, or a date, whose midnight UTC is meant; *out_ms 0 when absent. */
enum reply page_read_time(struct request *req, const char *name, int64_t *out_ms);

void page_end(struct str *out, bool more, int64_t last);

#endif
