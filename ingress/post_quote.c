/*
 * POST /api/messages/quote - what a text costs, and why
 *
 * With recipients the text is rendered and counted for each, as it would be sent; without, it is
 * counted as it is. Nothing is stored. Says which characters make the text UCS-2 and what it would
 * cost with their replacements.
 */
#include <string.h>

#include "campaign/columns.h"
#include "campaign/store.h"
#include "routes.h"
#include "rows.h"
#include "text/gsm7.h"
#include "text/msisdn.h"
#include "text/template.h"

#define SEEN_SLOTS 32768 /* a power of two, three times INLINE_RECIPIENTS_MAX */

struct quote_body {
    const char *message, *message_template, *missing_default, *country;
    int missing;
    bool keep_whitespace;
};

#define QUOTE(kind, member, wire, ...)                                                             \
    {                                                                                              \
        .type = (kind), .name = (wire), .offset = offsetof(struct quote_body, member),             \
        .flags = FIELD_OPTIONAL, __VA_ARGS__                                                       \
    }

static const struct field quote_fields[] = {
    QUOTE(FIELD_TYPE_STR, message, "message", .min = 1, .max = CAMPAIGN_TEMPLATE_MAX),
    QUOTE(FIELD_TYPE_STR, message_template, "messageTemplate", .min = 1,
          .max = CAMPAIGN_TEMPLATE_MAX),
    QUOTE(FIELD_TYPE_ENUM, missing, "missing", .words = missing_words),
    QUOTE(FIELD_TYPE_STR, missing_default, "missingDefault", .max = CAMPAIGN_MISSING_DEFAULT_MAX),
    QUOTE(FIELD_TYPE_STR, country, "country", .max = 2),
    QUOTE(FIELD_TYPE_BOOL, keep_whitespace, "keepWhitespace"),
    FIELD_END,
};

static const struct shape quote_shape = {
    .type = "quote",
    .size = sizeof(struct quote_body),
    .fields = quote_fields,
};

struct quote {
    struct request *req;
    struct text_render how;
    const struct text_binding *binding;
    const struct text_country *country;
    int phone;
    int64_t *seen; /* numbers met so far, open addressing; 0 is free */
    struct str text;
    int64_t texts, tokens, tokens_replaced;
    int64_t invalid, duplicates, left_out;
    uint32_t segments_min, segments_max, units_max, characters_max;
    bool ucs2, replaceable;
    struct text_odd odd[TEXT_ODD_MAX];
    size_t odd_count;
};

static void add_odd(struct quote *quote, const struct text_odd *odd)
{
    for (size_t i = 0; i < quote->odd_count; i++) {
        if (quote->odd[i].code_point == odd->code_point) {
            quote->odd[i].count += odd->count;
            return;
        }
    }
    if (quote->odd_count < TEXT_ODD_MAX) {
        quote->odd[quote->odd_count++] = *odd;
    }
}

static bool add_text(struct quote *quote, const char *text, size_t len)
{
    struct text_report report;

    if (!text_inspect(text, len, &report)) {
        return false;
    }
    bool ucs2 = report.count.encoding == TEXT_UCS2;
    bool better = ucs2 && report.replaceable;
    uint32_t segments = report.count.segments;
    quote->tokens += segments;
    quote->tokens_replaced += better ? report.replaced.segments : segments;
    quote->ucs2 = quote->ucs2 || ucs2;
    quote->replaceable = (quote->texts == 0 || quote->replaceable) && (!ucs2 || better);
    if (quote->texts++ == 0 || segments < quote->segments_min) {
        quote->segments_min = segments;
    }
    quote->segments_max = segments > quote->segments_max ? segments : quote->segments_max;
    if (report.count.units > quote->units_max) {
        quote->units_max = report.count.units;
        quote->characters_max = report.characters;
    }
    for (size_t i = 0; i < report.odd_count; i++) {
        add_odd(quote, &report.odd[i]);
    }
    return true;
}

/* True the first time. */
static bool is_first(struct quote *quote, int64_t msisdn)
{
    size_t at = (size_t)((uint64_t)msisdn * 0x9e3779b97f4a7c15U >> 40) & (SEEN_SLOTS - 1);

    while (quote->seen[at] != 0) {
        if (quote->seen[at] == msisdn) {
            return false;
        }
        at = (at + 1) & (SEEN_SLOTS - 1);
    }
    quote->seen[at] = msisdn;
    return true;
}

/* False with err when the whole campaign would be refused for this row. */
static bool add_recipient(struct quote *quote, size_t row, const char *const *cells,
                          struct err *err)
{
    const char *phone = cells[quote->phone];
    struct err inner;
    int64_t msisdn;

    if (text_msisdn_parse(phone, strlen(phone), quote->country, &msisdn) != TEXT_MSISDN_OK) {
        quote->invalid++;
        return true;
    }
    if (!is_first(quote, msisdn)) {
        quote->duplicates++;
        return true;
    }
    switch (text_template_render(quote->binding, cells, &quote->how, &quote->text, &inner)) {
    case TEXT_RENDERED:
        if (add_text(quote, quote->text.bytes, quote->text.len)) {
            return true;
        }
        quote->invalid++;
        return true;
    case TEXT_LEFT_OUT:
        quote->left_out++;
        return true;
    case TEXT_REFUSED:
        break;
    }
    return err_permanent(err, inner.what, "recipients[%zu]: %.150s", row, inner.detail);
}

