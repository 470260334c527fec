#include "call_view.h"

#include <string.h>

#include "text/cell.h"

static void put_optional_int(struct str *out, const char *name, int64_t value)
{
    if (value == 0) {
        put_text(out, name, NULL);
    } else {
        put_int(out, name, value);
    }
}

static void put_key(struct str *out, const char *name, char key)
{
    put_text(out, name, (const char[]){ key, '\0' });
}

static void put_keys(struct str *out, const struct voice *voice)
{
    str_puts(out, ",\"keys\":{");
    put_key(out, "repeat", voice->repeat_key);
    put_int(out, "repeats", voice->repeats);
    put_key(out, "stop", voice->stop_key);
    str_puts(out, ",\"answers\":{");
    for (size_t i = 0; i < voice->answers.count; i++) {
        put_text(out, voice->answers.keys[i], voice->answers.values[i]);
    }
    str_putc(out, '}');
    put_int(out, "waitSeconds", voice->wait_s);
    put_text(out, "thanks", voice->thanks);
    put_text(out, "stopped", voice->stopped);
    str_putc(out, '}');
}

void call_view_put_campaign(struct str *out, const struct campaign_view *view)
{
    const struct voice *voice = view->voice;
    char audio[ID_TEXT_BYTES] = "";

    if (voice->audio != 0) {
        id_format("aud", voice->audio, audio);
    }
    put_text(out, "audioAssetId", audio);
    put_text(out, "callerId", view->sender_id);
    str_puts(out, ",\"voice\":{");
    put_text(out, "voice", voice->say_voice);
    put_optional_int(out, "audioMs", voice->audio_ms);
    str_puts(out, ",\"retries\":{");
    put_optional_int(out, "attempts", voice->attempts);
    put_optional_int(out, "afterSeconds", voice->retry_s);
    put_int(out, "belowPercent", voice->below_percent);
    str_putc(out, '}');
    put_keys(out, voice);
    put_int(out, "tokensPerMinute", voice->tokens_per_minute);
    str_putc(out, '}');
}

/* --- stats
 * ------------------------------------------------------------------------------------------ */

static const struct db_statement count_calls = {
    "ingress_call_words",
    "SELECT word, count(*), sum(duration_s), sum((duration_s + 59) / 60)"
    "  FROM calls WHERE campaign_id = $1 GROUP BY word ORDER BY 2 DESC, word",
    1,
};

/* One who was called twice counts by the call that was heard best. */
static const struct db_statement count_heard = {
    "ingress_call_heard",
    "SELECT (SELECT round(avg(best) * 100)::bigint"
    "          FROM (SELECT max(listened) AS best FROM calls"
    "                 WHERE campaign_id = $1 AND listened IS NOT NULL GROUP BY seq) AS each),"
    "       (SELECT count(DISTINCT k.seq) FROM call_keys k JOIN voice_campaigns v USING "
    "(campaign_id)"
    "         WHERE k.campaign_id = $1 AND k.keys = v.stop_key)",
    1,
};

/* One who answered twice meant the last. */
static const struct db_statement count_answers = {
    "ingress_call_answers",
    "SELECT keys, count(*)"
    "  FROM (SELECT DISTINCT ON (k.seq) k.keys"
    "          FROM call_keys k JOIN voice_campaigns v USING (campaign_id)"
    "         WHERE k.campaign_id = $1 AND v.answers ? k.keys"
    "         ORDER BY k.seq, k.pressed_at DESC, k.step DESC) AS last"
    " GROUP BY keys",
    1,
};

static void put_words(struct str *out, const struct db_result *words)
{
    int64_t calls = 0, answered = 0, seconds = 0, minutes = 0;

    for (int i = 0; i < db_rows(words); i++) {
        calls += db_get_int(words, i, 1);
        if (strcmp(db_get_text(words, i, 0), "completed") == 0) {
            answered = db_get_int(words, i, 1);
            seconds = db_get_int(words, i, 2);
            minutes = db_get_int(words, i, 3);
        }
    }
    put_int(out, "calls", calls);
    put_int(out, "answered", answered);
    put_int(out, "minutes", minutes);
    put_int(out, "averageSeconds", answered > 0 ? (seconds + answered / 2) / answered : 0);
    str_puts(out, ",\"byWord\":{");
    for (int i = 0; i < db_rows(words); i++) {
        put_int(out, db_get_text(words, i, 0), db_get_int(words, i, 1));
    }
    str_putc(out, '}');
}

/* Each key that means something, also when nobody pressed it. */
static void put_answers(struct str *out, const struct voice *voice, const struct db_result *counts)
{
    str_puts(out, ",\"answers\":{");
    for (size_t i = 0; i < voice->answers.count; i++) {
        const char *key = voice->answers.keys[i];
        int64_t recipients = 0;
        for (int row = 0; row < db_rows(counts); row++) {
            if (strcmp(db_get_text(counts, row, 0), key) == 0) {
                recipients = db_get_int(counts, row, 1);
            }
        }
        str_printf(out, "%s\"%s\":{", i > 0 ? "," : "", key);
        put_text(out, "label", voice->answers.values[i]);
        put_int(out, "recipients", recipients);
        str_putc(out, '}');
    }
    str_putc(out, '}');
}

