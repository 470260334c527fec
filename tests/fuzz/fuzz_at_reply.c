/*
 * fuzz_at_reply - the reader of Africa's Talking's answers
 *
 * The first byte chooses status, content type and Retry-After; the rest is the body. No body may
 * crash it, every recipient gets an outcome, and "not sent" or "sent" is never said without a code.
 */
#include <assert.h>
#include <string.h>

#include "provider/africastalking.h"

#define ARENA_BYTES (64 << 20)
#define ASKED 3

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct {
    int status;
    const char *type;
    int64_t retry_after_s;
} heads[] = {
    { 201, "application/json", -1 }, { 200, "application/json", -1 },
    { 409, "application/json", -1 }, { 201, "text/plain", -1 },
    { 400, "text/plain", -1 },       { 401, "text/plain", -1 },
    { 409, "text/plain", -1 },       { 429, "text/plain", 3 },
    { 500, "text/plain", -1 },       { 503, "text/plain", -1 },
    { 503, "text/plain", 3 },        { 302, "", -1 },
};

static void check_outcome(const struct at_outcome *outcome, const struct at_verdict *whole)
{
    assert(outcome->reason != NULL && outcome->word != NULL);
    assert(outcome->cost_e4 >= -1 && strlen(outcome->currency) <= 3);
    assert(outcome->parts >= 0);
    if (outcome->class == AT_ACCEPTED) {
        assert(whole->state == AT_REQUEST_OK && outcome->code >= 100 && outcome->code <= 102);
    }
    if (whole->state == AT_REQUEST_OK && outcome->code == 0) {
        assert(outcome->class == AT_DOUBT);
    }
    if (whole->state == AT_REQUEST_UNKNOWN) {
        assert(outcome->class == AT_DOUBT);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int64_t asked[ASKED] = { 254700000001, 254700000002, 254700000003 };
    struct at_outcome outcomes[ASKED];
    struct at_verdict whole;

    if (size == 0) {
        return 0;
    }
    struct arena *arena = arena_create(ARENA_BYTES);
    size_t head = data[0] % (sizeof(heads) / sizeof(heads[0]));
    struct http_reply reply = {
        .sent = HTTP_ANSWERED,
        .status = heads[head].status,
        .content_type = heads[head].type,
        .body = arena_strndup(arena, (const char *)data + 1, size - 1),
        .body_len = size - 1,
        .retry_after_s = heads[head].retry_after_s,
    };
    at_read(&reply, asked, ASKED, outcomes, &whole, arena);
    assert(whole.why != NULL && strlen(whole.detail) < sizeof(whole.detail));
    for (int i = 0; i < ASKED; i++) {
        check_outcome(&outcomes[i], &whole);
    }
    arena_destroy(arena);
    return 0;
}
