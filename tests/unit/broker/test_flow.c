/*
 * Publishing and consuming against a real broker that behaves.
 */
#include "fixture.h"

#define MANY 100000
#define LARGE 1000

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
        publish(pub, queue, id, body, len, i);
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
        unsigned id = (unsigned)number(delivery.id);

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
    await_depth("many", MANY);
    in = consume_many("many", MANY, 300);
    await_depth("many", 0);
    print_message("300 B: %.0f published/s, %.0f consumed/s\n", MANY / out, MANY / in);

    out = publish_many("many", LARGE, 65536);
    in = consume_many("many", LARGE, 65536);
    print_message("64 KiB: %.0f published/s, %.0f consumed/s\n", LARGE / out, LARGE / in);
    await_depth("many", 0);
}

static void a_message_arrives_with_all_it_carries(void **state)
{
    static const char body[] = "{\"a\":\"\0b\"}";
    const struct broker_header headers[] = {
        { .key = "account", .text = "acc_1" },
        { .key = "attempt", .num = 3 },
        { .key = "empty", .text = "" },
        { .key = "low", .num = INT64_MIN },
    };
    struct broker_publisher *pub = publisher(0);
    struct broker_consumer *con;
    struct broker_delivery delivery;
    struct outcomes outcomes = { 0 };

    (void)state;
    declare("carries");
    broker_publish(pub,
                   &(struct broker_message){ .exchange = "x",
                                             .key = "carries",
                                             .id = "0123456789abcdef",
                                             .type = "test.sent.v1",
                                             .correlation = "cmp_1",
                                             .content_type = "text/plain",
                                             .timestamp_ms = 1764012345678,
                                             .headers = headers,
                                             .header_count = 4,
                                             .body = body,
                                             .body_len = sizeof(body) },
                   1);
    publish(pub, "carries", NULL, NULL, 0, 2);
    settle_all(pub, &outcomes);
    assert_int_equal(outcomes.confirmed, 2);
    broker_publisher_destroy(pub);

    con = consumer("carries", 10);
    delivery = take(con);
    assert_string_equal(delivery.exchange, "x");
    assert_string_equal(delivery.key, "carries");
    assert_string_equal(delivery.id, "0123456789abcdef");
    assert_string_equal(delivery.type, "test.sent.v1");
    assert_string_equal(delivery.correlation, "cmp_1");
    assert_null(delivery.user_id);
    assert_int_equal(delivery.timestamp_s, 1764012345);
    assert_int_equal(broker_header_int(&delivery, "born_ms", 0), 1764012345678);
    assert_string_equal(broker_header_text(&delivery, "account"), "acc_1");
    assert_int_equal(broker_header_int(&delivery, "attempt", 0), 3);
    assert_string_equal(broker_header_text(&delivery, "empty"), "");
    assert_true(broker_header_int(&delivery, "low", 0) == INT64_MIN);
    assert_null(broker_header_text(&delivery, "attempt"));
    assert_int_equal(broker_header_int(&delivery, "account", -1), -1);
    assert_null(broker_header_text(&delivery, "missing"));
    assert_int_equal(delivery.body_len, sizeof(body));
    assert_memory_equal(delivery.body, body, sizeof(body));
    assert_false(delivery.redelivered);
    broker_ack(con, delivery.tag);
    broker_delivery_free(&delivery);

    delivery = take(con);
    assert_null(delivery.id);
    assert_int_equal(delivery.body_len, 0);
    assert_int_equal(delivery.header_count, 0);
    broker_ack(con, delivery.tag);
    broker_delivery_free(&delivery);
    broker_consumer_destroy(con);
    await_depth("carries", 0);
}

