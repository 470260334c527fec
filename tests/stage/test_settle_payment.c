/* settle-payment: the payer is asked once, and what was paid is credited once */
#include <fcntl.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/panic.h"
#include "msg/payment.h"
#include "payment/payment.h"
#include "provider/daraja.h"
#include "provider/daraja_reply.h"
#include "receiver.h"
#include "scene.h"
#include "simulator.h"

#define REQUESTED "payment.requested.v1"
#define REPORTED "payment.reported.v1"
#define CHANGED "payment.changed.v1"
#define PAYER 254712345678LL
#define PRICE 450000 /* of the plan that is bought here, and its tokens */
#define TOKENS 5000
#define C2B_TOKEN "c2b0c2b0c2b0c2b0"
#define CALLBACK_MS 5000
#define SECOND_MS 1000LL
#define MINUTE_MS (60 * SECOND_MS)

static struct arena *arena;

static int start_all(void **state)
{
    simulator_start("");
    receiver_start();
    arena = arena_create(16u << 20);
    setenv("MPESA_BASE_URL", simulator_root(), 1);
    setenv("MPESA_CONSUMER_KEY", "simulator-key", 1);
    setenv("MPESA_CONSUMER_SECRET", "simulator-secret", 1);
    setenv("MPESA_SHORTCODE", "174379", 1);
    setenv("MPESA_PASSKEY", "bfb279f9aa9bdbcf158e97dd71a467cd2e0c893059b10f78e6b72ada1ed2c919", 1);
    setenv("MPESA_TIMEOUT", "2s", 1);
    setenv("MPESA_C2B_TOKEN", C2B_TOKEN, 1);
    setenv("PUBLIC_URL", receiver_url(), 1);
    return scene_start_server(state);
}

static int stop_all(void **state)
{
    simulator_stop();
    receiver_stop();
    arena_destroy(arena);
    return scene_stop_server(state);
}

static int start(void **state)
{
    arena_reset(arena);
    receiver_forget();
    simulator_reset();
    simulator_faults("{\"pay_min_ms\":10,\"pay_max_ms\":20,\"callback_min_ms\":1,"
                     "\"callback_max_ms\":5,\"prompt_ms\":20}");
    return scene_start(state);
}

/* How often a text occurs in what the simulator tells. */
static int occurrences(const char *page, const char *text)
{
    int count = 0;

    for (const char *at = page; (at = strstr(at, text)) != NULL; at++) {
        count++;
    }
    return count;
}

/* What was paid is credited once; what differs, or nobody can name, is kept and not credited. */
static void assert_credited_what_was_paid(struct fake_stage *fake)
{
    char member[60];
    int64_t most = fake_number(fake, "SELECT count(*) FROM purchases");

    for (int64_t i = 0; i < most; i++) {
        const char *reference = scene_text(
            fake, "SELECT reference FROM purchases ORDER BY id OFFSET %lld", (long long)i);
        snprintf(member, sizeof member, "\"reference\":\"%s\"", reference);
        bool paid = occurrences(simulator_get("payments"), member) > 0;
        bool differs = scene_number(fake,
                                    "SELECT count(*) FROM payment_receipts r JOIN purchases p ON"
                                    " p.id = r.purchase_id WHERE p.reference = '%s'"
                                    " AND r.status = 'differs'",
                                    reference) > 0;
        int64_t credited = scene_number(
            fake, "SELECT count(*) FROM ledger_entries WHERE reference = '%s'", reference);
        assert_int_equal(credited, paid && !differs ? 1 : 0);
        assert_int_equal(scene_number(fake,
                                      "SELECT count(*) FROM subscriptions WHERE reference = '%s'",
                                      reference),
                         credited);
        assert_int_equal(scene_number(fake,
                                      "SELECT count(*) FROM purchases WHERE reference = '%s'"
                                      " AND status = 'paid' AND paid_at IS NOT NULL",
                                      reference),
                         credited);
    }
    assert_int_equal(fake_number(fake, "SELECT count(*) FROM (SELECT payment_id"
                                       "  FROM payment_receipts WHERE status = 'credited'"
                                       "  GROUP BY payment_id HAVING count(*) > 1"
                                       "     AND payment_id IS NOT NULL) AS twice"),
                     0);
}

