/* settle-payment: the payer is asked once, and what was paid is credited once */
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "settle_scene.h"

static void what_was_paid_is_credited(void **state)
{
    struct fake_stage *fake = *state;
    int64_t payment = buy(fake);

    assert_done(fake, ask(fake, payment)); /* and again, by the harness */
    assert_told(fake, payment, "prompted", "");
    assert_int_equal(simulator_count("accepted"), 1);
    assert_callback(fake);
    assert_told(fake, payment, "paid", "");
    assert_paid(fake, payment);
    assert_int_equal(verdicts(fake, "settled"), 1);
    assert_int_equal(fake_number(fake, "SELECT count(*) FROM payment_callbacks"
                                       " WHERE body LIKE '%MpesaReceiptNumber%' AND kind = 'stk'"
                                       "   AND payment_id IS NOT NULL"),
                     1);
    assert_string_equal(fake_text(fake, "SELECT source FROM payment_receipts"), "stk");
    /* The secret itself is nowhere. */
    assert_int_equal(fake_number(fake, "SELECT octet_length(secret_hash) FROM payments"), 32);
}

static void what_was_agreed_holds(void **state)
{
    struct fake_stage *fake = *state;
    int64_t payment = prompt(fake);

    fake_sql(fake, "UPDATE plans SET price_minor = 1, tokens = 1, valid_days = 1, on_sale = false"
                   " WHERE code = 'business'");
    assert_callback(fake);
    assert_paid(fake, payment);
    assert_int_equal(fake_number(fake, "SELECT count(*) FROM subscriptions WHERE tokens = 5000"
                                       "   AND price_minor = 450000"
                                       "   AND ends_at - starts_at = interval '30 days'"),
                     1);
}

static void a_failure_says_why(void **state)
{
    static const struct {
        const char *behaviour, *reason;
    } cases[] = {
        { "cancels", "cancelled" },     { "wrong_pin", "wrong_pin" },
        { "no_answer", "no_answer" },   { "insufficient", "insufficient_funds" },
        { "pin_locked", "pin_locked" },
    };
    struct fake_stage *fake = *state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t payment = buy(fake);

        simulator_faults(arena_printf(arena, "{\"force\":\"%lld:%s\"}", PAYER, cases[i].behaviour));
        assert_done(fake, ask(fake, payment));
        assert_callback(fake);
        assert_string_equal(status(fake, payment), "failed");
        assert_string_equal(reason(fake, payment), cases[i].reason);
        assert_told(fake, payment, "failed", cases[i].reason);
    }
    assert_int_equal(available(fake), SCENE_TOKENS);
    assert_int_equal(fake_number(fake, "SELECT count(*) FROM payment_receipts"), 0);
}

static void what_failed_may_be_paid_again(void **state)
{
    struct fake_stage *fake = *state;
    int64_t first, second;

    simulator_faults("{\"cancels\":{\"count\":1}}");
    first = prompt(fake);
    assert_callback(fake);
    assert_string_equal(status(fake, first), "failed");
    second = pay_again(fake, reference_of(fake, first), PAYER + 1);
    assert_done(fake, ask(fake, second));
    assert_callback(fake);
    assert_paid(fake, second);
    assert_string_equal(status(fake, first), "failed");
}

static void an_unfinished_payment_keeps_its_purchase(void **state)
{
    struct fake_stage *fake = *state;
    int64_t payment = buy(fake);
    struct purchase purchase;
    struct payment other;
    struct err err;

    assert_true(purchase_find_by_reference(fake_db(fake), 1, reference_of(fake, payment), arena,
                                           &purchase, &err));
    assert_false(
        payment_create(fake_db(fake), &purchase, PAYER, clock_now_ms(), arena, &other, &err));
    assert_string_equal(err.what, "payment_under_way");
    assert_done(fake, ask(fake, payment));
    assert_callback(fake);
    assert_false(
        payment_create(fake_db(fake), &purchase, PAYER, clock_now_ms(), arena, &other, &err));
    assert_string_equal(err.what, "purchase_paid");
    assert_false(purchase_find(fake_db(fake), 2, purchase.id, arena, &purchase, &err));
    assert_string_equal(err.what, "purchase_unknown");
    assert_false(payment_find(fake_db(fake), 2, payment, arena, &other, &err));
    assert_string_equal(err.what, "payment_unknown");
}

