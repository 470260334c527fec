/*
 * push - the payer's phone is asked for the PIN, at most once
 */
#include <string.h>

#include "base/clock.h"
#include "base/id.h"
#include "crypto/crypto.h"
#include "provider/daraja_reply.h"
#include "provider/daraja_token.h"
#include "settle.h"

#define CALLBACK_PATH "/api/pay/" /* M-Pesa takes no address with its own name in it */
#define SECRET_BYTES 16
#define DESCRIPTION "Tokens"
#define RECORD_PATIENCE_MS 20000 /* how long an answer waits for the database */
#define RECORD_PAUSE_MS 200

/* A push in the making. */
struct push {
    struct stage *stage;
    struct payment payment;
    const char *path; /* of its callback */
    const char *token;
    struct daraja_answer answer;
};

static const struct db_statement claim_payment = {
    "push_claim",
    "UPDATE payments SET status = 'pushing', secret_hash = $2, pushed_at = $3, next_query_at = $4,"
    "       reason = NULL, detail = NULL"
    " WHERE id = $1 AND status = 'requested'",
    4,
};

/* The claim stands before the push leaves. */
static bool claim(struct push *push, bool *out_mine, struct err *err)
{
    struct stage *stage = push->stage;
    const struct settle_conf *conf = stage_conf(stage);
    unsigned char random[SECRET_BYTES], hash[CRYPTO_SHA256_BYTES];
    char secret[2 * SECRET_BYTES + 1];
    int64_t claimed;

    id_random(random, sizeof random);
    id_hex(random, sizeof random, secret);
    crypto_sha256(secret, strlen(secret), hash);
    push->path = arena_printf(stage_arena(stage), CALLBACK_PATH "%s", secret);
    if (!db_run(stage_db(stage), &claim_payment,
                (struct db_value[]){ db_int8(push->payment.id), db_bytes(hash, sizeof hash),
                                     db_time(stage_now_ms(stage)),
                                     db_time(stage_now_ms(stage) + conf->give_up_ms) },
                &claimed, err)) {
        return false;
    }
    *out_mine = claimed == 1;
    return stage_commit(stage, err);
}

/* The token's row is shared: nothing of ours may be open meanwhile. */
static bool take_token(struct push *push, const char *refused, struct err *err)
{
    struct stage *stage = push->stage;
    const struct settle_conf *conf = stage_conf(stage);
    struct db *db = stage_db(stage);

    return db_commit(db, err) &&
           (refused == NULL ? daraja_token_get(db, stage_http(stage), &conf->mpesa, &push->token,
                                               stage_arena(stage), err)
                            : daraja_token_replace(db, stage_http(stage), &conf->mpesa, refused,
                                                   &push->token, stage_arena(stage), err)) &&
           db_begin(db, err);
}

static bool build(const struct push *push, struct http_call *out, struct err *err)
{
    const struct settle_conf *conf = stage_conf(push->stage);

    return daraja_push_request(&conf->mpesa, push->token, stage_now_ms(push->stage),
                               &(struct daraja_push){ .msisdn = push->payment.msisdn,
                                                      .amount_minor = push->payment.amount_minor,
                                                      .reference = push->payment.reference,
                                                      .description = DESCRIPTION,
                                                      .callback_path = push->path },
                               out, stage_arena(push->stage), err);
}

static void run(struct push *push, const struct http_call *call)
{
    struct http_reply reply;

    http_run(stage_http(push->stage), call, &reply, 1, stage_arena(push->stage));
    daraja_push_read(&reply, &push->answer, stage_arena(push->stage));
}

/* Asks; once more with another token when M-Pesa does not know this one. */
static void ask(struct push *push, const struct http_call *call)
{
    struct http_call again;
    struct err err;

    run(push, call);
    if (push->answer.class != DARAJA_TOKEN) {
        return;
    }
    if (!take_token(push, push->token, &err) || !build(push, &again, &err)) {
        log_warn(stage_log(push->stage), "no_token", KV_STR("why", err.what),
                 KV_STR("detail", err.detail));
        push->answer.retry_after_s = 1;
        return;
    }
    run(push, &again);
}

