/*
 * consumer - takes deliveries from queues, and gives none up before it is acknowledged
 *
 * Whatever has arrived is read at once into a list per queue; the earliest queue in the caller's
 * order is served first. Acks gather while there is more to hand out, and leave before anybody
 * waits: the broker settles a run of deliveries for the price of one.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "acks.h"
#include "base/clock.h"
#include "base/panic.h"
#include "broker/broker.h"
#include "delivery.h"
#include "wire.h"

#define QUEUES_MOST 64
#define ACKS_MOST 64    /* told to the broker at the latest when this many gathered */
#define ACKS_WAIT_MS 20 /* or the first has waited this long */
#define TAG_BITS 48     /* of a public tag; the rest is the connection's generation */

struct node {
    struct node *next;
    struct broker_delivery delivery;
};

struct queue {
    char *name;
    struct node *first;
    struct node **end;
};

struct broker_consumer {
    struct wire wire;
    struct queue queues[QUEUES_MOST];
    size_t queue_count;
    uint16_t prefetch;
    struct assembly assembly;
    struct acks acks;
    size_t buffered;
    int64_t acked_at_ms; /* when the first of the gathered acks came; 0: none gathered */
    int64_t turn_at_ms;  /* when the caller last came by */
};

bool broker_consumer_create(const struct broker_conf *conf, const char *const *queues,
                            size_t queue_count, unsigned prefetch,
                            struct broker_consumer **out_consumer, struct err *err)
{
    struct broker_consumer *consumer;

    if (queue_count < 1 || queue_count > QUEUES_MOST || prefetch < 1 || prefetch > UINT16_MAX) {
        panic("%zu queues with prefetch %u", queue_count, prefetch);
    }
    consumer = calloc(1, sizeof(*consumer));
    if (consumer == NULL) {
        panic("out of memory");
    }
    if (!wire_init(&consumer->wire, conf, err)) {
        free(consumer);
        return false;
    }
    consumer->queue_count = queue_count;
    consumer->prefetch = (uint16_t)prefetch;
    acks_init(&consumer->acks);
    for (size_t i = 0; i < queue_count; i++) {
        struct queue *queue = &consumer->queues[i];

        queue->name = strdup(queues[i]);
        if (queue->name == NULL) {
            panic("out of memory");
        }
        queue->end = &queue->first;
    }
    *out_consumer = consumer;
    return true;
}

bool broker_consumer_is_up(const struct broker_consumer *consumer)
{
    return consumer->wire.conn != NULL;
}

int broker_consumer_fd(const struct broker_consumer *consumer)
{
    return consumer->wire.fd;
}

const char *broker_consumer_trouble(const struct broker_consumer *consumer)
{
    return consumer->wire.trouble;
}

size_t broker_consumer_buffered(const struct broker_consumer *consumer)
{
    return consumer->buffered;
}

/* --- connecting --- */

/* What belonged to the last connection: the broker delivers it again. */
static void forget_deliveries(struct broker_consumer *consumer)
{
    for (size_t i = 0; i < consumer->queue_count; i++) {
        struct queue *queue = &consumer->queues[i];

        while (queue->first != NULL) {
            struct node *node = queue->first;

            queue->first = node->next;
            broker_delivery_free(&node->delivery);
            free(node);
        }
        queue->end = &queue->first;
    }
    consumer->buffered = 0;
    consumer->acked_at_ms = 0;
    delivery_abandon(&consumer->assembly);
    acks_restart(&consumer->acks);
}

/* The consumer tag is the queue's number; a delivery carries it. */
static bool subscribe(struct broker_consumer *consumer, size_t number, struct err *err)
{
    amqp_connection_state_t conn = consumer->wire.conn;
    const char *name = consumer->queues[number].name;
    amqp_table_entry_t priority = {
        .key = amqp_cstring_bytes("x-priority"),
        .value = { .kind = AMQP_FIELD_KIND_I32, .value = { .i32 = consumer->wire.conf.priority } },
    };
    const amqp_table_t arguments = { .num_entries = 1, .entries = &priority };
    char doing[160];
    char tag[24];

    snprintf(doing, sizeof(doing), "consuming from %s", name);
    snprintf(tag, sizeof(tag), "%zu", number);
    amqp_basic_qos(conn, WIRE_CHANNEL, 0, consumer->prefetch, 0);
    if (!reply_ok(amqp_get_rpc_reply(conn), "setting the prefetch", err)) {
        return false;
    }
    amqp_basic_consume(conn, WIRE_CHANNEL, wire_text(name), wire_text(tag), 0, 0, 0, arguments);
    return reply_ok(amqp_get_rpc_reply(conn), doing, err);
}

