/* send-sms: what the provider, the hour or the campaign refuses for now is tried again later */
#include "send_sms_scene.h"

static void a_refusal_for_now_is_tried_again_until_the_limit(void **state)
{
    static const int codes[] = { 500, 501, 502 };
    struct fake_stage *fake = *state;

    for (size_t i = 0; i < 3; i++) {
        int64_t id = batch_of(fake, 5);
        char faults[60];

        scene_sql(fake, "UPDATE recipients SET msisdn = msisdn + %zu WHERE campaign_id = %lld",
                  i * 1000, (long long)id);
        snprintf(faults, sizeof faults, "{\"force\":\"0002:%d,1002:%d,2002:%d\"}", codes[i],
                 codes[i], codes[i]);
        simulator_faults(faults);
        for (int attempt = 1; attempt <= 3; attempt++) {
            assert_done(fake, pace(fake, id));
            assert_int_equal(fake_stage_emitted(fake), 1);
            assert_int_equal(count(fake, id, "seq = 2 AND state = 0") == 1, attempt < 3);
            assert_int_equal(scene_number(fake,
                                          "SELECT attempts FROM recipients WHERE campaign_id = %lld"
                                          " AND seq = 2",
                                          (long long)id),
                             attempt);
            assert_int_equal(counter(fake, id, "sent"), 4);
            if (attempt < 3) {
                assert_string_equal(fake_stage_out(fake, 0)->type, READY);
                assert_int_equal(fake_stage_out(fake, 0)->delay_ms, attempt * 10000);
                assert_false(is_done(fake, id));
                assert_int_equal(counter(fake, id, "released"), 0);
            }
        }
        assert_string_equal(fake_stage_out(fake, 0)->type, DONE);
        assert_int_equal(count(fake, id, "seq = 2 AND state = 5 AND final_at IS NOT NULL"), 1);
        assert_int_equal(counter(fake, id, "released"), 1);
        assert_string_equal(fake_text(fake, "SELECT status FROM routes WHERE name = 'sms'"),
                            "open");
    }
}

/* What is emitted is a ready batch, so late; returns its id. */
static const char *ready_in(struct fake_stage *fake, int64_t delay_ms)
{
    static char ids[4][ID_MESSAGE_BYTES];
    static unsigned next;
    char *id = ids[next++ % 4];

    assert_int_equal(fake_stage_emitted(fake), 1);
    assert_string_equal(fake_stage_out(fake, 0)->type, READY);
    assert_int_equal(fake_stage_out(fake, 0)->delay_ms, delay_ms);
    snprintf(id, ID_MESSAGE_BYTES, "%s", fake_stage_out(fake, 0)->id);
    return id;
}

static void a_message_that_ended_a_pass_keeps_its_pause_when_it_comes_again(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = batch_of(fake, 5);
    const char *first, *second;

    simulator_faults("{\"force\":\"0002:500\"}");
    assert_done(fake, deliver(fake, id, "one", false)); /* and again, by the harness */
    first = ready_in(fake, 10000);
    assert_int_equal(simulator_count("requests"), 1);
    assert_done(fake, deliver(fake, id, "two", false));
    second = ready_in(fake, 20000);
    assert_string_not_equal(second, first);
    assert_int_equal(simulator_count("requests"), 2);
    assert_int_equal(count(fake, id, "seq = 2 AND attempts = 2"), 1);
    /* A further pass was begun since the first; the third is still to come. */
    assert_done(fake, deliver(fake, id, "one", false));
    assert_int_equal(fake_stage_emitted(fake), 0);
    assert_done(fake, deliver(fake, id, "two", false));
    assert_string_equal(ready_in(fake, 20000), second);
    /* A worker has claimed, in the third pass. */
    scene_sql(fake, "UPDATE batches SET claimed_seq = 1, recorded_seq = 1 WHERE campaign_id = %lld",
              (long long)id);
    assert_done(fake, deliver(fake, id, "two", false));
    assert_int_equal(fake_stage_emitted(fake), 0);
    assert_int_equal(simulator_count("requests"), 2);
    assert_done(fake, deliver(fake, id, "three", false));
    assert_int_equal(fake_stage_emitted_of(fake, DONE), 1);
    assert_int_equal(simulator_count("requests"), 3);
    /* Whatever ended it, that it is done is told. */
    assert_done(fake, deliver(fake, id, "one", false));
    assert_int_equal(fake_stage_emitted_of(fake, DONE), 1);
}

