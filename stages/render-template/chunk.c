/*
 * chunk - rows of an upload become recipients
 *
 * The row of campaign_chunks goes in first: whoever inserts it owns the chunk, and one that comes
 * again finds it there. recipients_once decides about duplicates between chunks, whichever
 * worker has them; within a chunk they are found here.
 */
#include "chunk.h"

#include <string.h>

#include "base/str.h"
#include "campaign/columns.h"
#include "msg/campaign.h"
#include "text/gsm7.h"
#include "text/msisdn.h"
#include "text/speech.h"
#include "text/template.h"

enum { STATE_PENDING = 0, STATE_SUPPRESSED = 7 };

#define PHONE_KEPT_BYTES 64 /* of a number as written, in campaign_rejects */

/* What one text costs: segments, or the minutes of calls. */
struct price {
    int16_t tokens;
    bool just_over;
};

/* Columns of the two inserts, filled row by row. */
struct work {
    struct db *db;
    const struct chunk_campaign *campaign;
    const struct chunk *chunk;
    struct arena *arena;
    int phone;
    const struct text_country *country;
    const struct text_binding *binding;
    struct text_render how;
    bool is_shared;          /* all hear or read the same */
    const char *shared_text; /* of a template without fields; else NULL */
    struct price shared;

    size_t count;
    int64_t *msisdns;
    int32_t *seqs;
    int16_t *segments;
    bool *just_over; /* one segment fewer would nearly do */
    int16_t *states;
    const char **texts;

    size_t rejects;
    int32_t *reject_seqs;
    const char **reject_phones;
    const char **reject_reasons;

    uint32_t *seen; /* open addressing: index into msisdns plus 1 */
    size_t seen_mask;

    int64_t invalid, duplicates, suppressed, price, just_over_count;
};

static const struct db_statement claim_chunk = {
    "chunk_claim",
    "INSERT INTO campaign_chunks (campaign_id, chunk, rows, planned) VALUES ($1, $2, $3, 0)"
    " ON CONFLICT ON CONSTRAINT campaign_chunks_pkey DO NOTHING",
    3
};

static void *column(struct work *work, size_t size)
{
    return arena_array(work->arena, work->chunk->rows->rows + 1, size);
}

static void open_work(struct work *work)
{
    size_t slots = 16;

    while (slots < work->chunk->rows->rows * 2) {
        slots *= 2;
    }
    work->seen = arena_array(work->arena, slots, sizeof *work->seen);
    work->seen_mask = slots - 1;
    work->msisdns = column(work, sizeof *work->msisdns);
    work->seqs = column(work, sizeof *work->seqs);
    work->segments = column(work, sizeof *work->segments);
    work->just_over = column(work, sizeof *work->just_over);
    work->states = column(work, sizeof *work->states);
    work->texts = column(work, sizeof *work->texts);
    work->reject_seqs = column(work, sizeof *work->reject_seqs);
    work->reject_phones = column(work, sizeof *work->reject_phones);
    work->reject_reasons = column(work, sizeof *work->reject_reasons);
}

static void reject(struct work *work, int32_t seq, const char *phone, const char *reason)
{
    size_t len = strnlen(phone, PHONE_KEPT_BYTES);

    while (len > 0 && len == PHONE_KEPT_BYTES && ((unsigned char)phone[len] & 0xc0) == 0x80) {
        len--; /* never half a character */
    }
    work->reject_seqs[work->rejects] = seq;
    work->reject_phones[work->rejects] = arena_strndup(work->arena, phone, len);
    work->reject_reasons[work->rejects] = reason;
    work->rejects++;
}

/* True the first time a number is asked about in this chunk; then it is index's. */
static bool is_new(struct work *work, int64_t msisdn, size_t index)
{
    size_t slot = (size_t)((uint64_t)msisdn * 0x9e3779b97f4a7c15U >> 32) & work->seen_mask;

    for (; work->seen[slot]; slot = (slot + 1) & work->seen_mask) {
        if (work->msisdns[work->seen[slot] - 1] == msisdn) {
            return false;
        }
    }
    work->seen[slot] = (uint32_t)index + 1;
    return true;
}

static bool is_just_over(const struct text_count *count)
{
    const uint32_t over = text_over(count);

    return over > 0 && over <= TEXT_JUST_OVER;
}

/* The most that calls to one recipient cost; content NULL: the campaign's audio. */
static bool price_calls(const struct voice *voice, const char *content, struct price *out,
                        struct err *err)
{
    int tokens = voice_tokens_most(voice, voice_content_ms(voice, content));

