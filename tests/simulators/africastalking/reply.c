/*
 * reply - the body of a send reply, as JSON or XML
 */
#include "reply.h"

#include <string.h>

#include "engine/quote.h"

/* Only so that the other currency's total is another number. */
#define OTHER_CURRENCY_DIVISOR 129

static const struct {
    int code;
    const char *word;
} refusals[FAULT_COUNT] = {
    [FAULT_REFUSE_401] = { 401, "RiskHold" },
    [FAULT_REFUSE_402] = { 402, "InvalidSenderId" },
    [FAULT_REFUSE_403] = { 403, "InvalidPhoneNumber" },
    [FAULT_REFUSE_404] = { 404, "UnsupportedNumberType" },
    [FAULT_REFUSE_405] = { 405, "InsufficientBalance" },
    [FAULT_REFUSE_406] = { 406, "UserInBlacklist" },
    [FAULT_REFUSE_407] = { 407, "CouldNotRoute" },
    [FAULT_REFUSE_409] = { 409, "DoNotDisturbRejection" },
    [FAULT_REFUSE_500] = { 500, "InternalServerError" },
    [FAULT_REFUSE_501] = { 501, "GatewayError" },
    [FAULT_REFUSE_502] = { 502, "RejectedByGateway" },
};

int reply_code(enum fault refusal)
{
    return refusals[refusal].code;
}

void reply_put_money(struct str *out, const char *currency, int64_t value_e4)
{
    int64_t size = value_e4 < 0 ? -value_e4 : value_e4;
    int64_t rest = size % 10000;

    str_puts(out, currency);
    str_puts(out, value_e4 < 0 ? " -" : " ");
    str_put_int(out, size / 10000);
    str_append(out,
               (char[]){ '.', (char)('0' + rest / 1000), (char)('0' + rest / 100 % 10),
                         (char)('0' + rest / 10 % 10), (char)('0' + rest % 10) },
               5);
}

static void put_xml_text(struct str *out, const char *text)
{
    for (; *text != '\0'; text++) {
        switch (*text) {
        case '<':
            str_puts(out, "&lt;");
            break;
        case '>':
            str_puts(out, "&gt;");
            break;
        case '&':
            str_puts(out, "&amp;");
            break;
        default:
            str_putc(out, *text);
        }
    }
}

/* "Sent to 1/2 Total Cost: KES 0.8000" */
static void put_summary(struct str *out, const struct reply *reply)
{
    if (reply->error != NULL) {
        str_puts(out, reply->error);
        return;
    }
    str_puts(out, "Sent to ");
    str_put_int(out, (int64_t)reply->accepted);
    str_putc(out, '/');
    str_put_int(out, (int64_t)reply->count);
    str_puts(out, " Total Cost: ");
    if (reply->accepted == 0) {
        str_putc(out, '0');
        return;
    }
    reply_put_money(out, reply->total_currency,
                    strcmp(reply->currency, reply->total_currency) == 0
                        ? reply->total_e4
                        : reply->total_e4 / OTHER_CURRENCY_DIVISOR);
    if (!reply->message_parts) {
        str_puts(out, " Message parts: ");
        str_put_int(out, reply->parts);
    }
}

static void put_json_result(struct str *out, const struct reply *reply, const struct result *result)
{
    char id[BOOK_ID_BYTES];

    str_puts(out, "{\"statusCode\":");
    if (result->refusal != FAULT_NONE) {
        str_put_int(out, refusals[result->refusal].code);
        str_puts(out, ",\"number\":");
        quote_json(out, result->number, strlen(result->number));
        str_puts(out, ",\"cost\":\"0\",\"status\":\"");
        str_puts(out, refusals[result->refusal].word);
        str_puts(out, "\",\"messageId\":\"None\"}");
        return;
    }
    book_id(reply->book, result->index, id);
    str_put_int(out, reply->accepted_code);
    str_puts(out, ",\"number\":\"");
    str_puts(out, result->number);
    str_puts(out, "\",\"cost\":\"");
    reply_put_money(out, reply->currency, result->cost_e4);
    str_puts(out, "\",\"status\":\"Success\",\"messageId\":\"");
    str_append(out, id, BOOK_ID_BYTES - 1);
    str_putc(out, '"');
    if (reply->message_parts) {
        str_puts(out, ",\"messageParts\":");
        str_put_int(out, reply->parts);
    }
    str_putc(out, '}');
}

void reply_put_json(struct str *out, const struct reply *reply)
{
    bool first = true;

    str_puts(out, "{\"SMSMessageData\":{\"Message\":\"");
    put_summary(out, reply);
    str_puts(out, "\",\"Recipients\":[");
    for (size_t i = 0; reply->error == NULL && i < reply->count; i++) {
        if (reply->results[i].missing) {
            continue;
        }
        if (!first) {
            str_putc(out, ',');
        }
        first = false;
        put_json_result(out, reply, &reply->results[i]);
    }
    str_puts(out, "]}}");
}

void reply_put_xml(struct str *out, const struct reply *reply)
{
    char id[BOOK_ID_BYTES] = "None";

    str_puts(out, "<AfricasTalkingResponse><SMSMessageData><Message>");
    put_summary(out, reply);
    str_puts(out, "</Message><Recipients>");
    for (size_t i = 0; reply->error == NULL && i < reply->count; i++) {
        const struct result *result = &reply->results[i];
        bool accepted = result->refusal == FAULT_NONE;

        if (result->missing) {
            continue;
        }
        if (accepted) {
            book_id(reply->book, result->index, id);
        }
        str_puts(out, "<Recipient><number>");
        put_xml_text(out, result->number);
        str_puts(out, "</number><cost>");
        if (accepted) {
            reply_put_money(out, reply->currency, result->cost_e4);
        } else {
            str_putc(out, '0');
        }
        str_printf(out, "</cost><status>%s</status><statusCode>%d</statusCode>",
                   accepted ? "Success" : refusals[result->refusal].word,
                   accepted ? reply->accepted_code : refusals[result->refusal].code);
        str_printf(out, "<messageId>%s</messageId></Recipient>", accepted ? id : "None");
    }
    str_puts(out, "</Recipients></SMSMessageData></AfricasTalkingResponse>");
}
