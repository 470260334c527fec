/*
 * wire - one connection to RabbitMQ with its one channel
 *
 * More channels would lose frames: rabbitmq-c drops what it queued for one while it waits on
 * another. One wait is not bounded here: getaddrinfo(); use an address or a local resolver.
 */
#include "wire.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "base/clock.h"
#include "base/id.h"
#include "base/panic.h"

#define HEARTBEAT_S 15 /* RabbitMQ advises 5 to 20 */
#define PROGRESS_MS 10000
#define WINDOW 512
#define STEP_S 5 /* each step of connecting: TCP, login, a request */
#define CLOSE_S 1

#define DELAY_FIRST_MS 100
#define DELAY_MOST_MS 10000
#define DELAY_FORGET_MS 30000 /* a connection that lived this long forgives the past */

#define KEEPALIVE_IDLE_S 10
#define KEEPALIVE_EACH_S 5
#define KEEPALIVE_COUNT 3

static char default_vhost[] = "/";

const char *wire_ca_file = "/etc/ssl/certs/ca-certificates.crt";

bool wire_init(struct wire *wire, const struct broker_conf *conf, struct err *err)
{
    *wire = (struct wire){ .conf = *conf, .fd = -1, .trouble = "not connected yet" };
    if (wire->conf.heartbeat_s == 0) {
        wire->conf.heartbeat_s = HEARTBEAT_S;
    }
    if (wire->conf.progress_ms == 0) {
        wire->conf.progress_ms = PROGRESS_MS;
    }
    if (wire->conf.window == 0) {
        wire->conf.window = WINDOW;
    }
    wire->url = strdup(conf->url);
    if (wire->url == NULL) {
        panic("out of memory");
    }
    if (amqp_parse_url(wire->url, &wire->address) != AMQP_STATUS_OK) {
        free(wire->url);
        *wire = (struct wire){ .fd = -1 };
        return err_permanent(err, "amqp_bad_url", "not of the form amqp://user:password@host/");
    }
    if (*wire->address.vhost == '\0') {
        wire->address.vhost = default_vhost; /* how people write it */
    }
    return true;
}

void wire_fini(struct wire *wire)
{
    if (wire->conn != NULL) {
        wire_close(wire);
    }
    free(wire->url);
    *wire = (struct wire){ .fd = -1 };
}

/* --- when to try again --- */

bool wire_due(const struct wire *wire)
{
    return clock_mono_ms() >= wire->retry_at_ms;
}

/* Back-off with full jitter, so that a restarted broker does not meet everybody at once. */
static void schedule(struct wire *wire)
{
    int64_t now_ms = clock_mono_ms();

    if (wire->up_since_ms != 0 && now_ms - wire->up_since_ms >= DELAY_FORGET_MS) {
        wire->delay_ms = 0;
    }
    wire->up_since_ms = 0;
    if (wire->delay_ms == 0) {
        wire->delay_ms = DELAY_FIRST_MS;
    } else {
        wire->delay_ms = wire->delay_ms * 8 / 5;
    }
    if (wire->delay_ms > DELAY_MOST_MS) {
        wire->delay_ms = DELAY_MOST_MS;
    }
    wire->retry_at_ms = now_ms + 1 + id_random_below((uint32_t)wire->delay_ms);
}

static void discard(struct wire *wire)
{
    if (wire->conn != NULL) {
        amqp_destroy_connection(wire->conn);
    }
    wire->conn = NULL;
    wire->fd = -1;
}

bool wire_drop(struct wire *wire, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    vsnprintf(wire->trouble, sizeof(wire->trouble), fmt, args);
    va_end(args);
    discard(wire);
    schedule(wire);
    return false;
}

bool wire_give_up(struct wire *wire, const struct err *err)
{
    return wire_drop(wire, "%s: %s", err->what, err->detail);
}

void wire_close(struct wire *wire)
{
    const struct timeval limit = { .tv_sec = CLOSE_S };

    amqp_set_rpc_timeout(wire->conn, &limit);
    (void)amqp_connection_close(wire->conn, AMQP_REPLY_SUCCESS); /* as far as possible */
    discard(wire);
}

