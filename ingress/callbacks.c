/*
 * callbacks - the hot path: a provider's callback, kept by the broker before it is answered
 *
 * Parsed on libmicrohttpd's thread, suspended, handed to the publisher, resumed by its confirm.
 * Nothing is allocated but what the visit keeps for the next callback. A callback that has passed
 * the token is never refused for what it says; a payment provider's has no token to pass and gets
 * the same answer whatever its path holds.
 */
#include <arpa/inet.h>
#include <string.h>

#include "base/clock.h"
#include "metrics/metrics.h"
#include "server.h"

enum phase { PHASE_BODY, PHASE_LARGE, PHASE_WAIT };

static const struct {
    const char *path;
    size_t len;
    enum callback_kind kind;
} paths[] = {
#define PATH(text, kind)                                                                           \
    {                                                                                              \
        text, sizeof(text) - 1, kind                                                               \
    }
    PATH("/api/messages/delivery-callback", CALLBACK_DELIVERY),
    PATH("/api/messages/incoming", CALLBACK_INCOMING),
    PATH("/api/communications/webhooks/sms", CALLBACK_ANY),
};

/* Keeps a rare long body's memory from staying with an idle connection. */
#define KEEP_BYTES 4096

static void trim(struct str *str)
{
    if (str->size > KEEP_BYTES) {
        str_free(str);
    }
}

/*
 * Takes the same time whatever is claimed: both texts are padded to the same length. crypto_equal()
 * would do, but hashes both, which took an eighth of a callback's time.
 */
static bool is_token(const char *claimed, size_t len, const char *expected)
{
    char padded[2][WEBHOOK_TOKEN_BYTES] = { { 0 } };
    unsigned char differ = len == 0 || len >= WEBHOOK_TOKEN_BYTES;

    memcpy(padded[0], claimed, len < WEBHOOK_TOKEN_BYTES ? len : 0);
    memcpy(padded[1], expected, strnlen(expected, WEBHOOK_TOKEN_BYTES - 1));
    for (size_t i = 0; i < WEBHOOK_TOKEN_BYTES; i++) {
        differ |= (unsigned char)(padded[0][i] ^ padded[1][i]);
    }
    return differ == 0;
}

bool callbacks_has_token(struct visit *visit, const char *rest)
{
    const char *expected = server_app(visit->server)->settings->webhook_token;
    const char *argument;

    if (*rest == '/' && rest[1] != '\0') {
        size_t len = strlen(rest + 1);
        return is_token(rest + 1, len - (rest[len] == '/'), expected);
    }
    argument = MHD_lookup_connection_value(visit->connection, MHD_GET_ARGUMENT_KIND, "token");
    return argument != NULL && is_token(argument, strlen(argument), expected);
}

static void hand_over(struct visit *visit)
{
    struct publisher *publisher = server_app(visit->server)->publisher;

    if (visit->read.made == MADE_REPORT) {
        visit->report.json = visit->json.bytes;
        visit->report.len = visit->json.len;
        visit->report.context = visit;
        publish_report(publisher, &visit->report);
    } else {
        publish_send(publisher, &visit->parcel);
    }
}

static void settle(struct visit *visit, enum publish_outcome outcome)
{
    visit->outcome = outcome;
    server_resume(visit);
}

void callbacks_count(struct app *app)
{
    static const char *const labels[4][2] = {
        [MADE_REPORT] = { "made=\"report\",kept=\"no\"", "made=\"report\",kept=\"yes\"" },
        [MADE_INBOUND] = { "made=\"inbound\",kept=\"no\"", "made=\"inbound\",kept=\"yes\"" },
        [MADE_MISREAD] = { "made=\"misread\",kept=\"no\"", "made=\"misread\",kept=\"yes\"" },
        [MADE_PAYMENT] = { "made=\"payment\",kept=\"no\"", "made=\"payment\",kept=\"yes\"" },
    };

    for (int made = MADE_REPORT; made <= MADE_PAYMENT; made++) {
        for (int kept = 0; kept < 2; kept++) {
            app->callbacks[made][kept] =
                metrics_counter(app->metrics, "callbacks_total",
                                "Provider callbacks by what was made of them.", labels[made][kept]);
        }
    }
}

void callbacks_settled(struct report *list, enum publish_outcome outcome)
{
    while (list != NULL) {
        struct visit *visit = list->context;
        list = list->next; /* before the resume: the visit goes on at once */
        settle(visit, outcome);
    }
}

static void parcel_settled(struct parcel *parcel, enum publish_outcome outcome)
{
    settle(parcel->context, outcome);
}

static void read_body(struct visit *visit, const char *body, size_t len)
{
    struct arena *scratch = server_scratch(visit->server);

    if (visit->payment.kind != NULL) {
        visit->read.made = MADE_PAYMENT;
        payment_callback_write(&visit->payment, body, len, clock_now_ms(), scratch, &visit->json,
                               visit->read.id);
    } else {
        callback_read(visit->kind, body, len, clock_now_ms(), scratch, &visit->json, &visit->read);
    }
}

static void fill_parcel(struct visit *visit)
{
    visit->parcel = (struct parcel){
        .shape =
            visit->payment.kind != NULL ? &payment_reported_v1 : callback_shape(visit->read.made),
        /* Money first: it may be why a campaign waits. */
        .lane = visit->payment.kind != NULL ? LANE_HIGH : LANE_NORMAL,
        .body = visit->json.bytes,
        .body_len = visit->json.len,
        .settled = parcel_settled,
        .context = visit,
    };
    memcpy(visit->parcel.id, visit->read.id, sizeof(visit->parcel.id));
}

