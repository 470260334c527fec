/* send-sms: a batch becomes requests, and each recipient gets what the provider said of it */
#include "send_sms_scene.h"

static void a_batch_of_one_text_is_one_request(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = batch_of(fake, 250);
    struct batch_fact done;

    assert_done(fake, pace(fake, id)); /* and again, by the harness */
    assert_int_equal(simulator_count("requests"), 1);
    assert_int_equal(simulator_count("accepted"), 250);
    assert_int_equal(fake_stage_emitted(fake), 1);
    fake_stage_read(fake, &batch_done_v1, 0, &done);
    assert_string_equal(done.campaign, scene_name(id));
    assert_int_equal(done.batch, 1);
    assert_int_equal(
        count(fake, id,
              "state = 3 AND batch = 1 AND attempts = 1 AND provider_id LIKE 'ATX%'"
              " AND provider_code IN (100, 101, 102) AND cost_e4 = 8000 AND currency = 'KES'"
              " AND sent_at IS NOT NULL AND final_at IS NULL AND reason IS NULL"),
        250);
    assert_int_equal(counter(fake, id, "sent"), 250);
    assert_int_equal(counter(fake, id, "captured"), 250);
    assert_int_equal(counter(fake, id, "cost_e4"), 250 * 8000);
    assert_int_equal(counter(fake, id, "in_flight"), 0);
    assert_true(is_done(fake, id));
    assert_int_equal(counter(fake, id, "(settled_at IS NULL)::int"), 1);
    assert_int_equal(purse(fake, "spent"), 250);
    assert_int_equal(purse(fake, "reserved"), 0);
    assert_int_equal(simulator_messages(254700000250, "Hello"), 1);
}

static void equal_texts_share_a_request(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = batch_of(fake, 50);

    personalise(fake, id, 3);
    assert_done(fake, pace(fake, id));
    assert_int_equal(simulator_count("requests"), 3);
    assert_int_equal(simulator_count("accepted"), 50);
    assert_int_equal(simulator_messages(254700000009, "Text 0"), 1);
    assert_int_equal(simulator_messages(254700000010, "Text 1"), 1);
    assert_int_equal(simulator_messages(254700000050, "Text 2"), 1);
}

static void texts_of_their_own_are_claimed_a_window_at_a_time(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = batch_of(fake, 25);

    configure(fake, "SMS_CLAIM_WINDOW", "10");
    personalise(fake, id, 1000);
    assert_done(fake, pace(fake, id));
    assert_int_equal(simulator_count("requests"), 25);
    assert_int_equal(count(fake, id, "state = 3"), 25);
    assert_int_equal(
        fake_number(fake, "SELECT count(*) FROM ledger_entries WHERE kind = 'capture'"), 3);
    assert_int_equal(simulator_messages(254700000025, "Text 25"), 1);
}

/* Who had no turn is asked about in a later pass, the next windows are smaller, no route is held.
 */
static void a_slow_provider_gets_smaller_windows(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = batch_of(fake, 40);

    configure(fake, "SMS_CLAIM_WINDOW", "20");
    personalise(fake, id, 1000);
    simulator_faults("{\"latency_min_ms\":50,\"latency_max_ms\":50}");
    fake_stage_hurry(fake, 120);
    fake_stage_repeat(fake, false);
    assert_done(fake, pace(fake, id));
    int64_t sent = count(fake, id, "state = 3");
    assert_true(sent >= 4 && sent < 40);
    assert_int_equal(count(fake, id, "state = 0 AND attempts = 0"), 40 - sent);
    assert_int_equal(simulator_count("accepted"), sent);
    /* The first window's 20 were claimed at once, later ones only as many as had their turn. */
    assert_true(fake_number(fake, "SELECT count(*) FROM ledger_entries WHERE kind = 'capture'") >
                2);
    assert_int_equal(route(fake, "status = 'open' AND failures = 0"), 1);
    assert_false(is_done(fake, id));
    simulator_faults("{\"latency_min_ms\":0,\"latency_max_ms\":0}");
    fake_stage_hurry(fake, 10000);
    assert_done(fake, pace(fake, id));
    assert_int_equal(count(fake, id, "state = 3 AND attempts = 1"), 40);
    assert_true(is_done(fake, id));
}

