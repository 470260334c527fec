/* settle-payment: what nobody told of is asked about, so often and no oftener */
#include "settle_scene.h"

static void a_query_finds_out_what_no_callback_told(void **state)
{
    struct fake_stage *fake = *state;
    int64_t payment;

    simulator_faults("{\"cancels\":1,\"callback_lost\":1}");
    payment = prompt(fake);
    tick(fake); /* too early to ask */
    assert_int_equal(simulator_count("asked"), 0);
    fake_stage_advance_ms(fake, 26 * SECOND_MS);
    tick(fake);
    assert_int_equal(simulator_count("asked"), 1);
    assert_string_equal(status(fake, payment), "failed");
    assert_string_equal(reason(fake, payment), "cancelled");
    assert_told(fake, payment, "failed", "cancelled");
}

static void what_is_paid_without_a_receipt_waits_for_it(void **state)
{
    struct fake_stage *fake = *state;
    int64_t payment;
    char id[ID_MESSAGE_BYTES];

    simulator_faults("{\"callback_lost\":1}");
    payment = prompt(fake);
    fake_stage_advance_ms(fake, 26 * SECOND_MS);
    tick(fake);
    assert_string_equal(status(fake, payment), "prompted");
    assert_string_equal(reason(fake, payment), "paid_receipt_awaited");
    assert_told(fake, payment, "prompted", "paid_receipt_awaited");
    assert_int_equal(available(fake), SCENE_TOKENS);
    fake_stage_advance_ms(fake, 119 * SECOND_MS);
    tick(fake);
    assert_int_equal(available(fake), SCENE_TOKENS);
    fake_stage_advance_ms(fake, 2 * SECOND_MS);
    assert_true(fake_stage_tick_lost(fake));
    assert_int_equal(fake_stage_emitted(fake), 1);
    snprintf(id, sizeof id, "%s", fake_stage_out(fake, 0)->id);
    tick(fake);
    assert_string_equal(fake_stage_out(fake, 0)->id, id);
    assert_told(fake, payment, "paid", "");
    assert_paid(fake, payment);
    assert_memory_equal(fake_text(fake, "SELECT receipt FROM payments"), "QUERY-ws_CO_", 12);
    /* The real receipt comes after all: it is the same money. */
    simulator_faults("{\"callback_lost\":0}");
    simulator_post("repeat-callback", arena_printf(arena, "{\"checkout_request_id\":\"%s\"}",
                                                   checkout(fake, payment)));
    assert_callback(fake);
    assert_paid(fake, payment);
    assert_int_equal(verdicts(fake, "known"), 1);
    assert_int_equal(fake_number(fake, "SELECT count(*) FROM payment_receipts"), 1);
    assert_int_equal(
        fake_number(fake, "SELECT count(*) FROM payments WHERE receipt LIKE 'QUERY-%'"), 0);
    tick(fake);
    assert_int_equal(fake_stage_emitted(fake), 0);
}

/* Who credits two holds one purchase while it waits for the other: so others could wait for it. */
static void a_tick_credits_one_purchase_of_an_account(void **state)
{
    struct fake_stage *fake = *state;

    simulator_faults("{\"callback_lost\":1}");
    (void)prompt(fake);
    (void)prompt(fake);
    fake_sql(fake, "UPDATE payments SET reason = 'paid_receipt_awaited',"
                   "                    next_query_at = '2000-01-01Z'");
    for (int paid = 1; paid <= 2; paid++) {
        tick(fake);
        assert_int_equal(fake_number(fake, "SELECT count(*) FROM payments WHERE status = 'paid'"),
                         paid);
    }
}

static void the_receipt_ends_the_wait_for_it(void **state)
{
    struct fake_stage *fake = *state;
    int64_t payment;

    simulator_post("stop-callbacks", "");
    payment = prompt(fake);
    fake_stage_advance_ms(fake, 26 * SECOND_MS);
    tick(fake);
    assert_string_equal(reason(fake, payment), "paid_receipt_awaited");
    simulator_post("start-callbacks", "");
    assert_callback(fake);
    assert_paid(fake, payment);
    fake_stage_advance_ms(fake, 10 * MINUTE_MS);
    tick(fake);
    assert_int_equal(fake_number(fake, "SELECT count(*) FROM payment_receipts"), 1);
}

