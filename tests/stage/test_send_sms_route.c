/* send-sms: a route that fails rests, a sender that is refused pauses its campaign */
#include "send_sms_scene.h"

static void assert_nothing_to_tell(struct fake_stage *fake)
{
    assert_true(fake_stage_tick(fake));
    assert_int_equal(fake_stage_emitted(fake), 0);
}

static void the_route_rests_when_the_provider_refuses_the_account(void **state)
{
    static const struct {
        const char *faults, *why;
        int rest_s_min, rest_s_max;
    } table[] = {
        { "{\"unauthorized\":1}", "bad_credentials", 58, 60 },
        { "{\"force\":\"1:405,2:405,3:405\"}", "insufficient_balance", 58, 60 },
        { "{\"force\":\"1:401,2:401,3:401\"}", "risk_hold", 58, 60 },
        { "{\"throttled\":1,\"retry_after_s\":7}", "throttled", 5, 7 },
        { "{\"throttled\":1}", "throttled", 0, 2 },
    };
    struct fake_stage *fake = *state;

    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        int64_t id = batch_of(fake, 3);
        struct route_event event;

        simulator_reset();
        simulator_faults(table[i].faults);
        fake_sql(fake, "UPDATE routes SET status = 'open', held_until = NULL, failures = 0");
        assert_done(fake, pace(fake, id));
        assert_int_equal(fake_stage_emitted(fake), 1);
        assert_int_equal(fake_stage_emitted_of(fake, READY), 1);
        assert_told(fake, &route_held_v1, &event);
        assert_string_equal(event.why, table[i].why);
        assert_true(route(fake, "status = 'held'"));
        assert_string_equal(fake_text(fake, "SELECT why FROM routes WHERE name = 'sms'"),
                            table[i].why);
        assert_in_range(event.until_ms - clock_now_ms() + 2000, table[i].rest_s_min * 1000,
                        table[i].rest_s_max * 1000 + 2000);
        assert_int_equal(count(fake, id, "state = 0 AND attempts = 0 AND provider_id IS NULL"), 3);
        /* What was let through before is not sent either, and waits its turn. */
        assert_done(fake, pace(fake, id));
        assert_int_equal(fake_stage_emitted(fake), 1);
        assert_string_equal(fake_stage_out(fake, 0)->type, READY);
        assert_int_equal(simulator_count("requests"), 1);
        assert_nothing_to_tell(fake);
        /* A probe that is refused keeps it held; one that passes opens it. */
        assert_done(fake, probe(fake, id));
        assert_true(route(fake, "status = 'held' AND failures = 2"));
        assert_told(fake, &route_held_v1, &event);
        simulator_reset();
        assert_done(fake, probe(fake, id));
        assert_int_equal(fake_stage_emitted(fake), 1);
        assert_string_equal(fake_stage_out(fake, 0)->type, DONE);
        assert_true(route(fake, "status = 'open' AND failures = 0"));
        assert_told(fake, &route_opened_v1, &event);
        assert_string_equal(event.why, "answers_again");
        assert_int_equal(event.until_ms, 0);
        assert_nothing_to_tell(fake);
        assert_int_equal(count(fake, id, "state = 3"), 3);
    }
}

static void the_rest_of_a_batch_is_not_sent_over_a_route_that_just_failed(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = batch_of(fake, 30);

    configure(fake, "SMS_CLAIM_WINDOW", "10");
    personalise(fake, id, 1000);
    simulator_faults("{\"force\":\"0012:405\"}");
    assert_done(fake, pace(fake, id));
    assert_int_equal(count(fake, id, "state = 3"), 19);
    assert_int_equal(count(fake, id, "state = 0"), 11);
    assert_int_equal(simulator_count("requests"), 20);
    simulator_faults("{\"force\":\"\"}");
    assert_done(fake, probe(fake, id));
    assert_int_equal(count(fake, id, "state = 3"), 30);
    assert_int_equal(simulator_count("accepted"), 30);
}

static void without_a_connection_no_attempt_is_counted(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = batch_of(fake, 5);
    int64_t last = 0;

    setenv("SMS_JOB_ATTEMPTS", "1", 1);
    configure(fake, "AT_SMS_URL", "http://127.0.0.1:1/version1");
    for (int i = 1; i <= 8; i++) {
        struct route_event event;

        assert_done(fake, i == 1 ? pace(fake, id) : probe(fake, id));
        assert_int_equal(fake_stage_emitted_of(fake, READY), 1);
        assert_told(fake, &route_held_v1, &event);
        assert_int_equal(route(fake, "failures"), i);
        /* Each pause is longer than the one before, up to a minute. */
        int64_t rest_s = route(fake, "extract(epoch FROM held_until - held_at)");
        assert_true(rest_s > last || rest_s == 60);
        last = rest_s;
    }
    assert_int_equal(last, 60);
    assert_int_equal(count(fake, id, "state = 0 AND attempts = 0 AND reason IS NULL"), 5);
    configure(fake, "AT_SMS_URL", simulator_url());
    assert_done(fake, probe(fake, id));
    assert_int_equal(count(fake, id, "state = 3 AND attempts = 1"), 5);
    assert_true(route(fake, "status = 'open' AND untold_at IS NOT NULL"));
}