static void texts_and_senders_arrive_as_they_are(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = batch_of(fake, 1);

    scene_sql(fake,
              "UPDATE campaigns SET text = 'H\u00e9, 100%% & +1 = \u20ac2; \U0001F600'"
              " WHERE id = %lld",
              (long long)id);
    assert_done(fake, pace(fake, id));
    assert_int_equal(simulator_messages(254700000001, "H\u00e9, 100% & +1 = \u20ac2; \U0001F600"),
                     1);
}

static void each_refusal_is_final_released_and_recorded(void **state)
{
    static const struct {
        int seq, code;
        const char *reason;
    } table[] = { { 1, 403, "invalid_number" },
                  { 2, 404, "unsupported_number" },
                  { 3, 406, "opted_out" },
                  { 4, 407, "no_route" } };
    struct fake_stage *fake = *state;
    int64_t id = batch_of(fake, 10);

    simulator_faults("{\"force\":\"0001:403,0002:404,0003:406,0004:407\"}");
    scene_sql(fake,
              "UPDATE recipients SET segments = 3 WHERE campaign_id = %lld AND seq = 1;"
              "UPDATE campaigns SET segments = 12 WHERE id = %lld;"
              "UPDATE token_holds SET amount = 12; UPDATE token_hold_lots SET amount = 12;"
              "UPDATE token_lots SET available = available - 2;"
              "UPDATE token_balances SET available = available - 2, reserved = reserved + 2;"
              "SELECT scene_entry(1, 'adjust', 'available', 'reserved', 2, 'x')",
              (long long)id, (long long)id);
    assert_done(fake, pace(fake, id));
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char where[200];

        snprintf(where, sizeof where,
                 "seq = %d AND state = 5 AND provider_code = %d AND reason = '%s'"
                 " AND final_at IS NOT NULL AND batch = 1",
                 table[i].seq, table[i].code, table[i].reason);
        assert_int_equal(count(fake, id, where), 1);
    }
    assert_int_equal(counter(fake, id, "sent"), 6);
    assert_int_equal(counter(fake, id, "failed"), 4);
    assert_int_equal(counter(fake, id, "captured"), 6);
    assert_int_equal(counter(fake, id, "released"), 6);
    assert_int_equal(purse(fake, "spent"), 6);
    assert_int_equal(purse(fake, "available"), SCENE_TOKENS - 6);
    assert_int_equal(fake_number(fake, "SELECT count(*) FROM suppressions"), 1);
    assert_int_equal(fake_number(fake, "SELECT msisdn FROM suppressions WHERE account_id = 1"
                                       " AND reason = 'provider_blacklist'"),
                     254700000003);
    assert_true(is_done(fake, id));
}

static void a_batch_of_nothing_but_refusals_is_settled(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = batch_of(fake, 3);

    simulator_faults("{\"force\":\"1:403,2:403,3:407\"}");
    assert_done(fake, pace(fake, id));
    assert_int_equal(fake_stage_emitted_of(fake, DONE), 1);
    assert_int_equal(counter(fake, id, "(settled_at IS NOT NULL)::int"), 1);
}

