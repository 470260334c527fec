#include "routes.h"

#include <string.h>

#include "audio/folder.h"
#include "payment_callback.h"
#include "plan/plan.h"

#define API PLAN_BIT(PLAN_API_ACCESS)
#define ANALYTICS (API | PLAN_BIT(PLAN_ANALYTICS))
#define REPORTS (API | PLAN_BIT(PLAN_DELIVERY_REPORTS))

/* clang-format off */
const struct route routes[] = {
    { "POST", "/api/messages/send", SCOPE_SEND, BODY_JSON, .acts = true, .features = API, .handle = post_messages_send,
      .summary = "Send one text to several recipients" },
    { "GET", "/api/messages/{id}/status", SCOPE_READ, .features = REPORTS, .handle = get_message_status,
      .summary = "A message's state, recipient by recipient" },
    { "POST", "/api/messages/quote", SCOPE_READ, BODY_JSON, .features = API, .handle = post_quote,
      .summary = "What a text costs, and why; nothing is stored or sent" },
    { "POST", "/api/communications/sms", SCOPE_SEND, BODY_ROWS, .acts = true, .features = API, .handle = post_sms,
      .summary = "Create an SMS campaign from inline recipients or a streamed file" },
    { "POST", "/api/communications/voice", SCOPE_SEND, BODY_ROWS, .acts = true, .channel = CHANNEL_VOICE, .features = API,
      .handle = post_voice, .summary = "Create a campaign of calls from inline recipients or a streamed file" },
    { "GET", "/api/communications/campaigns", SCOPE_READ, .features = API, .handle = get_campaigns,
      .summary = "The account's campaigns, page by page" },
    { "GET", "/api/communications/campaigns/{id}", SCOPE_READ, .features = API, .handle = get_campaign,
      .summary = "One campaign" },
    { "GET", "/api/communications/campaigns/{id}/recipients", SCOPE_READ, .features = REPORTS, .handle = get_recipients,
      .summary = "Its recipients, page by page, or all as CSV" },
    { "GET", "/api/communications/campaigns/{id}/rejects", SCOPE_READ, .features = API, .handle = get_rejects,
      .summary = "The rows that became no recipient, each with its reason" },
    { "GET", "/api/communications/campaigns/{id}/stats", SCOPE_READ, .features = ANALYTICS, .handle = get_stats,
      .summary = "Its counts, rates, cost and networks" },
    { "GET", "/api/communications/campaigns/{id}/events", SCOPE_READ, .features = API, .handle = get_events,
      .summary = "Its counts as they change, as server-sent events" },
    { "POST", "/api/communications/campaigns/{id}/launch", SCOPE_SEND, .acts = true, .features = API, .handle = post_launch,
      .summary = "Send a campaign that stopped at its quote" },
    { "POST", "/api/communications/campaigns/{id}/pause", SCOPE_SEND, .acts = true, .features = API, .handle = post_pause,
      .summary = "Send no more for now" },
    { "POST", "/api/communications/campaigns/{id}/resume", SCOPE_SEND, .acts = true, .features = API, .handle = post_resume,
      .summary = "Go on sending" },
    { "POST", "/api/communications/campaigns/{id}/cancel", SCOPE_SEND, .acts = true, .features = API, .handle = post_cancel,
      .summary = "Send no more, ever; unused tokens come back" },
    { "POST", "/api/communications/audio-assets", SCOPE_SEND, BODY_SOUND, .acts = true, .features = API,
      .handle = post_audio_assets, .summary = "Keep a file of sound for voice campaigns" },
    { "GET", "/api/communications/audio-assets", SCOPE_READ, .features = API, .handle = get_audio_assets,
      .summary = "The account's files of sound, page by page" },
    { "GET", "/api/communications/audio-assets/{id}", SCOPE_READ, .features = API, .handle = get_audio_asset,
      .summary = "What one is" },
    { "GET", "/api/communications/audio-assets/{id}/audio", SCOPE_READ, .features = API, .handle = get_audio,
      .summary = "The sound itself, or a part of it" },
    { "DELETE", "/api/communications/audio-assets/{id}", SCOPE_SEND, .features = API, .handle = delete_audio_asset,
      .summary = "Forget one that no campaign uses" },
    { "GET", "/api/campaigns/{id}/stats", SCOPE_READ, .features = ANALYTICS, .handle = get_stats,
      .summary = "The same as /api/communications/campaigns/{id}/stats" },
    { "GET", "/api/campaigns/{id}/events", SCOPE_READ, .features = API, .handle = get_events,
      .summary = "The same as /api/communications/campaigns/{id}/events" },
    { "GET", "/api/tokens/balance", SCOPE_READ, .handle = get_balance,
      .summary = "The account's tokens" },
    { "POST", "/api/tokens/transfer", SCOPE_ADMIN, BODY_JSON, .acts = true, .handle = post_transfer,
      .summary = "Give tokens to another account" },
    { "GET", "/api/tokens/history", SCOPE_READ, .handle = get_history,
      .summary = "Every movement of the account's tokens, page by page, or all as CSV" },
    { "GET", "/api/tokens/receipts/{reference}", SCOPE_READ, .handle = get_token_receipt,
      .summary = "The receipt of one operation, as JSON or as a page to print" },
    { "GET", "/api/tokens/usage", SCOPE_READ, .handle = get_usage,
      .summary = "What tokens went for: by day, campaign, channel and network" },
    { "GET", "/api/tokens/insights", SCOPE_READ, .handle = get_insights,
      .summary = "How long tokens last, which plan fits, what is wasted" },
    { "GET", "/api/tokens/alerts", SCOPE_READ, .handle = get_alerts,
      .summary = "What the account should hear of before it hurts, page by page" },
    { "POST", "/api/tokens/alerts/settings", SCOPE_ADMIN, BODY_JSON, .acts = true,
      .handle = post_alert_settings, .summary = "Below how many tokens the account is alerted" },
    { "GET", "/api/plans", SCOPE_READ, .handle = get_plans,
      .summary = "The plans on sale, and the account's own" },
    { "POST", "/api/tokens/purchase", SCOPE_ADMIN, BODY_JSON, .acts = true, .handle = post_purchase,
      .summary = "Buy a plan" },
    { "GET", "/api/payments", SCOPE_READ, .handle = get_payments,
      .summary = "The account's payments, page by page" },
    { "GET", "/api/payments/{id}", SCOPE_READ, .handle = get_payment,
      .summary = "One payment" },
    { "GET", "/api/payments/{id}/events", SCOPE_READ, .handle = get_payment_events,
      .summary = "A payment as it changes, as server-sent events" },
    { "GET", "/api/payments/{id}/receipt", SCOPE_READ, .handle = get_receipt,
      .summary = "Its receipt, as JSON or as a page to print" },
    { "POST", "/api/payments/{id}/retry", SCOPE_ADMIN, .acts = true, .handle = post_retry,
      .summary = "Try again to pay what was bought" },
    { "GET", "/api/integration/at/balance", SCOPE_ADMIN, .handle = get_provider_balance,
      .summary = "The credit left at Africa's Talking" },
    { "GET", "/api/integration/at/performance", SCOPE_READ, .features = ANALYTICS, .handle = get_performance,
      .summary = "Delivery rate, latency and failures, by network" },
    { "POST", "/api/messages/delivery-callback", SCOPE_NONE, BODY_CALLBACK,
      .summary = "The provider's delivery reports" },
    { "POST", "/api/messages/incoming", SCOPE_NONE, BODY_CALLBACK,
      .summary = "The provider's incoming messages" },
    { "POST", "/api/communications/webhooks/sms", SCOPE_NONE, BODY_CALLBACK,
      .summary = "Either of them, and opt-out notices" },
    { "POST", "/api/communications/webhooks/voice", SCOPE_NONE, BODY_CALLBACK,
      .summary = "The provider's calls: what a callee hears, keys that are pressed, ends" },
    { "POST", "/api/pay/{secret}", SCOPE_NONE, BODY_PAYMENT,
      .summary = "What M-Pesa says of a prompt" },
    { "POST", "/api/payments/mpesa/callback", SCOPE_NONE, BODY_PAYMENT,
      .summary = "The same, without a secret" },
    { "POST", "/api/payments/mpesa/callback/{secret}", SCOPE_NONE, BODY_PAYMENT,
      .summary = "The same as /api/pay/{secret}" },
    { "POST", "/api/pay/reversal/result/{secret}", SCOPE_NONE, BODY_PAYMENT,
      .summary = "What became of a payment that is paid back" },
    { "POST", "/api/pay/c2b/confirmation/{token}", SCOPE_NONE, BODY_PAYMENT,
      .summary = "M-Pesa's word of a payment to the paybill" },
    { "POST", "/api/pay/c2b/validation/{token}", SCOPE_NONE, BODY_PAYMENT,
      .summary = "M-Pesa's question whether to take one" },
    { "GET", "/media/{id}/{signature}", SCOPE_NONE, .is_welcome = media_is_signed, .handle = get_media,
      .summary = "A file of sound at a signed address, for the provider" },
    { "GET", "/healthz", SCOPE_NONE, .inline_answer = true, .handle = get_healthz,
      .summary = "The process answers" },
    { "GET", "/readyz", SCOPE_NONE, .handle = get_readyz,
      .summary = "Database and broker answer too" },
    { "GET", "/metrics", SCOPE_NONE, .inline_answer = true, .handle = get_metrics,
      .summary = "Counters in Prometheus text" },
};
/* clang-format on */

