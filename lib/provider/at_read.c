/*
 * at_read - what became of each recipient of a request
 *
 * The rule: "not sent" is said only on evidence. Evidence is a request that never left, a definite
 * HTTP refusal, or a code for that recipient. Everything else is doubt.
 */
#include <string.h>

#include "json/shape.h"
#include "provider/africastalking.h"
#include "provider/at_parts.h"
#include "provider/detail.h"

#define REPLY_RECIPIENTS_MAX (2 * AT_RECIPIENTS_MAX)

/* The provider's side of the conversation. */

struct row {
    const char *number;
    const char *status;
    int64_t code;
    const char *message_id;
    const char *cost;
    int64_t parts;
};

struct data {
    const char *message;
    struct list recipients; /* struct row */
};

struct reply {
    struct data data;
};

#define ROW(kind, wire, member, lo, hi, how)                                                       \
    {                                                                                              \
        .type = (kind), .name = (wire), .offset = offsetof(struct row, member), .min = (lo),       \
        .max = (hi), .flags = (how)                                                                \
    }
#define ROW_EVIDENCE                                                                               \
    ROW(FIELD_TYPE_STR, "number", number, 1, 64, FIELD_REQUIRED),                                  \
        ROW(FIELD_TYPE_INT, "statusCode", code, 0, INT32_MAX, FIELD_REQUIRED),                     \
        ROW(FIELD_TYPE_STR, "messageId", message_id, 0, 100, FIELD_OPTIONAL)

static const struct field row_fields[] = {
    ROW_EVIDENCE,
    ROW(FIELD_TYPE_STR, "status", status, 0, 100, FIELD_OPTIONAL),
    ROW(FIELD_TYPE_STR, "cost", cost, 0, 40, FIELD_OPTIONAL),
    ROW(FIELD_TYPE_INT, "messageParts", parts, 0, INT32_MAX, FIELD_OPTIONAL),
    FIELD_END,
};

/* Only what decides. A cost of another type must not put five hundred recipients in doubt. */
static const struct field lean_row_fields[] = { ROW_EVIDENCE, FIELD_END };

static const struct shape row_shape = { "africastalking recipient", sizeof(struct row),
                                        row_fields };
static const struct shape lean_row_shape = { "africastalking recipient", sizeof(struct row),
                                             lean_row_fields };

#define DATA(rows)                                                                                 \
    { .type = FIELD_TYPE_STR,                                                                      \
      .name = "Message",                                                                           \
      .offset = offsetof(struct data, message),                                                    \
      .max = 1000,                                                                                 \
      .flags = FIELD_OPTIONAL },                                                                   \
        { .type = FIELD_TYPE_LIST,                                                                 \
          .name = "Recipients",                                                                    \
          .offset = offsetof(struct data, recipients),                                             \
          .max = REPLY_RECIPIENTS_MAX,                                                             \
          .shape = (rows) },                                                                       \
        FIELD_END

static const struct field data_fields[] = { DATA(&row_shape) };
static const struct field lean_data_fields[] = { DATA(&lean_row_shape) };

static const struct shape data_shape = { "africastalking data", sizeof(struct data), data_fields };
static const struct shape lean_data_shape = { "africastalking data", sizeof(struct data),
                                              lean_data_fields };

#define REPLY(inner)                                                                               \
    { .type = FIELD_TYPE_OBJECT,                                                                   \
      .name = "SMSMessageData",                                                                    \
      .offset = offsetof(struct reply, data),                                                      \
      .shape = (inner) },                                                                          \
        FIELD_END

static const struct field reply_fields[] = { REPLY(&data_shape) };
static const struct field lean_reply_fields[] = { REPLY(&lean_data_shape) };

static const struct shape reply_shape = { "africastalking reply", sizeof(struct reply),
                                          reply_fields };
static const struct shape lean_reply_shape = { "africastalking reply", sizeof(struct reply),
                                               lean_reply_fields };

static const struct at_code *find_code(int64_t code)
{
    for (size_t i = 0; i < at_codes_count; i++) {
        if (at_codes[i].code == code) {
            return &at_codes[i];
        }
    }
    return NULL;
}

static const struct at_code *find_word(const char *word)
{
    for (size_t i = 0; i < at_codes_count; i++) {
        if (strcmp(at_codes[i].word, word) == 0) {
            return &at_codes[i];
        }
    }
    return NULL;
}

