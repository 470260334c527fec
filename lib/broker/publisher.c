/*
 * publisher - publishes, and says for each message what the broker made of it
 *
 * Nothing is sent while the broker's alarm is on or the socket takes nothing, and what has arrived
 * is read before every burst: rabbitmq-c 0.11 otherwise waits for ever inside a publish once a
 * heartbeat is overdue (its issue 780). A burst goes out corked, as few packets.
 */
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/panic.h"
#include "blame.h"
#include "broker/broker.h"
#include "window.h"
#include "wire.h"

#define BURST 64           /* messages between two looks at what arrived */
#define BURST_BYTES 262144 /* or this much of them */
#define GATHER 32          /* messages that may wait for company */
#define STALE_MS 1000      /* a reading older than this is repeated before sending */

struct broker_publisher {
    struct wire wire;
    struct window window;
    bool blocked;       /* the broker's alarm */
    bool returning;     /* basic.return came, its header frame not yet */
    int64_t read_at_ms; /* when the socket was last read to its end */
};

bool broker_publisher_create(const struct broker_conf *conf, struct broker_publisher **out_pub,
                             struct err *err)
{
    struct broker_publisher *pub = calloc(1, sizeof(*pub));

    if (pub == NULL) {
        panic("out of memory");
    }
    if (!wire_init(&pub->wire, conf, err)) {
        free(pub);
        return false;
    }
    window_init(&pub->window, pub->wire.conf.window);
    *out_pub = pub;
    return true;
}

void broker_publisher_destroy(struct broker_publisher *pub)
{
    if (pub == NULL) {
        return;
    }
    if (broker_publisher_is_blocked(pub)) {
        wire_drop(&pub->wire, "closed during an alarm"); /* nobody would answer a goodbye */
    }
    wire_fini(&pub->wire);
    window_fini(&pub->window);
    free(pub);
}

unsigned broker_publisher_room(const struct broker_publisher *pub)
{
    return window_room(&pub->window);
}

unsigned broker_publisher_pending(const struct broker_publisher *pub)
{
    return window_pending(&pub->window);
}

bool broker_publisher_is_up(const struct broker_publisher *pub)
{
    return pub->wire.conn != NULL;
}

bool broker_publisher_is_blocked(const struct broker_publisher *pub)
{
    return pub->wire.conn != NULL && pub->blocked;
}

int broker_publisher_fd(const struct broker_publisher *pub)
{
    return pub->wire.fd;
}

const char *broker_publisher_trouble(const struct broker_publisher *pub)
{
    return pub->wire.trouble;
}

static void connect_now(struct broker_publisher *pub)
{
    struct err err;

    pub->blocked = false;
    pub->returning = false;
    if (!wire_open(&pub->wire, &err)) {
        return;
    }
    amqp_confirm_select(pub->wire.conn, WIRE_CHANNEL);
    if (!reply_ok(amqp_get_rpc_reply(pub->wire.conn), "asking for confirms", &err)) {
        wire_give_up(&pub->wire, &err);
        return;
    }
    amqp_maybe_release_buffers(pub->wire.conn);
    pub->read_at_ms = clock_mono_ms();
    window_restart(&pub->window);
}

/* --- what arrives --- */

static bool settle(struct broker_publisher *pub, uint64_t tag, bool multiple, bool confirmed)
{
    if (!window_settle(&pub->window, tag, multiple, confirmed)) {
        return wire_drop(&pub->wire, "the broker settled %llu, which was not sent",
                         (unsigned long long)tag);
    }
    return true;
}

static bool take_method(struct broker_publisher *pub, const amqp_method_t *method)
{
    const amqp_basic_ack_t *ack = method->decoded;
    const amqp_basic_nack_t *nack = method->decoded;

    switch (method->id) {
    case AMQP_BASIC_ACK_METHOD:
        return settle(pub, ack->delivery_tag, ack->multiple, true);
    case AMQP_BASIC_NACK_METHOD:
        return settle(pub, nack->delivery_tag, nack->multiple, false);
    case AMQP_BASIC_RETURN_METHOD:
        pub->returning = true;
        return true;
    case AMQP_CONNECTION_BLOCKED_METHOD:
        pub->blocked = true;
        return true;
    case AMQP_CONNECTION_UNBLOCKED_METHOD:
        pub->blocked = false;
        return true;
    default:
        return wire_drop(&pub->wire, "unexpected method 0x%08X", method->id);
    }
}

/* The properties of a returned message: they have its id. Its body is of no interest. */
static bool take_header(struct broker_publisher *pub, const amqp_basic_properties_t *properties)
{
    bool has_id = (properties->_flags & AMQP_BASIC_MESSAGE_ID_FLAG) != 0;
    amqp_bytes_t id = has_id ? properties->message_id : amqp_empty_bytes;

    if (!pub->returning || !window_mark_returned(&pub->window, id)) {
        return wire_drop(&pub->wire, "the broker returned a message that was not sent");
    }
    pub->returning = false;
    return true;
}

