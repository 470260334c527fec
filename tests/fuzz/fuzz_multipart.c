/*
 * fuzz_multipart - how a form is cut changes nothing
 *
 * The first byte seeds the cuts, the second is the boundary's length in what follows; the rest is
 * the body. Cut in two ways, the same parts, the same bytes and the same end have to be seen.
 */
#include <stdint.h>
#include <string.h>

#include "base/panic.h"
#include "base/str.h"
#include "http/multipart.h"

#define ARENA_BYTES (8 << 20)
#define BOUNDARY_MASK 15

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool on_part(void *context, const struct http_part *part, struct err *err)
{
    (void)err;
    str_printf(context, "\x01%s\x02%s\x02%s\x03", part->name,
               part->filename != NULL ? part->filename : "", part->type);
    return true;
}

static bool on_bytes(void *context, const char *bytes, size_t len, struct err *err)
{
    (void)err;
    str_append(context, bytes, len);
    return true;
}

static void read_cut(const char *type, const char *body, size_t len, unsigned seed,
                     struct str *seen)
{
    static const struct http_form_events events = { .part = on_part, .bytes = on_bytes };
    struct arena *arena = arena_create(ARENA_BYTES);
    struct err err = { 0 };
    struct http_multipart *form = http_multipart_begin(type, &events, seen, arena, &err);
    bool ok = form != NULL;

    while (ok && len > 0) {
        size_t piece = seed == 0 ? len : 1 + seed % 13;
        seed = seed * 5 + 7;
        piece = piece < len ? piece : len;
        ok = http_multipart_add(form, body, piece, &err);
        body += piece;
        len -= piece;
    }
    ok = ok && http_multipart_end(form, &err);
    if (!ok && strcmp(err.what, "bad_multipart") != 0) {
        panic("an error of another kind: %s", err.what);
    }
    str_printf(seen, "\x04%s", ok ? "" : err.detail);
    arena_destroy(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str type = { 0 }, whole = { 0 }, cut = { 0 };
    size_t boundary;

    if (size < 2) {
        return 0;
    }
    const char *rest = (const char *)data + 2;
    size -= 2;
    boundary = data[1] & BOUNDARY_MASK;
    boundary = boundary < size ? boundary : size;
    str_puts(&type, "multipart/form-data; boundary=\"");
    str_append(&type, rest, boundary);
    str_puts(&type, "\"");
    read_cut(type.bytes, rest + boundary, size - boundary, 0, &whole);
    read_cut(type.bytes, rest + boundary, size - boundary, data[0] | 1U, &cut);
    if (whole.len != cut.len || memcmp(whole.bytes, cut.bytes, whole.len) != 0) {
        panic("cut, it is another form");
    }
    str_free(&type);
    str_free(&whole);
    str_free(&cut);
    return 0;
}
