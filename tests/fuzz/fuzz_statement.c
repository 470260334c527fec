/*
 * fuzz_statement - what tuma-verify-statement reads of a file
 *
 * No input may crash it or be read beyond its end. What is read as whole has an order of positions
 * and purses that balance, follows itself only when it is empty, and is signed only if it is the
 * one that was.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "statement.h"

/* Signed the corpus; its private half is nowhere. */
static const char key[] = "-----BEGIN PUBLIC KEY-----\n"
                          "MCowBQYDK2VwAyEAPR5C3a09rturVam8AbKRF43sbDUtF4mbBieNf/Un4kU=\n"
                          "-----END PUBLIC KEY-----\n";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *bytes = malloc(size > 0 ? size : 1); /* so that sanitizers see its end */
    struct statement statement;
    __int128 sum = 0;

    assert(bytes);
    memcpy(bytes, data, size);
    if (!statement_read(bytes, size, &statement)) {
        assert(*statement.why != '\0');
    } else {
        struct statement before = statement;

        assert(statement.closing >= statement.opening && statement.opening >= 0);
        for (int i = 0; i < STATEMENT_PURSES; i++) {
            sum += statement.changes[i];
        }
        assert(sum == 0);
        if (statement_check_signature(&statement, key, sizeof key - 1)) {
            assert(statement.signed_part.len < size);
        }
        assert(statement_follows(&statement, &before) == (before.opening == before.closing));
    }
    (void)statement_check_signature(&statement, bytes, size); /* as a key */
    free(bytes);
    return 0;
}