    if (tokens > VOICE_TOKENS_MAX) {
        return err_permanent(err, "too_costly",
                             "%s: calls to one recipient could cost more than %d tokens; shorten "
                             "what is heard",
                             content != NULL ? "message_template" : "voice.audio",
                             VOICE_TOKENS_MAX);
    }
    *out = (struct price){ .tokens = (int16_t)tokens };
    return true;
}

/* *out_reason: this text cannot be delivered. False: the campaign cannot. */
static bool price_text(const struct work *work, const char *text, size_t len, struct price *out,
                       const char **out_reason, struct err *err)
{
    const struct voice *voice = work->campaign->voice;
    struct text_count count;
    size_t chars;

    if (voice == NULL) {
        if (!text_segments(text, len, &count)) {
            *out_reason = "text_not_utf8";
            return true;
        }
        *out = (struct price){ (int16_t)count.segments, is_just_over(&count) };
        return true;
    }
    chars = text_speech_chars(text, len);
    if (chars == 0 || chars > CAMPAIGN_SAY_MAX) {
        *out_reason = chars == 0 ? "say_empty" : "say_too_long";
        return true;
    }
    return price_calls(voice, text, out, err);
}

/* Compiles and binds the template; a text without fields is rendered here once. */
static bool prepare_text(struct work *work, struct str *scratch, struct err *err)
{
    const struct chunk_campaign *campaign = work->campaign;
    const struct text_template *compiled;
    const char *reason = NULL;

    if (campaign->voice != NULL && campaign->voice->audio != 0) {
        work->is_shared = true;
        return price_calls(campaign->voice, NULL, &work->shared, err);
    }
    work->how = (struct text_render){
        .missing = strcmp(campaign->missing, "skip") == 0      ? TEXT_MISSING_SKIP
                   : strcmp(campaign->missing, "default") == 0 ? TEXT_MISSING_DEFAULT
                                                               : TEXT_MISSING_BLOCK,
        .default_text = campaign->missing_default,
        .squeeze = !campaign->keep_whitespace,
    };
    if (!text_template_compile(campaign->message_template, strlen(campaign->message_template),
                               work->arena, &compiled, err) ||
        !text_template_bind(compiled, work->chunk->columns->items, work->chunk->columns->count,
                            work->arena, &work->binding, err)) {
        return false;
    }
    if (!compiled->is_constant) {
        return true;
    }
    if (text_template_render(work->binding, NULL, &work->how, scratch, err) != TEXT_RENDERED) {
        return false;
    }
    if (!price_text(work, scratch->bytes, scratch->len, &work->shared, &reason, err)) {
        return false;
    }
    if (reason != NULL) {
        return err_permanent(err, reason, "message_template: %s",
                             strcmp(reason, "say_empty") == 0 ? "has nothing that can be spoken"
                             : strcmp(reason, "say_too_long") == 0 ? "is too long to be spoken"
                                                                   : "is not UTF-8");
    }
    work->is_shared = true;
    work->shared_text = arena_strndup(work->arena, scratch->bytes, scratch->len);
    return true;
}

/* The text of one row. False with err: the campaign is refused; *out_reason: only the row is. */
static bool render_row(struct work *work, const char *const *cells, int32_t seq,
                       struct str *scratch, const char **out_reason, struct err *err)
{
    struct price price = work->shared;
    struct err inner;

    if (work->is_shared) {
        work->segments[work->count] = price.tokens;
        work->just_over[work->count] = price.just_over;
        return true;
    }
    switch (text_template_render(work->binding, cells, &work->how, scratch, &inner)) {
    case TEXT_RENDERED:
        break;
    case TEXT_LEFT_OUT:
        *out_reason = inner.what;
        return true;
    case TEXT_REFUSED:
        return err_permanent(err, inner.what, "row %d: %.150s", seq, inner.detail);
    }
    if (!price_text(work, scratch->bytes, scratch->len, &price, out_reason, err)) {
        return false;
    }
    if (*out_reason == NULL) {
        work->texts[work->count] = arena_strndup(work->arena, scratch->bytes, scratch->len);
        work->segments[work->count] = price.tokens;
        work->just_over[work->count] = price.just_over;
    }
    return true;
}

