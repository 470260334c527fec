/* What a stage promises of its messages: ids, acks, retries, parking, lanes, partners. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/id.h"
#include "crypto/crypto.h"
#include "world.h"

static const char *const drain[] = { "--drain", NULL };

/* The documented derivation, computed here once more. */
static const char *id_of(const char *text)
{
    static char ids[8][ID_MESSAGE_BYTES];
    static int next;
    unsigned char digest[CRYPTO_SHA256_BYTES];
    char *id = ids[next++ % 8];

    crypto_sha256(text, strlen(text), digest);
    id_hex(digest, 16, id);
    return id;
}

static void outputs_have_derived_ids_and_inherit(void **state)
{
    struct got got[2], event;

    (void)state;
    world_publish("ok", "m1");
    assert_int_equal(run_demo(drain, NULL), 0);
    world_collect(OUTPUTS, got, 2);
    assert_string_equal(got[0].id, id_of("m1|render-template|0"));
    assert_string_equal(got[1].id, id_of("render-template|campaign.rendered.v1|m1"));
    assert_string_equal(got[0].type, "campaign.rendered.v1");
    assert_string_equal(got[0].exchange, "tuma.campaigns");
    assert_string_equal(got[0].key, "campaign.rendered.normal");
    assert_string_equal(got[0].correlation, "cmp_demo");
    assert_string_equal(got[0].body, "{\"campaign\":\"cmp_demo\"}");
    assert_int_equal(got[0].attempt, 1);
    assert_in_range(got[0].born_ms, clock_now_ms() - WITHIN_MS, clock_now_ms());
    assert_int_equal(strlen(got[0].trace), 55);
    assert_memory_equal(got[0].trace, got[1].trace, 35); /* one trace, two spans */
    assert_string_not_equal(got[0].trace, got[1].trace);
    world_collect(EVENTS, &event, 1);
    assert_string_equal(event.key, "campaign.changed.acme");
    world_expect_empty(INPUTS);
    assert_int_equal(world_number("SELECT count(*) FROM demo"), 1);
    assert_non_null(strstr(demo_output(), "event=message_done"));
}

static void a_redelivery_emits_the_same_ids(void **state)
{
    struct got got[4];

    (void)state;
    world_publish("ok", "m1");
    world_publish("ok", "m1");
    assert_int_equal(run_demo(drain, NULL), 0);
    world_collect(OUTPUTS, got, 4);
    assert_string_equal(got[0].id, got[2].id);
    assert_string_equal(got[1].id, got[3].id);
    assert_string_equal(got[0].trace, got[2].trace);
    assert_int_equal(world_number("SELECT times FROM demo"), 2);
}

static void a_retry_comes_back_as_the_next_attempt(void **state)
{
    struct got got[2];

    (void)state;
    world_publish("flaky", "m1");
    const pid_t demo = start_demo(NULL, NULL);
    world_collect(OUTPUTS, got, 2);
    kill(demo, SIGTERM);
    assert_int_equal(wait_demo(demo), 0);
    assert_string_equal(got[0].id, id_of("m1|render-template|0"));
    assert_non_null(strstr(demo_output(), "event=message_retry"));
    assert_non_null(strstr(demo_output(), "why=not_yet detail=\"attempt 1\" attempt=1 next_s=1"));
    assert_non_null(strstr(demo_output(), "type=campaign.closed.v1 attempt=2 emitted=3"));
    world_expect_empty(INPUTS);
    world_expect_empty(PARKED);
    assert_int_equal(world_number("SELECT times FROM demo"), 1); /* the first was rolled back */
}