static void bodies_around_the_size_of_a_frame_arrive_whole(void **state)
{
    static const size_t sizes[] = { 0, 1, 131063, 131064, 131065, 262128, 1000000 };
    enum { SIZES = sizeof(sizes) / sizeof(*sizes) };
    struct broker_publisher *pub = publisher(0);
    struct broker_consumer *con;
    struct outcomes outcomes = { 0 };
    char *body = malloc(1000000);

    (void)state;
    declare("sizes");
    for (size_t i = 0; i < 1000000; i++) {
        body[i] = (char)(i * 7 + i / 256);
    }
    for (size_t i = 0; i < SIZES; i++) {
        int64_t start_ms = clock_mono_ms();

        publish(pub, "sizes", "id", body, sizes[i], i);
        settle_all(pub, &outcomes);
        assert_in_range(clock_mono_ms() - start_ms, 0, 2000);
    }
    assert_int_equal(outcomes.confirmed, SIZES);
    con = consumer("sizes", 1);
    for (size_t i = 0; i < SIZES; i++) {
        struct broker_delivery delivery = take(con);

        assert_int_equal(delivery.body_len, sizes[i]);
        assert_memory_equal(delivery.body, body, sizes[i]);
        assert_int_equal(delivery.body[sizes[i]], '\0');
        broker_ack(con, delivery.tag);
        broker_delivery_free(&delivery);
    }
    broker_consumer_destroy(con);
    broker_publisher_destroy(pub);
    free(body);
}

static void an_unroutable_message_is_returned(void **state)
{
    struct broker_publisher *pub = publisher(0);
    struct outcomes outcomes = { .seen = calloc(100, 1) };

    (void)state;
    declare("routed");
    for (unsigned i = 0; i < 100; i++) {
        char id[8];

        snprintf(id, sizeof(id), "%u", i);
        publish(pub, i % 3 == 0 ? "nowhere" : "routed", id, "body", 4, i);
    }
    settle_all(pub, &outcomes);
    assert_int_equal(outcomes.returned, 34);
    assert_int_equal(outcomes.confirmed, 66);
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(outcomes.seen[i], 1);
    }
    await_depth("routed", 66);
    broker_publisher_destroy(pub);
    free(outcomes.seen);
}

static void a_full_queue_refuses(void **state)
{
    struct broker_publisher *pub = publisher(0);
    struct outcomes outcomes = { 0 };
    unsigned sent = 0;

    (void)state;
    declare("full");
    servers_ctl("set_policy full '^full$' '{\"max-length\":1,\"overflow\":\"reject-publish\"}' "
                "--apply-to queues");
    /* The limit overshoots a little: the queue tells the channel when it is full. */
    while (outcomes.refused == 0 && sent < 1000) {
        publish(pub, "full", "id", "body", 4, sent++);
        settle_all(pub, &outcomes);
    }
    assert_in_range(outcomes.refused, 1, 1);
    assert_int_equal(outcomes.confirmed, sent - 1);
    assert_true(broker_publisher_is_up(pub));
    broker_publisher_destroy(pub);
}

/* Waits until so many deliveries are buffered, without taking one. */
static void await_buffered(struct broker_consumer *con, struct broker_publisher *pub, size_t count)
{
    int64_t deadline_ms = clock_mono_ms() + WAIT_MS;

    while (broker_consumer_buffered(con) < count) {
        struct broker_delivery delivery;

        assert_true(clock_mono_ms() < deadline_ms);
        if (broker_consumer_next(con, 10, &delivery) == BROKER_DELIVERY) {
            struct outcomes outcomes = { 0 };

            publish(pub, delivery.key, "again", "a", 1, 0); /* another for the one taken */
            settle_all(pub, &outcomes);
            broker_ack(con, delivery.tag);
            broker_delivery_free(&delivery);
        }
    }
}

