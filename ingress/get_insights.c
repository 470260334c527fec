/*
 * GET /api/tokens/insights - how long tokens last, which plan fits, what is wasted
 *
 * Kept for half a minute.
 */
#include "base/clock.h"
#include "base/id.h"
#include "cache.h"
#include "payment_view.h"
#include "routes.h"
#include "usage/insights.h"

#define KEPT_MS 30000

static const char insights_kind[] = "insights";

static void put_open(struct str *out, const char *name)
{
    str_printf(out, ",\"%s\":{", name);
}

/* 1234 hundredths are 12.34. */
static void put_decimal(struct str *out, const char *name, int64_t value, int64_t per_one)
{
    const char *sign = value < 0 ? "-" : "";
    const int64_t size = value < 0 ? -value : value;

    str_printf(out, ",\"%s\":%s%lld.%0*lld", name, sign, (long long)(size / per_one),
               per_one == 10 ? 1 : 2, (long long)(size % per_one));
}

static void put_burn(struct str *out, const char *name, const struct insights_burn *burn)
{
    put_open(out, name);
    put_int(out, "window_days", burn->window_days);
    put_int(out, "days", burn->days);
    put_int(out, "tokens", burn->tokens);
    put_decimal(out, "tokens_per_day", burn->e2_per_day, 100);
    if (burn->days_left_e1 < 0) {
        str_puts(out, ",\"days_left\":null");
    } else {
        put_decimal(out, "days_left", burn->days_left_e1, 10);
    }
    str_putc(out, '}');
}

static void put_expiring(struct str *out, const struct insights *insights)
{
    put_open(out, "expiring");
    put_int(out, "tokens_lost", insights->lost);
    str_puts(out, ",\"lots\":[");
    for (size_t i = 0; i < insights->lot_count; i++) {
        const struct insights_lot *lot = &insights->lots[i];

        str_puts(out, i > 0 ? ",{" : "{");
        put_text(out, "reference", lot->reference);
        put_time(out, "expires_at", lot->expires_ms);
        put_int(out, "available", lot->available);
        put_int(out, "tokens_lost", lot->lost);
        str_putc(out, '}');
    }
    str_puts(out, "]}");
}

static void put_plan(struct str *out, const char *name, bool there_is,
                     const struct insights_plan *plan)
{
    if (!there_is) {
        str_printf(out, "%s\"%s\":null", out->bytes[out->len - 1] == '{' ? "" : ",", name);
        return;
    }
    str_printf(out, "%s\"%s\":{", out->bytes[out->len - 1] == '{' ? "" : ",", name);
    put_text(out, "code", plan->code);
    payment_view_put_amount(out, "price", plan->price_minor);
    put_text(out, "currency", plan->currency);
    put_int(out, "tokens", plan->tokens);
    put_int(out, "valid_days", plan->valid_days);
    put_int(out, "purchases_in_30_days", plan->purchases);
    payment_view_put_amount(out, "cost_of_30_days", plan->cost_minor);
    str_putc(out, '}');
}

static void put_over(struct str *out, const struct insights_over *over)
{
    char id[ID_TEXT_BYTES];

    id_format("cmp", over->id, id);
    str_putc(out, '{');
    put_text(out, "id", id);
    put_text(out, "title", over->title);
    put_int(out, "recipients", over->recipients);
    put_int(out, "tokens_spent", over->captured);
    put_int(out, "tokens_saved", over->recipients);
    put_text(out, "encoding", over->encoding);
    if (over->encoding != NULL) {
        put_int(out, "units", over->units);
        put_int(out, "units_over", over->over);
        put_int(out, "segments", over->segments);
    } else {
        str_puts(out, ",\"units\":null,\"units_over\":null,\"segments\":null");
    }
    str_putc(out, '}');
}

static void put_waste(struct str *out, const struct insights *insights)
{
    put_open(out, "waste");
    put_int(out, "days", INSIGHTS_DAYS);
    str_puts(out, ",\"invalid_numbers\":{");
    put_int(out, "rows", insights->invalid_rows);
    put_int(out, "tokens", 0);
    str_puts(out, "},\"failed_numbers\":{");
    put_int(out, "recipients", insights->failed_recipients);
    put_int(out, "tokens", insights->failed_tokens);
    str_puts(out, "},\"just_over_a_segment\":{");
    put_int(out, "campaigns", insights->just_over_campaigns);
    put_int(out, "tokens", insights->just_over_tokens);
    str_puts(out, ",\"worst\":[");
    for (size_t i = 0; i < insights->over_count; i++) {
        str_puts(out, i > 0 ? "," : "");
        put_over(out, &insights->over[i]);
    }
    str_puts(out, "]}}");
}

static void put_insights(struct str *out, const struct insights *insights)
{
    str_putc(out, '{');
    put_time(out, "at", insights->at_ms);
    put_int(out, "available", insights->available);
    put_int(out, "reserved", insights->reserved);
    put_int(out, "usable", insights->usable);
    put_burn(out, "last_7_days", &insights->week);
    put_burn(out, "last_30_days", &insights->month);
    put_expiring(out, insights);
    put_open(out, "plan");
    put_plan(out, "current", insights->has_current, &insights->current);
    put_plan(out, "better", insights->has_better, &insights->better);
    put_text(out, "why", insights->plan_why);
    str_putc(out, '}');
    put_waste(out, insights);
    str_putc(out, '}');
}

enum reply get_insights(struct request *req)
{
    static const char *const known[] = { NULL };
    const int64_t account = req->caller.account_id;
    struct insights insights;
    struct str text = { 0 };
    struct err err;
    enum reply reply = request_check_arguments(req, known);

    if (reply != REPLY_NONE) {
        return reply;
    }
    if (!cache_find(req->app->cache, insights_kind, account, &text)) {
        if (!insights_read(req->db, account, clock_now_ms(), req->arena, &insights, &err)) {
            return refuse_err(req, &err);
        }
        put_insights(&text, &insights);
        cache_keep(req->app->cache, insights_kind, account, &text, KEPT_MS);
    }
    str_append(&req->body_out, text.bytes, text.len);
    str_free(&text);
    return REPLY_OK;
}
