/*
 * daraja_conf - the settings of M-Pesa, and what makes them wrong
 */
#include <string.h>

#include "provider/daraja.h"

#define SHORTCODE_DIGITS_MIN 5
#define SHORTCODE_DIGITS_MAX 7

const struct conf_item daraja_conf_items[] = {
    DARAJA_CONF_ITEMS(struct daraja_conf, ),
    CONF_END,
};

static bool is_http(const char *url)
{
    return strncmp(url, "https://", 8) == 0 || strncmp(url, "http://", 7) == 0;
}

/* Printable ASCII without spaces, and something of it: fit for a header and for a password. */
static bool is_plain(const char *text)
{
    const char *at = text;

    while (*at > ' ' && *at <= '~') {
        at++;
    }
    return at > text && *at == '\0';
}

static bool is_number_of(const char *text, size_t min, size_t max)
{
    size_t len = strspn(text, "0123456789");

    return text[len] == '\0' && len >= min && len <= max;
}

/* Safaricom's page on callback URLs names these; some of its products do refuse them. */
static const char *const refused_words[] = { "m-pesa", "mpesa", "safaricom", "exe",
                                             "cmd",    "sql",   "query" };

bool daraja_url_check(const char *url, struct err *err)
{
    const char *host = strstr(url, "://");

    if (!is_http(url) || !is_plain(url)) {
        return err_permanent(err, "bad_callback_url",
                             "must begin with http:// or https:// and have no spaces");
    }
    host += 3;
    size_t len = strcspn(host, "/");
    if (len == 0) {
        return err_permanent(err, "bad_callback_url", "has no host");
    }
    for (size_t i = 0; i < len; i++) {
        if (host[i] >= 'A' && host[i] <= 'Z') {
            return err_permanent(err, "bad_callback_url",
                                 "M-Pesa refuses capital letters in the host");
        }
    }
    for (size_t i = 0; i < sizeof(refused_words) / sizeof(refused_words[0]); i++) {
        if (strcasestr(url, refused_words[i]) != NULL) {
            return err_permanent(err, "bad_callback_url", "M-Pesa refuses '%s' in a callback URL",
                                 refused_words[i]);
        }
    }
    return true;
}

static bool check_base_url(const struct daraja_conf *conf, struct err *err)
{
    size_t len = strlen(conf->base_url);

    if (!is_http(conf->base_url) || !is_plain(conf->base_url)) {
        return err_permanent(err, "bad_setting",
                             "MPESA_BASE_URL must begin with http:// or https://");
    }
    if (conf->base_url[len - 1] == '/') {
        return err_permanent(err, "bad_setting", "MPESA_BASE_URL must not end in a slash");
    }
    return true;
}

static bool check_public_url(const struct daraja_conf *conf, struct err *err)
{
    size_t len = strlen(conf->public_url);
    struct err fault;

    if (len == 0) {
        return err_permanent(err, "bad_setting",
                             "PUBLIC_URL must say where M-Pesa's callbacks reach this server");
    }
    if (!daraja_url_check(conf->public_url, &fault)) {
        return err_permanent(err, "bad_setting", "PUBLIC_URL: %s", fault.detail);
    }
    if (conf->public_url[len - 1] == '/') {
        return err_permanent(err, "bad_setting", "PUBLIC_URL must not end in a slash");
    }
    if (strstr(conf->base_url, "//api.safaricom.co.ke") != NULL &&
        strncmp(conf->public_url, "https://", 8) != 0) {
        return err_permanent(err, "bad_setting", "PUBLIC_URL must be https for M-Pesa in earnest");
    }
    return true;
}

static bool check_secrets(const struct daraja_conf *conf, struct err *err)
{
    /* A colon would end the key early: RFC 7617, section 2. */
    if (!is_plain(conf->consumer_key) || strchr(conf->consumer_key, ':') != NULL ||
        !is_plain(conf->consumer_secret)) {
        return err_permanent(err, "bad_setting",
                             "MPESA_CONSUMER_KEY and MPESA_CONSUMER_SECRET must be printable ASCII "
                             "without spaces, the key without a colon");
    }
    if (!is_plain(conf->passkey)) {
        return err_permanent(err, "bad_setting",
                             "MPESA_PASSKEY must be printable ASCII without spaces");
    }
    if ((conf->initiator[0] == '\0') != (conf->security_credential[0] == '\0')) {
        return err_permanent(err, "bad_setting",
                             "MPESA_INITIATOR and MPESA_SECURITY_CREDENTIAL belong together");
    }
    return true;
}

bool daraja_conf_check(const struct daraja_conf *conf, struct err *err)
{
    bool till = strcmp(conf->transaction_type, "CustomerBuyGoodsOnline") == 0;

    if (!check_base_url(conf, err) || !check_public_url(conf, err) || !check_secrets(conf, err)) {
        return false;
    }
    if (!is_number_of(conf->shortcode, SHORTCODE_DIGITS_MIN, SHORTCODE_DIGITS_MAX)) {
        return err_permanent(err, "bad_setting", "MPESA_SHORTCODE must have %d to %d digits",
                             SHORTCODE_DIGITS_MIN, SHORTCODE_DIGITS_MAX);
    }
    if (!till && strcmp(conf->transaction_type, "CustomerPayBillOnline") != 0) {
        return err_permanent(
            err, "bad_setting",
            "MPESA_TRANSACTION_TYPE must be CustomerPayBillOnline or CustomerBuyGoodsOnline");
    }
    if (till && conf->party_b[0] == '\0') {
        return err_permanent(err, "bad_setting",
                             "CustomerBuyGoodsOnline needs MPESA_PARTY_B, the till number");
    }
    if (conf->party_b[0] != '\0' &&
        !is_number_of(conf->party_b, SHORTCODE_DIGITS_MIN, SHORTCODE_DIGITS_MAX)) {
        return err_permanent(err, "bad_setting", "MPESA_PARTY_B must have %d to %d digits",
                             SHORTCODE_DIGITS_MIN, SHORTCODE_DIGITS_MAX);
    }
    if (conf->min_kes > conf->max_kes) {
        return err_permanent(err, "bad_setting",
                             "MPESA_MIN_AMOUNT must not be above MPESA_MAX_AMOUNT");
    }
    return true;
}