static void a_free_plan_is_had_at_once_and_once(void **state)
{
    struct fake_stage *fake = *state;
    struct purchase purchase;
    struct err err;

    assert_true(purchase_create(fake_db(fake), 2, "demo", clock_now_ms(), arena, &purchase, &err));
    assert_string_equal(purchase.status, "paid");
    assert_int_equal(fake_number(fake, "SELECT available FROM token_balances WHERE account_id = 2"),
                     100);
    assert_false(purchase_create(fake_db(fake), 2, "demo", clock_now_ms(), arena, &purchase, &err));
    assert_string_equal(err.what, "plan_only_once");
    fake_sql(fake, "DELETE FROM purchases"); /* nobody paid for it */
}

static void repeated_callbacks_credit_once(void **state)
{
    struct fake_stage *fake = *state;
    int64_t payment = buy(fake);

    simulator_faults("{\"callback_tripled\":1}");
    assert_done(fake, ask(fake, payment));
    for (int i = 0; i < 3; i++) {
        assert_callback(fake);
        assert_told(fake, payment, "paid", "");
    }
    assert_paid(fake, payment);
    assert_int_equal(verdicts(fake, "settled"), 1);
    assert_int_equal(verdicts(fake, "known"), 2);
    assert_int_equal(fake_number(fake, "SELECT count(*) FROM payment_receipts"), 1);
}

static void a_failure_told_twice_is_one_failure(void **state)
{
    struct fake_stage *fake = *state;
    int64_t payment = buy(fake);

    simulator_faults("{\"callback_doubled\":1,\"cancels\":1}");
    assert_done(fake, ask(fake, payment));
    assert_callback(fake);
    assert_callback(fake);
    assert_string_equal(status(fake, payment), "failed");
    assert_string_equal(reason(fake, payment), "cancelled");
}

/* The payment is claimed and the answer to its push not here when its callback is handled. */
static void a_callback_may_come_before_the_answer(void **state)
{
    struct fake_stage *fake = *state;
    struct posted posted;
    int64_t payment = buy(fake);

    simulator_faults("{\"push_close_accepted\":1}");
    assert_done(fake, ask(fake, payment));
    assert_string_equal(status(fake, payment), "push_unknown");
    assert_string_equal(checkout(fake, payment), "");
    assert_true(receiver_take(CALLBACK_MS, &posted));
    scene_sql(fake, "UPDATE payments SET status = 'pushing' WHERE id = %lld", (long long)payment);
    assert_done(fake, report(fake, "stk", strrchr(posted.path, '/') + 1, posted.body));
    assert_paid(fake, payment);
    assert_memory_equal(checkout(fake, payment), "ws_CO_", 6);
    assert_done(fake, ask(fake, payment)); /* redelivered */
    assert_paid(fake, payment);
    assert_int_equal(simulator_count("accepted"), 1);
}

static void a_late_success_after_a_failure_counts(void **state)
{
    struct fake_stage *fake = *state;
    int64_t payment = buy(fake);

    simulator_faults("{\"pays_after_failure\":1,\"late_ms\":150}");
    assert_done(fake, ask(fake, payment));
    assert_callback(fake);
    assert_string_equal(status(fake, payment), "failed");
    assert_callback(fake);
    assert_paid(fake, payment);
    assert_told(fake, payment, "paid", "");
}

static void a_late_success_after_giving_up_counts(void **state)
{
    struct fake_stage *fake = *state;
    int64_t payment;

    simulator_faults("{\"query_processing_200\":1,\"query_unavailable_503\":1}");
    simulator_post("stop-callbacks", "");
    payment = prompt(fake);
    for (int minute = 0; minute < 11; minute++) {
        fake_stage_advance_ms(fake, MINUTE_MS);
        tick(fake);
    }
    assert_string_equal(status(fake, payment), "unresolved");
    assert_string_equal(reason(fake, payment), "no_word");
    assert_in_range(simulator_count("asked"), 3, 6); /* less and less often */
    simulator_post("start-callbacks", "");
    assert_callback(fake);
    assert_paid(fake, payment);
}

static void another_amount_is_not_credited(void **state)
{
    struct fake_stage *fake = *state;
    int64_t payment = buy(fake);

    simulator_faults("{\"pays_other\":1}");
    assert_done(fake, ask(fake, payment));
    assert_callback(fake);
    assert_string_equal(status(fake, payment), "unresolved");
    assert_string_equal(reason(fake, payment), "amount_differs");
    assert_int_equal(receipts(fake, "differs"), 1);
    assert_int_equal(verdicts(fake, "differs"), 1);
    assert_int_equal(available(fake), SCENE_TOKENS);
    fake_stage_advance_ms(fake, 20 * MINUTE_MS);
    tick(fake);
    assert_int_equal(available(fake), SCENE_TOKENS);
    assert_int_equal(simulator_count("asked"), 0);
}