static void an_unknown_sender_pauses_its_campaign_and_no_other(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = batch_of(fake, 3);
    int64_t other = batch_of(fake, 3);

    simulator_stop();
    simulator_start("ACME");
    configure(fake, "AT_SMS_URL", simulator_url());
    scene_sql(fake,
              "UPDATE campaigns SET sender_id = CASE WHEN id = %lld THEN 'NOBODY'"
              " ELSE 'ACME' END",
              (long long)id);
    scene_sql(fake, "UPDATE recipients SET msisdn = msisdn + 1000 WHERE campaign_id = %lld",
              (long long)other);
    assert_done(fake, pace(fake, id));
    assert_string_equal(scene_status(fake, id), "paused");
    assert_non_null(
        strstr(scene_text(fake, "SELECT detail FROM campaigns WHERE id = %lld", (long long)id),
               "'NOBODY'"));
    assert_int_equal(fake_stage_emitted(fake), 0); /* split-batches tells */
    assert_int_equal(scene_number(fake,
                                  "SELECT (untold_at IS NOT NULL)::int FROM campaigns"
                                  " WHERE id = %lld",
                                  (long long)id),
                     1);
    assert_int_equal(counter(fake, id, "waiting::int"), 1);
    assert_int_equal(count(fake, id, "state = 0 AND attempts = 0"), 3);
    assert_done(fake, pace(fake, other));
    assert_int_equal(count(fake, other, "state = 3"), 3);
    /* Repaired and resumed. */
    scene_sql(fake, "UPDATE campaigns SET status = 'sending', sender_id = 'ACME' WHERE id = %lld",
              (long long)id);
    assert_done(fake, pace(fake, id));
    assert_int_equal(count(fake, id, "state = 3"), 3);
    assert_true(is_done(fake, id));
    assert_int_equal(counter(fake, id, "waiting::int"), 0);
}

static void a_sender_refused_for_one_recipient_pauses_the_campaign(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = batch_of(fake, 5);

    simulator_faults("{\"force\":\"0002:402\"}");
    assert_done(fake, pace(fake, id));
    assert_string_equal(scene_status(fake, id), "paused");
    assert_string_equal(fake_text(fake, "SELECT status FROM routes WHERE name = 'sms'"), "open");
    assert_int_equal(count(fake, id, "state = 3"), 4);
    assert_int_equal(count(fake, id, "state = 0 AND seq = 2"), 1);
    assert_int_equal(counter(fake, id, "waiting::int"), 1);
}

static void the_providers_credit_is_asked_for_now_and_then_and_told_when_it_is_low(void **state)
{
    struct fake_stage *fake = *state;
    int64_t requests = simulator_count("requests");

    assert_true(fake_stage_tick(fake));
    assert_int_equal(simulator_count("requests"), requests); /* nobody wants to know */
    configure(fake, "AT_CREDIT_LOW", "100000");
    assert_true(fake_stage_tick(fake));
    assert_int_equal(
        fake_number(fake, "SELECT balance_e4 FROM provider_credit WHERE currency = 'KES'"),
        1000000000);
    assert_int_equal(fake_number(fake, "SELECT count(*) FROM alerts"), 0); /* just enough */
    configure(fake, "AT_CREDIT_LOW", "100001");
    requests = simulator_count("requests");
    assert_true(fake_stage_tick(fake));
    assert_int_equal(simulator_count("requests"), requests); /* another worker has just asked */
    for (int i = 0; i < 3; i++) {
        fake_stage_advance_ms(fake, 5 * 60 * 1000);
        assert_true(fake_stage_tick(fake));
    }
    assert_int_equal(fake_stage_emitted(fake), 0); /* reserve-tokens tells it */
    assert_string_equal(fake_text(fake, "SELECT string_agg(kind || ' ' || value || ' ' || threshold"
                                        "                  || ' ' || currency, ',')"
                                        "  FROM alerts WHERE untold_at IS NOT NULL"),
                        "provider_credit_low 1000000000 1000010000 KES");
    configure(fake, "AT_SMS_URL", "http://127.0.0.1:1/version1");
    fake_stage_advance_ms(fake, 5 * 60 * 1000);
    assert_true(fake_stage_tick(fake)); /* no answer is no news */
    assert_int_equal(fake_number(fake, "SELECT count(*) FROM provider_credit"
                                       " WHERE answered_at < asked_at"),
                     1);
    unsetenv("AT_CREDIT_LOW");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CALLING(the_route_rests_when_the_provider_refuses_the_account),
        CALLING(the_rest_of_a_batch_is_not_sent_over_a_route_that_just_failed),
        CALLING(without_a_connection_no_attempt_is_counted),
        CALLING(a_sender_refused_for_one_recipient_pauses_the_campaign),
        CALLING(an_unknown_sender_pauses_its_campaign_and_no_other),
        CALLING(the_providers_credit_is_asked_for_now_and_then_and_told_when_it_is_low),
    };

    return cmocka_run_group_tests_name("stage.send-sms.route", tests, start_all, stop_all);
}
