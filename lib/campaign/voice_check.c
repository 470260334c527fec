/*
 * voice_check - what a definition says of calls, before any is made
 */
#include <string.h>

#include "base/id.h"
#include "campaign/voice.h"
#include "text/speech.h"

#define WAIT_S 10
#define THANKS "Thank you. Goodbye."
#define STOPPED "You will not be called again. Goodbye."

static bool is_given(const char *text)
{
    return text != NULL && *text != '\0';
}

bool voice_check_none(const struct campaign_submitted *definition, struct err *err)
{
    const struct campaign_voice *said = &definition->voice;

    if (is_given(said->audio) || is_given(said->say_voice) || said->attempts != 0 ||
        said->retry_after_s != 0 || said->below_percent != 0 || is_given(said->repeat_key) ||
        said->repeats != 0 || is_given(said->stop_key) || said->answers.count > 0 ||
        said->wait_s != 0 || is_given(said->thanks) || is_given(said->stopped)) {
        return err_permanent(err, "voice_without_calls",
                             "voice: is for calls; leave it out, or give the channel as voice");
    }
    return true;
}

static const struct db_statement find_audio = {
    "voice_find_audio",
    "SELECT duration_ms FROM audio_assets WHERE id = $1 AND account_id = $2 FOR KEY SHARE",
    2,
};

static bool check_audio(struct db *db, int64_t account, const char *name, struct voice *voice,
                        struct err *err)
{
    AUTO_DB_RESULT struct db_result *found = NULL;

    if (id_parse("aud", name, &voice->audio) &&
        !db_query(db, &find_audio, (struct db_value[]){ db_int8(voice->audio), db_int8(account) },
                  &found, err)) {
        return false;
    }
    if (found == NULL || db_rows(found) == 0) {
        return err_permanent(err, "audio_unknown",
                             "voice.audio: '%.30s' is no audio asset of yours; upload it first, or "
                             "give a text to speak",
                             name);
    }
    voice->audio_ms = db_get_int(found, 0, 0);
    return true;
}

/* Exactly one of the two is what callees hear. */
static bool check_content(struct db *db, int64_t account,
                          const struct campaign_submitted *definition, struct voice *voice,
                          struct err *err)
{
    const char *audio = definition->voice.audio;
    const char *text = definition->message_template;
    size_t chars;

    if (is_given(audio)) {
        return is_given(text) ? err_permanent(err, "content_twice",
                                              "voice.audio: is given beside a text to speak; leave "
                                              "out one of them")
                              : check_audio(db, account, audio, voice, err);
    }
    if (!is_given(text)) {
        return err_permanent(err, "content_missing",
                             "message_template: there is nothing to hear; give a text to speak, or "
                             "an audio asset");
    }
    chars = text_speech_chars(text, strlen(text));
    if (chars == 0) {
        return err_permanent(err, "say_empty",
                             "message_template: has nothing that can be spoken; give words");
    }
    return chars <= CAMPAIGN_SAY_MAX ||
           err_permanent(err, "say_too_long",
                         "message_template: %zu characters, at most %d allowed", chars,
                         CAMPAIGN_SAY_MAX);
}

/* Each key has one meaning; `used` has those that are taken, as a text. */
static bool take_key(const char *field, const char *key, char *used, struct err *err)
{
    size_t count = strlen(used);

    if (strlen(key) != 1 || strchr("0123456789*#", *key) == NULL) {
        return err_permanent(err, "bad_key", "%s: '%.10s' is no key; use one of 0 to 9, * and #",
                             field, key);
    }
    if (strchr(used, *key) != NULL) {
        return err_permanent(err, "key_twice",
                             "%s: the key %s has another meaning already; use another one", field,
                             key);
    }
    used[count] = *key;
    used[count + 1] = '\0';
    return true;
}

static bool check_keys(const struct campaign_voice *said, struct voice *voice, struct err *err)
{
    char used[CAMPAIGN_ANSWERS_MAX + 3] = "";

    if (is_given(said->repeat_key)) {
        if (!take_key("voice.repeat_key", said->repeat_key, used, err)) {
            return false;
        }
        voice->repeat_key = *said->repeat_key;
        voice->repeats = said->repeats > 0 ? (int)said->repeats : 1;
    } else if (said->repeats != 0) {
        return err_permanent(err, "no_repeat_key",
                             "voice.repeats: there is no key for it; give the key that repeats");
    }
    if (is_given(said->stop_key)) {
        if (!take_key("voice.stop_key", said->stop_key, used, err)) {
            return false;
        }
        voice->stop_key = *said->stop_key;
    }
    for (size_t i = 0; i < said->answers.count; i++) {
        if (!take_key("voice.answers", said->answers.keys[i], used, err)) {
            return false;
        }
        if (said->answers.values[i][strspn(said->answers.values[i], " \t\r\n")] == '\0') {
            return err_permanent(err, "label_empty",
                                 "voice.answers: the key %s has no label; say what it means",
                                 said->answers.keys[i]);
        }
    }
    voice->answers = said->answers;
    return true;
}

