/*
 * msisdn - the phone numbers people write, and the one form we keep
 *
 * Three steps: gather the digits and what the signs between them say; decide which country they
 * belong to; walk that country's numbering plan. Where a country is not named, the home country is
 * tried before any other, and a number of another one must be complete and valid to count.
 */
#include "text/msisdn.h"

#include <stdio.h>
#include <string.h>

#include "base/panic.h"
#include "text/msisdn_table.h"
#include "text/utf8.h"

#define DIGITS_MAX 20     /* stored; E.164 allows 15, and 00 and a trunk 0 may come on top */
#define E164_DIGITS_MIN 8 /* fewer cannot be a number with a country code */
#define E164_DIGITS_MAX 15
#define LONG_PIECE_DIGITS 7 /* two pieces this long are two numbers */

/* What a byte means inside a written number. */
enum sign { BAD = 0, DIGIT, SKIP, GAP, DOT, PLUS, WIDE };

static const uint8_t signs[256] = {
    ['0' ... '9'] = DIGIT, ['-'] = SKIP, ['('] = SKIP,
    [')'] = SKIP,          ['['] = SKIP, [']'] = SKIP,
    ['\''] = SKIP,         ['"'] = SKIP, ['`'] = SKIP,
    [' '] = GAP,           ['\t'] = GAP, ['\n'] = GAP,
    ['\r'] = GAP,          [','] = GAP,  [';'] = GAP,
    ['/'] = GAP,           ['|'] = GAP,  ['&'] = GAP,
    ['.'] = DOT,           ['+'] = PLUS, [0xC2 ... 0xF4] = WIDE,
};

/* A number as it was written. */
struct written {
    uint8_t digits[DIGITS_MAX];
    size_t count; /* may exceed what is stored */
    bool plus;
    size_t dots;
    size_t dot_at;      /* digits before the last dot */
    size_t piece;       /* digits since the last gap */
    size_t long_pieces; /* that could be numbers of their own */
};

/* What is printed between digits, or not seen at all: spaces, dashes, quotes, direction marks. */
static enum sign wide_sign(uint32_t c)
{
    if (c == 0xA0 || (c >= 0x2000 && c <= 0x200A) || c == 0x202F || c == 0x3000) {
        return GAP;
    }
    if ((c >= 0x200B && c <= 0x2015) || c == 0x2018 || c == 0x2019 || c == 0x201C || c == 0x201D ||
        (c >= 0x202A && c <= 0x202E) || (c >= 0x2060 && c <= 0x2069) || c == 0x2212 ||
        c == 0xFEFF) {
        return SKIP;
    }
    return BAD;
}

static void add_digit(struct written *number, unsigned char c)
{
    if (number->count < DIGITS_MAX) {
        number->digits[number->count] = (uint8_t)(c - '0');
    }
    number->count++;
    number->piece++;
}

static void end_piece(struct written *number)
{
    number->long_pieces += number->piece >= LONG_PIECE_DIGITS;
    number->piece = 0;
}

/* 254712345678.0 is how a spreadsheet prints a number: the fraction is not part of it. */
static void drop_fraction(struct written *number)
{
    size_t fraction = number->count - number->dot_at;

    if (number->dots != 1 || fraction < 1 || fraction > 2 || number->count > DIGITS_MAX ||
        number->dot_at < LONG_PIECE_DIGITS) {
        return;
    }
    for (size_t i = number->dot_at; i < number->count; i++) {
        if (number->digits[i] != 0) {
            return;
        }
    }
    number->count = number->dot_at;
}

/* Reads digits and signs; false at the first thing that does not belong into a number. */
static bool gather(const unsigned char *at, const unsigned char *end, struct written *number)
{
    while (at < end) {
        enum sign sign = signs[*at];

        if (sign == DIGIT) {
            add_digit(number, *at++);
            continue;
        }
        if (sign == WIDE) {
            uint32_t c = utf8_next(&at, end);

            sign = c == UTF8_BAD ? BAD : wide_sign(c);
        } else {
            at++;
        }
        if (sign == BAD) {
            end_piece(number);
            return false;
        }
        if (sign == DOT) {
            number->dots++;
            number->dot_at = number->count;
        } else if (sign == GAP) {
            end_piece(number);
        } else if (sign == PLUS) {
            end_piece(number);
            if (number->count > 0 || number->plus) {
                number->long_pieces += number->long_pieces > 0; /* the next number begins */
                return false;
            }
            number->plus = true;
        }
    }
    end_piece(number);
    return true;
}

