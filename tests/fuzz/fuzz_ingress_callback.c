/*
 * fuzz_ingress_callback - whatever a provider posts becomes a message that its reader takes
 */
#include <assert.h>
#include <string.h>

#include "base/str.h"
#include "callback.h"
#include "msg/report.h"

#define ARENA_BYTES (16 << 20)
#define SOME_TIME_MS 1763600000000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool reads_back(const struct callback_read *read, const struct str *json,
                       struct arena *arena)
{
    struct delivery_reported reported;
    struct sms_received received;
    struct callback_misread misread;
    struct str whole = { 0 };
    struct err err;
    bool ok = false;

    switch (read->made) {
    case MADE_REPORT:
        str_puts(&whole, "{\"provider\":\"africastalking\",\"reports\":[");
        str_append(&whole, json->bytes, json->len);
        str_puts(&whole, "]}");
        ok = shape_read(&delivery_reported_v1, whole.bytes, whole.len, &reported, arena, &err);
        break;
    case MADE_INBOUND:
        ok = shape_read(&sms_received_v1, json->bytes, json->len, &received, arena, &err);
        break;
    case MADE_MISREAD:
        ok = shape_read(&callback_misread_v1, json->bytes, json->len, &misread, arena, &err);
        break;
    case MADE_PAYMENT: /* fuzz_ingress_payment's */
        break;
    }
    str_free(&whole);
    return ok;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *scratch = arena_create(ARENA_BYTES);
    struct arena *arena = arena_create(ARENA_BYTES);
    struct str json = { 0 };

    for (int kind = CALLBACK_DELIVERY; kind <= CALLBACK_ANY; kind++) {
        struct callback_read read;
        callback_read((enum callback_kind)kind, (const char *)data, size, SOME_TIME_MS, scratch,
                      &json, &read);
        assert(reads_back(&read, &json, arena));
        assert(read.made == MADE_REPORT || strlen(read.id) == ID_MESSAGE_BYTES - 1);
    }
    str_free(&json);
    arena_destroy(arena);
    arena_destroy(scratch);
    return 0;
}
