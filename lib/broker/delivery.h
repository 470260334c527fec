/*
 * delivery - a message from the broker, put together frame by frame into one piece of memory
 *
 *     delivery_begin(&assembly, deliver);            // basic.deliver
 *     delivery_header(&assembly, properties, size);  // content header
 *     delivery_body(&assembly, fragment);            // body frames
 *     if (delivery_complete(&assembly)) take assembly.delivery;
 */
#ifndef BROKER_DELIVERY_H
#define BROKER_DELIVERY_H

#include "broker/amqp.h"
#include "broker/broker.h"

#define SHORT_BYTES 256 /* AMQP's short strings and a NUL */

enum assembly_state { ASSEMBLY_IDLE, ASSEMBLY_HEADER, ASSEMBLY_BODY };

struct assembly {
    enum assembly_state state;
    char exchange[SHORT_BYTES];
    char key[SHORT_BYTES];
    uint64_t tag;
    int queue;
    bool redelivered;
    struct broker_delivery delivery; /* from the header on */
    char *body_end;
    size_t body_left;
};

/* False when a frame comes out of turn. */
bool delivery_begin(struct assembly *assembly, const amqp_basic_deliver_t *deliver, int queue);
bool delivery_header(struct assembly *assembly, const amqp_basic_properties_t *properties,
                     uint64_t body_bytes);
bool delivery_body(struct assembly *assembly, amqp_bytes_t fragment);

/* True once: the delivery is the caller's and the assembly ready for the next. */
bool delivery_complete(struct assembly *assembly, struct broker_delivery *out_delivery);

void delivery_abandon(struct assembly *assembly);

#endif
