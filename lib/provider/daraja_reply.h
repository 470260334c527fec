/*
 * daraja_reply - what an answer of M-Pesa's API allows us to conclude
 *
 *     daraja_push_read(&reply, &answer, arena);
 *     switch (answer.class) …
 *
 * A push has no idempotency key: two alike prompt the payer twice, and a reply that is lost takes
 * the only id along. So DARAJA_UNKNOWN is the answer unless there is evidence of another, and such
 * a push must never be made again. The same error code means different things at different
 * endpoints and with different words: what counts is endpoint, HTTP status, code and words
 * together.
 *
 * Accepted is not paid: only a callback or a query concludes, and a result code that we do not know
 * concludes nothing.
 */
#ifndef PROVIDER_DARAJA_REPLY_H
#define PROVIDER_DARAJA_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "http/http.h"

/* What became of a request to act. */
enum daraja_class {
    DARAJA_UNKNOWN,       /* it may have been taken: never again by itself */
    DARAJA_ACCEPTED,      /* taken; what comes of it arrives later */
    DARAJA_REFUSED,       /* not taken: the payer's number, the amount, or done already */
    DARAJA_MISCONFIGURED, /* not taken, and none will be until a person repairs our settings */
    DARAJA_RETRY,         /* surely not taken: again after retry_after_s */
    DARAJA_TOKEN, /* surely not taken: the access token is invalid; again with another, once */
};
const char *daraja_class_name(enum daraja_class class); /* "accepted", "misconfigured", … */

struct daraja_answer {
    enum daraja_class class;
    const char *why;       /* static snake_case; "accepted" */
    char detail[200];      /* M-Pesa's words, fit for a log */
    int status;            /* HTTP; 0 without an answer */
    const char *code;      /* errorCode or ResponseCode; "" without; in the arena */
    int64_t retry_after_s; /* of DARAJA_RETRY, at least 1; otherwise 0 */
    /* When accepted, of a push: never NULL, the first may be "". In the arena. */
    const char *merchant_request_id, *checkout_request_id;
    /* The same of a registration or reversal; each may be "". */
    const char *originator_conversation_id, *conversation_id;
};
void daraja_push_read(const struct http_reply *reply, struct daraja_answer *out,
                      struct arena *arena);
void daraja_register_read(const struct http_reply *reply, struct daraja_answer *out,
                          struct arena *arena);
void daraja_reversal_read(const struct http_reply *reply, struct daraja_answer *out,
                          struct arena *arena);

/* What a result code of an STK push says, in a callback as in a query. */
enum daraja_state {
    DARAJA_UNDECIDED,
    DARAJA_PAID,
    DARAJA_FAILED, /* yet a later success counts */
};
struct daraja_result {
    const char *code;
    enum daraja_state state;
    const char *reason; /* static snake_case: "cancelled" */
    bool ours;          /* our settings are the reason, no payer can help it */
};
extern const struct daraja_result daraja_stk_results[];
extern const size_t daraja_stk_results_count;

/* Never NULL: a code not in the table is undecided, "unknown_result". */
const struct daraja_result *daraja_stk_result(const char *code);

enum daraja_query_class {
    DARAJA_QUERY_UNDECIDED, /* ask later */
    DARAJA_QUERY_PAID,
    DARAJA_QUERY_FAILED,
    DARAJA_QUERY_THROTTLED, /* undecided, and nothing is to be asked for retry_after_s */
    DARAJA_QUERY_TOKEN,     /* undecided: the access token is invalid */
};
struct daraja_query_answer {
    enum daraja_query_class class;
    const char *why; /* static snake_case: a result's reason, or why it is undecided */
    bool ours;       /* of DARAJA_QUERY_FAILED: our settings are the reason */
    char detail[200];
    int status;
    const char *code;      /* ResultCode or errorCode; "" without; in the arena */
    int64_t retry_after_s; /* of DARAJA_QUERY_THROTTLED, at least 1; otherwise 0 */
};
void daraja_query_read(const struct http_reply *reply, const char *checkout_request_id,
                       struct daraja_query_answer *out, struct arena *arena);

/*
 * The answer to daraja_token_request(): a token in the arena and how long it holds. Permanent only
 * when M-Pesa refuses our key or secret, "mpesa_bad_credentials". A token is in no error's text.
 */
bool daraja_token_read(const struct http_reply *reply, const char **out_token,
                       int64_t *out_expires_in_ms, struct arena *arena, struct err *err)
    __attribute__((warn_unused_result));

#endif
