/*
 * daraja_callback - what M-Pesa posts to us
 */
#include "provider/daraja_callback.h"

#include <string.h>

#include "base/str.h"
#include "provider/daraja.h"
#include "provider/daraja_parts.h"

#define RECEIPT_BYTES_MAX 20 /* ten in all samples */

static bool refuse(struct err *err, const char *path, const struct loose *node, const char *wanted)
{
    return err_permanent(err, "bad_field", "%s: is %s, must be %s", path, loose_kind_name(node),
                         wanted);
}

/* A receipt in capitals, or NULL when it is none: as a key it must not come in two spellings. */
static const char *read_receipt(const char *text, struct arena *arena)
{
    char *receipt = arena_strdup(arena, text);
    size_t len = 0;

    for (; receipt[len] != '\0'; len++) {
        if (receipt[len] >= 'a' && receipt[len] <= 'z') {
            receipt[len] = (char)(receipt[len] - 'a' + 'A');
        }
        bool plain = (receipt[len] >= 'A' && receipt[len] <= 'Z') ||
                     (receipt[len] >= '0' && receipt[len] <= '9');
        if (!plain) {
            return NULL;
        }
    }
    return len >= 1 && len <= RECEIPT_BYTES_MAX ? receipt : NULL;
}

/*
 * The value of the item so named; NULL when there is none or it has none, as Balance. Of two with
 * the same name neither is believed: out_twice says so.
 */
static const struct loose *find_item(const struct loose *items, const char *key_name,
                                     const char *name, bool *out_twice)
{
    const struct loose *found = NULL;
    size_t count = 0;

    if (items != NULL && items->kind == LOOSE_LIST) {
        for (size_t i = 0; i < items->count; i++) {
            if (strcmp(daraja_text(&items->items[i], key_name), name) == 0) {
                found = loose_member(&items->items[i], "Value");
                count++;
            }
        }
    } else if (strcmp(daraja_text(items, key_name), name) == 0) {
        found = loose_member(items, "Value"); /* a list of one that lost its brackets */
    }
    *out_twice = count > 1;
    return found;
}

static void set_odd(struct daraja_callback *out, const char *why)
{
    if (out->odd == NULL) {
        out->odd = why;
    }
}

static void read_amount(const struct loose *items, struct daraja_callback *out)
{
    bool twice;
    const char *text = loose_text(find_item(items, "Name", "Amount", &twice));

    if (twice) {
        set_odd(out, "amount_twice");
    } else if (text == NULL) {
        set_odd(out, "amount_missing");
    } else if (!daraja_amount_parse(text, &out->amount_minor)) {
        set_odd(out, "amount_unreadable");
    } else if (out->amount_minor == 0) {
        set_odd(out, "amount_zero");
    }
}

static void read_stk_receipt(const struct loose *items, struct daraja_callback *out,
                             struct arena *arena)
{
    bool twice;
    const char *text = loose_text(find_item(items, "Name", "MpesaReceiptNumber", &twice));

    if (twice) {
        set_odd(out, "receipt_twice");
    } else if (text == NULL || text[0] == '\0') {
        set_odd(out, "receipt_missing");
    } else {
        const char *receipt = read_receipt(text, arena);
        if (receipt == NULL) {
            set_odd(out, "receipt_unreadable");
        } else {
            out->receipt = receipt;
        }
    }
}

/* Time and phone are no evidence for anything: odd ones are left out. */
static void read_metadata(const struct loose *items, struct daraja_callback *out,
                          struct arena *arena)
{
    bool twice;

    read_amount(items, out);
    read_stk_receipt(items, out, arena);
    const char *paid = loose_text(find_item(items, "Name", "TransactionDate", &twice));
    if (!twice && paid != NULL && !daraja_time_parse(paid, &out->paid_ms)) {
        out->paid_ms = 0;
    }
    const char *phone = loose_text(find_item(items, "Name", "PhoneNumber", &twice));
    if (!twice && phone != NULL &&
        (!str_parse_int(phone, 1, INT64_MAX, &out->msisdn) || !daraja_is_msisdn(out->msisdn))) {
        out->msisdn = 0;
    }
}

