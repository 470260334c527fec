/* Messages handled together: when they are, when they part, and that none is lost or done twice. */
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "world.h"

/* As crowd.c has them. */
#define TOGETHER 4
#define TOGETHER_FOR_MS 1000
#define PATIENT_MS 20000

static const char *const drain[] = { "--drain", NULL };

static int crowd_start(void **state)
{
    struct err err;

    if (world_start(state) != 0) {
        return -1;
    }
    return db_script(world_db(),
                     "CREATE TABLE crowd (id text PRIMARY KEY, reference text, together int,"
                     "                    times int DEFAULT 1)",
                     &err)
               ? 0
               : -1;
}

static int crowd_reset(void **state)
{
    struct err err;

    if (world_reset(state) != 0 || !db_script(world_db(), "TRUNCATE crowd", &err)) {
        return -1;
    }
    return 0;
}

/* Publishes "m0" … with these references. */
static void publish(const char *const *references)
{
    char id[8];

    for (int i = 0; references[i] != NULL; i++) {
        snprintf(id, sizeof id, "m%d", i);
        world_publish(references[i], id);
    }
}

static const char *const four[] = { "ok", "ok", "ok", "ok", NULL };

static int64_t rows(void)
{
    return world_number("SELECT count(*) FROM crowd");
}

static int64_t rows_once_alone(void)
{
    return world_number("SELECT count(*) FROM crowd WHERE times = 1 AND together = 1");
}

static void expect_parked(const char *id, const char *why)
{
    struct got got;

    world_collect(PARKED, &got, 1);
    assert_string_equal(got.id, id);
    assert_string_equal(got.why, why);
    world_expect_empty(PARKED);
}

static void what_waits_is_handled_together_up_to_a_limit(void **state)
{
    (void)state;
    world_publish_many("ok", 10);
    assert_int_equal(run_demo(drain, NULL), 0);
    assert_int_equal(rows(), 10);
    assert_int_equal(world_number("SELECT count(*) FROM crowd WHERE together = 4 AND times = 1"),
                     8);
    assert_int_equal(world_number("SELECT count(*) FROM crowd WHERE together = 2 AND times = 1"),
                     2);
    assert_null(strstr(demo_output(), "group_parted"));
    world_expect_empty(INPUTS);
    world_expect_empty(PARKED);
}

static void workers_share_what_waits(void **state)
{
    (void)state;
    world_publish_many("ok", 300);
    assert_int_equal(run_demo((const char *[]){ "--drain", "--workers", "3", NULL }, NULL), 0);
    assert_int_equal(world_number("SELECT count(*) FROM crowd WHERE times = 1"), 300);
    assert_int_equal(world_number("SELECT max(together) FROM crowd"), TOGETHER);
    world_expect_empty(INPUTS);
}

static void a_lone_message_waits_no_longer_than_agreed(void **state)
{
    (void)state;
    const pid_t demo = start_demo(NULL, NULL);
    await(world_consumers(INPUTS) == 1);
    const int64_t from_ms = clock_mono_ms();
    world_publish("ok", "m0");
    await(rows() == 1);
    assert_in_range(clock_mono_ms() - from_ms, TOGETHER_FOR_MS, 3 * TOGETHER_FOR_MS);
    assert_int_equal(rows_once_alone(), 1);
    kill(demo, SIGTERM);
    assert_int_equal(wait_demo(demo), 0);
    world_expect_empty(INPUTS);
}

/* Those that cannot come, because so many are not fetched, are not waited for. */
static void a_smaller_prefetch_makes_smaller_groups(void **state)
{
    (void)state;
    world_publish_many("ok", 8);
    const pid_t demo =
        start_demo(NULL, (const char *[]){ "STAGE_PREFETCH=2", "CROWD_VARIANT=patient", NULL });
    await_output("worker_started");
    const int64_t from_ms = clock_mono_ms();
    await(rows() == 8);
    assert_true(clock_mono_ms() - from_ms < PATIENT_MS);
    assert_int_equal(world_number("SELECT count(*) FROM crowd WHERE together = 2"), 8);
    kill(demo, SIGTERM);
    assert_int_equal(wait_demo(demo), 0);
}

