/*
 * settle-payment: money that came by other ways, or that nobody can name; forgeries; who settles at
 * once
 */
#include <pthread.h>

#include "ledger/ledger.h"
#include "settle_scene.h"

/* The push's answer and its callback are lost; the money's confirmation finds its purchase. */
static void a_confirmation_stands_for_a_lost_callback(void **state)
{
    struct fake_stage *fake = *state;
    int64_t payment = buy(fake);

    register_c2b();
    simulator_faults("{\"push_close_accepted\":{\"count\":1},\"callback_lost\":1}");
    assert_done(fake, ask(fake, payment));
    assert_string_equal(status(fake, payment), "push_unknown");
    assert_callback(fake);
    assert_paid(fake, payment);
    assert_told(fake, payment, "paid", "");
    assert_string_equal(fake_text(fake, "SELECT source FROM payment_receipts"), "confirmation");
}

static void callback_and_confirmation_are_one_payment(void **state)
{
    struct fake_stage *fake = *state;
    int64_t payment = buy(fake);

    register_c2b();
    assert_done(fake, ask(fake, payment));
    assert_callback(fake);
    assert_callback(fake);
    assert_paid(fake, payment);
    assert_int_equal(fake_number(fake, "SELECT count(*) FROM payment_callbacks"), 2);
    assert_int_equal(fake_number(fake, "SELECT count(*) FROM payment_receipts"), 1);
}

static void a_payment_by_hand_is_matched_by_its_reference(void **state)
{
    struct fake_stage *fake = *state;
    struct payment_changed changed;
    const char *reference;
    int64_t payment;

    register_c2b();
    simulator_faults("{\"cancels\":{\"count\":1}}");
    payment = prompt(fake);
    assert_callback(fake);
    reference = reference_of(fake, payment);
    simulator_post("pay", arena_printf(arena,
                                       "{\"phone\":\"254700000009\",\"amount\":%d,"
                                       "\"reference\":\"%s\"}",
                                       PRICE / 100, reference));
    assert_callback(fake);
    assert_int_equal(available(fake), SCENE_TOKENS + TOKENS);
    assert_told(fake, payment, "failed", "cancelled"); /* it was not this one */
    fake_stage_read(fake, &payment_changed_v1, 0, &changed);
    assert_string_equal(changed.purchase_status, "paid");
    assert_int_equal(receipts(fake, "credited"), 1);
    simulator_post("pay", "{\"phone\":\"254700000009\",\"amount\":77,\"reference\":\"rent\"}");
    assert_callback(fake);
    assert_int_equal(receipts(fake, "unmatched"), 1);
    assert_int_equal(available(fake), SCENE_TOKENS + TOKENS);
}

/* Whoever sees that the payer mistyped the reference matches the money by hand, once. */
static void a_person_matches_what_nothing_else_could(void **state)
{
    struct fake_stage *fake = *state;
    int64_t payment = buy(fake);
    const char *reference = reference_of(fake, payment);
    struct receipt *open;
    struct purchase purchase;
    struct err err;
    size_t count;

    register_c2b();
    simulator_faults("{\"cancels\":{\"count\":1}}");
    assert_done(fake, ask(fake, payment));
    assert_callback(fake);
    /* In the simulator's books, under the right reference, for the check at the end. */
    simulator_faults("{\"c2b_lost\":1}");
    simulator_post(
        "pay", arena_printf(arena, "{\"phone\":\"254700000009\",\"amount\":1,\"reference\":\"%s\"}",
                            reference));
    assert_done(fake, report(fake, "confirmation", C2B_TOKEN, c2b("UKK1ABCDEF", "4500.00", "TK")));
    assert_true(receipt_list(fake_db(fake), RECEIPTS_OPEN, 0, 10, arena, &open, &count, &err));
    assert_int_equal(count, 1);
    assert_string_equal(open[0].receipt, "UKK1ABCDEF");
    assert_true(db_begin(fake_db(fake), &err));
    assert_true(payment_match(fake_db(fake), "ukk1abcdef", reference, "mistyped", clock_now_ms(),
                              arena, &purchase, &err));
    assert_true(db_commit(fake_db(fake), &err));
    assert_string_equal(purchase.status, "paid");
    assert_int_equal(available(fake), SCENE_TOKENS + TOKENS);
    tick(fake); /* who matched it cannot tell */
    assert_told(fake, payment, "failed", "cancelled");
    tick(fake);
    assert_int_equal(fake_stage_emitted(fake), 0);
    assert_true(db_begin(fake_db(fake), &err));
    assert_false(payment_match(fake_db(fake), "UKK1ABCDEF", reference, "again", clock_now_ms(),
                               arena, &purchase, &err));
    assert_string_equal(err.what, "receipt_credited");
    db_rollback(fake_db(fake));
    assert_done(fake, report(fake, "confirmation", C2B_TOKEN, c2b("UKK1ABCDEF", "4500.00", "TK")));
    assert_int_equal(available(fake), SCENE_TOKENS + TOKENS);
}