static void a_batch_is_one_workers_at_a_time(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = batch_of(fake, 5);

    scene_sql(fake, "SELECT pg_advisory_lock(hashtextextended('%lld 1', 0))", (long long)id);
    assert_int_equal(pace(fake, id), STAGE_RETRY);
    assert_string_equal(fake_stage_why(fake), "batch_elsewhere");
    scene_sql(fake, "SELECT pg_advisory_unlock(hashtextextended('%lld 1', 0))", (long long)id);
    assert_done(fake, pace(fake, id));
    assert_int_equal(fake_number(fake, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"),
                     0);
}

static void a_message_that_names_no_batch_waits_or_is_parked(void **state)
{
    struct fake_stage *fake = *state;

    assert_int_equal(pace(fake, scene_campaign(fake, "sending", 1)), STAGE_RETRY);
    assert_string_equal(fake_stage_why(fake), "batch_unknown");
    assert_int_equal(
        fake_stage_send(fake, PACED, "x", "{\"campaign\":\"june\",\"batch\":1,\"size\":1}"),
        STAGE_REJECT);
    assert_string_equal(fake_stage_why(fake), "bad_campaign");
    assert_int_equal(fake_stage_send(fake, PACED, "x", "{\"campaign\":\"june\"}"), STAGE_REJECT);
    assert_string_equal(fake_stage_why(fake), "bad_field");
}

/*
 * Everything at once: some batches through a provider that fails in every way, each message now and
 * then delivered twice, until all are done. Nobody is sent to twice, everybody is in a named state.
 */
static void under_all_faults_together_nobody_is_sent_to_twice(void **state)
{
    enum { BATCHES = 12, RECIPIENTS = 60, ROUNDS_MAX = 400 };
    struct fake_stage *fake = *state;
    int64_t ids[BATCHES];
    uint32_t chance = 7;
    int64_t sent, in_doubt, accepted;
    int open = BATCHES;

    fake_stage_repeat(fake, false);
    configure(fake, "SMS_CLAIM_WINDOW", "7");
    for (int i = 0; i < BATCHES; i++) {
        ids[i] = batch_of(fake, RECIPIENTS);
        scene_sql(fake, "UPDATE recipients SET msisdn = msisdn + %d WHERE campaign_id = %lld",
                  i * 1000, (long long)ids[i]);
        if (i % 3 != 0) {
            personalise(fake, ids[i], i % 3 == 1 ? 5 : 1000);
        }
    }
    simulator_faults("{\"unauthorized\":0.02,\"throttled\":0.03,\"error_500\":0.02,"
                     "\"unavailable_503\":0.02,\"conflict_409\":0.02,\"close_reused\":0.02,"
                     "\"close_accepted\":0.03,\"error_500_accepted\":0.02,\"partial\":0.03,"
                     "\"truncated\":0.02,\"garbage\":0.02,\"refuse_403\":0.02,\"refuse_406\":0.02,"
                     "\"refuse_500\":0.1,\"refuse_501\":0.1}");
    for (int round = 0; open > 0 && round < ROUNDS_MAX; round++) {
        int64_t id = ids[round % BATCHES];
        bool held = route(fake, "status = 'held'");

        if (is_done(fake, id)) {
            continue;
        }
        chance = chance * 1664525 + 1013904223;
        const char *message = scene_message();
        assert_done(fake, deliver(fake, id, message, held));
        if (chance & 0x10000) {
            assert_done(fake, deliver(fake, id, message, held));
        }
        open -= is_done(fake, id);
        if (round % 8 == 0) {
            scene_adds_up(fake);
        }
    }
    assert_int_equal(open, 0);
    assert_int_equal(fake_number(fake, "SELECT count(*) FROM recipients WHERE state IN (0, 1)"), 0);
    sent = fake_number(fake, "SELECT count(*) FROM recipients WHERE state = 3");
    in_doubt = fake_number(fake, "SELECT count(*) FROM recipients WHERE state = 2");
    accepted = simulator_count("accepted");
    assert_true(accepted >= sent && accepted <= sent + in_doubt);
    assert_true(in_doubt > 0 && sent > BATCHES * RECIPIENTS / 2);
    assert_int_equal(purse(fake, "spent"), sent);
    assert_int_equal(purse(fake, "reserved"), in_doubt);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CALLING(a_batch_of_one_text_is_one_request),
        CALLING(equal_texts_share_a_request),
        CALLING(texts_of_their_own_are_claimed_a_window_at_a_time),
        CALLING(a_slow_provider_gets_smaller_windows),
        CALLING(texts_and_senders_arrive_as_they_are),
        CALLING(each_refusal_is_final_released_and_recorded),
        CALLING(a_batch_of_nothing_but_refusals_is_settled),
        CALLING(a_batch_is_one_workers_at_a_time),
        CALLING(a_message_that_names_no_batch_waits_or_is_parked),
        CALLING(under_all_faults_together_nobody_is_sent_to_twice),
    };

    return cmocka_run_group_tests_name("stage.send-sms.requests", tests, start_all, stop_all);
}