static void one_message_may_be_twice_in_a_group(void **state)
{
    (void)state;
    world_publish("ok", "m0");
    world_publish("ok", "m0");
    world_publish("ok", "m1");
    assert_int_equal(run_demo(drain, NULL), 0);
    assert_int_equal(world_number("SELECT times FROM crowd WHERE id = 'm0'"), 2);
    assert_int_equal(world_number("SELECT min(together) FROM crowd"), 3);
    world_expect_empty(INPUTS);
}

static void a_bad_one_is_parked_and_the_others_are_done_alone(void **state)
{
    (void)state;
    publish((const char *[]){ "ok", "bad", "ok", "ok", NULL });
    assert_int_equal(run_demo(drain, NULL), 0);
    assert_non_null(strstr(demo_output(), "event=group_parted messages=4 why=bad_reference"));
    assert_int_equal(rows(), 3);
    assert_int_equal(rows_once_alone(), 3);
    assert_int_equal(world_number("SELECT count(*) FROM crowd WHERE id = 'm1'"), 0);
    expect_parked("m1", "bad_reference");
    world_expect_empty(INPUTS);
}

/* The confirm of what was parked is not left lying until the last of the group is done. */
static void settling_goes_on_while_a_group_is_handled_one_by_one(void **state)
{
    (void)state;
    publish((const char *[]){ "bad", "slow", "slow", "slow", NULL });
    assert_int_equal(run_demo(drain, NULL), 0);
    const char *parked = strstr(demo_output(), "event=message_parked");
    const char *last = NULL;
    for (const char *at = demo_output(); (at = strstr(at, "event=message_done")) != NULL; at++) {
        last = at;
    }
    assert_non_null(parked);
    assert_non_null(last);
    assert_true(parked < last);
    assert_int_equal(rows_once_alone(), 3);
}

static void one_that_asks_for_a_retry_comes_back_and_the_others_are_done(void **state)
{
    (void)state;
    publish((const char *[]){ "ok", "ok", "flaky", "ok", NULL });
    const pid_t demo = start_demo(NULL, NULL);
    await(rows() == 4);
    kill(demo, SIGTERM);
    assert_int_equal(wait_demo(demo), 0);
    assert_int_equal(rows_once_alone(), 4);
    assert_non_null(strstr(demo_output(), "why=not_yet detail=\"attempt 1\" attempt=1 next_s=1"));
    const char *retry = strstr(demo_output(), "event=message_retry");
    assert_null(strstr(retry + 1, "event=message_retry"));
    world_expect_empty(INPUTS);
    world_expect_empty(PARKED);
}

static void a_conflict_parts_a_group_and_spends_no_attempt(void **state)
{
    (void)state;
    publish((const char *[]){ "ok", "clash", "ok", "ok", NULL });
    assert_int_equal(run_demo(drain, NULL), 0);
    assert_non_null(strstr(demo_output(), "group_parted messages=4 why=pg_serialization_failure"));
    assert_null(strstr(demo_output(), "message_retry"));
    assert_int_equal(rows_once_alone(), 4);
}

static void send(const char *id, const char *type, const char *body)
{
    world_send(&(struct broker_message){ .exchange = "tuma.campaigns",
                                         .key = "campaign.closed.normal",
                                         .id = id,
                                         .type = type,
                                         .body = body,
                                         .body_len = strlen(body) });
}

static void one_of_an_unknown_type_does_not_part_a_group(void **state)
{
    (void)state;
    world_publish("ok", "m0");
    send("m1", "campaign.closed.v2", "{}");
    world_publish("ok", "m2");
    world_publish("ok", "m3");
    assert_int_equal(run_demo(drain, NULL), 0);
    expect_parked("m1", "unknown_type");
    assert_int_equal(rows(), 3);
    assert_int_equal(world_number("SELECT count(*) FROM crowd WHERE together = 3 AND times = 1"),
                     3);
    world_expect_empty(INPUTS);
}

static void one_with_a_broken_body_is_parked_alone(void **state)
{
    (void)state;
    world_publish("ok", "m0");
    world_publish("ok", "m1");
    world_publish("ok", "m2");
    send("m3", "campaign.closed.v1", "{\"chunks\":");
    assert_int_equal(run_demo(drain, NULL), 0);
    expect_parked("m3", "bad_json");
    assert_int_equal(rows(), 3);
    assert_int_equal(rows_once_alone(), 3);
    world_expect_empty(INPUTS);
}

