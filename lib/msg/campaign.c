/*
 * campaign - the field tables of the campaign's messages
 *
 * Optional fields may be absent or null. What binds several fields together (one of campaign and
 * reference, a "phone" column, as many cells as columns) is the handlers' to check: a table of
 * fields cannot say it, and neither can the schema beside it.
 */
#include "msg/campaign.h"

#include "base/id.h"
#include "msg/message.h"

#define CAMPAIGN_ID_MAX (ID_TEXT_BYTES - 1)
#define RATE_MAX 1000000 /* recipients a second; the setting's bound */
#define CAMPAIGN_ROWS_MAX ((int64_t)CAMPAIGN_CHUNKS_MAX * CAMPAIGN_CHUNK_ROWS)

const char *const missing_words[] = { "block", "skip", "default", NULL };

const char *const channel_words[] = { "sms", "voice", NULL };

static const struct field voice_fields[] = {
    FIELD_STR(struct campaign_voice, audio, 0, CAMPAIGN_ID_MAX, FIELD_OPTIONAL),
    FIELD_STR(struct campaign_voice, say_voice, 0, CAMPAIGN_SAY_VOICE_MAX, FIELD_OPTIONAL),
    FIELD_INT(struct campaign_voice, attempts, 0, CAMPAIGN_ATTEMPTS_MAX, FIELD_OPTIONAL),
    FIELD_INT(struct campaign_voice, retry_after_s, 0, CAMPAIGN_RETRY_S_MAX, FIELD_OPTIONAL),
    FIELD_INT(struct campaign_voice, below_percent, 0, 100, FIELD_OPTIONAL),
    FIELD_STR(struct campaign_voice, repeat_key, 0, 1, FIELD_OPTIONAL),
    FIELD_INT(struct campaign_voice, repeats, 0, CAMPAIGN_REPEATS_MAX, FIELD_OPTIONAL),
    FIELD_STR(struct campaign_voice, stop_key, 0, 1, FIELD_OPTIONAL),
    FIELD_MAP(struct campaign_voice, answers, CAMPAIGN_ANSWERS_MAX, CAMPAIGN_LABEL_MAX,
              FIELD_OPTIONAL),
    FIELD_INT(struct campaign_voice, wait_s, 0, CAMPAIGN_WAIT_S_MAX, FIELD_OPTIONAL),
    FIELD_STR(struct campaign_voice, thanks, 0, CAMPAIGN_CLOSING_MAX, FIELD_OPTIONAL),
    FIELD_STR(struct campaign_voice, stopped, 0, CAMPAIGN_CLOSING_MAX, FIELD_OPTIONAL),
    FIELD_END,
};

static const struct shape voice_shape = {
    .type = "voice",
    .size = sizeof(struct campaign_voice),
    .fields = voice_fields,
};

static const struct field follow_up_fields[] = {
    FIELD_STRINGS(struct campaign_follow_up, when, 0, CAMPAIGN_FOLLOW_WORDS_MAX,
                  CAMPAIGN_FOLLOW_WORD_MAX, FIELD_OPTIONAL),
    FIELD_STR(struct campaign_follow_up, message_template, 0, CAMPAIGN_TEMPLATE_MAX,
              FIELD_OPTIONAL),
    FIELD_STR(struct campaign_follow_up, sender_id, 0, SENDER_ID_MAX, FIELD_OPTIONAL),
    FIELD_OBJECT(struct campaign_follow_up, voice, &voice_shape, FIELD_OPTIONAL),
    FIELD_END,
};

static const struct shape follow_up_shape = {
    .type = "follow_up",
    .size = sizeof(struct campaign_follow_up),
    .fields = follow_up_fields,
};

static const struct field submitted_fields[] = {
    FIELD_STR(struct campaign_submitted, campaign, 1, CAMPAIGN_ID_MAX, FIELD_OPTIONAL),
    FIELD_STR(struct campaign_submitted, reference, 1, CAMPAIGN_REFERENCE_MAX, FIELD_OPTIONAL),
    FIELD_STR(struct campaign_submitted, title, 1, CAMPAIGN_TITLE_MAX),
    FIELD_ENUM(struct campaign_submitted, channel, channel_words, FIELD_OPTIONAL),
    FIELD_OBJECT(struct campaign_submitted, voice, &voice_shape, FIELD_OPTIONAL),
    FIELD_OBJECT(struct campaign_submitted, follow_up, &follow_up_shape, FIELD_OPTIONAL),
    FIELD_STR(struct campaign_submitted, message_template, 0, CAMPAIGN_TEMPLATE_MAX,
              FIELD_OPTIONAL),
    FIELD_STR(struct campaign_submitted, sender_id, 0, SENDER_ID_MAX, FIELD_OPTIONAL),
    FIELD_ENUM(struct campaign_submitted, missing, missing_words, FIELD_OPTIONAL),
    FIELD_STR(struct campaign_submitted, missing_default, 0, CAMPAIGN_MISSING_DEFAULT_MAX,
              FIELD_OPTIONAL),
    FIELD_BOOL(struct campaign_submitted, keep_whitespace, FIELD_OPTIONAL),
    FIELD_STR(struct campaign_submitted, country, 0, 2, FIELD_OPTIONAL),
    FIELD_BOOL(struct campaign_submitted, hold, FIELD_OPTIONAL),
    FIELD_TIME(struct campaign_submitted, scheduled_at, FIELD_OPTIONAL),
    FIELD_TIME(struct campaign_submitted, expires_at, FIELD_OPTIONAL),
    FIELD_INT(struct campaign_submitted, chunks, 0, CAMPAIGN_CHUNKS_MAX, FIELD_OPTIONAL),
    FIELD_STRINGS(struct campaign_submitted, columns, 0, CAMPAIGN_COLUMNS_MAX, CAMPAIGN_COLUMN_MAX,
                  FIELD_OPTIONAL),
    FIELD_TABLE(struct campaign_submitted, rows, CAMPAIGN_CHUNK_ROWS, CAMPAIGN_CELL_MAX,
                FIELD_OPTIONAL),
    FIELD_END,
};