bool call_view_put_stats(struct db *db, const struct campaign_view *view, struct str *out,
                         struct err *err)
{
    AUTO_DB_RESULT struct db_result *words = NULL;
    AUTO_DB_RESULT struct db_result *heard = NULL;
    AUTO_DB_RESULT struct db_result *answers = NULL;
    const struct db_value id[] = { db_int8(view->id) };

    if (!db_query(db, &count_calls, id, &words, err) ||
        !db_query(db, &count_heard, id, &heard, err) ||
        !db_query(db, &count_answers, id, &answers, err)) {
        return false;
    }
    str_puts(out, "\"voice\":{");
    put_words(out, words);
    if (db_is_null(heard, 0, 0)) {
        put_text(out, "completion", NULL);
    } else {
        int64_t e4 = db_get_int(heard, 0, 0);
        str_printf(out, ",\"completion\":%lld.%04lld", (long long)(e4 / 10000),
                   (long long)(e4 % 10000));
    }
    put_answers(out, view->voice, answers);
    put_int(out, "stopped", db_get_int(heard, 0, 1));
    str_putc(out, '}');
    return true;
}

/* --- recipients
 * ------------------------------------------------------------------------------------ */

enum column {
    ATTEMPTS = VIEW_RECIPIENT_COLUMNS,
    DURATION,
    LISTENED,
    TOKENS,
    OUTCOME,
    CAUSE,
    KEYS,
    ANSWER
};

static const struct db_statement called_recipients = {
    "ingress_called_recipients",
    "SELECT r.*, c.duration_s, c.listened, c.tokens, c.word, c.cause, k.keys, k.answer"
    "  FROM (SELECT " VIEW_RECIPIENT_NAMES ", attempts FROM recipient_states"
    "         WHERE campaign_id = $1 AND seq > $2 AND (coalesce($4, '') = '' OR word = $4)"
    "         ORDER BY seq LIMIT $3) AS r"
    "  LEFT JOIN LATERAL ("
    "       SELECT sum(duration_s) AS duration_s, max(listened) AS listened, sum(tokens) AS tokens,"
    "              (array_agg(word ORDER BY ended_at DESC, session_id))[1] AS word,"
    "              (array_agg(cause ORDER BY ended_at DESC, session_id))[1] AS cause"
    "         FROM calls x WHERE x.campaign_id = $1 AND x.seq = r.seq) AS c ON true"
    "  LEFT JOIN LATERAL ("
    "       SELECT string_agg(x.keys, '' ORDER BY x.pressed_at, x.session_id, x.step) AS keys,"
    "              (array_agg(v.answers ->> x.keys ORDER BY x.pressed_at DESC, x.step DESC)"
    "               FILTER (WHERE v.answers ? x.keys))[1] AS answer"
    "         FROM call_keys x JOIN voice_campaigns v USING (campaign_id)"
    "        WHERE x.campaign_id = $1 AND x.seq = r.seq) AS k ON true"
    " ORDER BY r.seq",
    4,
};

bool call_view_recipients(struct db *db, const struct recipients_query *query,
                          struct db_result **out_result, struct err *err)
{
    return db_query(db, &called_recipients,
                    (struct db_value[]){ db_int8(query->campaign_id), db_int8(query->after),
                                         db_int8(query->limit), db_text(query->state) },
                    out_result, err);
}

static void put_int_or_null(struct str *out, const char *name, const struct db_result *result,
                            int row, int column)
{
    if (db_is_null(result, row, column)) {
        put_text(out, name, NULL);
    } else {
        put_int(out, name, db_get_int(result, row, column));
    }
}

void call_view_put_recipient(struct str *out, const struct db_result *result, int row)
{
    put_int(out, "attempts", db_get_int(result, row, ATTEMPTS));
    put_int_or_null(out, "durationSeconds", result, row, DURATION);
    put_int_or_null(out, "listenedPercent", result, row, LISTENED);
    put_int_or_null(out, "tokens", result, row, TOKENS);
    put_text(out, "outcome", db_get_text(result, row, OUTCOME));
    put_text(out, "hangupCause", db_get_text(result, row, CAUSE));
    put_text(out, "keys", db_get_text(result, row, KEYS));
    put_text(out, "answer", db_get_text(result, row, ANSWER));
}

const char call_view_csv_heading[] =
    "attempts,durationSeconds,listenedPercent,tokens,outcome,hangupCause,keys,answer";

void call_view_put_recipient_csv(struct str *out, const struct db_result *result, int row)
{
    for (int column = ATTEMPTS; column <= ANSWER; column++) {
        str_putc(out, ',');
        if (column >= OUTCOME) {
            text_put_cell(out, db_get_text(result, row, column));
        } else if (!db_is_null(result, row, column)) {
            str_put_int(out, db_get_int(result, row, column));
        }
    }
}
