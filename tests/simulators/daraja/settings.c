/*
 * settings - the simulator's environment
 */
#include "settings.h"

#include <string.h>

#include "engine/rows.h"

/* The public test values of Safaricom's sandbox. */
#define SANDBOX_SHORTCODE "174379"
#define SANDBOX_PASSKEY "bfb279f9aa9bdbcf158e97dd71a467cd2e0c893059b10f78e6b72ada1ed2c919"
#define SANDBOX_NUMBER "254708374149"

#define CALLBACK_TO_BYTES 100

static const struct conf_item items[] = {
    SIM_ROW_LISTEN(struct settings),
    CONF_STR(struct settings, consumer_key, "SIM_CONSUMER_KEY", "simulator-key",
             "The only consumer key."),
    CONF_STR(struct settings, consumer_secret, "SIM_CONSUMER_SECRET", "simulator-secret",
             "Its secret."),
    CONF_STR(struct settings, shortcode, "SIM_SHORTCODE", SANDBOX_SHORTCODE,
             "The only BusinessShortCode: 5 to 7 digits."),
    CONF_STR(struct settings, till, "SIM_TILL", "",
             "Till number: the shortcode is its store and only buys goods; empty: a PayBill."),
    CONF_STR(struct settings, passkey, "SIM_PASSKEY", SANDBOX_PASSKEY, "Passkey of the shortcode."),
    CONF_STR(struct settings, initiator, "SIM_INITIATOR", "apiop",
             "The only initiator that may reverse."),
    CONF_STR(struct settings, callback_to, "SIM_CALLBACK_TO", "",
             "host:port that gets every callback, whatever the host of its URL; https then works."),
    CONF_INT(struct settings, callback_connections, "SIM_CALLBACK_CONNECTIONS", "8", 1, 4096,
             "Keep-alive connections that carry callbacks."),
    CONF_MS(struct settings, callback_timeout_ms, "SIM_CALLBACK_TIMEOUT", "10s", 100, 600000,
            "Longest wait for the answer to a callback."),
    CONF_STR(struct settings, force, "SIM_FORCE", SANDBOX_NUMBER ":no_answer",
             "What payers do: <last digits>:<behaviour>, comma-separated."),
    SIM_ROW_FAULTS(struct settings),
    SIM_ROW_SEED(struct settings),
    CONF_INT(struct settings, capacity, "SIM_CAPACITY", "1000000", 1000, 100000000,
             "Pushes, and payments, that can be taken between resets; then 503."),
    CONF_END,
};

bool settings_load(struct settings *settings, struct arena *arena, struct str *problems)
{
    size_t digits;

    if (!conf_load(items, settings, arena, problems)) {
        return false;
    }
    digits = strspn(settings->shortcode, "0123456789");
    if (digits < 5 || digits > 7 || settings->shortcode[digits] != '\0') {
        str_puts(problems, "SIM_SHORTCODE: not 5 to 7 digits\n");
    }
    if (strlen(settings->callback_to) > CALLBACK_TO_BYTES) {
        str_puts(problems, "SIM_CALLBACK_TO: too long\n");
    }
    return problems->len == 0;
}
