/*
 * POST /api/tokens/purchase - buy a plan
 * POST /api/payments/{id}/retry - try again to pay what was bought
 *
 * A free plan is had at once. Otherwise the purchase and its first payment are stored, and
 * settle-payment is told to ask the payer's phone. A request that is run again under its
 * Idempotency-Key goes on with what it made before: a payer is never asked twice for one purchase.
 */
#include <string.h>

#include "base/clock.h"
#include "idempotency.h"
#include "payment_view.h"
#include "plan/plan.h"
#include "provider/daraja.h"
#include "routes.h"
#include "rows.h"

#define WORD_MAX 40
#define RUNNING_MOST 20
#define LATEST_MOST 20
#define MINOR_PER_UNIT 100

/* M-Pesa refuses a phone that has a dialogue open, and asks for a minute in between. */
#define ASK_AGAIN_MS INT64_C(60000)

struct order {
    const char *package_type, *plan; /* two names of the same */
    const char *payment_method, *phone_number;
};

static const struct field order_fields[] = {
    FIELD_STR(struct order, package_type, 1, WORD_MAX, FIELD_OPTIONAL),
    FIELD_STR(struct order, plan, 1, WORD_MAX, FIELD_OPTIONAL),
    FIELD_STR(struct order, payment_method, 1, WORD_MAX, FIELD_OPTIONAL),
    FIELD_STR(struct order, phone_number, 1, WORD_MAX, FIELD_OPTIONAL),
    FIELD_END,
};

static const struct shape order_shape = {
    .type = "purchase",
    .size = sizeof(struct order),
    .fields = order_fields,
};

/* What is asked for, understood. */
struct wish {
    struct plan plan;
    const char *plan_field; /* as the caller named it */
    int64_t msisdn;         /* 0: a free plan */
};

static bool is_given(const char *text)
{
    return text != NULL && *text != '\0';
}

/* The refusal of an error about one field of the body. */
static enum reply refuse_field(struct request *req, const char *field, const struct err *err)
{
    struct err named;

    if (err->kind != ERR_PERMANENT || strncmp(err->what, "pg_", 3) == 0) {
        return refuse_err(req, err);
    }
    err_permanent(&named, err->what, "%s: %s", field, err->detail);
    return refuse_err(req, &named);
}

static bool read_order(struct request *req, struct order *order, struct err *err)
{
    static const char *const known[] = { "package_type", "plan", "payment_method", "phone_number" };
    const char *body = req->body.bytes != NULL ? req->body.bytes : "";

    if (!shape_read(&order_shape, body, req->body.len, order, req->arena, err) ||
        !json_check_members(body, req->body.len, known, sizeof(known) / sizeof(*known), err)) {
        return false;
    }
    if (!is_given(order->package_type) && !is_given(order->plan)) {
        return err_permanent(err, "no_plan", "package_type: missing; GET /api/plans lists them");
    }
    return !is_given(order->package_type) || !is_given(order->plan) ||
           strcmp(order->package_type, order->plan) == 0 ||
           err_permanent(err, "bad_field", "plan: it is not the same as package_type");
}

static enum reply read_payer(struct request *req, const struct order *order, struct wish *wish)
{
    struct err err;

    if (!is_given(order->payment_method)) {
        return refuse(req, REPLY_UNPROCESSABLE, "no_payment_method", "payment_method",
                      "missing; there is mpesa");
    }
    if (strcmp(order->payment_method, PAYMENT_PROVIDER_MPESA) != 0) {
        return refuse(req, REPLY_UNPROCESSABLE, "payment_method_unknown", "payment_method",
                      "there is only mpesa");
    }
    if (!is_given(order->phone_number)) {
        return refuse(req, REPLY_UNPROCESSABLE, "no_phone", "phone_number", "missing");
    }
    if (!daraja_msisdn_parse(order->phone_number, strlen(order->phone_number), &wish->msisdn,
                             &err)) {
        return refuse_field(req, "phone_number", &err);
    }
    if (strcmp(wish->plan.currency, "KES") != 0 || wish->plan.price_minor % MINOR_PER_UNIT != 0) {
        return refuse(req, REPLY_UNPROCESSABLE, "price_not_payable", wish->plan_field,
                      "M-Pesa takes whole shillings, which its price is not");
    }
    return REPLY_NONE;
}

