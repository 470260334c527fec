/*
 * control - /_sim: what the tests ask and tell the simulator
 */
#include <jansson.h>
#include <string.h>

#include "base/clock.h"
#include "base/id.h"
#include "engine/form.h"
#include "engine/pages.h"
#include "engine/panel.h"
#include "engine/quote.h"
#include "engine/usage.h"
#include "reply.h"
#include "sim.h"

#define MESSAGES_MAX 1000

static uint64_t max_per_second(const struct stats *stats)
{
    uint64_t window = 0;
    uint64_t max = 0;

    for (uint32_t i = 0; i < stats->bucket_count; i++) {
        window += stats->buckets[i];
        window -= i >= 10 ? stats->buckets[i - 10] : 0;
        max = window > max ? window : max;
    }
    return max;
}

static void put_reports(struct str *out, const struct reports *reports)
{
    const struct {
        const char *name;
        uint64_t value;
    } members[] = {
        { "planned", reports->planned },
        { "posted", reports->posted },
        { "answered", reports->answered },
        { "retried", reports->retried },
        { "refused", reports->refused },
        { "broken", reports->broken },
        { "given_up", reports->given_up },
        { "pending", reports_pending(reports) },
        { "first_answered_ms", (uint64_t)reports->first_answered_ms },
        { "last_answered_ms", (uint64_t)reports->last_answered_ms },
    };

    str_puts(out, ",\"reports\":{");
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        str_printf(out, "\"%s\":%llu,", members[i].name, (unsigned long long)members[i].value);
    }
    str_printf(out, "\"stopped\":%s}", reports->stopped ? "true" : "false");
}

static void put_queue(struct str *out, const char *name, const struct callback_queue *queue)
{
    str_printf(out, ",\"%s\":{\"posted\":%llu,\"answered\":%llu,\"given_up\":%llu}", name,
               (unsigned long long)queue->posted, (unsigned long long)queue->answered,
               (unsigned long long)queue->given_up);
}

static void put_counts(struct str *out, const struct stats *stats)
{
    const char *comma = "";

    str_puts(out, ",\"refused\":{");
    for (enum fault fault = FAULT_REFUSE_401; fault <= FAULT_REFUSE_502; fault++) {
        if (stats->refused[fault] > 0) {
            str_printf(out, "%s\"%d\":%llu", comma, reply_code(fault),
                       (unsigned long long)stats->refused[fault]);
            comma = ",";
        }
    }
    comma = "";
    str_puts(out, "},\"answers\":{");
    for (int status = 0; status < SIM_STATUS_MAX; status++) {
        if (stats->answers[status] > 0) {
            str_printf(out, "%s\"%d\":%llu", comma, status,
                       (unsigned long long)stats->answers[status]);
            comma = ",";
        }
    }
    str_puts(out, "},\"accepted_per_100ms\":[");
    for (uint32_t i = 0; i < stats->bucket_count; i++) {
        if (i > 0) {
            str_putc(out, ',');
        }
        str_put_int(out, stats->buckets[i]);
    }
    str_putc(out, ']');
}

static void get_stats(struct sim *sim, struct conn *conn, struct request *request)
{
    const struct stats *stats = &sim->stats;
    struct str *out = &sim->reply;

    (void)request;
    str_reset(out);
    str_printf(out,
               "{\"requests\":%llu,\"dropped\":%llu,\"accepted\":%llu,\"parts\":%llu,"
               "\"duplicates\":%llu,\"rate_limited\":%llu,\"first_accept_ms\":%lld,\"last_accept_"
               "ms\":%lld,"
               "\"max_per_s\":%llu,\"connections\":%u,\"cpu_ms\":%lld,\"peak_kib\":%ld,"
               "\"balance\":\"",
               (unsigned long long)stats->requests, (unsigned long long)stats->dropped,
               (unsigned long long)stats->accepted, (unsigned long long)stats->parts,
               (unsigned long long)sim->book.duplicates, (unsigned long long)stats->rate_limited,
               (long long)stats->first_accept_ms, (long long)stats->last_accept_ms,
               (unsigned long long)max_per_second(stats), sim->server.conn_count,
               (long long)((usage_cpu_us() - stats->cpu_at_reset_us) / 1000), usage_peak_kib());
    reply_put_money(out, sim->settings.currency, sim->balance_e4);
    str_putc(out, '"');
    put_counts(out, stats);
    put_reports(out, &sim->reports);
    put_queue(out, "incoming", &sim->incoming);
    put_queue(out, "opt_outs", &sim->opt_outs);
    calls_put_stats(sim, out);
    str_puts(out, ",\"faults\":");
    faults_put_applied(&sim->faults, out);
    str_putc(out, '}');
    panel_show(conn, &sim->reply);
}

