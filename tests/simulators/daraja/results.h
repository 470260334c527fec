/*
 * results - how a push or a reversal ends: codes and sentences
 */
#ifndef SIM_RESULTS_H
#define SIM_RESULTS_H

#include <stdbool.h>

#include "base/str.h"
#include "kinds.h"

enum result {
    RESULT_PAID,
    RESULT_INSUFFICIENT,
    RESULT_OVER_MAXIMUM,
    RESULT_RULE_LIMITED,
    RESULT_EXPIRED,
    RESULT_CANCELLED,
    RESULT_NO_ANSWER,
    RESULT_WRONG_PIN,
    RESULT_NOT_PERMITTED,
    RESULT_PIN_LOCKED,
    RESULT_NO_OPERATOR,
    RESULT_UNKNOWN,
    RESULT_PROCESSING, /* a query only */
    RESULT_REVERSED_ALREADY,
    RESULT_BAD_RECEIPT,
    RESULT_COUNT,
};

const char *result_code(enum result result);

/* The sentence of a callback and the one of a query: they differ for the same code. */
const char *result_words(enum result result, bool of_query);

/* The code as JSON: a number unless it is none, or text is wanted. */
void result_put_code(struct str *out, enum result result, bool as_text);

/* How a payer's behaviour ends. */
enum result result_of(enum fault fate);

#endif