/* m0 … m3 are fetched by one that dies; then m4 … m7 come beside them. */
static void a_redelivered_message_is_alone(void **state)
{
    char id[8];

    (void)state;
    publish(four);
    assert_int_not_equal(wait_demo(start_crasher("after_receive:4", drain)), 0);
    await(world_depth(INPUTS) == 4);
    for (int i = 4; i < 8; i++) {
        snprintf(id, sizeof id, "m%d", i);
        world_publish("ok", id);
    }
    assert_int_equal(run_demo(drain, NULL), 0);
    assert_int_equal(world_number("SELECT count(*) FROM crowd WHERE together = 1 AND times = 1"
                                  " AND id IN ('m0', 'm1', 'm2', 'm3')"),
                     4);
    assert_int_equal(world_number("SELECT count(*) FROM crowd WHERE together = 4 AND times = 1"
                                  " AND id IN ('m4', 'm5', 'm6', 'm7')"),
                     4);
    world_expect_empty(INPUTS);
}

static void a_redelivered_message_waits_for_nobody(void **state)
{
    (void)state;
    publish(four);
    assert_int_not_equal(wait_demo(start_crasher("after_receive", drain)), 0);
    await(world_depth(INPUTS) == 4);
    const pid_t demo = start_demo(NULL, (const char *[]){ "CROWD_VARIANT=patient", NULL });
    await_output("worker_started");
    const int64_t from_ms = clock_mono_ms();
    await(rows() == 4);
    assert_true(clock_mono_ms() - from_ms < PATIENT_MS);
    kill(demo, SIGTERM);
    assert_int_equal(wait_demo(demo), 0);
    assert_int_equal(rows_once_alone(), 4);
}

/* Killed there, and started again: what is left at first, and how often each was done at last. */
static void crash_at(const char *point, int64_t rows_after_crash, int64_t most_acked,
                     int64_t times_least, int64_t times_most)
{
    crowd_reset(NULL);
    publish(four);
    assert_int_not_equal(wait_demo(start_crasher(point, drain)), 0);
    assert_non_null(strstr(demo_output(), "signal=9"));
    assert_int_equal(rows(), rows_after_crash);
    await(world_depth(INPUTS) >= 4 - most_acked);
    assert_int_equal(run_demo(drain, NULL), 0);
    world_expect_empty(INPUTS);
    world_expect_empty(PARKED);
    assert_int_equal(rows(), 4);
    assert_in_range(world_number("SELECT sum(times)::int FROM crowd"), times_least, times_most);
    assert_int_equal(world_number("SELECT count(*) FROM crowd WHERE times > 2"), 0);
}

static void a_crash_repeats_a_group_one_by_one(void **state)
{
    (void)state;
    crash_at("after_receive", 0, 0, 4, 4);
    crash_at("after_receive:3", 0, 0, 4, 4);
    crash_at("after_handle", 0, 0, 4, 4);
    assert_int_equal(rows_once_alone(), 4);
    crash_at("after_commit", 4, 0, 8, 8);
    assert_int_equal(world_number("SELECT max(together) FROM crowd"), 1);
    crash_at("after_confirm", 4, 0, 8, 8);
    /* An acknowledgement that was sent may or may not have arrived. */
    crash_at("after_confirm:3", 4, 2, 6, 8);
    crash_at("after_ack", 4, 1, 7, 8);
    crash_at("after_ack:3", 4, 3, 5, 8);
    crash_at("after_ack:4", 4, 4, 4, 8);
}

/* Of a group that was parted: the parked copy is there, once or twice, and the others once. */
static void a_crash_among_those_that_parted_loses_none(void **state)
{
    static const char *const points[] = { "after_handle:1",  "after_handle:2",  "after_publish",
                                          "after_confirm:1", "after_confirm:2", "after_commit:1",
                                          "after_commit:2",  "after_ack:1",     "after_ack:4" };
    struct got got[2];

    (void)state;
    for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
        crowd_reset(NULL);
        publish((const char *[]){ "ok", "bad", "ok", "ok", NULL });
        assert_int_not_equal(wait_demo(start_crasher(points[i], drain)), 0);
        assert_non_null(strstr(demo_output(), "signal=9"));
        assert_int_equal(run_demo(drain, NULL), 0);
        world_expect_empty(INPUTS);
        const int64_t parked = world_depth(PARKED);
        assert_in_range(parked, 1, 2);
        world_collect(PARKED, got, (size_t)parked);
        assert_string_equal(got[0].id, "m1");
        assert_string_equal(got[parked - 1].id, "m1");
        assert_int_equal(rows(), 3);
        assert_int_equal(world_number("SELECT count(*) FROM crowd WHERE times > 2"), 0);
    }
}