/* The broker closes the channel over each of these and does not say over which publish. */
static void a_message_that_closes_the_channel_does_not_stop_the_others(void **state)
{
    static char body[200001];
    struct broker_publisher *pub;
    struct outcomes outcomes = { .seen = calloc(60, 1) };

    (void)state;
    declare("others");
    servers_ctl("eval 'application:set_env(rabbit, max_message_size, 200000).'");
    pub = publisher(0);
    for (unsigned i = 0; i < 60; i++) {
        bool nowhere = i % 20 == 7;

        broker_publish(pub,
                       &(struct broker_message){ .exchange = nowhere ? "no such" : "x",
                                                 .key = "others",
                                                 .id = "id",
                                                 .body = body,
                                                 .body_len = i == 33 ? 200001 : 10 },
                       i);
    }
    settle_all(pub, &outcomes);
    for (unsigned i = 0; i < 60; i++) {
        assert_int_equal(outcomes.seen[i], 1);
    }
    assert_int_equal(outcomes.returned, 3);
    assert_int_equal(outcomes.refused, 1);
    assert_int_equal(outcomes.confirmed, 56);
    broker_publisher_destroy(pub);
    servers_ctl("eval 'application:set_env(rabbit, max_message_size, 134217728).'");
    free(outcomes.seen);
}

static void the_first_queue_of_the_list_comes_first(void **state)
{
    static const char *const queues[] = { "high", "low" };
    struct broker_conf c = conf();
    struct broker_publisher *pub = publisher(0);
    struct broker_consumer *con;
    struct outcomes outcomes = { 0 };
    int last = 0;
    struct err err;

    (void)state;
    declare("high");
    declare("low");
    for (unsigned i = 0; i < 20; i++) {
        publish(pub, "low", "low", "l", 1, i);
        publish(pub, "high", "high", "h", 1, i);
    }
    settle_all(pub, &outcomes);
    assert_ok(broker_consumer_create(&c, queues, 2, 20, &con, &err));
    await_buffered(con, pub, 39);
    for (int i = 0; i < 39; i++) {
        struct broker_delivery delivery = take(con);

        assert_true(delivery.queue >= last);
        assert_string_equal(delivery.key, queues[delivery.queue]);
        last = delivery.queue;
        broker_delivery_free(&delivery);
    }
    assert_int_equal(last, 1);
    broker_consumer_destroy(con);
    broker_publisher_destroy(pub);
}

/* Pumps both until the broker counts them. */
static void await_consumers(const char *queue, int64_t wanted, struct broker_consumer *one,
                            struct broker_consumer *other)
{
    const int64_t until_ms = clock_mono_ms() + WAIT_MS;
    struct broker_conf c = conf();
    struct broker_delivery delivery;
    int64_t ready, consumers = 0;
    struct err err;

    while (consumers != wanted && clock_mono_ms() < until_ms) {
        assert_int_not_equal(broker_consumer_next(one, 20, &delivery), BROKER_DELIVERY);
        assert_int_not_equal(broker_consumer_next(other, 20, &delivery), BROKER_DELIVERY);
        assert_ok(broker_queue_depth(&c, &queue, 1, &ready, &consumers, &err));
    }
    assert_int_equal(consumers, wanted);
}

/* The one of high priority gets all that its prefetch has room for, then the other its turn. */
static void a_consumer_of_higher_priority_is_served_first(void **state)
{
    struct broker_publisher *pub = publisher(0);
    struct broker_consumer *usual, *first;
    struct outcomes outcomes = { 0 };
    struct broker_conf c = conf();
    struct broker_delivery delivery;
    struct err err;

    (void)state;
    declare("served");
    c.priority = 10;
    usual = consumer("served", 3);
    assert_ok(broker_consumer_create(&c, &(const char *){ "served" }, 1, 4, &first, &err));
    await_consumers("served", 2, usual, first);
    for (unsigned i = 0; i < 6; i++) {
        publish(pub, "served", "id", "b", 1, i);
    }
    settle_all(pub, &outcomes);
    await_depth("served", 0);
    for (int i = 0; i < 4; i++) {
        delivery = take(first);
        broker_delivery_free(&delivery);
    }
    for (int i = 0; i < 2; i++) {
        delivery = take(usual);
        broker_delivery_free(&delivery);
    }
    assert_int_equal(broker_consumer_buffered(first) + broker_consumer_buffered(usual), 0);
    broker_consumer_destroy(first);
    broker_consumer_destroy(usual);
    broker_publisher_destroy(pub);
}

