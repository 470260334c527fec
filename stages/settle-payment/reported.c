/*
 * reported - what M-Pesa posted to us, kept as it came and settled
 *
 * Nothing of it is signed. An STK callback is believed when it came to the address that only its
 * payment has; one that came elsewhere and names a payment is a reason to ask M-Pesa, no more. A
 * confirmation is believed when it came to the address registered for confirmations.
 */
#include <string.h>

#include "base/id.h"
#include "crypto/crypto.h"
#include "provider/daraja_callback.h"
#include "settle.h"

/* A message in hand, and what is made of it. */
struct report {
    struct stage *stage;
    const struct payment_reported *told;
    const char *raw;
    const char *secret;
    const char *verdict;
    const char *detail;
    struct payment payment; /* id 0: nobody's */
    int64_t changed;        /* the payment of which is to be told; 0: none */
};

static bool conclude(struct report *report, const char *verdict, const char *detail)
{
    report->verdict = verdict;
    report->detail = detail;
    return true;
}

static const struct db_statement find_by_secret = {
    "reported_find_by_secret",
    "SELECT id FROM payments WHERE secret_hash = $1",
    1,
};
static const struct db_statement find_by_checkout = {
    "reported_find_by_checkout",
    "SELECT id FROM payments WHERE checkout_request = $1",
    1,
};

/* payment.id stays 0 when there is none. */
static bool find_payment(struct report *report, const struct db_statement *how, struct db_value key,
                         struct err *err)
{
    AUTO_DB_RESULT struct db_result *rows = NULL;
    struct db *db = stage_db(report->stage);

    if (!db_query(db, how, &key, &rows, err)) {
        return false;
    }
    return db_rows(rows) == 0 || payment_find(db, 0, db_get_int(rows, 0, 0),
                                              stage_arena(report->stage), &report->payment, err);
}

static const struct db_statement ask_soon = {
    "reported_ask_soon",
    "UPDATE payments SET next_query_at = least(next_query_at, $2)"
    " WHERE id = $1 AND status = 'prompted' AND checkout_request IS NOT NULL"
    "   AND reason IS DISTINCT FROM '" AWAITING_RECEIPT "'",
    2,
};

/* It may be true, and M-Pesa is asked whether it is. */
static bool ask(struct report *report, const char *verdict, const char *detail, struct err *err)
{
    return conclude(report, verdict, detail) &&
           db_run(stage_db(report->stage), &ask_soon,
                  (struct db_value[]){ db_int8(report->payment.id),
                                       db_time(stage_now_ms(report->stage)) },
                  NULL, err);
}

static const struct db_statement name_payment = {
    "reported_name_payment",
    "UPDATE payments SET checkout_request = $2, merchant_request = $3"
    " WHERE id = $1 AND checkout_request IS NULL",
    3,
};

/* The push's answer was lost or is not here yet. */
static bool name(struct report *report, const struct daraja_callback *callback, struct err *err)
{
    return db_run(stage_db(report->stage), &name_payment,
                  (struct db_value[]){ db_int8(report->payment.id),
                                       db_text(callback->checkout_request_id),
                                       db_text(callback->merchant_request_id) },
                  NULL, err);
}

static bool settle(struct report *report, const struct payment_money *money, struct err *err)
{
    struct payment_outcome outcome;
    struct stage *stage = report->stage;

    if (!payment_settle(stage_db(stage), money, stage_now_ms(stage), stage_arena(stage), &outcome,
                        err)) {
        return false;
    }
    report->changed = outcome.payment;
    if (outcome.settled == PAYMENT_UNMATCHED || outcome.settled == PAYMENT_DIFFERS) {
        log_warn(stage_log(stage), "money_not_credited", KV_STR("receipt", money->receipt),
                 KV_STR("status", payment_settled_word(outcome.settled)),
                 KV_STR("why", outcome.why));
    }
    return conclude(report,
                    outcome.settled == PAYMENT_CREDITED ? "settled"
                                                        : payment_settled_word(outcome.settled),
                    outcome.why);
}