static void emitting_in_company_is_a_panic_and_alone_is_not(void **state)
{
    struct got got[4];

    (void)state;
    publish((const char *[]){ "ok", "emit", "ok", "ok", NULL });
    assert_int_not_equal(run_demo(drain, NULL), 0);
    assert_non_null(strstr(demo_output(), "is emitted where nothing may be"));
    assert_int_equal(rows(), 0);
    await(world_depth(INPUTS) == 4);
    assert_int_equal(run_demo(drain, NULL), 0);
    world_collect(OUTPUTS, got, 1);
    world_expect_empty(OUTPUTS);
    assert_int_equal(rows_once_alone(), 4);
}

/* Waits until a group is in its handler, its transaction open. */
static void await_group(void)
{
    await(world_number("SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'"
                       " AND application_name LIKE 'render-%'"
                       " AND clock_timestamp() - state_change > '200 ms'") == 1);
}

static void a_group_outlives_the_database(void **state)
{
    (void)state;
    publish(four);
    const pid_t demo = start_demo(NULL, (const char *[]){ "CROWD_PAUSE=1500ms", NULL });
    await_group();
    servers_do("restart", "postgres");
    await(rows() == 4);
    kill(demo, SIGTERM);
    assert_int_equal(wait_demo(demo), 0);
    assert_int_equal(rows_once_alone(), 4);
    assert_non_null(strstr(demo_output(), "group_parted messages=4"));
    assert_null(strstr(demo_output(), "message_retry"));
    assert_null(strstr(demo_output(), "attempt=2"));
    world_expect_empty(INPUTS);
    world_expect_empty(PARKED);
}

static void told_to_stop_without_a_database_it_gives_all_back(void **state)
{
    (void)state;
    const pid_t demo = start_demo(NULL, NULL);
    await(world_consumers(INPUTS) == 1);
    servers_do("halt", "postgres");
    publish(four);
    await_output("event=database_away");
    kill(demo, SIGTERM);
    assert_int_equal(wait_demo(demo), 0);
    servers_do("start", "postgres");
    await(world_depth(INPUTS) == 4);
    world_expect_empty(PARKED);
    assert_null(strstr(demo_output(), "message_retry"));
    assert_int_equal(run_demo(drain, NULL), 0);
    assert_int_equal(rows_once_alone(), 4);
}

static void told_to_stop_a_waiting_group_is_given_back(void **state)
{
    (void)state;
    publish(four);
    const pid_t demo = start_demo(NULL, (const char *[]){ "CROWD_PAUSE=1900ms", NULL });
    await_group();
    kill(demo, SIGTERM);
    assert_int_equal(wait_demo(demo), 0);
    await(world_depth(INPUTS) == 4);
    assert_int_equal(rows(), 0);
    assert_null(strstr(demo_output(), "message_retry"));
    assert_int_equal(run_demo(drain, NULL), 0);
    assert_int_equal(rows_once_alone(), 4);
}

/* The one in hand is finished, and what is left of its group given back. */
static void told_to_stop_among_those_that_parted_it_finishes_one(void **state)
{
    (void)state;
    publish((const char *[]){ "bad", "slow", "slow", "slow", NULL });
    const pid_t demo = start_demo(NULL, NULL);
    await(rows() == 1);
    kill(demo, SIGTERM);
    assert_int_equal(wait_demo(demo), 0);
    await(world_depth(INPUTS) == 3 - rows());
    assert_in_range(rows(), 1, 2);
    expect_parked("m0", "bad_reference");
    assert_int_equal(run_demo(drain, NULL), 0);
    assert_int_equal(rows(), 3);
    assert_int_equal(rows_once_alone(), 3);
}

static void told_to_stop_it_waits_for_no_company(void **state)
{
    (void)state;
    const pid_t demo = start_demo(NULL, NULL);
    await(world_consumers(INPUTS) == 1);
    world_publish("ok", "m0");
    await(world_depth(INPUTS) == 0);
    kill(demo, SIGTERM);
    assert_int_equal(wait_demo(demo), 0);
    await(world_depth(INPUTS) == 1 - rows());
    assert_int_equal(run_demo(drain, NULL), 0);
    assert_int_equal(rows_once_alone(), 1);
}

