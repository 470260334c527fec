/*
 * statement - read a signed statement of tokens and recompute its chain
 *
 *     struct statement statement;
 *     if (!statement_read(bytes, len, &statement) ||
 *         !statement_check_signature(&statement, key_pem, key_len) ||
 *         !statement_follows(&statement, &the_one_before)) { puts(statement.why); }
 *
 * A statement is lines of fields with tabs between them:
 *
 *     tuma-statement-1
 *     account  ID  NAME
 *     opening  POSITION  HASH          of the entry before the first
 *     entry    POSITION  TIME  KIND  FROM  TO  TOKENS  CAMPAIGN  PEER  REFERENCE  REASON  ACTOR
 * HASH closing  POSITION  HASH          of the last entry signature  HEX                   Ed25519,
 * over all lines above
 *
 * HASH is the SHA-256, in hexadecimal, of these fields of an entry with tabs between them:
 * tuma-ledger-1, the account's ID, POSITION, the HASH before it, and TIME to ACTOR as they stand in
 * its line. What has no value is \N; tab, line feed, carriage return and backslash are written \t,
 * \n, \r and \\. Before position 1 the hash is 64 zeros.
 *
 * Needs only the C library and libcrypto. Allocates nothing but what libcrypto does.
 */
#ifndef STATEMENT_STATEMENT_H
#define STATEMENT_STATEMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STATEMENT_HASH_CHARS 64
#define STATEMENT_SIGNATURE_BYTES 64
#define STATEMENT_PURSES 6

/* Borrowed from the statement's bytes, not ended by a NUL. */
struct statement_text {
    const char *at;
    size_t len;
};

struct statement {
    struct statement_text account, name;
    int64_t opening, closing; /* positions */
    struct statement_text opening_hash, closing_hash;
    struct statement_text first_time, last_time; /* empty without entries */
    int64_t changes[STATEMENT_PURSES];           /* what the entries brought each purse */
    struct statement_text signed_part;
    unsigned char signature[STATEMENT_SIGNATURE_BYTES];
    long line;     /* where reading stopped */
    char why[160]; /* after a failure: what is wrong, for people */
};

extern const char *const statement_purses[STATEMENT_PURSES];

/* The form, every hash, the order and the ends of the chain. */
bool statement_read(const char *bytes, size_t len, struct statement *out);

/* Whether the owner of the key signed it. The key is the public half, PEM. */
bool statement_check_signature(struct statement *statement, const char *key_pem, size_t key_len);

/* Whether it goes on where the one before it, of the same account, ended. */
bool statement_follows(struct statement *statement, const struct statement *before);

#endif
