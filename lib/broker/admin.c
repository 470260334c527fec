/*
 * admin - short visits to the broker: is it there, how long are the queues, declare these
 */
#include <stdio.h>

#include "broker/broker.h"
#include "wire.h"

static bool visit(struct wire *wire, const struct broker_conf *conf, struct err *err)
{
    if (!wire_init(wire, conf, err)) {
        return false;
    }
    if (!wire_open(wire, err)) {
        wire_fini(wire);
        return false;
    }
    return true;
}

bool broker_check(const struct broker_conf *conf, struct err *err)
{
    struct wire wire;

    if (!visit(&wire, conf, err)) {
        return false;
    }
    wire_fini(&wire);
    return true;
}

static bool measure(struct wire *wire, const char *queue, int64_t *ready, int64_t *consumers,
                    struct err *err)
{
    char doing[160];
    const amqp_queue_declare_ok_t *found = amqp_queue_declare(
        wire->conn, WIRE_CHANNEL, wire_text(queue), 1, 0, 0, 0, amqp_empty_table);

    snprintf(doing, sizeof(doing), "looking for queue %s", queue);
    if (!reply_ok(amqp_get_rpc_reply(wire->conn), doing, err)) {
        return false;
    }
    *ready += found->message_count;
    *consumers += found->consumer_count;
    amqp_maybe_release_buffers(wire->conn);
    return true;
}

bool broker_queue_depth(const struct broker_conf *conf, const char *const *queues, size_t count,
                        int64_t *out_ready, int64_t *out_consumers, struct err *err)
{
    struct wire wire;
    int64_t ready = 0;
    int64_t consumers = 0;
    bool ok = true;

    if (!visit(&wire, conf, err)) {
        return false;
    }
    for (size_t i = 0; ok && i < count; i++) {
        ok = measure(&wire, queues[i], &ready, &consumers, err);
    }
    wire_fini(&wire);
    if (ok && out_ready != NULL) {
        *out_ready = ready;
    }
    if (ok && out_consumers != NULL) {
        *out_consumers = consumers;
    }
    return ok;
}

static bool declare_exchange(struct wire *wire, const char *exchange, const char *type,
                             struct err *err)
{
    char doing[160];

    snprintf(doing, sizeof(doing), "declaring exchange %s", exchange);
    amqp_exchange_declare(wire->conn, WIRE_CHANNEL, wire_text(exchange), wire_text(type), 0, 1, 0,
                          0, amqp_empty_table);
    return reply_ok(amqp_get_rpc_reply(wire->conn), doing, err);
}

/* Limits and dead-lettering are a policy's business; only the type is the queue's own. */
static bool declare_queue(struct wire *wire, const char *queue, struct err *err)
{
    amqp_table_entry_t type = { .key = amqp_cstring_bytes("x-queue-type"),
                                .value = { .kind = AMQP_FIELD_KIND_UTF8,
                                           .value.bytes = amqp_cstring_bytes("quorum") } };
    const amqp_table_t arguments = { .num_entries = 1, .entries = &type };
    char doing[160];

    snprintf(doing, sizeof(doing), "declaring queue %s", queue);
    amqp_queue_declare(wire->conn, WIRE_CHANNEL, wire_text(queue), 0, 1, 0, 0, arguments);
    return reply_ok(amqp_get_rpc_reply(wire->conn), doing, err);
}

static bool bind(struct wire *wire, const struct broker_binding *binding, struct err *err)
{
    char doing[300];

    snprintf(doing, sizeof(doing), "binding %s to %s", binding->queue, binding->exchange);
    amqp_queue_bind(wire->conn, WIRE_CHANNEL, wire_text(binding->queue),
                    wire_text(binding->exchange), wire_text(binding->key), amqp_empty_table);
    return reply_ok(amqp_get_rpc_reply(wire->conn), doing, err);
}

bool broker_declare(const struct broker_conf *conf, const char *exchange, const char *exchange_type,
                    const char *queue, const struct broker_binding *bindings, size_t binding_count,
                    struct err *err)
{
    struct wire wire;
    bool ok;

    if (!visit(&wire, conf, err)) {
        return false;
    }
    ok = declare_exchange(&wire, exchange, exchange_type, err) &&
         (queue == NULL || declare_queue(&wire, queue, err));
    for (size_t i = 0; ok && i < binding_count; i++) {
        ok = bind(&wire, &bindings[i], err);
    }
    wire_fini(&wire);
    return ok;
}
