/*
 * reverse - money that a person decided to give back
 *
 * M-Pesa reverses a receipt once and says so when it is asked again, so unlike a push a reversal is
 * asked for until there is an answer. What came of it is posted to an address that follows from the
 * receipt and a secret of ours: the results of all tries come to the same.
 */
#include <stdio.h>
#include <string.h>

#include "base/id.h"
#include "crypto/crypto.h"
#include "payment/reversal.h"
#include "provider/daraja_callback.h"
#include "provider/daraja_reply.h"
#include "provider/daraja_token.h"
#include "settle.h"

#define RESULT_PATH "/api/pay/reversal/result/"
#define SECRET_BYTES 16
#define ASK_AGAIN_MS INT64_C(300000) /* when an asked reversal has had no result */
#define ASK_MOST 5
#define ALREADY "already_reversed"

/* A reversal whose turn it is. */
struct turn {
    struct stage *stage;
    struct reversal reversal;
    const char *path; /* of its result; NULL: none is due */
    struct daraja_answer answer;
};

static const char *make_secret(struct stage *stage, const char *receipt)
{
    const struct settle_conf *conf = stage_conf(stage);
    const char *key = conf->mpesa.consumer_secret;
    const char *text = arena_printf(stage_arena(stage), "reversal %s", receipt);
    unsigned char mac[CRYPTO_SHA256_BYTES];
    char hex[2 * SECRET_BYTES + 1];

    crypto_hmac_sha256(key, strlen(key), text, strlen(text), mac);
    id_hex(mac, SECRET_BYTES, hex);
    return arena_strdup(stage_arena(stage), hex);
}

static const struct db_statement find_due = {
    "reverse_find_due",
    "SELECT receipt FROM payment_reversals WHERE next_ask_at <= $1"
    " ORDER BY next_ask_at LIMIT 1 FOR UPDATE SKIP LOCKED",
    1,
};
static const struct db_statement claim_due = {
    "reverse_claim",
    "UPDATE payment_reversals SET status = 'asking', asked = asked + 1, secret_hash = $2,"
    "       next_ask_at = $3 WHERE receipt = $1",
    3,
};
static const struct db_statement give_up = {
    "reverse_give_up",
    "UPDATE payment_reversals SET status = 'unresolved', reason = 'no_word', next_ask_at = NULL,"
    "       ended_at = $2 WHERE receipt = $1",
    2,
};

static bool claim(struct turn *turn, struct err *err)
{
    AUTO_DB_RESULT struct db_result *rows = NULL;
    struct stage *stage = turn->stage;
    struct db *db = stage_db(stage);
    int64_t now_ms = stage_now_ms(stage);
    unsigned char hash[CRYPTO_SHA256_BYTES];
    const char *secret;

    if (!db_query(db, &find_due, (struct db_value[]){ db_time(now_ms) }, &rows, err)) {
        return false;
    }
    if (db_rows(rows) == 0) {
        return true;
    }
    if (!payment_reversal_find(db, db_get_text(rows, 0, 0), stage_arena(stage), &turn->reversal,
                               err)) {
        return false;
    }
    if (turn->reversal.asked >= ASK_MOST) {
        log_error(stage_log(stage), "reversal_unresolved",
                  KV_STR("receipt", turn->reversal.receipt));
        return db_run(db, &give_up,
                      (struct db_value[]){ db_text(turn->reversal.receipt), db_time(now_ms) }, NULL,
                      err);
    }
    secret = make_secret(stage, turn->reversal.receipt);
    crypto_sha256(secret, strlen(secret), hash);
    turn->path = arena_printf(stage_arena(stage), RESULT_PATH "%s", secret);
    return db_run(db, &claim_due,
                  (struct db_value[]){ db_text(turn->reversal.receipt), db_bytes(hash, sizeof hash),
                                       db_time(now_ms + ASK_AGAIN_MS) },
                  NULL, err);
}