static enum reply read_wish(struct request *req, struct wish *wish)
{
    struct order order;
    struct err err;

    if (!read_order(req, &order, &err)) {
        return refuse_err(req, &err);
    }
    const bool seeds_name = is_given(order.package_type);
    *wish = (struct wish){ .plan_field = seeds_name ? "package_type" : "plan" };
    if (!plan_find(req->db, seeds_name ? order.package_type : order.plan, req->arena, &wish->plan,
                   &err)) {
        return refuse_field(req, wish->plan_field, &err);
    }
    return wish->plan.price_minor > 0 ? read_payer(req, &order, wish) : REPLY_NONE;
}

/* 200: it is the account's already. */
static enum reply answer_paid(struct request *req, const struct purchase *purchase)
{
    struct str *out = &req->body_out;
    struct subscription *running;
    char id[ID_TEXT_BYTES];
    struct err err;
    size_t count, i = 0;

    if (!plan_subscriptions(req->db, req->caller.account_id, clock_now_ms(), RUNNING_MOST,
                            req->arena, &running, &count, &err)) {
        return refuse_err(req, &err);
    }
    while (i < count && strcmp(running[i].reference, purchase->reference) != 0) {
        i++;
    }
    id_format("pur", purchase->id, id);
    str_putc(out, '{');
    put_text(out, "purchase", id);
    put_text(out, "purchase_status", purchase->status);
    put_text(out, "reference", purchase->reference);
    put_text(out, "plan", purchase->plan);
    put_int(out, "tokens", purchase->tokens);
    payment_view_put_amount(out, "amount", purchase->amount_minor);
    put_text(out, "currency", purchase->currency);
    str_puts(out, ",\"subscription\":");
    if (i < count) {
        payment_view_put_subscription(out, &running[i]);
    } else {
        str_puts(out, "null"); /* it has ended since */
    }
    str_putc(out, '}');
    return REPLY_OK;
}

/* One purchase of an account at a time, so that a double click finds the first. */
static const struct db_statement lock_account = {
    "ingress_lock_account",
    "SELECT FROM accounts WHERE id = $1 FOR UPDATE",
    1,
};

static enum reply refuse_soon(struct request *req, int64_t wait_ms)
{
    req->retry_after_s = (long)((wait_ms + 999) / 1000);
    return refuse(req, REPLY_TOO_MANY, "asked_just_now", NULL,
                  "this phone was asked less than a minute ago; wait %ld s", req->retry_after_s);
}

/* How long until the phone may be asked for another purchase; 0: now. */
static bool check_phone(struct request *req, int64_t msisdn, int64_t now_ms, int64_t *out_wait_ms,
                        struct err *err)
{
    struct payment *latest;
    size_t count;

    *out_wait_ms = 0;
    if (!payment_list(req->db, req->caller.account_id, 0, NULL, 0, LATEST_MOST, req->arena, &latest,
                      &count, err)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        int64_t wait_ms = latest[i].created_ms + ASK_AGAIN_MS - now_ms;
        if (latest[i].msisdn == msisdn && !payment_view_is_final(&latest[i]) &&
            wait_ms > *out_wait_ms) {
            *out_wait_ms = wait_ms;
        }
    }
    return true;
}

static bool note(struct request *req, const char *kind, int64_t id, struct err *err)
{
    char text[ID_TEXT_BYTES];

    id_format(kind, id, text);
    return idempotency_note(req, text, err);
}

/* What an earlier run under the same key made. */
static enum reply go_on(struct request *req, const char *noted)
{
    struct purchase purchase;
    struct payment payment;
    struct err err;
    int64_t id;

    if (id_parse("pur", noted, &id)) {
        return purchase_find(req->db, req->caller.account_id, id, req->arena, &purchase, &err)
                   ? answer_paid(req, &purchase)
                   : refuse_err(req, &err);
    }
    if (!id_parse("pay", noted, &id) ||
        !payment_find(req->db, req->caller.account_id, id, req->arena, &payment, &err)) {
        return refuse(req, REPLY_INTERNAL, "bad_note", NULL,
                      "what the first request made cannot be found");
    }
    return payment_view_request(req, &payment);
}

