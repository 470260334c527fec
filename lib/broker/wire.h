/*
 * wire - one connection to RabbitMQ with its one channel; nobody outside lib/broker includes this
 *
 *     wire_init(&wire, conf, &err);                  // parses the url
 *     if (wire.conn == NULL && wire_due(&wire))
 *         wire_open(&wire, &err);                    // one try; schedules the next
 *     wire_next_frame(&wire, &frame)                 // what has arrived, without waiting
 *     wire_drop(&wire, "…");                         // after any error: there is no repair
 *     wire_fini(&wire);
 *
 * rabbitmq-c waits without a limit when it sends to a peer that does not read (its issue 519). The
 * kernel ends that: TCP_USER_TIMEOUT breaks a connection whose peer neither acknowledges data nor
 * opens its window for progress_ms, the waiting poll() wakes and the call fails. Reading without a
 * limit is never asked for: frames are taken one by one as they come, never whole messages.
 */
#ifndef BROKER_WIRE_H
#define BROKER_WIRE_H

#include "broker/amqp.h"
#include "broker/broker.h"

#define WIRE_CHANNEL 1
#define WIRE_FRAME_BYTES 131072

struct wire {
    struct broker_conf conf; /* defaults filled in */
    char *url;               /* cut into pieces by the library */
    struct amqp_connection_info address;

    amqp_connection_state_t conn; /* NULL while down */
    int fd;
    unsigned generation; /* counts connections; 0 before the first */

    int64_t up_since_ms; /* monotonic */
    int64_t retry_at_ms;
    int64_t delay_ms;
    char trouble[200];

    int closed_code; /* why the broker closed the last channel; 0: it did not */
    char closed_text[400];
};

bool wire_init(struct wire *wire, const struct broker_conf *conf, struct err *err);
void wire_fini(struct wire *wire); /* accepts a zeroed one */

/* Whether it is time to try again. */
bool wire_due(const struct wire *wire);

/* Connects, logs in, opens the channel. On failure the next try is scheduled. */
bool wire_open(struct wire *wire, struct err *err);

/* Gives the connection up, remembers why, schedules the next try. Returns false. */
bool wire_drop(struct wire *wire, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* For a failed set-up step: drops with the error's text. Returns false. */
bool wire_give_up(struct wire *wire, const struct err *err);

/* Ends the connection politely within a second, as far as possible. */
void wire_close(struct wire *wire);

enum wire_next { WIRE_FRAME, WIRE_NOTHING, WIRE_DOWN };

/*
 * The next frame that is here already, heartbeats answered and closings by the broker handled. The
 * frame's memory is good until wire_release().
 */
enum wire_next wire_next_frame(struct wire *wire, amqp_frame_t *out_frame);
void wire_release(struct wire *wire, const amqp_frame_t *frame);

/*
 * Waits at most timeout_ms for events on the socket, or while down for the next try. False when a
 * signal ended the wait.
 */
bool wire_wait(struct wire *wire, short events, int64_t timeout_ms);

/* Holds back, then lets go what is sent in between: one packet for many frames. Plain TCP only. */
void wire_cork(struct wire *wire, bool on);

/* Where server certificates are looked up: the system's, but for a test's. */
extern const char *wire_ca_file;

/* reply.c: what the library and the broker answer, as errors. */

/* True for a normal reply; else raises what it says about what we were doing. */
bool reply_ok(amqp_rpc_reply_t reply, const char *doing, struct err *err);

/* Raises a status of the library. */
bool reply_status(int status, const char *doing, struct err *err);

struct reply_row {
    int code; /* AMQP's reply codes are positive, the library's negative */
    enum err_kind kind;
    const char *what;
};
const struct reply_row *reply_find(int code);
const struct reply_row *reply_table(size_t *out_count);

static inline amqp_bytes_t wire_text(const char *text)
{
    return amqp_cstring_bytes(text != NULL ? text : "");
}

#endif