static void a_refused_message_is_parked_with_the_reason(void **state)
{
    struct got got;

    (void)state;
    world_publish("bad", "m1");
    assert_int_equal(run_demo(drain, NULL), 0);
    world_collect(PARKED, &got, 1);
    assert_string_equal(got.id, "m1");
    assert_string_equal(got.type, "campaign.closed.v1");
    assert_string_equal(got.body, "{\"reference\":\"bad\",\"chunks\":3}");
    assert_string_equal(got.why, "bad_reference");
    assert_string_equal(got.detail, "reference 'bad' is bad");
    assert_string_equal(got.stage, "render-template");
    assert_string_equal(got.version, TUMA_VERSION);
    assert_string_equal(got.verdict, "reject");
    assert_string_equal(got.origin_exchange, "tuma.campaigns");
    assert_string_equal(got.origin_key, "campaign.closed.normal");
    world_expect_empty(INPUTS);
    world_expect_empty(OUTPUTS);
    world_expect_empty(EVENTS);
    assert_int_equal(world_number("SELECT count(*) FROM demo"), 0);
}

static void an_event_that_nobody_hears_is_told(void **state)
{
    struct got got[2];

    (void)state;
    world_publish("unheard", "m1");
    assert_int_equal(run_demo(drain, NULL), 0);
    world_collect(OUTPUTS, got, 2);
    world_expect_empty(INPUTS);
    world_expect_empty(EVENTS);
    assert_null(strstr(demo_output(), "output_unroutable"));
}

static void a_conflict_is_tried_again_at_once(void **state)
{
    struct got got[2];

    (void)state;
    world_publish("conflict", "m1");
    assert_int_equal(run_demo(drain, NULL), 0);
    world_collect(OUTPUTS, got, 2);
    assert_null(strstr(demo_output(), "message_retry"));
    assert_int_equal(world_number("SELECT times FROM demo"), 1);
}

static void an_endless_conflict_is_retried_later(void **state)
{
    struct got got;

    (void)state;
    world_publish("clash", "m1");
    assert_int_equal(run_demo(drain, (const char *[]){ "STAGE_ATTEMPTS=1", NULL }), 0);
    world_collect(PARKED, &got, 1);
    assert_string_equal(got.why, "attempts_exhausted");
    assert_non_null(strstr(got.detail, "pg_serialization_failure"));
}

static void attempts_run_out(void **state)
{
    struct got got;

    (void)state;
    world_publish("busy", "m1");
    assert_int_equal(run_demo(drain, (const char *[]){ "STAGE_ATTEMPTS=1", NULL }), 0);
    world_collect(PARKED, &got, 1);
    assert_string_equal(got.why, "attempts_exhausted");
    assert_string_equal(got.detail, "not_yet: attempt 1");
    assert_string_equal(got.verdict, "retry");
}

static void send_odd(const char *exchange, const char *key, const char *type, const char *id,
                     const char *body)
{
    const struct broker_header headers[] = { { .key = "account", .text = "evil" },
                                             { .key = "attempt", .num = 99 },
                                             { .key = "origin_exchange", .text = "tuma.in.evil" },
                                             { .key = "deadline", .num = 7 } };

    world_send(&(struct broker_message){ .exchange = exchange,
                                         .key = key,
                                         .id = id,
                                         .type = type,
                                         .headers = headers,
                                         .header_count = 4,
                                         .body = body,
                                         .body_len = strlen(body) });
}

static void what_cannot_be_handled_is_parked(void **state)
{
    static const struct {
        const char *exchange, *type, *id, *body, *why;
    } cases[] = {
        { "tuma.campaigns", "campaign.closed.v2", "m1", "{}", "unknown_type" },
        { "tuma.campaigns", "", "m2", "{}", "unknown_type" },
        { "tuma.campaigns", "campaign.submitted.v1", "m3", "{}", "unknown_type" },
        { "tuma.campaigns", "campaign.closed.v1", "", "{}", "no_message_id" },
        { "tuma.campaigns", "campaign.closed.v1", "m5", "{\"chunks\":", "bad_json" },
        { "tuma.campaigns", "campaign.closed.v1", "m6", "{}", "bad_field" },
    };
    struct got got[6];

    (void)state;
    for (size_t i = 0; i < 6; i++) {
        send_odd(cases[i].exchange, "campaign.closed.normal", cases[i].type, cases[i].id,
                 cases[i].body);
    }
    assert_int_equal(run_demo(drain, NULL), 0);
    world_collect(PARKED, got, 6);
    for (size_t i = 0; i < 6; i++) {
        assert_string_equal(got[i].why, cases[i].why);
        assert_string_equal(got[i].body, cases[i].body);
        assert_true(strlen(got[i].id) > 0);
    }
    world_expect_empty(INPUTS);
}

