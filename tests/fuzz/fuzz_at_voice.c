/*
 * fuzz_at_voice - the reader of Africa's Talking's voice callbacks, and the writer of its XML
 *
 * No form may crash the reader, and what is read keeps the promises of its header. The same bytes
 * as a text to be spoken never get out of their element.
 */
#include <assert.h>
#include <string.h>
#include <strings.h>

#include "provider/at_call.h"
#include "provider/at_voice.h"
#include "provider/at_voice_xml.h"

#define ARENA_BYTES (64 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text)
{
    assert(text != NULL && strlen(text) <= AT_VOICE_WORD_BYTES_MAX);
    assert(str_is_utf8(text, strlen(text)));
    assert(strcmp(text, "None") != 0);
}

static void check_voice(const struct at_voice *voice)
{
    assert(at_session_is_id(voice->session_id));
    check_text(voice->caller);
    check_text(voice->destination);
    check_text(voice->status);
    check_text(voice->hangup_cause);
    check_text(voice->request_id);
    check_text(voice->state);
    assert(strspn(voice->digits, "0123456789*#") == strlen(voice->digits));
    assert(voice->msisdn >= 0 && voice->msisdn <= 999999999999999);
    assert(voice->duration_s >= -1 && voice->duration_s <= AT_VOICE_DURATION_S_MAX);
    assert(voice->amount_e4 >= -1 && (voice->amount_e4 <= 0 || voice->currency[0] != '\0'));
    assert(strlen(voice->currency) == 0 || strlen(voice->currency) == 3);

    struct at_call_end end = at_voice_end(voice);
    assert(end.word != NULL && !(end.again && strcmp(end.word, "completed") == 0));
    assert(!(end.again && strcasecmp(voice->status, "Success") == 0));
}

static void check_say(const char *text)
{
    struct str out = { 0 };
    struct err err;

    if (at_xml_say(&out, NULL, text, &err)) {
        const char *inner = out.bytes + strlen("<Say>");
        assert(strcspn(inner, "<>\"'") == out.len - strlen("<Say></Say>"));
        assert(str_is_utf8(out.bytes, out.len));
        for (size_t i = 0; i < out.len; i++) {
            assert((unsigned char)out.bytes[i] >= ' ' && out.bytes[i] != 0x7F);
        }
    } else {
        assert(err.kind == ERR_PERMANENT && out.len == 0);
    }
    str_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_create(ARENA_BYTES);
    struct http_pair pairs[AT_VOICE_FIELDS_MAX];
    struct at_voice voice;
    struct err err;

    /* A copy of exactly that size, so that reading past it is seen. */
    const char *body = arena_strndup(arena, (const char *)data, size);
    int count = http_form_read(body, size, pairs, AT_VOICE_FIELDS_MAX, arena, &err);
    if (count >= 0 && at_voice_read(pairs, count, &voice, arena, &err)) {
        check_voice(&voice);
    } else {
        assert(err.kind == ERR_PERMANENT && err.detail[0] != '\0');
    }
    check_say(body);
    arena_destroy(arena);
    return 0;
}
