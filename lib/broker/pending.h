/*
 * pending - a copy of a message on its way to the broker, in one piece of memory
 */
#ifndef BROKER_PENDING_H
#define BROKER_PENDING_H

#include "broker/amqp.h"
#include "broker/broker.h"

struct pending {
    struct pending *next; /* in the list of settled ones */
    uint64_t ticket;
    enum broker_outcome outcome;
    bool returned;
    amqp_bytes_t exchange;
    amqp_bytes_t key;
    amqp_bytes_t body;
    amqp_basic_properties_t properties;
};

/* Panics on what AMQP cannot carry: that is a program's mistake, and no retry would help. */
struct pending *pending_create(const struct broker_message *message, uint64_t ticket);
void pending_destroy(struct pending *pending);

#endif
