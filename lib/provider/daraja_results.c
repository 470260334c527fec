/*
 * daraja_results - the result codes of an STK push
 *
 * Only codes that are known to be final are here. M-Pesa's own list may not be complete, and some
 * that are told of elsewhere (26, "system busy") have no witness: they decide nothing.
 */
#include <string.h>

#include "provider/daraja_reply.h"

const struct daraja_result daraja_stk_results[] = {
    { "0", DARAJA_PAID, "paid", false },
    { "1", DARAJA_FAILED, "insufficient_funds", false },
    { "2", DARAJA_FAILED, "below_minimum", false },
    { "3", DARAJA_FAILED, "above_maximum", false },
    { "4", DARAJA_FAILED, "daily_limit", false },
    { "8", DARAJA_FAILED, "receiver_full", true },
    /* The same amount from the same payer within two minutes; other meanings told of fail too. */
    { "17", DARAJA_FAILED, "repeated_too_soon", false },
    { "1001", DARAJA_FAILED, "payer_busy", false },
    { "1019", DARAJA_FAILED, "expired", false },
    { "1025", DARAJA_FAILED, "prompt_failed", false },
    { "1032", DARAJA_FAILED, "cancelled", false },
    { "1037", DARAJA_FAILED, "no_answer", false },
    { "2001", DARAJA_FAILED, "wrong_pin", false },
    { "2028", DARAJA_FAILED, "not_permitted", true },
    { "4999", DARAJA_UNDECIDED, "in_progress", false },
    { "8006", DARAJA_FAILED, "pin_locked", false },
    { "9999", DARAJA_FAILED, "prompt_failed", false },
    { "SFC_IC0003", DARAJA_FAILED, "operator_unknown", true },
};
const size_t daraja_stk_results_count = sizeof(daraja_stk_results) / sizeof(daraja_stk_results[0]);

const struct daraja_result *daraja_stk_result(const char *code)
{
    static const struct daraja_result unknown = { "", DARAJA_UNDECIDED, "unknown_result", false };

    for (size_t i = 0; i < daraja_stk_results_count; i++) {
        if (strcmp(daraja_stk_results[i].code, code) == 0) {
            return &daraja_stk_results[i];
        }
    }
    return &unknown;
}
