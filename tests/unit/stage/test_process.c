/* The program around the handler: options, signals, watchdog, metrics, and what it costs to idle.
 */
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "http/http.h"
#include "world.h"

static const char *const drain[] = { "--drain", NULL };

static const char *text_at(const json_t *json, const char *list, size_t index, const char *key)
{
    return json_string_value(
        json_object_get(json_array_get(json_object_get(json, list), index), key));
}

static void it_describes_itself_without_an_environment(void **state)
{
    (void)state;
    assert_int_equal(run_demo((const char *[]){ "--describe", NULL },
                              (const char *[]){ "DATABASE_URL=", "AMQP_URL=", NULL }),
                     0);
    json_t *json = json_loads(demo_output(), JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(json);
    assert_string_equal(json_string_value(json_object_get(json, "name")), "render-template");
    assert_int_equal(json_integer_value(json_object_get(json, "deadline_ms")), 1000);
    assert_null(json_object_get(json, "together")); /* one at a time */
    assert_int_equal(json_array_size(json_object_get(json, "queues")), 2);
    assert_string_equal(json_string_value(json_array_get(json_object_get(json, "queues"), 0)),
                        INPUTS_HIGH);
    assert_string_equal(json_string_value(json_object_get(json, "parked")), PARKED);
    assert_string_equal(text_at(json, "reads", 0, "type"), "campaign.closed.v1");
    assert_string_equal(text_at(json, "emits", 0, "exchange"), "tuma.campaigns");
    assert_string_equal(text_at(json, "emits", 0, "key"), "campaign.rendered.<lane>");
    assert_string_equal(text_at(json, "emits", 1, "key"), "campaign.changed.<account>");
    assert_string_equal(text_at(json, "emits", 2, "type"), "message.parked.v1");
    assert_string_equal(text_at(json, "settings", 0, "name"), "DEMO_PAUSE");
    assert_string_equal(text_at(json, "settings", 0, "type"), "duration");
    assert_string_equal(text_at(json, "settings", 2, "name"), "DEMO_WORKERS");
    assert_string_equal(text_at(json, "settings", 3, "type"), "secret");
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(json, "workers"), "setting")),
        "DEMO_WORKERS");
    json_decref(json);
}

static void all_start_up_problems_are_told_together(void **state)
{
    (void)state;
    assert_int_equal(run_demo((const char *[]){ "--workers", "0", "--route", "sms", NULL },
                              (const char *[]){ "DATABASE_URL=", "LOG_LEVEL=loud",
                                                "DEMO_PAUSE=fast", "STAGE_ATTEMPTS=0", NULL }),
                     78);
    const char *out = demo_output();
    assert_non_null(strstr(out, "DATABASE_URL"));
    assert_non_null(strstr(out, "LOG_LEVEL"));
    assert_non_null(strstr(out, "DEMO_PAUSE"));
    assert_non_null(strstr(out, "STAGE_ATTEMPTS"));
    assert_non_null(strstr(out, "--workers"));
    assert_non_null(strstr(out, "--route"));
}

static void a_wrong_command_line_is_a_usage_error(void **state)
{
    (void)state;
    assert_int_equal(run_demo((const char *[]){ "--drane", NULL }, NULL), 64);
    assert_int_equal(run_demo((const char *[]){ "now", NULL }, NULL), 64);
    assert_int_equal(run_demo((const char *[]){ "--lane", "fast", NULL }, NULL), 64);
    assert_int_equal(run_demo((const char *[]){ "--version", NULL }, NULL), 0);
    assert_string_equal(demo_output(), "render-template " TUMA_VERSION "\n");
    assert_int_equal(run_demo((const char *[]){ "--help", NULL }, NULL), 0);
    assert_non_null(strstr(demo_output(), "DEMO_PAUSE"));
}

static void check_says_all_that_is_wrong(void **state)
{
    const char *const check[] = { "--check", NULL };

    (void)state;
    assert_int_equal(run_demo(check, NULL), 0);
    assert_string_equal(demo_output(), "render-template: ready\n");
    assert_int_equal(run_demo(check, (const char *[]){ "AMQP_PREFIX=nope", NULL }), 1);
    assert_non_null(strstr(demo_output(), "nope.render-template.high"));
    assert_non_null(strstr(demo_output(), "nope.render-template.normal"));
    assert_non_null(strstr(demo_output(), "nope.render-template.parked"));
    assert_int_equal(run_demo(check, (const char *[]){ "DATABASE_URL=postgresql://x@127.0.0.1:1/x",
                                                       "AMQP_URL=amqp://x:x@127.0.0.1:1/", NULL }),
                     1);
    assert_non_null(strstr(demo_output(), "database: "));
    assert_non_null(strstr(demo_output(), "broker: "));
}