/* Fills one outcome from its row of the reply. */
static void read_row(const struct row *row, struct at_outcome *out)
{
    const struct at_code *known = find_code(row->code);

    *out = (struct at_outcome){
        .class = known != NULL ? known->class : AT_DOUBT,
        .reason = known != NULL ? known->reason : "unknown_code",
        .code = (int)row->code,
        .word = row->status != NULL ? row->status : "",
        .cost_e4 = -1,
        .parts = (int)row->parts,
    };
    if (row->message_id != NULL && row->message_id[0] != '\0' &&
        strcmp(row->message_id, "None") != 0) {
        out->message_id = row->message_id;
    }
    if (row->cost != NULL &&
        (!at_money_parse(row->cost, &out->cost_e4, out->currency) || out->cost_e4 < 0)) {
        out->cost_e4 = -1;
        out->currency[0] = '\0';
    }
}

static void read_rows(const struct list *rows, const int64_t *msisdns, size_t n,
                      struct at_outcome *out_outcomes, struct at_verdict *whole,
                      struct arena *arena)
{
    struct at_places places = { .msisdns = msisdns, .n = n };
    bool *seen = arena_array(arena, n, sizeof(*seen));

    for (size_t i = 0; i < rows->count; i++) {
        const struct row *row = &((const struct row *)rows->items)[i];
        size_t place = at_place(&places, row->number, i, arena);
        if (place == n) {
            whole->unasked++;
            continue;
        }
        struct at_outcome *out = &out_outcomes[place];
        const struct at_code *known = find_code(row->code);
        whole->unasked += seen[place];
        /* Named twice: one acceptance is enough to say that it was taken. */
        if (!seen[place] ||
            (out->class != AT_ACCEPTED && known != NULL && known->class == AT_ACCEPTED)) {
            read_row(row, out);
        }
        seen[place] = true;
    }
}

/* A 2xx without recipients refuses the request and says why in Message, mostly InvalidSenderId. */
static enum at_class judge_empty(const struct data *data, struct at_verdict *whole)
{
    const char *message = data->message != NULL ? data->message : "";
    const struct at_code *known = find_word(message);

    detail_set(whole->detail, sizeof(whole->detail), message);
    /* "Sent to 3/3 …" and silence contradict the empty list. */
    if (message[0] == '\0' ||
        (strncmp(message, "Sent to ", 8) == 0 && strncmp(message, "Sent to 0/", 10) != 0)) {
        at_verdict_set(whole, AT_REQUEST_UNKNOWN, "recipients_missing");
        return AT_DOUBT;
    }
    at_verdict_set(whole, AT_REQUEST_REFUSED, known != NULL ? known->reason : "request_refused");
    return known != NULL && known->class == AT_HOLD_WINDOW ? AT_HOLD_WINDOW : AT_HOLD_ACCOUNT;
}

static void fill_all(struct at_outcome *outcomes, size_t n, enum at_class class, const char *reason)
{
    for (size_t i = 0; i < n; i++) {
        outcomes[i] = (struct at_outcome){
            .class = class,
            .reason = reason,
            .word = "",
            .cost_e4 = -1,
        };
    }
}

/* Some of the document's pages show 409 as the HTTP status of a reply with recipients. */
static bool has_recipients(const struct http_reply *reply)
{
    return reply->sent == HTTP_ANSWERED &&
           ((reply->status >= 200 && reply->status <= 299) ||
            (reply->status == 409 && strcmp(reply->content_type, "application/json") == 0));
}

void at_read(const struct http_reply *reply, const int64_t *msisdns, size_t n,
             struct at_outcome *out_outcomes, struct at_verdict *out_whole, struct arena *arena)
{
    struct reply read;
    struct err err;

    at_verdict_http(reply, out_whole);
    if (!has_recipients(reply)) {
        fill_all(out_outcomes, n, at_verdict_class(out_whole), out_whole->why);
        return;
    }
    if (!shape_read(&reply_shape, reply->body, reply->body_len, &read, arena, &err) &&
        !shape_read(&lean_reply_shape, reply->body, reply->body_len, &read, arena, &err)) {
        at_verdict_set(out_whole, AT_REQUEST_UNKNOWN, "unreadable_reply");
        detail_set(out_whole->detail, sizeof(out_whole->detail), err.detail);
        fill_all(out_outcomes, n, AT_DOUBT, out_whole->why);
        return;
    }
    if (read.data.recipients.count == 0) {
        enum at_class class = judge_empty(&read.data, out_whole);
        fill_all(out_outcomes, n, class, out_whole->why);
        return;
    }
    at_verdict_set(out_whole, AT_REQUEST_OK, "ok");
    out_whole->detail[0] = '\0';
    fill_all(out_outcomes, n, AT_DOUBT, "missing_in_reply");
    read_rows(&read.data.recipients, msisdns, n, out_outcomes, out_whole, arena);
}