static void clear_queue(struct callback_queue *queue)
{
    poster_break(&queue->poster);
    queue->count = 0;
    queue->posted = queue->answered = queue->given_up = 0;
}

void control_reset(struct sim *sim)
{
    struct stats *stats = &sim->stats;
    uint32_t *buckets = stats->buckets;
    struct err err;

    reports_clear(&sim->reports);
    clear_queue(&sim->incoming);
    clear_queue(&sim->opt_outs);
    voice_clear(sim);
    memset(buckets, 0, stats->bucket_count * sizeof(*buckets));
    *stats = (struct stats){ .buckets = buckets, .cpu_at_reset_us = usage_cpu_us() };
    book_clear(&sim->book, sim->loop.now_ms);
    sim->balance_e4 = sim->settings.balance_e4;
    /* They were accepted at the start. */
    if (!faults_start(&sim->faults, &fault_kinds, (uint64_t)sim->settings.seed, sim->settings.force,
                      sim->settings.faults, &err)) {
        log_error(&sim->log, "faults_lost", KV_STR("detail", err.detail));
    }
}

static void post_reset(struct sim *sim, struct conn *conn, struct request *request)
{
    (void)request;
    control_reset(sim);
    panel_show_ok(conn);
}

static void get_faults(struct sim *sim, struct conn *conn, struct request *request)
{
    (void)request;
    panel_show_faults(conn, &sim->faults, &sim->reply);
}

static void post_faults(struct sim *sim, struct conn *conn, struct request *request)
{
    panel_set_faults(conn, &sim->faults, request, &sim->reply);
}

/* GET /_sim/messages?number=%2B254...: the newest first. */
static void get_messages(struct sim *sim, struct conn *conn, struct request *request)
{
    struct form form = { request->query, request->query + strlen(request->query) };
    struct str *out = &sim->reply;
    const struct book *book = &sim->book;
    uint32_t index = BOOK_NONE;
    char id[BOOK_ID_BYTES];
    int64_t phone;
    char *name;
    char *value;

    while (form_next(&form, &name, &value)) {
        value += strspn(value, "+ ");
        if (strcmp(name, "number") == 0 && str_parse_int(value, 1, INT64_MAX, &phone)) {
            index = book_last(book, phone);
        }
    }
    str_reset(out);
    str_putc(out, '[');
    for (int i = 0; index != BOOK_NONE && i < MESSAGES_MAX; i++) {
        const struct entry *entry = book_entry(book, index);
        const struct str *text = book_text(book, entry->text);

        book_id(book, index, id);
        str_printf(
            out, "%s{\"id\":\"%s\",\"accepted_ms\":%lld,\"parts\":%d,\"text\":", i == 0 ? "" : ",",
            id, (long long)(book->start_ms + sim->loop.wall_offset_ms + entry->at_ms),
            entry->parts);
        if (text == NULL) {
            str_puts(out, "null}");
        } else {
            quote_json(out, text->bytes, text->len);
            str_putc(out, '}');
        }
        index = entry->previous;
    }
    str_putc(out, ']');
    panel_show(conn, &sim->reply);
}

static bool next_callback(void *context, uint32_t slot, struct post *post)
{
    struct callback_queue *queue = context;
    struct callback *callback = &queue->ring[queue->first];

    (void)slot; /* these posters have one connection */
    if (queue->count == 0) {
        return false;
    }
    queue->first = (queue->first + 1) % SIM_CALLBACKS_MAX;
    queue->count--;
    queue->posted++;
    str_append(&post->body, callback->body.bytes, callback->body.len);
    return true;
}

static void callback_done(void *context, uint32_t slot, int status)
{
    struct callback_queue *queue = context;
    uint32_t index = (queue->first + SIM_CALLBACKS_MAX - 1) % SIM_CALLBACKS_MAX;

    (void)slot;
    if (status >= 200 && status < 300) {
        queue->answered++;
    } else if (queue->ring[index].attempts < queue->retries) {
        queue->ring[index].attempts++;
        queue->first = index;
        queue->count++;
    } else {
        queue->given_up++;
    }
}

/* The body to fill, or NULL when the queue is full. */
static struct str *add_callback(struct callback_queue *queue)
{
    struct callback *callback = &queue->ring[(queue->first + queue->count) % SIM_CALLBACKS_MAX];

    /* One place is left for the callback in flight. */
    if (queue->poster.line_count == 0 || queue->count >= SIM_CALLBACKS_MAX - 1) {
        return NULL;
    }
    queue->count++;
    callback->attempts = 0;
    str_reset(&callback->body);
    return &callback->body;
}