static void a_push_whose_answer_is_lost_is_never_repeated(void **state)
{
    static const char *const faults[] = { "push_close_accepted",
                                          "push_error_500_accepted",
                                          "push_unavailable_503_accepted",
                                          "push_truncated",
                                          "push_empty",
                                          "push_html" };
    struct fake_stage *fake = *state;
    int expected = 0;

    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        int64_t payment = buy_from(fake, PAYER + (int64_t)i);

        simulator_faults(arena_printf(arena, "{\"%s\":{\"count\":1}}", faults[i]));
        assert_done(fake, ask(fake, payment));
        assert_string_equal(status(fake, payment), "push_unknown");
        assert_done(fake, ask(fake, payment));
        assert_int_equal(simulator_count("accepted"), ++expected);
        assert_callback(fake);
        assert_string_equal(status(fake, payment), "paid");
    }
    assert_int_equal(simulator_count("repeated"), 0);
    assert_int_equal(available(fake), SCENE_TOKENS + expected * TOKENS);
}

static void a_lost_push_without_a_callback_ends_unresolved(void **state)
{
    struct fake_stage *fake = *state;
    int64_t payment = buy(fake);

    simulator_faults("{\"push_close_accepted\":1,\"cancels\":1,\"callback_lost\":1}");
    assert_done(fake, ask(fake, payment));
    fake_stage_advance_ms(fake, 9 * MINUTE_MS);
    tick(fake);
    assert_string_equal(status(fake, payment), "push_unknown");
    fake_stage_advance_ms(fake, 2 * MINUTE_MS);
    tick(fake);
    assert_string_equal(status(fake, payment), "unresolved");
    assert_int_equal(fake_stage_emitted_of(fake, CHANGED), 1);
    assert_int_equal(simulator_count("asked"), 0);
}

/* Starts the program itself on one message. */
static pid_t start_once(struct fake_stage *fake, const char *crash_at, int64_t payment)
{
    int ends[2];
    const char *text =
        arena_printf(arena, REQUESTED " %s acme\n%s", scene_message(), request_json(payment));
    pid_t pid;

    assert_int_equal(pipe(ends), 0);
    pid = fork();
    if (pid == 0) {
        int nowhere = open("/dev/null", O_WRONLY);
        dup2(ends[0], STDIN_FILENO);
        dup2(nowhere, STDOUT_FILENO);
        dup2(nowhere, STDERR_FILENO);
        close(ends[1]);
        setenv("DATABASE_URL", fake_url(fake), 1);
        setenv("AMQP_URL", "amqp://nobody@127.0.0.1:1/none", 1);
        setenv("TUMA_CRASH_AT", crash_at, 1);
        execl(STAGE, STAGE, "--once", (char *)NULL);
        _exit(127);
    }
    assert_true(pid > 0);
    close(ends[0]);
    assert_int_equal(write(ends[1], text, strlen(text)), strlen(text));
    close(ends[1]);
    return pid;
}

/* How it ended. */
static int run_once(struct fake_stage *fake, const char *crash_at, int64_t payment)
{
    int status = 0;

    waitpid(start_once(fake, crash_at, payment), &status, 0);
    return status;
}

/* One worker waits for the answer to the push while another has its callback. */
static void a_callback_may_overtake_the_answer(void **state)
{
    struct fake_stage *fake = *state;
    int64_t payment = buy(fake);
    int ended = 0;
    pid_t pid;

    simulator_faults("{\"callback_early\":1,\"early_ms\":1500}");
    pid = start_once(fake, "", payment);
    assert_callback(fake);
    assert_int_equal(waitpid(pid, &ended, WNOHANG), 0); /* it still waits */
    assert_paid(fake, payment);
    waitpid(pid, &ended, 0);
    assert_true(WIFEXITED(ended) && WEXITSTATUS(ended) == 0);
    assert_paid(fake, payment);
    assert_memory_equal(checkout(fake, payment), "ws_CO_", 6);
}