static void what_was_not_acknowledged_comes_again(void **state)
{
    struct broker_publisher *pub = publisher(0);
    struct broker_consumer *con;
    struct broker_delivery delivery;
    struct outcomes outcomes = { 0 };

    (void)state;
    declare("again");
    for (unsigned i = 0; i < 3; i++) {
        publish(pub, "again", i == 0 ? "0" : i == 1 ? "1" : "2", "b", 1, i);
    }
    settle_all(pub, &outcomes);
    con = consumer("again", 10);
    delivery = take(con);
    assert_string_equal(delivery.id, "0");
    broker_requeue(con, delivery.tag);
    broker_delivery_free(&delivery);
    delivery = take(con);
    assert_string_equal(delivery.id, "1");
    broker_ack(con, delivery.tag);
    broker_delivery_free(&delivery);
    delivery = take(con); /* in hand when the consumer goes */
    assert_string_equal(delivery.id, "2");
    broker_delivery_free(&delivery);
    broker_consumer_destroy(con);

    await_depth("again", 2);
    con = consumer("again", 10);
    for (int i = 0; i < 2; i++) {
        delivery = take(con);
        assert_true(delivery.redelivered);
        assert_string_not_equal(delivery.id, "1");
        broker_ack(con, delivery.tag);
        broker_delivery_free(&delivery);
    }
    broker_consumer_destroy(con);
    await_depth("again", 0);
    broker_publisher_destroy(pub);
}

static void a_missing_queue_is_named(void **state)
{
    struct broker_consumer *con = consumer("missing", 1);
    struct broker_delivery delivery;
    struct broker_conf c = conf();
    const char *const queue = "missing";
    struct err err;

    (void)state;
    assert_int_equal(broker_consumer_next(con, 500, &delivery), BROKER_NOTHING);
    assert_false(broker_consumer_is_up(con));
    assert_int_equal(broker_consumer_fd(con), -1);
    assert_non_null(strstr(broker_consumer_trouble(con), "missing"));
    assert_non_null(strstr(broker_consumer_trouble(con), "amqp_not_found"));
    assert_fails(broker_queue_depth(&c, &queue, 1, NULL, NULL, &err), ERR_PERMANENT,
                 "amqp_not_found");
    declare("missing"); /* from then on it works by itself */
    for (int i = 0; i < 200 && !broker_consumer_is_up(con); i++) {
        assert_int_equal(broker_consumer_next(con, 100, &delivery), BROKER_NOTHING);
    }
    assert_true(broker_consumer_is_up(con));
    assert_string_equal(broker_consumer_trouble(con), "");
    broker_consumer_destroy(con);
}

static void a_deleted_queue_is_subscribed_again(void **state)
{
    struct broker_publisher *pub = publisher(0);
    struct broker_consumer *con;
    struct broker_delivery delivery;
    struct outcomes outcomes = { 0 };
    int64_t deadline_ms = clock_mono_ms() + WAIT_MS;
    uint64_t stale;

    (void)state;
    declare("deleted");
    publish(pub, "deleted", "before", "b", 1, 0);
    settle_all(pub, &outcomes);
    con = consumer("deleted", 10);
    delivery = take(con);
    stale = delivery.tag;
    broker_delivery_free(&delivery);
    servers_ctl("delete_queue deleted");
    while (broker_consumer_is_up(con)) {
        assert_int_equal(broker_consumer_next(con, 50, &delivery), BROKER_NOTHING);
        assert_true(clock_mono_ms() < deadline_ms);
    }
    assert_non_null(strstr(broker_consumer_trouble(con), "deleted"));
    declare("deleted");
    publish(pub, "deleted", "after", "a", 1, 1);
    settle_all(pub, &outcomes);
    delivery = take(con);
    assert_string_equal(delivery.id, "after");
    broker_ack(con, stale); /* of the old connection: nothing happens */
    broker_requeue(con, stale);
    broker_ack(con, delivery.tag);
    broker_delivery_free(&delivery);
    broker_consumer_destroy(con);
    await_depth("deleted", 0);
    broker_publisher_destroy(pub);
}

