/*
 * fuzz_form - the reader of every provider callback
 *
 * No input may crash it, and what it read must survive being written and read again.
 */
#include <assert.h>
#include <string.h>

#include "base/str.h"
#include "http/http.h"

#define PAIRS 16
#define ARENA_BYTES (16 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_create(ARENA_BYTES);
    struct http_pair first[PAIRS], second[PAIRS];
    struct str out = { 0 };
    struct err err;

    int count = http_form_read((const char *)data, size, first, PAIRS, arena, &err);
    assert(count >= -1 && count <= PAIRS);
    for (int i = 0; i < count; i++) {
        http_form_add(&out, first[i].key, first[i].value, strlen(first[i].value));
    }
    if (count > 0) {
        assert(http_form_read(out.bytes, out.len, second, PAIRS, arena, &err) == count);
    }
    for (int i = 0; i < count; i++) {
        assert(strcmp(first[i].key, second[i].key) == 0);
        assert(strcmp(first[i].value, second[i].value) == 0);
        assert(http_form_find(second, count, first[i].key) != NULL);
    }
    str_free(&out);
    arena_destroy(arena);
    return 0;
}