static size_t body_max(const struct visit *visit)
{
    return visit->payment.kind != NULL ? PAYMENT_CALLBACK_MAX : BODY_CALLBACK_MAX;
}

static enum MHD_Result answer(struct visit *visit)
{
    bool kept = visit->outcome == PUBLISH_CONFIRMED;
    enum canned thanks = visit->payment.kind != NULL ? CANNED_ACCEPTED : CANNED_OK;

    trim(&visit->raw);
    trim(&visit->json);
    metric_add(server_app(visit->server)->callbacks[visit->read.made][kept], 1);
    return server_answer_canned(visit, kept ? thanks : CANNED_UNAVAILABLE);
}

/* Nothing of it is kept but this line: nobody who is to be listened to posts so much. */
static enum MHD_Result refuse_large(struct visit *visit)
{
    if (visit->payment.kind != NULL) {
        log_warn(&(struct log){ 0 }, "callback_too_large", KV_STR("kind", visit->payment.kind),
                 KV_STR("peer", visit->payment.peer), KV_INT("max", (int64_t)body_max(visit)));
    }
    return server_answer_canned(visit, CANNED_TOO_LARGE);
}

/* Reads on a little, so that the client comes to hear the answer. */
static enum MHD_Result swallow(struct visit *visit, size_t *size)
{
    if (*size == 0) {
        return refuse_large(visit);
    }
    visit->content_length += *size;
    *size = 0;
    return visit->content_length <= BODY_CALLBACK_MAX ? MHD_YES : MHD_NO;
}

static enum MHD_Result step_callback(struct visit *visit, const char *data, size_t *size)
{
    if (visit->phase == PHASE_WAIT) {
        return answer(visit);
    }
    if (visit->phase == PHASE_LARGE) {
        return swallow(visit, size);
    }
    if (*size > 0) {
        if (visit->raw.len == 0 && *size == visit->content_length) {
            read_body(visit, data, *size); /* all of it, where it is: the usual case */
            visit->content_length = 0;
        } else if (visit->raw.len + *size <= body_max(visit)) {
            str_append(&visit->raw, data, *size);
        } else { /* chunked, so only now it shows */
            visit->phase = PHASE_LARGE;
            visit->content_length = 0;
        }
        *size = 0;
        return MHD_YES;
    }
    if (server_is_draining(visit->server)) {
        return server_answer_canned(visit, CANNED_STOPPING);
    }
    if (!publish_is_ready(server_app(visit->server)->publisher)) {
        return server_answer_canned(visit, CANNED_UNAVAILABLE);
    }
    if (visit->json.len == 0) {
        read_body(visit, visit->raw.bytes != NULL ? visit->raw.bytes : "", visit->raw.len);
    }
    if (visit->read.made != MADE_REPORT) {
        fill_parcel(visit);
    }
    visit->phase = PHASE_WAIT;
    server_suspend(visit);
    hand_over(visit);
    return MHD_YES;
}

/* Who posted it, for the record: the last hop when our own proxy says so. */
static void read_peer(struct visit *visit, const char *forwarded_for,
                      char out[PAYMENT_PEER_MAX + 1])
{
    const struct sockaddr *peer =
        MHD_get_connection_info(visit->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr;
    const void *address =
        peer->sa_family == AF_INET6
            ? (const void *)&((const struct sockaddr_in6 *)(const void *)peer)->sin6_addr
            : (const void *)&((const struct sockaddr_in *)(const void *)peer)->sin_addr;
    unsigned char parsed[sizeof(struct in6_addr)];

    if (inet_ntop(peer->sa_family, address, out, PAYMENT_PEER_MAX + 1) == NULL) {
        out[0] = '\0';
    }
    if (forwarded_for != NULL &&
        strcmp(out, server_app(visit->server)->settings->trusted_proxy) == 0) {
        const char *hop = head_last_hop(forwarded_for);
        if (inet_pton(AF_INET, hop, parsed) == 1 || inet_pton(AF_INET6, hop, parsed) == 1) {
            memcpy(out, hop, strlen(hop) + 1); /* no longer than an address is */
        }
    }
}

bool callbacks_begin(struct visit *visit, const char *path, const char *method,
                     const struct head *head, enum MHD_Result *out_result)
{
    const bool is_payment = payment_callback_path(path, &visit->payment);
    size_t i = 0;

    while (!is_payment && i < sizeof(paths) / sizeof(*paths) &&
           (strncmp(path, paths[i].path, paths[i].len) != 0 ||
            (path[paths[i].len] != '/' && path[paths[i].len] != '\0'))) {
        i++;
    }
    if (i == sizeof(paths) / sizeof(*paths)) {
        return false;
    }
    if (is_payment) {
        read_peer(visit, head->forwarded_for, visit->payment.peer);
    } else {
        visit->payment.kind = NULL;
    }
    if (!is_payment) {
        visit->kind = paths[i].kind;
    }
    visit->content_length = head->content_length;
    str_reset(&visit->raw);
    str_reset(&visit->json);
    visit->step = step_callback;
    visit->phase = PHASE_BODY;
    *out_result = MHD_YES;
    if (!is_payment && !callbacks_has_token(visit, path + paths[i].len)) {
        *out_result = server_answer_canned(visit, CANNED_FORBIDDEN);
    } else if (strcmp(method, "POST") != 0) {
        *out_result = server_answer_canned(visit, CANNED_BAD_METHOD);
    } else if (head->content_length != LENGTH_CHUNKED && head->content_length > body_max(visit)) {
        *out_result = refuse_large(visit);
    }
    return true;
}
