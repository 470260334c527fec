/*
 * GET /api/payments/{id}/receipt - of what was paid: as JSON, or as a page to print
 *
 * The page is for whoever asks for text/html before application/json, as browsers do. It holds no
 * script and fetches nothing. What was paid in another way, by hand or by another of its payments,
 * has the receipt of that.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "payment_view.h"
#include "routes.h"

struct slip {
    const struct payment *payment;
    const char *customer;
    const char *receipt; /* "" when only the provider's word is known */
    int64_t paid_ms, ends_ms;
    char phone[24];
};

static const struct db_statement find_slip = {
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

static bool fill_slip(struct request *req, struct slip *slip, struct err *err)
{
    AUTO_DB_RESULT struct db_result *found = NULL;

    if (!db_query(req->db, &find_slip, (struct db_value[]){ db_int8(slip->payment->purchase) },
                  &found, err)) {
        return false;
    }
    if (db_rows(found) == 0) {
        return err_permanent(err, "payment_unknown", "there is no such payment");
    }
    slip->customer = arena_strdup(req->arena, db_get_text(found, 0, 0));
    slip->paid_ms = db_get_time(found, 0, 1);
    slip->ends_ms = db_get_time(found, 0, 2);
    slip->receipt = payment_view_receipt(slip->payment);
    if (*slip->receipt == '\0' && !db_is_null(found, 0, 3)) {
        slip->receipt = arena_strdup(req->arena, db_get_text(found, 0, 3));
    }
    mask(slip->payment->msisdn, slip->phone);
    return true;
}

static void put_json(struct str *out, const struct slip *slip)
{
    const struct payment *payment = slip->payment;
    char id[ID_TEXT_BYTES];

    id_format("pay", payment->id, id);
    str_putc(out, '{');
    put_text(out, "payment", id);
    put_text(out, "reference", payment->reference);
    put_text(out, "customer", slip->customer);
    put_text(out, "plan", payment->plan);
    put_int(out, "tokens", payment->tokens);
    payment_view_put_amount(out, "amount", payment->amount_minor);
    put_text(out, "currency", payment->currency);
    put_text(out, "payment_method", payment->provider);
    put_text(out, "phone_number", slip->phone);
    put_text(out, "receipt", slip->receipt);
    put_time(out, "paid_at", slip->paid_ms);
    put_time(out, "valid_until", slip->ends_ms);
    str_putc(out, '}');
}

static void put_escaped(struct str *out, const char *text)
{
    for (; *text != '\0'; text++) {
        switch (*text) {
        case '&':
            str_puts(out, "&amp;");
            break;
        case '<':
            str_puts(out, "&lt;");
            break;
        case '>':
            str_puts(out, "&gt;");
            break;
        case '"':
            str_puts(out, "&quot;");
            break;
        case '\'':
            str_puts(out, "&#39;");
            break;
        default:
            str_putc(out, *text);
        }
    }
}

static void put_row(struct str *out, const char *name, const char *text)
{
    str_printf(out, "<tr><th scope=\"row\">%s</th><td>", name);
    put_escaped(out, *text != '\0' ? text : "–");
    str_puts(out, "</td></tr>\n");
}

static void put_time_row(struct str *out, const char *name, int64_t ms)
{
    char text[CLOCK_RFC3339_BYTES] = "";

    if (ms != 0) {
        clock_format(ms, text);
    }
    put_row(out, name, text);
}

static const char page_head[] =
    "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width\">\n<title>Receipt</title>\n<style>\n"
    "body { font: 16px/1.5 sans-serif; max-width: 34em; margin: 2em auto; padding: 0 1em }\n"
    "table { border-collapse: collapse; width: 100% }\n"
    "th, td { text-align: left; padding: .4em .6em; border-bottom: 1px solid #bbb }\n"
    "th { font-weight: normal; color: #555; width: 11em }\n"
    "@media print { body { margin: 0 } }\n</style>\n</head>\n<body>\n<h1>Receipt</h1>\n<table>\n";

static void put_page(struct request *req, struct str *out, const struct slip *slip)
{
    const struct payment *payment = slip->payment;

    str_puts(out, page_head);
    put_row(out, "Customer", slip->customer);
    put_row(out, "Reference", payment->reference);
    put_row(out, "Plan", payment->plan);
    put_row(out, "Tokens", arena_printf(req->arena, "%lld", (long long)payment->tokens));
    put_row(out, "Amount",
            arena_printf(req->arena, "%s %lld.%02d", payment->currency,
                         (long long)(payment->amount_minor / 100),
                         (int)(payment->amount_minor % 100)));
    put_row(out, "Paid with",
            arena_printf(req->arena, "%s, %s",
                         strcmp(payment->provider, PAYMENT_PROVIDER_MPESA) == 0 ? "M-Pesa"
                                                                                : payment->provider,
                         slip->phone));
    put_row(out, "Their receipt", slip->receipt);
    put_time_row(out, "Paid at", slip->paid_ms);
    put_time_row(out, "Valid until", slip->ends_ms);
    str_puts(out, "</table>\n</body>\n</html>\n");
}

static bool wants_page(const char *accept)
{
    const char *html = accept != NULL ? strstr(accept, "text/html") : NULL;
    const char *json = accept != NULL ? strstr(accept, "application/json") : NULL;

    return html != NULL && (json == NULL || html < json);
}

enum reply get_receipt(struct request *req)
{
    struct payment payment;
    struct slip slip = { .payment = &payment };
    enum reply reply = payment_view_find(req, &payment);
    struct err err;

    if (reply != REPLY_NONE) {
        return reply;
    }
    if (strcmp(payment.purchase_status, "paid") != 0) {
        return refuse(req, REPLY_CONFLICT, "not_paid", NULL, "there is no receipt: %s",
                      payment_view_message(&payment));
    }
    if (!fill_slip(req, &slip, &err)) {
        return refuse_err(req, &err);
    }
    if (wants_page(req->accept)) {
        put_page(req, &req->body_out, &slip);
        req->type_out = "text/html; charset=utf-8";
    } else {
        put_json(&req->body_out, &slip);
    }
    return REPLY_OK;
}