static int stop(void **state)
{
    assert_int_equal(simulator_count("repeated_urls"), 0);
    assert_credited_what_was_paid(*state);
    return scene_stop(state);
}

#define PAYING(test) cmocka_unit_test_setup_teardown(test, start, stop)

static void configure(struct fake_stage *fake, const char *name, const char *value)
{
    setenv(name, value, 1);
    fake_stage_restart(fake);
}

/* A purchase's next payment, as the ingress makes it. */
static int64_t pay_again(struct fake_stage *fake, const char *reference, int64_t payer)
{
    struct purchase purchase;
    struct payment payment;
    struct err err;

    if (!purchase_find_by_reference(fake_db(fake), 1, reference, arena, &purchase, &err) ||
        !payment_create(fake_db(fake), &purchase, payer, clock_now_ms(), arena, &payment, &err)) {
        fail_msg("%s: %s", err.what, err.detail);
    }
    return payment.id;
}

static int64_t buy_from(struct fake_stage *fake, int64_t payer)
{
    struct purchase purchase;
    struct err err;

    if (!purchase_create(fake_db(fake), 1, "business", clock_now_ms(), arena, &purchase, &err)) {
        fail_msg("%s: %s", err.what, err.detail);
    }
    return pay_again(fake, purchase.reference, payer);
}

static int64_t buy(struct fake_stage *fake)
{
    return buy_from(fake, PAYER);
}

static const char *request_json(int64_t payment)
{
    static char json[80];
    char id[ID_TEXT_BYTES];

    id_format("pay", payment, id);
    snprintf(json, sizeof json, "{\"payment\":\"%s\"}", id);
    return json;
}

static enum verdict ask(struct fake_stage *fake, int64_t payment)
{
    return fake_stage_give(fake, &(struct fake_message){ .type = REQUESTED,
                                                         .id = scene_message(),
                                                         .json = request_json(payment),
                                                         .account = "acme" });
}

static enum verdict report(struct fake_stage *fake, const char *kind, const char *secret,
                           const char *body)
{
    const struct payment_reported reported = {
        .provider = "mpesa",
        .kind = kind,
        .secret = secret,
        .peer = "127.0.0.1",
        .raw = body,
        .received_ms = clock_now_ms(),
    };
    struct str json = { 0 };
    const char *text;

    shape_write(&payment_reported_v1, &reported, &json);
    text = arena_strdup(arena, json.bytes);
    str_free(&json);
    return fake_stage_give(
        fake, &(struct fake_message){ .type = REPORTED, .id = scene_message(), .json = text });
}

/* Gives the stage the next callback, as the ingress does; false: none came. */
static bool deliver(struct fake_stage *fake)
{
    static const char push_path[] = "/api/pay/";
    struct posted posted;
    const char *secret;
    bool confirmation;

    if (!receiver_take(CALLBACK_MS, &posted)) {
        return false;
    }
    secret = strrchr(posted.path, '/') + 1;
    confirmation = strstr(posted.path, "/c2b/confirmation/") != NULL;
    if (!confirmation) {
        assert_memory_equal(posted.path, push_path, sizeof push_path - 1);
        assert_int_equal(strlen(secret), 32);
    }
    assert_done(fake, report(fake, confirmation ? "confirmation" : "stk", secret, posted.body));
    return true;
}

static void assert_callback(struct fake_stage *fake)
{
    if (!deliver(fake)) {
        fail_msg("no callback");
    }
}

static const char *reference_of(struct fake_stage *fake, int64_t payment)
{
    return arena_strdup(arena, scene_text(fake,
                                          "SELECT p.reference FROM purchases p JOIN payments y"
                                          " ON y.purchase_id = p.id WHERE y.id = %lld",
                                          (long long)payment));
}

