/*
 * test_call - one call, to see and hear whether the provider calls for us at all
 *
 * No campaign, no tokens: the request goes straight to the provider, which bills the call.
 */
#include <stdio.h>
#include <string.h>

#include "base/id.h"
#include "base/log.h"
#include "campaign/voice.h"
#include "ctl.h"
#include "http/http.h"
#include "provider/at_call.h"
#include "text/msisdn.h"

/*
 * The request names a campaign that no campaign is, for an id has the time of its birth in it. A
 * request that named none could, where the provider repeats its name, be taken for the call of
 * whichever campaign waits for word of that number.
 */
#define NO_CAMPAIGN 1

/* What an operator can do about a reason; any other is in the provider's words. */
static const struct {
    const char *reason;
    const char *fix;
} fixes[] = {
    { "invalid_caller_id",
      "the account has no such number to call from: give another by --caller-id or "
      "AT_VOICE_CALLER_ID" },
    { "invalid_callback_url", "give the number its callback address at Africa's Talking: "
                              "PUBLIC_URL/api/communications/webhooks/voice?token=…" },
    { "insufficient_balance", "top up the account at Africa's Talking; tumactl at-balance shows "
                              "what it has" },
    { "invalid_number", "the provider says that PHONE is no number: look at it again" },
    { "no_route", "the account may not call there: have Africa's Talking open that destination" },
    { "bad_credentials", "look at AT_USERNAME and AT_API_KEY, and whether AT_VOICE_URL is theirs" },
    { "forbidden", "look at AT_USERNAME and AT_API_KEY, and whether AT_VOICE_URL is theirs" },
    { "moved", "look at AT_VOICE_URL: the API is somewhere else" },
    { "throttled", "wait a little and try again" },
};

/* NULL when we know none. */
static const char *fix_of(const struct at_verdict *whole, const char *reason)
{
    for (size_t i = 0; i < sizeof fixes / sizeof *fixes; i++) {
        if (strcmp(fixes[i].reason, reason) == 0) {
            return fixes[i].fix;
        }
    }
    return whole->state == AT_REQUEST_NOT_SENT ? "look at AT_VOICE_URL and at the network" : NULL;
}

static bool read_phone(struct ctl *ctl, int64_t *out_msisdn, struct err *err)
{
    const char *iso = ctl_option(ctl, "country");
    const struct text_country *home = text_country_find(iso ? iso : "KE");
    const char *phone = ctl->arguments[0];
    enum text_msisdn_fault fault;

    if (!home) {
        return ctl_usage(err, "--country: '%.10s' is not served; use one of %s", iso,
                         text_country_list());
    }
    fault = text_msisdn_parse_callable(phone, strlen(phone), home, out_msisdn);
    return fault == TEXT_MSISDN_OK ||
           ctl_usage(err, "PHONE %s; write +254712345678, or 0712345678 and --country KE",
                     text_msisdn_reason(fault));
}

/* *out_caller is the number that calls. */
static bool read_settings(struct ctl *ctl, struct at_call_conf *conf, const char **out_caller,
                          struct err *err)
{
    const char *caller = ctl_option(ctl, "caller-id");

    if (caller && !at_call_is_number(caller)) {
        return ctl_usage(err, "--caller-id: '%.20s' is not a number as +254711000000", caller);
    }
    if (!ctl_settings(ctl, at_call_conf_items, conf, err)) {
        return false;
    }
    if (!at_call_conf_check(conf, err)) {
        err->what = "settings";
        return false;
    }
    *out_caller = caller ? caller : conf->caller_id;
    return **out_caller ||
           err_permanent(err, "settings",
                         "no number to call from: give --caller-id or set AT_VOICE_CALLER_ID");
}

/* The provider's own words only where we have none: they may repeat an address with our token. */
static bool tell(const struct at_call_outcome *outcome, const struct at_verdict *whole,
                 const char *phone, const char *caller, struct err *err)
{
    const char *fix = fix_of(whole, outcome->reason);
    const char *words = fix && whole->state != AT_REQUEST_NOT_SENT ? "" : whole->detail;

    if (outcome->class == AT_ACCEPTED) {
        printf("queued: session %s\n"
               "%s is called from %s. The call belongs to no campaign: who answers hears a goodbye"
               "\nand no more. Silence, or a call that breaks off: tumactl test-webhooks voice.\n",
               outcome->session_id, phone, caller);
        return true;
    }
    printf("%s: %s%s%s%s\n", outcome->class == AT_DOUBT ? "unknown" : "refused", outcome->reason,
           *words ? " (" : "", words, *words ? ")" : "");
    if (outcome->class == AT_DOUBT) {
        return err_unknown(err, "in_doubt",
                           "nobody knows whether %s is called: look at the calls that Africa's "
                           "Talking lists before trying again",
                           phone);
    }
    return err_permanent(err, "refused", "%s is not called: %s", phone,
                         fix ? fix : "see what the provider says");
}

static bool test_call(struct ctl *ctl, struct err *err)
{
    struct at_call_conf conf;
    struct at_call_outcome outcome;
    struct at_verdict whole;
    struct http_reply reply;
    struct http_call call;
    struct http *http = NULL;
    char request[VOICE_REQUEST_BYTES], phone[TEXT_MSISDN_BYTES], masked[LOG_MASK_BYTES];
    const char *caller;
    int64_t msisdn;

    voice_request_write(NO_CAMPAIGN, (int)id_random_below(INT32_MAX) + 1, 1, request);
    if (!read_phone(ctl, &msisdn, err) || !read_settings(ctl, &conf, &caller, err) ||
        !at_call_request(&conf, caller, request, &msisdn, 1, &call, ctl->arena, err) ||
        !http_create(&(struct http_conf){ 0 }, &http, err)) {
        return false;
    }
    http_run(http, &call, &reply, 1, ctl->arena);
    at_call_read(&reply, &msisdn, 1, &outcome, &whole, ctl->arena);
    http_destroy(http);
    text_msisdn_format(msisdn, phone);
    return tell(&outcome, &whole, log_mask(phone, masked), caller, err);
}

const struct command test_call_command = {
    .name = "test-call",
    .arguments = "PHONE",
    .arguments_min = 1,
    .arguments_max = 1,
    .summary = "Have Africa's Talking call one number, which hears a goodbye",
    .options =
        (const struct option_def[]){
            { OPTION_TEXT, "caller-id", "NUMBER",
              "number of ours that calls; default AT_VOICE_CALLER_ID" },
            { OPTION_TEXT, "country", "KE", "of a PHONE written without a country code" },
            { OPTION_END, NULL, NULL, NULL },
        },
    .notes =
        "Settings: AT_USERNAME, AT_API_KEY, AT_VOICE_URL, AT_VOICE_CALLER_ID, VOICE_TIMEOUT. "
        "It tells whether the\nprovider took the call; a started minute is billed if somebody "
        "answers. The call belongs to no campaign,\nso the ingress gives it a goodbye, takes "
        "no tokens and keeps its end as one that nobody knows: a day\nin unmatched_calls, then "
        "in odd_callbacks. Not to a number that a campaign calls or is in doubt about.",
    .run = test_call,
};