/* --- connecting --- */

static void set_option(int fd, int level, int option, int value)
{
    if (setsockopt(fd, level, option, &value, sizeof(value)) != 0) {
        panic("setsockopt %d/%d", level, option);
    }
}

/* What keeps a dead peer from holding us: see the header. */
static void bound_waits(const struct wire *wire)
{
    set_option(wire->fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_option(wire->fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S);
    set_option(wire->fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_EACH_S);
    set_option(wire->fd, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_COUNT);
    set_option(wire->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, (int)wire->conf.progress_ms);
}

static bool make_socket(struct wire *wire, amqp_socket_t **out_socket, struct err *err)
{
    amqp_socket_t *socket =
        wire->address.ssl ? amqp_ssl_socket_new(wire->conn) : amqp_tcp_socket_new(wire->conn);
    int status = AMQP_STATUS_OK;

    if (socket == NULL) {
        panic("out of memory");
    }
    if (wire->address.ssl) {
        amqp_ssl_socket_set_verify_peer(socket, 1);
        amqp_ssl_socket_set_verify_hostname(socket, 1);
        status = amqp_ssl_socket_set_cacert(socket, wire_ca_file);
        if (status == AMQP_STATUS_OK) {
            status = amqp_ssl_socket_set_ssl_versions(socket, AMQP_TLSv1_2, AMQP_TLSvLATEST);
        }
    }
    *out_socket = socket;
    return status == AMQP_STATUS_OK || reply_status(status, "setting up TLS", err);
}

static bool open_socket(struct wire *wire, struct err *err)
{
    const struct timeval limit = { .tv_sec = STEP_S };
    amqp_socket_t *socket;
    int status;

    if (!make_socket(wire, &socket, err)) {
        return false;
    }
    amqp_set_handshake_timeout(wire->conn, &limit);
    amqp_set_rpc_timeout(wire->conn, &limit);
    status = amqp_socket_open_noblock(socket, wire->address.host, wire->address.port, &limit);
    if (status != AMQP_STATUS_OK) {
        char doing[100];

        snprintf(doing, sizeof(doing), "connecting to %s:%d", wire->address.host,
                 wire->address.port);
        return reply_status(status, doing, err);
    }
    wire->fd = amqp_get_sockfd(wire->conn);
    bound_waits(wire);
    return true;
}

static amqp_table_entry_t text_entry(const char *key, const char *text)
{
    return (amqp_table_entry_t){ .key = amqp_cstring_bytes(key),
                                 .value = { .kind = AMQP_FIELD_KIND_UTF8,
                                            .value.bytes = amqp_cstring_bytes(text) } };
}

static amqp_table_entry_t yes_entry(const char *key)
{
    return (amqp_table_entry_t){ .key = amqp_cstring_bytes(key),
                                 .value = { .kind = AMQP_FIELD_KIND_BOOLEAN, .value.boolean = 1 } };
}

/*
 * RabbitMQ tells of alarms and of deleted queues only those who say that they listen. The library
 * adds capabilities of its own to these.
 */
static bool log_in(struct wire *wire, struct err *err)
{
    amqp_table_entry_t can[] = {
        yes_entry("connection.blocked"),
        yes_entry("consumer_cancel_notify"),
        yes_entry("basic.nack"),
        yes_entry("publisher_confirms"),
    };
    amqp_table_entry_t entries[] = {
        text_entry("product", "Tuma"),
        text_entry("version", TUMA_VERSION),
        text_entry("connection_name", wire->conf.name != NULL ? wire->conf.name : "tuma"),
        { .key = amqp_cstring_bytes("capabilities"),
          .value = { .kind = AMQP_FIELD_KIND_TABLE,
                     .value.table = { .num_entries = sizeof(can) / sizeof(*can),
                                      .entries = can } } },
    };
    const amqp_table_t properties = { .num_entries = sizeof(entries) / sizeof(*entries),
                                      .entries = entries };

    return reply_ok(amqp_login_with_properties(wire->conn, wire->address.vhost, 1, WIRE_FRAME_BYTES,
                                               wire->conf.heartbeat_s, &properties,
                                               AMQP_SASL_METHOD_PLAIN, wire->address.user,
                                               wire->address.password),
                    "logging in", err);
}

static bool open_channel(struct wire *wire, struct err *err)
{
    amqp_channel_open(wire->conn, WIRE_CHANNEL);
    return reply_ok(amqp_get_rpc_reply(wire->conn), "opening a channel", err);
}

bool wire_open(struct wire *wire, struct err *err)
{
    wire->conn = amqp_new_connection();
    if (wire->conn == NULL) {
        panic("out of memory");
    }
    wire->generation++;
    wire->closed_code = 0;
    if (!open_socket(wire, err) || !log_in(wire, err) || !open_channel(wire, err)) {
        return wire_give_up(wire, err);
    }
    wire->up_since_ms = clock_mono_ms();
    wire->trouble[0] = '\0';
    return true;
}

/* --- frames --- */

/* The broker closes the channel or the connection: agree, and remember why. */
static enum wire_next closed_by_broker(struct wire *wire, const amqp_frame_t *frame)
{
    amqp_rpc_reply_t reply = { .reply_type = AMQP_RESPONSE_SERVER_EXCEPTION,
                               .reply = frame->payload.method };
    amqp_channel_close_ok_t channel_ok;
    amqp_connection_close_ok_t connection_ok;
    struct err err;

    (void)reply_ok(reply, "closed by the broker", &err);
    if (frame->payload.method.id == AMQP_CHANNEL_CLOSE_METHOD) {
        const amqp_channel_close_t *closing = frame->payload.method.decoded;

        wire->closed_code = closing->reply_code;
        snprintf(wire->closed_text, sizeof(wire->closed_text), "%.*s", (int)closing->reply_text.len,
                 (const char *)closing->reply_text.bytes);
        amqp_send_method(wire->conn, WIRE_CHANNEL, AMQP_CHANNEL_CLOSE_OK_METHOD, &channel_ok);
    } else {
        amqp_send_method(wire->conn, 0, AMQP_CONNECTION_CLOSE_OK_METHOD, &connection_ok);
    }
    wire_give_up(wire, &err);
    return WIRE_DOWN;
}

enum wire_next wire_next_frame(struct wire *wire, amqp_frame_t *out_frame)
{
    const struct timeval now = { 0 };
    int status = amqp_simple_wait_frame_noblock(wire->conn, out_frame, &now);

    if (status == AMQP_STATUS_TIMEOUT) {
        return WIRE_NOTHING;
    }
    if (status != AMQP_STATUS_OK) {
        struct err err;

        (void)reply_status(status, "reading", &err);
        wire_give_up(wire, &err);
        return WIRE_DOWN;
    }
    if (out_frame->frame_type == AMQP_FRAME_METHOD &&
        (out_frame->payload.method.id == AMQP_CHANNEL_CLOSE_METHOD ||
         out_frame->payload.method.id == AMQP_CONNECTION_CLOSE_METHOD)) {
        return closed_by_broker(wire, out_frame);
    }
    return WIRE_FRAME;
}

void wire_release(struct wire *wire, const amqp_frame_t *frame)
{
    if (wire->conn != NULL) {
        amqp_maybe_release_buffers_on_channel(wire->conn, frame->channel);
    }
}

bool wire_wait(struct wire *wire, short events, int64_t timeout_ms)
{
    struct pollfd poller = { .fd = wire->fd, .events = events };
    int64_t limit_ms = timeout_ms;

    if (wire->conn == NULL) {
        int64_t until_retry_ms = wire->retry_at_ms - clock_mono_ms();

        limit_ms = until_retry_ms < limit_ms ? until_retry_ms : limit_ms;
    }
    if (limit_ms > INT32_MAX) {
        limit_ms = INT32_MAX;
    }
    /* poll() passes over a descriptor of -1: then only time counts. */
    return poll(&poller, 1, limit_ms > 0 ? (int)limit_ms : 0) >= 0;
}

void wire_cork(struct wire *wire, bool on)
{
    if (wire->conn != NULL && !wire->address.ssl) {
        set_option(wire->fd, IPPROTO_TCP, TCP_CORK, on);
    }
}