static void once_handles_one_message_from_stdin(void **state)
{
    const char *const once[] = { "--once", NULL };
    char first[4000];

    (void)state;
    demo_input("campaign.closed.v1 m1 acme\n{\"reference\":\"ok\",\"chunks\":1}\n");
    assert_int_equal(run_demo(once, NULL), 0);
    json_t *json = json_loads(demo_output(), JSON_DISABLE_EOF_CHECK, NULL);
    assert_non_null(json);
    assert_string_equal(json_string_value(json_object_get(json, "type")), "campaign.rendered.v1");
    assert_string_equal(json_string_value(json_object_get(json, "account")), "acme");
    assert_true(json_is_object(json_object_get(json, "body")));
    json_decref(json);
    assert_int_equal(world_number("SELECT times FROM demo WHERE id = 'm1'"), 1);
    snprintf(first, sizeof first, "%s", demo_output());
    first[strcspn(first, "\n")] = '\0';
    assert_int_equal(run_demo(once, NULL), 0);
    assert_non_null(strstr(demo_output(), first)); /* the same id again */

    demo_input("campaign.closed.v1\n{\"reference\":\"bad\",\"chunks\":1}");
    assert_int_equal(run_demo(once, NULL), 100);
    assert_non_null(strstr(demo_output(), "why=bad_reference"));
    demo_input("campaign.closed.v1\n{\"reference\":\"busy\",\"chunks\":1}");
    assert_int_equal(run_demo(once, NULL), 111);
    demo_input("no.such.v1\n{}");
    assert_int_equal(run_demo(once, NULL), 100);
    assert_non_null(strstr(demo_output(), "why=unknown_type"));
    demo_input("");
    assert_int_equal(run_demo(once, NULL), 64);
    assert_int_equal(world_number("SELECT count(*) FROM demo"), 1);
}

/* Sleeping in slices of a second would cost half a second each time. */
static void an_idle_stage_stops_at_once(void **state)
{
    int64_t took_ms[5];
    int slow = 0;

    (void)state;
    for (int i = 0; i < 5; i++) {
        const pid_t demo = start_demo((const char *[]){ "--workers", "2", NULL }, NULL);
        await(world_consumers(INPUTS) == 1 && world_consumers(INPUTS_HIGH) == 2);
        const int64_t from_ms = clock_mono_ms();
        kill(demo, SIGTERM);
        assert_int_equal(wait_demo(demo), 0);
        took_ms[i] = clock_mono_ms() - from_ms;
        slow += took_ms[i] > 300;
    }
    print_message("  stopped within %d %d %d %d %d ms\n", (int)took_ms[0], (int)took_ms[1],
                  (int)took_ms[2], (int)took_ms[3], (int)took_ms[4]);
    assert_true(slow < 3); /* a busy machine may spoil some, slices spoil nearly all */
}

static void a_waiting_handler_is_told_and_spends_no_attempt(void **state)
{
    struct got got[2];

    (void)state;
    world_publish("ok", "m1");
    const pid_t demo = start_demo(NULL, (const char *[]){ "DEMO_PAUSE=900ms", NULL });
    await(world_depth(INPUTS) == 0 && world_consumers(INPUTS) == 1);
    clock_sleep_ms(200);
    kill(demo, SIGTERM);
    assert_int_equal(wait_demo(demo), 0);
    await(world_depth(INPUTS) == 1);
    assert_null(strstr(demo_output(), "message_retry"));
    assert_int_equal(run_demo(drain, NULL), 0);
    world_collect(OUTPUTS, got, 2);
}

static void signals_to_the_whole_group_are_one_request(void **state)
{
    (void)state;
    const pid_t demo = start_demo(NULL, NULL);
    await_output("worker_started");
    kill(worker_of(demo), SIGTERM); /* as systemd does */
    kill(demo, SIGTERM);
    assert_int_equal(wait_demo(demo), 0);
    assert_non_null(strstr(demo_output(), "event=worker_stopped"));
}

static void a_hanging_handler_is_aborted_and_started_again(void **state)
{
    (void)state;
    world_publish("hang", "m1");
    const int64_t from_ms = clock_mono_ms();
    const pid_t demo = start_demo(NULL, NULL);
    await_output("watchdog:");
    assert_in_range(clock_mono_ms() - from_ms, 1900, 5000);
    await_output("event=worker_died worker=0 exit=0 signal=6");
    const char *died = strstr(demo_output(), "worker_died");
    await(strstr(strstr(demo_output(), "worker_died"), "worker_started") != NULL && died != NULL);
    /* It hangs again: the first request waits for it, the second does not. */
    await(world_depth(INPUTS) == 0);
    kill(demo, SIGTERM);
    clock_sleep_ms(200);
    kill(demo, SIGTERM);
    assert_int_equal(wait_demo(demo), 0);
    await(world_depth(INPUTS) == 1);
}