static const char *status(struct fake_stage *fake, int64_t payment)
{
    return scene_text(fake, "SELECT status FROM payments WHERE id = %lld", (long long)payment);
}

static const char *reason(struct fake_stage *fake, int64_t payment)
{
    return scene_text(fake, "SELECT reason FROM payments WHERE id = %lld", (long long)payment);
}

static const char *checkout(struct fake_stage *fake, int64_t payment)
{
    return scene_text(fake, "SELECT checkout_request FROM payments WHERE id = %lld",
                      (long long)payment);
}

static int64_t receipts(struct fake_stage *fake, const char *word)
{
    return scene_number(fake, "SELECT count(*) FROM payment_receipts WHERE status = '%s'", word);
}

static int64_t verdicts(struct fake_stage *fake, const char *word)
{
    return scene_number(fake, "SELECT count(*) FROM payment_callbacks WHERE verdict = '%s'", word);
}

static int64_t available(struct fake_stage *fake)
{
    return fake_number(fake, "SELECT available FROM token_balances WHERE account_id = 1");
}

static void assert_paid(struct fake_stage *fake, int64_t payment)
{
    assert_string_equal(status(fake, payment), "paid");
    assert_string_equal(reason(fake, payment), "");
    assert_int_equal(available(fake), SCENE_TOKENS + TOKENS);
    assert_int_equal(scene_number(fake,
                                  "SELECT count(*) FROM payments y JOIN payment_receipts r"
                                  " ON r.receipt = y.receipt AND r.payment_id = y.id"
                                  "   AND r.purchase_id = y.purchase_id"
                                  " WHERE y.id = %lld AND r.status = 'credited'"
                                  "   AND r.amount_minor = %d AND y.next_query_at IS NULL",
                                  (long long)payment, PRICE),
                     1);
}

/* The event that the last message or tick ended in. */
static void assert_told(struct fake_stage *fake, int64_t payment, const char *word, const char *why)
{
    struct payment_changed changed;
    char id[ID_TEXT_BYTES];

    id_format("pay", payment, id);
    assert_int_equal(fake_stage_emitted_of(fake, CHANGED), 1);
    fake_stage_read(fake, &payment_changed_v1, 0, &changed);
    assert_string_equal(changed.payment, id);
    assert_string_equal(changed.account, "acme");
    assert_string_equal(changed.status, word);
    assert_string_equal(changed.reason != NULL ? changed.reason : "", why);
    assert_int_equal(changed.amount_minor, PRICE);
    assert_int_equal(changed.tokens, TOKENS);
    assert_string_equal(fake_stage_out(fake, 0)->account, "acme");
}

static void tick(struct fake_stage *fake)
{
    if (!fake_stage_tick(fake)) {
        fail_msg("%s: %s", fake_stage_why(fake), fake_stage_detail(fake));
    }
}

/* Waits until the payer has acted on every prompt. */
static void await_payers(void)
{
    for (int64_t until_ms = clock_mono_ms() + CALLBACK_MS; simulator_count("open") > 0;) {
        assert_true(clock_mono_ms() < until_ms);
        clock_sleep_ms(5);
    }
}

/* Asked, accepted, and the payer has acted; no callback was taken. */
static int64_t prompt(struct fake_stage *fake)
{
    int64_t payment = buy(fake);

    assert_done(fake, ask(fake, payment));
    assert_string_equal(status(fake, payment), "prompted");
    await_payers();
    return payment;
}

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

