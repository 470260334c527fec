/*
 * bodies - the JSON that M-Pesa posts
 */
#include "bodies.h"

#include <stdio.h>
#include <string.h>

#include "base/id.h"
#include "crypto/crypto.h"
#include "eat.h"
#include "engine/quote.h"

#define ITEMS_MAX 5
#define ITEM_BYTES 128

static bool is_styled(const struct push *push, enum fault style)
{
    return (push->style >> (style - FAULT_RESULT_CODE_TEXT) & 1) != 0;
}

/* "2547 ***** 126" */
static void mask_phone(int64_t phone, char out[ITEM_BYTES])
{
    (void)snprintf(out, ITEM_BYTES, "%04lld ***** %03lld", (long long)(phone / 100000000),
                   (long long)(phone % 1000));
}

/* One {"Name":...,"Value":...} each; returns how many. */
static int make_items(const struct push *push, const struct payment *payment,
                      char items[ITEMS_MAX][ITEM_BYTES])
{
    char time[EAT_BYTES];
    char phone[ITEM_BYTES];
    int count = 0;

    eat_format(payment->paid_ms, time);
    (void)snprintf(items[count++], ITEM_BYTES, "{\"Name\":\"Amount\",\"Value\":%lld%s}",
                   (long long)payment->amount, is_styled(push, FAULT_AMOUNT_DECIMAL) ? ".00" : "");
    (void)snprintf(items[count++], ITEM_BYTES, "{\"Name\":\"MpesaReceiptNumber\",\"Value\":\"%s\"}",
                   payment->receipt);
    if (is_styled(push, FAULT_BALANCE_EMPTY)) {
        (void)snprintf(items[count++], ITEM_BYTES, "{\"Name\":\"Balance\"}");
    } else if (is_styled(push, FAULT_BALANCE_VALUE)) {
        (void)snprintf(items[count++], ITEM_BYTES, "{\"Name\":\"Balance\",\"Value\":%lld.00}",
                       (long long)payment->balance);
    }
    if (is_styled(push, FAULT_DATE_FORMATTED)) {
        (void)snprintf(items[count++], ITEM_BYTES,
                       "{\"Name\":\"TransactionDate\",\"Value\":\"%.4s-%.2s-%.2s "
                       "%.2s:%.2s:%.2s\"}",
                       time, time + 4, time + 6, time + 8, time + 10, time + 12);
    } else {
        (void)snprintf(items[count++], ITEM_BYTES, "{\"Name\":\"TransactionDate\",\"Value\":%s}",
                       time);
    }
    if (is_styled(push, FAULT_PHONE_MASKED)) {
        mask_phone(push->phone, phone);
        (void)snprintf(items[count++], ITEM_BYTES, "{\"Name\":\"PhoneNumber\",\"Value\":\"%.20s\"}",
                       phone);
    } else if (!is_styled(push, FAULT_PHONE_MISSING)) {
        (void)snprintf(items[count++], ITEM_BYTES, "{\"Name\":\"PhoneNumber\",\"Value\":%lld}",
                       (long long)push->phone);
    }
    return count;
}

void body_put_push(struct sim *sim, uint32_t index, enum result result, struct str *out)
{
    const struct push *push = &sim->book.pushes[index];
    char items[ITEMS_MAX][ITEM_BYTES];
    char checkout[BOOK_ID_BYTES];
    char merchant[BOOK_ID_BYTES];

    book_checkout_id(&sim->book, index, checkout);
    book_merchant_id(&sim->book, index, merchant);
    str_printf(out,
               "{\"Body\":{\"stkCallback\":{\"MerchantRequestID\":\"%s\",\"CheckoutRequestID\":"
               "\"%s\",\"ResultCode\":",
               merchant, checkout);
    result_put_code(out, result, is_styled(push, FAULT_RESULT_CODE_TEXT));
    str_printf(out, ",\"ResultDesc\":\"%s\"", result_words(result, false));
    if (result == RESULT_PAID) {
        int count = make_items(push, &sim->book.payments[push->payment], items);

        str_puts(out, ",\"CallbackMetadata\":{\"Item\":[");
        for (int i = 0; i < count; i++) {
            str_puts(out, i == 0 ? "" : ",");
            str_puts(out, items[is_styled(push, FAULT_ITEMS_REORDERED) ? count - 1 - i : i]);
        }
        str_puts(out, "]}");
    }
    str_puts(out, "}}}");
}

static const char *first_name(int64_t phone)
{
    static const char *const names[] = { "AISHA",  "BRIAN",  "CHEBET", "DAUDI",
                                         "ESTHER", "FATUMA", "GEORGE" };

    return names[phone % (int64_t)(sizeof(names) / sizeof(names[0]))];
}

