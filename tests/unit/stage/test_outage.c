/* Database and broker come and go: nothing is lost, no attempt is spent, nobody spins. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "world.h"

static const char *const drain[] = { "--drain", NULL };

static int count_lines(const char *text)
{
    int count = 0;

    for (const char *at = demo_output(); (at = strstr(at, text)) != NULL; at++) {
        count++;
    }
    return count;
}

static void a_message_outlives_the_database(void **state)
{
    struct got got[20];

    (void)state;
    const pid_t demo = start_demo(NULL, NULL);
    await_output("worker_started");
    world_publish("ok", "m0");
    world_collect(OUTPUTS, got, 2);
    servers_do("halt", "postgres");
    world_publish_many("ok", 9);
    await_output("event=database_away");
    clock_sleep_ms(500);
    world_expect_empty(OUTPUTS);
    world_expect_empty(PARKED);
    servers_do("start", "postgres");
    world_collect(OUTPUTS, got, 18);
    kill(demo, SIGTERM);
    assert_int_equal(wait_demo(demo), 0);
    assert_int_equal(count_lines("message_retry"), 0);
    assert_int_equal(count_lines("event=database_away"), 1);
    assert_int_equal(count_lines("event=database_connected"), 1);
    world_expect_empty(INPUTS);
}

/* While the handler waits: "ok" then fails in its next statement, "quiet" in the commit. */
static void lose_connection(const char *reference)
{
    struct got got[2];

    world_reset(NULL);
    world_publish(reference, "m1");
    const pid_t demo = start_demo(NULL, (const char *[]){ "DEMO_PAUSE=700ms", NULL });
    await(world_number("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                       " WHERE application_name LIKE 'render-%' AND state = 'idle in transaction'"
                       " AND clock_timestamp() - state_change > '200 ms'") == 1);
    world_collect(OUTPUTS, got, 2);
    kill(demo, SIGTERM);
    assert_int_equal(wait_demo(demo), 0);
    assert_int_equal(count_lines("message_retry"), 0);
    assert_int_equal(count_lines("event=database_connected"), 1);
    assert_int_equal(world_number("SELECT times FROM demo"), 1);
}

static void a_connection_lost_under_a_handler_repeats_the_call(void **state)
{
    (void)state;
    lose_connection("ok");
    lose_connection("quiet");
}

static void told_to_stop_without_a_database_it_gives_the_message_back(void **state)
{
    (void)state;
    const pid_t demo = start_demo(NULL, NULL);
    await_output("worker_started");
    servers_do("halt", "postgres");
    world_publish("ok", "m1");
    await_output("event=database_away");
    kill(demo, SIGTERM);
    assert_int_equal(wait_demo(demo), 0);
    await(world_depth(INPUTS) == 1);
    world_expect_empty(PARKED);
    servers_do("start", "postgres");
}

static void a_worker_waits_for_the_database_at_its_start(void **state)
{
    struct got got[2];

    (void)state;
    world_publish("ok", "m1");
    servers_do("halt", "postgres");
    const pid_t demo = start_demo(NULL, NULL);
    await_output("event=not_started");
    servers_do("start", "postgres");
    world_collect(OUTPUTS, got, 2);
    kill(demo, SIGTERM);
    assert_int_equal(wait_demo(demo), 0);
}

/* Every id that the inputs call for is there; repetitions are allowed. */
static void expect_all(const struct got *got, size_t count, size_t want)
{
    size_t different = 0;

    for (size_t i = 0; i < count; i++) {
        size_t j = 0;
        while (j < i && strcmp(got[i].id, got[j].id) != 0) {
            j++;
        }
        different += j == i;
    }
    assert_int_equal(different, want);
}

static void a_run_outlives_the_broker(void **state, const char *how)
{
    static struct got got[4000];

    (void)state;
    world_publish_many("ok", 1000);
    const pid_t demo = start_demo(NULL, NULL);
    await(world_number("SELECT count(*) FROM demo") > 50);
    servers_do(how, "rabbitmq");
    await(world_number("SELECT count(*) FROM demo") == 1000);
    await(world_depth(INPUTS) == 0);
    kill(demo, SIGTERM);
    assert_int_equal(wait_demo(demo), 0);
    assert_int_equal(run_demo(drain, NULL), 0); /* what came back from the lost connection */
    const int64_t depth = world_depth(OUTPUTS);
    assert_in_range(depth, 2000, 4000);
    world_collect(OUTPUTS, got, (size_t)depth);
    expect_all(got, (size_t)depth, 2000);
    world_expect_empty(PARKED);
}

static void a_run_outlives_a_restart_of_the_broker(void **state)
{
    a_run_outlives_the_broker(state, "restart");
}

static void a_run_outlives_a_crash_of_the_broker(void **state)
{
    a_run_outlives_the_broker(state, "kill");
}

static void a_full_queue_holds_the_stage_back(void **state)
{
    static struct got got[60];
    struct got more[60];
    size_t taken = 0;

    (void)state;
    servers_ctl("set_policy full '^tuma\\.reserve-tokens\\.normal$' "
                "'{\"max-length\":2,\"overflow\":\"reject-publish\"}' --priority 100");
    world_publish_many("ok", 30);
    const pid_t demo = start_demo(NULL, NULL);
    await_output("event=output_refused");
    clock_sleep_ms(1000);
    assert_true(world_depth(OUTPUTS) < 40);
    assert_true(world_depth(INPUTS) >= 20); /* no more than the prefetch was taken */
    while (taken < 60) {
        const int64_t depth = world_depth(OUTPUTS);
        const size_t part = (size_t)depth < 60 - taken ? (size_t)depth : 60 - taken;
        world_collect(OUTPUTS, more, part);
        memcpy(&got[taken], more, part * sizeof *more);
        taken += part;
    }
    kill(demo, SIGTERM);
    assert_int_equal(wait_demo(demo), 0);
    expect_all(got, 60, 60);
    world_expect_empty(OUTPUTS);
    world_expect_empty(INPUTS);
    servers_ctl("clear_policy full");
}

static void an_unroutable_output_is_an_error_and_is_kept(void **state)
{
    struct got got[2];

    (void)state;
    servers_ctl("delete_queue tuma.reserve-tokens.normal");
    world_publish("ok", "m1");
    const pid_t demo = start_demo(NULL, NULL);
    await_output("level=error stage=render-template event=output_unroutable");
    world_import();
    world_collect(OUTPUTS, got, 2);
    kill(demo, SIGTERM);
    assert_int_equal(wait_demo(demo), 0);
    world_expect_empty(INPUTS);
}

#define with_world(test) cmocka_unit_test_setup(test, world_reset)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_world(a_message_outlives_the_database),
        with_world(a_connection_lost_under_a_handler_repeats_the_call),
        with_world(told_to_stop_without_a_database_it_gives_the_message_back),
        with_world(a_worker_waits_for_the_database_at_its_start),
        with_world(a_run_outlives_a_restart_of_the_broker),
        with_world(a_run_outlives_a_crash_of_the_broker),
        with_world(a_full_queue_holds_the_stage_back),
        with_world(an_unroutable_output_is_an_error_and_is_kept),
    };

    return cmocka_run_group_tests(tests, world_start, world_stop);
}
