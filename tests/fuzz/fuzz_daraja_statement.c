/*
 * fuzz_daraja_statement - the reader of M-Pesa's statements
 *
 * What is read keeps the header's promises, and is the same however the bytes are cut.
 */
#include <assert.h>
#include <string.h>

#include "base/str.h"
#include "provider/daraja_statement.h"

#define ARENA_BYTES (16 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool on_line(void *context, const struct daraja_statement_line *line)
{
    size_t len = strlen(line->receipt);

    assert(len > 0 && len <= DARAJA_RECEIPT_MAX && strlen(line->linked) <= DARAJA_RECEIPT_MAX);
    assert(strspn(line->receipt, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") == len);
    assert(line->paid_in_minor >= 0 && line->withdrawn_minor >= 0 && line->line > 0);
    str_printf(context, "%zu %s %lld %d %lld %lld %s %s\n", line->line, line->receipt,
               (long long)line->completed_ms, line->completed, (long long)line->paid_in_minor,
               (long long)line->withdrawn_minor, line->bill_reference, line->linked);
    return true;
}

static bool on_bad(void *context, size_t line, const struct err *err)
{
    assert(err->kind == ERR_PERMANENT && line > 0);
    str_printf(context, "%zu: %s\n", line, err->detail);
    return true;
}

static void read_all(const uint8_t *data, size_t size, size_t piece, struct str *out)
{
    struct arena *arena = arena_create(ARENA_BYTES);
    struct daraja_statement *statement = daraja_statement_create(arena, on_line, on_bad, out);
    struct err err;

    for (size_t at = 0; at < size; at += piece) {
        if (!daraja_statement_feed(statement, (const char *)data + at,
                                   piece < size - at ? piece : size - at)) {
            break;
        }
    }
    if (!daraja_statement_finish(statement, &err)) {
        str_puts(out, err.what);
    }
    arena_destroy(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str whole = { 0 };
    struct str pieces = { 0 };

    read_all(data, size, size + 1, &whole);
    read_all(data, size, 7, &pieces);
    assert(whole.len == pieces.len);
    assert(whole.len == 0 || memcmp(whole.bytes, pieces.bytes, whole.len) == 0);
    str_free(&whole);
    str_free(&pieces);
    return 0;
}