bool daraja_callback_read(const char *body, size_t len, struct daraja_callback *out,
                          struct arena *arena, struct err *err)
{
    const struct loose *root;

    if (!daraja_body_read(body, len, &root, arena, err)) {
        return false;
    }
    const struct loose *stk = loose_member(loose_member(root, "Body"), "stkCallback");
    if (stk == NULL || stk->kind != LOOSE_OBJECT) {
        return refuse(err, "Body.stkCallback", stk, "an object");
    }
    const struct loose *checkout = loose_member(stk, "CheckoutRequestID");
    if (loose_text(checkout) == NULL || !daraja_is_id(checkout->text)) {
        return refuse(err, "Body.stkCallback.CheckoutRequestID", checkout, "an id");
    }
    const struct loose *code = loose_member(stk, "ResultCode");
    if (loose_text(code) == NULL || !daraja_is_id(code->text)) {
        return refuse(err, "Body.stkCallback.ResultCode", code, "a code");
    }
    const char *merchant = daraja_text(stk, "MerchantRequestID");
    struct daraja_callback callback = {
        .merchant_request_id = daraja_is_id(merchant) ? merchant : "",
        .checkout_request_id = checkout->text,
        .code = code->text,
        .result = daraja_stk_result(code->text),
        .description = daraja_text(stk, "ResultDesc"),
        .amount_minor = -1,
        .receipt = "",
    };
    if (callback.result->state == DARAJA_PAID) {
        read_metadata(loose_member(loose_member(stk, "CallbackMetadata"), "Item"), &callback,
                      arena);
    }
    *out = callback;
    return true;
}

bool daraja_c2b_read(const char *body, size_t len, struct daraja_c2b *out, struct arena *arena,
                     struct err *err)
{
    const struct loose *root;

    if (!daraja_body_read(body, len, &root, arena, err)) {
        return false;
    }
    struct daraja_c2b c2b = {
        .type = daraja_text(root, "TransactionType"),
        .shortcode = daraja_text(root, "BusinessShortCode"),
        .reference = daraja_text(root, "BillRefNumber"),
        .invoice = daraja_text(root, "InvoiceNumber"),
        .third_party_id = daraja_text(root, "ThirdPartyTransID"),
        .msisdn = daraja_text(root, "MSISDN"),
        .first_name = daraja_text(root, "FirstName"),
        .middle_name = daraja_text(root, "MiddleName"),
        .last_name = daraja_text(root, "LastName"),
    };
    const struct loose *receipt = loose_member(root, "TransID");
    c2b.receipt = loose_text(receipt) != NULL ? read_receipt(receipt->text, arena) : NULL;
    if (c2b.receipt == NULL) {
        return refuse(err, "TransID", receipt, "letters and digits");
    }
    const struct loose *amount = loose_member(root, "TransAmount");
    if (loose_text(amount) == NULL || !daraja_amount_parse(amount->text, &c2b.amount_minor) ||
        c2b.amount_minor == 0) {
        return refuse(err, "TransAmount", amount, "an amount above zero such as 5.00");
    }
    if (!daraja_time_parse(daraja_text(root, "TransTime"), &c2b.paid_ms)) {
        c2b.paid_ms = 0;
    }
    *out = c2b;
    return true;
}

const char *daraja_validation_answer(enum daraja_validation validation)
{
    static const char *const answers[] = {
        [DARAJA_VALID] = "{\"ResultCode\":\"0\",\"ResultDesc\":\"Accepted\"}",
        [DARAJA_BAD_ACCOUNT] = "{\"ResultCode\":\"C2B00012\",\"ResultDesc\":\"Rejected\"}",
        [DARAJA_BAD_AMOUNT] = "{\"ResultCode\":\"C2B00013\",\"ResultDesc\":\"Rejected\"}",
        [DARAJA_BAD_SHORTCODE] = "{\"ResultCode\":\"C2B00015\",\"ResultDesc\":\"Rejected\"}",
        [DARAJA_BAD_OTHER] = "{\"ResultCode\":\"C2B00016\",\"ResultDesc\":\"Rejected\"}",
    };

    return answers[validation];
}