static bool settle_push(struct report *report, const struct daraja_callback *callback,
                        struct err *err)
{
    if (callback->odd != NULL) {
        return ask(report, "odd", callback->odd, err);
    }
    return settle(report,
                  &(struct payment_money){
                      .provider = PAYMENT_PROVIDER_MPESA,
                      .receipt = callback->receipt,
                      .amount_minor = callback->amount_minor,
                      .currency = report->payment.currency,
                      .payer = callback->msisdn > 0
                                   ? arena_printf(stage_arena(report->stage), "%lld",
                                                  (long long)callback->msisdn)
                                   : NULL,
                      .bill_reference = report->payment.reference,
                      .source = "stk",
                      .payment = report->payment.id,
                      .paid_ms = callback->paid_ms,
                  },
                  err);
}

/* Money that came meanwhile stands; what a query called paid is for a person to see. */
static const struct db_statement fail_payment = {
    "reported_fail_payment",
    "UPDATE payments y"
    "   SET status = CASE WHEN reason = '" AWAITING_RECEIPT "' THEN 'unresolved' ELSE 'failed' END,"
    "       reason = CASE WHEN reason = '" AWAITING_RECEIPT "' THEN 'contradiction' ELSE $2 END,"
    "       detail = left($3, 200), next_query_at = NULL, ended_at = $4"
    " WHERE id = $1"
    "   AND status IN ('requested', 'pushing', 'push_unknown', 'prompted', 'unresolved')"
    "   AND NOT EXISTS (SELECT FROM payment_receipts r WHERE r.payment_id = y.id)",
    4,
};

static bool fail(struct report *report, const struct daraja_callback *callback, struct err *err)
{
    int64_t failed;

    if (!db_run(stage_db(report->stage), &fail_payment,
                (struct db_value[]){ db_int8(report->payment.id), db_text(callback->result->reason),
                                     db_text(callback->description),
                                     db_time(stage_now_ms(report->stage)) },
                &failed, err)) {
        return false;
    }
    if (callback->result->ours) {
        log_error(stage_log(report->stage), "mpesa_misconfigured",
                  KV_STR("why", callback->result->reason));
    }
    report->changed = report->payment.id;
    return conclude(report, failed == 1 ? "failed" : "known", callback->result->reason);
}

/* With the payment that the address names. */
static bool take_push(struct report *report, const struct daraja_callback *callback,
                      struct err *err)
{
    struct report other = { .stage = report->stage };
    const char *checkout = callback->checkout_request_id;

    if (!find_payment(&other, &find_by_checkout, db_text(checkout), err)) {
        return false;
    }
    if ((other.payment.id != 0 && other.payment.id != report->payment.id) ||
        (*report->payment.checkout_request != '\0' &&
         strcmp(report->payment.checkout_request, checkout) != 0)) {
        log_warn(stage_log(report->stage), "callback_mismatch", KV_STR("peer", report->told->peer));
        return conclude(report, "mismatch", "it names another checkout");
    }
    switch (callback->result->state) {
    case DARAJA_PAID:
        return settle_push(report, callback, err) && name(report, callback, err);
    case DARAJA_FAILED:
        return fail(report, callback, err) && name(report, callback, err);
    case DARAJA_UNDECIDED:
        break;
    }
    return name(report, callback, err) && ask(report, "undecided", callback->code, err);
}

static bool take_stk(struct report *report, struct err *err)
{
    struct daraja_callback callback;
    unsigned char hash[CRYPTO_SHA256_BYTES];

    crypto_sha256(report->secret, strlen(report->secret), hash);
    if (*report->secret != '\0' &&
        !find_payment(report, &find_by_secret, db_bytes(hash, sizeof hash), err)) {
        return false;
    }
    if (!daraja_callback_read(report->raw, strlen(report->raw), &callback,
                              stage_arena(report->stage), err)) {
        return err->kind == ERR_PERMANENT &&
               conclude(report, "misread", arena_strdup(stage_arena(report->stage), err->what));
    }
    if (report->payment.id != 0) {
        return take_push(report, &callback, err);
    }
    log_warn(stage_log(report->stage), "callback_unknown_secret",
             KV_STR("peer", report->told->peer));
    if (!find_payment(report, &find_by_checkout, db_text(callback.checkout_request_id), err)) {
        return false;
    }
    return report->payment.id != 0 ? ask(report, "unknown_secret", "", err)
                                   : conclude(report, "unknown_secret", "");
}