/* All queues are looked up before the first consume, so that a missing one is named early. */
static bool look_up(struct broker_consumer *consumer, size_t number, struct err *err)
{
    amqp_connection_state_t conn = consumer->wire.conn;
    const char *name = consumer->queues[number].name;
    char doing[160];

    snprintf(doing, sizeof(doing), "looking for queue %s", name);
    amqp_queue_declare(conn, WIRE_CHANNEL, wire_text(name), 1, 0, 0, 0, amqp_empty_table);
    return reply_ok(amqp_get_rpc_reply(conn), doing, err);
}

static void connect_now(struct broker_consumer *consumer)
{
    struct err err;
    bool ok;

    forget_deliveries(consumer);
    if (!wire_open(&consumer->wire, &err)) {
        return;
    }
    ok = true;
    for (size_t i = 0; ok && i < consumer->queue_count; i++) {
        ok = look_up(consumer, i, &err);
    }
    amqp_maybe_release_buffers(consumer->wire.conn);
    for (size_t i = 0; ok && i < consumer->queue_count; i++) {
        ok = subscribe(consumer, i, &err);
    }
    if (!ok) {
        wire_give_up(&consumer->wire, &err);
    }
}

/* --- acks --- */

static bool send_ack(struct broker_consumer *consumer, uint64_t tag, bool multiple)
{
    int status = amqp_basic_ack(consumer->wire.conn, WIRE_CHANNEL, tag, multiple);
    struct err err;

    if (status != AMQP_STATUS_OK) {
        (void)reply_status(status, "acknowledging", &err);
        return wire_give_up(&consumer->wire, &err);
    }
    return true;
}

static void flush_acks(struct broker_consumer *consumer)
{
    uint64_t tag;
    bool multiple;

    if (consumer->acked_at_ms == 0 || consumer->wire.conn == NULL) {
        return;
    }
    consumer->acked_at_ms = 0;
    wire_cork(&consumer->wire, true);
    while (acks_next(&consumer->acks, &tag, &multiple)) {
        if (!send_ack(consumer, tag, multiple)) {
            return;
        }
    }
    wire_cork(&consumer->wire, false);
}

/* The connection's own tag, or 0 when the delivery came by an earlier connection. */
static uint64_t own_tag(const struct broker_consumer *consumer, uint64_t tag)
{
    uint64_t generation = consumer->wire.generation & (UINT64_MAX >> TAG_BITS);

    if (consumer->wire.conn == NULL || tag >> TAG_BITS != generation) {
        return 0;
    }
    return tag & (((uint64_t)1 << TAG_BITS) - 1);
}

static uint64_t public_tag(const struct broker_consumer *consumer, uint64_t tag)
{
    return (uint64_t)consumer->wire.generation << TAG_BITS | tag;
}

void broker_ack(struct broker_consumer *consumer, uint64_t tag)
{
    uint64_t own = own_tag(consumer, tag);

    if (own == 0) {
        return;
    }
    if (!acks_settle(&consumer->acks, own)) {
        panic("a delivery acknowledged twice");
    }
    if (consumer->acked_at_ms == 0) {
        consumer->acked_at_ms = clock_mono_ms();
    }
    /* At once when nothing else is in hand: then nothing would bring the next occasion. */
    if (consumer->acks.held == 0 || consumer->acks.ready_count >= ACKS_MOST) {
        flush_acks(consumer);
    }
}

void broker_requeue(struct broker_consumer *consumer, uint64_t tag)
{
    uint64_t own = own_tag(consumer, tag);
    struct err err;
    int status;

    if (own == 0) {
        return;
    }
    if (!acks_told(&consumer->acks, own)) {
        panic("a delivery requeued that was settled before");
    }
    status = amqp_basic_reject(consumer->wire.conn, WIRE_CHANNEL, own, 1);
    if (status != AMQP_STATUS_OK) {
        (void)reply_status(status, "requeueing", &err);
        wire_give_up(&consumer->wire, &err);
    }
}

/* --- what arrives --- */

static bool keep_delivery(struct broker_consumer *consumer)
{
    struct broker_delivery delivery;
    struct queue *queue;
    struct node *node;

    if (!delivery_complete(&consumer->assembly, &delivery)) {
        return true; /* more frames to come */
    }
    if (!acks_delivered(&consumer->acks, delivery.tag)) {
        broker_delivery_free(&delivery);
        return wire_drop(&consumer->wire, "the broker skipped a delivery tag");
    }
    node = malloc(sizeof(*node));
    if (node == NULL) {
        panic("out of memory");
    }
    queue = &consumer->queues[delivery.queue];
    node->next = NULL;
    node->delivery = delivery;
    node->delivery.tag = public_tag(consumer, delivery.tag);
    *queue->end = node;
    queue->end = &node->next;
    consumer->buffered++;
    return true;
}