/* Version 1 sends a digest of the payer's number, version 2 a masked one. */
static void put_msisdn(struct sim *sim, int64_t phone, struct str *out)
{
    unsigned char digest[CRYPTO_SHA256_BYTES];
    char text[ITEM_BYTES];

    mask_phone(phone, text);
    if (sim->registration.hashed || fault_hits(&sim->faults, FAULT_C2B_HASHED)) {
        (void)snprintf(text, sizeof(text), "%lld", (long long)phone);
        crypto_sha256(text, strlen(text), digest);
        id_hex(digest, sizeof(digest), text);
    }
    str_puts(out, text);
}

void body_put_c2b(struct sim *sim, uint32_t index, struct str *out)
{
    const struct payment *payment = &sim->book.payments[index];
    bool is_till = sim->settings.till[0] != '\0';
    char time[EAT_BYTES];

    eat_format(payment->paid_ms, time);
    str_printf(out,
               "{\"TransactionType\":\"%s\",\"TransID\":\"%s\",\"TransTime\":\"%s\","
               "\"TransAmount\":\"%lld.00\",\"BusinessShortCode\":\"%s\",\"BillRefNumber\":",
               is_till ? "Buy Goods" : "Pay Bill", payment->receipt, time,
               (long long)payment->amount, sim->settings.shortcode);
    quote_json(out, payment->reference, strlen(payment->reference));
    str_printf(out,
               ",\"InvoiceNumber\":\"\",\"OrgAccountBalance\":\"%lld.00\",\"ThirdPartyTransID\":"
               "\"\",\"MSISDN\":\"",
               (long long)payment->balance);
    put_msisdn(sim, payment->phone, out);
    str_printf(out, "\",\"FirstName\":\"%s\",\"MiddleName\":\"\",\"LastName\":\"\"}",
               first_name(payment->phone));
}

void body_reversal_ids(const struct sim *sim, uint32_t index, char originator[BOOK_ID_BYTES],
                       char conversation[BOOK_ID_BYTES])
{
    const struct reversal *reversal = &sim->book.reversals[index];
    char time[EAT_BYTES];

    eat_format(reversal->at_ms, time);
    (void)snprintf(originator, BOOK_ID_BYTES, "%u-%s-1", 10000 + sim->book.boot % 90000,
                   reversal->own_receipt);
    (void)snprintf(conversation, BOOK_ID_BYTES, "AG_%.8s_%s", time, reversal->own_receipt);
}

static void put_reversal_parameters(struct sim *sim, const struct reversal *reversal,
                                    struct str *out)
{
    const struct payment *payment = &sim->book.payments[reversal->payment];
    char time[EAT_BYTES];

    eat_format(reversal->at_ms, time);
    str_printf(out,
               ",\"ResultParameters\":{\"ResultParameter\":["
               "{\"Key\":\"DebitAccountBalance\",\"Value\":\"Utility Account|KES|%lld.00|%lld.00|"
               "0.00|0.00\"},{\"Key\":\"Amount\",\"Value\":%lld},"
               "{\"Key\":\"TransCompletedTime\",\"Value\":%s},"
               "{\"Key\":\"OriginalTransactionID\",\"Value\":\"%s\"},"
               "{\"Key\":\"Charge\",\"Value\":0},"
               "{\"Key\":\"CreditPartyPublicName\",\"Value\":\"%lld - %s\"},"
               "{\"Key\":\"DebitPartyPublicName\",\"Value\":\"%s - SIMULATOR\"}]}",
               (long long)sim->book.balance, (long long)sim->book.balance,
               (long long)reversal->amount, time, payment->receipt, (long long)payment->phone,
               first_name(payment->phone), sim->settings.shortcode);
}

void body_put_reversal(struct sim *sim, uint32_t index, struct str *out)
{
    const struct reversal *reversal = &sim->book.reversals[index];
    char originator[BOOK_ID_BYTES];
    char conversation[BOOK_ID_BYTES];

    body_reversal_ids(sim, index, originator, conversation);
    str_puts(out, "{\"Result\":{\"ResultType\":0,\"ResultCode\":");
    result_put_code(out, (enum result)reversal->result, false);
    str_printf(out,
               ",\"ResultDesc\":\"%s\",\"OriginatorConversationID\":\"%s\",\"ConversationID\":"
               "\"%s\",\"TransactionID\":\"%s\"",
               result_words((enum result)reversal->result, false), originator, conversation,
               reversal->own_receipt);
    if (reversal->result == RESULT_PAID) {
        put_reversal_parameters(sim, reversal, out);
    }
    str_puts(out, ",\"ReferenceData\":{\"ReferenceItem\":{\"Key\":\"QueueTimeoutURL\",\"Value\":");
    quote_json(out, reversal->timeout_url, strlen(reversal->timeout_url));
    str_puts(out, "}}}}");
}