static bool build(const struct turn *turn, const char *token, struct http_call *out,
                  struct err *err)
{
    const struct settle_conf *conf = stage_conf(turn->stage);

    return daraja_reversal_request(
        &conf->mpesa, token,
        &(struct daraja_reversal){ .receipt = turn->reversal.receipt,
                                   .amount_minor = turn->reversal.amount_minor,
                                   .remarks = "Paid back",
                                   .result_path = turn->path,
                                   .timeout_path = turn->path },
        out, stage_arena(turn->stage), err);
}

/* Outside any transaction. A request that cannot be built is refused by ourselves. */
static bool ask(struct turn *turn, struct err *err)
{
    const struct settle_conf *conf = stage_conf(turn->stage);
    struct arena *arena = stage_arena(turn->stage);
    struct http *http = stage_http(turn->stage);
    struct db *db = stage_db(turn->stage);
    struct daraja_answer *answer = &turn->answer;
    struct http_call call;
    struct http_reply reply;
    const char *token;

    if (!daraja_token_get(db, http, &conf->mpesa, &token, arena, err)) {
        return false;
    }
    for (int tries = 0; tries < 2; tries++) {
        if (!build(turn, token, &call, err)) {
            answer->class = DARAJA_MISCONFIGURED;
            answer->why = arena_strdup(arena, err->what);
            snprintf(answer->detail, sizeof answer->detail, "%s", err->detail);
            return err->kind == ERR_PERMANENT;
        }
        http_run(http, &call, &reply, 1, arena);
        daraja_reversal_read(&reply, answer, arena);
        if (answer->class != DARAJA_TOKEN) {
            return true;
        }
        if (!daraja_token_replace(db, http, &conf->mpesa, token, &token, arena, err)) {
            return false;
        }
    }
    return true;
}

static const struct db_statement note_asked = {
    "reverse_note_asked",
    "UPDATE payment_reversals SET status = 'asked', next_ask_at = $2"
    " WHERE receipt = $1 AND status IN ('asking', 'asked')",
    2,
};
static const struct db_statement note_later = {
    "reverse_note_later",
    "UPDATE payment_reversals SET status = 'requested', reason = $2, detail = left($3, 200),"
    "       asked = asked - 1, next_ask_at = $4 WHERE receipt = $1 AND status = 'asking'",
    4,
};
static const struct db_statement note_doubt = {
    "reverse_note_doubt",
    "UPDATE payment_reversals SET reason = $2, detail = left($3, 200)"
    " WHERE receipt = $1 AND status = 'asking'",
    3,
};

/* Its result may have come before its answer: what that said stands. */
static bool record(struct turn *turn, struct err *err)
{
    struct stage *stage = turn->stage;
    struct db *db = stage_db(stage);
    const struct daraja_answer *answer = &turn->answer;
    const int64_t now_ms = stage_now_ms(stage);
    struct db_value receipt = db_text(turn->reversal.receipt);

    switch (answer->class) {
    case DARAJA_ACCEPTED:
        return db_run(db, &note_asked,
                      (struct db_value[]){ receipt, db_time(now_ms + ASK_AGAIN_MS) }, NULL, err);
    case DARAJA_RETRY:
    case DARAJA_TOKEN:
        return db_run(db, &note_later,
                      (struct db_value[]){ receipt, db_text(answer->why), db_text(answer->detail),
                                           db_time(now_ms + (answer->retry_after_s + 1) * 1000) },
                      NULL, err);
    case DARAJA_REFUSED:
    case DARAJA_MISCONFIGURED:
        if (turn->reversal.asked == 0) { /* none before it was taken, perhaps unheard */
            log_error(stage_log(stage), "reversal_refused", KV_STR("why", answer->why),
                      KV_STR("detail", answer->detail));
            return payment_reversal_failed(db, turn->reversal.receipt, answer->why, answer->detail,
                                           now_ms, stage_arena(stage), err);
        }
        break;
    case DARAJA_UNKNOWN:
        break;
    }
    return db_run(db, &note_doubt,
                  (struct db_value[]){ receipt, db_text(answer->why), db_text(answer->detail) },
                  NULL, err);
}