static bool take_confirmation(struct report *report, struct err *err)
{
    const struct settle_conf *conf = stage_conf(report->stage);
    struct daraja_c2b c2b;

    if (!daraja_c2b_read(report->raw, strlen(report->raw), &c2b, stage_arena(report->stage), err)) {
        return err->kind == ERR_PERMANENT &&
               conclude(report, "misread", arena_strdup(stage_arena(report->stage), err->what));
    }
    if (*conf->c2b_token == '\0' || !crypto_equal(report->secret, conf->c2b_token)) {
        log_warn(stage_log(report->stage), "callback_unknown_secret",
                 KV_STR("peer", report->told->peer));
        return conclude(report, "unknown_secret", "");
    }
    if (strcmp(c2b.shortcode, conf->mpesa.shortcode) != 0 &&
        (*conf->mpesa.party_b == '\0' || strcmp(c2b.shortcode, conf->mpesa.party_b) != 0)) {
        log_warn(stage_log(report->stage), "callback_mismatch", KV_STR("peer", report->told->peer));
        return conclude(report, "mismatch", "it was paid to another shortcode");
    }
    return settle(report,
                  &(struct payment_money){
                      .provider = PAYMENT_PROVIDER_MPESA,
                      .receipt = c2b.receipt,
                      .amount_minor = c2b.amount_minor,
                      .currency = "KES",
                      .payer = c2b.msisdn,
                      .bill_reference = c2b.reference,
                      .source = "confirmation",
                      .paid_ms = c2b.paid_ms,
                  },
                  err);
}

/* What a repetition finds is said already; it was kept with what was made of it the first time. */
static const struct db_statement keep_callback = {
    "reported_keep",
    "INSERT INTO payment_callbacks (origin, provider, kind, payment_id, body, peer, verdict, "
    "detail,"
    "                               received_at)"
    " VALUES ($1, $2, $3, nullif($4, 0::bigint), $5, $6, $7, nullif($8, ''), $9)"
    " ON CONFLICT ON CONSTRAINT payment_callbacks_once DO NOTHING",
    9,
};

static bool keep(const struct report *report, const char *origin, struct err *err)
{
    const struct payment_reported *told = report->told;
    int64_t payment = report->payment.id != 0 ? report->payment.id : report->changed;

    return db_run(stage_db(report->stage), &keep_callback,
                  (struct db_value[]){ db_text(origin), db_text(told->provider),
                                       db_text(told->kind), db_int8(payment), db_text(report->raw),
                                       db_text(told->peer != NULL ? told->peer : ""),
                                       db_text(report->verdict), db_text(report->detail),
                                       db_time(told->received_ms) },
                  NULL, err);
}

static bool take(struct report *report, struct err *err)
{
    if (strcmp(report->told->kind, "stk") == 0) {
        return take_stk(report, err);
    }
    if (strcmp(report->told->kind, "confirmation") == 0) {
        return take_confirmation(report, err);
    }
    if (strcmp(report->told->kind, "result") == 0) {
        return reverse_take(report->stage, report->secret, report->raw, &report->verdict,
                            &report->detail, &report->changed, err);
    }
    return conclude(report, "kept", ""); /* a validation: nothing follows from it */
}

enum verdict reported_handle(struct stage *stage, const struct message *in)
{
    struct payment_reported told;
    struct report report = { .stage = stage, .told = &told };
    struct err err;

    if (!message_read(in, &payment_reported_v1, &told, &err)) {
        return stage_fail(stage, &err);
    }
    if (strcmp(told.provider, PAYMENT_PROVIDER_MPESA) != 0) {
        return stage_reject(stage, "bad_provider", "provider '%.32s' is none of ours",
                            told.provider);
    }
    report.raw = told.raw != NULL ? told.raw : "";
    report.secret = told.secret != NULL ? told.secret : "";
    if (!take(&report, &err) || !keep(&report, in->id, &err) ||
        (report.changed != 0 && !tell(stage, report.changed, &err))) {
        return stage_fail(stage, &err);
    }
    tell_count(stage, told.kind, report.verdict);
    log_info(stage_log(stage), "callback", KV_STR("kind", told.kind),
             KV_STR("verdict", report.verdict), KV_STR("why", report.detail));
    return STAGE_DONE;
}