/* Registers the address of confirmations, as an operator does once. */
static void register_c2b(void)
{
    const struct daraja_conf conf = {
        .base_url = simulator_root(),
        .consumer_key = "simulator-key",
        .consumer_secret = "simulator-secret",
        .shortcode = "174379",
        .public_url = receiver_url(),
        .timeout_ms = CALLBACK_MS,
        .token_timeout_ms = CALLBACK_MS,
    };
    struct http_call call;
    struct http_reply reply;
    struct daraja_answer answer;
    const char *token;
    int64_t expires_ms;
    struct http *http;
    struct err err;

    assert_true(http_create(&(struct http_conf){ 0 }, &http, &err));
    daraja_token_request(&conf, &call, arena);
    http_run(http, &call, &reply, 1, arena);
    assert_true(daraja_token_read(&reply, &token, &expires_ms, arena, &err));
    if (!daraja_register_request(&conf, token, "/api/pay/c2b/confirmation/" C2B_TOKEN,
                                 "/api/pay/c2b/validation/" C2B_TOKEN, &call, arena, &err)) {
        fail_msg("%s: %s", err.what, err.detail);
    }
    http_run(http, &call, &reply, 1, arena);
    daraja_register_read(&reply, &answer, arena);
    assert_int_equal(answer.class, DARAJA_ACCEPTED);
    http_destroy(http);
    simulator_faults("{\"c2b_of_push\":1}");
}

static const char *c2b(const char *receipt, const char *amount, const char *reference)
{
    return arena_printf(arena,
                        "{\"TransactionType\":\"Pay Bill\",\"TransID\":\"%s\","
                        "\"TransTime\":\"20261120101500\",\"TransAmount\":\"%s\","
                        "\"BusinessShortCode\":\"174379\",\"BillRefNumber\":\"%s\","
                        "\"InvoiceNumber\":\"\",\"OrgAccountBalance\":\"\","
                        "\"ThirdPartyTransID\":\"\",\"MSISDN\":\"2547 ***** 678\","
                        "\"FirstName\":\"A\",\"MiddleName\":\"\",\"LastName\":\"\"}",
                        receipt, amount, reference);
}

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

static void forged_callbacks_credit_nothing(void **state)
{
    struct fake_stage *fake = *state;
    int64_t payment;
    const char *body;

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
        PAYING(what_was_paid_is_credited),
        PAYING(what_was_agreed_holds),
        PAYING(a_failure_says_why),
        PAYING(what_failed_may_be_paid_again),
        PAYING(an_unfinished_payment_keeps_its_purchase),
        PAYING(a_free_plan_is_had_at_once_and_once),
        PAYING(a_query_finds_out_what_no_callback_told),
        PAYING(what_is_paid_without_a_receipt_waits_for_it),
        PAYING(the_receipt_ends_the_wait_for_it),
        PAYING(repeated_callbacks_credit_once),
        PAYING(a_failure_told_twice_is_one_failure),
        PAYING(a_callback_may_come_before_the_answer),
        PAYING(a_late_success_after_a_failure_counts),
        PAYING(a_late_success_after_giving_up_counts),
        PAYING(what_was_never_asked_about_is_asked_once_after_giving_up),
        PAYING(another_amount_is_not_credited),
        PAYING(a_push_whose_answer_is_lost_is_never_repeated),
        PAYING(a_lost_push_without_a_callback_ends_unresolved),
        PAYING(a_callback_may_overtake_the_answer),
        PAYING(the_program_itself_prompts),
#ifdef CRASH_POINTS
        PAYING(a_crash_never_pushes_twice),
#endif
        PAYING(a_refused_token_is_replaced),
        PAYING(a_push_that_surely_failed_is_tried_again),
        PAYING(a_payer_is_not_prompted_long_after),
        PAYING(what_was_never_begun_has_failed),
        PAYING(bad_settings_fail_the_payment),
        PAYING(two_payments_of_one_purchase_credit_it_once),
        PAYING(a_paid_purchase_is_not_asked_for),
        PAYING(a_confirmation_stands_for_a_lost_callback),
        PAYING(callback_and_confirmation_are_one_payment),
        PAYING(a_payment_by_hand_is_matched_by_its_reference),
        PAYING(a_person_matches_what_nothing_else_could),
        PAYING(forged_callbacks_credit_nothing),
        PAYING(a_secret_is_good_for_its_own_payment),
        PAYING(bad_messages_are_refused),
        PAYING(who_settles_at_once_credits_once),
        PAYING(queries_share_one_limit),
        PAYING(a_throttled_query_holds_all),
    };

    return cmocka_run_group_tests(tests, start_all, stop_all);
}
