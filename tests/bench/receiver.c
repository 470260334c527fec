/*
 * receiver - the cheapest libmicrohttpd server that knows which message a report is about
 */
#include "receiver.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <stdatomic.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/str.h"
#include "http/http.h"

#define BODY_BYTES 1024 /* a report has about 150 */
#define PAIRS_MAX 16
#define MSISDN_MAX 999999999999999
#define POLL_MS 2
#define SCRATCH_BYTES (64UL << 10)
#define CONNECTION_BYTES 2048UL /* of arena for each */
#define CONNECTIONS_MAX 1024

struct receiver {
    struct MHD_Daemon *daemon;
    struct MHD_Response *ok;
    struct arena *memory;  /* of the receiver, its receipts and connections */
    struct arena *scratch; /* of the report in hand: there is one thread */
    struct receipt *receipts;
    size_t most;
    atomic_size_t count;
};

/* What has come of a connection's request in hand. */
struct body {
    size_t len;
    char bytes[BODY_BYTES];
};

static void on_connection(void *context, struct MHD_Connection *connection, void **body,
                          enum MHD_ConnectionNotificationCode code)
{
    struct receiver *receiver = context;

    (void)connection;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        *body = arena_alloc(receiver->memory, sizeof(struct body));
    }
}

static bool keep(struct receiver *receiver, const struct body *body)
{
    struct http_pair pairs[PAIRS_MAX];
    size_t at = atomic_load_explicit(&receiver->count, memory_order_relaxed);
    const char *id, *phone;
    struct err err;
    bool kept = false;
    int count;

    count = http_form_read(body->bytes, body->len, pairs, PAIRS_MAX, receiver->scratch, &err);
    id = count < 0 ? NULL : http_form_find(pairs, count, "id");
    phone = count < 0 ? NULL : http_form_find(pairs, count, "phoneNumber");
    if (id != NULL && phone != NULL && strlen(id) < RECEIPT_ID_BYTES && at < receiver->most &&
        str_parse_int(phone + (*phone == '+'), 1, MSISDN_MAX, &receiver->receipts[at].msisdn)) {
        memcpy(receiver->receipts[at].id, id, strlen(id) + 1);
        atomic_store_explicit(&receiver->count, at + 1, memory_order_release);
        kept = true;
    }
    arena_reset(receiver->scratch);
    return kept;
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *connection,
                                  const char *path, const char *method, const char *version,
                                  const char *upload, size_t *upload_len, void **seen)
{
    struct receiver *receiver = context;
    struct body *body =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;

    (void)path;
    (void)method;
    (void)version;
    if (*seen == NULL) {
        *seen = body;
        body->len = 0;
        return MHD_YES;
    }
    if (*upload_len > 0) {
        if (*upload_len > sizeof body->bytes - body->len) {
            return MHD_NO;
        }
        memcpy(body->bytes + body->len, upload, *upload_len);
        body->len += *upload_len;
        *upload_len = 0;
        return MHD_YES;
    }
    return MHD_queue_response(connection,
                              keep(receiver, body) ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE,
                              receiver->ok);
}

bool receiver_open(const char *host, uint16_t port, size_t most, struct receiver **out_receiver,
                   struct err *err)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };
    struct arena *memory =
        arena_create(most * sizeof(struct receipt) + CONNECTIONS_MAX * CONNECTION_BYTES);
    struct receiver *receiver = arena_alloc(memory, sizeof *receiver);

    receiver->memory = memory;
    receiver->scratch = arena_create(SCRATCH_BYTES);
    receiver->receipts = arena_array(memory, most, sizeof *receiver->receipts);
    receiver->most = most;
    receiver->ok = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    if (inet_pton(AF_INET, host, &address.sin_addr) == 1 && receiver->ok != NULL) {
        receiver->daemon = MHD_start_daemon(
            MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ITC | MHD_USE_SUPPRESS_DATE_NO_CLOCK, port,
            NULL, NULL, on_request, receiver, MHD_OPTION_SOCK_ADDR, &address,
            MHD_OPTION_NOTIFY_CONNECTION, on_connection, receiver, MHD_OPTION_CONNECTION_LIMIT,
            (unsigned)CONNECTIONS_MAX, MHD_OPTION_END);
    }
    if (receiver->daemon == NULL) {
        receiver_close(receiver);
        return err_permanent(err, "receiver_port", "cannot listen on %s:%u", host, port);
    }
    *out_receiver = receiver;
    return true;
}

void receiver_close(struct receiver *receiver)
{
    if (receiver == NULL) {
        return;
    }
    if (receiver->daemon != NULL) {
        MHD_stop_daemon(receiver->daemon);
    }
    if (receiver->ok != NULL) {
        MHD_destroy_response(receiver->ok);
    }
    arena_destroy(receiver->scratch);
    arena_destroy(receiver->memory);
}

bool receiver_wait(struct receiver *receiver, size_t count, int64_t timeout_ms)
{
    int64_t end = clock_mono_ms() + timeout_ms;

    while (atomic_load_explicit(&receiver->count, memory_order_acquire) < count) {
        if (clock_mono_ms() > end) {
            return false;
        }
        clock_sleep_ms(POLL_MS);
    }
    return true;
}

const struct receipt *receiver_receipts(const struct receiver *receiver)
{
    return receiver->receipts;
}