/* Also when its leave to send is over meanwhile. */
static void a_pause_outlasts_the_leave_to_send(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = batch_of(fake, 5);
    char json[200], at[CLOCK_RFC3339_BYTES];
    const char *first;

    clock_format(clock_now_ms() + 60000, at);
    snprintf(json, sizeof json,
             "{\"campaign\":\"%s\",\"batch\":1,\"size\":5,\"expires_at\":\"%s\"}", scene_name(id),
             at);
    simulator_faults("{\"force\":\"0002:500\"}");
    assert_done(fake, fake_stage_send(fake, PACED, "one", json));
    first = ready_in(fake, 10000);
    fake_stage_advance_ms(fake, 61000);
    assert_done(fake, fake_stage_send(fake, PACED, "one", json));
    assert_string_equal(ready_in(fake, 10000), first);
    assert_int_equal(simulator_count("requests"), 1);
}

static void a_probe_that_comes_again_leaves_the_route_as_it_is(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = batch_of(fake, 3);

    simulator_faults("{\"unauthorized\":1}");
    assert_done(fake, pace(fake, id));
    for (int i = 0; i < 3; i++) {
        assert_done(fake, deliver(fake, id, "probe", true));
        ready_in(fake, 1000);
        assert_int_equal(simulator_count("requests"), 2);
        assert_true(route(fake, "status = 'held' AND held_until > now() AND failures = 2"));
    }
}

static void a_batch_set_aside_waits_also_when_its_message_comes_again(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = batch_of(fake, 5);

    simulator_faults("{\"force\":\"0002:402\"}");
    assert_done(fake, deliver(fake, id, "one", false));
    simulator_reset();
    scene_sql(fake,
              "UPDATE campaigns SET status = 'sending' WHERE id = %lld;"
              "UPDATE batches SET waiting = false WHERE campaign_id = %lld",
              (long long)id, (long long)id);
    assert_done(fake, deliver(fake, id, "one", false));
    assert_int_equal(fake_stage_emitted(fake), 0);
    assert_int_equal(simulator_count("requests"), 0);
    assert_done(fake, deliver(fake, id, "woken", false));
    assert_int_equal(fake_stage_emitted_of(fake, DONE), 1);
}

static void a_refusal_for_now_may_pass_the_next_time(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = batch_of(fake, 5);

    fake_stage_repeat(fake, false);
    simulator_faults("{\"refuse_501\":{\"count\":2}}");
    assert_done(fake, pace(fake, id));
    assert_int_equal(count(fake, id, "state = 0 AND attempts = 1 AND provider_code = 501"), 2);
    assert_int_equal(count(fake, id, "state = 3"), 3);
    fake_stage_repeat(fake, true);
    assert_done(fake, pace(fake, id));
    assert_string_equal(fake_stage_out(fake, 0)->type, DONE);
    assert_int_equal(count(fake, id, "state = 3"), 5);
    assert_int_equal(count(fake, id, "state = 3 AND attempts = 2 AND reason IS NULL"), 2);
    assert_int_equal(counter(fake, id, "sent"), 5);
    assert_int_equal(purse(fake, "spent"), 5);
}

