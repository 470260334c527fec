/*
 * results - how a push or a reversal ends: codes and sentences
 */
#include "results.h"

#include <stddef.h>

static const struct {
    const char *code;
    const char *words;
    const char *query_words; /* NULL: the same */
} results[RESULT_COUNT] = {
    [RESULT_PAID] = { "0", "The service request is processed successfully.", NULL },
    [RESULT_INSUFFICIENT] = { "1", "The balance is insufficient for the transaction.", NULL },
    [RESULT_OVER_MAXIMUM] = { "3",
                              "Declined due to limit rule: greater than the maximum "
                              "transaction amount.",
                              NULL },
    [RESULT_RULE_LIMITED] = { "17", "Rule limited.", NULL },
    [RESULT_EXPIRED] = { "1019", "Transaction has expired", NULL },
    [RESULT_CANCELLED] = { "1032", "Request cancelled by user", "Request Cancelled by user." },
    [RESULT_NO_ANSWER] = { "1037", "No response from user.", "DS timeout user cannot be reached" },
    [RESULT_WRONG_PIN] = { "2001", "The initiator information is invalid.", NULL },
    [RESULT_NOT_PERMITTED] = { "2028",
                               "The request is not permitted according to product "
                               "assignment.",
                               NULL },
    [RESULT_PIN_LOCKED] = { "8006", "The security credential is locked.", NULL },
    [RESULT_NO_OPERATOR] = { "SFC_IC0003", "The operator does not exist.", NULL },
    [RESULT_UNKNOWN] = { "4321", "An outcome that no table names.", NULL },
    [RESULT_PROCESSING] = { "4999", "The transaction is still under processing", NULL },
    [RESULT_REVERSED_ALREADY] = { "R000001", "The transaction has already been reversed.", NULL },
    [RESULT_BAD_RECEIPT] = { "R000002", "The OriginalTransactionID is invalid.", NULL },
};

const char *result_code(enum result result)
{
    return results[result].code;
}

const char *result_words(enum result result, bool of_query)
{
    return of_query && results[result].query_words != NULL ? results[result].query_words
                                                           : results[result].words;
}

void result_put_code(struct str *out, enum result result, bool as_text)
{
    const char *code = results[result].code;
    bool quoted = as_text || code[0] < '0' || code[0] > '9';

    if (quoted) {
        str_putc(out, '"');
    }
    str_puts(out, code);
    if (quoted) {
        str_putc(out, '"');
    }
}

enum result result_of(enum fault fate)
{
    switch ((int)fate) {
    case FAULT_CANCELS:
        return RESULT_CANCELLED;
    case FAULT_WRONG_PIN:
        return RESULT_WRONG_PIN;
    case FAULT_NO_ANSWER:
        return RESULT_NO_ANSWER;
    case FAULT_INSUFFICIENT:
        return RESULT_INSUFFICIENT;
    case FAULT_EXPIRES:
        return RESULT_EXPIRED;
    case FAULT_PIN_LOCKED:
        return RESULT_PIN_LOCKED;
    case FAULT_NO_OPERATOR:
        return RESULT_NO_OPERATOR;
    case FAULT_UNKNOWN_CODE:
        return RESULT_UNKNOWN;
    default:
        return RESULT_PAID;
    }
}
