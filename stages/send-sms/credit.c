/*
 * credit - watches the credit at the provider
 */
#include "credit.h"

#include "alert/alert.h"
#include "provider/africastalking.h"
#include "send_sms.h"

#define ASK_EVERY_MS (5 * 60 * 1000)
#define TIMEOUT_MS 5000 /* a batch may be waiting meanwhile */
#define E4 10000

static const struct db_statement claim = {
    "credit_claim",
    "INSERT INTO provider_credit AS c (provider, asked_at) VALUES ('africastalking', $1)"
    " ON CONFLICT (provider) DO UPDATE SET asked_at = $1 WHERE c.asked_at <= $2",
    2,
};
static const struct db_statement store = {
    "credit_store",
    "UPDATE provider_credit SET balance_e4 = $1, currency = $2, answered_at = $3"
    " WHERE provider = 'africastalking'",
    3,
};

bool credit_watch(struct stage *stage, struct err *err)
{
    const struct send_conf *conf = stage_conf(stage);
    struct at_conf at = conf->at;
    struct db *db = stage_db(stage);
    int64_t now_ms = stage_now_ms(stage);
    int64_t balance_e4, claimed;
    char currency[4];
    struct err unanswered;

    if (conf->credit_low == 0) {
        return true;
    }
    if (!db_run(db, &claim, (struct db_value[]){ db_time(now_ms), db_time(now_ms - ASK_EVERY_MS) },
                &claimed, err)) {
        return false;
    }
    if (claimed == 0) {
        return true;
    }
    if (!stage_commit(stage, err)) {
        return false;
    }
    at.timeout_ms = at.timeout_ms < TIMEOUT_MS ? at.timeout_ms : TIMEOUT_MS;
    if (!at_balance(stage_http(stage), &at, stage_arena(stage), &balance_e4, currency,
                    &unanswered)) {
        log_warn(stage_log(stage), "credit_unknown", KV_STR("why", unanswered.what),
                 KV_STR("detail", unanswered.detail));
        return true;
    }
    return db_run(db, &store,
                  (struct db_value[]){ db_int8(balance_e4), db_text(currency), db_time(now_ms) },
                  NULL, err) &&
           (balance_e4 >= conf->credit_low * (int64_t)E4 ||
            alert_raise_credit(db, balance_e4, conf->credit_low * (int64_t)E4, currency, now_ms,
                               err)) &&
           stage_commit(stage, err);
}
