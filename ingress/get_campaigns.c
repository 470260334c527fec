/*
 * GET /api/communications/campaigns - the account's campaigns, newest first unless sort=created
 */
#include <string.h>

#include "page.h"
#include "routes.h"
#include "view.h"

static bool is_one_of(const char *word, const char *const *words)
{
    for (; *words != NULL; words++) {
        if (strcmp(word, *words) == 0) {
            return true;
        }
    }
    return false;
}

/* REPLY_NONE when the argument is absent or one of the words. */
static enum reply read_word(struct request *req, const char *name, const char *const *words,
                            const char **out_word)
{
    *out_word = request_argument(req, name);
    if (*out_word != NULL && !is_one_of(*out_word, words)) {
        return refuse(req, REPLY_BAD_REQUEST, "bad_filter", name, "there is no such %s", name);
    }
    return REPLY_NONE;
}

enum reply get_campaigns(struct request *req)
{
    static const char *const known[] = {
        "type", "kind", "status", "sort", "limit", "cursor", NULL
    };
    static const char *const types[] = { "sms", "voice", NULL };
    static const char *const kinds[] = { "campaign", "message", NULL };
    static const char *const sorts[] = { "-created", "created", NULL };
    static const char *const statuses[] = {
        "receiving",           "quoted",    "waiting",   "reserving",
        "insufficient_tokens", "scheduled", "sending",   "paused",
        "cancelling",          "cancelled", "expired",   "refused",
        "abandoned",           "sent",      "completed", NULL
    };
    struct campaign_filter filter = { .account_id = req->caller.account_id };
    struct campaign_view *views;
    struct str *out = &req->body_out;
    struct page page;
    const char *sort;
    struct err err;
    enum reply reply;
    int found;

    if ((reply = request_check_arguments(req, known)) != REPLY_NONE ||
        (reply = read_word(req, "type", types, &filter.channel)) != REPLY_NONE ||
        (reply = read_word(req, "kind", kinds, &filter.kind)) != REPLY_NONE ||
        (reply = read_word(req, "status", statuses, &filter.status)) != REPLY_NONE ||
        (reply = read_word(req, "sort", sorts, &sort)) != REPLY_NONE ||
        (reply = page_read(req, &page)) != REPLY_NONE) {
        return reply;
    }
    filter.before_id = page.after;
    filter.oldest_first = sort != NULL && strcmp(sort, "created") == 0;
    filter.limit = page.limit + 1;
    if (!campaign_list(req->db, &filter, req->arena, &views, &found, &err)) {
        return refuse_err(req, &err);
    }
    int rows = found < page.limit ? found : page.limit;
    str_puts(out, "{\"campaigns\":[");
    for (int i = 0; i < rows; i++) {
        str_puts(out, i > 0 ? "," : "");
        view_put_campaign(out, &views[i]);
    }
    str_putc(out, ']');
    page_end(out, found > rows, rows > 0 ? views[rows - 1].id : 0);
    str_putc(out, '}');
    return REPLY_OK;
}
