/*
 * A real broker that is killed, restarted, alarmed: nothing lost, nothing hangs.
 */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"

#define LEAST 5000    /* messages before the fall and all in all */
#define MOST 300000   /* what the tables hold */
#define STEP 50       /* messages per turn, so that many turns see the broker go and come */
#define QUICK_MS 1500 /* a call that must not wait; the machine may be busy */

/* Runs `servers COMMAND rabbitmq` beside the test. */
static pid_t beside(const char *command)
{
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        servers_do(command, "rabbitmq");
        _exit(0);
    }
    return child;
}

static void join(pid_t child)
{
    int status;

    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

struct tally {
    uint8_t seen[MOST];
    unsigned distinct;
    unsigned again;
};

/* Takes what is here and acknowledges it. */
static void consume_some(struct broker_consumer *con, struct tally *tally, int timeout_ms)
{
    struct broker_delivery delivery;

    while (broker_consumer_next(con, timeout_ms, &delivery) == BROKER_DELIVERY) {
        unsigned id = (unsigned)number(delivery.id);

        assert_in_range(id, 0, MOST - 1);
        assert_int_equal(number(delivery.body), id);
        if (tally->seen[id]++ == 0) {
            tally->distinct++;
        } else {
            tally->again++;
        }
        broker_ack(con, delivery.tag);
        broker_delivery_free(&delivery);
        timeout_ms = 0;
    }
}

struct story {
    struct tally tally;
    uint8_t settled[MOST];
    struct outcomes outcomes;
    struct broker_publisher *pub;
    struct broker_consumer *con;
    const char *queue;
    unsigned next;
    bool fell;
};

static void publish_step(struct story *story)
{
    for (int i = 0; i < STEP && broker_publisher_room(story->pub) > 0; i++) {
        char id[16];

        assert_in_range(story->next, 0, MOST - 1);
        snprintf(id, sizeof(id), "%u", story->next);
        publish(story->pub, story->queue, id, id, strlen(id), story->next++);
    }
}

/* Publishes and consumes on while the broker goes down and comes back. */
static void live_through(struct story *story, const char *command)
{
    int64_t deadline_ms = clock_mono_ms() + 2 * WAIT_MS;
    bool back = false;
    pid_t child = 0;

    while (!back || story->outcomes.confirmed < story->next ||
           story->tally.distinct < story->next) {
        if (clock_mono_ms() > deadline_ms) {
            fail_msg("%u sent, %u confirmed, %u arrived; publisher: %s; consumer: %s", story->next,
                     story->outcomes.confirmed, story->tally.distinct,
                     broker_publisher_trouble(story->pub), broker_consumer_trouble(story->con));
        }
        if (!back) {
            publish_step(story);
        }
        if (child == 0 && story->next > LEAST) {
            child = beside(command);
        }
        broker_publisher_pump(story->pub, broker_publisher_is_up(story->pub) ? 0 : 20,
                              count_outcome, &story->outcomes);
        consume_some(story->con, &story->tally, 5);
        story->fell |= !broker_publisher_is_up(story->pub);
        back = story->fell && broker_publisher_is_up(story->pub);
    }
    join(child);
}

static void survive(const char *queue, const char *command)
{
    struct story *story = calloc(1, sizeof(*story));

    declare(queue);
    story->queue = queue;
    story->outcomes.seen = story->settled;
    story->pub = publisher(256);
    story->con = consumer(queue, 100);
    live_through(story, command);
    assert_int_equal(broker_publisher_pending(story->pub), 0);
    assert_int_equal(story->outcomes.refused + story->outcomes.returned, 0);
    for (unsigned i = 0; i < story->next; i++) {
        assert_int_equal(story->settled[i], 1);
        assert_true(story->tally.seen[i] > 0);
    }
    consume_some(story->con, &story->tally, 200);
    print_message("%s: %u of %u messages arrived again\n", command, story->tally.again,
                  story->next);
    broker_publisher_destroy(story->pub);
    broker_consumer_destroy(story->con);
    await_depth(queue, 0);
    free(story);
}

static void a_restarted_broker_loses_nothing(void **state)
{
    (void)state;
    survive("restarted", "restart");
}

static void a_killed_broker_loses_nothing(void **state)
{
    (void)state;
    survive("killed", "kill");
}

static int64_t timed_pump(struct broker_publisher *pub, int timeout_ms, struct outcomes *outcomes)
{
    int64_t start_ms = clock_mono_ms();

    broker_publisher_pump(pub, timeout_ms, count_outcome, outcomes);
    return clock_mono_ms() - start_ms;
}

static void an_alarm_blocks_publishing_and_nothing_else(void **state)
{
    struct broker_publisher *pub = publisher(50);
    struct broker_consumer *con;
    struct broker_delivery delivery;
    struct outcomes outcomes = { 0 };
    int64_t deadline_ms;

    (void)state;
    declare("alarm");
    publish(pub, "alarm", "before", "b", 1, 0);
    settle_all(pub, &outcomes);
    con = consumer("alarm", 10);
    servers_ctl("set_vm_memory_high_watermark absolute 1MB");

    deadline_ms = clock_mono_ms() + WAIT_MS;
    while (!broker_publisher_is_blocked(pub)) {
        if (broker_publisher_room(pub) > 0) {
            publish(pub, "alarm", "during", "d", 1, 0);
        }
        assert_in_range(timed_pump(pub, 10, &outcomes), 0, QUICK_MS);
        assert_true(clock_mono_ms() < deadline_ms);
    }
    assert_true(broker_publisher_is_up(pub));
    while (broker_publisher_room(pub) > 0) {
        int64_t start_ms = clock_mono_ms();

        publish(pub, "alarm", "during", "d", 1, 0);
        assert_in_range(clock_mono_ms() - start_ms, 0, QUICK_MS);
    }
    outcomes = (struct outcomes){ 0 };
    assert_in_range(timed_pump(pub, 300, &outcomes), 290, 300 + QUICK_MS);
    assert_int_equal(outcomes.confirmed, 0);
    assert_int_equal(broker_publisher_pending(pub), 50);
    delivery = take(con); /* consumers go on */
    broker_ack(con, delivery.tag);
    broker_delivery_free(&delivery);

    servers_ctl("set_vm_memory_high_watermark 0.4");
    settle_all(pub, &outcomes);
    assert_int_equal(outcomes.confirmed, 50);
    assert_false(broker_publisher_is_blocked(pub));
    broker_publisher_destroy(pub);
    broker_consumer_destroy(con);
}

static void a_publisher_may_go_during_an_alarm(void **state)
{
    struct broker_publisher *pub = publisher(50);
    struct outcomes outcomes = { 0 };
    int64_t start_ms;

    (void)state;
    declare("leaving");
    servers_ctl("set_vm_memory_high_watermark absolute 1MB");
    for (start_ms = clock_mono_ms(); !broker_publisher_is_blocked(pub);) {
        if (broker_publisher_room(pub) > 0) {
            publish(pub, "leaving", "id", "b", 1, 0);
        }
        broker_publisher_pump(pub, 10, count_outcome, &outcomes);
        assert_in_range(clock_mono_ms() - start_ms, 0, WAIT_MS);
    }
    start_ms = clock_mono_ms();
    broker_publisher_destroy(pub);
    assert_in_range(clock_mono_ms() - start_ms, 0, QUICK_MS);
    servers_ctl("set_vm_memory_high_watermark 0.4");
}

static void an_idle_connection_lives_while_it_is_pumped(void **state)
{
    struct broker_conf c = conf();
    struct broker_publisher *pub;
    struct broker_consumer *con;
    struct outcomes outcomes = { 0 };
    const char *const queue = "idle";
    struct broker_delivery delivery;
    int64_t start_ms = clock_mono_ms();
    struct err err;
    int drops = 0;

    (void)state;
    declare(queue);
    c.heartbeat_s = 1;
    assert_ok(broker_publisher_create(&c, &pub, &err));
    assert_ok(broker_consumer_create(&c, &queue, 1, 10, &con, &err));
    broker_publisher_pump(pub, 0, count_outcome, &outcomes);
    while (clock_mono_ms() - start_ms < 3500) {
        broker_publisher_pump(pub, 200, count_outcome, &outcomes);
        assert_int_equal(broker_consumer_next(con, 200, &delivery), BROKER_NOTHING);
        drops += !broker_publisher_is_up(pub) || !broker_consumer_is_up(con);
    }
    assert_int_equal(drops, 0);
    publish(pub, queue, "id", "b", 1, 0);
    settle_all(pub, &outcomes);
    assert_int_equal(outcomes.confirmed, 1);
    broker_publisher_destroy(pub);
    broker_consumer_destroy(con);
}

/* A test that fails must not leave it frozen to the next. */
static int thaw(void **state)
{
    (void)state;
    return kill((pid_t)number(servers_get("RABBITMQ_PID")), SIGCONT);
}

/* Frozen, not dead: the kernel still takes and acknowledges bytes for it. */
static void a_frozen_broker_is_noticed_and_found_again(void **state)
{
    struct broker_conf c = conf();
    pid_t pid = (pid_t)number(servers_get("RABBITMQ_PID"));
    const char *const queue = "frozen";
    struct broker_publisher *pub;
    struct broker_consumer *con;
    struct broker_delivery delivery;
    struct outcomes outcomes = { 0 };
    int64_t start_ms;
    struct err err;

    (void)state;
    declare(queue);
    c.heartbeat_s = 1;
    assert_ok(broker_publisher_create(&c, &pub, &err));
    assert_ok(broker_consumer_create(&c, &queue, 1, 10, &con, &err));
    publish(pub, queue, "before", "b", 1, 0);
    settle_all(pub, &outcomes);
    delivery = take(con);
    broker_ack(con, delivery.tag);
    broker_delivery_free(&delivery);

    assert_int_equal(kill(pid, SIGSTOP), 0);
    publish(pub, queue, "during", "d", 1, 1);
    start_ms = clock_mono_ms();
    while (broker_publisher_is_up(pub) || broker_consumer_is_up(con)) {
        int64_t call_ms = clock_mono_ms();

        broker_publisher_pump(pub, 50, count_outcome, &outcomes);
        /* On a slow machine the first connection may be lost before, and its copy be here already.
         */
        if (broker_consumer_next(con, 50, &delivery) == BROKER_DELIVERY) {
            assert_string_equal(delivery.id, "before");
            broker_delivery_free(&delivery);
        }
        /* Each may spend 5 s on a connection that is accepted and not answered. */
        assert_in_range(clock_mono_ms() - call_ms, 0, 10000 + QUICK_MS);
        assert_in_range(clock_mono_ms() - start_ms, 0, WAIT_MS);
    }
    assert_int_equal(kill(pid, SIGCONT), 0);
    settle_all(pub, &outcomes);
    assert_int_equal(outcomes.confirmed, 2);
    do { /* a copy of the first may have come back unacknowledged */
        delivery = take(con);
        start_ms = strcmp(delivery.id, "during");
        broker_ack(con, delivery.tag);
        broker_delivery_free(&delivery);
    } while (start_ms != 0);
    broker_publisher_destroy(pub);
    broker_consumer_destroy(con);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_alarm_blocks_publishing_and_nothing_else),
        cmocka_unit_test(a_publisher_may_go_during_an_alarm),
        cmocka_unit_test(an_idle_connection_lives_while_it_is_pumped),
        cmocka_unit_test_teardown(a_frozen_broker_is_noticed_and_found_again, thaw),
        cmocka_unit_test(a_restarted_broker_loses_nothing),
        cmocka_unit_test(a_killed_broker_loses_nothing),
    };

    return cmocka_run_group_tests(tests, start_server, stop_server);
}
