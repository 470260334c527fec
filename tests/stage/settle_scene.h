/*
 * settle_scene - what the tests of settle-payment share: purchases, prompts, callbacks
 *
 *     int64_t payment = prompt(fake);          // bought, asked for, and the payer has acted
 *     assert_callback(fake);                   // the stage is given what M-Pesa posted
 *     assert_paid(fake, payment);
 *
 * A test runs as PAYING(test) between start_all and stop_all. After each the books of the simulator
 * and ours are compared.
 */
#ifndef STAGE_SETTLE_SCENE_H
#define STAGE_SETTLE_SCENE_H

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
#define CREDENTIAL "c2VjcmV0"
#define C2B_TOKEN "c2b0c2b0c2b0c2b0"
#define CALLBACK_MS 5000
#define SECOND_MS 1000LL
#define MINUTE_MS (60 * SECOND_MS)

static struct arena *arena;

static inline int start_all(void **state)
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
    setenv("MPESA_INITIATOR", "apiop", 1);
    setenv("MPESA_SECURITY_CREDENTIAL", CREDENTIAL, 1);
    setenv("MPESA_C2B_TOKEN", C2B_TOKEN, 1);
    setenv("PUBLIC_URL", receiver_url(), 1);
    return scene_start_server(state);
}

static inline int stop_all(void **state)
{
    simulator_stop();
    receiver_stop();
    arena_destroy(arena);
    return scene_stop_server(state);
}

static inline int start(void **state)
{
    arena_reset(arena);
    receiver_forget();
    simulator_reset();
    simulator_faults("{\"pay_min_ms\":10,\"pay_max_ms\":20,\"callback_min_ms\":1,"
                     "\"callback_max_ms\":5,\"prompt_ms\":20}");
    return scene_start(state);
}

/* How often a text occurs in what the simulator tells. */
static inline int occurrences(const char *page, const char *text)
{
    int count = 0;

    for (const char *at = page; (at = strstr(at, text)) != NULL; at++) {
        count++;
    }
    return count;
}

/* What was paid is credited once; what differs, or nobody can name, is kept and not credited. */
static inline void assert_credited_what_was_paid(struct fake_stage *fake)
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
                                      " AND status <> 'open' AND paid_at IS NOT NULL",
                                      reference),
                         credited);
    }
    assert_int_equal(fake_number(fake, "SELECT count(*) FROM (SELECT payment_id"
                                       "  FROM payment_receipts WHERE status = 'credited'"
                                       "  GROUP BY payment_id HAVING count(*) > 1"
                                       "     AND payment_id IS NOT NULL) AS twice"),
                     0);
}

static inline int stop(void **state)
{
    assert_int_equal(simulator_count("repeated_urls"), 0);
    assert_credited_what_was_paid(*state);
    return scene_stop(state);
}

#define PAYING(test) cmocka_unit_test_setup_teardown(test, start, stop)

static inline void configure(struct fake_stage *fake, const char *name, const char *value)
{
    setenv(name, value, 1);
    fake_stage_restart(fake);
}

/* A purchase's next payment, as the ingress makes it. */
static inline int64_t pay_again(struct fake_stage *fake, const char *reference, int64_t payer)
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

static inline int64_t buy_from(struct fake_stage *fake, int64_t payer)
{
    struct purchase purchase;
    struct err err;

    if (!purchase_create(fake_db(fake), 1, "business", clock_now_ms(), arena, &purchase, &err)) {
        fail_msg("%s: %s", err.what, err.detail);
    }
    return pay_again(fake, purchase.reference, payer);
}

static inline int64_t buy(struct fake_stage *fake)
{
    return buy_from(fake, PAYER);
}

static inline const char *request_json(int64_t payment)
{
    static char json[80];
    char id[ID_TEXT_BYTES];

    id_format("pay", payment, id);
    snprintf(json, sizeof json, "{\"payment\":\"%s\"}", id);
    return json;
}

static inline enum verdict ask(struct fake_stage *fake, int64_t payment)
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
static inline bool deliver(struct fake_stage *fake)
{
    static const char push_path[] = "/api/pay/";
    struct posted posted;
    const char *secret;
    const char *kind = "stk";

    if (!receiver_take(CALLBACK_MS, &posted)) {
        return false;
    }
    secret = strrchr(posted.path, '/') + 1;
    if (strstr(posted.path, "/c2b/confirmation/") != NULL) {
        kind = "confirmation";
    } else {
        assert_memory_equal(posted.path, push_path, sizeof push_path - 1);
        assert_int_equal(strlen(secret), 32);
        kind = strstr(posted.path, "/pay/reversal/result/") != NULL ? "result" : "stk";
    }
    assert_done(fake, report(fake, kind, secret, posted.body));
    return true;
}

static inline void assert_callback(struct fake_stage *fake)
{
    if (!deliver(fake)) {
        fail_msg("no callback");
    }
}

static inline const char *reference_of(struct fake_stage *fake, int64_t payment)
{
    return arena_strdup(arena, scene_text(fake,
                                          "SELECT p.reference FROM purchases p JOIN payments y"
                                          " ON y.purchase_id = p.id WHERE y.id = %lld",
                                          (long long)payment));
}

static inline const char *status(struct fake_stage *fake, int64_t payment)
{
    return scene_text(fake, "SELECT status FROM payments WHERE id = %lld", (long long)payment);
}

static inline const char *reason(struct fake_stage *fake, int64_t payment)
{
    return scene_text(fake, "SELECT reason FROM payments WHERE id = %lld", (long long)payment);
}

static inline const char *checkout(struct fake_stage *fake, int64_t payment)
{
    return scene_text(fake, "SELECT checkout_request FROM payments WHERE id = %lld",
                      (long long)payment);
}

static inline int64_t receipts(struct fake_stage *fake, const char *word)
{
    return scene_number(fake, "SELECT count(*) FROM payment_receipts WHERE status = '%s'", word);
}

static inline int64_t verdicts(struct fake_stage *fake, const char *word)
{
    return scene_number(fake, "SELECT count(*) FROM payment_callbacks WHERE verdict = '%s'", word);
}

static inline int64_t available(struct fake_stage *fake)
{
    return fake_number(fake, "SELECT available FROM token_balances WHERE account_id = 1");
}

static inline void assert_paid(struct fake_stage *fake, int64_t payment)
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
static inline void assert_told(struct fake_stage *fake, int64_t payment, const char *word,
                               const char *why)
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

static inline void tick(struct fake_stage *fake)
{
    if (!fake_stage_tick(fake)) {
        fail_msg("%s: %s", fake_stage_why(fake), fake_stage_detail(fake));
    }
}

/* Waits until payers have acted on all prompts but so many. */
static inline void await_payers_but(int64_t left)
{
    for (int64_t until_ms = clock_mono_ms() + CALLBACK_MS; simulator_count("open") > left;) {
        assert_true(clock_mono_ms() < until_ms);
        clock_sleep_ms(5);
    }
}

static inline void await_payers(void)
{
    await_payers_but(0);
}

/* Asked, accepted, and the payer has acted; no callback was taken. */
static inline int64_t prompt(struct fake_stage *fake)
{
    int64_t payment = buy(fake);

    assert_done(fake, ask(fake, payment));
    assert_string_equal(status(fake, payment), "prompted");
    await_payers();
    return payment;
}

/* Registers the address of confirmations, as an operator does once. */
static inline void register_c2b(void)
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

static inline const char *c2b(const char *receipt, const char *amount, const char *reference)
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

#endif