const size_t routes_count = sizeof(routes) / sizeof(*routes);

struct segment {
    const char *text;
    size_t len;
};

/* A segment of one path against one of another; {id} takes any that is not empty. */
static bool match(const char *pattern, const char *path, struct segment *out_parameters)
{
    while (*pattern != '\0') {
        if (*pattern == '{') {
            *out_parameters = (struct segment){ path, strcspn(path, "/") };
            if (out_parameters->len == 0) {
                return false;
            }
            path += out_parameters->len;
            out_parameters++;
            pattern = strchr(pattern, '}') + 1;
        } else if (*pattern == *path) {
            pattern++;
            path++;
        } else {
            return false;
        }
    }
    return *path == '\0' || strcmp(path, "/") == 0;
}

const struct route *route_find(const char *method, const char *path, struct arena *arena,
                               const char *out_parameters[ROUTE_PARAMETERS], bool *out_path_known)
{
    *out_path_known = false;
    for (size_t i = 0; i < routes_count; i++) {
        struct segment parameters[ROUTE_PARAMETERS] = { 0 };
        /* Those without a handler are callbacks.c's, which has seen the path before. */
        if (routes[i].handle == NULL || !match(routes[i].path, path, parameters)) {
            continue;
        }
        *out_path_known = true;
        if (strcmp(routes[i].method, method) == 0) {
            for (int k = 0; k < ROUTE_PARAMETERS; k++) {
                const struct segment *one = &parameters[k];
                out_parameters[k] =
                    one->text != NULL ? arena_strndup(arena, one->text, one->len) : NULL;
            }
            return &routes[i];
        }
    }
    return NULL;
}

