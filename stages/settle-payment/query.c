/*
 * query - payments of which nobody has told in time
 *
 * M-Pesa may be asked a few times a minute by all of us together: whoever asks moves the next turn
 * on first, in a committed transaction, and holds no lock while it waits for the answer. An answer
 * names no receipt and no amount. So what it calls paid waits for the receipt a while, and is
 * credited without one only then.
 */
#include <string.h>

#include "provider/daraja_reply.h"
#include "provider/daraja_token.h"
#include "settle.h"

#define A_TICK 50 /* payments of a kind that one tick looks at */
#define BACKOFF_DOUBLINGS_MAX 4
#define MINUTE_MS 60000

static bool tell_all(struct stage *stage, const struct db_result *ids, struct err *err)
{
    for (int i = 0; i < db_rows(ids); i++) {
        if (!tell(stage, db_get_int(ids, i, 0), err)) {
            return false;
        }
    }
    return true;
}

static const struct db_statement fail_unbegun = {
    "query_fail_unbegun",
    "UPDATE payments SET status = 'failed', reason = coalesce(reason, 'not_begun'),"
    "       next_query_at = NULL, ended_at = $1"
    " WHERE id IN (SELECT id FROM payments WHERE next_query_at <= $1 AND status = 'requested'"
    "               ORDER BY next_query_at LIMIT $2 FOR UPDATE SKIP LOCKED) RETURNING id",
    2,
};

/* What somebody changed who could not tell. */
static const struct db_statement take_untold = {
    "query_take_untold",
    "UPDATE payments SET untold_at = NULL"
    " WHERE id IN (SELECT id FROM payments WHERE untold_at IS NOT NULL"
    "               ORDER BY untold_at LIMIT $1 FOR UPDATE SKIP LOCKED) RETURNING id",
    1,
};

static bool tell_untold(struct stage *stage, bool *out_any, struct err *err)
{
    AUTO_DB_RESULT struct db_result *untold = NULL;

    if (!db_query(stage_db(stage), &take_untold, (struct db_value[]){ db_int8(A_TICK) }, &untold,
                  err)) {
        return false;
    }
    *out_any = db_rows(untold) > 0;
    return tell_all(stage, untold, err);
}

/*
 * Not what is paid and waits for its receipt. What was never asked about, because others were, is
 * asked about once all the same: the payer waits no longer for that, but may have paid.
 */
static const struct db_statement give_up = {
    "query_give_up",
    "UPDATE payments SET status = 'unresolved', reason = coalesce(reason, 'no_word'),"
    "       next_query_at = CASE WHEN queries = 0 AND checkout_request IS NOT NULL THEN "
    "$1::timestamptz END,"
    "       ended_at = $1"
    " WHERE id IN (SELECT id FROM payments WHERE next_query_at <= $1 AND pushed_at <= $3"
    "                 AND status IN ('pushing', 'push_unknown', 'prompted')"
    "                 AND reason IS DISTINCT FROM '" AWAITING_RECEIPT "'"
    "               ORDER BY next_query_at LIMIT $2 FOR UPDATE SKIP LOCKED) RETURNING id",
    3,
};

static bool end_overdue(struct stage *stage, bool *out_any, struct err *err)
{
    AUTO_DB_RESULT struct db_result *unbegun = NULL;
    AUTO_DB_RESULT struct db_result *given_up = NULL;
    const struct settle_conf *conf = stage_conf(stage);
    int64_t now_ms = stage_now_ms(stage);
    struct db_value values[] = { db_time(now_ms), db_int8(A_TICK),
                                 db_time(now_ms - conf->give_up_ms) };

    if (!db_query(stage_db(stage), &fail_unbegun, values, &unbegun, err) ||
        !tell_all(stage, unbegun, err) ||
        !db_query(stage_db(stage), &give_up, values, &given_up, err) ||
        !tell_all(stage, given_up, err)) {
        return false;
    }
    *out_any = db_rows(unbegun) > 0 || db_rows(given_up) > 0;
    return true;
}