static void grant_by_hand(struct fake_stage *fake, int64_t payment)
{
    struct err err;

    assert_true(db_begin(fake_db(fake), &err));
    assert_true(ledger_grant(fake_db(fake), 1, TOKENS, reference_of(fake, payment), 0,
                             clock_now_ms(), NULL, &err));
    assert_true(db_commit(fake_db(fake), &err));
}

/* An operator was asked to, and gave the tokens under the purchase's own reference. */
static void what_was_granted_by_hand_is_not_granted_again(void **state)
{
    struct fake_stage *fake = *state;
    int64_t told = prompt(fake), queried;

    simulator_faults("{\"callback_lost\":1}");
    queried = prompt(fake);
    grant_by_hand(fake, told);
    grant_by_hand(fake, queried);
    assert_callback(fake);
    assert_string_equal(status(fake, told), "unresolved");
    assert_string_equal(reason(fake, told), "reference_used");
    assert_int_equal(verdicts(fake, "unmatched"), 1);
    for (int i = 0; i < 3; i++) { /* asked, awaited, not credited; and the tick goes on */
        fake_stage_advance_ms(fake, 3 * MINUTE_MS);
        tick(fake);
    }
    assert_string_equal(status(fake, queried), "unresolved");
    assert_int_equal(receipts(fake, "unmatched"), 2);
    assert_int_equal(fake_number(fake, "SELECT count(*) FROM subscriptions"), 0);
    fake_sql(fake, "DELETE FROM payment_receipts");
    fake_sql(fake, "DELETE FROM payment_callbacks");
    fake_sql(fake, "DELETE FROM payments");
    fake_sql(fake, "DELETE FROM purchases");
}

static void forged_callbacks_credit_nothing(void **state)
{
    struct fake_stage *fake = *state;
    int64_t payment;
    const char *body;
    char *elsewhere;

    simulator_faults("{\"cancels\":1,\"callback_lost\":1}");
    payment = prompt(fake);
    body = arena_printf(arena,
                        "{\"Body\":{\"stkCallback\":{\"MerchantRequestID\":\"m\","
                        "\"CheckoutRequestID\":\"%s\",\"ResultCode\":0,\"ResultDesc\":\"ok\","
                        "\"CallbackMetadata\":{\"Item\":[{\"Name\":\"Amount\",\"Value\":4500.00},"
                        "{\"Name\":\"MpesaReceiptNumber\",\"Value\":\"UAB1CD2EF3\"},"
                        "{\"Name\":\"TransactionDate\",\"Value\":20261120101500},"
                        "{\"Name\":\"PhoneNumber\",\"Value\":254712345678}]}}}}",
                        checkout(fake, payment));
    assert_done(fake, report(fake, "stk", "00112233445566778899aabbccddeeff", body));
    assert_done(fake, report(fake, "stk", "", body));
    assert_done(fake, report(fake, "confirmation", "guessed",
                             c2b("UAB1CD2EF3", "4500.00", reference_of(fake, payment))));
    assert_done(fake, report(fake, "confirmation", "",
                             c2b("UAB1CD2EF3", "4500.00", reference_of(fake, payment))));
    assert_int_equal(verdicts(fake, "unknown_secret"), 4);
    elsewhere = arena_strdup(arena, c2b("UAB1CD2EF3", "4500.00", reference_of(fake, payment)));
    memcpy(strstr(elsewhere, "174379"), "174378", 6); /* another's paybill */
    assert_done(fake, report(fake, "confirmation", C2B_TOKEN, elsewhere));
    assert_int_equal(verdicts(fake, "mismatch"), 1);
    assert_done(fake, report(fake, "stk", "00112233445566778899aabbccddeeff", "{\"Body\":"));
    assert_done(fake, report(fake, "stk", "", "<html>"));
    assert_done(fake, report(fake, "confirmation", C2B_TOKEN, ""));
    assert_int_equal(verdicts(fake, "misread"), 3);
    assert_done(fake, report(fake, "validation", C2B_TOKEN, "{}"));
    assert_int_equal(verdicts(fake, "kept"), 1);
    assert_string_equal(status(fake, payment), "prompted");
    assert_int_equal(fake_number(fake, "SELECT count(*) FROM payment_receipts"), 0);
    /* One that names a payment is a reason to ask, and M-Pesa knows better. */
    tick(fake);
    assert_string_equal(status(fake, payment), "failed");
}

