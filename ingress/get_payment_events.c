/*
 * GET /api/payments/{id}/events - a payment as it changes, as server-sent events
 *
 * Looks once a second. "progress" when something changed, "final" when it is paid, failed or given
 * up, and then the end. A comment keeps an idle stream open.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "payment_view.h"
#include "routes.h"
#include "stream.h"

#define LOOK_MS 1000
#define COMMENT_MS 10000
#define LOOK_BYTES ((size_t)1 << 20)
#define PAYMENT_WORD_BYTES 96 /* the words of the tables are shorter */

struct watch {
    int64_t payment;
    struct {
        char status[PAYMENT_WORD_BYTES], reason[PAYMENT_WORD_BYTES], receipt[PAYMENT_WORD_BYTES];
    } told;
    int64_t told_ms;
    int64_t number;
};

static bool copy_if_new(char told[PAYMENT_WORD_BYTES], const char *now)
{
    bool is_new = strncmp(told, now, PAYMENT_WORD_BYTES - 1) != 0;

    snprintf(told, PAYMENT_WORD_BYTES, "%s", now);
    return is_new;
}

/* True when it is not what was told last; then it is remembered. */
static bool is_news(struct watch *watch, const struct payment *payment)
{
    bool status = copy_if_new(watch->told.status, payment->status);
    bool reason = copy_if_new(watch->told.reason, payment->reason);
    bool receipt = copy_if_new(watch->told.receipt, payment->receipt);

    return status || reason || receipt;
}

static bool fill_events(struct request *req, struct str *out)
{
    struct watch *watch = req->stream_state;
    struct arena *arena = arena_create(LOOK_BYTES);
    struct payment payment;
    struct err err;
    bool more = true;

    /* When the database is away: look again in a second. */
    if (payment_find(req->db, req->caller.account_id, watch->payment, arena, &payment, &err)) {
        more = !payment_view_is_final(&payment);
        if (is_news(watch, &payment) || !more) {
            watch->told_ms = clock_mono_ms();
            str_printf(out, "id: %lld\nevent: %s\ndata: ", (long long)++watch->number,
                       more ? "progress" : "final");
            payment_view_put(out, req->app->settings->public_url, &payment);
            str_puts(out, "\n\n");
        }
    }
    if (more && out->len == 0 && clock_mono_ms() - watch->told_ms > COMMENT_MS) {
        watch->told_ms = clock_mono_ms();
        str_puts(out, ": still here\n\n");
    }
    arena_destroy(arena);
    return more;
}

enum reply get_payment_events(struct request *req)
{
    struct watch *watch = arena_alloc(req->arena, sizeof(*watch));
    struct payment payment;
    enum reply reply = payment_view_find(req, &payment);

    if (reply != REPLY_NONE) {
        return reply;
    }
    *watch = (struct watch){ .payment = payment.id };
    req->stream_state = watch;
    req->stream = stream_create(req, fill_events, LOOK_MS);
    if (req->stream == NULL) {
        return refuse(req, REPLY_UNAVAILABLE, "too_many_streams", NULL,
                      "too many exports and event streams at once");
    }
    req->type_out = "text/event-stream";
    return REPLY_STREAM;
}
