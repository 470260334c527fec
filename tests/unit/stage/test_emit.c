/* The pure half: traces, ids, retry delays, and whom an envelope believes. */
/* cmocka.h needs the others before it. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <stdlib.h>
#include <string.h>

#include "msg/campaign.h"
#include "stage/core.h"

#define TRACE "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

static const struct stage_def def = {
    .name = "render-template",
    .reads = (const struct shape *const[]){ &campaign_closed_v1, NULL },
    .emits = (const struct shape *const[]){ &campaign_rendered_v1, &batch_ready_v1, NULL },
};
static const struct stage_settings settings = { .prefix = "tuma" };

static int start(void **state)
{
    struct stage *stage = calloc(1, sizeof *stage);

    stage->def = &def;
    stage->settings = &settings;
    stage->arena = arena_create(1 << 20);
    *state = stage;
    return 0;
}

static int stop(void **state)
{
    struct stage *stage = *state;

    arena_destroy(stage->arena);
    free(stage);
    return 0;
}

static void a_trace_is_checked_before_it_is_believed(void **state)
{
    (void)state;
    assert_true(trace_is_valid(TRACE));
    assert_false(trace_is_valid(NULL));
    assert_false(trace_is_valid(""));
    assert_false(trace_is_valid(TRACE "0"));
    assert_false(trace_is_valid("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"));
    assert_false(trace_is_valid("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01"));
    assert_false(trace_is_valid("00-00000000000000000000000000000000-00f067aa0ba902b7-01"));
    assert_false(trace_is_valid("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01"));
    assert_false(trace_is_valid("00-4bf92f3577b34da6a3ce929d0e0e4736x00f067aa0ba902b7-01"));
    assert_false(trace_is_valid("00-4bf92f3577b34da6a3ce929d0e0e473\n-00f067aa0ba902b7-01"));
}

static void a_trace_is_carried_on_under_a_new_span(void **state)
{
    const struct stage *stage = *state;
    const char *id = "00112233445566778899aabbccddeeff";

    assert_string_equal(derive_trace(stage->arena, TRACE, id),
                        "00-4bf92f3577b34da6a3ce929d0e0e4736-0011223344556677-01");
    assert_string_equal(derive_trace(stage->arena, NULL, id),
                        "00-00112233445566778899aabbccddeeff-0011223344556677-01");
    assert_true(trace_is_valid(derive_trace(stage->arena, NULL, id)));
}

static void retries_take_longer_each_time(void **state)
{
    (void)state;
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(retry_delay_s(1), 1);
        const int second = retry_delay_s(2);
        assert_true(second == 5 || second == 10);
        const int fourth = retry_delay_s(4);
        assert_true(fourth == 30 || fourth == 120);
        assert_int_equal(retry_delay_s(6), 600);
        assert_int_equal(retry_delay_s(1000), 600);
        assert_int_equal(topic_delay_bucket(second * INT64_C(1000)), second);
    }
}

static struct broker_delivery delivery_from(const char *exchange)
{
    return (struct broker_delivery){
        .exchange = exchange,
        .key = "campaign.closed.normal",
        .id = "m1",
        .type = "campaign.closed.v1",
        .timestamp_s = 1000,
        .body = "{}",
        .body_len = 2,
        .headers = { { .key = "account", .text = "said" },
                     { .key = "attempt", .num = 4 },
                     { .key = "deadline", .num = 99 },
                     { .key = "origin_exchange", .text = "tuma.in.acme" },
                     { .key = "origin_key", .text = "first.key" },
                     { .key = "born_ms", .num = 1000001 },
                     { .key = "traceparent", .text = TRACE } },
        .header_count = 7,
    };
}

static bool read_envelope(struct stage *stage, const struct broker_delivery *delivery,
                          struct envelope *envelope, const char **why)
{
    static char detail[200];

    return envelope_read(stage, delivery, "q", LANE_HIGH, stage->arena, envelope, why, detail);
}

static void one_of_our_own_is_believed(void **state)
{
    const struct broker_delivery delivery = delivery_from("tuma.campaigns");
    struct envelope envelope;
    const char *why;

    assert_true(read_envelope(*state, &delivery, &envelope, &why));
    assert_false(envelope.in.from_partner);
    assert_string_equal(envelope.in.account, "said");
    assert_int_equal(envelope.in.attempt, 4);
    assert_int_equal(envelope.in.deadline_ms, 99);
    assert_int_equal(envelope.in.born_ms, 1000001);
    assert_string_equal(envelope.in.trace, TRACE);
    assert_string_equal(envelope.origin_exchange, "tuma.campaigns");
}

static void a_partner_is_not(void **state)
{
    const struct broker_delivery delivery = delivery_from("tuma.in.bravo");
    struct envelope envelope;
    const char *why;

    assert_true(read_envelope(*state, &delivery, &envelope, &why));
    assert_true(envelope.in.from_partner);
    assert_string_equal(envelope.in.account, "bravo");
    assert_int_equal(envelope.in.attempt, 1);
    assert_int_equal(envelope.in.deadline_ms, 0);
    assert_true(envelope.in.born_ms > 1000001);
    assert_string_equal(envelope.origin_exchange, "tuma.in.bravo");
    assert_string_equal(envelope.origin_key, "campaign.closed.normal");
}

static void a_partners_message_comes_home_as_the_partners(void **state)
{
    const struct broker_delivery delivery = delivery_from("tuma.home");
    struct envelope envelope;
    const char *why;

    assert_true(read_envelope(*state, &delivery, &envelope, &why));
    assert_true(envelope.in.from_partner);
    assert_string_equal(envelope.in.account, "acme");
    assert_int_equal(envelope.in.attempt, 4);
    assert_string_equal(envelope.origin_key, "first.key");
}

static void a_type_of_ours_is_not_for_partners(void **state)
{
    const struct stage_def internal = {
        .name = "reserve-tokens",
        .reads = (const struct shape *const[]){ &campaign_rendered_v1, NULL },
    };
    struct stage *stage = *state;
    struct broker_delivery delivery = delivery_from("tuma.in.bravo");
    struct envelope envelope;
    const char *why = "";

    stage->def = &internal;
    delivery.type = "campaign.rendered.v1";
    assert_false(read_envelope(stage, &delivery, &envelope, &why));
    assert_string_equal(why, "type_not_for_partners");
    delivery.exchange = "tuma.campaigns";
    assert_true(read_envelope(stage, &delivery, &envelope, &why));
}

static void a_message_without_id_is_parked_under_the_same_id_each_time(void **state)
{
    struct broker_delivery delivery = delivery_from("tuma.in.bravo");
    struct envelope first, second;
    const char *why = "";

    delivery.id = NULL;
    assert_false(read_envelope(*state, &delivery, &first, &why));
    assert_string_equal(why, "no_message_id");
    assert_false(read_envelope(*state, &delivery, &second, &why));
    assert_int_equal(strlen(first.in.id), 32);
    assert_string_equal(first.in.id, second.in.id);
}

static void a_body_over_the_limit_is_refused_unread(void **state)
{
    struct broker_delivery delivery = delivery_from("tuma.in.bravo");
    struct envelope envelope;
    const char *why = "";

    delivery.body_len = MESSAGE_BODY_MAX + 1;
    assert_false(read_envelope(*state, &delivery, &envelope, &why));
    assert_string_equal(why, "body_too_long");
}

static void partners_with_equal_ids_do_not_collide(void **state)
{
    struct stage *stage = *state;
    const char *ids[2];
    const char *const accounts[] = { "acme", "bravo" };

    for (int i = 0; i < 2; i++) {
        const struct message in = { .id = "1",
                                    .from_partner = true,
                                    .account = accounts[i],
                                    .trace = TRACE,
                                    .correlation = "" };
        struct outputs outputs;
        outputs_begin(&outputs, stage->arena);
        stage->in = &in;
        stage->out = &outputs;
        stage_emit(stage, &campaign_rendered_v1, &(struct campaign_fact){ .campaign = "cmp_1" });
        ids[i] = outputs.first->message.id;
    }
    assert_string_not_equal(ids[0], ids[1]);
}

static void a_routed_type_goes_by_its_route(void **state)
{
    struct stage *stage = *state;
    const struct batch_fact batch = { .campaign = "cmp_1", .batch = 1, .size = 5 };
    const enum lane high = LANE_HIGH;
    struct outputs outputs;

    outputs_begin(&outputs, stage->arena);
    stage->out = &outputs;
    stage_emit_as(stage, &batch_ready_v1, &batch,
                  &(struct emission){ .key = "cmp_1/1", .route = "sms", .lane = &high });
    assert_string_equal(outputs.first->message.key, "batch.ready.sms.high");
    stage_emit_as(
        stage, &batch_ready_v1, &batch,
        &(struct emission){ .key = "cmp_1/2", .route = "sms", .lane = &high, .delay_ms = 4001 });
    assert_string_equal(outputs.last->message.exchange, "tuma.delay.5s");
    assert_string_equal(outputs.last->message.key, "tuma.rate-limit.sms.high");
}

#define with_stage(test) cmocka_unit_test_setup_teardown(test, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_stage(a_trace_is_checked_before_it_is_believed),
        with_stage(a_trace_is_carried_on_under_a_new_span),
        with_stage(retries_take_longer_each_time),
        with_stage(one_of_our_own_is_believed),
        with_stage(a_partner_is_not),
        with_stage(a_partners_message_comes_home_as_the_partners),
        with_stage(a_type_of_ours_is_not_for_partners),
        with_stage(a_message_without_id_is_parked_under_the_same_id_each_time),
        with_stage(a_body_over_the_limit_is_refused_unread),
        with_stage(partners_with_equal_ids_do_not_collide),
        with_stage(a_routed_type_goes_by_its_route),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
