/*
 * daraja_callback - what M-Pesa posts to us
 *
 * Nothing of it is signed, it may come twice, late, early or never, and whoever knows the address
 * can post it. The readers here say what a body claims; that its sender knew the payment's secret
 * path, that the ids, the amount and the receipt fit, is for the caller to see.
 *
 *     if (!daraja_callback_read(body, len, &callback, arena, &err))
 *         … keep the body, err names the fault …
 *     if (callback.result->state == DARAJA_PAID && callback.odd == NULL) …
 *
 * Scalars may be numbers or strings and items are found by name. A body that cannot be read at all
 * is a permanent error: "bad_json", "bad_field" with the path of the field, "body_too_long"; values
 * are never in its text. Strings are in the arena, "" when absent.
 */
#ifndef PROVIDER_DARAJA_CALLBACK_H
#define PROVIDER_DARAJA_CALLBACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "provider/daraja_reply.h"

/* Answers every callback but a validation; M-Pesa wants HTTP 200 with it, whatever we think. */
#define DARAJA_CALLBACK_ANSWER "{\"ResultCode\":0,\"ResultDesc\":\"Accepted\"}"

/* The end of an STK push. */
struct daraja_callback {
    const char *merchant_request_id;
    const char *checkout_request_id; /* never "" */
    const char *code;                /* ResultCode as sent; never "" */
    const struct daraja_result *result;
    const char *description; /* for people; M-Pesa words one result differently at times */

    /* Only of a paid one, and even then each may be missing. */
    int64_t amount_minor; /* -1 without */
    const char *receipt;  /* letters and digits, capitals */
    int64_t paid_ms;      /* 0 without */
    int64_t msisdn;       /* 0 without, or when it is masked */

    /* NULL, or why a paid one cannot be settled as it is: "amount_missing", "receipt_unreadable", …
     */
    const char *odd;
};
bool daraja_callback_read(const char *body, size_t len, struct daraja_callback *out,
                          struct arena *arena, struct err *err) __attribute__((warn_unused_result));

/* A payment to the shortcode: its confirmation, or the question before it. */
struct daraja_c2b {
    const char *receipt; /* letters and digits, capitals; never "" */
    int64_t amount_minor;
    const char *type; /* "Pay Bill", "Buy Goods" */
    const char *shortcode;
    const char *reference; /* what the payer typed as account number */
    const char *invoice;
    const char *third_party_id; /* what our validation answered */
    int64_t paid_ms;            /* 0 when absent or unreadable */
    const char *msisdn;         /* masked or hashed: no identity */
    const char *first_name, *middle_name, *last_name;
};
bool daraja_c2b_read(const char *body, size_t len, struct daraja_c2b *out, struct arena *arena,
                     struct err *err) __attribute__((warn_unused_result));

/* The body that answers a validation. */
enum daraja_validation {
    DARAJA_VALID,
    DARAJA_BAD_ACCOUNT,
    DARAJA_BAD_AMOUNT,
    DARAJA_BAD_SHORTCODE,
    DARAJA_BAD_OTHER,
};
const char *daraja_validation_answer(enum daraja_validation validation);

/* The end of a reversal. */
enum daraja_reversal_state {
    DARAJA_REVERSAL_UNDECIDED, /* a code we do not know, or the queue's timeout */
    DARAJA_REVERSAL_DONE,
    DARAJA_REVERSAL_FAILED,
};
struct daraja_reversal_result {
    enum daraja_reversal_state state;
    const char *reason; /* static snake_case: "done", "already_reversed" */
    const char *code;   /* ResultCode as sent; never "" */
    const char *description;
    const char *originator_conversation_id;
    const char *conversation_id; /* one of the two is not "" */
    const char *transaction_id;  /* the reversal's own receipt */
    const char *original_id;     /* the reversed payment's receipt, where told */
    int64_t amount_minor;        /* -1 without */
};
bool daraja_reversal_result_read(const char *body, size_t len, struct daraja_reversal_result *out,
                                 struct arena *arena, struct err *err)
    __attribute__((warn_unused_result));

#endif
