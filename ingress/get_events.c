/*
 * GET …/campaigns/{id}/events - a campaign's counts as they change, as server-sent events
 *
 * Looks once a second. "progress" when something changed, "final" when nothing more will but late
 * reports, and then the end. A comment keeps an idle stream open.
 */
#include <string.h>

#include "base/clock.h"
#include "routes.h"
#include "stream.h"
#include "view.h"

#define LOOK_MS 1000
#define COMMENT_MS 10000

struct watch {
    int64_t campaign_id;
    char told[2048];
    int64_t told_ms;
    int64_t number;
};

static void put_progress(struct str *out, const struct campaign_view *view)
{
    char id[ID_TEXT_BYTES];

    view_id(view, id);
    str_putc(out, '{');
    put_text(out, "id", id);
    put_text(out, "status", view->status);
    put_text(out, "detail", view->detail);
    put_int(out, "rowsReceived", view->rows_received);
    put_int(out, "invalid", view->invalid);
    put_int(out, "duplicates", view->duplicates);
    view_put_counts(out, view, false);
    put_int(out, "tokens", view->segments);
    put_int(out, "captured", view->captured);
    put_int(out, "released", view->released);
    str_puts(out, ",\"cost\":");
    view_put_money(out, view->cost_e4);
    put_text(out, "currency", view->currency);
    str_putc(out, '}');
}

/* True when it is not what was told last; then it is remembered. */
static bool is_news(struct watch *watch, const struct str *data)
{
    size_t len = data->len < sizeof(watch->told) - 1 ? data->len : sizeof(watch->told) - 1;

    if (strlen(watch->told) == len && memcmp(watch->told, data->bytes, len) == 0) {
        return false;
    }
    memcpy(watch->told, data->bytes, len);
    watch->told[len] = '\0';
    return true;
}

static bool fill_events(struct request *req, struct str *out)
{
    struct watch *watch = req->stream_state;
    struct arena *arena = arena_create((size_t)1 << 20);
    struct str data = { 0 };
    struct campaign_view view;
    struct err err;
    bool found = false;
    bool more = true;

    if (!campaign_find(req->db, req->caller.account_id, watch->campaign_id, arena, &view, &found,
                       &err)) {
        found = false; /* the database is away: look again in a second */
    }
    if (found) {
        more = !campaign_status_is_final(view.status);
        put_progress(&data, &view);
        if (is_news(watch, &data) || !more) {
            watch->told_ms = clock_mono_ms();
            str_printf(out, "id: %lld\nevent: %s\ndata: ", (long long)++watch->number,
                       more ? "progress" : "final");
            str_append(out, data.bytes, data.len);
            str_puts(out, "\n\n");
        }
    }
    if (more && out->len == 0 && clock_mono_ms() - watch->told_ms > COMMENT_MS) {
        watch->told_ms = clock_mono_ms();
        str_puts(out, ": still here\n\n");
    }
    str_free(&data);
    arena_destroy(arena);
    return more;
}

enum reply get_events(struct request *req)
{
    struct watch *watch = arena_alloc(req->arena, sizeof(*watch));
    struct campaign_view view;
    enum reply reply = view_find(req, &view);

    if (reply != REPLY_NONE) {
        return reply;
    }
    watch->campaign_id = view.id;
    req->stream_state = watch;
    req->stream = stream_create(req, fill_events, LOOK_MS);
    if (req->stream == NULL) {
        return refuse(req, REPLY_UNAVAILABLE, "too_many_streams", NULL,
                      "too many exports and event streams at once");
    }
    req->type_out = "text/event-stream";
    return REPLY_STREAM;
}