/* What is said at the end: the caller's words, "" for none, or ours. */
static bool check_closing(const char *field, const char *said, const char *fallback,
                          const char **out_text, struct err *err)
{
    *out_text = said != NULL ? said : fallback;
    if (**out_text != '\0' && text_speech_chars(*out_text, strlen(*out_text)) == 0) {
        return err_permanent(err, "say_empty",
                             "%s: has nothing that can be spoken; give words, or \"\" for silence",
                             field);
    }
    return true;
}

static bool check_closings(const struct campaign_voice *said, struct voice *voice, struct err *err)
{
    const bool answers = voice->answers.count > 0;
    const bool stops = voice->stop_key != '\0';

    if (is_given(said->thanks) && !answers) {
        return err_permanent(
            err, "no_answers",
            "voice.thanks: is said after an answer; give answers, or leave it out");
    }
    if (is_given(said->stopped) && !stops) {
        return err_permanent(err, "no_stop_key",
                             "voice.stopped: is said after the key that stops; give that key, or "
                             "leave it out");
    }
    if (said->wait_s != 0 && !voice_asks(voice)) {
        return err_permanent(err, "no_keys",
                             "voice.wait_s: there is no key to wait for; give a key, or leave it "
                             "out");
    }
    voice->wait_s = said->wait_s != 0 ? (int)said->wait_s : WAIT_S;
    return check_closing("voice.thanks", said->thanks, answers ? THANKS : "", &voice->thanks,
                         err) &&
           check_closing("voice.stopped", said->stopped, stops ? STOPPED : "", &voice->stopped,
                         err);
}

static const struct db_statement find_price = {
    "voice_find_price",
    "SELECT account_tokens_per_minute($1, $2)",
    2,
};

static bool find_tokens_per_minute(struct db *db, int64_t account, int64_t now_ms,
                                   struct voice *voice, struct err *err)
{
    AUTO_DB_RESULT struct db_result *found = NULL;

    if (!db_query(db, &find_price, (struct db_value[]){ db_int8(account), db_time(now_ms) }, &found,
                  err)) {
        return false;
    }
    voice->tokens_per_minute = (int)db_get_int(found, 0, 0);
    return true;
}

bool voice_check(struct db *db, int64_t account, int64_t now_ms,
                 const struct campaign_submitted *definition, struct voice *out_voice,
                 struct err *err)
{
    const struct campaign_voice *said = &definition->voice;
    struct voice voice = {
        .say_voice = said->say_voice != NULL ? said->say_voice : "",
        .attempts = (int)said->attempts,
        .retry_s = (int)said->retry_after_s,
        .below_percent = (int)said->below_percent,
    };

    if (!text_speech_is_voice(voice.say_voice)) {
        return err_permanent(err, "bad_voice",
                             "voice.say_voice: is no voice; give man, woman, or a name of letters, "
                             "digits and '-' that the provider has");
    }
    if (!check_content(db, account, definition, &voice, err) || !check_keys(said, &voice, err) ||
        !check_closings(said, &voice, err) ||
        !find_tokens_per_minute(db, account, now_ms, &voice, err)) {
        return false;
    }
    *out_voice = voice;
    return true;
}

static const struct db_statement insert_voice = {
    "voice_insert",
    "INSERT INTO voice_campaigns (campaign_id, audio_id, audio_ms, say_voice, attempts, retry_s,"
    "                             below_percent, repeat_key, repeats, stop_key, answers, wait_s,"
    "                             thanks, stopped, tokens_per_minute)"
    " SELECT $1, nullif($2::bigint, 0), nullif($3::bigint, 0), $4, nullif($5::int, 0),"
    "        nullif($6::int, 0), $7::int, $8, $9::int, $10,"
    "        coalesce((SELECT jsonb_object_agg(k, v) FROM unnest($11::text[], $12::text[]) AS a(k, "
    "v)),"
    "                 '{}'),"
    "        $13::int, $14, $15, $16::int",
    16,
};

bool voice_insert(struct db *db, int64_t campaign, const struct voice *voice, struct err *err)
{
    const char repeat_key[] = { voice->repeat_key, '\0' };
    const char stop_key[] = { voice->stop_key, '\0' };
    const struct map *answers = &voice->answers;

    return db_run(db, &insert_voice,
                  (struct db_value[]){
                      db_int8(campaign), db_int8(voice->audio), db_int8(voice->audio_ms),
                      db_text(voice->say_voice), db_int4(voice->attempts), db_int4(voice->retry_s),
                      db_int4(voice->below_percent), db_text(repeat_key), db_int4(voice->repeats),
                      db_text(stop_key), db_texts(answers->keys, answers->count),
                      db_texts(answers->values, answers->count), db_int4(voice->wait_s),
                      db_text(voice->thanks), db_text(voice->stopped),
                      db_int4(voice->tokens_per_minute) },
                  NULL, err);
}
