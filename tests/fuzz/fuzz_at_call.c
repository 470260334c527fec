/*
 * fuzz_at_call - the reader of Africa's Talking's answers to call requests
 *
 * The first byte chooses status and Retry-After; the rest is the body. No body may crash it, every
 * number gets an outcome, and "called" or "not called" is never said without a word for it.
 */
#include <assert.h>
#include <string.h>

#include "provider/at_call.h"

#define ARENA_BYTES (64 << 20)
#define ASKED 3

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct {
    int status;
    int64_t retry_after_s;
} heads[] = { { 200, -1 }, { 201, -1 }, { 400, -1 }, { 401, -1 }, { 409, -1 },
              { 429, 3 },  { 500, -1 }, { 503, -1 }, { 503, 3 },  { 302, -1 } };

static void check_outcome(const struct at_call_outcome *outcome, const struct at_verdict *whole)
{
    assert(outcome->reason != NULL && outcome->word != NULL);
    assert(outcome->session_id == NULL || at_session_is_id(outcome->session_id));
    if (outcome->class == AT_ACCEPTED) {
        assert(whole->state == AT_REQUEST_OK && outcome->session_id != NULL);
        assert(strcmp(outcome->word, "Queued") == 0);
    }
    if (whole->state == AT_REQUEST_OK && outcome->word[0] == '\0') {
        assert(outcome->class == AT_DOUBT);
    }
    if (whole->state == AT_REQUEST_UNKNOWN) {
        assert(outcome->class == AT_DOUBT);
    }
    if (whole->state == AT_REQUEST_REFUSED && whole->status < 300) {
        assert(outcome->class == AT_HOLD_ACCOUNT && whole->detail[0] != '\0');
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int64_t asked[ASKED] = { 254700000001, 254700000002, 254700000003 };
    struct at_call_outcome outcomes[ASKED];
    struct at_verdict whole;

    if (size == 0) {
        return 0;
    }
    struct arena *arena = arena_create(ARENA_BYTES);
    size_t head = data[0] % (sizeof(heads) / sizeof(heads[0]));
    struct http_reply reply = {
        .sent = HTTP_ANSWERED,
        .status = heads[head].status,
        .content_type = "",
        .body = arena_strndup(arena, (const char *)data + 1, size - 1),
        .body_len = size - 1,
        .retry_after_s = heads[head].retry_after_s,
    };
    at_call_read(&reply, asked, ASKED, outcomes, &whole, arena);
    assert(whole.why != NULL && strlen(whole.detail) < sizeof(whole.detail));
    for (int i = 0; i < ASKED; i++) {
        check_outcome(&outcomes[i], &whole);
    }
    arena_destroy(arena);
    return 0;
}