static void wrong_settings_are_told_apart(void **state)
{
    struct broker_conf c = conf();
    struct broker_conf wrong = c;
    struct broker_publisher *pub;
    char url[200];
    struct err err;

    (void)state;
    assert_ok(broker_check(&c, &err));
    wrong.url = "http://127.0.0.1/";
    assert_fails(broker_check(&wrong, &err), ERR_PERMANENT, "amqp_bad_url");
    assert_fails(broker_publisher_create(&wrong, &pub, &err), ERR_PERMANENT, "amqp_bad_url");
    wrong.url = "amqp://127.0.0.1:1/";
    assert_fails(broker_check(&wrong, &err), ERR_TEMPORARY, "amqp_socket_error");
    snprintf(url, sizeof(url), "amqp://guest:secret%s", strchr(c.url, '@'));
    wrong.url = url;
    assert_fails(broker_check(&wrong, &err), ERR_PERMANENT, "amqp_access_refused");
    assert_null(strstr(err.detail, "secret"));
    snprintf(url, sizeof(url), "%snowhere", c.url);
    assert_fails(broker_check(&wrong, &err), ERR_PERMANENT, "amqp_not_allowed");
    snprintf(url, sizeof(url), "%s%%2F", c.url);
    assert_ok(broker_check(&wrong, &err));
    assert_ok(broker_declare(&c, "typed", "direct", NULL, NULL, 0, &err));
    assert_ok(broker_declare(&c, "typed", "direct", NULL, NULL, 0, &err));
    assert_fails(broker_declare(&c, "typed", "fanout", NULL, NULL, 0, &err), ERR_PERMANENT,
                 "amqp_precondition_failed");
}

static void publish_from_the_report(void *context, uint64_t ticket, enum broker_outcome outcome)
{
    struct broker_publisher *pub = context;

    assert_int_equal(outcome, BROKER_CONFIRMED);
    if (ticket < 20) {
        publish(pub, "chain", "id", "b", 1, ticket + 1);
    }
}

static void a_report_may_publish(void **state)
{
    struct broker_publisher *pub = publisher(2);
    int64_t deadline_ms = clock_mono_ms() + WAIT_MS;

    (void)state;
    declare("chain");
    publish(pub, "chain", "id", "b", 1, 0);
    while (broker_publisher_pending(pub) > 0) {
        broker_publisher_pump(pub, 100, publish_from_the_report, pub);
        assert_true(clock_mono_ms() < deadline_ms);
    }
    await_depth("chain", 21);
    broker_publisher_destroy(pub);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_arrives_with_all_it_carries),
        cmocka_unit_test(bodies_around_the_size_of_a_frame_arrive_whole),
        cmocka_unit_test(an_unroutable_message_is_returned),
        cmocka_unit_test(a_full_queue_refuses),
        cmocka_unit_test(a_message_that_closes_the_channel_does_not_stop_the_others),
        cmocka_unit_test(the_first_queue_of_the_list_comes_first),
        cmocka_unit_test(a_consumer_of_higher_priority_is_served_first),
        cmocka_unit_test(what_was_not_acknowledged_comes_again),
        cmocka_unit_test(a_missing_queue_is_named),
        cmocka_unit_test(a_deleted_queue_is_subscribed_again),
        cmocka_unit_test(wrong_settings_are_told_apart),
        cmocka_unit_test(a_report_may_publish),
        cmocka_unit_test(all_of_many_messages_arrive_once),
    };

    return cmocka_run_group_tests(tests, start_server, stop_server);
}
