/*
 * voice - reading the row, the arithmetic of minutes, and the names of requests
 */
#include "campaign/voice.h"

#include <stdio.h>
#include <string.h>

#include "base/id.h"
#include "base/str.h"

#define MS_PER_CHAR 65 /* of speech: about 150 words a minute */
#define MS_PER_MINUTE 60000

struct answers {
    struct map answers;
};

static const struct field answers_fields[] = {
    FIELD_MAP(struct answers, answers, CAMPAIGN_ANSWERS_MAX, CAMPAIGN_LABEL_MAX, FIELD_OPTIONAL),
    FIELD_END,
};

static const struct shape answers_shape = {
    .type = "answers",
    .size = sizeof(struct answers),
    .fields = answers_fields,
};

#define COLUMNS                                                                                    \
    "SELECT audio_id, audio_ms, attempts, retry_s, below_percent, repeats, wait_s,"                \
    "       tokens_per_minute, say_voice, repeat_key, stop_key, thanks, stopped,"                  \
    "       jsonb_build_object('answers', answers)::text, campaign_id"                             \
    "  FROM voice_campaigns"

static const struct db_statement load_voice = {
    "voice_load",
    COLUMNS " WHERE campaign_id = $1",
    1,
};

static const struct db_statement load_voices = {
    "voice_load_all",
    COLUMNS " WHERE campaign_id = ANY ($1::bigint[])",
    1,
};

static bool read_voice(const struct db_result *found, int row, struct arena *arena,
                       struct voice *out_voice, struct err *err)
{
    const char *json = db_get_text(found, row, 13);
    struct answers answers;

    if (!shape_read(&answers_shape, json, strlen(json), &answers, arena, err)) {
        return false;
    }
    *out_voice = (struct voice){
        .audio = db_get_int(found, row, 0),
        .audio_ms = db_get_int(found, row, 1),
        .attempts = (int)db_get_int(found, row, 2),
        .retry_s = (int)db_get_int(found, row, 3),
        .below_percent = (int)db_get_int(found, row, 4),
        .repeats = (int)db_get_int(found, row, 5),
        .wait_s = (int)db_get_int(found, row, 6),
        .tokens_per_minute = (int)db_get_int(found, row, 7),
        .say_voice = arena_strdup(arena, db_get_text(found, row, 8)),
        .repeat_key = db_get_text(found, row, 9)[0],
        .stop_key = db_get_text(found, row, 10)[0],
        .thanks = arena_strdup(arena, db_get_text(found, row, 11)),
        .stopped = arena_strdup(arena, db_get_text(found, row, 12)),
        .answers = answers.answers,
    };
    return true;
}

bool voice_load(struct db *db, int64_t campaign, struct arena *arena, struct voice *out_voice,
                bool *out_found, struct err *err)
{
    AUTO_DB_RESULT struct db_result *found = NULL;

    if (!db_query(db, &load_voice, (struct db_value[]){ db_int8(campaign) }, &found, err)) {
        return false;
    }
    *out_found = db_rows(found) > 0;
    return !*out_found || read_voice(found, 0, arena, out_voice, err);
}

bool voice_load_all(struct db *db, const int64_t *campaigns, size_t n, struct arena *arena,
                    const struct voice **out_voices, struct err *err)
{
    AUTO_DB_RESULT struct db_result *found = NULL;

    for (size_t i = 0; i < n; i++) {
        out_voices[i] = NULL;
    }
    if (!db_query(db, &load_voices, (struct db_value[]){ db_int8s(campaigns, n) }, &found, err)) {
        return false;
    }
    for (int row = 0; row < db_rows(found); row++) {
        struct voice *voice = arena_alloc(arena, sizeof *voice);

        if (!read_voice(found, row, arena, voice, err)) {
            return false;
        }
        for (size_t i = 0; i < n; i++) {
            if (campaigns[i] == db_get_int(found, row, 14)) {
                out_voices[i] = voice;
            }
        }
    }
    return true;
}

bool voice_asks(const struct voice *voice)
{
    return voice->repeat_key != '\0' || voice->stop_key != '\0' || voice->answers.count > 0;
}

bool voice_is_answer(const struct voice *voice, char key)
{
    for (size_t i = 0; i < voice->answers.count; i++) {
        if (voice->answers.keys[i][0] == key) {
            return true;
        }
    }
    return false;
}

/* Characters, not bytes: those that do not continue one. */
static int64_t count_chars(const char *text)
{
    int64_t count = 0;

    for (; *text != '\0'; text++) {
        count += ((unsigned char)*text & 0xc0) != 0x80;
    }
    return count;
}

int64_t voice_content_ms(const struct voice *voice, const char *text)
{
    return voice->audio != 0 ? voice->audio_ms : count_chars(text) * MS_PER_CHAR;
}

static int64_t minutes(int64_t ms)
{
    return ms <= 0 ? 0 : (ms + MS_PER_MINUTE - 1) / MS_PER_MINUTE;
}

int voice_tokens_most(const struct voice *voice, int64_t content_ms)
{
    int64_t once_ms = content_ms + (voice_asks(voice) ? INT64_C(1000) * voice->wait_s : 0);
    int64_t closing_ms = MS_PER_CHAR * (count_chars(voice->thanks) > count_chars(voice->stopped)
                                            ? count_chars(voice->thanks)
                                            : count_chars(voice->stopped));
    int64_t call_ms = once_ms * (1 + voice->repeats) + closing_ms;
    int64_t calls = voice->below_percent > 0 ? 2 : 1;
    int64_t tokens = calls * minutes(call_ms > 0 ? call_ms : 1) * voice->tokens_per_minute;

    return tokens > VOICE_TOKENS_MAX ? VOICE_TOKENS_MAX + 1 : (int)tokens;
}

int voice_tokens(const struct voice *voice, int64_t duration_s)
{
    return (int)(minutes(duration_s * 1000) * voice->tokens_per_minute);
}

void voice_request_write(int64_t campaign, int batch, int pass, char out[VOICE_REQUEST_BYTES])
{
    char id[ID_TEXT_BYTES];

    id_format("cmp", campaign, id);
    snprintf(out, VOICE_REQUEST_BYTES, "%s-%d-%d", id, batch, pass);
}

bool voice_request_read(const char *request, int64_t *out_campaign, int *out_batch, int *out_pass)
{
    char copy[VOICE_REQUEST_BYTES];
    int64_t batch, pass;
    char *first, *second;

    if (strlen(request) >= sizeof copy) {
        return false;
    }
    memcpy(copy, request, strlen(request) + 1);
    first = strchr(copy, '-');
    second = first != NULL ? strchr(first + 1, '-') : NULL;
    if (second == NULL) {
        return false;
    }
    *first = *second = '\0';
    if (!id_parse("cmp", copy, out_campaign) || !str_parse_int(first + 1, 1, INT32_MAX, &batch) ||
        !str_parse_int(second + 1, 1, INT16_MAX, &pass)) {
        return false;
    }
    *out_batch = (int)batch;
    *out_pass = (int)pass;
    return true;
}
