#include "voice_answer.h"

#include <string.h>

#include "provider/at_voice_xml.h"

enum next { NEXT_CONTENT, NEXT_STOPPED, NEXT_THANKS, NEXT_END };

static enum next decide(const struct voice *voice, const struct voice_turn *turn)
{
    const char key = strlen(turn->digits) == 1 ? turn->digits[0] : '\0';
    const int again = voice->repeats > 1 ? voice->repeats : 1; /* once more for a mistake */

    if (!turn->is_answer) {
        return NEXT_CONTENT;
    }
    if (key != '\0' && key == voice->stop_key) {
        return NEXT_STOPPED;
    }
    if (key != '\0' && key != voice->repeat_key && voice_is_answer(voice, key)) {
        return NEXT_THANKS;
    }
    if (!voice_asks(voice) || turn->step == 0) {
        return NEXT_END;
    }
    if (key != '\0' && key == voice->repeat_key) {
        return turn->step <= voice->repeats ? NEXT_CONTENT : NEXT_END;
    }
    return turn->step <= again ? NEXT_CONTENT : NEXT_END;
}

static bool put_content(const struct voice_script *script, struct str *out, struct err *err)
{
    return script->voice.audio != 0 ? at_xml_play(out, script->audio_url, err)
                                    : at_xml_say(out, script->voice.say_voice, script->text, err);
}

static bool put_asking(const struct voice_script *script, const struct voice_turn *turn,
                       struct str *out, struct err *err)
{
    const bool plays = script->voice.audio != 0;
    struct str url = { 0 };

    if (turn->callback_url != NULL) {
        str_printf(&url, "%s%d", turn->callback_url, turn->is_answer ? turn->step + 1 : 1);
    }
    bool ok = at_xml_digits(out,
                            &(struct at_xml_digits){
                                .timeout_s = script->voice.wait_s,
                                .num_digits = 1,
                                .callback_url = url.bytes,
                                .play_url = plays ? script->audio_url : NULL,
                                .say_text = plays ? NULL : script->text,
                                .say_voice = script->voice.say_voice,
                            },
                            err);
    str_free(&url);
    return ok;
}

static bool put_actions(const struct voice_script *script, const struct voice_turn *turn,
                        struct str *out, struct err *err)
{
    const struct voice *voice = &script->voice;
    const enum next next = decide(voice, turn);
    const char *closing = next == NEXT_THANKS    ? voice->thanks
                          : next == NEXT_STOPPED ? voice->stopped
                                                 : "";

    if (next != NEXT_CONTENT) {
        return closing[0] == '\0' || at_xml_say(out, voice->say_voice, closing, err);
    }
    if ((voice->audio != 0 ? script->audio_url : script->text) == NULL) {
        return err_permanent(err, "no_content", "there is no %s to be heard",
                             voice->audio != 0 ? "audio" : "text");
    }
    return voice_asks(voice) ? put_asking(script, turn, out, err) : put_content(script, out, err);
}

bool voice_answer_write(const struct voice_script *script, const struct voice_turn *turn,
                        struct str *out, struct err *err)
{
    const size_t before = out->len;

    at_xml_begin(out);
    if (!put_actions(script, turn, out, err)) {
        out->len = before;
        out->bytes[before] = '\0';
        return false;
    }
    at_xml_end(out);
    return true;
}
