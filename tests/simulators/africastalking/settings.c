/*
 * settings - the simulator's environment
 */
#include "settings.h"

#include <string.h>

#include "engine/rows.h"

static const struct conf_item items[] = {
    SIM_ROW_LISTEN(struct settings),
    CONF_STR(struct settings, username, "SIM_USERNAME", "sandbox", "The only user name."),
    CONF_STR(struct settings, api_key, "SIM_API_KEY", "simulator-key", "The only API key."),
    CONF_STR(struct settings, senders, "SIM_SENDERS", "",
             "Comma list of the sender ids that are ours; empty allows all."),
    CONF_STR(struct settings, balance, "SIM_BALANCE", "KES 100000.00",
             "Currency and amount at the start; each accepted part costs SIM_PRICE_E4."),
    CONF_STR(struct settings, total_currency, "SIM_TOTAL_CURRENCY", "",
             "Currency of 'Total Cost' in the summary; empty is that of the balance."),
    CONF_INT(struct settings, price_e4, "SIM_PRICE_E4", "8000", 0, 100000000,
             "Price of a part in ten-thousandths of the currency."),
    CONF_BOOL(struct settings, message_parts, "SIM_MESSAGE_PARTS", "on",
              "Whether replies carry messageParts."),
    CONF_STR(struct settings, report_url, "SIM_REPORT_URL", "",
             "Where delivery reports are posted; empty sends none."),
    CONF_STR(struct settings, incoming_url, "SIM_INCOMING_URL", "",
             "Where inbound SMS are posted."),
    CONF_STR(struct settings, opt_out_url, "SIM_OPT_OUT_URL", "",
             "Where bulk opt-outs are posted."),
    CONF_STR(struct settings, voice_url, "SIM_VOICE_URL", "",
             "The numbers' callback URL: answered and ended calls are posted there."),
    CONF_STR(struct settings, voice_events_url, "SIM_VOICE_EVENTS_URL", "",
             "The numbers' events URL, with clientRequestId; empty posts none."),
    CONF_BOOL(struct settings, voice_client_id, "SIM_VOICE_CLIENT_ID", "off",
              "Whether posts to SIM_VOICE_URL carry clientRequestId too."),
    CONF_STR(struct settings, callers, "SIM_CALLERS", "",
             "Comma list of the numbers that are ours to call from; empty allows all."),
    CONF_INT(struct settings, call_price_e4, "SIM_CALL_PRICE_E4", "30000", 0, 100000000,
             "Price of a started minute in ten-thousandths of the currency."),
    CONF_INT(struct settings, voice_connections, "SIM_VOICE_CONNECTIONS", "16", 1, 4096,
             "Keep-alive connections that carry the posts of calls."),
    CONF_MS(struct settings, voice_timeout_ms, "SIM_VOICE_TIMEOUT", "5s", 100, 600000,
            "Longest wait for the answer to a post of a call; then the call is dropped."),
    CONF_INT(struct settings, call_capacity, "SIM_CALL_CAPACITY", "1000000", 1000, 20000000,
             "Calls that can be accepted between resets; then 503."),
    CONF_STR(struct settings, report_delay, "SIM_REPORT_DELAY", "300-1500",
             "Shortest and longest time from acceptance to the final report, in ms."),
    CONF_INT(struct settings, report_connections, "SIM_REPORT_CONNECTIONS", "8", 1, 4096,
             "Keep-alive connections that carry reports."),
    CONF_INT(struct settings, report_retries, "SIM_REPORT_RETRIES", "3", 0, 100,
             "How often a report that was not answered 2xx is posted again."),
    CONF_MS(struct settings, report_retry_ms, "SIM_REPORT_RETRY", "500ms", 10, 600000,
            "Wait before the first repetition; doubles each time."),
    CONF_MS(struct settings, report_timeout_ms, "SIM_REPORT_TIMEOUT", "10s", 100, 600000,
            "Longest wait for the answer to a report."),
    CONF_STR(struct settings, force, "SIM_FORCE", "",
             "Forced outcomes: <last digits>:<outcome>, comma-separated."),
    SIM_ROW_FAULTS(struct settings),
    SIM_ROW_SEED(struct settings),
    CONF_INT(struct settings, capacity, "SIM_CAPACITY", "16000000", 1000, 100000000,
             "Messages that can be accepted between resets; then 503."),
    CONF_INT(struct settings, texts, "SIM_TEXTS", "1000", 1, 1000000,
             "How many of the last texts /_sim/messages can show."),
    CONF_END,
};

/* "KES 1234.5" */
static bool parse_balance(const char *text, char currency[4], int64_t *out_e4)
{
    int64_t value = 0;
    int decimals = -1;

    if (strlen(text) < 5 || text[3] != ' ' || text[4] < '0' || text[4] > '9') {
        return false;
    }
    for (const char *at = text + 4; *at != '\0'; at++) {
        if (*at == '.' && decimals < 0) {
            decimals = 0;
        } else if (*at >= '0' && *at <= '9' && decimals < 4 && value < INT64_MAX / 1000000) {
            value = value * 10 + (*at - '0');
            decimals += decimals >= 0;
        } else {
            return false;
        }
    }
    for (int i = decimals < 0 ? 0 : decimals; i < 4; i++) {
        value *= 10;
    }
    memcpy(currency, text, 3);
    currency[3] = '\0';
    *out_e4 = value;
    return true;
}

/* "300-1500" */
static bool parse_range(const char *text, long *out_min, long *out_max)
{
    const char *dash = strchr(text, '-');
    int64_t min;
    int64_t max;

    if (dash == NULL || !str_parse_int_n(text, (size_t)(dash - text), 0, 86400000, &min) ||
        !str_parse_int(dash + 1, min, 86400000, &max)) {
        return false;
    }
    *out_min = (long)min;
    *out_max = (long)max;
    return true;
}

bool settings_load(struct settings *settings, struct arena *arena, struct str *problems)
{
    if (!conf_load(items, settings, arena, problems)) {
        return false;
    }
    if (!parse_balance(settings->balance, settings->currency, &settings->balance_e4)) {
        str_puts(problems, "SIM_BALANCE: not like 'KES 100000.00'\n");
    }
    if (!parse_range(settings->report_delay, &settings->report_delay_min_ms,
                     &settings->report_delay_max_ms)) {
        str_puts(problems, "SIM_REPORT_DELAY: not like '300-1500'\n");
    }
    return problems->len == 0;
}

bool settings_allow(const char *list, const char *word)
{
    size_t want = strlen(word);
    const char *at = list;

    if (*at == '\0') {
        return true;
    }
    while (*at != '\0') {
        size_t len = strcspn(at, ",");

        if (len == want && memcmp(at, word, len) == 0) {
            return true;
        }
        at += len;
        at += *at == ',';
    }
    return false;
}

bool settings_allow_sender(const struct settings *settings, const char *sender)
{
    return settings_allow(settings->senders, sender);
}
