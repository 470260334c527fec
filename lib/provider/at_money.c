/*
 * at_money - the provider's amounts, exactly
 *
 * "KES 0.8000", "ZAR -1.3448", "0". More than four decimals are accepted only when they are zeros.
 */
#include <string.h>

#include "provider/africastalking.h"

#define DECIMALS 4

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool push_digit(int64_t *value, char digit)
{
    return !__builtin_mul_overflow(*value, 10, value) &&
           !__builtin_add_overflow(*value, digit - '0', value);
}

/* Cuts "KES " off the front, when it is there. */
static const char *parse_currency(const char *text, char currency[4])
{
    size_t letters = 0;

    while (letters < 4 && text[letters] >= 'A' && text[letters] <= 'Z') {
        letters++;
    }
    if (letters == 3 && text[3] == ' ') {
        memcpy(currency, text, 3);
        return text + 4;
    }
    return text;
}

bool at_money_parse(const char *text, int64_t *out_e4, char out_currency[4])
{
    char currency[4] = "";
    int64_t value = 0;
    int decimals = 0;

    text = parse_currency(text, currency);
    bool negative = *text == '-';
    if (negative) {
        text++;
    }
    if (!is_digit(*text)) {
        return false;
    }
    for (; is_digit(*text); text++) {
        if (!push_digit(&value, *text)) {
            return false;
        }
    }
    if (*text == '.') {
        if (!is_digit(*++text)) {
            return false;
        }
        for (; is_digit(*text); text++) {
            if (decimals == DECIMALS) {
                if (*text != '0') {
                    return false;
                }
            } else if (!push_digit(&value, *text)) {
                return false;
            } else {
                decimals++;
            }
        }
    }
    for (; decimals < DECIMALS; decimals++) {
        if (!push_digit(&value, '0')) {
            return false;
        }
    }
    if (*text != '\0') {
        return false;
    }
    *out_e4 = negative ? -value : value;
    memcpy(out_currency, currency, sizeof(currency));
    return true;
}
