/*
 * Names, keys and buckets of msg/topic.h, and that the table holds together.
 */
/* clang-format off */
#include <setjmp.h> /* cmocka.h needs these four before it */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "msg/campaign.h"
#include "msg/event.h"
#include "msg/topic.h"

static void a_type_is_found_by_its_whole_name(void **state)
{
    (void)state;
    assert_ptr_equal(topic_find("batch.ready.v1")->shape, &batch_ready_v1);
    assert_null(topic_find("batch.ready"));
    assert_null(topic_find("batch.ready.v2"));
    assert_null(topic_find(""));
}

static void names_are_as_the_header_says(void **state)
{
    (void)state;
    const struct topic *ready = topic_find("batch.ready.v1");
    const struct topic *submitted = topic_find("campaign.submitted.v1");
    const struct topic *completed = topic_find("campaign.completed.v1");
    struct str out = { 0 };

    topic_exchange("tuma", ready, &out);
    assert_string_equal(out.bytes, "tuma.campaigns");
    str_reset(&out);
    topic_key(ready, "sms", LANE_HIGH, &out);
    assert_string_equal(out.bytes, "batch.ready.sms.high");
    str_reset(&out);
    topic_key(submitted, NULL, LANE_NORMAL, &out);
    assert_string_equal(out.bytes, "campaign.submitted.normal");
    str_reset(&out);
    topic_queue("tuma", "rate-limit", "sms", LANE_HIGH, &out);
    assert_string_equal(out.bytes, "tuma.rate-limit.sms.high");
    str_reset(&out);
    topic_queue("t2", "render-template", NULL, LANE_NORMAL, &out);
    assert_string_equal(out.bytes, "t2.render-template.normal");
    str_reset(&out);
    topic_exchange("tuma", completed, &out);
    assert_string_equal(out.bytes, "tuma.events");
    str_reset(&out);
    topic_event_key(completed, "acme", &out);
    assert_string_equal(out.bytes, "campaign.completed.acme");
    str_reset(&out);
    topic_event_key(topic_find("route.held.v1"), NULL, &out);
    assert_string_equal(out.bytes, "route.held.-");
    str_reset(&out);
    topic_event_key(topic_find("route.held.v1"), "", &out);
    assert_string_equal(out.bytes, "route.held.-");
    str_free(&out);
}

static void names_append(void **state)
{
    (void)state;
    struct str out = { 0 };

    str_puts(&out, "to ");
    topic_queue("tuma", "send-sms", "sms", LANE_NORMAL, &out);
    assert_string_equal(out.bytes, "to tuma.send-sms.sms.normal");
    str_free(&out);
}

static void routed_are_the_stages_behind_the_split(void **state)
{
    (void)state;
    assert_true(topic_stage_is_routed("rate-limit"));
    assert_true(topic_stage_is_routed("send-sms"));
    assert_false(topic_stage_is_routed("split-batches"));
    assert_false(topic_stage_is_routed("render-template"));
    assert_false(topic_stage_is_routed("no-such-stage"));
}

static void a_delay_takes_the_smallest_bucket_that_is_long_enough(void **state)
{
    (void)state;
    static const struct {
        int64_t delay_ms;
        int bucket_s;
    } cases[] = {
        { -5, 1 },       { 0, 1 },        { 1, 1 },        { 1000, 1 },        { 1001, 5 },
        { 5000, 5 },     { 5001, 10 },    { 10000, 10 },   { 10001, 30 },      { 30001, 120 },
        { 120001, 600 }, { 600000, 600 }, { 600001, 600 }, { INT64_MAX, 600 },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        assert_int_equal(topic_delay_bucket(cases[i].delay_ms), cases[i].bucket_s);
    }
}

/* Every type has a version, is there once, a stage for each of its routes. */
static void the_table_holds_together(void **state)
{
    (void)state;
    for (const struct topic *topic = topics; topic->shape != NULL; topic++) {
        const char *type = topic->shape->type;
        assert_string_equal(topic_find(type)->shape->type, type);
        for (const char *const *route = topic->routes; route && *route; route++) {
            assert_ptr_equal(topic_over(topic_find(type), *route), topic);
        }
        if (topic->routes == NULL) {
            assert_ptr_equal(topic_find(type), topic);
        }
        assert_non_null(strrchr(type, '.'));
        assert_int_equal(strncmp(strrchr(type, '.'), ".v", 2), 0);
        assert_int_equal(topic->stage == NULL, strcmp(topic->exchange, "events") == 0);
        if (topic->stage != NULL) {
            assert_ptr_equal(topic->routes, topic_stage_routes(topic->stage));
        }
    }
    for (const int *delay_s = topic_delays_s; *delay_s != 0; delay_s++) {
        assert_true(delay_s == topic_delays_s || delay_s[-1] < *delay_s);
    }
}

static void ask_key_without_route(void)
{
    struct str out = { 0 };
    topic_key(topic_find("batch.ready.v1"), NULL, LANE_HIGH, &out);
}

static void ask_key_with_a_route_too_many(void)
{
    struct str out = { 0 };
    topic_key(topic_find("batch.done.v1"), "sms", LANE_HIGH, &out);
}

static void ask_key_of_an_event(void)
{
    struct str out = { 0 };
    topic_key(topic_find("route.held.v1"), NULL, LANE_HIGH, &out);
}

static void ask_event_key_of_a_fact(void)
{
    struct str out = { 0 };
    topic_event_key(topic_find("batch.done.v1"), "acme", &out);
}

static void ask_queue_without_route(void)
{
    struct str out = { 0 };
    topic_queue("tuma", "send-sms", NULL, LANE_HIGH, &out);
}

static void a_wrong_question_panics(void **state)
{
    (void)state;
    static void (*const questions[])(void) = { ask_key_without_route, ask_key_with_a_route_too_many,
                                               ask_key_of_an_event, ask_event_key_of_a_fact,
                                               ask_queue_without_route };

    for (size_t i = 0; i < sizeof(questions) / sizeof(*questions); i++) {
        int status;
        fflush(NULL);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            signal(SIGABRT, SIG_DFL);
            (void)!freopen("/dev/null", "w", stderr);
            questions[i]();
            _exit(0);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), SIGABRT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_type_is_found_by_its_whole_name),
        cmocka_unit_test(names_are_as_the_header_says),
        cmocka_unit_test(names_append),
        cmocka_unit_test(routed_are_the_stages_behind_the_split),
        cmocka_unit_test(a_delay_takes_the_smallest_bucket_that_is_long_enough),
        cmocka_unit_test(the_table_holds_together),
        cmocka_unit_test(a_wrong_question_panics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