static bool take_row(struct work *work, size_t row, struct str *scratch, struct err *err)
{
    const struct table *rows = work->chunk->rows;
    const char *const *cells = &rows->cells[row * rows->cols];
    const char *phone = cells[work->phone];
    int32_t seq = (int32_t)(work->chunk->first_row + (int64_t)row);
    const char *reason = NULL;
    int64_t msisdn;
    enum text_msisdn_fault fault = text_msisdn_parse(phone, strlen(phone), work->country, &msisdn);

    if (fault != TEXT_MSISDN_OK) {
        reject(work, seq, phone, text_msisdn_word(fault));
        work->invalid++;
        return true;
    }
    if (!render_row(work, cells, seq, scratch, &reason, err)) {
        return false;
    }
    if (reason) {
        reject(work, seq, phone, reason);
        work->invalid++;
        return true;
    }
    if (!is_new(work, msisdn, work->count)) {
        reject(work, seq, phone, "duplicate");
        work->duplicates++;
        return true;
    }
    work->msisdns[work->count] = msisdn;
    work->seqs[work->count] = seq;
    work->states[work->count] = STATE_PENDING;
    work->count++;
    return true;
}

static const struct db_statement find_suppressed = {
    "chunk_find_suppressed",
    "SELECT u.i FROM unnest($1::bigint[]) WITH ORDINALITY AS u(msisdn, i)"
    " WHERE EXISTS (SELECT FROM suppressions s"
    "                WHERE s.msisdn = u.msisdn AND (s.account_id = $2 OR s.account_id IS NULL))",
    2
};

static bool mark_suppressed(struct work *work, struct err *err)
{
    AUTO_DB_RESULT struct db_result *found = NULL;

    if (!db_query(work->db, &find_suppressed,
                  (struct db_value[]){ db_int8s(work->msisdns, work->count),
                                       db_int8(work->campaign->account_id) },
                  &found, err)) {
        return false;
    }
    for (int i = 0; i < db_rows(found); i++) {
        work->states[db_get_int(found, i, 0) - 1] = STATE_SUPPRESSED;
    }
    return true;
}

static const struct db_statement insert_recipients = {
    "chunk_insert_recipients",
    "INSERT INTO recipients (campaign_id, msisdn, seq, state, segments, text, final_at, reason)"
    " SELECT $1, msisdn, seq, state, segments, text,"
    "        CASE WHEN state = 7 THEN now() END, CASE WHEN state = 7 THEN 'suppressed' END"
    "   FROM unnest($2::bigint[], $3::int[], $4::smallint[], $5::smallint[], $6::text[])"
    "        AS u(msisdn, seq, state, segments, text)"
    " ON CONFLICT DO NOTHING",
    6
};

/*
 * Which of these rows were not inserted: their number was in an earlier chunk. The campaign is
 * given per row, so that the planner has no scan of the whole campaign to choose.
 */
static const struct db_statement find_missing = {
    "chunk_find_missing",
    "SELECT u.i"
    "  FROM unnest(array_fill($1::bigint, ARRAY[cardinality($2::int[])]), $2::int[])"
    "       WITH ORDINALITY AS u(campaign_id, seq, i)"
    " WHERE NOT EXISTS (SELECT FROM recipients r"
    "                    WHERE r.campaign_id = u.campaign_id AND r.seq = u.seq)"
    " ORDER BY u.i",
    2
};

static bool drop_known(struct work *work, size_t expected, struct err *err)
{
    AUTO_DB_RESULT struct db_result *missing = NULL;
    char phone[TEXT_MSISDN_BYTES];

    if (!db_query(
            work->db, &find_missing,
            (struct db_value[]){ db_int8(work->campaign->id), db_int4s(work->seqs, work->count) },
            &missing, err)) {
        return false;
    }
    if ((size_t)db_rows(missing) != expected) {
        return err_permanent(err, "rows_overlap",
                             "first_row: row numbers of chunk %lld are those "
                             "of another chunk",
                             (long long)work->chunk->number);
    }
    for (int i = 0; i < db_rows(missing); i++) {
        size_t at = (size_t)db_get_int(missing, i, 0) - 1;

        text_msisdn_format(work->msisdns[at], phone);
        reject(work, work->seqs[at], phone, "duplicate");
        work->seqs[at] = 0;
        work->duplicates++;
    }
    return true;
}