/* A callback may have come before the answer: what it said stands. */
static const struct db_statement record_prompt = {
    "push_record_prompt",
    "UPDATE payments SET merchant_request = $2, checkout_request = $3,"
    "   next_query_at = CASE WHEN status IN ('pushing', 'push_unknown')"
    "                        THEN $4 ELSE next_query_at END,"
    "   reason = CASE WHEN status IN ('pushing', 'push_unknown') THEN NULL ELSE reason END,"
    "   detail = CASE WHEN status IN ('pushing', 'push_unknown') THEN NULL ELSE detail END,"
    "   status = CASE WHEN status IN ('pushing', 'push_unknown') THEN 'prompted' ELSE status END"
    " WHERE id = $1 AND (checkout_request IS NULL OR checkout_request = $3)",
    4,
};
static const struct db_statement record_unknown = {
    "push_record_unknown",
    "UPDATE payments SET status = 'push_unknown', reason = $2, detail = left($3, 200)"
    " WHERE id = $1 AND status = 'pushing'",
    3,
};
static const struct db_statement record_again = {
    "push_record_again",
    "UPDATE payments SET status = 'requested', reason = $2, detail = left($3, 200),"
    "       next_query_at = $4"
    " WHERE id = $1 AND status IN ('pushing', 'push_unknown')",
    4,
};

static bool is_too_late(const struct push *push, int64_t at_ms)
{
    const struct settle_conf *conf = stage_conf(push->stage);

    return at_ms > push->payment.created_ms + conf->push_within_ms;
}

static bool record_retry(struct push *push, struct err *err)
{
    struct stage *stage = push->stage;
    const struct daraja_answer *answer = &push->answer;
    int64_t at_ms = stage_now_ms(stage) + answer->retry_after_s * 1000;
    char id[ID_TEXT_BYTES];

    if (is_too_late(push, at_ms)) {
        return tell_failed(stage, push->payment.id, answer->why, answer->detail, err);
    }
    id_format("pay", push->payment.id, id);
    stage_emit_as(stage, &payment_requested_v1, &(struct payment_requested){ .payment = id },
                  &(struct emission){ .account = push->payment.account_slug,
                                      .delay_ms = answer->retry_after_s * 1000 });
    return db_run(stage_db(stage), &record_again,
                  (struct db_value[]){ db_int8(push->payment.id), db_text(answer->why),
                                       db_text(answer->detail),
                                       db_time(push->payment.created_ms + PAYMENT_UNBEGUN_MS) },
                  NULL, err) &&
           tell(stage, push->payment.id, err);
}

static bool record(struct push *push, struct err *err)
{
    struct stage *stage = push->stage;
    const struct settle_conf *conf = stage_conf(stage);
    const struct daraja_answer *answer = &push->answer;
    struct db_value id = db_int8(push->payment.id);

    switch (answer->class) {
    case DARAJA_ACCEPTED:
        return db_run(stage_db(stage), &record_prompt,
                      (struct db_value[]){ id, db_text(answer->merchant_request_id),
                                           db_text(answer->checkout_request_id),
                                           db_time(stage_now_ms(stage) + conf->query_after_ms) },
                      NULL, err) &&
               tell(stage, push->payment.id, err);
    case DARAJA_REFUSED:
        return tell_failed(stage, push->payment.id, answer->why, answer->detail, err);
    case DARAJA_MISCONFIGURED:
        log_error(stage_log(stage), "mpesa_misconfigured", KV_STR("why", answer->why),
                  KV_STR("detail", answer->detail));
        return tell_failed(stage, push->payment.id, answer->why, answer->detail, err);
    case DARAJA_RETRY:
    case DARAJA_TOKEN:
        return record_retry(push, err);
    case DARAJA_UNKNOWN:
        break;
    }
    return db_run(stage_db(stage), &record_unknown,
                  (struct db_value[]){ id, db_text(answer->why), db_text(answer->detail) }, NULL,
                  err) &&
           tell(stage, push->payment.id, err);
}

/*
 * The checkout's id exists only here until it is recorded, so a database that is away is waited
 * for. Recorded that way, the payment is looked at anew: false with a temporary error.
 */