/* The secret of one payment is worth nothing for another's checkout. */
static void a_secret_is_good_for_its_own_payment(void **state)
{
    struct fake_stage *fake = *state;
    struct posted posted;
    int64_t first, second;

    first = prompt(fake);
    assert_true(receiver_take(CALLBACK_MS, &posted));
    simulator_faults("{\"cancels\":1,\"callback_lost\":1}");
    second = buy_from(fake, PAYER + 1);
    assert_done(fake, ask(fake, second));
    scene_sql(fake,
              "UPDATE payments y SET secret_hash = NULL WHERE id = %lld;"
              "UPDATE payments SET secret_hash = sha256('%s') WHERE id = %lld",
              (long long)first, strrchr(posted.path, '/') + 1, (long long)second);
    assert_done(fake, report(fake, "stk", strrchr(posted.path, '/') + 1, posted.body));
    assert_int_equal(verdicts(fake, "mismatch"), 1);
    assert_string_equal(status(fake, second), "prompted");
    scene_sql(fake,
              "UPDATE payments y SET secret_hash = NULL WHERE id = %lld;"
              "UPDATE payments SET secret_hash = sha256('%s') WHERE id = %lld",
              (long long)second, strrchr(posted.path, '/') + 1, (long long)first);
    assert_done(fake, report(fake, "stk", strrchr(posted.path, '/') + 1, posted.body));
    assert_paid(fake, first);
}

static void bad_messages_are_refused(void **state)
{
    struct fake_stage *fake = *state;

    assert_int_equal(fake_stage_send(fake, REQUESTED, scene_message(), "{\"payment\":\"cmp_1\"}"),
                     STAGE_REJECT);
    assert_string_equal(fake_stage_why(fake), "bad_payment");
    assert_int_equal(ask(fake, scene_id()), STAGE_RETRY);
    assert_string_equal(fake_stage_why(fake), "payment_unknown");
    assert_int_equal(fake_stage_send(fake, REPORTED, scene_message(),
                                     "{\"provider\":\"other\",\"kind\":\"stk\",\"raw\":\"\","
                                     "\"received_at\":\"2026-11-20T10:00:00Z\"}"),
                     STAGE_REJECT);
    assert_string_equal(fake_stage_why(fake), "bad_provider");
}

#define SETTLERS 8
#define ROUNDS 5

struct settler {
    const char *url;
    pthread_t thread;
    char receipt[16];
    char reference[16];
    int64_t payment;
    int credited, failed;
};

static void *settle(void *argument)
{
    struct settler *settler = argument;
    struct arena *own = arena_create(4u << 20);
    struct db *db = NULL;
    struct payment_outcome outcome;
    struct err err;
    bool settled = db_open(settler->url, "settler", &db, &err) && db_begin(db, &err) &&
                   payment_settle(db,
                                  &(struct payment_money){
                                      .provider = "mpesa",
                                      .receipt = settler->receipt,
                                      .amount_minor = PRICE,
                                      .currency = "KES",
                                      .bill_reference = settler->reference,
                                      .source = settler->payment ? "stk" : "confirmation",
                                      .payment = settler->payment,
                                  },
                                  clock_now_ms(), own, &outcome, &err) &&
                   db_commit(db, &err);

    if (settled) {
        settler->credited = outcome.settled == PAYMENT_CREDITED;
    } else {
        settler->failed = 1;
    }
    db_close(db);
    arena_destroy(own);
    return NULL;
}

/* Two receipts, each told by callback and by confirmation and each of these twice, all at once. */
static void who_settles_at_once_credits_once(void **state)
{
    struct fake_stage *fake = *state;

    for (int round = 0; round < ROUNDS; round++) {
        struct settler settlers[SETTLERS] = { 0 };
        int64_t payment;
        int credited = 0;

        simulator_faults("{\"callback_lost\":1}");
        payment = buy_from(fake, PAYER + round);
        assert_done(fake, ask(fake, payment));
        for (int i = 0; i < SETTLERS; i++) {
            settlers[i].url = fake_url(fake);
            settlers[i].payment = i % 4 == 0 ? payment : 0;
            snprintf(settlers[i].receipt, sizeof settlers[i].receipt, "UKR%dRECEIPT%d", round,
                     i % 2);
            snprintf(settlers[i].reference, sizeof settlers[i].reference, "%s",
                     reference_of(fake, payment));
        }
        for (int i = 0; i < SETTLERS; i++) {
            pthread_create(&settlers[i].thread, NULL, settle, &settlers[i]);
        }
        for (int i = 0; i < SETTLERS; i++) {
            pthread_join(settlers[i].thread, NULL);
            assert_int_equal(settlers[i].failed, 0);
            credited += settlers[i].credited;
        }
        assert_int_equal(credited, 1);
        assert_int_equal(available(fake), SCENE_TOKENS + (round + 1) * TOKENS);
        assert_string_equal(status(fake, payment), "paid");
    }
    assert_int_equal(receipts(fake, "credited"), ROUNDS);
    assert_int_equal(receipts(fake, "unmatched"), ROUNDS);
    await_payers();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PAYING(a_confirmation_stands_for_a_lost_callback),
        PAYING(callback_and_confirmation_are_one_payment),
        PAYING(a_payment_by_hand_is_matched_by_its_reference),
        PAYING(a_person_matches_what_nothing_else_could),
        PAYING(what_was_granted_by_hand_is_not_granted_again),
        PAYING(forged_callbacks_credit_nothing),
        PAYING(a_secret_is_good_for_its_own_payment),
        PAYING(bad_messages_are_refused),
        PAYING(who_settles_at_once_credits_once),
    };

    return cmocka_run_group_tests(tests, start_all, stop_all);
}
