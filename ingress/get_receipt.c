/*
 * GET /api/payments/{id}/receipt - of what was paid: as JSON, or as a page to print
 *
 * The page is for whoever asks for text/html before application/json, as browsers do. It holds no
 * script and fetches nothing. What was paid in another way, by hand or by another of its payments,
 * has the receipt of that.
 */
#include <stdio.h>
#include <string.h>

#include "payment_view.h"
#include "routes.h"
#include "slip.h"

struct paid {
    const struct payment *payment;
    const char *customer;
    const char *receipt; /* "" when only the provider's word is known */
    int64_t paid_ms, ends_ms;
    char phone[24];
};

static const struct db_statement find_paid = {
    "ingress_find_slip",
    "SELECT a.name, p.paid_at, s.ends_at,"
    "       (SELECT receipt FROM payment_receipts r"
    "         WHERE r.purchase_id = p.id AND r.status = 'credited'"
    "           AND r.receipt NOT LIKE '" PAYMENT_NO_RECEIPT "%' LIMIT 1)"
    "  FROM purchases p"
    "  JOIN accounts a ON a.id = p.account_id"
    "  LEFT JOIN subscriptions s ON s.account_id = p.account_id AND s.reference = p.reference"
    " WHERE p.id = $1",
    1,
};

/* "254712***678": enough for the payer to know it by. */
static void mask(int64_t msisdn, char out[24])
{
    size_t len = (size_t)snprintf(out, 24, "%lld", (long long)msisdn);

    if (len >= 9) {
        memset(out + len - 6, '*', 3);
    }
}

static bool fill_paid(struct request *req, struct paid *paid, struct err *err)
{
    AUTO_DB_RESULT struct db_result *found = NULL;

    if (!db_query(req->db, &find_paid, (struct db_value[]){ db_int8(paid->payment->purchase) },
                  &found, err)) {
        return false;
    }
    if (db_rows(found) == 0) {
        return err_permanent(err, "payment_unknown", "there is no such payment");
    }
    paid->customer = arena_strdup(req->arena, db_get_text(found, 0, 0));
    paid->paid_ms = db_get_time(found, 0, 1);
    paid->ends_ms = db_get_time(found, 0, 2);
    paid->receipt = payment_view_receipt(paid->payment);
    if (*paid->receipt == '\0' && !db_is_null(found, 0, 3)) {
        paid->receipt = arena_strdup(req->arena, db_get_text(found, 0, 3));
    }
    mask(paid->payment->msisdn, paid->phone);
    return true;
}

static void put_json(struct str *out, const struct paid *paid)
{
    const struct payment *payment = paid->payment;
    char id[ID_TEXT_BYTES];

    id_format("pay", payment->id, id);
    str_putc(out, '{');
    put_text(out, "payment", id);
    put_text(out, "reference", payment->reference);
    put_text(out, "customer", paid->customer);
    put_text(out, "plan", payment->plan);
    put_int(out, "tokens", payment->tokens);
    payment_view_put_amount(out, "amount", payment->amount_minor);
    put_text(out, "currency", payment->currency);
    put_text(out, "payment_method", payment->provider);
    put_text(out, "phone_number", paid->phone);
    put_text(out, "receipt", paid->receipt);
    put_time(out, "paid_at", paid->paid_ms);
    put_time(out, "valid_until", paid->ends_ms);
    str_putc(out, '}');
}

static void put_page(struct request *req, struct str *out, const struct paid *paid)
{
    const struct payment *payment = paid->payment;

    slip_begin(out);
    slip_row(out, "Customer", paid->customer);
    slip_row(out, "Reference", payment->reference);
    slip_row(out, "Plan", payment->plan);
    slip_row(out, "Tokens", arena_printf(req->arena, "%lld", (long long)payment->tokens));
    slip_row(out, "Amount",
             arena_printf(req->arena, "%s %lld.%02d", payment->currency,
                          (long long)(payment->amount_minor / 100),
                          (int)(payment->amount_minor % 100)));
    slip_row(out, "Paid with",
             arena_printf(req->arena, "%s, %s",
                          strcmp(payment->provider, PAYMENT_PROVIDER_MPESA) == 0
                              ? "M-Pesa"
                              : payment->provider,
                          paid->phone));
    slip_row(out, "Their receipt", paid->receipt);
    slip_time_row(out, "Paid at", paid->paid_ms);
    slip_time_row(out, "Valid until", paid->ends_ms);
    slip_end(out);
}

enum reply get_receipt(struct request *req)
{
    struct payment payment;
    struct paid paid = { .payment = &payment };
    enum reply reply = payment_view_find(req, &payment);
    struct err err;

    if (reply != REPLY_NONE) {
        return reply;
    }
    if (strcmp(payment.purchase_status, "paid") != 0) {
        return refuse(req, REPLY_CONFLICT, "not_paid", NULL, "there is no receipt: %s",
                      payment_view_message(&payment));
    }
    if (!fill_paid(req, &paid, &err)) {
        return refuse_err(req, &err);
    }
    if (slip_wanted(req)) {
        put_page(req, &req->body_out, &paid);
        req->type_out = slip_type;
    } else {
        put_json(&req->body_out, &paid);
    }
    return REPLY_OK;
}
