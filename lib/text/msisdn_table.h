/*
 * msisdn_table - the numbering plans as msisdn.c walks them
 *
 *     uint16_t state = country->root;
 *     for each digit of the national number: state = text_msisdn_states[state].next[digit];
 *     text_msisdn_states[state].verdict says what the number is
 *
 * State 0 is the dead end: it leads to itself and is not valid.
 */
#ifndef TEXT_MSISDN_TABLE_H
#define TEXT_MSISDN_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The numbers are those of enum Class in generate/plan.hh. */
enum msisdn_verdict {
    MSISDN_INVALID = 0,
    MSISDN_MOBILE = 1, /* also where fixed and mobile cannot be told apart */
    MSISDN_FIXED = 2,
    MSISDN_OTHER = 3, /* toll-free, premium rate and the like */
};

struct text_country {
    char iso[3];
    uint16_t calling_code;
    bool trunk_zero;          /* national calls are dialled with a leading 0 */
    uint8_t len_min, len_max; /* of a mobile number without country code and trunk prefix */
    uint16_t root;
};

struct text_msisdn_state {
    uint16_t next[10];
    uint16_t verdict; /* enum msisdn_verdict of a number that ends here */
};

extern const struct text_country text_countries[];
extern const size_t text_country_count;
extern const char text_country_codes[];
extern const uint8_t text_country_by_code[1000]; /* index into text_countries plus 1, or 0 */
extern const struct text_msisdn_state text_msisdn_states[];

#endif
