#include "payment_view.h"

#include <stdio.h>
#include <string.h>

#include "msg/payment.h"
#include "routes.h"

/* Rows of one status: those with a reason come before the one for all others. */
static const struct {
    const char *status, *reason, *message;
} messages[] = {
    { "requested", NULL, "your phone is about to be asked" },
    { "pushing", NULL, "your phone is about to be asked" },
    { "push_unknown", NULL, "checking: M-Pesa has not said yet whether your phone was asked" },
    { "prompted", "paid_receipt_awaited", "paid, checking" },
    { "prompted", NULL, "enter your PIN on your phone" },
    { "unresolved", "amount_differs", "paid, checking: it is another amount than asked" },
    { "unresolved", NULL, "checking: M-Pesa has not said yet whether it was paid" },
    { "failed", "cancelled", "not paid: it was cancelled on the phone" },
    { "failed", "wrong_pin", "not paid: the PIN was wrong" },
    { "failed", "insufficient_funds",
      "not paid: there is too little money on the phone's account" },
    { "failed", "no_answer", "not paid: the phone could not be reached, or nobody answered" },
    { "failed", "expired", "not paid: nobody answered in time" },
    { "failed", NULL, "not paid" },
    { "paid", NULL, "paid" },
    { "reversed", NULL, "paid back" },
};

static bool is_bought(const struct payment *payment)
{
    return strcmp(payment->purchase_status, "paid") == 0;
}

/* While nobody knows, the detail is what M-Pesa's firewall said to us. */
static bool is_for_payers(const struct payment *payment)
{
    return strcmp(payment->status, "requested") != 0 &&
           strcmp(payment->status, "push_unknown") != 0;
}

const char *payment_view_message(const struct payment *payment)
{
    if (is_bought(payment) && strcmp(payment->status, "paid") != 0) {
        return "what it was for is paid";
    }
    for (size_t i = 0; i < sizeof(messages) / sizeof(*messages); i++) {
        if (strcmp(messages[i].status, payment->status) == 0 &&
            (messages[i].reason == NULL || strcmp(messages[i].reason, payment->reason) == 0)) {
            return messages[i].message;
        }
    }
    return "checking";
}

bool payment_view_is_final(const struct payment *payment)
{
    return is_bought(payment) || strcmp(payment->status, "paid") == 0 ||
           strcmp(payment->status, "reversed") == 0 || strcmp(payment->status, "failed") == 0 ||
           strcmp(payment->status, "unresolved") == 0;
}

const char *payment_view_receipt(const struct payment *payment)
{
    return strncmp(payment->receipt, PAYMENT_NO_RECEIPT, sizeof(PAYMENT_NO_RECEIPT) - 1) == 0
               ? ""
               : payment->receipt;
}

void payment_view_put_amount(struct str *out, const char *name, int64_t minor)
{
    str_printf(out, ",\"%s\":\"%lld.%02d\"", name, (long long)(minor / 100), (int)(minor % 100));
}

static void put_flag(struct str *out, const char *name, bool flag)
{
    str_printf(out, ",\"%s\":%s", name, flag ? "true" : "false");
}

static void put_link(struct str *out, const char *name, const char *base, const char *id,
                     const char *tail)
{
    struct str link = { 0 };

    str_printf(&link, "%s/api/payments/%s%s", base, id, tail);
    put_text(out, name, link.bytes);
    str_free(&link);
}

void payment_view_put(struct str *out, const char *base, const struct payment *payment)
{
    const bool final = payment_view_is_final(payment);
    char id[ID_TEXT_BYTES], purchase[ID_TEXT_BYTES];
    char phone[24];

    id_format("pay", payment->id, id);
    id_format("pur", payment->purchase, purchase);
    snprintf(phone, sizeof(phone), "%lld", (long long)payment->msisdn);
    str_putc(out, '{');
    put_text(out, "id", id);
    put_text(out, "purchase", purchase);
    put_text(out, "purchase_status", payment->purchase_status);
    put_text(out, "reference", payment->reference);
    put_text(out, "plan", payment->plan);
    put_int(out, "tokens", payment->tokens);
    payment_view_put_amount(out, "amount", payment->amount_minor);
    put_text(out, "currency", payment->currency);
    put_text(out, "payment_method", payment->provider);
    put_text(out, "phone_number", phone);
    put_text(out, "status", payment->status);
    put_text(out, "message", payment_view_message(payment));
    put_text(out, "reason", payment->reason);
    put_text(out, "detail", is_for_payers(payment) ? payment->detail : "");
    put_text(out, "receipt", payment_view_receipt(payment));
    put_flag(out, "final", final);
    put_flag(out, "may_retry", final && strcmp(payment->purchase_status, "open") == 0);
    put_time(out, "created_at", payment->created_ms);
    put_time(out, "asked_at", payment->pushed_ms);
    put_time(out, "ended_at", payment->ended_ms);
    put_link(out, "status_url", base, id, "");
    put_link(out, "events_url", base, id, "/events");
    str_putc(out, '}');
}

void payment_view_put_subscription(struct str *out, const struct subscription *subscription)
{
    str_putc(out, '{');
    put_text(out, "plan", subscription->plan);
    put_text(out, "reference", subscription->reference);
    put_int(out, "tokens", subscription->tokens);
    put_time(out, "starts_at", subscription->starts_ms);
    put_time(out, "ends_at", subscription->ends_ms);
    str_putc(out, '}');
}

enum reply payment_view_find(struct request *req, struct payment *out_payment)
{
    struct err err;
    int64_t id;

    if (req->id == NULL || !id_parse("pay", req->id, &id)) {
        return refuse(req, REPLY_NOT_FOUND, "payment_unknown", "id", "there is no such payment");
    }
    if (!payment_find(req->db, req->caller.account_id, id, req->arena, out_payment, &err)) {
        return refuse_err(req, &err);
    }
    return REPLY_NONE;
}

enum reply payment_view_request(struct request *req, const struct payment *payment)
{
    char id[ID_TEXT_BYTES];
    struct payment_requested requested = { .payment = id };
    struct str body = { 0 };
    struct err err;

    id_format("pay", payment->id, id);
    shape_write(&payment_requested_v1, &requested, &body);
    struct parcel parcel = {
        .shape = &payment_requested_v1,
        .lane = LANE_HIGH, /* a person waits with a phone in hand */
        .account = req->caller.account,
        .trace = req->trace,
        .body = body.bytes,
        .body_len = body.len,
    };
    publish_id(id, payment_requested_v1.type, 0, parcel.id);
    bool told = strcmp(payment->status, "requested") != 0 ||
                publish_all(req->app->publisher, &parcel, 1, &err);
    str_free(&body);
    if (!told) {
        return refuse_err(req, &err);
    }
    payment_view_put(&req->body_out, req->app->settings->public_url, payment);
    return REPLY_ACCEPTED;
}
