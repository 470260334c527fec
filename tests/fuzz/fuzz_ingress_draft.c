/*
 * fuzz_ingress_draft - the definition of a campaign, as JSON and as the query arguments of an
 * upload
 *
 * No input may crash it, and what it takes keeps the limits that the rest relies on. The first byte
 * says of which channel it is. Arguments and JSON of one text are both tried.
 */
#include <assert.h>
#include <string.h>

#include "draft.h"
#include "http/http.h"

#define ARENA_BYTES (64 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text, size_t max)
{
    assert(text == NULL || (strlen(text) <= max && str_is_utf8(text, strlen(text))));
}

static void check_voice(const struct campaign_voice *voice)
{
    assert(voice->attempts >= 0 && voice->attempts <= CAMPAIGN_ATTEMPTS_MAX);
    assert(voice->retry_after_s >= 0 && voice->retry_after_s <= CAMPAIGN_RETRY_S_MAX);
    assert(voice->below_percent >= 0 && voice->below_percent <= 100);
    assert(voice->repeats >= 0 && voice->repeats <= CAMPAIGN_REPEATS_MAX);
    assert(voice->wait_s >= 0 && voice->wait_s <= CAMPAIGN_WAIT_S_MAX);
    assert(voice->answers.count <= CAMPAIGN_ANSWERS_MAX);
    check_text(voice->repeat_key, 1);
    check_text(voice->stop_key, 1);
    check_text(voice->say_voice, CAMPAIGN_SAY_VOICE_MAX);
    check_text(voice->thanks, CAMPAIGN_CLOSING_MAX);
    check_text(voice->stopped, CAMPAIGN_CLOSING_MAX);
    for (size_t i = 0; i < voice->answers.count; i++) {
        assert(voice->answers.keys[i] != NULL && voice->answers.values[i] != NULL);
        check_text(voice->answers.values[i], CAMPAIGN_LABEL_MAX);
    }
}

static void check_draft(const struct draft *draft, enum channel channel)
{
    const struct campaign_submitted *definition = &draft->definition;

    assert(definition->channel == (int)channel && strcmp(draft->kind, "campaign") == 0);
    assert(definition->title != NULL && *definition->title != '\0');
    assert(channel == CHANNEL_VOICE || *definition->message_template != '\0');
    check_text(definition->title, CAMPAIGN_TITLE_MAX);
    check_text(definition->message_template, CAMPAIGN_TEMPLATE_MAX);
    check_text(definition->sender_id, SENDER_ID_MAX);
    check_voice(&definition->voice);
    assert(definition->follow_up.when.count <= CAMPAIGN_FOLLOW_WORDS_MAX);
    for (size_t i = 0; i < definition->follow_up.when.count; i++) {
        check_text(definition->follow_up.when.items[i], CAMPAIGN_FOLLOW_WORD_MAX);
    }
    check_text(definition->follow_up.message_template, CAMPAIGN_TEMPLATE_MAX);
    check_text(definition->follow_up.sender_id, SENDER_ID_MAX);
    check_voice(&definition->follow_up.voice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_create(ARENA_BYTES);
    const enum channel channel = size > 0 && data[0] == 's' ? CHANNEL_SMS : CHANNEL_VOICE;
    const char *text = (const char *)data + (size > 0);
    struct request req = { .arena = arena };
    struct draft draft;
    struct err err;

    size -= size > 0;
    if (draft_read(channel, text, size, arena, &draft, &err)) {
        check_draft(&draft, channel);
        assert(!draft.streamed);
    }
    req.argument_count = http_form_read(text, size, req.arguments, ARGUMENTS_MAX, arena, &err);
    if (req.argument_count >= 0 && draft_read_arguments(&req, channel, &draft, &err)) {
        check_draft(&draft, channel);
        assert(draft.streamed);
    }
    arena_destroy(arena);
    return 0;
}