/*
 * Money of another amount came for this purchase, or from somebody: that is likely to be it. One
 * of an account, and accounts in order: to credit locks the purchase, then its account, and a
 * second purchase after that might be held by who waits for the account.
 */
static const struct db_statement find_paid = {
    "query_find_paid",
    "SELECT id, checkout_request, amount_minor, currency::text,"
    "       EXISTS (SELECT FROM payment_receipts r"
    "                WHERE r.purchase_id = y.purchase_id AND r.status = 'differs')"
    "  FROM (SELECT DISTINCT ON (account_id) * FROM payments"
    "         WHERE next_query_at <= $1 AND status = 'prompted'"
    "           AND reason = '" AWAITING_RECEIPT "'"
    "         ORDER BY account_id, next_query_at) y"
    " ORDER BY account_id LIMIT $2",
    2,
};
static const struct db_statement strand_paid = {
    "query_strand_paid",
    "UPDATE payments SET status = 'unresolved', reason = 'amount_differs', next_query_at = NULL,"
    "       ended_at = $2 WHERE id = $1 AND reason = '" AWAITING_RECEIPT "'",
    2,
};

static bool credit_one(struct stage *stage, const struct db_result *rows, int row, struct err *err)
{
    struct arena *arena = stage_arena(stage);
    const int64_t payment = db_get_int(rows, row, 0), now_ms = stage_now_ms(stage);
    struct payment_outcome outcome;

    if (db_get_bool(rows, row, 4)) {
        return db_run(stage_db(stage), &strand_paid,
                      (struct db_value[]){ db_int8(payment), db_time(now_ms) }, NULL, err) &&
               tell(stage, payment, err);
    }
    if (!payment_settle(
            stage_db(stage),
            &(struct payment_money){
                .provider = PAYMENT_PROVIDER_MPESA,
                .receipt = arena_printf(arena, PAYMENT_NO_RECEIPT "%s", db_get_text(rows, row, 1)),
                .amount_minor = db_get_int(rows, row, 2),
                .currency = db_get_text(rows, row, 3),
                .source = "stk",
                .payment = payment,
            },
            now_ms, arena, &outcome, err)) {
        return false;
    }
    log_warn(stage_log(stage), "credited_without_receipt",
             KV_STR("status", payment_settled_word(outcome.settled)));
    tell_count(stage, "no_receipt", payment_settled_word(outcome.settled));
    return tell(stage, payment, err);
}

static bool credit_without_receipt(struct stage *stage, bool *out_any, struct err *err)
{
    AUTO_DB_RESULT struct db_result *rows = NULL;

    if (!db_query(stage_db(stage), &find_paid,
                  (struct db_value[]){ db_time(stage_now_ms(stage)), db_int8(A_TICK) }, &rows,
                  err)) {
        return false;
    }
    *out_any = db_rows(rows) > 0;
    for (int i = 0; i < db_rows(rows); i++) {
        if (!credit_one(stage, rows, i, err)) {
            return false;
        }
    }
    return true;
}

/* The payment whose turn it is; the next may be asked about one step later. */
static const struct db_statement find_due = {
    "query_find_due",
    "SELECT id, checkout_request, queries, pushed_at FROM payments"
    " WHERE next_query_at <= $1 AND status IN ('prompted', 'unresolved')"
    "   AND checkout_request IS NOT NULL AND reason IS DISTINCT FROM '" AWAITING_RECEIPT "'"
    " ORDER BY next_query_at LIMIT 1 FOR UPDATE SKIP LOCKED",
    1,
};
static const struct db_statement take_turn = {
    "query_take_turn",
    "UPDATE payment_pace SET next_query_at = $2"
    " WHERE provider = '" PAYMENT_PROVIDER_MPESA "' AND next_query_at <= $1",
    2,
};
static const struct db_statement postpone = {
    "query_postpone",
    "UPDATE payments SET queries = queries + 1,"
    "       next_query_at = CASE WHEN status = 'prompted' THEN $2::timestamptz END WHERE id = $1",
    2,
};

