#include "view.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "call_view.h"
#include "provider/africastalking.h"
#include "text/cell.h"

enum reply view_find(struct request *req, struct campaign_view *out_view)
{
    struct err err;
    int64_t id;
    bool found = false;

    if (request_campaign(req, &id) &&
        !campaign_find(req->db, req->caller.account_id, id, req->arena, out_view, &found, &err)) {
        return refuse_err(req, &err);
    }
    if (!found) {
        return refuse(req, REPLY_NOT_FOUND, "campaign_unknown", "id", "there is no such campaign");
    }
    return REPLY_NONE;
}

void view_id(const struct campaign_view *view, char out[ID_TEXT_BYTES])
{
    id_format(strcmp(view->kind, "message") == 0 ? "msg" : "cmp", view->id, out);
}

void view_put_money(struct str *out, int64_t e4)
{
    uint64_t size = e4 < 0 ? 0 - (uint64_t)e4 : (uint64_t)e4;

    str_printf(out, "\"%s%llu.%04llu\"", e4 < 0 ? "-" : "", (unsigned long long)(size / 10000),
               (unsigned long long)(size % 10000));
}

void view_put_counts(struct str *out, const struct campaign_view *view, bool snake)
{
    str_puts(out, out->bytes[out->len - 1] == '{' ? "\"counts\":{" : ",\"counts\":{");
    put_int(out, "planned", view->planned);
    put_int(out, "pending", view->pending);
    put_int(out, "sending", view->sending);
    put_int(out, snake ? "in_doubt" : "inDoubt", view->in_doubt);
    put_int(out, "sent", view->sent);
    put_int(out, "delivered", view->delivered);
    put_int(out, "failed", view->failed);
    put_int(out, "expired", view->expired);
    put_int(out, "suppressed", view->suppressed);
    put_int(out, "cancelled", view->cancelled);
    str_putc(out, '}');
}

/* "no_answer,busy" as a list of words. */
static void put_words(struct str *out, const char *name, const char *words)
{
    str_printf(out, ",\"%s\":[", name);
    for (const char *at = words; *at != '\0';) {
        const size_t len = strcspn(at, ",");

        str_puts(out, at == words ? "" : ",");
        json_put_string(out, at, len);
        at += len + (at[len] == ',');
    }
    str_putc(out, ']');
}

/* The campaign that follows it, and the one that it follows. */
static void put_follow_up(struct str *out, const struct campaign_view *view)
{
    const struct campaign_following *follow = &view->follow_up;
    char id[ID_TEXT_BYTES];

    if (follow->id != 0) {
        id_format("cmp", follow->id, id);
        str_puts(out, ",\"followUp\":{");
        put_text(out, "id", id);
        put_text(out, "channel", follow->channel);
        put_words(out, "when", follow->when);
        put_text(out, "status", follow->status);
        put_int(out, "tokens", follow->tokens);
        str_putc(out, '}');
    }
    if (view->parent != 0) {
        id_format("cmp", view->parent, id);
        put_text(out, "followUpOf", id);
    }
}

void view_put_campaign(struct str *out, const struct campaign_view *view)
{
    char id[ID_TEXT_BYTES];

    view_id(view, id);
    str_putc(out, '{');
    put_text(out, "id", id);
    put_text(out, "type", view->channel);
    put_text(out, "kind", view->kind);
    put_text(out, "status", view->status);
    put_text(out, "detail", view->detail);
    put_text(out, "title", view->title);
    put_text(out, "messageTemplate", view->message_template);
    put_text(out, "senderId", view->sender_id);
    put_text(out, "priority", view->lane);
    put_text(out, "country", view->country);
    put_text(out, "reference", view->reference);
    str_printf(out, ",\"launch\":%s", view->hold ? "false" : "true");
    put_time(out, "scheduledTime", view->scheduled_at);
    put_time(out, "expiresAt", view->expires_at);
    put_time(out, "createdAt", view->created_at);
    put_time(out, "renderedAt", view->rendered_at);
    put_time(out, "reservedAt", view->reserved_at);
    put_time(out, "startedAt", view->started_at);
    put_time(out, "sentAt", view->sent_at);
    put_time(out, "completedAt", view->completed_at);
    put_int(out, "rowsReceived", view->rows_received);
    put_int(out, "invalid", view->invalid);
    put_int(out, "duplicates", view->duplicates);
    view_put_counts(out, view, false);
    str_puts(out, ",\"tokens\":{");
    put_int(out, "quoted", view->segments);
    put_int(out, "captured", view->captured);
    put_int(out, "released", view->released);
    str_puts(out, "},\"cost\":");
    view_put_money(out, view->cost_e4);
    put_text(out, "currency", view->currency);
    if (view->voice != NULL) {
        call_view_put_campaign(out, view);
    }
    put_follow_up(out, view);
    str_putc(out, '}');
}

/* --- recipients
 * ------------------------------------------------------------------------------------ */

enum column {
    SEQ,
    MSISDN,
    STATE,
    SEGMENTS,
    PROVIDER_ID,
    NETWORK,
    COST,
    CURRENCY,
    REASON,
    SENT,
    FINAL
};
_Static_assert(FINAL + 1 == VIEW_RECIPIENT_COLUMNS, "one of them for each name");

#define RECIPIENT_COLUMNS                                                                          \
    "SELECT " VIEW_RECIPIENT_NAMES "  FROM recipient_states"                                       \
    " WHERE campaign_id = $1 AND seq > $2"

