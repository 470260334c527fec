/*
 * Brokers that hang: no call may wait longer than it says. Nothing real runs here.
 */
#include "fake_broker.h"
#include "fixture.h"

#define PROGRESS_MS 1000
#define SLACK_MS                                                                                   \
    1500 /* a busy machine's; far less than any built-in time limit but the meant one */

static struct broker_publisher *publisher_at(const char *url, int heartbeat_s)
{
    struct broker_conf c = { .url = url,
                             .name = "test",
                             .heartbeat_s = heartbeat_s,
                             .progress_ms = PROGRESS_MS,
                             .window = 64 };
    struct broker_publisher *pub;
    struct err err;

    assert_ok(broker_publisher_create(&c, &pub, &err));
    return pub;
}

static void connect_to(struct broker_publisher *pub)
{
    struct outcomes outcomes = { 0 };

    broker_publisher_pump(pub, 0, count_outcome, &outcomes);
    assert_string_equal(broker_publisher_trouble(pub), "");
    assert_true(broker_publisher_is_up(pub));
}

/*
 * Publishes until the connection is given up. Bodies are larger than all buffers in between, so
 * that the library waits inside a publish. Returns how long the longest call took.
 */
static int64_t publish_until_down(struct broker_publisher *pub, const char *body, size_t len)
{
    int64_t deadline_ms = clock_mono_ms() + WAIT_MS;
    int64_t longest_ms = 0;
    struct outcomes outcomes = { 0 };

    while (broker_publisher_is_up(pub)) {
        int64_t start_ms = clock_mono_ms();

        if (broker_publisher_room(pub) > 0) {
            publish(pub, "queue", "id", body, len, 0);
        } else {
            broker_publisher_pump(pub, 100, count_outcome, &outcomes);
        }
        if (clock_mono_ms() - start_ms > longest_ms) {
            longest_ms = clock_mono_ms() - start_ms;
        }
        assert_true(clock_mono_ms() < deadline_ms);
    }
    return longest_ms;
}

static void a_broker_that_stops_reading_holds_no_publish(void **state)
{
    static const size_t sizes[] = { 16 << 20, 200000 }; /* waits inside a publish; and between */
    char *body = calloc(1, sizes[0]);

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct fake_broker fake;
        struct broker_publisher *pub;
        int64_t longest_ms;

        fake_broker_start(&fake, FAKE_STOPS_READING, 60);
        pub = publisher_at(fake.url, 60);
        connect_to(pub);
        longest_ms = publish_until_down(pub, body, sizes[i]);
        print_message("longest call with %zu bytes: %d ms: %s\n", sizes[i], (int)longest_ms,
                      broker_publisher_trouble(pub));
        assert_in_range(longest_ms, 0, PROGRESS_MS + SLACK_MS);
        assert_true(broker_publisher_pending(pub) > 0); /* nothing is forgotten */
        broker_publisher_destroy(pub);
        fake_broker_stop(&fake);
    }
    free(body);
}

static void a_silent_broker_is_noticed_by_its_missing_heartbeats(void **state)
{
    struct fake_broker fake;
    struct broker_publisher *pub;
    struct outcomes outcomes = { 0 };
    int64_t start_ms;

    (void)state;
    fake_broker_start(&fake, FAKE_FALLS_SILENT, 1);
    pub = publisher_at(fake.url, 1);
    connect_to(pub);
    publish(pub, "queue", "id", "b", 1, 0);
    start_ms = clock_mono_ms();
    while (broker_publisher_is_up(pub)) {
        broker_publisher_pump(pub, 100, count_outcome, &outcomes);
        assert_in_range(clock_mono_ms() - start_ms, 0, 4000 + SLACK_MS);
    }
    assert_non_null(strstr(broker_publisher_trouble(pub), "amqp_heartbeat_missed"));
    broker_publisher_destroy(pub);
    fake_broker_stop(&fake);
}

/* rabbitmq-c 0.11 waits for ever in a publish when a heartbeat is overdue, unless we read first. */
static void a_publish_after_a_long_silence_does_not_hang(void **state)
{
    struct fake_broker fake;
    struct broker_publisher *pub;
    int64_t start_ms;

    (void)state;
    fake_broker_start(&fake, FAKE_FALLS_SILENT, 1);
    pub = publisher_at(fake.url, 1);
    connect_to(pub);
    for (start_ms = clock_mono_ms(); clock_mono_ms() - start_ms < 3000;) {
        clock_sleep_ms(100); /* a handler at work: nobody pumps */
    }
    start_ms = clock_mono_ms();
    publish(pub, "queue", "id", "b", 1, 0);
    assert_in_range(clock_mono_ms() - start_ms, 0, SLACK_MS);
    assert_false(broker_publisher_is_up(pub));
    assert_int_equal(broker_publisher_pending(pub), 1);
    broker_publisher_destroy(pub);
    fake_broker_stop(&fake);
}

static void a_host_that_does_not_say_hello_is_given_up(void **state)
{
    struct fake_broker fake;
    struct broker_publisher *pub;
    struct outcomes outcomes = { 0 };
    int64_t start_ms = clock_mono_ms();

    (void)state;
    fake_broker_start(&fake, FAKE_SAYS_NOTHING, 1);
    pub = publisher_at(fake.url, 1);
    broker_publisher_pump(pub, 0, count_outcome, &outcomes);
    assert_in_range(clock_mono_ms() - start_ms, 0, 5000 + SLACK_MS);
    assert_false(broker_publisher_is_up(pub));
    assert_non_null(strstr(broker_publisher_trouble(pub), "amqp_no_answer"));
    broker_publisher_destroy(pub);
    fake_broker_stop(&fake);
}

static void while_nobody_listens_tries_are_spaced_out(void **state)
{
    struct broker_publisher *pub = publisher_at("amqp://127.0.0.1:1/", 1);
    struct outcomes outcomes = { 0 };
    int64_t start_ms = clock_mono_ms();

    (void)state;
    publish(pub, "queue", "id", "b", 1, 0);
    broker_publisher_pump(pub, 300, count_outcome, &outcomes);
    assert_in_range(clock_mono_ms() - start_ms, 290, 300 + SLACK_MS); /* it waits, not spins */
    assert_false(broker_publisher_is_up(pub));
    assert_int_equal(broker_publisher_fd(pub), -1);
    assert_non_null(strstr(broker_publisher_trouble(pub), "127.0.0.1:1"));
    assert_int_equal(broker_publisher_pending(pub), 1);
    broker_publisher_destroy(pub);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_broker_that_stops_reading_holds_no_publish),
        cmocka_unit_test(a_silent_broker_is_noticed_by_its_missing_heartbeats),
        cmocka_unit_test(a_publish_after_a_long_silence_does_not_hang),
        cmocka_unit_test(a_host_that_does_not_say_hello_is_given_up),
        cmocka_unit_test(while_nobody_listens_tries_are_spaced_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