const char *route_methods(const char *path, struct arena *arena)
{
    const char *methods = "";

    for (size_t i = 0; i < routes_count; i++) {
        struct segment parameters[ROUTE_PARAMETERS] = { 0 };
        if (routes[i].handle != NULL && match(routes[i].path, path, parameters)) {
            methods = arena_printf(arena, "%s%s%s", methods, *methods != '\0' ? ", " : "",
                                   routes[i].method);
        }
    }
    return methods;
}

size_t route_body_max(const struct route *route)
{
    switch (route->body) {
    case BODY_JSON:
    case BODY_ROWS:
        return BODY_JSON_MAX;
    case BODY_CALLBACK:
        return BODY_CALLBACK_MAX;
    case BODY_PAYMENT:
        return PAYMENT_CALLBACK_MAX;
    case BODY_SOUND:
        return AUDIO_MAX_BYTES; /* AUDIO_BYTES_MAX may say less; see sound_body_max() */
    case BODY_NONE:
        break;
    }
    return 4096;
}

void routes_describe(struct str *out)
{
    static const char *const scopes[] = { "", "read", "send", "", "admin" };
    static const char *const bodies[] = { "none", "json", "rows", "callback", "callback", "sound" };

    str_putc(out, '[');
    for (size_t i = 0; i < routes_count; i++) {
        const struct route *route = &routes[i];
        str_puts(out, i > 0 ? ",{" : "{");
        put_text(out, "method", route->method);
        put_text(out, "path", route->path);
        put_text(out, "scope", scopes[route->scope]);
        put_text(out, "body", bodies[route->body]);
        put_int(out, "body_max",
                (int64_t)(route->body == BODY_ROWS ? BODY_UPLOAD_MAX : route_body_max(route)));
        str_printf(out, ",\"idempotency_key\":%s", route->acts ? "true" : "false");
        put_text(out, "summary", route->summary);
        str_putc(out, '}');
    }
    str_putc(out, ']');
}