struct due {
    int64_t payment;
    const char *checkout;
};

/* Twice as long each time, and not beyond the time at which it is given up. */
static int64_t next_turn(const struct settle_conf *conf, int64_t now_ms, int64_t pushed_ms,
                         int64_t queries)
{
    int64_t doublings = queries < BACKOFF_DOUBLINGS_MAX ? queries + 1 : BACKOFF_DOUBLINGS_MAX;
    int64_t next_ms = now_ms + (conf->query_after_ms << doublings);
    int64_t end_ms = pushed_ms + conf->give_up_ms;

    return end_ms > now_ms && end_ms < next_ms ? end_ms : next_ms;
}

/* payment 0: none, or it is nobody's turn yet. */
static bool claim(struct stage *stage, struct due *due, struct err *err)
{
    AUTO_DB_RESULT struct db_result *rows = NULL;
    const struct settle_conf *conf = stage_conf(stage);
    struct db *db = stage_db(stage);
    int64_t now_ms = stage_now_ms(stage), turns;

    *due = (struct due){ 0 };
    if (!db_query(db, &find_due, (struct db_value[]){ db_time(now_ms) }, &rows, err)) {
        return false;
    }
    if (db_rows(rows) == 0) {
        return true;
    }
    if (!db_run(db, &take_turn,
                (struct db_value[]){ db_time(now_ms),
                                     db_time(now_ms + MINUTE_MS / conf->query_per_minute) },
                &turns, err)) {
        return false;
    }
    if (turns == 0) {
        return true;
    }
    due->checkout = arena_strdup(stage_arena(stage), db_get_text(rows, 0, 1));
    due->payment = db_get_int(rows, 0, 0);
    return db_run(db, &postpone,
                  (struct db_value[]){ db_int8(due->payment),
                                       db_time(next_turn(conf, now_ms, db_get_time(rows, 0, 3),
                                                         db_get_int(rows, 0, 2))) },
                  NULL, err);
}

static const struct db_statement await_receipt = {
    "query_await_receipt",
    "UPDATE payments y SET status = 'prompted', reason = '" AWAITING_RECEIPT "', detail = NULL,"
    "       next_query_at = $2, ended_at = NULL"
    " WHERE id = $1 AND status IN ('prompted', 'unresolved')"
    "   AND NOT EXISTS (SELECT FROM payment_receipts r WHERE r.payment_id = y.id)",
    2,
};
static const struct db_statement fail_queried = {
    "query_fail",
    "UPDATE payments y SET status = 'failed', reason = $2, detail = left($3, 200),"
    "       next_query_at = NULL, ended_at = $4"
    " WHERE id = $1 AND status IN ('prompted', 'unresolved')"
    "   AND reason IS DISTINCT FROM '" AWAITING_RECEIPT "'"
    "   AND NOT EXISTS (SELECT FROM payment_receipts r WHERE r.payment_id = y.id)",
    4,
};
static const struct db_statement hold_queries = {
    "query_hold",
    "UPDATE payment_pace SET next_query_at = greatest(next_query_at, $1)"
    " WHERE provider = '" PAYMENT_PROVIDER_MPESA "'",
    1,
};
/* What was not answered was not asked. */
static const struct db_statement ask_again = {
    "query_ask_again",
    "UPDATE payments SET queries = queries - 1, next_query_at = $2"
    " WHERE id = $1 AND status IN ('prompted', 'unresolved')",
    2,
};