#ifdef CRASH_POINTS
static void a_crash_never_pushes_twice(void **state)
{
    static const struct {
        const char *point, *status, *found;
        int pushes;
    } cases[] = {
        { "after_claim", "pushing", "push_unknown", 0 },
        { "after_push", "pushing", "push_unknown", 1 },
        { "after_record", "pushing", "push_unknown", 1 },
        { "after_commit", "prompted", "prompted", 1 },
    };
    struct fake_stage *fake = *state;
    int64_t expected = 0;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t payment = buy_from(fake, PAYER + (int64_t)i);

        int ended = run_once(fake, cases[i].point, payment);
        if (strcmp(cases[i].point, "after_commit") != 0) {
            assert_true(WIFSIGNALED(ended));
        }
        assert_string_equal(status(fake, payment), cases[i].status);
        assert_done(fake, ask(fake, payment));
        assert_string_equal(status(fake, payment), cases[i].found);
        expected += cases[i].pushes;
        assert_int_equal(simulator_count("accepted"), expected);
        if (cases[i].pushes > 0) {
            assert_callback(fake);
            assert_string_equal(status(fake, payment), "paid");
        }
    }
    assert_int_equal(simulator_count("repeated"), 0);
    assert_int_equal(available(fake), SCENE_TOKENS + expected * TOKENS);
}
#endif

static void the_program_itself_prompts(void **state)
{
    struct fake_stage *fake = *state;
    int64_t payment = buy(fake);
    int ended = run_once(fake, "", payment);

    assert_true(WIFEXITED(ended) && WEXITSTATUS(ended) == 0);
    assert_string_equal(status(fake, payment), "prompted");
    assert_callback(fake);
    assert_paid(fake, payment);
}

static void a_refused_token_is_replaced(void **state)
{
    struct fake_stage *fake = *state;
    int64_t payment;

    simulator_faults("{\"callback_lost\":{\"count\":1},\"cancels\":{\"count\":1}}");
    payment = prompt(fake);
    simulator_post("expire-tokens", "");
    fake_stage_advance_ms(fake, 26 * SECOND_MS);
    tick(fake); /* refused, and the token replaced */
    assert_string_equal(status(fake, payment), "prompted");
    fake_stage_advance_ms(fake, 13 * SECOND_MS);
    tick(fake);
    assert_string_equal(status(fake, payment), "failed");
    payment = buy_from(fake, PAYER + 1);
    simulator_post("expire-tokens", "");
    assert_done(fake, ask(fake, payment));
    assert_string_equal(status(fake, payment), "prompted");
    assert_callback(fake);
    assert_paid(fake, payment);
}

static void a_push_that_surely_failed_is_tried_again(void **state)
{
    static const char *const faults[] = { "push_spike_arrest", "push_spike_arrest_500",
                                          "push_quota", "push_busy", "push_locked" };
    struct fake_stage *fake = *state;

    fake_stage_repeat(fake, false); /* each repetition would push again */
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        int64_t payment = buy_from(fake, PAYER + (int64_t)i);

        simulator_faults(arena_printf(arena, "{\"%s\":{\"count\":1}}", faults[i]));
        assert_done(fake, ask(fake, payment));
        assert_string_equal(status(fake, payment), "requested");
        assert_int_equal(fake_stage_emitted_of(fake, REQUESTED), 1);
        assert_string_equal(fake_stage_out(fake, 0)->type, REQUESTED);
        assert_true(fake_stage_out(fake, 0)->delay_ms >= 1000);
        assert_string_equal(fake_stage_out(fake, 0)->json, request_json(payment));
        assert_done(fake, ask(fake, payment));
        assert_string_equal(status(fake, payment), "prompted");
        assert_callback(fake);
        assert_string_equal(status(fake, payment), "paid");
    }
}

static void a_payer_is_not_prompted_long_after(void **state)
{
    struct fake_stage *fake = *state;
    int64_t payment = buy(fake), other = buy_from(fake, PAYER + 1);

    simulator_faults("{\"push_spike_arrest\":1}");
    fake_stage_advance_ms(fake, 3 * MINUTE_MS - 500);
    fake_stage_repeat(fake, false);
    assert_done(fake, ask(fake, payment)); /* again would be too late */
    assert_string_equal(status(fake, payment), "failed");
    assert_int_equal(fake_stage_emitted_of(fake, REQUESTED), 0);
    fake_stage_advance_ms(fake, SECOND_MS);
    assert_done(fake, ask(fake, other));
    assert_string_equal(status(fake, other), "failed");
    assert_string_equal(reason(fake, other), "not_begun");
    assert_int_equal(simulator_count("accepted"), 0);
}

/* Its message is parked, or the stage was not there. */
static void what_was_never_begun_has_failed(void **state)
{
    struct fake_stage *fake = *state;
    int64_t payment = buy(fake);

    tick(fake);
    assert_string_equal(status(fake, payment), "requested");
    fake_stage_advance_ms(fake, PAYMENT_UNBEGUN_MS + SECOND_MS);
    tick(fake);
    assert_string_equal(status(fake, payment), "failed");
    assert_told(fake, payment, "failed", "not_begun");
}