static void put_odd(struct str *out, const struct quote *quote)
{
    str_puts(out, ",\"unicodeCharacters\":[");
    for (size_t i = 0; i < quote->odd_count; i++) {
        const struct text_odd *odd = &quote->odd[i];
        str_puts(out, i > 0 ? ",{" : "{");
        put_text(out, "character", odd->utf8);
        str_printf(out, ",\"codePoint\":\"U+%04X\"", odd->code_point);
        put_int(out, "count", odd->count);
        if (odd->replacement != NULL) {
            str_puts(out, ",\"replacement\":");
            json_put_string(out, odd->replacement, strlen(odd->replacement));
        } else {
            str_puts(out, ",\"replacement\":null");
        }
        str_putc(out, '}');
    }
    str_putc(out, ']');
}

static enum reply put_quote(const struct quote *quote)
{
    struct str *out = &quote->req->body_out;

    str_putc(out, '{');
    put_text(out, "encoding", quote->ucs2 ? "UCS-2" : "GSM-7");
    put_int(out, "segments", quote->segments_max);
    put_int(out, "segmentsMin", quote->segments_min);
    put_int(out, "characters", quote->characters_max);
    put_int(out, "units", quote->units_max);
    put_int(out, "recipients", quote->texts);
    put_int(out, "invalid", quote->invalid);
    put_int(out, "duplicates", quote->duplicates);
    put_int(out, "leftOut", quote->left_out);
    put_int(out, "tokens", quote->tokens);
    put_int(out, "tokensIfReplaced", quote->tokens_replaced);
    str_printf(out, ",\"replaceable\":%s", quote->ucs2 && quote->replaceable ? "true" : "false");
    put_odd(out, quote);
    str_putc(out, '}');
    return REPLY_OK;
}

static bool quote_recipients(struct quote *quote, const struct text_template *text_template,
                             const struct quote_body *body, const char *list, size_t list_len,
                             struct err *err)
{
    struct request *req = quote->req;
    struct account account;
    struct rows rows;
    struct table table;
    bool found;

    rows_init(&rows, req->arena);
    if (!rows_read_all(&rows, "recipients", list, list_len, INLINE_RECIPIENTS_MAX, &table, err) ||
        !text_template_bind(text_template, rows.columns, rows.column_count, req->arena,
                            &quote->binding, err) ||
        !account_find(req->db, NULL, req->caller.account_id, req->arena, &account, &found, err)) {
        return false;
    }
    const char *iso = body->country != NULL && *body->country != '\0' ? body->country
                      : found                                         ? account.country
                                                                      : "";
    quote->country = text_country_find(iso);
    if (quote->country == NULL) {
        return err_permanent(err, "country_unknown", "country: '%.8s' is not served", iso);
    }
    quote->phone = campaign_phone_column(rows.columns, rows.column_count);
    quote->seen = arena_array(req->arena, SEEN_SLOTS, sizeof(*quote->seen));
    for (size_t i = 0; i < table.rows; i++) {
        if (!add_recipient(quote, i, table.cells + i * table.cols, err)) {
            return false;
        }
    }
    return true;
}

static bool quote_text(struct quote *quote, const struct text_template *text_template,
                       struct err *err)
{
    struct err inner;

    if (!text_template->is_constant) {
        return err_permanent(err, "no_recipients",
                             "recipients: the text has fields; say with what they are filled");
    }
    if (!text_template_bind(text_template, NULL, 0, quote->req->arena, &quote->binding, err)) {
        return false;
    }
    if (text_template_render(quote->binding, NULL, &quote->how, &quote->text, &inner) !=
            TEXT_RENDERED ||
        !add_text(quote, quote->text.bytes, quote->text.len)) {
        return err_permanent(err, inner.what, "message: %.150s", inner.detail);
    }
    return true;
}

enum reply post_quote(struct request *req)
{
    const char *json = req->body.bytes != NULL ? req->body.bytes : "";
    struct quote quote = { .req = req };
    const struct text_template *text_template;
    struct quote_body body;
    const char *list;
    size_t list_len;
    struct err err;

    if (!shape_read(&quote_shape, json, req->body.len, &body, req->arena, &err)) {
        return refuse_err(req, &err);
    }
    const char *source = body.message != NULL ? body.message : body.message_template;
    if (source == NULL || (body.message != NULL && body.message_template != NULL)) {
        return refuse(req, REPLY_UNPROCESSABLE, "no_message", "message",
                      "send either message or messageTemplate");
    }
    if (!text_template_compile(source, strlen(source), req->arena, &text_template, &err)) {
        return refuse(req, REPLY_UNPROCESSABLE, err.what,
                      body.message != NULL ? "message" : "messageTemplate", "%s", err.detail);
    }
    quote.how = (struct text_render){
        .missing = (enum text_missing)body.missing,
        .default_text = body.missing_default,
        .squeeze = !body.keep_whitespace,
    };
    bool ok = json_member(json, req->body.len, "recipients", &list, &list_len)
                  ? quote_recipients(&quote, text_template, &body, list, list_len, &err)
                  : quote_text(&quote, text_template, &err);
    str_free(&quote.text);
    return ok ? put_quote(&quote) : refuse_err(req, &err);
}
