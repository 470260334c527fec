/* Whatever line it is killed on: after a restart the outputs are there, under the same ids. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/id.h"
#include "crypto/crypto.h"
#include "world.h"

static void id_of(const char *text, char out[ID_MESSAGE_BYTES])
{
    unsigned char digest[CRYPTO_SHA256_BYTES];

    crypto_sha256(text, strlen(text), digest);
    id_hex(digest, 16, out);
}

/* Every output queue holds each of the ids, at least once and at most twice, and nothing else. */
static void expect_only(const char *point, const char *const *texts, size_t count)
{
    struct got got[8];
    size_t seen[8] = { 0 };
    const int64_t depth = world_depth(OUTPUTS);

    assert_in_range(depth, count, 2 * count);
    world_collect(OUTPUTS, got, (size_t)depth);
    for (int64_t i = 0; i < depth; i++) {
        size_t match = 0;
        for (; match < count; match++) {
            char id[ID_MESSAGE_BYTES];
            id_of(texts[match], id);
            if (strcmp(got[i].id, id) == 0) {
                seen[match]++;
                break;
            }
        }
        if (match == count) {
            fail_msg("%s: output %s is a stranger", point, got[i].id);
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (seen[i] == 0) {
            fail_msg("%s: an output is missing", point);
        }
    }
}

static const char *const outputs_of_m1[] = { "m1|render-template|0",
                                             "render-template|campaign.rendered.v1|m1" };

static void crash_at(const char *point, int64_t rows_after_crash, bool acked)
{
    world_reset(NULL);
    world_publish("ok", "m1");
    assert_int_not_equal(wait_demo(start_crasher(point, (const char *[]){ "--drain", NULL })), 0);
    assert_non_null(strstr(demo_output(), "signal=9"));
    assert_int_equal(world_number("SELECT count(*) FROM demo"), rows_after_crash);
    await(world_depth(INPUTS) == (acked ? 0 : 1));
    assert_int_equal(run_demo((const char *[]){ "--drain", NULL }, NULL), 0);
    world_expect_empty(INPUTS);
    world_expect_empty(PARKED);
    assert_int_equal(world_number("SELECT count(*) FROM demo"), 1);
    expect_only(point, outputs_of_m1, 2);
}

static void a_crash_repeats_the_tail_and_never_skips_it(void **state)
{
    (void)state;
    crash_at("after_receive", 0, false);
    crash_at("after_handle", 0, false);
    crash_at("after_commit", 1, false);
    crash_at("after_publish", 1, false);
    crash_at("after_confirm", 1, false);
    /* The acknowledgement is on its way: it may or may not have arrived. */
    world_reset(NULL);
    world_publish("ok", "m1");
    assert_int_not_equal(wait_demo(start_crasher("after_ack", (const char *[]){ "--drain", NULL })),
                         0);
    assert_int_equal(run_demo((const char *[]){ "--drain", NULL }, NULL), 0);
    world_expect_empty(INPUTS);
    expect_only("after_ack", outputs_of_m1, 2);
}

static void tick_crash_at(const char *point)
{
    static const char *const due[] = { "render-template|campaign.rendered.v1|a",
                                       "render-template|campaign.rendered.v1|b" };
    struct err err;

    world_reset(NULL);
    assert_true(db_script(world_db(), "INSERT INTO demo_due VALUES ('a'), ('b')", &err));
    assert_int_not_equal(wait_demo(start_crasher(point, (const char *[]){ "--drain", NULL })), 0);
    await(world_number("SELECT count(*) FROM demo_due WHERE done") == 0);
    assert_int_equal(
        run_demo((const char *[]){ "--drain", NULL }, (const char *[]){ "DEMO_TICKS=yes", NULL }),
        0);
    assert_int_equal(world_number("SELECT count(*) FROM demo_due WHERE done"), 2);
    expect_only(point, due, 2);
}

static void a_crashed_tick_is_repeated(void **state)
{
    (void)state;
    tick_crash_at("tick_after_handle");
    tick_crash_at("after_publish");
    tick_crash_at("tick_after_confirm");
}

/* The parked copy, too, stands before the input goes. */
static void a_refusal_survives_a_crash(void **state)
{
    static const char *const points[] = { "after_publish", "after_confirm" };
    struct got got[2];

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        world_reset(NULL);
        world_publish("bad", "m1");
        assert_int_not_equal(
            wait_demo(start_crasher(points[i], (const char *[]){ "--drain", NULL })), 0);
        assert_int_equal(run_demo((const char *[]){ "--drain", NULL }, NULL), 0);
        const int64_t parked = world_depth(PARKED);
        assert_in_range(parked, 1, 2);
        world_collect(PARKED, got, (size_t)parked);
        assert_string_equal(got[0].id, "m1");
        world_expect_empty(INPUTS);
    }
}

static void the_supervisor_starts_a_dead_worker_again(void **state)
{
    struct got got[2];

    (void)state;
    world_publish("ok", "m1");
    const pid_t demo = start_crasher("after_receive", NULL);
    world_collect(OUTPUTS, got, 2);
    assert_non_null(strstr(demo_output(), "event=worker_died worker=0 exit=0 signal=9"));
    kill(worker_of(demo), SIGKILL);
    world_publish("ok", "m2");
    world_collect(OUTPUTS, got, 2);
    kill(demo, SIGTERM);
    assert_int_equal(wait_demo(demo), 0);
}

static void workers_end_with_their_supervisor(void **state)
{
    (void)state;
    const pid_t demo = start_demo(NULL, NULL);
    await_output("worker_started");
    const pid_t worker = worker_of(demo);
    assert_true(worker > 0);
    kill(demo, SIGKILL);
    assert_int_equal(wait_demo(demo), 128 + SIGKILL);
    await(kill(worker, 0) != 0 || status_kb(worker, "VmRSS:") < 0);
    assert_non_null(strstr(demo_output(), "event=worker_stopped"));
}

#define with_world(test) cmocka_unit_test_setup(test, world_reset)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_world(a_crash_repeats_the_tail_and_never_skips_it),
        with_world(a_crashed_tick_is_repeated),
        with_world(a_refusal_survives_a_crash),
        with_world(the_supervisor_starts_a_dead_worker_again),
        with_world(workers_end_with_their_supervisor),
    };

    return cmocka_run_group_tests(tests, world_start, world_stop);
}
