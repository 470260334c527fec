/*
 * fuzz_ingress_voice - whatever is posted of a call becomes a message that its reader takes, or
 * nothing, and gets a document with what was to be heard
 *
 * The campaign's and the step's argument are the first two lines, the body all that follows.
 */
#include <assert.h>
#include <string.h>

#include "msg/report.h"
#include "voice_answer.h"
#include "voice_post.h"

#define ARENA_BYTES (16 << 20)
#define SOME_TIME_MS 1763600000000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *take_line(const char **at, const char *end, struct arena *arena)
{
    const char *newline = *at < end ? memchr(*at, '\n', (size_t)(end - *at)) : NULL;
    const char *line;

    if (newline == NULL) {
        return NULL;
    }
    line = arena_strndup(arena, *at, (size_t)(newline - *at));
    *at = newline + 1;
    return line;
}

static bool reads_back(const struct voice_post *post, const struct str *json, struct arena *arena)
{
    struct call_reported reported;
    struct callback_misread misread;
    struct err err;

    switch (post->made) {
    case VOICE_KEYS:
    case VOICE_ENDED:
        return shape_read(&call_reported_v1, json->bytes, json->len, &reported, arena, &err) &&
               reported.ended == (post->made == VOICE_ENDED) &&
               (reported.ended || (*reported.keys != '\0' && reported.step > 0));
    case VOICE_MISREAD:
        return shape_read(&callback_misread_v1, json->bytes, json->len, &misread, arena, &err);
    case VOICE_ASKS:
    case VOICE_INBOUND:
    case VOICE_MADE_COUNT:
        break;
    }
    return json->len == 0;
}

/* Whatever was pressed, at whatever step: a document, and no more askings than there may be. */
static void answer(const struct voice_post *post)
{
    static const char *keys[] = { "1", "*" };
    const struct voice_script script = {
        .voice = { .say_voice = "",
                   .repeat_key = '9',
                   .repeats = 2,
                   .stop_key = '0',
                   .answers = { .count = 2, .keys = keys, .values = keys },
                   .wait_s = 10,
                   .thanks = "<thanks>",
                   .stopped = "" },
        .text = "text",
    };
    const struct voice_turn turn = {
        .is_answer = post->is_answer,
        .step = post->step,
        .digits = post->call.digits,
        .callback_url = "https://tuma.test/?step=",
    };
    struct str out = { 0 };
    struct err err;

    assert(voice_answer_write(&script, &turn, &out, &err));
    assert(strstr(out.bytes, "</Response>") != NULL && strstr(out.bytes, "<thanks>") == NULL);
    assert(!post->is_answer || (post->step > 0 && post->step <= 2) ||
           strstr(out.bytes, "<GetDigits") == NULL);
    str_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_create(ARENA_BYTES);
    const char *at = (const char *)data;
    const char *end = at + size;
    struct str json = { 0 };
    struct voice_said said;
    struct voice_post post;

    said.campaign = take_line(&at, end, arena);
    said.step = take_line(&at, end, arena);
    voice_post_read(at != NULL ? at : "", (size_t)(end - at), &said, SOME_TIME_MS, arena, &json,
                    &post);
    assert(reads_back(&post, &json, arena));
    assert(json.len == 0 || strlen(post.id) == ID_MESSAGE_BYTES - 1);
    assert(post.campaign >= 0 && post.step >= 0);
    if (post.made == VOICE_ASKS || post.made == VOICE_KEYS) {
        answer(&post);
    }
    str_free(&json);
    arena_destroy(arena);
    return 0;
}
