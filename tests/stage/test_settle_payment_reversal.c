/* settle-payment: money that goes back to its payer, once, and the tokens that it had bought */
#include "ledger/ledger.h"
#include "payment/reversal.h"
#include "settle_scene.h"

static int64_t bought(struct fake_stage *fake)
{
    int64_t payment = prompt(fake);

    assert_callback(fake);
    assert_paid(fake, payment);
    return payment;
}

static const char *receipt_of(struct fake_stage *fake, int64_t payment)
{
    return arena_strdup(arena, scene_text(fake, "SELECT receipt FROM payments WHERE id = %lld",
                                          (long long)payment));
}

static bool wish(struct fake_stage *fake, const char *receipt, bool what_is_left, struct err *err)
{
    struct reversal reversal;

    assert_true(db_begin(fake_db(fake), err));
    if (!payment_reverse(fake_db(fake),
                         &(struct reversal_wish){ .receipt = receipt,
                                                  .by = "grace",
                                                  .why = "by mistake",
                                                  .what_is_left = what_is_left },
                         clock_now_ms(), arena, &reversal, err)) {
        db_rollback(fake_db(fake));
        return false;
    }
    assert_string_equal(reversal.status, "requested");
    assert_true(db_commit(fake_db(fake), err));
    return true;
}

static void assert_wished(struct fake_stage *fake, const char *receipt)
{
    struct err err;

    if (!wish(fake, receipt, false, &err)) {
        fail_msg("%s: %s", err.what, err.detail);
    }
}

static void assert_refused(struct fake_stage *fake, const char *receipt, const char *what)
{
    struct err err;

    assert_false(wish(fake, receipt, false, &err));
    assert_string_equal(err.what, what);
}

static const char *reversal_status(struct fake_stage *fake)
{
    return scene_text(fake, "SELECT status FROM payment_reversals WHERE %d = 1", 1);
}

static void a_payment_is_paid_back(void **state)
{
    struct fake_stage *fake = *state;
    int64_t payment = bought(fake);
    const char *receipt = receipt_of(fake, payment);

    assert_wished(fake, receipt);
    assert_int_equal(available(fake), SCENE_TOKENS); /* before anybody can spend them */
    assert_string_equal(status(fake, payment), "paid");
    tick(fake);
    assert_string_equal(reversal_status(fake), "asked");
    assert_callback(fake);
    assert_told(fake, payment, "reversed", "");
    assert_string_equal(reversal_status(fake), "done");
    assert_int_equal(receipts(fake, "reversed"), 1);
    assert_int_equal(fake_number(fake, "SELECT count(*) FROM purchases WHERE status = 'reversed'"),
                     1);
    assert_int_equal(fake_number(fake, "SELECT count(*) FROM subscriptions WHERE ends_at > now()"),
                     0);
    assert_int_equal(simulator_count("reversed"), 1);
    assert_int_equal(available(fake), SCENE_TOKENS);
    assert_refused(fake, receipt, "receipt_reversed");
    tick(fake);
    assert_int_equal(fake_stage_emitted(fake), 0);
}

/* The second receipt of a purchase bought nothing: only the money goes back. */
static void money_that_bought_nothing_is_paid_back(void **state)
{
    struct fake_stage *fake = *state;
    int64_t payment = bought(fake);

    register_c2b();
    simulator_post("pay", arena_printf(arena,
                                       "{\"phone\":\"254700000009\",\"amount\":%d,"
                                       "\"reference\":\"%s\"}",
                                       PRICE / 100, reference_of(fake, payment)));
    assert_callback(fake);
    assert_int_equal(receipts(fake, "unmatched"), 1);
    assert_wished(fake, scene_text(fake, "SELECT receipt FROM payment_receipts WHERE status = '%s'",
                                   "unmatched"));
    tick(fake);
    assert_callback(fake);
    assert_int_equal(receipts(fake, "reversed"), 1);
    assert_paid(fake, payment);
}

