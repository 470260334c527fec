/*
 * fuzz_daraja_reply - the readers of M-Pesa's replies
 *
 * The first byte chooses status and Retry-After; the rest is the body, read as each kind of reply.
 * No body may crash a reader, and "taken", "paid" and "failed" are never said without their
 * evidence.
 */
#include <assert.h>
#include <string.h>

#include "provider/daraja_reply.h"

#define ARENA_BYTES (64 << 20)
#define ASKED "ws_CO_1"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct {
    int status;
    int64_t retry_after_s;
} heads[] = {
    { 200, -1 }, { 400, -1 }, { 401, -1 }, { 403, -1 }, { 404, -1 }, { 408, -1 },
    { 429, -1 }, { 429, 5 },  { 500, -1 }, { 503, 5 },  { 302, -1 }, { 100, -1 },
};

static void check_answer(const struct http_reply *reply, const struct daraja_answer *answer)
{
    assert(answer->why != NULL && answer->code != NULL);
    assert(strlen(answer->detail) < sizeof(answer->detail));
    assert(answer->originator_conversation_id != NULL && answer->conversation_id != NULL);
    assert(answer->merchant_request_id != NULL && answer->checkout_request_id != NULL);
    assert((answer->class == DARAJA_RETRY) == (answer->retry_after_s > 0));
    switch (answer->class) {
    case DARAJA_ACCEPTED:
        assert(reply->status == 200 && strcmp(answer->code, "0") == 0);
        break;
    case DARAJA_REFUSED:
    case DARAJA_RETRY:
        assert(reply->status >= 400);
        break;
    case DARAJA_MISCONFIGURED:
        assert(reply->status >= 300);
        break;
    case DARAJA_TOKEN:
        assert(reply->status >= 400 && reply->status < 500);
        break;
    case DARAJA_UNKNOWN:
        assert(answer->checkout_request_id[0] == '\0');
        break;
    }
}

static void check_query(const struct http_reply *reply, const struct daraja_query_answer *answer)
{
    assert(answer->why != NULL && answer->code != NULL);
    assert(strlen(answer->detail) < sizeof(answer->detail));
    assert((answer->class == DARAJA_QUERY_THROTTLED) == (answer->retry_after_s > 0));
    if (answer->class == DARAJA_QUERY_PAID) {
        assert(reply->status == 200 && strcmp(answer->code, "0") == 0);
    }
    if (answer->class == DARAJA_QUERY_FAILED) {
        assert(reply->status == 200);
        assert(daraja_stk_result(answer->code)->state == DARAJA_FAILED);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct daraja_answer answer;
    struct daraja_query_answer query;
    const char *token;
    int64_t life_ms;
    struct err err;

    if (size == 0) {
        return 0;
    }
    struct arena *arena = arena_create(ARENA_BYTES);
    size_t head = data[0] % (sizeof(heads) / sizeof(heads[0]));
    struct http_reply reply = {
        .sent = HTTP_ANSWERED,
        .status = heads[head].status,
        .content_type = "application/json",
        .body = arena_strndup(arena, (const char *)data + 1, size - 1),
        .body_len = size - 1,
        .retry_after_s = heads[head].retry_after_s,
    };
    daraja_push_read(&reply, &answer, arena);
    check_answer(&reply, &answer);
    assert(answer.class != DARAJA_ACCEPTED || answer.checkout_request_id[0] != '\0');
    daraja_register_read(&reply, &answer, arena);
    check_answer(&reply, &answer);
    daraja_reversal_read(&reply, &answer, arena);
    check_answer(&reply, &answer);
    daraja_query_read(&reply, ASKED, &query, arena);
    check_query(&reply, &query);
    if (daraja_token_read(&reply, &token, &life_ms, arena, &err)) {
        assert(reply.status == 200 && token[0] != '\0' && life_ms >= 1000);
        assert(strpbrk(token, "\r\n ") == NULL);
    }
    arena_destroy(arena);
    return 0;
}