static void a_partner_is_known_by_its_exchange_alone(void **state)
{
    struct got got[2], events[2], parked;

    (void)state;
    send_odd(PARTNER, "campaign.closed.normal", "campaign.closed.v1", "p1",
             "{\"reference\":\"flaky\",\"chunks\":1}");
    send_odd(PARTNER, "campaign.closed.normal", "campaign.closed.v1", "p2",
             "{\"reference\":\"bad\",\"chunks\":1}");
    const pid_t demo = start_demo(NULL, NULL);
    world_collect(OUTPUTS, got, 2); /* p1, once it came home from the delay queue */
    kill(demo, SIGTERM);
    assert_int_equal(wait_demo(demo), 0);
    assert_string_equal(got[0].account, "acme");
    assert_int_equal(got[0].attempt, 1);
    assert_int_equal(got[0].deadline, 0);
    assert_string_equal(got[0].id, id_of("acme/p1|render-template|0"));
    world_collect(PARKED, &parked, 1);
    assert_string_equal(parked.account, "acme");
    assert_int_equal(parked.attempt, 1);
    assert_string_equal(parked.origin_exchange, PARTNER);
    world_collect(EVENTS, events, 2);
    assert_string_equal(events[0].type, "message.parked.v1");
    assert_string_equal(events[0].key, "message.parked.acme");
    assert_string_equal(events[0].id, id_of("render-template|message.parked.v1|acme/p2"));
    assert_non_null(strstr(events[0].body, "\"message_id\":\"p2\""));
    assert_non_null(strstr(events[0].body, "\"why\":\"bad_reference\""));
    assert_string_equal(events[1].type, "campaign.changed.v1");
}

static void a_delayed_output_comes_home(void **state)
{
    struct got got[3];

    (void)state;
    world_publish("later", "m1");
    const int64_t from_ms = clock_mono_ms();
    assert_int_equal(run_demo(drain, NULL), 0);
    world_collect(OUTPUTS, got, 3);
    assert_true(clock_mono_ms() - from_ms >= 900);
    assert_string_equal(got[2].exchange, "tuma.home");
    assert_string_equal(got[2].id, id_of("m1|render-template|1"));
    assert_string_equal(got[2].correlation, "delayed");
}

static void send_high(const char *id)
{
    send_odd("tuma.campaigns", "campaign.closed.high", "campaign.closed.v1", id,
             "{\"reference\":\"ok\",\"chunks\":1}");
}

/* How many messages were done before this one. */
static int done_before(const char *msg)
{
    const char *mine = strstr(demo_output(), msg);
    int count = 0;

    assert_non_null(mine);
    for (const char *at = demo_output(); (at = strstr(at, "message_done")) != NULL && at < mine;
         at++) {
        count++;
    }
    return count;
}

static void the_high_lane_goes_first_and_stays_high(void **state)
{
    struct got got[2];

    (void)state;
    world_publish_many("ok", 10);
    send_high("h1");
    assert_int_equal(run_demo(drain, NULL), 0);
    world_collect(OUTPUTS_HIGH, got, 2);
    assert_string_equal(got[0].key, "campaign.rendered.high");
    /* At most what was fetched before the high queue's first delivery went before it. */
    assert_in_range(done_before("msg=h1"), 0, 5);
}