static bool open_queue(struct sim *sim, struct callback_queue *queue, const char *url,
                       struct err *err)
{
    queue->ring = pages_map(SIM_CALLBACKS_MAX * sizeof(struct callback));
    queue->retries = sim->settings.report_retries;
    queue->poster = (struct poster){
        .loop = &sim->loop,
        .next = next_callback,
        .done = callback_done,
        .context = queue,
        .timeout_ms = sim->settings.report_timeout_ms,
    };
    return poster_open(&queue->poster, url, 1, sim->arena, err);
}

bool control_open(struct sim *sim, struct err *err)
{
    return open_queue(sim, &sim->incoming, sim->settings.incoming_url, err) &&
           open_queue(sim, &sim->opt_outs, sim->settings.opt_out_url, err);
}

static void close_queue(struct callback_queue *queue)
{
    clear_queue(queue);
    for (uint32_t i = 0; i < SIM_CALLBACKS_MAX && queue->ring[i].body.bytes != NULL; i++) {
        str_free(&queue->ring[i].body);
    }
    pages_unmap(queue->ring, SIM_CALLBACKS_MAX * sizeof(struct callback));
}

void control_close(struct sim *sim)
{
    close_queue(&sim->incoming);
    close_queue(&sim->opt_outs);
}

/* {"from":"+2547...","to":"ACME","text":"STOP"} */
static void post_incoming(struct sim *sim, struct conn *conn, struct request *request)
{
    json_t *root = json_loadb(request->body, request->body_len, 0, NULL);
    const char *from = json_string_value(json_object_get(root, "from"));
    const char *to = json_string_value(json_object_get(root, "to"));
    const char *text = json_string_value(json_object_get(root, "text"));
    bool complete = from != NULL && to != NULL && text != NULL;
    struct str *body = complete ? add_callback(&sim->incoming) : NULL;
    char date[CLOCK_RFC3339_BYTES];
    char id[ID_MESSAGE_BYTES];
    int64_t phone = 0;

    if (body != NULL) {
        id_message(id);
        clock_format(loop_wall_ms(&sim->loop), date);
        memcpy(date + 19, "Z", 2); /* the provider's has no fraction */
        (void)str_parse_int(from + (*from == '+'), 1, INT64_MAX, &phone);
        form_put(body, "date", date);
        form_put(body, "from", from);
        form_put(body, "id", id);
        form_put(body, "linkId", "");
        form_put(body, "text", text);
        form_put(body, "to", to);
        form_put(body, "networkCode", reports_network(phone));
        panel_show_ok(conn);
    } else {
        panel_complain(conn, complete ? 503 : 400,
                       complete ? "No SIM_INCOMING_URL, or too many are waiting"
                                : "Wanted: from, to, text");
    }
    json_decref(root);
}

/* {"phoneNumber":"+2547...","senderId":"ACME"}; the number is refused with 406 from now on. */
static void post_opt_out(struct sim *sim, struct conn *conn, struct request *request)
{
    json_t *root = json_loadb(request->body, request->body_len, 0, NULL);
    const char *number = json_string_value(json_object_get(root, "phoneNumber"));
    const char *sender = json_string_value(json_object_get(root, "senderId"));
    int64_t phone = 0;
    bool complete = number != NULL && sender != NULL &&
                    str_parse_int(number + (*number == '+'), 1, INT64_MAX, &phone);
    struct str *body = complete ? add_callback(&sim->opt_outs) : NULL;

    if (complete) {
        book_opt_out(&sim->book, phone);
        if (body != NULL) {
            form_put(body, "senderId", sender);
            form_put(body, "phoneNumber", number);
        }
        panel_show_ok(conn);
    } else {
        panel_complain(conn, 400, "Wanted: phoneNumber, senderId");
    }
    json_decref(root);
}

static void post_stop_reports(struct sim *sim, struct conn *conn, struct request *request)
{
    (void)request;
    sim->reports.stopped = true;
    panel_show_ok(conn);
}

static void post_start_reports(struct sim *sim, struct conn *conn, struct request *request)
{
    (void)request;
    sim->reports.stopped = false;
    panel_show_ok(conn);
}

static const struct control controls[] = {
    { "GET", "/_sim/stats", get_stats },
    { "GET", "/_sim/faults", get_faults },
    { "POST", "/_sim/faults", post_faults },
    { "GET", "/_sim/messages", get_messages },
    { "GET", "/_sim/calls", calls_show },
    { "POST", "/_sim/reset", post_reset },
    { "POST", "/_sim/incoming", post_incoming },
    { "POST", "/_sim/opt-out", post_opt_out },
    { "POST", "/_sim/stop-reports", post_stop_reports },
    { "POST", "/_sim/start-reports", post_start_reports },
};

void control_handle(struct sim *sim, struct conn *conn, struct request *request)
{
    if (!panel_handle(controls, sizeof(controls) / sizeof(controls[0]), sim, conn, request)) {
        sim_answer_text(sim, conn, 404, "The requested resource could not be found.");
    }
}