static void bad_settings_fail_the_payment(void **state)
{
    struct fake_stage *fake = *state;
    int64_t payment = buy(fake), other;

    configure(fake, "MPESA_PASSKEY", "wrong");
    assert_done(fake, ask(fake, payment));
    assert_string_equal(status(fake, payment), "failed");
    configure(fake, "MPESA_PASSKEY",
              "bfb279f9aa9bdbcf158e97dd71a467cd2e0c893059b10f78e6b72ada1ed2c919");
    other = buy(fake);
    scene_sql(fake, "TRUNCATE daraja_tokens");
    configure(fake, "MPESA_CONSUMER_SECRET", "wrong");
    assert_done(fake, ask(fake, other));
    assert_string_equal(status(fake, other), "failed");
    assert_string_equal(reason(fake, other), "mpesa_bad_credentials");
    configure(fake, "MPESA_CONSUMER_SECRET", "simulator-secret");
}

static void two_payments_of_one_purchase_credit_it_once(void **state)
{
    struct fake_stage *fake = *state;
    int64_t first, second;

    simulator_post("stop-callbacks", "");
    first = prompt(fake);
    scene_sql(fake, "UPDATE payments SET status = 'unresolved' WHERE id = %lld", (long long)first);
    second = pay_again(fake, reference_of(fake, first), PAYER + 1);
    assert_done(fake, ask(fake, second));
    await_payers();
    simulator_post("start-callbacks", "");
    assert_callback(fake);
    assert_callback(fake);
    assert_int_equal(receipts(fake, "credited"), 1);
    assert_int_equal(receipts(fake, "unmatched"), 1);
    assert_int_equal(available(fake), SCENE_TOKENS + TOKENS);
    assert_int_equal(fake_number(fake, "SELECT count(*) FROM payments WHERE status = 'paid'"), 1);
    assert_int_equal(fake_number(fake, "SELECT count(*) FROM payments"
                                       " WHERE status = 'unresolved' AND reason = 'paid_twice'"),
                     1);
    fake_stage_advance_ms(fake, 20 * MINUTE_MS);
    tick(fake);
    assert_int_equal(available(fake), SCENE_TOKENS + TOKENS);
}

static void a_paid_purchase_is_not_asked_for(void **state)
{
    struct fake_stage *fake = *state;
    int64_t first, second;

    simulator_post("stop-callbacks", "");
    first = prompt(fake);
    scene_sql(fake, "UPDATE payments SET status = 'unresolved' WHERE id = %lld", (long long)first);
    second = pay_again(fake, reference_of(fake, first), PAYER + 1);
    simulator_post("start-callbacks", "");
    assert_callback(fake);
    assert_done(fake, ask(fake, second));
    assert_string_equal(status(fake, second), "failed");
    assert_string_equal(reason(fake, second), "purchase_paid");
    assert_int_equal(simulator_count("accepted"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PAYING(what_was_paid_is_credited),
        PAYING(what_was_agreed_holds),
        PAYING(a_failure_says_why),
        PAYING(what_failed_may_be_paid_again),
        PAYING(an_unfinished_payment_keeps_its_purchase),
        PAYING(a_free_plan_is_had_at_once_and_once),
        PAYING(repeated_callbacks_credit_once),
        PAYING(a_failure_told_twice_is_one_failure),
        PAYING(a_callback_may_come_before_the_answer),
        PAYING(a_late_success_after_a_failure_counts),
        PAYING(a_late_success_after_giving_up_counts),
        PAYING(another_amount_is_not_credited),
        PAYING(a_push_whose_answer_is_lost_is_never_repeated),
        PAYING(a_lost_push_without_a_callback_ends_unresolved),
        PAYING(a_callback_may_overtake_the_answer),
#ifdef CRASH_POINTS
        PAYING(a_crash_never_pushes_twice),
#endif
        PAYING(the_program_itself_prompts),
        PAYING(a_refused_token_is_replaced),
        PAYING(a_push_that_surely_failed_is_tried_again),
        PAYING(a_payer_is_not_prompted_long_after),
        PAYING(what_was_never_begun_has_failed),
        PAYING(bad_settings_fail_the_payment),
        PAYING(two_payments_of_one_purchase_credit_it_once),
        PAYING(a_paid_purchase_is_not_asked_for),
    };

    return cmocka_run_group_tests(tests, start_all, stop_all);
}