/*
 * 2.54712345678E+11: one digit, a dot or comma, the mantissa, the exponent. It is the number only
 * if no digit was rounded away, that is, when the mantissa is at least as long as the exponent
 * says.
 */
static enum text_msisdn_fault read_scientific(const char *text, size_t len, struct written *number)
{
    size_t i = 0;
    size_t decimals;
    size_t exponent = 0;

    *number = (struct written){ 0 };
    number->plus = len > 0 && text[0] == '+';
    i += number->plus;
    if (i + 2 >= len || signs[(unsigned char)text[i]] != DIGIT ||
        (text[i + 1] != '.' && text[i + 1] != ',')) {
        return TEXT_MSISDN_NOT_A_NUMBER;
    }
    add_digit(number, (unsigned char)text[i]);
    for (i += 2; i < len && signs[(unsigned char)text[i]] == DIGIT; i++) {
        add_digit(number, (unsigned char)text[i]);
    }
    decimals = number->count - 1;
    if (i == len || (text[i] | 0x20) != 'e') {
        return TEXT_MSISDN_NOT_A_NUMBER;
    }
    i++;
    i += i < len && text[i] == '+';
    if (i == len || len - i > 2) {
        return TEXT_MSISDN_NOT_A_NUMBER;
    }
    for (; i < len; i++) {
        if (signs[(unsigned char)text[i]] != DIGIT) {
            return TEXT_MSISDN_NOT_A_NUMBER;
        }
        exponent = 10 * exponent + (size_t)(text[i] - '0');
    }
    if (decimals < exponent) {
        return TEXT_MSISDN_SCIENTIFIC_LOST_DIGITS;
    }
    if (number->count > DIGITS_MAX) {
        return TEXT_MSISDN_TOO_LONG;
    }
    for (; decimals > exponent; decimals--) {
        if (number->digits[decimals] != 0) {
            return TEXT_MSISDN_NOT_A_NUMBER;
        }
    }
    number->count = exponent + 1;
    return TEXT_MSISDN_OK;
}

static bool is_trimmable(char c)
{
    return c == ' ' || c == '\t' || c == '\'' || c == '"' || c == '\n' || c == '\r';
}

/* Text to digits. */
static enum text_msisdn_fault read_written(const char *text, size_t len, struct written *number)
{
    while (len > 0 && is_trimmable(*text)) {
        text++;
        len--;
    }
    while (len > 0 && is_trimmable(text[len - 1])) {
        len--;
    }
    if (len > 4 && memcmp(text, "tel:", 4) == 0) {
        text += 4;
        len -= 4;
    }
    if (!gather((const unsigned char *)text, (const unsigned char *)text + len, number)) {
        return number->long_pieces > 1 ? TEXT_MSISDN_SEVERAL_NUMBERS
                                       : read_scientific(text, len, number);
    }
    if (number->long_pieces > 1) {
        return TEXT_MSISDN_SEVERAL_NUMBERS;
    }
    if (number->count == 0) {
        return number->plus ? TEXT_MSISDN_NOT_A_NUMBER : TEXT_MSISDN_EMPTY;
    }
    drop_fraction(number);
    return number->count > DIGITS_MAX ? TEXT_MSISDN_TOO_LONG : TEXT_MSISDN_OK;
}

/* What the plan says of a national number, and the whole number if it is valid. */
static enum msisdn_verdict walk(const struct text_country *country, const uint8_t *digits,
                                size_t count, int64_t *out_msisdn)
{
    uint32_t state = country->root;
    int64_t msisdn = country->calling_code;

    for (size_t i = 0; i < count && state != 0; i++) {
        state = text_msisdn_states[state].next[digits[i]];
        msisdn = 10 * msisdn + digits[i];
    }
    if (text_msisdn_states[state].verdict != MSISDN_INVALID) {
        *out_msisdn = msisdn;
    }
    return (enum msisdn_verdict)text_msisdn_states[state].verdict;
}