/* M-Pesa may be asked so seldom that others had all the turns, or it answered none. */
static void what_was_never_asked_about_is_asked_once_after_giving_up(void **state)
{
    struct fake_stage *fake = *state;
    int64_t payments[3];

    simulator_faults(
        "{\"callback_lost\":1,\"force\":\"679:no_answer,680:pays_late\","
        "\"late_ms\":600000,\"query_spike_arrest\":{\"count\":1},\"retry_after_s\":5}");
    for (int i = 0; i < 3; i++) {
        payments[i] = buy_from(fake, PAYER + i);
        assert_done(fake, ask(fake, payments[i]));
    }
    await_payers_but(1); /* who pays late */
    assert_int_equal(simulator_count("open"), 1);
    fake_stage_advance_ms(fake, 26 * SECOND_MS);
    tick(fake); /* throttled */
    assert_int_equal(fake_number(fake, "SELECT sum(queries) FROM payments"), 0);
    fake_stage_advance_ms(fake, 10 * MINUTE_MS);
    tick(fake);
    for (int i = 0; i < 3; i++) {
        assert_string_equal(status(fake, payments[i]), "unresolved");
    }
    for (int i = 0; i < 6; i++) {
        tick(fake);
        fake_stage_advance_ms(fake, 13 * SECOND_MS);
    }
    assert_string_equal(status(fake, payments[0]), "prompted");
    assert_string_equal(status(fake, payments[1]), "failed");
    assert_string_equal(status(fake, payments[2]), "unresolved");
    assert_int_equal(fake_number(fake, "SELECT sum(queries) FROM payments"), 3);
    fake_stage_advance_ms(fake, 2 * MINUTE_MS);
    tick(fake);
    assert_string_equal(status(fake, payments[0]), "paid");
}

static void queries_share_one_limit(void **state)
{
    struct fake_stage *fake = *state;

    simulator_faults("{\"no_answer\":1,\"prompt_ms\":60000,\"callback_lost\":1}");
    for (int i = 0; i < 4; i++) {
        assert_done(fake, ask(fake, buy_from(fake, PAYER + i)));
    }
    fake_stage_advance_ms(fake, 26 * SECOND_MS);
    for (int i = 0; i < 3; i++) {
        tick(fake);
    }
    assert_int_equal(simulator_count("asked"), 1);
    fake_stage_restart(fake); /* another worker has the same limit */
    tick(fake);
    assert_int_equal(simulator_count("asked"), 1);
    fake_stage_advance_ms(fake, 11 * SECOND_MS);
    tick(fake);
    assert_int_equal(simulator_count("asked"), 1);
    fake_stage_advance_ms(fake, SECOND_MS);
    tick(fake);
    assert_int_equal(simulator_count("asked"), 2);
    fake_stage_advance_ms(fake, 12 * SECOND_MS);
    tick(fake);
    assert_int_equal(simulator_count("asked"), 3);
    assert_int_equal(fake_number(fake, "SELECT count(*) FROM payments WHERE queries = 1"), 3);
}

static void a_throttled_query_holds_all(void **state)
{
    struct fake_stage *fake = *state;

    simulator_faults("{\"no_answer\":1,\"prompt_ms\":60000,\"query_spike_arrest\":{\"count\":1},"
                     "\"retry_after_s\":40}");
    for (int i = 0; i < 2; i++) {
        assert_done(fake, ask(fake, buy_from(fake, PAYER + i)));
    }
    fake_stage_advance_ms(fake, 26 * SECOND_MS);
    tick(fake);
    assert_int_equal(simulator_count("asked"), 1);
    fake_stage_advance_ms(fake, 39 * SECOND_MS);
    tick(fake);
    assert_int_equal(simulator_count("asked"), 1);
    fake_stage_advance_ms(fake, 2 * SECOND_MS);
    tick(fake);
    assert_int_equal(simulator_count("asked"), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PAYING(a_query_finds_out_what_no_callback_told),
        PAYING(what_is_paid_without_a_receipt_waits_for_it),
        PAYING(a_tick_credits_one_purchase_of_an_account),
        PAYING(the_receipt_ends_the_wait_for_it),
        PAYING(what_was_never_asked_about_is_asked_once_after_giving_up),
        PAYING(queries_share_one_limit),
        PAYING(a_throttled_query_holds_all),
    };

    return cmocka_run_group_tests(tests, start_all, stop_all);
}