static bool apply(struct stage *stage, const struct due *due,
                  const struct daraja_query_answer *answer, struct err *err)
{
    const struct settle_conf *conf = stage_conf(stage);
    struct db *db = stage_db(stage);
    int64_t now_ms = stage_now_ms(stage), then_ms = now_ms + answer->retry_after_s * 1000;
    struct db_value id = db_int8(due->payment);

    switch (answer->class) {
    case DARAJA_QUERY_UNDECIDED:
        return true;
    case DARAJA_QUERY_PAID:
        return db_run(db, &await_receipt,
                      (struct db_value[]){ id, db_time(now_ms + conf->credit_without_receipt_ms) },
                      NULL, err) &&
               tell(stage, due->payment, err);
    case DARAJA_QUERY_FAILED:
        if (answer->ours) {
            log_error(stage_log(stage), "mpesa_misconfigured", KV_STR("why", answer->why));
        }
        return db_run(db, &fail_queried,
                      (struct db_value[]){ id, db_text(answer->why), db_text(answer->detail),
                                           db_time(now_ms) },
                      NULL, err) &&
               tell(stage, due->payment, err);
    case DARAJA_QUERY_THROTTLED:
        return db_run(db, &hold_queries, (struct db_value[]){ db_time(then_ms) }, NULL, err) &&
               db_run(db, &ask_again, (struct db_value[]){ id, db_time(then_ms) }, NULL, err);
    case DARAJA_QUERY_TOKEN:
        return db_run(db, &ask_again, (struct db_value[]){ id, db_time(now_ms) }, NULL, err);
    }
    return true;
}

/* Outside any transaction: no row is locked while M-Pesa thinks. */
static bool ask(struct stage *stage, const struct due *due, struct daraja_query_answer *answer,
                struct err *err)
{
    const struct settle_conf *conf = stage_conf(stage);
    struct arena *arena = stage_arena(stage);
    struct http *http = stage_http(stage);
    struct db *db = stage_db(stage);
    struct http_call call;
    struct http_reply reply;
    const char *token;

    if (!daraja_token_get(db, http, &conf->mpesa, &token, arena, err)) {
        return false;
    }
    daraja_query_request(&conf->mpesa, token, stage_now_ms(stage), due->checkout, &call, arena);
    http_run(http, &call, &reply, 1, arena);
    daraja_query_read(&reply, due->checkout, answer, arena);
    return answer->class != DARAJA_QUERY_TOKEN ||
           daraja_token_replace(db, http, &conf->mpesa, token, &token, arena, err);
}

static const char *class_word(enum daraja_query_class class)
{
    static const char *const words[] = {
        [DARAJA_QUERY_UNDECIDED] = "undecided", [DARAJA_QUERY_PAID] = "paid",
        [DARAJA_QUERY_FAILED] = "failed",       [DARAJA_QUERY_THROTTLED] = "throttled",
        [DARAJA_QUERY_TOKEN] = "token_refused",
    };
    return words[class];
}

bool query_tick(struct stage *stage, struct err *err)
{
    struct db *db = stage_db(stage);
    struct daraja_query_answer answer;
    struct due due;
    bool untold, ended, credited, reversed;

    if (!tell_untold(stage, &untold, err) || !end_overdue(stage, &ended, err) ||
        !credit_without_receipt(stage, &credited, err)) {
        return false;
    }
    if (untold || ended || credited) {
        return true; /* that is to be confirmed and committed first */
    }
    if (!reverse_tick(stage, &reversed, err)) {
        return false;
    }
    if (reversed) {
        return true;
    }
    if (!claim(stage, &due, err)) {
        return false;
    }
    if (due.payment == 0) {
        return true;
    }
    if (!db_commit(db, err) || !ask(stage, &due, &answer, err) || !db_begin(db, err)) {
        return false;
    }
    tell_count(stage, "query", class_word(answer.class));
    log_info(stage_log(stage), "queried", KV_STR("class", class_word(answer.class)),
             KV_STR("why", answer.why), KV_STR("detail", answer.detail));
    return apply(stage, &due, &answer, err);
}
