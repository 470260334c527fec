/*
 * statement - an account's entries with their hashes, signed, for the customer to keep
 *
 *     struct ledger_statement wanted = { .account = id, .name = slug, .key = private_pem };
 *     ledger_statement(db, &wanted, &text, &err);
 *
 * deploy/statement/statement.h has the form and is what checks it. Entries of a chain have no gap,
 * so a statement has all after the last one from before from_ms, to the last one from before to_ms:
 * the next goes on there.
 */
#ifndef LEDGER_STATEMENT_H
#define LEDGER_STATEMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "db/db.h"

struct ledger_statement {
    int64_t account;
    const char *name;       /* the account's slug */
    int64_t from_ms, to_ms; /* 0: from the first, to the last */
    const char *key;        /* Ed25519 private key, PEM */
};

/* Appends the statement. Entries only come at the end: no transaction is needed. */
bool ledger_statement(struct db *db, const struct ledger_statement *wanted, struct str *out,
                      struct err *err);

#endif