/* The same with or without the trunk prefix. */
static enum msisdn_verdict judge(const struct text_country *country, const uint8_t *digits,
                                 size_t count, int64_t *out_msisdn)
{
    if (country->trunk_zero && count > 0 && digits[0] == 0) {
        digits++;
        count--;
    }
    return walk(country, digits, count, out_msisdn);
}

/* Why a national number is not valid. */
static enum text_msisdn_fault explain(const struct text_country *country, const uint8_t *digits,
                                      size_t count)
{
    if (country->trunk_zero && count > 0 && digits[0] == 0) {
        count--;
    }
    if (count < country->len_min) {
        return TEXT_MSISDN_TOO_SHORT;
    }
    return count > country->len_max ? TEXT_MSISDN_TOO_LONG : TEXT_MSISDN_INVALID_FOR_COUNTRY;
}

/* The country whose calling code the digits start with, and how long the code is. */
static const struct text_country *find_code(const uint8_t *digits, size_t count, size_t *out_len)
{
    for (size_t len = 3; len >= 2 && count > 0 && digits[0] != 0; len--) {
        size_t code = 0;

        for (size_t i = 0; i < len && i < count; i++) {
            code = 10 * code + digits[i];
        }
        if (count >= len && text_country_by_code[code] > 0) {
            *out_len = len;
            return &text_countries[text_country_by_code[code] - 1];
        }
    }
    return NULL;
}

static enum text_msisdn_fault accept(enum msisdn_verdict verdict, bool fixed_too)
{
    if (verdict == MSISDN_MOBILE || (verdict == MSISDN_FIXED && fixed_too)) {
        return TEXT_MSISDN_OK;
    }
    return fixed_too ? TEXT_MSISDN_INVALID_FOR_COUNTRY : TEXT_MSISDN_NOT_MOBILE;
}

/* A number that starts with a country code. */
static enum text_msisdn_fault parse_international(const uint8_t *digits, size_t count,
                                                  bool fixed_too, int64_t *out_msisdn)
{
    size_t code_len = 0;
    const struct text_country *country = find_code(digits, count, &code_len);
    enum msisdn_verdict verdict;

    if (country == NULL) {
        return count < E164_DIGITS_MIN   ? TEXT_MSISDN_TOO_SHORT
               : count > E164_DIGITS_MAX ? TEXT_MSISDN_TOO_LONG
                                         : TEXT_MSISDN_UNKNOWN_COUNTRY;
    }
    verdict = judge(country, digits + code_len, count - code_len, out_msisdn);
    if (verdict == MSISDN_INVALID) {
        return explain(country, digits + code_len, count - code_len);
    }
    return accept(verdict, fixed_too);
}

/*
 * A number that may start with a country code, or not. Without a plus, another country's number is
 * taken only in its one complete form: nobody writes 27 0 71... abroad, but a typing error might.
 */
static enum text_msisdn_fault parse_bare(const uint8_t *digits, size_t count,
                                         const struct text_country *home, bool fixed_too,
                                         int64_t *out_msisdn)
{
    size_t code_len = 0;
    const struct text_country *country = find_code(digits, count, &code_len);
    enum msisdn_verdict verdict;

    if (home == NULL) {
        return parse_international(digits, count, fixed_too, out_msisdn);
    }
    verdict = judge(home, digits, count, out_msisdn);
    if (verdict == MSISDN_INVALID && country == home) {
        verdict = judge(home, digits + code_len, count - code_len, out_msisdn);
    } else if (verdict == MSISDN_INVALID && country != NULL) {
        verdict = walk(country, digits + code_len, count - code_len, out_msisdn);
    }
    if (verdict != MSISDN_INVALID) {
        return accept(verdict, fixed_too);
    }
    if (country == home && count > home->len_max) {
        return explain(home, digits + code_len, count - code_len);
    }
    return explain(home, digits, count);
}