/* Codes of a reversal; several mean another thing than for an STK push. */
static const struct reversal_code {
    const char *code;
    enum daraja_reversal_state state;
    const char *reason;
} reversal_codes[] = {
    { "0", DARAJA_REVERSAL_DONE, "done" },
    { "1", DARAJA_REVERSAL_FAILED, "insufficient_funds" },
    { "11", DARAJA_REVERSAL_FAILED, "debit_party_invalid" },
    { "21", DARAJA_REVERSAL_FAILED, "initiator_not_allowed" },
    { "2001", DARAJA_REVERSAL_FAILED, "initiator_invalid" },
    { "2006", DARAJA_REVERSAL_FAILED, "declined_by_rule" },
    { "2028", DARAJA_REVERSAL_FAILED, "not_permitted" },
    { "8006", DARAJA_REVERSAL_FAILED, "credential_locked" },
    { "R000001", DARAJA_REVERSAL_FAILED, "already_reversed" },
    { "R000002", DARAJA_REVERSAL_FAILED, "payment_unknown" },
};

static void judge_reversal(struct daraja_reversal_result *out)
{
    out->state = DARAJA_REVERSAL_UNDECIDED;
    out->reason = "unknown_result";
    for (size_t i = 0; i < sizeof(reversal_codes) / sizeof(reversal_codes[0]); i++) {
        if (strcmp(reversal_codes[i].code, out->code) == 0) {
            out->state = reversal_codes[i].state;
            out->reason = reversal_codes[i].reason;
        }
    }
}

bool daraja_reversal_result_read(const char *body, size_t len, struct daraja_reversal_result *out,
                                 struct arena *arena, struct err *err)
{
    const struct loose *root;
    bool twice;

    if (!daraja_body_read(body, len, &root, arena, err)) {
        return false;
    }
    const struct loose *result = loose_member(root, "Result");
    if (result == NULL || result->kind != LOOSE_OBJECT) {
        return refuse(err, "Result", result, "an object");
    }
    const char *originator = daraja_text(result, "OriginatorConversationID");
    const char *conversation = daraja_text(result, "ConversationID");
    originator = daraja_is_id(originator) ? originator : "";
    conversation = daraja_is_id(conversation) ? conversation : "";
    if (originator[0] == '\0' && conversation[0] == '\0') {
        return err_permanent(err, "bad_field", "Result: names no conversation");
    }
    const struct loose *code = loose_member(result, "ResultCode");
    if (loose_text(code) == NULL || !daraja_is_id(code->text)) {
        return refuse(err, "Result.ResultCode", code, "a code");
    }
    const struct loose *items =
        loose_member(loose_member(result, "ResultParameters"), "ResultParameter");
    const char *original = loose_text(find_item(items, "Key", "OriginalTransactionID", &twice));
    original = original != NULL && !twice ? read_receipt(original, arena) : NULL;
    const char *transaction = read_receipt(daraja_text(result, "TransactionID"), arena);
    struct daraja_reversal_result reversal = {
        .code = code->text,
        .description = daraja_text(result, "ResultDesc"),
        .originator_conversation_id = originator,
        .conversation_id = conversation,
        .transaction_id = transaction != NULL ? transaction : "",
        .original_id = original != NULL ? original : "",
        .amount_minor = -1,
    };
    const char *amount = loose_text(find_item(items, "Key", "Amount", &twice));
    if (amount == NULL || twice || !daraja_amount_parse(amount, &reversal.amount_minor)) {
        reversal.amount_minor = -1;
    }
    judge_reversal(&reversal);
    *out = reversal;
    return true;
}
