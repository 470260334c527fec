/*
 * Publishing and consuming against a real broker that behaves.
 */
#include "fixture.h"

#define MANY 100000

/* Publishes count messages of len bytes, ids and tickets 0 …; returns the seconds. */
static double publish_many(const char *queue, unsigned count, size_t len)
{
    struct broker_publisher *pub = publisher(0);
    struct outcomes outcomes = { .seen = calloc(count, 1) };
    char *body = malloc(len + 1);
    int64_t start_us;

    assert_non_null(outcomes.seen);
    assert_non_null(body);
    memset(body, 'b', len);
    broker_publisher_pump(pub, 1000, count_outcome, &outcomes);
    start_us = clock_mono_us();
    for (unsigned i = 0; i < count; i++) {
        char id[16];

        if (broker_publisher_room(pub) == 0) {
            await_room(pub, &outcomes);
        }
        snprintf(id, sizeof(id), "%u", i);
        send(pub, queue, id, body, len, i);
    }
    settle_all(pub, &outcomes);
    start_us = clock_mono_us() - start_us;
    assert_int_equal(outcomes.confirmed, count);
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(outcomes.seen[i], 1);
    }
    broker_publisher_destroy(pub);
    free(outcomes.seen);
    free(body);
    return (double)start_us / 1e6;
}

static double consume_many(const char *queue, unsigned count, size_t len)
{
    struct broker_consumer *con = consumer(queue, 256);
    uint8_t *seen = calloc(count, 1);
    int64_t start_us = clock_mono_us();

    for (unsigned i = 0; i < count; i++) {
        struct broker_delivery delivery = take(con);
        unsigned id = (unsigned)atoi(delivery.id);

        assert_int_equal(delivery.body_len, len);
        assert_in_range(id, 0, count - 1);
        assert_int_equal(seen[id]++, 0);
        broker_ack(con, delivery.tag);
        broker_delivery_free(&delivery);
    }
    start_us = clock_mono_us() - start_us;
    broker_consumer_destroy(con);
    free(seen);
    return (double)start_us / 1e6;
}

static void all_of_many_messages_arrive_once(void **state)
{
    double out, in;

    (void)state;
    declare("many");
    out = publish_many("many", MANY, 300);
    assert_int_equal(depth("many"), MANY);
    in = consume_many("many", MANY, 300);
    assert_int_equal(depth("many"), 0);
    print_message("300 B: %.0f published/s, %.0f consumed/s\n", MANY / out, MANY / in);

    out = publish_many("many", MANY / 20, 65536);
    in = consume_many("many", MANY / 20, 65536);
    print_message("64 KiB: %.0f published/s, %.0f consumed/s\n", MANY / 20 / out, MANY / 20 / in);
    assert_int_equal(depth("many"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_of_many_messages_arrive_once),
    };

    return cmocka_run_group_tests(tests, start_server, stop_server);
}
