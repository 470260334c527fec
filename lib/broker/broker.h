/*
 * broker - RabbitMQ: a publisher that knows what was confirmed, a consumer that loses nothing
 *
 *     broker_publisher_create(&conf, &pub, &err);
 *     broker_publish(pub, &out, ticket);                    // copied
 *     broker_publisher_pump(pub, 0, settled, context);      // sends, calls settled(…, outcome)
 *
 *     broker_consumer_create(&conf, queues, 2, 32, &con, &err);
 *     while (broker_consumer_next(con, 1000, &delivery, &err) == BROKER_DELIVERY) {
 *         handle(&delivery); broker_ack(con, delivery.tag); broker_delivery_free(&delivery);
 *     }
 *
 * Each object is one connection with one channel and belongs to one thread (rabbitmq-c, README
 * "Threading"); consume and publish on separate connections. Both reconnect by themselves with
 * back-off and jitter, answer heartbeats whenever they are pumped, and never wait without a limit.
 * A publisher republishes everything unconfirmed, same ids, on its next connection.
 */
#ifndef BROKER_BROKER_H
#define BROKER_BROKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct broker_conf {
    const char *url;     /* amqp://user:password@host:port/vhost or amqps:// ; kept */
    const char *name;    /* connection_name, for list_connections; kept */
    int heartbeat_s;     /* 0 means 15 */
    unsigned window;     /* publisher: most unconfirmed messages; 0 means 512 */
    int64_t progress_ms; /* longest time a call may hang in the network; 0 means 10 s */
    /* Consumer: one of higher priority gets a queue's messages as long as its prefetch has room,
       and only then the others do. 0 is usual. https://www.rabbitmq.com/docs/consumer-priority */
    int priority;
};

struct broker_header {
    const char *key;
    const char *text; /* NULL: an integer */
    int64_t num;
};

#define BROKER_HEADERS_MAX 16

/* A message to publish. Everything is copied. delivery_mode 2 and mandatory are always set. */
struct broker_message {
    const char *exchange;
    const char *key;
    const char *id; /* message_id */
    const char *type;
    const char *correlation;  /* NULL or "": none */
    const char *content_type; /* NULL: application/json */
    int64_t timestamp_ms;     /* sent in seconds, as AMQP has it, and as header born_ms */
    const struct broker_header *headers;
    size_t header_count;
    const void *body;
    size_t body_len;
};

enum broker_outcome {
    BROKER_CONFIRMED, /* the broker has it */
    BROKER_RETURNED,  /* unroutable: no queue is bound, or no such exchange, or it is not ours */
    BROKER_REFUSED,   /* nacked: the queue is full (reject-publish), or the body too long for it */
};
typedef void broker_settled_fn(void *context, uint64_t ticket, enum broker_outcome outcome);

struct broker_publisher;

/* Does not fail because the broker is away: it connects when pumped. Fails on a bad url. */
bool broker_publisher_create(const struct broker_conf *conf, struct broker_publisher **out_pub,
                             struct err *err);
void broker_publisher_destroy(
    struct broker_publisher *pub); /* accepts NULL; unconfirmed messages are dropped */

/* How many more may be published before confirms come in. */
unsigned broker_publisher_room(const struct broker_publisher *pub);
unsigned broker_publisher_pending(const struct broker_publisher *pub);

/*
 * Queues one message under the caller's ticket; panics without room, and for texts that AMQP cannot
 * carry (255 bytes for exchange, key, id, type, correlation; 100,000 for all headers). It leaves at
 * once when nothing else is on its way, else with the next pump: pump before waiting for anything
 * else. The outcome comes with a pump, too.
 */
void broker_publish(struct broker_publisher *pub, const struct broker_message *message,
                    uint64_t ticket);

/*
 * Moves frames for at most timeout_ms (0: what is there) and reports outcomes. Returns early once
 * something settled, or on a signal. Also (re)connects, which may take up to 5 s each for the TCP
 * connection and the login when the network swallows packets. Must be called at least once a
 * heartbeat, also when idle. settled may publish; it must not pump or destroy.
 */
void broker_publisher_pump(struct broker_publisher *pub, int timeout_ms, broker_settled_fn *settled,
                           void *context);

bool broker_publisher_is_up(const struct broker_publisher *pub);
bool broker_publisher_is_blocked(const struct broker_publisher *pub); /* the broker's alarm is on */
/* What poll() should wait for (POLLIN), or -1 while disconnected. */
int broker_publisher_fd(const struct broker_publisher *pub);
/* Why it is down, for a log line; "" when up. */
const char *broker_publisher_trouble(const struct broker_publisher *pub);

struct broker_delivery {
    uint64_t tag; /* opaque; names its connection too, so a stale one is harmless */
    int queue;    /* index into the queues given */
    bool redelivered;
    const char *exchange, *key, *id, *type, *correlation, *user_id;
    int64_t timestamp_s;
    const char *body;
    size_t body_len;
    struct broker_header
        headers[BROKER_HEADERS_MAX]; /* string and integer headers; others left out */
    size_t header_count;
    void *memory; /* what broker_delivery_free() releases */
};

enum broker_next { BROKER_NOTHING, BROKER_DELIVERY };

struct broker_consumer;

bool broker_consumer_create(const struct broker_conf *conf, const char *const *queues,
                            size_t queue_count, unsigned prefetch,
                            struct broker_consumer **out_consumer, struct err *err);
void broker_consumer_destroy(
    struct broker_consumer *consumer); /* accepts NULL; unacked deliveries return */

/*
 * The next delivery, waiting at most timeout_ms. prefetch is per queue. Earlier queues in the list
 * come first when several have deliveries here. Reconnects by itself; a queue that vanished is
 * re-subscribed on a new connection. A wait ends early on a signal.
 */
enum broker_next broker_consumer_next(struct broker_consumer *consumer, int timeout_ms,
                                      struct broker_delivery *out);
/* Gathered for up to 20 ms while more is buffered; out at once when nothing else is in hand. Twice
 * panics. */
void broker_ack(struct broker_consumer *consumer, uint64_t tag);
/* Back to its queue, at its old place when possible. */
void broker_requeue(struct broker_consumer *consumer, uint64_t tag);
void broker_delivery_free(struct broker_delivery *delivery);
/* Value of a text header or NULL; integer header or fallback. */
const char *broker_header_text(const struct broker_delivery *delivery, const char *key);
int64_t broker_header_int(const struct broker_delivery *delivery, const char *key,
                          int64_t fallback);

/* Deliveries fetched and not handed out yet. */
size_t broker_consumer_buffered(const struct broker_consumer *consumer);
bool broker_consumer_is_up(const struct broker_consumer *consumer);
int broker_consumer_fd(const struct broker_consumer *consumer);
const char *broker_consumer_trouble(const struct broker_consumer *consumer);
/* Ready messages in a queue and its consumers, by passive declare on a connection of its own. */
bool broker_queue_depth(const struct broker_conf *conf, const char *const *queues, size_t count,
                        int64_t *out_ready, int64_t *out_consumers, struct err *err);

/* One round trip: connect, log in, open a channel, close. For --check. */
bool broker_check(const struct broker_conf *conf, struct err *err);

/* Declares (idempotently) what a partner account needs: exchange, bindings, its event queue. */
struct broker_binding {
    const char *queue, *exchange, *key;
};
bool broker_declare(const struct broker_conf *conf, const char *exchange, const char *exchange_type,
                    const char *queue /* NULL: none */, const struct broker_binding *bindings,
                    size_t binding_count, struct err *err);

#endif