static void in_the_forbidden_hours_a_batch_comes_back_later(void **state)
{
    static const struct {
        const char *faults;
        int sent;
    } table[] = { { "{\"conflict_409\":1}", 0 }, { "{\"force\":\"0002:409\"}", 4 } };
    struct fake_stage *fake = *state;

    for (size_t i = 0; i < 2; i++) {
        int64_t id = batch_of(fake, 5);

        simulator_reset();
        simulator_faults(table[i].faults);
        for (int again = 0; again < 5; again++) { /* a night has more hours than we have attempts */
            assert_done(fake, pace(fake, id));
            assert_int_equal(fake_stage_emitted(fake), 1);
            assert_string_equal(fake_stage_out(fake, 0)->type, READY);
            assert_in_range(fake_stage_out(fake, 0)->delay_ms, 60 * 1000, 3600 * 1000);
            assert_int_equal(count(fake, id, "state = 3"), table[i].sent);
            assert_int_equal(count(fake, id, "state = 0"), 5 - table[i].sent);
            assert_string_equal(scene_status(fake, id), "sending");
            assert_string_equal(fake_text(fake, "SELECT status FROM routes WHERE name = 'sms'"),
                                "open");
        }
        simulator_faults("{\"conflict_409\":0,\"force\":\"\"}");
        assert_done(fake, pace(fake, id));
        assert_int_equal(count(fake, id, "state = 3"), 5);
        assert_int_equal(fake_stage_emitted_of(fake, DONE), 1);
    }
}

static void batches_of_campaigns_that_have_stopped_are_not_sent(void **state)
{
    static const struct {
        const char *status;
        const char *emitted; /* NULL: nothing */
        bool done, waiting;
    } table[] = {
        { "cancelling", DONE, true, false }, { "cancelled", DONE, true, false },
        { "expired", DONE, true, false },    { "completed", DONE, true, false },
        { "paused", NULL, false, true },
    };
    struct fake_stage *fake = *state;

    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        int64_t id = batch_of(fake, 5);

        scene_sql(fake, "UPDATE campaigns SET status = '%s' WHERE id = %lld", table[i].status,
                  (long long)id);
        assert_done(fake, pace(fake, id));
        assert_int_equal(fake_stage_emitted(fake), table[i].emitted != NULL);
        assert_int_equal(is_done(fake, id), table[i].done);
        assert_int_equal(counter(fake, id, "waiting::int"), table[i].waiting);
        assert_int_equal(count(fake, id, "state = 0"), 5);
    }
    int64_t late = batch_of(fake, 5);
    scene_sql(fake, "UPDATE campaigns SET expires_at = now() - interval '1 s' WHERE id = %lld",
              (long long)late);
    assert_done(fake, pace(fake, late));
    assert_int_equal(fake_stage_emitted_of(fake, DONE), 1);
    assert_true(is_done(fake, late));
    assert_int_equal(simulator_count("requests"), 0);
}

static void leave_to_send_is_for_now(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = batch_of(fake, 5);
    char json[200], at[CLOCK_RFC3339_BYTES];

    for (int late = 1; late >= 0; late--) {
        clock_format(clock_now_ms() + (late ? -1000 : 60000), at);
        snprintf(json, sizeof json,
                 "{\"campaign\":\"%s\",\"batch\":1,\"size\":5,\"expires_at\":\"%s\"}",
                 scene_name(id), at);
        assert_done(fake, fake_stage_send(fake, PACED, scene_message(), json));
        assert_int_equal(fake_stage_emitted(fake), 1);
        assert_string_equal(fake_stage_out(fake, 0)->type, late ? READY : DONE);
        assert_int_equal(fake_stage_out(fake, 0)->delay_ms, 0);
        assert_int_equal(simulator_count("requests"), !late);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CALLING(a_refusal_for_now_is_tried_again_until_the_limit),
        CALLING(a_message_that_ended_a_pass_keeps_its_pause_when_it_comes_again),
        CALLING(a_pause_outlasts_the_leave_to_send),
        CALLING(a_probe_that_comes_again_leaves_the_route_as_it_is),
        CALLING(a_batch_set_aside_waits_also_when_its_message_comes_again),
        CALLING(a_refusal_for_now_may_pass_the_next_time),
        CALLING(in_the_forbidden_hours_a_batch_comes_back_later),
        CALLING(batches_of_campaigns_that_have_stopped_are_not_sent),
        CALLING(leave_to_send_is_for_now),
    };

    return cmocka_run_group_tests_name("stage.send-sms.again", tests, start_all, stop_all);
}
