/*
 * fuzz_audio_address - the address of a file of sound, and the name it was sent with
 *
 * The input is an asset and the tail behind it, parted by the first slash, and as a whole a name.
 * Without the secret nothing is right; a name comes out short, in UTF-8 and without a path.
 */
#include <assert.h>
#include <string.h>

#include "audio/address.h"
#include "audio/asset.h"
#include "base/str.h"

#define ARENA_BYTES (1 << 20)
#define SECRET "no input has this secret in it: 8c5f0e1b"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct arena *arena;
    enum audio_kind kind;
    struct err err;
    int64_t id;

    if (size > ARENA_BYTES / 4) {
        return 0;
    }
    arena = arena != NULL ? arena : arena_create(ARENA_BYTES);
    char *text = arena_strndup(arena, (const char *)data, size);
    const char *name = audio_name_clean(text, AUDIO_WAV, arena);
    assert(name[0] != '\0' && strlen(name) <= AUDIO_NAME_MAX && str_is_utf8(name, strlen(name)));
    assert(strpbrk(name, "/\\\r\n\x7F") == NULL && name[0] != '.');
    char *slash = strchr(text, '/');
    if (slash != NULL) {
        *slash = '\0';
        assert(!audio_check(SECRET, text, slash + 1, 0, &id, &kind, &err));
        assert(strcmp(err.what, "address_wrong") == 0);
    }
    arena_reset(arena);
    return 0;
}