static enum text_msisdn_fault parse(const char *text, size_t len, const struct text_country *home,
                                    bool fixed_too, int64_t *out_msisdn)
{
    struct written number = { .count = 0 };
    enum text_msisdn_fault fault = read_written(text, len, &number);
    const uint8_t *digits = number.digits;
    size_t count = number.count;
    int64_t msisdn = 0;

    if (fault != TEXT_MSISDN_OK) {
        return fault;
    }
    if (!number.plus && count > 2 && digits[0] == 0 && digits[1] == 0) {
        size_t zeros = count > 3 && digits[2] == 0 ? 3 : 2; /* 000 is how Kenya dials abroad */

        number.plus = true;
        digits += zeros;
        count -= zeros;
    }
    fault = number.plus ? parse_international(digits, count, fixed_too, &msisdn)
                        : parse_bare(digits, count, home, fixed_too, &msisdn);
    if (fault == TEXT_MSISDN_OK) {
        *out_msisdn = msisdn;
    }
    return fault;
}

enum text_msisdn_fault text_msisdn_parse(const char *text, size_t len,
                                         const struct text_country *home, int64_t *out_msisdn)
{
    return parse(text, len, home, false, out_msisdn);
}

enum text_msisdn_fault text_msisdn_parse_callable(const char *text, size_t len,
                                                  const struct text_country *home,
                                                  int64_t *out_msisdn)
{
    return parse(text, len, home, true, out_msisdn);
}

static const struct {
    const char *word;
    const char *reason;
} faults[] = {
    [TEXT_MSISDN_OK] = { "ok", "is a valid number" },
    [TEXT_MSISDN_EMPTY] = { "empty", "is empty" },
    [TEXT_MSISDN_NOT_A_NUMBER] = { "not_a_number", "is not a phone number" },
    [TEXT_MSISDN_SEVERAL_NUMBERS] = { "several_numbers", "holds more than one number" },
    [TEXT_MSISDN_SCIENTIFIC_LOST_DIGITS] = { "scientific_lost_digits",
                                             "has lost digits in a spreadsheet, which wrote it as "
                                             "a rounded power of ten; format the column as text" },
    [TEXT_MSISDN_TOO_SHORT] = { "too_short", "has too few digits" },
    [TEXT_MSISDN_TOO_LONG] = { "too_long", "has too many digits" },
    [TEXT_MSISDN_UNKNOWN_COUNTRY] = { "unknown_country", "is not from a country we serve" },
    [TEXT_MSISDN_INVALID_FOR_COUNTRY] = { "invalid_for_country",
                                          "does not exist in its country's numbering plan" },
    [TEXT_MSISDN_NOT_MOBILE] = { "not_mobile", "is not a mobile number" },
};
_Static_assert(sizeof(faults) / sizeof(faults[0]) == TEXT_MSISDN_FAULTS, "a fault has no text");

const char *text_msisdn_word(enum text_msisdn_fault fault)
{
    return faults[fault].word;
}

const char *text_msisdn_reason(enum text_msisdn_fault fault)
{
    return faults[fault].reason;
}

bool text_msisdn_fail(enum text_msisdn_fault fault, struct err *err)
{
    if (fault == TEXT_MSISDN_OK) {
        panic("a valid number is no failure");
    }
    if (fault == TEXT_MSISDN_UNKNOWN_COUNTRY) {
        return err_permanent(err, faults[fault].word, "the number %s: %s", faults[fault].reason,
                             text_country_codes);
    }
    return err_permanent(err, faults[fault].word, "the number %s", faults[fault].reason);
}

const struct text_country *text_country_find(const char *iso)
{
    for (size_t i = 0; i < text_country_count; i++) {
        if (strcmp(text_countries[i].iso, iso) == 0) {
            return &text_countries[i];
        }
    }
    return NULL;
}

const char *text_country_iso(const struct text_country *country)
{
    return country->iso;
}

const char *text_country_list(void)
{
    return text_country_codes;
}

const char *text_msisdn_country(int64_t msisdn)
{
    if (msisdn < 0) {
        return NULL;
    }
    while (msisdn > 999) {
        msisdn /= 10;
    }
    if (text_country_by_code[msisdn] == 0) {
        msisdn /= 10;
    }
    return text_country_by_code[msisdn] > 0 ? text_countries[text_country_by_code[msisdn] - 1].iso
                                            : NULL;
}

void text_msisdn_format(int64_t msisdn, char out[TEXT_MSISDN_BYTES])
{
    (void)snprintf(out, TEXT_MSISDN_BYTES, "+%lld", (long long)msisdn);
}
