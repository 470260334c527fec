#include "voice_content.h"

#include <string.h>

#include "audio/address.h"
#include "base/id.h"
#include "http/http.h"
#include "provider/at_voice_xml.h"
#include "voice_answer.h"

#define HOUR_MS INT64_C(3600000)

/*
 * The same for an hour, so that the provider need not fetch the file for each call, and then good
 * for another. NULL with err.
 */
static const char *content_url(const struct settings *settings, const struct voice_hearer *hearer,
                               int64_t now_ms, struct err *err)
{
    const struct voice_campaign *campaign = hearer->campaign;

    if (!campaign->is_there) {
        err_permanent(err, "no_audio", "the campaign's file of sound is not in AUDIO_FOLDER");
        return NULL;
    }
    return audio_url(settings->public_url, settings->audio.secret, campaign->voice.audio,
                     campaign->kind, (now_ms / HOUR_MS + 2) * HOUR_MS, hearer->arena, err);
}

/* Up to the step's number; NULL without PUBLIC_URL. */
static const char *callback_url(const struct settings *settings, const struct voice_hearer *hearer)
{
    size_t len = strlen(settings->public_url);
    struct str query = { 0 };
    char id[ID_TEXT_BYTES];

    while (len > 0 && settings->public_url[len - 1] == '/') {
        len--;
    }
    if (len == 0) {
        return NULL;
    }
    id_format("cmp", hearer->campaign->id, id);
    http_form_add(&query, "token", settings->webhook_token, strlen(settings->webhook_token));
    http_form_add(&query, "campaign", id, strlen(id));
    const char *url = arena_printf(hearer->arena, "%.*s" VOICE_PATH "?%s&step=", (int)len,
                                   settings->public_url, query.bytes);
    str_free(&query);
    return url;
}

static bool write_content(const struct settings *settings, const struct voice_hearer *hearer,
                          int64_t now_ms, struct str *out, struct err *err)
{
    const struct voice_turn turn = {
        .is_answer = hearer->post->is_answer,
        .step = hearer->post->step,
        .digits = hearer->post->call.digits,
        .callback_url = callback_url(settings, hearer),
    };
    struct voice_script script = {
        .voice = hearer->campaign->voice,
        .text = hearer->campaign->text,
    };
    struct err why;

    if (script.voice.audio != 0) { /* not needed for what follows a key */
        script.audio_url = content_url(settings, hearer, now_ms, &why);
    }
    if (voice_answer_write(&script, &turn, out, err)) {
        return true;
    }
    if (script.voice.audio != 0 && script.audio_url == NULL) {
        *err = why;
    }
    return false;
}

/* After a key was pressed, or to whoever is no callee of ours, it would make no sense. */
static bool write_fallback(const struct settings *settings, const struct voice_hearer *hearer,
                           struct str *out)
{
    const size_t before = out->len;
    struct err err;

    if (settings->fallback_audio_url[0] == '\0' || hearer->post->is_answer || hearer->is_nobody) {
        return false;
    }
    at_xml_begin(out);
    if (!at_xml_play(out, settings->fallback_audio_url, &err)) { /* tried when we started */
        out->len = before;
        return false;
    }
    at_xml_end(out);
    return true;
}

enum voice_source voice_content_write(const struct settings *settings,
                                      const struct voice_hearer *hearer, int64_t now_ms,
                                      struct str *out, struct err *err)
{
    if (hearer->post->made == VOICE_INBOUND) {
        at_xml_refusal(out);
        return VOICE_REFUSAL;
    }
    if (hearer->campaign != NULL && write_content(settings, hearer, now_ms, out, err)) {
        return VOICE_CONTENT;
    }
    if (hearer->post->made != VOICE_MISREAD && write_fallback(settings, hearer, out)) {
        return VOICE_FALLBACK;
    }
    at_xml_goodbye(out);
    return VOICE_GOODBYE;
}