bool reverse_tick(struct stage *stage, bool *out_any, struct err *err)
{
    struct turn turn = { .stage = stage };
    struct db *db = stage_db(stage);

    *out_any = false;
    if (!claim(&turn, err)) {
        return false;
    }
    *out_any = turn.reversal.receipt != NULL;
    if (turn.path == NULL) {
        return true;
    }
    if (!db_commit(db, err)) {
        return false;
    }
    stage_crash_point("after_claim_reversal");
    if (!ask(&turn, err)) {
        return false;
    }
    stage_crash_point("after_reversal");
    if (!db_begin(db, err)) {
        return false;
    }
    tell_count(stage, "reversal", daraja_class_name(turn.answer.class));
    log_info(stage_log(stage), "reversal_asked", KV_STR("receipt", turn.reversal.receipt),
             KV_STR("class", daraja_class_name(turn.answer.class)), KV_STR("why", turn.answer.why));
    return record(&turn, err);
}

static const struct db_statement find_by_secret = {
    "reverse_find_by_secret",
    "SELECT receipt FROM payment_reversals WHERE secret_hash = $1",
    1,
};

/* NULL: nobody's. */
static bool find_receipt(struct stage *stage, const char *secret, const char **out_receipt,
                         struct err *err)
{
    AUTO_DB_RESULT struct db_result *rows = NULL;
    unsigned char hash[CRYPTO_SHA256_BYTES];

    crypto_sha256(secret, strlen(secret), hash);
    if (!db_query(stage_db(stage), &find_by_secret,
                  (struct db_value[]){ db_bytes(hash, sizeof hash) }, &rows, err)) {
        return false;
    }
    *out_receipt =
        db_rows(rows) > 0 ? arena_strdup(stage_arena(stage), db_get_text(rows, 0, 0)) : NULL;
    return true;
}

bool reverse_take(struct stage *stage, const char *secret, const char *raw,
                  const char **out_verdict, const char **out_detail, int64_t *out_payment,
                  struct err *err)
{
    struct arena *arena = stage_arena(stage);
    struct daraja_reversal_result result;
    struct reversal reversal;
    struct db *db = stage_db(stage);
    const int64_t now_ms = stage_now_ms(stage);
    const char *receipt;

    *out_detail = "";
    if (!find_receipt(stage, secret, &receipt, err)) {
        return false;
    }
    if (receipt == NULL) {
        *out_verdict = "unknown_secret";
        return true;
    }
    if (!daraja_reversal_result_read(raw, strlen(raw), &result, arena, err)) {
        *out_verdict = "misread";
        *out_detail = arena_strdup(arena, err->what);
        return err->kind == ERR_PERMANENT;
    }
    *out_detail = result.reason;
    /* Already reversed: by an earlier request whose result was lost, or by hand. The payer has it.
     */
    if (result.state == DARAJA_REVERSAL_DONE || strcmp(result.reason, ALREADY) == 0) {
        if (!payment_reversal_find(db, receipt, arena, &reversal, err)) {
            return false;
        }
        if (strcmp(reversal.status, "failed") == 0) {
            log_error(stage_log(stage), "reversal_contradiction", KV_STR("receipt", receipt));
            *out_verdict = "contradiction"; /* the statement will tell who is right */
            return true;
        }
        *out_verdict = "reversed";
        return payment_reversal_done(db, receipt, result.transaction_id, now_ms, arena, out_payment,
                                     err);
    }
    if (result.state == DARAJA_REVERSAL_FAILED) {
        *out_verdict = "reversal_failed";
        log_error(stage_log(stage), "reversal_failed", KV_STR("receipt", receipt),
                  KV_STR("why", result.reason));
        return payment_reversal_failed(db, receipt, result.reason, result.description, now_ms,
                                       arena, err);
    }
    *out_verdict = "undecided"; /* asked again in its time */
    return true;
}