static void an_undeclared_output_is_a_panic(void **state)
{
    (void)state;
    world_publish("undeclared", "m1");
    assert_int_not_equal(run_demo(drain, NULL), 0);
    assert_non_null(strstr(demo_output(), "does not emit campaign.reserved.v1"));
    await(world_depth(INPUTS) == 1); /* back from the dead */
}

static const char *fetch(int port, const char *path, struct arena *arena)
{
    struct http *http = NULL;
    struct http_reply reply;
    struct err err;

    assert_true(http_create(&(struct http_conf){ 0 }, &http, &err));
    http_run(http,
             &(struct http_call){ .method = "GET",
                                  .url = arena_printf(arena, "http://127.0.0.1:%d%s", port, path),
                                  .timeout_ms = 5000 },
             &reply, 1, arena);
    http_destroy(http);
    return reply.sent == HTTP_ANSWERED && reply.status == 200 ? reply.body : "";
}

static void the_supervisor_serves_the_workers_counts(void **state)
{
    struct arena *arena = arena_create(1 << 20);
    const int port = servers_free_port();
    char listen[64];

    (void)state;
    snprintf(listen, sizeof listen, "METRICS_LISTEN=127.0.0.1:%d", port);
    world_publish("ok", "m1");
    world_publish("bad", "m2");
    const pid_t demo = start_demo(NULL, (const char *[]){ listen, NULL });
    await_output("event=message_parked");
    const char *page = fetch(port, "/metrics", arena);
    assert_non_null(strstr(page, "tuma_stage_messages_total{stage=\"render-template\","
                                 "verdict=\"done\",why=\"\"} 1"));
    assert_non_null(strstr(page, "verdict=\"parked\",why=\"bad_reference\"} 1"));
    assert_non_null(strstr(page, "tuma_stage_workers{stage=\"render-template\"} 1"));
    assert_non_null(strstr(page, "tuma_stage_handle_seconds_count{stage=\"render-template\"} 2"));
    assert_string_not_equal(fetch(port, "/healthz", arena), "");
    kill(demo, SIGTERM);
    assert_int_equal(wait_demo(demo), 0);
    arena_destroy(arena);
}

/* 15 MiB and no measurable CPU: the budget of a program that is one of a dozen. */
static void idling_costs_next_to_nothing(void **state)
{
    struct got got[2];

    (void)state;
    world_publish("ok", "m1");
    const pid_t demo = start_demo(NULL, NULL);
    world_collect(OUTPUTS, got, 2);
    const pid_t worker = worker_of(demo);
    const long before = cpu_ticks(worker) + cpu_ticks(demo);
    clock_sleep_ms(4000);
    const long used = cpu_ticks(worker) + cpu_ticks(demo) - before;
    print_message("  idle: worker %ld KiB resident, supervisor %ld KiB, %ld ticks of CPU in 4 s\n",
                  status_kb(worker, "VmRSS:"), status_kb(demo, "VmRSS:"), used);
    assert_true(used <= 2);
#ifndef __SANITIZE_ADDRESS__
    assert_true(status_kb(worker, "VmRSS:") < 15 * 1024);
    assert_true(status_kb(demo, "VmRSS:") < 15 * 1024);
#endif
    kill(demo, SIGTERM);
    assert_int_equal(wait_demo(demo), 0);
}

#define with_world(test) cmocka_unit_test_setup(test, world_reset)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_world(it_describes_itself_without_an_environment),
        with_world(all_start_up_problems_are_told_together),
        with_world(a_wrong_command_line_is_a_usage_error),
        with_world(check_says_all_that_is_wrong),
        with_world(once_handles_one_message_from_stdin),
        with_world(an_idle_stage_stops_at_once),
        with_world(a_waiting_handler_is_told_and_spends_no_attempt),
        with_world(signals_to_the_whole_group_are_one_request),
        with_world(a_hanging_handler_is_aborted_and_started_again),
        with_world(an_undeclared_output_is_a_panic),
        with_world(the_supervisor_serves_the_workers_counts),
        with_world(idling_costs_next_to_nothing),
    };

    return cmocka_run_group_tests(tests, world_start, world_stop);
}
