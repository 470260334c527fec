/*
 * control - /_sim: what the tests ask and tell the simulator
 */
#include <string.h>

#include "answers.h"
#include "engine/form.h"
#include "engine/panel.h"
#include "engine/quote.h"
#include "engine/usage.h"

#define ROWS_MAX 1000000

struct count {
    const char *name;
    uint64_t value;
};

/* {"a":1,"b":2} */
static void put_counts(struct str *out, const struct count *counts, size_t count)
{
    str_putc(out, '{');
    for (size_t i = 0; i < count; i++) {
        str_printf(out, "%s\"%s\":%llu", i == 0 ? "" : ",", counts[i].name,
                   (unsigned long long)counts[i].value);
    }
    str_putc(out, '}');
}

#define PUT_COUNTS(out, counts) put_counts(out, counts, sizeof(counts) / sizeof((counts)[0]))

static uint64_t count_open(const struct book *book)
{
    uint64_t open = 0;

    for (uint32_t i = 0; i < book->push_count; i++) {
        open += !book->pushes[i].ended;
    }
    return open;
}

static void put_pushes(const struct sim *sim, struct str *out)
{
    const struct stats *stats = &sim->stats;
    const struct count counts[] = {
        { "accepted", stats->pushes },
        { "refused", stats->pushes_refused },
        { "prompts", stats->prompts },
        { "open", count_open(&sim->book) },
        { "repeated", sim->book.repeated },
        { "repeated_urls", sim->book.repeated_urls },
        { "first_ms", (uint64_t)stats->first_push_ms },
        { "last_ms", (uint64_t)stats->last_push_ms },
    };
    const char *comma = "";

    str_puts(out, "\"pushes\":");
    PUT_COUNTS(out, counts);
    str_puts(out, ",\"results\":{");
    for (int i = 0; i < RESULT_COUNT; i++) {
        if (stats->results[i] > 0) {
            str_printf(out, "%s\"%s\":%llu", comma, result_code((enum result)i),
                       (unsigned long long)stats->results[i]);
            comma = ",";
        }
    }
    str_putc(out, '}');
}

static void put_money(const struct sim *sim, struct str *out)
{
    const struct stats *stats = &sim->stats;
    const struct count payments[] = {
        { "count", sim->book.payment_count },
        { "amount", (uint64_t)stats->amount_paid },
        { "by_hand", stats->by_hand },
        { "reversed", stats->reversals },
        { "amount_reversed", (uint64_t)stats->amount_reversed },
    };
    const struct count queries[] = {
        { "asked", stats->queries },
        { "limited", stats->queries_limited },
    };
    const struct count tokens[] = {
        { "issued", stats->tokens },
        { "refused", stats->token_refusals },
    };

    str_puts(out, ",\"payments\":");
    PUT_COUNTS(out, payments);
    str_puts(out, ",\"queries\":");
    PUT_COUNTS(out, queries);
    str_puts(out, ",\"tokens\":");
    PUT_COUNTS(out, tokens);
}

static void put_callbacks(const struct sim *sim, struct str *out)
{
    const struct callbacks *callbacks = &sim->callbacks;
    const struct count counts[] = {
        { "planned", callbacks->planned },
        { "posted", callbacks->posted[CALLBACK_PUSH] + callbacks->posted[CALLBACK_C2B] +
                        callbacks->posted[CALLBACK_REVERSAL] },
        { "posted_push", callbacks->posted[CALLBACK_PUSH] },
        { "posted_c2b", callbacks->posted[CALLBACK_C2B] },
        { "posted_reversal", callbacks->posted[CALLBACK_REVERSAL] },
        { "answered", callbacks->answered },
        { "retried", callbacks->retried },
        { "refused", callbacks->refused },
        { "broken", callbacks->broken },
        { "given_up", callbacks->given_up },
        { "unroutable", callbacks->unroutable },
        { "lost", callbacks->lost },
        { "pending", callbacks_pending(sim) },
        { "stopped", callbacks->stopped },
    };

    str_puts(out, ",\"callbacks\":");
    PUT_COUNTS(out, counts);
}

static void get_stats(struct sim *sim, struct conn *conn, struct request *request)
{
    const struct stats *stats = &sim->stats;
    struct str *out = &sim->reply;
    const char *comma = "";

    (void)request;
    str_reset(out);
    str_putc(out, '{');
    put_pushes(sim, out);
    put_money(sim, out);
    put_callbacks(sim, out);
    str_printf(out,
               ",\"requests\":%llu,\"dropped\":%llu,\"connections\":%u,\"cpu_ms\":%lld,"
               "\"peak_kib\":%ld,\"answers\":{",
               (unsigned long long)stats->requests, (unsigned long long)stats->dropped,
               sim->server.conn_count,
               (long long)((usage_cpu_us() - stats->cpu_at_reset_us) / 1000), usage_peak_kib());
    for (int status = 0; status < SIM_STATUS_MAX; status++) {
        if (stats->answers[status] > 0) {
            str_printf(out, "%s\"%d\":%llu", comma, status,
                       (unsigned long long)stats->answers[status]);
            comma = ",";
        }
    }
    str_puts(out, "},\"faults\":");
    faults_put_applied(&sim->faults, out);
    str_putc(out, '}');
    panel_show(conn, &sim->reply);
}

