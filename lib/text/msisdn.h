/*
 * msisdn - the phone numbers people write, and the one form we keep
 *
 * A number is kept as E.164 without the plus in an int64_t: 254712345678.
 *
 *     const struct text_country *home = text_country_find("KE"); // once; NULL: not served
 *     int64_t msisdn;
 *     enum text_msisdn_fault fault = text_msisdn_parse(cell, len, home, &msisdn);
 *     if (fault != TEXT_MSISDN_OK)
 *         leave it out, because of text_msisdn_word(fault), text_msisdn_reason(fault)
 *
 * Understood: 0712345678, 712345678, 254712345678, +254 712 345 678, 00254..., spaces (also
 * no-break), dashes, dots, slashes, brackets, a leading apostrophe or tel:, and what spreadsheets
 * make of numbers: 254712345678.0 and 2.54712345678E+11. When a spreadsheet has thrown digits away
 * (2.54712E+11) the number is refused, never guessed.
 *
 * What is valid comes from libphonenumber's metadata: generate/msisdn_rules.py takes our countries
 * out of it, generate/msisdn_table.cc compiles them into msisdn_table.c. The verdicts are those of
 * the library, which a test proves. No allocation, no locale, about 50 ns.
 */
#ifndef TEXT_MSISDN_H
#define TEXT_MSISDN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct text_country;

enum text_msisdn_fault {
    TEXT_MSISDN_OK,
    TEXT_MSISDN_EMPTY,
    TEXT_MSISDN_NOT_A_NUMBER,
    TEXT_MSISDN_SEVERAL_NUMBERS,
    TEXT_MSISDN_SCIENTIFIC_LOST_DIGITS,
    TEXT_MSISDN_TOO_SHORT,
    TEXT_MSISDN_TOO_LONG,
    TEXT_MSISDN_UNKNOWN_COUNTRY,
    TEXT_MSISDN_INVALID_FOR_COUNTRY,
    TEXT_MSISDN_NOT_MOBILE, /* a valid number that cannot get an SMS */
};
#define TEXT_MSISDN_FAULTS 10 /* how many there are, TEXT_MSISDN_OK included */

/* The country of an ISO 3166 code in capitals, or NULL when we do not serve it. Static. */
const struct text_country *text_country_find(const char *iso);

/* "KE", and "BF BJ CI ...": all that text_country_find() knows. Static. */
const char *text_country_iso(const struct text_country *country);
const char *text_country_list(void);

/*
 * Fills *out_msisdn with a number that can get an SMS. home is the country of numbers written
 * without a country code; NULL takes international ones only.
 */
enum text_msisdn_fault text_msisdn_parse(const char *text, size_t len,
                                         const struct text_country *home, int64_t *out_msisdn)
    __attribute__((warn_unused_result));

/* The same for calls: fixed lines are welcome. */
enum text_msisdn_fault text_msisdn_parse_callable(const char *text, size_t len,
                                                  const struct text_country *home,
                                                  int64_t *out_msisdn)
    __attribute__((warn_unused_result));

/* "too_short": stable, for the record, the API and counters. "ok" for TEXT_MSISDN_OK. */
const char *text_msisdn_word(enum text_msisdn_fault fault);

/* "has too few digits": a sentence about the number for people, without subject or full stop. */
const char *text_msisdn_reason(enum text_msisdn_fault fault);

/* Fills err with word and reason (permanent) and returns false; unknown_country lists those served.
 */
bool text_msisdn_fail(enum text_msisdn_fault fault, struct err *err);

/* "KE" for 254712345678; NULL when no country we serve has that calling code. */
const char *text_msisdn_country(int64_t msisdn);

/* "+254712345678" and NUL. */
#define TEXT_MSISDN_BYTES 24
void text_msisdn_format(int64_t msisdn, char out[TEXT_MSISDN_BYTES]);

#endif