/* Makes the rows. REPLY_NONE when they are committed. */
static enum reply buy(struct request *req, const struct wish *wish, struct purchase *purchase,
                      struct payment *payment)
{
    const int64_t now_ms = clock_now_ms();
    const int64_t account = req->caller.account_id;
    int64_t wait_ms = 0;
    struct err err;

    if (!db_begin(req->db, &err) ||
        !db_run(req->db, &lock_account, (struct db_value[]){ db_int8(account) }, NULL, &err) ||
        (wish->msisdn != 0 && !check_phone(req, wish->msisdn, now_ms, &wait_ms, &err))) {
        db_rollback(req->db);
        return refuse_err(req, &err);
    }
    if (wait_ms > 0) {
        db_rollback(req->db);
        return refuse_soon(req, wait_ms);
    }
    if (!purchase_create(req->db, account, wish->plan.code, now_ms, req->arena, purchase, &err)) {
        db_rollback(req->db);
        return refuse_field(req, wish->plan_field, &err);
    }
    const bool paid = strcmp(purchase->status, "paid") == 0;
    if (!(paid ||
          payment_create(req->db, purchase, wish->msisdn, now_ms, req->arena, payment, &err)) ||
        !note(req, paid ? "pur" : "pay", paid ? purchase->id : payment->id, &err) ||
        !db_commit(req->db, &err)) {
        db_rollback(req->db);
        return refuse_err(req, &err);
    }
    return REPLY_NONE;
}

enum reply post_purchase(struct request *req)
{
    struct purchase purchase = { .status = "" };
    struct payment payment = { 0 };
    struct wish wish = { 0 };
    const char *noted;
    enum reply reply;
    struct err err;

    if (!idempotency_noted(req, &noted, &err)) {
        return refuse_err(req, &err);
    }
    if (noted != NULL) {
        return go_on(req, noted);
    }
    if ((reply = read_wish(req, &wish)) != REPLY_NONE) {
        return reply;
    }
    if (wish.msisdn != 0 && !publish_is_ready(req->app->publisher)) {
        publish_fail(PUBLISH_AWAY, &err);
        return refuse_err(req, &err);
    }
    if ((reply = buy(req, &wish, &purchase, &payment)) != REPLY_NONE) {
        return reply;
    }
    return strcmp(purchase.status, "paid") == 0 ? answer_paid(req, &purchase)
                                                : payment_view_request(req, &payment);
}

/* REPLY_NONE when *again is committed. */
static enum reply try_again(struct request *req, const struct payment *before,
                            struct payment *again)
{
    const int64_t now_ms = clock_now_ms();
    struct payment *latest;
    struct purchase purchase;
    struct err err;
    size_t count;

    if (!db_begin(req->db, &err) ||
        !purchase_find(req->db, req->caller.account_id, before->purchase, req->arena, &purchase,
                       &err) ||
        !payment_list(req->db, req->caller.account_id, purchase.id, NULL, 0, 1, req->arena, &latest,
                      &count, &err)) {
        db_rollback(req->db);
        return refuse_err(req, &err);
    }
    const int64_t wait_ms = count > 0 ? latest->pushed_ms + ASK_AGAIN_MS - now_ms : 0;
    if (wait_ms > 0 && payment_view_is_final(latest) && strcmp(purchase.status, "open") == 0) {
        db_rollback(req->db);
        return refuse_soon(req, wait_ms);
    }
    if (!payment_create(req->db, &purchase, before->msisdn, now_ms, req->arena, again, &err) ||
        !note(req, "pay", again->id, &err) || !db_commit(req->db, &err)) {
        db_rollback(req->db);
        return refuse_err(req, &err);
    }
    return REPLY_NONE;
}

enum reply post_retry(struct request *req)
{
    struct payment before = { 0 }, again = { 0 };
    const char *noted;
    enum reply reply;
    struct err err;

    if (!idempotency_noted(req, &noted, &err)) {
        return refuse_err(req, &err);
    }
    if (noted != NULL) {
        return go_on(req, noted);
    }
    if ((reply = payment_view_find(req, &before)) != REPLY_NONE) {
        return reply;
    }
    if (!publish_is_ready(req->app->publisher)) {
        publish_fail(PUBLISH_AWAY, &err);
        return refuse_err(req, &err);
    }
    reply = try_again(req, &before, &again);
    return reply == REPLY_NONE ? payment_view_request(req, &again) : reply;
}