void control_reset(struct sim *sim)
{
    struct err err;

    callbacks_clear(sim);
    wheel_drop(&sim->wheel, TIMER_PAYER);
    book_clear(&sim->book);
    sim->registration = (struct registration){ 0 };
    sim->query_limiter = sim->push_limiter = (struct limiter){ 0 };
    sim->stats = (struct stats){ .cpu_at_reset_us = usage_cpu_us() };
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

/* Which rows a list shows. */
struct choice {
    int64_t phone; /* 0: of everybody, oldest first; else of one, newest first */
    int64_t after; /* leave out that many */
    int64_t limit;
};

static bool read_choice(struct request *request, struct choice *out_choice)
{
    struct form form = { request->query, request->query + strlen(request->query) };
    struct choice choice = { .limit = ROWS_MAX };
    bool good = true;
    char *name;
    char *value;

    while (form_next(&form, &name, &value)) {
        value += strspn(value, "+ ");
        if (strcmp(name, "phone") == 0) {
            good = good && str_parse_int(value, 1, INT64_MAX, &choice.phone);
        } else if (strcmp(name, "after") == 0) {
            good = good && str_parse_int(value, 0, INT32_MAX, &choice.after);
        } else if (strcmp(name, "limit") == 0) {
            good = good && str_parse_int(value, 1, ROWS_MAX, &choice.limit);
        } else {
            good = false;
        }
    }
    *out_choice = choice;
    return good;
}

static void put_text(struct str *out, const char *name, const char *text)
{
    str_printf(out, ",\"%s\":", name);
    quote_json(out, text, strlen(text));
}

static void put_push(const struct sim *sim, uint32_t index, struct str *out)
{
    const struct push *push = &sim->book.pushes[index];
    char id[BOOK_ID_BYTES];

    book_checkout_id(&sim->book, index, id);
    str_printf(out, "{\"checkout_request_id\":\"%s\"", id);
    book_merchant_id(&sim->book, index, id);
    put_text(out, "merchant_request_id", id);
    str_printf(out, ",\"phone\":\"%lld\",\"amount\":%lld,\"accepted_ms\":%lld,\"ended_ms\":%lld",
               (long long)push->phone, (long long)push->amount, (long long)push->accepted_ms,
               (long long)push->ended_ms);
    put_text(out, "reference", push->reference);
    put_text(out, "callback_url", push->callback_url);
    str_printf(out, ",\"told\":%s,\"result\":", push->told ? "true" : "false");
    if (push->ended) {
        result_put_code(out, (enum result)push->result, true);
    } else {
        str_puts(out, "null");
    }
    if (push->payment == BOOK_NONE) {
        str_puts(out, ",\"receipt\":null}");
    } else {
        put_text(out, "receipt", sim->book.payments[push->payment].receipt);
        str_putc(out, '}');
    }
}

static void put_payment(const struct sim *sim, uint32_t index, struct str *out)
{
    const struct payment *payment = &sim->book.payments[index];
    bool by_hand = payment->push == BOOK_NONE;
    char id[BOOK_ID_BYTES];

    str_printf(out,
               "{\"receipt\":\"%s\",\"phone\":\"%lld\",\"amount\":%lld,\"paid_ms\":%lld,"
               "\"reversed\":%s,\"source\":\"%s\"",
               payment->receipt, (long long)payment->phone, (long long)payment->amount,
               (long long)payment->paid_ms, payment->reversed ? "true" : "false",
               by_hand ? "hand" : "push");
    put_text(out, "reference", payment->reference);
    if (!by_hand) {
        book_checkout_id(&sim->book, payment->push, id);
        put_text(out, "checkout_request_id", id);
        put_text(out, "callback_url", sim->book.pushes[payment->push].callback_url);
    }
    str_putc(out, '}');
}

typedef void (*put_row_fn)(const struct sim *sim, uint32_t index, struct str *out);

/* Rows [after, after + limit) of all. */
static void put_all(const struct sim *sim, const struct choice *choice, uint32_t count,
                    put_row_fn put, struct str *out)
{
    int64_t end = choice->after + choice->limit;

    for (int64_t i = choice->after; i < count && i < end; i++) {
        str_puts(out, i == choice->after ? "" : ",");
        put(sim, (uint32_t)i, out);
    }
}

static void get_pushes(struct sim *sim, struct conn *conn, struct request *request)
{
    struct str *out = &sim->reply;
    struct choice choice;
    uint32_t index;

    if (!read_choice(request, &choice)) {
        panel_complain(conn, 400, "Wanted: phone, after, limit");
        return;
    }
    str_reset(out);
    str_putc(out, '[');
    if (choice.phone == 0) {
        put_all(sim, &choice, sim->book.push_count, put_push, out);
    }
    index = choice.phone == 0 ? BOOK_NONE : book_last_push(&sim->book, choice.phone);
    for (int64_t i = 0; index != BOOK_NONE && i < choice.after + choice.limit; i++) {
        if (i >= choice.after) {
            str_puts(out, i == choice.after ? "" : ",");
            put_push(sim, index, out);
        }
        index = sim->book.pushes[index].previous;
    }
    str_putc(out, ']');
    panel_show(conn, &sim->reply);
}

static void get_payments(struct sim *sim, struct conn *conn, struct request *request)
{
    struct str *out = &sim->reply;
    struct choice choice;
    uint32_t index;

    if (!read_choice(request, &choice)) {
        panel_complain(conn, 400, "Wanted: phone, after, limit");
        return;
    }
    str_reset(out);
    str_putc(out, '[');
    if (choice.phone == 0) {
        put_all(sim, &choice, sim->book.payment_count, put_payment, out);
    }
    index = choice.phone == 0 ? BOOK_NONE : book_last_payment(&sim->book, choice.phone);
    for (int64_t i = 0; index != BOOK_NONE && i < choice.after + choice.limit; i++) {
        if (i >= choice.after) {
            str_puts(out, i == choice.after ? "" : ",");
            put_payment(sim, index, out);
        }
        index = sim->book.payments[index].previous;
    }
    str_putc(out, ']');
    panel_show(conn, &sim->reply);
}

/* {"phone":"2547...","amount":50,"reference":"what the payer typed"} */
static void post_pay(struct sim *sim, struct conn *conn, struct request *request)
{
    struct fields fields;
    const char *reference;
    int64_t phone;
    int64_t amount;
    uint32_t payment;

    if (!fields_open(&fields, request, sim->work)) {
        panel_complain(conn, 400, "Wanted: phone, amount, reference");
        return;
    }
    phone = field_phone(field_text(&fields, "phone"));
    amount = field_amount(field_text(&fields, "amount"));
    reference = field_text(&fields, "reference");
    if (phone == 0 || amount == 0 || strlen(reference) >= BOOK_REFERENCE_BYTES) {
        panel_complain(conn, 400, "Wanted: phone, amount, reference of at most 20 bytes");
    } else if (!book_has_room(&sim->book)) {
        panel_complain(conn, 503, "The simulator is full: raise SIM_CAPACITY or reset it");
    } else {
        payment = c2b_pay(sim, phone, amount, reference);
        str_reset(&sim->reply);
        str_printf(&sim->reply, "{\"receipt\":\"%s\",\"confirmed\":%s}",
                   sim->book.payments[payment].receipt,
                   c2b_confirm(sim, payment) ? "true" : "false");
        panel_show(conn, &sim->reply);
    }
    fields_close(&fields);
}

/* {"checkout_request_id":"ws_CO_..."}: its callback once more. */
static void post_repeat(struct sim *sim, struct conn *conn, struct request *request)
{
    struct fields fields;
    uint32_t index = BOOK_NONE;

    if (fields_open(&fields, request, sim->work)) {
        index = book_find_checkout(&sim->book, field_text(&fields, "checkout_request_id"));
        fields_close(&fields);
    }
    if (index == BOOK_NONE || !sim->book.pushes[index].ended) {
        panel_complain(conn, 400, "Wanted: checkout_request_id of a push that has ended");
        return;
    }
    callbacks_repeat(sim, index);
    panel_show_ok(conn);
}

static void post_expire_tokens(struct sim *sim, struct conn *conn, struct request *request)
{
    (void)request;
    for (uint32_t i = 0; i < SIM_TOKENS; i++) {
        sim->tokens[i].dead = true;
    }
    panel_show_ok(conn);
}

static void post_stop_callbacks(struct sim *sim, struct conn *conn, struct request *request)
{
    (void)request;
    sim->callbacks.stopped = true;
    panel_show_ok(conn);
}

static void post_shuffle_callbacks(struct sim *sim, struct conn *conn, struct request *request)
{
    (void)request;
    callbacks_shuffle(sim);
    panel_show_ok(conn);
}

static void post_start_callbacks(struct sim *sim, struct conn *conn, struct request *request)
{
    (void)request;
    sim->callbacks.stopped = false;
    panel_show_ok(conn);
}

static const struct control controls[] = {
    { "GET", "/_sim/stats", get_stats },
    { "GET", "/_sim/faults", get_faults },
    { "POST", "/_sim/faults", post_faults },
    { "GET", "/_sim/pushes", get_pushes },
    { "GET", "/_sim/payments", get_payments },
    { "POST", "/_sim/reset", post_reset },
    { "POST", "/_sim/pay", post_pay },
    { "POST", "/_sim/repeat-callback", post_repeat },
    { "POST", "/_sim/expire-tokens", post_expire_tokens },
    { "POST", "/_sim/stop-callbacks", post_stop_callbacks },
    { "POST", "/_sim/shuffle-callbacks", post_shuffle_callbacks },
    { "POST", "/_sim/start-callbacks", post_start_callbacks },
};

void control_handle(struct sim *sim, struct conn *conn, struct request *request)
{
    if (!panel_handle(controls, sizeof(controls) / sizeof(controls[0]), sim, conn, request)) {
        panel_complain(conn, 404, "No such control; README.md lists them");
    }
}