const struct shape campaign_submitted_v1 = {
    .type = "campaign.submitted.v1",
    .size = sizeof(struct campaign_submitted),
    .fields = submitted_fields,
};

static const struct field recipients_fields[] = {
    FIELD_STR(struct recipients_submitted, campaign, 1, CAMPAIGN_ID_MAX, FIELD_OPTIONAL),
    FIELD_STR(struct recipients_submitted, reference, 1, CAMPAIGN_REFERENCE_MAX, FIELD_OPTIONAL),
    FIELD_INT(struct recipients_submitted, chunk, 1, CAMPAIGN_CHUNKS_MAX),
    FIELD_INT(struct recipients_submitted, first_row, 1, CAMPAIGN_ROWS_MAX),
    FIELD_STRINGS(struct recipients_submitted, columns, 1, CAMPAIGN_COLUMNS_MAX,
                  CAMPAIGN_COLUMN_MAX),
    FIELD_TABLE(struct recipients_submitted, rows, CAMPAIGN_CHUNK_ROWS, CAMPAIGN_CELL_MAX),
    FIELD_END,
};

const struct shape recipients_submitted_v1 = {
    .type = "recipients.submitted.v1",
    .size = sizeof(struct recipients_submitted),
    .fields = recipients_fields,
};

static const struct field closed_fields[] = {
    FIELD_STR(struct campaign_closed, campaign, 1, CAMPAIGN_ID_MAX, FIELD_OPTIONAL),
    FIELD_STR(struct campaign_closed, reference, 1, CAMPAIGN_REFERENCE_MAX, FIELD_OPTIONAL),
    FIELD_INT(struct campaign_closed, chunks, 0, CAMPAIGN_CHUNKS_MAX),
    FIELD_END,
};

const struct shape campaign_closed_v1 = {
    .type = "campaign.closed.v1",
    .size = sizeof(struct campaign_closed),
    .fields = closed_fields,
};

static const struct field fact_fields[] = {
    FIELD_STR(struct campaign_fact, campaign, 1, CAMPAIGN_ID_MAX),
    FIELD_END,
};

const struct shape campaign_rendered_v1 = {
    .type = "campaign.rendered.v1",
    .size = sizeof(struct campaign_fact),
    .fields = fact_fields,
};

const struct shape campaign_launched_v1 = {
    .type = "campaign.launched.v1",
    .size = sizeof(struct campaign_fact),
    .fields = fact_fields,
};

const struct shape campaign_reserved_v1 = {
    .type = "campaign.reserved.v1",
    .size = sizeof(struct campaign_fact),
    .fields = fact_fields,
};

const struct shape campaign_resumed_v1 = {
    .type = "campaign.resumed.v1",
    .size = sizeof(struct campaign_fact),
    .fields = fact_fields,
};

const struct shape campaign_cancelled_v1 = {
    .type = "campaign.cancelled.v1",
    .size = sizeof(struct campaign_fact),
    .fields = fact_fields,
};

static const struct field batch_fields[] = {
    FIELD_STR(struct batch_fact, campaign, 1, CAMPAIGN_ID_MAX),
    FIELD_INT(struct batch_fact, batch, 1, INT32_MAX),
    FIELD_INT(struct batch_fact, size, 0, BATCH_SIZE_MAX),
    FIELD_END,
};

const struct shape batch_ready_v1 = {
    .type = "batch.ready.v1",
    .size = sizeof(struct batch_fact),
    .fields = batch_fields,
};

const struct shape batch_placed_v1 = {
    .type = "batch.placed.v1",
    .size = sizeof(struct batch_fact),
    .fields = batch_fields,
};

const struct shape batch_done_v1 = {
    .type = "batch.done.v1",
    .size = sizeof(struct batch_fact),
    .fields = batch_fields,
};

static const struct field paced_fields[] = {
    FIELD_STR(struct batch_paced, campaign, 1, CAMPAIGN_ID_MAX),
    FIELD_INT(struct batch_paced, batch, 1, INT32_MAX),
    FIELD_INT(struct batch_paced, size, 0, BATCH_SIZE_MAX),
    MESSAGE_TIME(struct batch_paced, expires_at_ms, "expires_at", FIELD_OPTIONAL),
    FIELD_INT(struct batch_paced, per_second, 0, RATE_MAX, FIELD_OPTIONAL),
    FIELD_BOOL(struct batch_paced, probe, FIELD_OPTIONAL),
    FIELD_END,
};

const struct shape batch_paced_v1 = {
    .type = "batch.paced.v1",
    .size = sizeof(struct batch_paced),
    .fields = paced_fields,
};