static bool insert_all(struct work *work, struct err *err)
{
    int64_t inserted = 0;

    if (work->count == 0) {
        return true;
    }
    if (!mark_suppressed(work, err) ||
        !db_run(work->db, &insert_recipients,
                (struct db_value[]){
                    db_int8(work->campaign->id), db_int8s(work->msisdns, work->count),
                    db_int4s(work->seqs, work->count), db_int2s(work->states, work->count),
                    db_int2s(work->segments, work->count), db_texts(work->texts, work->count) },
                &inserted, err)) {
        return false;
    }
    if ((size_t)inserted < work->count && !drop_known(work, work->count - (size_t)inserted, err)) {
        return false;
    }
    for (size_t i = 0; i < work->count; i++) {
        if (work->seqs[i] == 0) {
            continue;
        }
        if (work->states[i] == STATE_SUPPRESSED) {
            work->suppressed++;
        } else {
            work->price += work->segments[i];
            work->just_over_count += work->just_over[i];
        }
    }
    return true;
}

static const struct db_statement insert_rejects = {
    "chunk_insert_rejects",
    "INSERT INTO campaign_rejects (campaign_id, seq, phone, reason)"
    " SELECT $1, seq, phone, reason"
    "   FROM unnest($2::int[], $3::text[], $4::text[]) AS u(seq, phone, reason)"
    " ON CONFLICT ON CONSTRAINT campaign_rejects_pkey DO NOTHING",
    4
};

/* Last, since the campaign's row is where the workers of one campaign meet. */
static const struct db_statement count_chunk = {
    "chunk_count",
    "WITH counted AS ("
    "    UPDATE campaign_chunks SET planned = $6::int WHERE campaign_id = $1 AND chunk = $2)"
    " UPDATE campaigns"
    "    SET chunks_done = chunks_done + 1, rows_received = rows_received + $3,"
    "        invalid = invalid + $4, duplicates = duplicates + $5, planned = planned + $6,"
    "        suppressed = suppressed + $7, segments = segments + $8,"
    "        last_seq = greatest(last_seq, $9::int), text = coalesce($10, text),"
    "        just_over = just_over + $11"
    "  WHERE id = $1",
    11
};

static bool count_all(struct work *work, struct err *err)
{
    const struct chunk *chunk = work->chunk;
    int64_t rows = (int64_t)chunk->rows->rows;
    int64_t planned = rows - work->invalid - work->duplicates;

    if (work->rejects > 0 &&
        !db_run(work->db, &insert_rejects,
                (struct db_value[]){ db_int8(work->campaign->id),
                                     db_int4s(work->reject_seqs, work->rejects),
                                     db_texts(work->reject_phones, work->rejects),
                                     db_texts(work->reject_reasons, work->rejects) },
                NULL, err)) {
        return false;
    }
    return db_run(work->db, &count_chunk,
                  (struct db_value[]){ db_int8(work->campaign->id), db_int4((int32_t)chunk->number),
                                       db_int8(rows), db_int8(work->invalid),
                                       db_int8(work->duplicates), db_int8(planned),
                                       db_int8(work->suppressed), db_int8(work->price),
                                       db_int4((int32_t)(chunk->first_row + rows - 1)),
                                       db_text(work->shared_text), db_int8(work->just_over_count) },
                  NULL, err);
}

bool chunk_take(struct db *db, const struct chunk_campaign *campaign, const struct chunk *chunk,
                struct arena *arena, struct err *err)
{
    struct work work = { .db = db, .campaign = campaign, .chunk = chunk, .arena = arena };
    struct str scratch = { 0 };
    int64_t claimed;
    bool ok;

    if (!db_run(db, &claim_chunk,
                (struct db_value[]){ db_int8(campaign->id), db_int4((int32_t)chunk->number),
                                     db_int4((int32_t)chunk->rows->rows) },
                &claimed, err)) {
        return false;
    }
    if (claimed == 0) {
        return true;
    }
    work.phone = campaign_phone_column(chunk->columns->items, chunk->columns->count);
    if (work.phone < 0) {
        return err_permanent(err, "no_phone_column", "columns: no phone column; name one %s",
                             campaign_phone_names());
    }
    if (chunk->rows->rows > 0 && chunk->rows->cols != chunk->columns->count) {
        return err_permanent(err, "row_width", "rows: %zu cells in a row but %zu columns",
                             chunk->rows->cols, chunk->columns->count);
    }
    work.country = text_country_find(campaign->country);
    open_work(&work);
    ok = prepare_text(&work, &scratch, err);
    for (size_t i = 0; ok && i < chunk->rows->rows; i++) {
        ok = take_row(&work, i, &scratch, err);
    }
    str_free(&scratch);
    return ok && insert_all(&work, err) && count_all(&work, err);
}
