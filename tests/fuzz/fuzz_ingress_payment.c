/*
 * fuzz_ingress_payment - whatever a payment provider posts, and wherever, becomes a message that
 * its reader takes
 *
 * The path is the first line, the body all that follows.
 */
#include <assert.h>
#include <string.h>

#include "payment_callback.h"

#define ARENA_BYTES (16 << 20)
#define SOME_TIME_MS 1763600000000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct payment_callback *callback, const char *body, size_t len)
{
    struct arena *scratch = arena_create(ARENA_BYTES);
    struct arena *arena = arena_create(ARENA_BYTES);
    struct str json = { 0 };
    struct payment_reported reported;
    char id[ID_MESSAGE_BYTES], again[ID_MESSAGE_BYTES];
    struct err err;

    payment_callback_write(callback, body, len, SOME_TIME_MS, scratch, &json, id);
    assert(shape_read(&payment_reported_v1, json.bytes, json.len, &reported, arena, &err));
    assert(strcmp(reported.secret, callback->secret) == 0);
    assert(len == 0 ? *reported.raw == '\0' : *reported.raw != '\0');
    assert(strlen(reported.raw) >= len);
    if (str_is_utf8(body, len) && memchr(body, '\0', len) == NULL) {
        assert(strlen(reported.raw) == len && memcmp(reported.raw, body, len) == 0);
    }
    payment_callback_write(callback, body, len, SOME_TIME_MS + 1, scratch, &json, again);
    assert(strlen(id) == ID_MESSAGE_BYTES - 1 && strcmp(id, again) == 0);
    str_free(&json);
    arena_destroy(arena);
    arena_destroy(scratch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *end = memchr(data, '\n', size);
    size_t path_len = end != NULL ? (size_t)(end - data) : size;
    size_t body_len = end != NULL ? size - path_len - 1 : 0;
    struct arena *arena = arena_create(ARENA_BYTES);
    struct payment_callback callback = { .kind = "stk", .peer = "196.201.212.69" };
    const char *path = arena_strndup(arena, (const char *)data, path_len);

    if (payment_callback_path(path, &callback)) {
        assert(strncmp(path, "/api/pay", 8) == 0);
        assert(strlen(callback.secret) <= PAYMENT_SECRET_MAX);
        assert(strpbrk(callback.secret, "/%&?") == NULL);
    }
    if (body_len <= PAYMENT_CALLBACK_MAX) {
        check(&callback, body_len > 0 ? (const char *)end + 1 : "", body_len);
    }
    arena_destroy(arena);
    return 0;
}