static void tokens_that_are_spent_need_a_word(void **state)
{
    struct fake_stage *fake = *state;
    int64_t payment = bought(fake);
    const char *receipt = receipt_of(fake, payment);
    struct err err;

    assert_true(db_begin(fake_db(fake), &err));
    assert_true(ledger_adjust(fake_db(fake),
                              &(struct ledger_adjustment){ .account = 1,
                                                           .tokens = -(SCENE_TOKENS + 1000),
                                                           .reference = "ADJ-1",
                                                           .reason = "spent",
                                                           .actor = "test" },
                              clock_now_ms(), NULL, &err));
    assert_true(db_commit(fake_db(fake), &err));
    assert_refused(fake, receipt, "tokens_missing");
    assert_true(wish(fake, receipt, true, &err));
    assert_int_equal(available(fake), 0);
    assert_int_equal(fake_number(fake, "SELECT tokens FROM payment_reversals"), TOKENS - 1000);
    tick(fake);
    assert_callback(fake);
    assert_string_equal(reversal_status(fake), "done");
}

static void what_is_not_paid_back_is_given_again(void **state)
{
    struct fake_stage *fake = *state;
    int64_t payment = bought(fake);
    const char *receipt = receipt_of(fake, payment);

    simulator_faults("{\"reversal_insufficient\":{\"count\":1}}");
    assert_wished(fake, receipt);
    assert_refused(fake, receipt, "reversal_under_way");
    tick(fake);
    assert_callback(fake);
    assert_string_equal(reversal_status(fake), "failed");
    assert_paid(fake, payment); /* with its tokens */
    assert_int_equal(fake_number(fake, "SELECT count(*) FROM token_lots l JOIN subscriptions s"
                                       " ON s.ends_at = l.expires_at"
                                       " WHERE l.reference LIKE 'adjust REV-%-1-BACK'"),
                     1);
    assert_wished(fake, receipt); /* the paybill has money again */
    tick(fake);
    assert_callback(fake);
    assert_string_equal(status(fake, payment), "reversed");
    assert_int_equal(available(fake), SCENE_TOKENS);
}

/* M-Pesa says of a second request that it is done: a lost answer costs nothing. */
static void a_lost_answer_is_asked_for_again(void **state)
{
    struct fake_stage *fake = *state;
    int64_t payment = bought(fake);

    simulator_faults("{\"reversal_close_accepted\":{\"count\":1},\"result_lost\":{\"count\":1}}");
    assert_wished(fake, receipt_of(fake, payment));
    tick(fake);
    assert_string_equal(reversal_status(fake), "asking");
    fake_stage_advance_ms(fake, 6 * MINUTE_MS);
    tick(fake);
    assert_string_equal(reversal_status(fake), "asked");
    assert_callback(fake);
    assert_string_equal(status(fake, payment), "reversed");
    assert_int_equal(simulator_count("reversed"), 1);
}

static void a_repeated_result_changes_nothing(void **state)
{
    struct fake_stage *fake = *state;
    int64_t payment = bought(fake);

    simulator_faults("{\"result_doubled\":1}");
    assert_wished(fake, receipt_of(fake, payment));
    tick(fake);
    assert_callback(fake);
    assert_callback(fake);
    assert_string_equal(status(fake, payment), "reversed");
    assert_int_equal(verdicts(fake, "reversed"), 2);
    assert_int_equal(available(fake), SCENE_TOKENS);
}

static void no_word_is_left_to_a_person(void **state)
{
    struct fake_stage *fake = *state;
    int64_t payment = bought(fake);
    const char *receipt = receipt_of(fake, payment);

    simulator_faults("{\"result_lost\":1}");
    assert_wished(fake, receipt);
    for (int i = 0; i < 7; i++) {
        tick(fake);
        fake_stage_advance_ms(fake, 6 * MINUTE_MS);
    }
    assert_string_equal(reversal_status(fake), "unresolved");
    assert_int_equal(fake_number(fake, "SELECT asked FROM payment_reversals"), 5);
    assert_int_equal(available(fake), SCENE_TOKENS); /* they stay taken */
    simulator_faults("{\"result_lost\":0}");
    assert_wished(fake, receipt);
    assert_int_equal(available(fake), SCENE_TOKENS);
    fake_stage_advance_ms(fake, MINUTE_MS);
    tick(fake);
    assert_callback(fake);
    assert_string_equal(status(fake, payment), "reversed");
}

