/*
 * fixture - one RabbitMQ per test program, and small helpers around publisher and consumer
 */
#ifndef UNIT_BROKER_FIXTURE_H
#define UNIT_BROKER_FIXTURE_H

/* cmocka.h needs the others before it. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "broker/broker.h"
#include "servers.h"

#define WAIT_MS 60000 /* the longest any test waits for anything */

#define assert_ok(call)                                                                            \
    do {                                                                                           \
        if (!(call)) {                                                                             \
            fail_msg("%s: %s", err.what, err.detail);                                              \
        }                                                                                          \
    } while (0)

#define assert_fails(call, wanted_kind, wanted_what)                                               \
    do {                                                                                           \
        assert_false(call);                                                                        \
        assert_string_equal(err.what, wanted_what);                                                \
        assert_int_equal(err.kind, wanted_kind);                                                   \
    } while (0)

static inline int start_server(void **state)
{
    (void)state;
    servers_start("rabbitmq");
    return 0;
}

static inline int stop_server(void **state)
{
    (void)state;
    servers_stop();
    return 0;
}

/* Text that must be a small number. */
static inline int number(const char *text)
{
    int64_t value = -1;

    assert_true(str_parse_int(text, 0, INT32_MAX, &value));
    return (int)value;
}

static inline struct broker_conf conf(void)
{
    return (struct broker_conf){ .url = servers_get("AMQP_URL"), .name = "test" };
}

/* What became of the messages published so far. */
struct outcomes {
    unsigned confirmed, returned, refused;
    uint8_t *seen; /* by ticket; may be NULL */
};

static inline void count_outcome(void *context, uint64_t ticket, enum broker_outcome outcome)
{
    struct outcomes *outcomes = context;

    if (outcomes->seen != NULL) {
        outcomes->seen[ticket]++;
    }
    switch (outcome) {
    case BROKER_CONFIRMED:
        outcomes->confirmed++;
        break;
    case BROKER_RETURNED:
        outcomes->returned++;
        break;
    case BROKER_REFUSED:
        outcomes->refused++;
        break;
    }
}

/* Pumps until nothing is pending; fails after WAIT_MS. */
static inline void settle_all(struct broker_publisher *pub, struct outcomes *outcomes)
{
    int64_t deadline_ms = clock_mono_ms() + WAIT_MS;

    while (broker_publisher_pending(pub) > 0) {
        broker_publisher_pump(pub, 100, count_outcome, outcomes);
        if (clock_mono_ms() > deadline_ms) {
            fail_msg("%u messages unsettled: %s", broker_publisher_pending(pub),
                     broker_publisher_trouble(pub));
        }
    }
}

static inline void await_room(struct broker_publisher *pub, struct outcomes *outcomes)
{
    int64_t deadline_ms = clock_mono_ms() + WAIT_MS;

    broker_publisher_pump(pub, 0, count_outcome, outcomes);
    while (broker_publisher_room(pub) == 0) {
        broker_publisher_pump(pub, 100, count_outcome, outcomes);
        if (clock_mono_ms() > deadline_ms) {
            fail_msg("no room: %s", broker_publisher_trouble(pub));
        }
    }
}

/* A durable exchange "x" and a quorum queue bound to it by its own name. */
static inline void declare(const char *queue)
{
    struct broker_conf c = conf();
    struct err err;

    assert_ok(broker_declare(&c, "x", "direct", queue,
                             &(struct broker_binding){ queue, "x", queue }, 1, &err));
}

static inline int64_t depth(const char *queue)
{
    struct broker_conf c = conf();
    struct err err;
    int64_t ready;

    assert_ok(broker_queue_depth(&c, &queue, 1, &ready, NULL, &err));
    return ready;
}

/* The broker takes note of a connection's end, and counts what it returns, in its own time. */
static inline void await_depth(const char *queue, int64_t wanted)
{
    const int64_t until_ms = clock_mono_ms() + 10000;

    while (depth(queue) != wanted && clock_mono_ms() < until_ms) {
        clock_sleep_ms(20);
    }
    assert_int_equal(depth(queue), wanted);
}

static inline struct broker_publisher *publisher(unsigned window)
{
    struct broker_conf c = conf();
    struct broker_publisher *pub;
    struct err err;

    c.window = window;
    assert_ok(broker_publisher_create(&c, &pub, &err));
    return pub;
}

static inline struct broker_consumer *consumer(const char *queue, unsigned prefetch)
{
    struct broker_conf c = conf();
    struct broker_consumer *con;
    struct err err;

    assert_ok(broker_consumer_create(&c, &queue, 1, prefetch, &con, &err));
    return con;
}

/* The next delivery; fails after WAIT_MS. */
static inline struct broker_delivery take(struct broker_consumer *con)
{
    int64_t deadline_ms = clock_mono_ms() + WAIT_MS;
    struct broker_delivery delivery;

    while (broker_consumer_next(con, 100, &delivery) != BROKER_DELIVERY) {
        if (clock_mono_ms() > deadline_ms) {
            fail_msg("nothing arrived: %s", broker_consumer_trouble(con));
        }
    }
    return delivery;
}

/* Publishes a body to "x" under an id and the queue's key. */
static inline void publish(struct broker_publisher *pub, const char *queue, const char *id,
                           const void *body, size_t len, uint64_t ticket)
{
    broker_publish(pub,
                   &(struct broker_message){ .exchange = "x",
                                             .key = queue,
                                             .id = id,
                                             .type = "test.sent.v1",
                                             .body = body,
                                             .body_len = len },
                   ticket);
}

#endif
