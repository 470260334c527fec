/*
 * fuzz_daraja_callback - the readers of what is posted to us in M-Pesa's name
 *
 * Every body is read as each kind of callback. None may crash a reader, and what is read keeps the
 * promises of the header: receipts that can be keys, amounts that are not negative, ids that are
 * not empty.
 */
#include <assert.h>
#include <string.h>

#include "provider/daraja.h"
#include "provider/daraja_callback.h"

#define ARENA_BYTES (64 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_receipt(const char *receipt)
{
    assert(strlen(receipt) <= 20);
    assert(strspn(receipt, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") == strlen(receipt));
}

static void check_callback(const struct daraja_callback *callback)
{
    assert(callback->checkout_request_id[0] != '\0' && callback->code[0] != '\0');
    assert(callback->merchant_request_id != NULL && callback->description != NULL);
    check_receipt(callback->receipt);
    assert(callback->msisdn == 0 || daraja_is_msisdn(callback->msisdn));
    if (callback->result->state != DARAJA_PAID) {
        assert(callback->receipt[0] == '\0' && callback->amount_minor == -1);
        assert(callback->odd == NULL);
    } else if (callback->odd == NULL) {
        assert(strcmp(callback->code, "0") == 0);
        assert(callback->receipt[0] != '\0' && callback->amount_minor >= 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_create(ARENA_BYTES);
    struct daraja_callback callback;
    struct daraja_c2b c2b;
    struct daraja_reversal_result reversal;
    struct err err;

    /* A copy of exactly that size, so that reading past it is seen. */
    const char *body = arena_strndup(arena, (const char *)data, size);
    if (daraja_callback_read(body, size, &callback, arena, &err)) {
        check_callback(&callback);
    } else {
        assert(err.kind == ERR_PERMANENT && err.detail[0] != '\0');
    }
    if (daraja_c2b_read(body, size, &c2b, arena, &err)) {
        check_receipt(c2b.receipt);
        assert(c2b.receipt[0] != '\0' && c2b.amount_minor >= 0);
        assert(c2b.reference != NULL && c2b.last_name != NULL);
    }
    if (daraja_reversal_result_read(body, size, &reversal, arena, &err)) {
        assert(reversal.code[0] != '\0' && reversal.reason != NULL);
        assert(reversal.originator_conversation_id[0] != '\0' ||
               reversal.conversation_id[0] != '\0');
        assert((reversal.state == DARAJA_REVERSAL_DONE) == (strcmp(reversal.code, "0") == 0));
        check_receipt(reversal.transaction_id);
        check_receipt(reversal.original_id);
    }
    arena_destroy(arena);
    return 0;
}
