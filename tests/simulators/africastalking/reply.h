/*
 * reply - the body of a send reply, as JSON or XML
 */
#ifndef SIM_REPLY_H
#define SIM_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "book.h"
#include "kinds.h"

/* What became of one recipient. */
struct result {
    const char *number;
    enum fault refusal; /* FAULT_NONE: accepted */
    uint32_t index;     /* in the book */
    int64_t cost_e4;
    bool missing; /* left out of the reply, by fault */
};

struct reply {
    const struct book *book;
    const struct result *results;
    size_t count;
    size_t accepted;
    int64_t total_e4;
    int accepted_code; /* 100, 101, 102 */
    int parts;
    bool message_parts;
    const char *currency;       /* of the recipients' cost */
    const char *total_currency; /* of the summary */
    const char *error;          /* instead of the summary; then there are no recipients */
};

/* The status code and word of a refusal. */
int reply_code(enum fault refusal);

void reply_put_json(struct str *out, const struct reply *reply);
void reply_put_xml(struct str *out, const struct reply *reply);

/* "KES 0.8000" */
void reply_put_money(struct str *out, const char *currency, int64_t value_e4);

#endif
