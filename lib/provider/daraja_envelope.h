/*
 * daraja_envelope - a reply's status, error code and words, whichever of four shapes it has
 *
 * Private to lib/provider. Errors come as {requestId, errorCode, errorMessage} from M-Pesa, as
 * {fault: {faultstring, detail: {errorcode}}} from the gateway before it, as HTML from the firewall
 * before that, and as nothing.
 *
 *     daraja_open(&reply, &envelope, arena);
 *     const struct daraja_rule *rule = daraja_match(daraja_throttle_rules, &envelope);
 */
#ifndef PROVIDER_DARAJA_ENVELOPE_H
#define PROVIDER_DARAJA_ENVELOPE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "http/http.h"
#include "json/loose.h"

struct daraja_envelope {
    int status;               /* 0 without an answer */
    const struct loose *root; /* NULL unless the body is a JSON object */
    const char *code;         /* "" without */
    const char *words;        /* "" without */
    char detail[200];         /* fit for a log */
    int64_t retry_after_s;    /* the header's; -1 when absent */
};

/* reply is HTTP_ANSWERED. */
void daraja_open(const struct http_reply *reply, struct daraja_envelope *out, struct arena *arena);

/* What a kind of answer means: the first row of a table that matches counts. */
struct daraja_rule {
    int from, to;      /* HTTP status */
    const char *code;  /* error code; NULL is any, and none */
    const char *words; /* somewhere in the words, in either case; NULL is any, and none */
    int class;         /* the table's own meaning */
    const char *why;
    int64_t wait_s; /* before asking again, when the reply does not say */
};
#define DARAJA_RULES_END                                                                           \
    {                                                                                              \
        0, 0, NULL, NULL, 0, NULL, 0                                                               \
    }

/* Seconds we wait by our own choice where M-Pesa names none: a payer waits, too. */
#define DARAJA_WAIT_S 30

/* NULL when no row of the table matches. */
const struct daraja_rule *daraja_match(const struct daraja_rule *rules,
                                       const struct daraja_envelope *envelope);

/* How long to wait for that reason: the reply's word, within reason, or the rule's. */
int64_t daraja_wait_s(const struct daraja_rule *rule, const struct daraja_envelope *envelope);

/* Too many requests; the access token is not valid. Alike at all endpoints; class is 0. */
extern const struct daraja_rule daraja_throttle_rules[];
extern const struct daraja_rule daraja_token_rules[];

#endif