static void a_provider_away_is_asked_later(void **state)
{
    struct fake_stage *fake = *state;
    int64_t payment = bought(fake);

    simulator_faults("{\"reversal_unavailable_503\":{\"count\":1}}");
    assert_wished(fake, receipt_of(fake, payment));
    tick(fake);
    assert_string_not_equal(reversal_status(fake), "failed");
    fake_stage_advance_ms(fake, 6 * MINUTE_MS);
    tick(fake);
    assert_callback(fake);
    assert_string_equal(status(fake, payment), "reversed");
}

static void without_an_initiator_nothing_is_lost(void **state)
{
    struct fake_stage *fake = *state;
    int64_t payment = bought(fake);

    setenv("MPESA_SECURITY_CREDENTIAL", "", 1);
    configure(fake, "MPESA_INITIATOR", "");
    assert_wished(fake, receipt_of(fake, payment));
    tick(fake);
    assert_string_equal(reversal_status(fake), "failed");
    assert_paid(fake, payment);
    setenv("MPESA_SECURITY_CREDENTIAL", CREDENTIAL, 1);
    configure(fake, "MPESA_INITIATOR", "apiop");
}

static void forged_results_reverse_nothing(void **state)
{
    struct fake_stage *fake = *state;
    int64_t payment = bought(fake);
    static const char done[] =
        "{\"Result\":{\"ResultType\":0,\"ResultCode\":0,\"ResultDesc\":\"ok\","
        "\"OriginatorConversationID\":\"71840-27539181-07\",\"ConversationID\":\"AG_20261120_1\","
        "\"TransactionID\":\"UKN9Z8Y7X6\"}}";

    assert_done(fake, report(fake, "result", "0123456789abcdef0123456789abcdef", done));
    assert_int_equal(verdicts(fake, "unknown_secret"), 1);
    assert_wished(fake, receipt_of(fake, payment));
    assert_done(fake, report(fake, "result", "", done));
    assert_string_equal(reversal_status(fake), "requested");
    tick(fake);
    assert_callback(fake);
    assert_string_equal(status(fake, payment), "reversed");
}

/* What is told again of money on its way back credits nothing. */
static void money_on_its_way_back_settles_nothing(void **state)
{
    struct fake_stage *fake = *state;
    struct purchase purchase;
    int64_t payment;
    struct err err;
    const char *reference;

    register_c2b();
    simulator_faults("{\"cancels\":{\"count\":1},\"c2b_lost\":1}");
    payment = prompt(fake);
    assert_callback(fake);
    reference = reference_of(fake, payment);
    assert_done(fake, report(fake, "confirmation", C2B_TOKEN, c2b("UKK1ABCDEF", "4500.00", "TK")));
    assert_wished(fake, "UKK1ABCDEF");
    assert_done(fake,
                report(fake, "confirmation", C2B_TOKEN, c2b("UKK1ABCDEF", "4500.00", reference)));
    assert_true(db_begin(fake_db(fake), &err));
    assert_false(payment_match(fake_db(fake), "UKK1ABCDEF", reference, "mine", clock_now_ms(),
                               arena, &purchase, &err));
    assert_string_equal(err.what, "receipt_reversed");
    db_rollback(fake_db(fake));
    assert_int_equal(available(fake), SCENE_TOKENS);
    assert_int_equal(receipts(fake, "reversing"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PAYING(a_payment_is_paid_back),
        PAYING(money_that_bought_nothing_is_paid_back),
        PAYING(tokens_that_are_spent_need_a_word),
        PAYING(what_is_not_paid_back_is_given_again),
        PAYING(a_lost_answer_is_asked_for_again),
        PAYING(a_repeated_result_changes_nothing),
        PAYING(no_word_is_left_to_a_person),
        PAYING(a_provider_away_is_asked_later),
        PAYING(without_an_initiator_nothing_is_lost),
        PAYING(forged_results_reverse_nothing),
        PAYING(money_on_its_way_back_settles_nothing),
    };

    return cmocka_run_group_tests(tests, start_all, stop_all);
}
