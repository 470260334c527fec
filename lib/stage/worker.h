/*
 * worker - one process's loop, and the chores it shares with waiting handlers
 *
 * One thread. Each turn: confirms and acknowledgements, publishing, the tick when it is due, a
 * message (or those that are handled together); with nothing to do it sleeps on the two sockets and
 * the stop notice together, so both a delivery and a confirm wake it at once.
 */
#ifndef STAGE_WORKER_H
#define STAGE_WORKER_H

#include "stage/core.h"
#include "stage/flight.h"
#include "stage/intake.h"

struct worker {
    struct stage *stage;
    const struct options *options;
    long index;
    struct lanes lanes;
    bool only_high; /* this one keeps to the high lane, and is the first to be given from it */
    struct broker_conf broker;
    char name[64]; /* of its connections */
    struct broker_publisher *publisher;
    struct broker_consumer *consumer;
    struct flights flights;
    struct intake intake;
    size_t together;         /* most messages of one call; 1 without handle_many */
    int64_t tick_at_ms;      /* monotonic */
    int64_t busy_at_ms;      /* monotonic; the last time there was work */
    unsigned empty_checks;   /* of the queues, in a row, while draining */
    bool trouble_told;       /* a log line says that the broker is away */
    struct metric *up_again; /* counter: database reconnects */
};

/* signals.c: SIGTERM and SIGINT ask to stop, SIGQUIT stops at once. See signals_install(). */
bool signals_stop_asked(void);
int signals_fd(void); /* readable once a stop was asked for */

/* pump.c: everything but taking messages. */
void worker_chores(struct worker *worker);
/* Sleeps until something happens, at most timeout_ms. */
void worker_sleep(struct worker *worker, int64_t timeout_ms);
/* Chores for ms milliseconds; false when told to stop. */
bool worker_wait(struct worker *worker, int64_t ms);
/* Brings the database back; false when told to stop first. */
bool worker_reconnect(struct worker *worker);

/* take.c: a message from delivery to flight, and with it those that may be handled together. */
void worker_take(struct worker *worker, const struct broker_delivery *delivery);

/* tick.c */
void worker_tick(struct worker *worker);
#define TICK_EVERY_MS 1000

#endif
