/*
 * fuzz_text_msisdn - a number is never guessed
 *
 * What is accepted reads back as itself, belongs to a country we serve, can be called too, and its
 * last digits stand in the input, one after the other.
 */
#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/panic.h"
#include "base/str.h"
#include "text/msisdn.h"

/* No country's mobile numbers are shorter, so these are all the subscriber's. */
#define LAST_DIGITS 5

static const struct text_country *choose_home(uint8_t byte)
{
    char iso[3] = "";

    if (byte % 19 == 18) {
        return NULL;
    }
    memcpy(iso, text_country_list() + (size_t)3 * (byte % 19), 2);
    return text_country_find(iso);
}

static void check_accepted(const char *text, size_t len, int64_t msisdn)
{
    char formatted[TEXT_MSISDN_BYTES];
    struct str digits = { 0 };
    int64_t again = 0;

    text_msisdn_format(msisdn, formatted);
    if (formatted[0] != '+' || strlen(formatted) > 16 || text_msisdn_country(msisdn) == NULL) {
        panic("accepted %s", formatted);
    }
    if (text_msisdn_parse(formatted, strlen(formatted), NULL, &again) != TEXT_MSISDN_OK ||
        again != msisdn) {
        panic("%s reads back as %lld", formatted, (long long)again);
    }
    for (size_t i = 0; i < len; i++) {
        if (isdigit((unsigned char)text[i])) {
            str_putc(&digits, text[i]);
        }
    }
    if (strstr(digits.bytes, formatted + strlen(formatted) - LAST_DIGITS) == NULL) {
        panic("%s is not in %s", formatted, digits.bytes);
    }
    str_free(&digits);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data + 1;
    const struct text_country *home;
    enum text_msisdn_fault fault;
    enum text_msisdn_fault callable;
    int64_t msisdn = 0;
    int64_t called = 0;

    if (size < 1) {
        return 0;
    }
    home = choose_home(data[0]);
    fault = text_msisdn_parse(text, size - 1, home, &msisdn);
    callable = text_msisdn_parse_callable(text, size - 1, home, &called);
    if (fault == TEXT_MSISDN_OK) {
        check_accepted(text, size - 1, msisdn);
        if (callable != TEXT_MSISDN_OK || called != msisdn) {
            panic("a mobile number cannot be called");
        }
    } else if (msisdn != 0 || text_msisdn_word(fault)[0] == '\0') {
        panic("a refused number was returned");
    }
    return 0;
}