static bool find_queue(const struct broker_consumer *consumer, amqp_bytes_t tag, int *out_queue)
{
    size_t number = 0;

    for (size_t i = 0; i < tag.len; i++) {
        char digit = ((const char *)tag.bytes)[i];

        if (digit < '0' || digit > '9' || number > QUEUES_MOST) {
            return false;
        }
        number = number * 10 + (size_t)(digit - '0');
    }
    *out_queue = (int)number;
    return tag.len > 0 && number < consumer->queue_count;
}

static bool take_method(struct broker_consumer *consumer, const amqp_method_t *method)
{
    const amqp_basic_deliver_t *deliver = method->decoded;
    const amqp_basic_cancel_t *cancel = method->decoded;
    int queue;

    switch (method->id) {
    case AMQP_BASIC_DELIVER_METHOD:
        if (!find_queue(consumer, deliver->consumer_tag, &queue) ||
            !delivery_begin(&consumer->assembly, deliver, queue)) {
            return wire_drop(&consumer->wire, "a delivery out of turn");
        }
        return true;
    case AMQP_BASIC_CANCEL_METHOD:
        if (!find_queue(consumer, cancel->consumer_tag, &queue)) {
            return wire_drop(&consumer->wire, "the broker cancelled an unknown subscription");
        }
        return wire_drop(&consumer->wire, "queue %s is gone or moved",
                         consumer->queues[queue].name);
    case AMQP_CONNECTION_BLOCKED_METHOD: /* concerns those who publish */
    case AMQP_CONNECTION_UNBLOCKED_METHOD:
        return true;
    default:
        return wire_drop(&consumer->wire, "unexpected method 0x%08X", method->id);
    }
}

static bool take_frame(struct broker_consumer *consumer, const amqp_frame_t *frame)
{
    struct assembly *assembly = &consumer->assembly;
    bool ok;

    if (frame->frame_type == AMQP_FRAME_METHOD) {
        return take_method(consumer, &frame->payload.method);
    }
    if (frame->frame_type == AMQP_FRAME_HEADER) {
        ok = delivery_header(assembly, frame->payload.properties.decoded,
                             frame->payload.properties.body_size);
    } else {
        ok = delivery_body(assembly, frame->payload.body_fragment);
    }
    if (!ok) {
        return wire_drop(&consumer->wire, "a frame out of turn");
    }
    return keep_delivery(consumer);
}

static void read_frames(struct broker_consumer *consumer)
{
    amqp_frame_t frame;
    bool ok = true;

    while (ok && wire_next_frame(&consumer->wire, &frame) == WIRE_FRAME) {
        ok = take_frame(consumer, &frame);
        wire_release(&consumer->wire, &frame);
    }
}

/* --- for users --- */

static bool take_first(struct broker_consumer *consumer, struct broker_delivery *out)
{
    for (size_t i = 0; i < consumer->queue_count; i++) {
        struct queue *queue = &consumer->queues[i];
        struct node *node = queue->first;

        if (node != NULL) {
            queue->first = node->next;
            if (queue->first == NULL) {
                queue->end = &queue->first;
            }
            *out = node->delivery;
            free(node);
            consumer->buffered--;
            return true;
        }
    }
    return false;
}

/* Acks wait for company only while the caller comes by often. */
static bool acks_are_due(struct broker_consumer *consumer)
{
    int64_t now_ms = clock_mono_ms();
    bool seldom = now_ms - consumer->turn_at_ms >= ACKS_WAIT_MS;

    consumer->turn_at_ms = now_ms;
    return seldom || consumer->buffered == 0 || now_ms - consumer->acked_at_ms >= ACKS_WAIT_MS;
}

static void turn(struct broker_consumer *consumer)
{
    if (consumer->wire.conn == NULL && wire_due(&consumer->wire)) {
        connect_now(consumer);
    }
    if (consumer->wire.conn != NULL) {
        read_frames(consumer);
    }
    if (consumer->wire.conn == NULL) {
        forget_deliveries(consumer);
    }
    if (acks_are_due(consumer)) {
        flush_acks(consumer);
    }
}

enum broker_next broker_consumer_next(struct broker_consumer *consumer, int timeout_ms,
                                      struct broker_delivery *out)
{
    int64_t deadline_ms = clock_mono_ms() + timeout_ms;

    for (;;) {
        int64_t left_ms;

        turn(consumer);
        if (take_first(consumer, out)) {
            return BROKER_DELIVERY;
        }
        left_ms = deadline_ms - clock_mono_ms();
        if (left_ms <= 0 || !wire_wait(&consumer->wire, POLLIN, left_ms)) {
            return BROKER_NOTHING;
        }
    }
}

void broker_consumer_destroy(struct broker_consumer *consumer)
{
    if (consumer == NULL) {
        return;
    }
    flush_acks(consumer);
    wire_fini(&consumer->wire);
    forget_deliveries(consumer);
    acks_fini(&consumer->acks);
    for (size_t i = 0; i < consumer->queue_count; i++) {
        free(consumer->queues[i].name);
    }
    free(consumer);
}