/* Three of the normal lane were fetched long ago and wait; a later one of the high lane passes. */
static void the_high_lane_passes_what_was_fetched_before(void **state)
{
    (void)state;
    world_publish_many("ok", 4);
    const pid_t demo = start_demo(drain, (const char *[]){ "DEMO_PAUSE=400ms", NULL });
    await(world_depth(INPUTS) == 0);
    send_high("h1");
    assert_int_equal(wait_demo(demo), 0);
    assert_in_range(done_before("msg=h1"), 0, 2);
    assert_non_null(strstr(strstr(demo_output(), "msg=h1"), "msg=m3"));
}

static void a_lane_can_be_served_alone(void **state)
{
    struct got got[20];

    (void)state;
    world_publish("ok", "n1");
    send_high("h1");
    assert_int_equal(run_demo((const char *[]){ "--drain", "--lane", "high", NULL }, NULL), 0);
    world_collect(OUTPUTS_HIGH, got, 2);
    assert_int_equal(world_depth(INPUTS), 1);
}

static void workers_share_the_queues_and_one_keeps_the_high_lane(void **state)
{
    static struct got got[600];
    size_t lines = 0;

    (void)state;
    world_publish_many("ok", 300);
    assert_int_equal(run_demo((const char *[]){ "--drain", "--workers", "3", NULL }, NULL), 0);
    world_collect(OUTPUTS, got, 600);
    world_expect_empty(OUTPUTS);
    assert_int_equal(world_number("SELECT count(*) FROM demo WHERE times = 1"), 300);
    for (const char *at = demo_output(); (at = strstr(at, "worker=")) != NULL; at++) {
        lines++;
    }
    assert_true(lines >= 300);
    assert_null(strstr(demo_output(), "worker=0 msg="));
}

static void many_outputs_pass_the_window(void **state)
{
    static struct got got[1001];

    (void)state;
    send_odd("tuma.campaigns", "campaign.closed.normal", "campaign.closed.v1", "m1",
             "{\"reference\":\"many\",\"chunks\":1000}");
    assert_int_equal(run_demo(drain, NULL), 0);
    world_collect(OUTPUTS, got, 1001);
    assert_string_equal(got[999].id, id_of("m1|render-template|999"));
}

static void a_tick_emits_what_is_due(void **state)
{
    struct got got[3];
    struct err err;

    (void)state;
    assert_true(db_script(world_db(), "INSERT INTO demo_due VALUES ('a'), ('b'), ('c')", &err));
    assert_int_equal(run_demo(drain, (const char *[]){ "DEMO_TICKS=yes", NULL }), 0);
    world_collect(OUTPUTS, got, 3);
    assert_string_equal(got[0].id, id_of("render-template|campaign.rendered.v1|a"));
    assert_string_equal(got[0].account, "acme");
    assert_int_equal(strlen(got[0].trace), 55);
    assert_int_equal(world_number("SELECT count(*) FROM demo_due WHERE done"), 3);
    world_expect_empty(OUTPUTS);
}

#define with_world(test) cmocka_unit_test_setup(test, world_reset)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_world(outputs_have_derived_ids_and_inherit),
        with_world(a_redelivery_emits_the_same_ids),
        with_world(a_retry_comes_back_as_the_next_attempt),
        with_world(a_refused_message_is_parked_with_the_reason),
        with_world(an_event_that_nobody_hears_is_told),
        with_world(a_conflict_is_tried_again_at_once),
        with_world(an_endless_conflict_is_retried_later),
        with_world(attempts_run_out),
        with_world(what_cannot_be_handled_is_parked),
        with_world(a_partner_is_known_by_its_exchange_alone),
        with_world(a_delayed_output_comes_home),
        with_world(the_high_lane_goes_first_and_stays_high),
        with_world(the_high_lane_passes_what_was_fetched_before),
        with_world(a_lane_can_be_served_alone),
        with_world(workers_share_the_queues_and_one_keeps_the_high_lane),
        with_world(many_outputs_pass_the_window),
        with_world(a_tick_emits_what_is_due),
    };

    return cmocka_run_group_tests(tests, world_start, world_stop);
}
