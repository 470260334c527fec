/*
 * daraja_value - phone numbers, amounts and times as M-Pesa writes them
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/panic.h"
#include "base/str.h"
#include "crypto/crypto.h"
#include "provider/daraja.h"
#include "text/msisdn.h"

#define MSISDN_FIRST INT64_C(254100000000)
#define MSISDN_LAST INT64_C(254199999999)
#define MSISDN_FIRST_7 INT64_C(254700000000)
#define MSISDN_LAST_7 INT64_C(254799999999)
#define EAT_OFFSET_MS INT64_C(10800000) /* East Africa Time: UTC+3, no summer time */
#define AMOUNT_KES_MAX INT64_C(1000000000000)

/* What is 2547 and 2541 with eight more digits; networks share them since numbers are portable. */
bool daraja_is_msisdn(int64_t msisdn)
{
    return (msisdn >= MSISDN_FIRST && msisdn <= MSISDN_LAST) ||
           (msisdn >= MSISDN_FIRST_7 && msisdn <= MSISDN_LAST_7);
}

bool daraja_msisdn_parse(const char *text, size_t len, int64_t *out_msisdn, struct err *err)
{
    const struct text_country *kenya = text_country_find("KE");
    int64_t msisdn;

    if (kenya == NULL) {
        panic("lib/text does not know Kenya");
    }
    enum text_msisdn_fault fault = text_msisdn_parse(text, len, kenya, &msisdn);
    if (fault != TEXT_MSISDN_OK) {
        return text_msisdn_fail(fault, err);
    }
    const char *country = text_msisdn_country(msisdn);
    if (country == NULL || strcmp(country, "KE") != 0) {
        return err_permanent(err, "phone_not_kenyan",
                             "is a number of %s; M-Pesa prompts Kenyan numbers only",
                             country != NULL ? country : "another country");
    }
    if (!daraja_is_msisdn(msisdn)) {
        return err_permanent(err, "phone_not_mpesa",
                             "is not a number that M-Pesa serves: 07…, 01…, 2547… or 2541…");
    }
    *out_msisdn = msisdn;
    return true;
}

bool daraja_amount_parse(const char *text, int64_t *out_minor)
{
    size_t whole = strspn(text, "0123456789");
    const char *fraction = text + whole;
    int64_t kes;
    int64_t cents = 0;

    if (!str_parse_int_n(text, whole, 0, AMOUNT_KES_MAX, &kes)) {
        return false;
    }
    if (*fraction == '.') {
        size_t len = strspn(++fraction, "0123456789");
        if (len == 0) {
            return false;
        }
        cents = (fraction[0] - '0') * 10 + (len > 1 ? fraction[1] - '0' : 0);
        for (size_t i = 2; i < len; i++) {
            if (fraction[i] != '0') {
                return false;
            }
        }
        fraction += len;
    }
    if (*fraction != '\0') {
        return false;
    }
    *out_minor = kes * 100 + cents;
    return true;
}

void daraja_time_format(int64_t ms, char out[DARAJA_TIME_BYTES])
{
    char rfc[CLOCK_RFC3339_BYTES];
    size_t len = 0;

    clock_format(ms + EAT_OFFSET_MS, rfc);
    for (const char *at = rfc; *at != '.' && *at != '\0'; at++) {
        if (*at >= '0' && *at <= '9' && len + 1 < DARAJA_TIME_BYTES) {
            out[len++] = *at;
        }
    }
    out[len] = '\0';
}

bool daraja_time_parse(const char *text, int64_t *out_ms)
{
    char rfc[32];

    if (strlen(text) != DARAJA_TIME_BYTES - 1 || strspn(text, "0123456789") != strlen(text)) {
        return false;
    }
    int len = snprintf(rfc, sizeof(rfc), "%.4s-%.2s-%.2sT%.2s:%.2s:%.2s+03:00", text, text + 4,
                       text + 6, text + 8, text + 10, text + 12);
    return clock_parse(rfc, (size_t)len, out_ms);
}

const char *daraja_password(const struct daraja_conf *conf, const char *timestamp,
                            struct arena *arena)
{
    const char *plain = arena_printf(arena, "%s%s%s", conf->shortcode, conf->passkey, timestamp);
    struct str encoded = { 0 };

    crypto_base64(plain, strlen(plain), &encoded);
    const char *password = arena_strndup(arena, encoded.bytes, encoded.len);
    str_free(&encoded);
    return password;
}
