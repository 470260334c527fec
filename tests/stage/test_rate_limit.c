/* rate-limit: batches leave at the pace a route can bear */
#include "msg/campaign.h"
#include "scene.h"

#define READY "batch.ready.v1"
#define PACED "batch.paced.v1"
#define SLACK_MS 400 /* the test's own running time, on a busy machine */

static void configure(struct fake_stage *fake, const char *per_second)
{
    setenv("SMS_RATE_LIMIT_PER_SECOND", per_second, 1);
    fake_stage_restart(fake);
    fake_stage_repeat(fake, false); /* a second handling would wait a second time */
}

static enum verdict ready(struct fake_stage *fake, int size)
{
    char json[100];

    snprintf(json, sizeof json, "{\"campaign\":\"%s\",\"batch\":7,\"size\":%d}",
             scene_name(scene_id()), size);
    return fake_stage_give(fake, &(struct fake_message){ .type = READY,
                                                         .id = scene_message(),
                                                         .json = json,
                                                         .account = "acme",
                                                         .correlation = "cmp_x" });
}

static void hold(struct fake_stage *fake, const char *held_until)
{
    scene_sql(fake,
              "UPDATE routes SET status = 'held', why = 'test', held_at = now(), held_until = %s",
              held_until);
}

static void without_a_limit_batches_pass_at_once_and_for_ever(void **state)
{
    struct fake_stage *fake = *state;
    struct batch_paced paced;

    configure(fake, "0");
    fake_stage_repeat(fake, true);
    for (int i = 0; i < 5; i++) {
        assert_done(fake, ready(fake, 500));
        assert_int_equal(fake_stage_waited_ms(fake), 0);
        assert_int_equal(fake_stage_emitted(fake), 1);
        fake_stage_read(fake, &batch_paced_v1, 0, &paced);
        assert_int_equal(paced.batch, 7);
        assert_int_equal(paced.size, 500);
        assert_int_equal(paced.expires_at_ms, 0);
        assert_string_equal(fake_stage_out(fake, 0)->key, "batch.paced.sms.normal");
        assert_string_equal(fake_stage_out(fake, 0)->account, "acme");
        assert_string_equal(fake_stage_out(fake, 0)->correlation, "cmp_x");
    }
}

static void each_batch_takes_its_size_over_the_rate(void **state)
{
    static const int sizes[] = { 50, 10, 100, 1, 39, 0, 25 };
    struct fake_stage *fake = *state;
    int64_t began_ms = clock_mono_ms();
    int64_t due_ms = 0;

    configure(fake, "100");
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct batch_paced paced;
        int64_t before_ms = clock_now_ms();

        assert_done(fake, ready(fake, sizes[i]));
        /* The waits are played, so real time has hardly moved: the wait is all that is booked. */
        assert_in_range(fake_stage_waited_ms(fake) + SLACK_MS + clock_mono_ms() - began_ms, due_ms,
                        due_ms + 2 * SLACK_MS + 2 * (clock_mono_ms() - began_ms));
        fake_stage_read(fake, &batch_paced_v1, 0, &paced);
        assert_in_range(paced.expires_at_ms - 400, before_ms + fake_stage_waited_ms(fake),
                        clock_now_ms());
        due_ms += sizes[i] * 10;
    }
}

static void the_first_batch_after_a_rest_does_not_wait(void **state)
{
    struct fake_stage *fake = *state;

    configure(fake, "1000000");
    for (int i = 0; i < 50; i++) {
        assert_done(fake, ready(fake, 1));
        assert_in_range(fake_stage_waited_ms(fake), 0, 1);
    }
}

static void the_limit_of_a_second_is_never_passed(void **state)
{
    struct fake_stage *fake = *state;
    int64_t waited_ms = 0, began_ms;
    int sent = 0;

    configure(fake, "200");
    began_ms = clock_mono_ms();
    while (sent < 1000) { /* 5 s of work in batches of a twentieth of a second */
        assert_done(fake, ready(fake, 10));
        waited_ms = fake_stage_waited_ms(fake) + clock_mono_ms() - began_ms;
        sent += 10;
        /* By the time this one leaves, those before it have taken their time. */
        assert_true((sent - 10) * 1000 <= (waited_ms + 2) * 200);
    }
    assert_true(waited_ms >= 4900);
}