/* Reads all that is here; false when the connection is gone. */
static bool read_frames(struct broker_publisher *pub)
{
    amqp_frame_t frame;
    bool ok = true;

    while (ok && wire_next_frame(&pub->wire, &frame) == WIRE_FRAME) {
        if (frame.frame_type == AMQP_FRAME_METHOD) {
            ok = take_method(pub, &frame.payload.method);
        } else if (frame.frame_type == AMQP_FRAME_HEADER) {
            ok = take_header(pub, frame.payload.properties.decoded);
        }
        wire_release(&pub->wire, &frame);
    }
    pub->read_at_ms = clock_mono_ms();
    if (pub->wire.conn == NULL && pub->wire.closed_code != 0) {
        blame(&pub->window, pub->wire.closed_code, pub->wire.closed_text);
    }
    return pub->wire.conn != NULL;
}

/* --- what leaves --- */

static bool is_writable(const struct broker_publisher *pub)
{
    struct pollfd poller = { .fd = pub->wire.fd, .events = POLLOUT };

    return poll(&poller, 1, 0) > 0;
}

static bool send_one(struct broker_publisher *pub, struct pending *pending)
{
    int status = amqp_basic_publish(pub->wire.conn, WIRE_CHANNEL, pending->exchange, pending->key,
                                    1, 0, &pending->properties, pending->body);
    struct err err;

    if (status != AMQP_STATUS_OK) {
        (void)reply_status(status, "publishing", &err);
        return wire_give_up(&pub->wire, &err);
    }
    window_mark_sent(&pub->window);
    return true;
}

/* Sends up to a burst. False when nothing more can go out now. */
static bool send_burst(struct broker_publisher *pub)
{
    struct pending *pending;
    size_t bytes = 0;
    bool ok = true;

    wire_cork(&pub->wire, true);
    for (int i = 0; ok && i < BURST && bytes < BURST_BYTES; i++) {
        pending = window_unsent(&pub->window);
        if (pending == NULL || !is_writable(pub)) {
            ok = false;
            break;
        }
        bytes += pending->body.len;
        ok = send_one(pub, pending);
    }
    wire_cork(&pub->wire, false);
    return ok;
}

static void send_waiting(struct broker_publisher *pub)
{
    while (pub->wire.conn != NULL && !pub->blocked && window_unsent(&pub->window) != NULL) {
        if (!send_burst(pub) || !read_frames(pub)) {
            return;
        }
    }
}

/*
 * Nagle's rule: while confirms are on their way, which bring the next pump, messages gather and
 * leave together. It halves the processor time per small message.
 */
static bool should_gather(const struct broker_publisher *pub)
{
    unsigned unsent = window_unsent_count(&pub->window);

    return unsent < GATHER && pub->window.unsettled > unsent;
}

void broker_publish(struct broker_publisher *pub, const struct broker_message *message,
                    uint64_t ticket)
{
    window_add(&pub->window, pending_create(message, ticket));
    if (pub->wire.conn == NULL || should_gather(pub)) {
        return; /* the pump sends it */
    }
    if (clock_mono_ms() - pub->read_at_ms > STALE_MS && !read_frames(pub)) {
        return;
    }
    send_waiting(pub);
}

/* --- the pump --- */

static bool report(struct broker_publisher *pub, broker_settled_fn *settled, void *context)
{
    struct pending *done;
    bool any = false;

    while ((done = window_take_done(&pub->window)) != NULL) {
        settled(context, done->ticket, done->outcome);
        pending_destroy(done);
        any = true;
    }
    return any;
}

static void turn(struct broker_publisher *pub)
{
    if (pub->wire.conn == NULL && wire_due(&pub->wire)) {
        connect_now(pub);
    }
    if (pub->wire.conn != NULL && read_frames(pub)) {
        send_waiting(pub);
    }
}

static short awaited_events(const struct broker_publisher *pub)
{
    bool more = !pub->blocked && window_unsent(&pub->window) != NULL;

    return more ? POLLIN | POLLOUT : POLLIN;
}

void broker_publisher_pump(struct broker_publisher *pub, int timeout_ms, broker_settled_fn *settled,
                           void *context)
{
    int64_t deadline_ms = clock_mono_ms() + timeout_ms;

    for (;;) {
        int64_t left_ms;

        turn(pub);
        if (report(pub, settled, context)) {
            break;
        }
        left_ms = deadline_ms - clock_mono_ms();
        if (left_ms <= 0 || !wire_wait(&pub->wire, awaited_events(pub), left_ms)) {
            break;
        }
    }
}