/* Two statements, so that the one without a filter is planned without it. */
static const struct db_statement all_recipients = {
    "ingress_recipients",
    RECIPIENT_COLUMNS " ORDER BY seq LIMIT $3",
    3,
};
static const struct db_statement recipients_in_state = {
    "ingress_recipients_in_state",
    RECIPIENT_COLUMNS " AND word = $4 ORDER BY seq LIMIT $3",
    4,
};

bool view_recipients(struct db *db, const struct recipients_query *query,
                     struct db_result **out_result, struct err *err)
{
    bool filtered = query->state != NULL && *query->state != '\0';

    if (query->calls) {
        return call_view_recipients(db, query, out_result, err);
    }
    return db_query(db, filtered ? &recipients_in_state : &all_recipients,
                    (struct db_value[]){ db_int8(query->campaign_id), db_int8(query->after),
                                         db_int8(query->limit), db_text(query->state) },
                    out_result, err);
}

int64_t view_recipient_seq(const struct db_result *result, int row)
{
    return db_get_int(result, row, SEQ);
}

static bool has_calls(const struct db_result *result)
{
    return db_columns(result) > VIEW_RECIPIENT_COLUMNS;
}

static const char *network_code(const struct db_result *result, int row, char out[16])
{
    if (db_is_null(result, row, NETWORK)) {
        return NULL;
    }
    snprintf(out, 16, "%lld", (long long)db_get_int(result, row, NETWORK));
    return out;
}

void view_put_recipient(struct str *out, const struct db_result *result, int row, bool snake)
{
    const char *code;
    char buffer[16];

    str_puts(out, "{");
    put_int(out, "row", db_get_int(result, row, SEQ));
    str_printf(out, ",\"phone\":\"+%lld\"", (long long)db_get_int(result, row, MSISDN));
    put_text(out, "state", db_get_text(result, row, STATE));
    put_int(out, "segments", db_get_int(result, row, SEGMENTS));
    put_text(out, snake ? "provider_message_id" : "providerMessageId",
             db_get_text(result, row, PROVIDER_ID));
    code = network_code(result, row, buffer);
    put_text(out, snake ? "network_code" : "networkCode", code);
    put_text(out, "network", code != NULL ? at_network_name(code) : NULL);
    if (db_is_null(result, row, COST)) {
        str_puts(out, ",\"cost\":null");
    } else {
        str_puts(out, ",\"cost\":");
        view_put_money(out, db_get_int(result, row, COST));
    }
    put_text(out, "currency", db_get_text(result, row, CURRENCY));
    put_text(out, "reason", db_get_text(result, row, REASON));
    put_time(out, snake ? "sent_at" : "sentAt", db_get_time(result, row, SENT));
    put_time(out, snake ? "final_at" : "finalAt", db_get_time(result, row, FINAL));
    if (has_calls(result)) {
        call_view_put_recipient(out, result, row);
    }
    str_putc(out, '}');
}

void view_put_csv_heading(struct str *out, bool calls)
{
    str_puts(out, "row,phone,state,segments,providerMessageId,networkCode,network,cost,currency,"
                  "reason,sentAt,finalAt");
    if (calls) {
        str_putc(out, ',');
        str_puts(out, call_view_csv_heading);
    }
    str_puts(out, "\r\n");
}

static void put_cell(struct str *out, const char *text)
{
    str_putc(out, ',');
    text_put_cell(out, text);
}

static void put_time_cell(struct str *out, int64_t ms)
{
    char text[CLOCK_RFC3339_BYTES] = "";

    if (ms != 0) {
        clock_format(ms, text);
    }
    put_cell(out, text);
}

void view_put_recipient_csv(struct str *out, const struct db_result *result, int row)
{
    const char *code;
    char buffer[16];

    str_put_int(out, db_get_int(result, row, SEQ));
    str_printf(out, ",%lld", (long long)db_get_int(result, row, MSISDN));
    put_cell(out, db_get_text(result, row, STATE));
    str_printf(out, ",%lld", (long long)db_get_int(result, row, SEGMENTS));
    put_cell(out, db_get_text(result, row, PROVIDER_ID));
    code = network_code(result, row, buffer);
    put_cell(out, code);
    put_cell(out, code != NULL ? at_network_name(code) : NULL);
    if (db_is_null(result, row, COST)) {
        str_putc(out, ',');
    } else {
        int64_t e4 = db_get_int(result, row, COST);
        str_printf(out, ",%lld.%04lld", (long long)(e4 / 10000), (long long)(e4 % 10000));
    }
    put_cell(out, db_get_text(result, row, CURRENCY));
    put_cell(out, db_get_text(result, row, REASON));
    put_time_cell(out, db_get_time(result, row, SENT));
    put_time_cell(out, db_get_time(result, row, FINAL));
    if (has_calls(result)) {
        call_view_put_recipient_csv(out, result, row);
    }
    str_puts(out, "\r\n");
}

bool view_is_state(const char *word)
{
    static const char *const states[] = { "pending", "sending",    "in_doubt",
                                          "sent",    "delivered",  "failed",
                                          "expired", "suppressed", "cancelled" };

    for (size_t i = 0; i < sizeof(states) / sizeof(*states); i++) {
        if (strcmp(states[i], word) == 0) {
            return true;
        }
    }
    return false;
}