static void a_held_route_sends_batches_back_for_later(void **state)
{
    struct fake_stage *fake = *state;
    struct batch_fact fact;

    configure(fake, "0");
    fake_stage_repeat(fake, true);
    hold(fake, "now() + interval '1 hour'");
    for (int i = 0; i < 3; i++) {
        assert_done(fake, ready(fake, 12));
        assert_int_equal(fake_stage_emitted(fake), 1);
        fake_stage_read(fake, &batch_ready_v1, 0, &fact);
        assert_int_equal(fact.batch, 7);
        assert_int_equal(fact.size, 12);
        assert_true(fake_stage_out(fake, 0)->delay_ms >= 1000);
        assert_string_equal(fake_stage_out(fake, 0)->key, "tuma.rate-limit.sms.normal");
    }
    hold(fake, "NULL"); /* until a person opens it */
    assert_done(fake, ready(fake, 12));
    assert_int_equal(fake_stage_emitted_of(fake, READY), 1);
    fake_sql(fake, "UPDATE routes SET status = 'open', held_until = NULL");
    assert_done(fake, ready(fake, 12));
    assert_int_equal(fake_stage_emitted_of(fake, PACED), 1);
}

static void a_held_route_whose_time_is_over_lets_one_batch_try(void **state)
{
    struct fake_stage *fake = *state;
    struct batch_paced paced;

    configure(fake, "0");
    assert_done(fake, ready(fake, 12));
    fake_stage_read(fake, &batch_paced_v1, 0, &paced);
    assert_false(paced.probe);
    for (int probe = 0; probe < 2; probe++) {
        hold(fake, "now() - interval '1 second'");
        assert_done(fake, ready(fake, 12));
        fake_stage_read(fake, &batch_paced_v1, 0, &paced);
        assert_true(paced.probe);
        assert_done(fake, ready(fake, 12));
        assert_int_equal(fake_stage_emitted_of(fake, READY), 1);
        assert_string_equal(fake_text(fake, "SELECT status FROM routes WHERE name = 'sms'"),
                            "held");
        assert_true(
            fake_number(fake, "SELECT (held_until > now())::int FROM routes WHERE name = 'sms'"));
    }
}

static void the_wait_of_a_held_batch_is_not_charged(void **state)
{
    struct fake_stage *fake = *state;

    configure(fake, "1");
    hold(fake, "now() + interval '1 hour'");
    assert_done(fake, ready(fake, 1000));
    fake_sql(fake, "UPDATE routes SET status = 'open', held_until = NULL");
    assert_done(fake, ready(fake, 1));
    assert_int_equal(fake_stage_waited_ms(fake), 0);
}

static void an_unknown_route_is_an_open_one(void **state)
{
    struct fake_stage *fake = *state;

    configure(fake, "0");
    fake_sql(fake, "DELETE FROM routes WHERE name = 'sms'");
    assert_done(fake, ready(fake, 12));
    assert_int_equal(fake_stage_emitted_of(fake, PACED), 1);
}

static void a_message_that_is_no_batch_is_parked(void **state)
{
    static const char *const bodies[] = { "{}", "{\"campaign\":\"x\",\"batch\":0,\"size\":1}",
                                          "{\"campaign\":\"x\",\"batch\":1,\"size\":2001}",
                                          "{\"campaign\":\"x\",\"batch\":1,\"size\":-1}" };
    struct fake_stage *fake = *state;

    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        assert_int_equal(fake_stage_send(fake, READY, scene_message(), bodies[i]), STAGE_REJECT);
        assert_string_equal(fake_stage_why(fake), "bad_field");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(without_a_limit_batches_pass_at_once_and_for_ever),
        SCENE(each_batch_takes_its_size_over_the_rate),
        SCENE(the_first_batch_after_a_rest_does_not_wait),
        SCENE(the_limit_of_a_second_is_never_passed),
        SCENE(a_held_route_sends_batches_back_for_later),
        SCENE(a_held_route_whose_time_is_over_lets_one_batch_try),
        SCENE(the_wait_of_a_held_batch_is_not_charged),
        SCENE(an_unknown_route_is_an_open_one),
        SCENE(a_message_that_is_no_batch_is_parked),
    };

    return cmocka_run_group_tests_name("stage.rate-limit", tests, scene_start_server,
                                       scene_stop_server);
}