static void once_handles_one(void **state)
{
    const char *const once[] = { "--once", NULL };

    (void)state;
    demo_input("campaign.closed.v1 m0 acme\n{\"reference\":\"emit\",\"chunks\":1}\n");
    assert_int_equal(run_demo(once, NULL), 0);
    assert_non_null(strstr(demo_output(), "\"type\":\"campaign.rendered.v1\""));
    assert_int_equal(rows_once_alone(), 1);
    demo_input("campaign.closed.v1 m1\n{\"reference\":\"bad\",\"chunks\":1}\n");
    assert_int_equal(run_demo(once, NULL), 100);
    demo_input("campaign.closed.v1 m2\n{\"reference\":\"flaky\",\"chunks\":1}\n");
    assert_int_equal(run_demo(once, NULL), 111);
    assert_int_equal(rows(), 1);
}

static void it_describes_what_is_handled_together(void **state)
{
    (void)state;
    assert_int_equal(run_demo((const char *[]){ "--describe", NULL }, NULL), 0);
    json_t *json = json_loads(demo_output(), JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(json);
    assert_int_equal(json_integer_value(json_object_get(json, "together")), TOGETHER);
    assert_int_equal(json_integer_value(json_object_get(json, "together_ms")), TOGETHER_FOR_MS);
    json_decref(json);
}

static void a_descriptor_that_contradicts_itself_does_not_start(void **state)
{
    static const struct {
        const char *variant, *said;
    } cases[] = {
        { "neither", "one of handle and handle_many is required" },
        { "both", "one of handle and handle_many is required" },
        { "single", "takes messages together and has no handle_many" },
        { "one", "takes 1 messages together: 2 to 64 are possible" },
        { "many", "takes 65 messages together: 2 to 64 are possible" },
        { "unfetched", "takes 9 messages together and fetches 8" },
        { "late", "lets a message wait 2001 ms for others: its deadline is 2000 ms" },
    };
    char setting[40];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(setting, sizeof setting, "CROWD_VARIANT=%s", cases[i].variant);
        assert_int_equal(run_demo(drain, (const char *[]){ setting, NULL }), 128 + SIGABRT);
        assert_non_null(strstr(demo_output(), cases[i].said));
    }
    assert_int_equal(run_demo(drain, (const char *[]){ "CROWD_VARIANT=most", NULL }), 0);
}

#define with_crowd(test) cmocka_unit_test_setup(test, crowd_reset)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_crowd(what_waits_is_handled_together_up_to_a_limit),
        with_crowd(workers_share_what_waits),
        with_crowd(a_lone_message_waits_no_longer_than_agreed),
        with_crowd(a_smaller_prefetch_makes_smaller_groups),
        with_crowd(one_message_may_be_twice_in_a_group),
        with_crowd(a_bad_one_is_parked_and_the_others_are_done_alone),
        with_crowd(settling_goes_on_while_a_group_is_handled_one_by_one),
        with_crowd(one_that_asks_for_a_retry_comes_back_and_the_others_are_done),
        with_crowd(a_conflict_parts_a_group_and_spends_no_attempt),
        with_crowd(one_of_an_unknown_type_does_not_part_a_group),
        with_crowd(one_with_a_broken_body_is_parked_alone),
        with_crowd(a_redelivered_message_is_alone),
        with_crowd(a_redelivered_message_waits_for_nobody),
        with_crowd(a_crash_repeats_a_group_one_by_one),
        with_crowd(a_crash_among_those_that_parted_loses_none),
        with_crowd(emitting_in_company_is_a_panic_and_alone_is_not),
        with_crowd(a_group_outlives_the_database),
        with_crowd(told_to_stop_without_a_database_it_gives_all_back),
        with_crowd(told_to_stop_a_waiting_group_is_given_back),
        with_crowd(told_to_stop_among_those_that_parted_it_finishes_one),
        with_crowd(told_to_stop_it_waits_for_no_company),
        with_crowd(once_handles_one),
        with_crowd(it_describes_what_is_handled_together),
        with_crowd(a_descriptor_that_contradicts_itself_does_not_start),
    };

    return cmocka_run_group_tests(tests, crowd_start, world_stop);
}
