/*
 * GET /api/tokens/usage - what tokens went for in the last days: by day, campaign, channel, network
 *
 * Kept for half a minute: the sums of a large account take some tenths of a second.
 */
#include <stdio.h>

#include "base/clock.h"
#include "base/id.h"
#include "cache.h"
#include "provider/africastalking.h"
#include "routes.h"
#include "usage/usage.h"

#define DAYS_DEFAULT 30
#define TOP_DEFAULT 20
#define KEPT_MS 30000

/* The cache tells kinds apart by their address: one for each question that may be asked. */
static const char kinds[USAGE_DAYS_MAX + 1][USAGE_CAMPAIGNS_MAX + 1];

/* Without braces. One token pays one segment. */
static void put_sums(struct str *out, const struct usage_sums *sums)
{
    put_int(out, "tokens", sums->tokens);
    put_int(out, "refunded", sums->refunded);
    put_int(out, "segments", sums->tokens);
    put_int(out, "recipients", sums->recipients);
}

static void put_days(struct str *out, const struct usage *usage)
{
    char date[CLOCK_RFC3339_BYTES];

    str_puts(out, ",\"days\":[");
    for (size_t i = 0; i < usage->day_count; i++) {
        clock_format(usage->days[i].day_ms, date);
        date[sizeof("2026-11-20") - 1] = '\0';
        str_puts(out, i > 0 ? ",{" : "{");
        put_text(out, "day", date);
        put_sums(out, &usage->days[i].sums);
        str_putc(out, '}');
    }
    str_putc(out, ']');
}

static void put_campaigns(struct str *out, const struct usage *usage)
{
    char id[ID_TEXT_BYTES];

    put_int(out, "campaigns_used", usage->campaigns);
    str_puts(out, ",\"campaigns\":[");
    for (size_t i = 0; i < usage->top_count; i++) {
        const struct usage_campaign *top = &usage->top[i];

        id_format(*top->kind == 'm' ? "msg" : "cmp", top->id, id);
        str_puts(out, i > 0 ? ",{" : "{");
        put_text(out, "id", id);
        put_text(out, "title", top->title);
        put_text(out, "channel", top->channel);
        put_sums(out, &top->sums);
        str_putc(out, '}');
    }
    str_putc(out, ']');
}

static void put_channels(struct str *out, const struct usage *usage)
{
    str_puts(out, ",\"channels\":[");
    for (size_t i = 0; i < usage->channel_count; i++) {
        str_puts(out, i > 0 ? ",{" : "{");
        put_text(out, "channel", usage->channels[i].channel);
        put_int(out, "campaigns", usage->channels[i].campaigns);
        put_sums(out, &usage->channels[i].sums);
        str_putc(out, '}');
    }
    str_putc(out, ']');
}

static void put_networks(struct str *out, const struct usage *usage)
{
    char code[16];

    str_puts(out, ",\"networks\":[");
    for (size_t i = 0; i < usage->network_count; i++) {
        const struct usage_network *network = &usage->networks[i];

        snprintf(code, sizeof code, "%lld", (long long)network->network);
        str_puts(out, i > 0 ? ",{" : "{");
        put_text(out, "code", network->network != 0 ? code : NULL);
        put_text(out, "network", network->network != 0 ? at_network_name(code) : NULL);
        put_int(out, "tokens", network->tokens);
        put_int(out, "segments", network->tokens);
        put_int(out, "recipients", network->recipients);
        put_int(out, "delivered", network->delivered);
        put_int(out, "failed", network->failed);
        put_int(out, "failed_tokens", network->failed_tokens);
        str_putc(out, '}');
    }
    str_putc(out, ']');
    put_int(out, "tokens_not_counted_yet", usage->uncounted);
}

static bool measure(struct request *req, int64_t days, int64_t top, struct str *out,
                    struct err *err)
{
    struct usage usage;

    if (!usage_read(req->db, req->caller.account_id, days, top, clock_now_ms(), req->arena, &usage,
                    err)) {
        return false;
    }
    str_putc(out, '{');
    put_time(out, "from", usage.from_ms);
    put_time(out, "to", usage.to_ms);
    put_text(out, "zone", "UTC");
    str_puts(out, ",\"total\":{");
    put_sums(out, &usage.total);
    str_putc(out, '}');
    put_days(out, &usage);
    put_campaigns(out, &usage);
    put_channels(out, &usage);
    put_networks(out, &usage);
    str_putc(out, '}');
    return true;
}

static enum reply read_number(struct request *req, const char *name, const char *code, int64_t max,
                              int64_t *value)
{
    const char *text = request_argument(req, name);

    if (text != NULL && !str_parse_int(text, 1, max, value)) {
        return refuse(req, REPLY_BAD_REQUEST, code, name, "a whole number from 1 to %lld",
                      (long long)max);
    }
    return REPLY_NONE;
}

enum reply get_usage(struct request *req)
{
    static const char *const known[] = { "days", "top", NULL };
    int64_t days = DAYS_DEFAULT;
    int64_t top = TOP_DEFAULT;
    struct str text = { 0 };
    enum reply reply;
    struct err err;

    if ((reply = request_check_arguments(req, known)) != REPLY_NONE ||
        (reply = read_number(req, "days", "bad_days", USAGE_DAYS_MAX, &days)) != REPLY_NONE ||
        (reply = read_number(req, "top", "bad_top", USAGE_CAMPAIGNS_MAX, &top)) != REPLY_NONE) {
        return reply;
    }
    const char *kind = &kinds[days][top];
    if (!cache_find(req->app->cache, kind, req->caller.account_id, &text)) {
        if (!measure(req, days, top, &text, &err)) {
            str_free(&text);
            return refuse_err(req, &err);
        }
        cache_keep(req->app->cache, kind, req->caller.account_id, &text, KEPT_MS);
    }
    str_append(&req->body_out, text.bytes, text.len);
    str_free(&text);
    return REPLY_OK;
}
