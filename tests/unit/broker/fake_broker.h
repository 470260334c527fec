/*
 * fake_broker - accepts one AMQP connection, logs it in, then misbehaves as told
 *
 *     struct fake_broker fake;
 *     fake_broker_start(&fake, FAKE_STOPS_READING, 1);
 *     ... fake.url ...
 *     fake_broker_stop(&fake);
 *
 * It takes one connection. The next is refused, or, while it says nothing, waits for ever.
 */
#ifndef UNIT_BROKER_FAKE_BROKER_H
#define UNIT_BROKER_FAKE_BROKER_H

#include <pthread.h>

enum fake_fault {
    FAKE_SAYS_NOTHING,  /* not even hello */
    FAKE_STOPS_READING, /* after the login */
    FAKE_FALLS_SILENT,  /* reads on, but never writes: no heartbeats, no confirms */
};

struct fake_broker {
    enum fake_fault fault;
    int heartbeat_s;
    int listener;
    int stop[2]; /* a pipe: closed to end the thread */
    char url[64];
    pthread_t thread;
};

void fake_broker_start(struct fake_broker *fake, enum fake_fault fault, int heartbeat_s);
void fake_broker_stop(struct fake_broker *fake);

#endif