static bool record_firmly(struct push *push, struct err *err)
{
    struct stage *stage = push->stage;
    struct db *db = stage_db(stage);
    int64_t until_ms = clock_mono_ms() + RECORD_PATIENCE_MS;

    if ((db_in_transaction(db) || db_begin(db, err)) && record(push, err)) {
        return true;
    }
    if (push->answer.class != DARAJA_ACCEPTED) {
        return false; /* found claimed it is in doubt, and that is all it would be */
    }
    while (err->kind != ERR_PERMANENT && clock_mono_ms() < until_ms) {
        db_rollback(db);
        clock_sleep_ms(RECORD_PAUSE_MS);
        stage_wait_ms(stage, 0);
        if ((db_is_down(db) && !db_reconnect(db, err)) || !db_begin(db, err)) {
            continue;
        }
        if (record(push, err) && stage_commit(stage, err)) {
            return err_temporary(err, "recorded_late", "the database was away for a moment");
        }
    }
    return false;
}

/* Found claimed: whoever claimed it may have pushed it. */
static const struct db_statement doubt_payment = {
    "push_doubt",
    "UPDATE payments SET status = 'push_unknown', reason = 'answer_lost'"
    " WHERE id = $1 AND status = 'pushing'",
    1,
};

/* Ours to repair, and this payer's payment has failed. */
static bool refuse(struct push *push, struct err *err)
{
    struct stage *stage = push->stage;
    const char *detail = arena_strdup(stage_arena(stage), err->detail);

    log_error(stage_log(stage), "mpesa_misconfigured", KV_STR("why", err->what),
              KV_STR("detail", detail));
    return (db_in_transaction(stage_db(stage)) || db_begin(stage_db(stage), err)) &&
           tell_failed(stage, push->payment.id, err->what, detail, err);
}

static bool push_once(struct push *push, struct err *err)
{
    struct stage *stage = push->stage;
    struct http_call call;
    bool mine;

    if (!take_token(push, NULL, err)) {
        return err->kind == ERR_PERMANENT && refuse(push, err);
    }
    if (!claim(push, &mine, err)) {
        return false;
    }
    if (!mine) {
        return tell(stage, push->payment.id, err);
    }
    stage_crash_point("after_claim");
    if (!build(push, &call, err)) {
        return err->kind == ERR_PERMANENT && refuse(push, err);
    }
    ask(push, &call);
    stage_crash_point("after_push");
    tell_count(stage, "push", daraja_class_name(push->answer.class));
    log_info(stage_log(stage), "pushed", KV_STR("class", daraja_class_name(push->answer.class)),
             KV_STR("why", push->answer.why), KV_STR("detail", push->answer.detail));
    if (!record_firmly(push, err)) {
        return false;
    }
    stage_crash_point("after_record");
    return true;
}

static bool push(struct push *push, struct err *err)
{
    struct stage *stage = push->stage;
    const struct payment *payment = &push->payment;

    if (strcmp(payment->status, "pushing") == 0) {
        return db_run(stage_db(stage), &doubt_payment, (struct db_value[]){ db_int8(payment->id) },
                      NULL, err) &&
               tell(stage, payment->id, err);
    }
    if (strcmp(payment->status, "requested") != 0) {
        return tell(stage, payment->id, err);
    }
    if (strcmp(payment->purchase_status, "open") != 0) {
        return tell_failed(stage, payment->id, "purchase_paid", "it is paid already", err);
    }
    if (is_too_late(push, stage_now_ms(stage))) {
        return tell_failed(stage, payment->id, "not_begun", "the payer was not asked in time", err);
    }
    return push_once(push, err);
}

enum verdict push_handle(struct stage *stage, const struct message *in)
{
    struct payment_requested requested;
    struct push asked = { .stage = stage };
    struct err err;
    int64_t id;

    if (!message_read(in, &payment_requested_v1, &requested, &err)) {
        return stage_fail(stage, &err);
    }
    if (!id_parse("pay", requested.payment, &id)) {
        return stage_reject(stage, "bad_payment", "payment: '%.24s' is no id", requested.payment);
    }
    if (!payment_find(stage_db(stage), 0, id, stage_arena(stage), &asked.payment, &err)) {
        return strcmp(err.what, "payment_unknown") == 0
                   ? stage_retry(stage, "payment_unknown", "no payment %s yet", requested.payment)
                   : stage_fail(stage, &err);
    }
    return push(&asked, &err) ? STAGE_DONE : stage_fail(stage, &err);
}
