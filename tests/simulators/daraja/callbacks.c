/*
 * callbacks - what M-Pesa posts to us: planned when something ended, posted when due
 */
#include "callbacks.h"

#include <string.h>

#include "bodies.h"
#include "engine/pages.h"
#include "sim.h"

#define FIRST_RING 4096

static const char *url_of(const struct sim *sim, const struct timer *timer)
{
    switch ((enum callback_kind)timer->reason) {
    case CALLBACK_PUSH:
        return sim->book.pushes[timer->subject].callback_url;
    case CALLBACK_C2B:
        return sim->registration.confirmation_url;
    case CALLBACK_REVERSAL:
    case CALLBACK_KINDS:
        break;
    }
    return sim->book.reversals[timer->subject].result_url;
}

static struct target *find_target(struct callbacks *callbacks, const char *host)
{
    struct target *target;
    char with_port[sizeof(target->host) + 4];
    struct err err;

    for (uint32_t i = 0; i < callbacks->target_count && i < CALLBACK_TARGETS; i++) {
        if (strcmp(callbacks->targets[i].host, host) == 0) {
            return &callbacks->targets[i];
        }
    }
    target = &callbacks->targets[callbacks->target_count++ % CALLBACK_TARGETS];
    *target = (struct target){ 0 };
    memcpy(target->host, host, strlen(host) + 1);
    memcpy(with_port, host, strlen(host) + 1);
    if (strchr(host, ':') == NULL) {
        memcpy(with_port + strlen(host), ":80", 4);
    }
    target->known = server_resolve(with_port, &target->address, &err);
    return target;
}

/* Where it goes and the head of its request; false when that cannot be found out. */
static bool route(struct sim *sim, const char *url, struct post *post)
{
    const char *to = sim->settings.callback_to;
    char host[sizeof(((struct target *)NULL)->host)];
    const char *path;
    struct target *target;

    if (!poster_split(url, host, sizeof(host), &path) ||
        (*to == '\0' && strncmp(url, "https:", 6) == 0)) {
        return false;
    }
    target = find_target(&sim->callbacks, *to == '\0' ? host : to);
    if (!target->known) {
        return false;
    }
    post->address = target->address;
    str_puts(&post->head, "POST ");
    str_puts(&post->head, path);
    str_puts(&post->head, " HTTP/1.1\r\nHost: ");
    str_puts(&post->head, host);
    str_puts(&post->head, "\r\nContent-Type: application/json;charset=UTF-8\r\n"
                          "Businessshortcode: ");
    str_puts(&post->head, sim->settings.shortcode);
    str_puts(&post->head, "\r\nContent-Length: ");
    return true;
}

static void write_body(struct sim *sim, const struct timer *timer, struct post *post)
{
    switch ((enum callback_kind)timer->reason) {
    case CALLBACK_PUSH:
        body_put_push(sim, timer->subject, (enum result)timer->word, &post->body);
        break;
    case CALLBACK_C2B:
        body_put_c2b(sim, timer->subject, &post->body);
        break;
    case CALLBACK_REVERSAL:
    case CALLBACK_KINDS:
        body_put_reversal(sim, timer->subject, &post->body);
        break;
    }
    if (fault_hits(&sim->faults, FAULT_CALLBACK_SLOW)) {
        post->body_delay_ms = sim->faults.numbers[NUMBER_CALLBACK_SLOW_MS];
    }
}

static bool next_callback(void *context, uint32_t slot, struct post *post)
{
    struct sim *sim = context;
    struct callbacks *callbacks = &sim->callbacks;

    while (callbacks->due_count > 0 && !callbacks->stopped) {
        struct timer *timer = &callbacks->in_flight[slot];

        *timer = callbacks->due[callbacks->due_first];
        callbacks->due_first = (callbacks->due_first + 1) % callbacks->due_size;
        callbacks->due_count--;
        if (route(sim, url_of(sim, timer), post)) {
            callbacks->posted[timer->reason]++;
            write_body(sim, timer, post);
            return true;
        }
        callbacks->unroutable++;
        callbacks->given_up++;
    }
    return false;
}

static void callback_done(void *context, uint32_t slot, int status)
{
    struct sim *sim = context;
    struct callbacks *callbacks = &sim->callbacks;
    struct timer timer = callbacks->in_flight[slot];
    const int64_t *numbers = sim->faults.numbers;

    if (status >= 200 && status < 300) {
        callbacks->answered++;
        if (timer.reason == CALLBACK_PUSH) {
            sim->book.pushes[timer.subject].told = true;
        }
        return;
    }
    if (status == 0) {
        callbacks->broken++;
    } else {
        callbacks->refused++;
    }
    if (timer.attempt >= numbers[NUMBER_CALLBACK_RETRIES] || timer.attempt == UINT8_MAX) {
        callbacks->given_up++;
        return;
    }
    callbacks->retried++;
    timer.attempt++;
    wheel_add(&sim->wheel, sim->loop.now_ms + numbers[NUMBER_CALLBACK_RETRY_MS], timer);
}

bool callbacks_open(struct sim *sim, struct err *err)
{
    struct callbacks *callbacks = &sim->callbacks;
    uint32_t connections = (uint32_t)sim->settings.callback_connections;
    struct sockaddr_in address;

    if (*sim->settings.callback_to != '\0' &&
        !server_resolve(sim->settings.callback_to, &address, err)) {
        return false;
    }
    callbacks->due_size = FIRST_RING;
    callbacks->due = pages_map(callbacks->due_size * sizeof(struct timer));
    callbacks->in_flight = arena_array(sim->arena, connections, sizeof(struct timer));
    callbacks->poster = (struct poster){
        .loop = &sim->loop,
        .next = next_callback,
        .done = callback_done,
        .context = sim,
        .timeout_ms = sim->settings.callback_timeout_ms,
    };
    return poster_open(&callbacks->poster, NULL, connections, sim->arena, err);
}

static void plan_at(struct sim *sim, int64_t due_ms, struct timer timer)
{
    timer.kind = TIMER_CALLBACK;
    sim->callbacks.planned++;
    wheel_add(&sim->wheel, due_ms, timer);
}

static int64_t due_ms(struct sim *sim)
{
    const int64_t *numbers = sim->faults.numbers;

    return sim->loop.now_ms + fault_between(&sim->faults, FAULT_CALLBACK_LOST,
                                            numbers[NUMBER_CALLBACK_MIN_MS],
                                            numbers[NUMBER_CALLBACK_MAX_MS]);
}

/* How the callback is written is drawn once, so that copies and repetitions are alike. */
static uint32_t draw_style(struct faults *faults)
{
    uint32_t style = 0;

    for (int fault = FAULT_RESULT_CODE_TEXT; fault <= FAULT_ITEMS_REORDERED; fault++) {
        if (fault_hits(faults, fault)) {
            style |= 1U << (fault - FAULT_RESULT_CODE_TEXT);
        }
    }
    return style;
}

static int count_copies(struct faults *faults)
{
    if (fault_hits(faults, FAULT_CALLBACK_TRIPLED)) {
        return 3;
    }
    return fault_hits(faults, FAULT_CALLBACK_DOUBLED) ? 2 : 1;
}

void callbacks_plan_push(struct sim *sim, uint32_t index, enum result result, bool early)
{
    struct faults *faults = &sim->faults;
    const int64_t *numbers = faults->numbers;
    int64_t due = early ? sim->loop.now_ms : due_ms(sim);
    int copies = count_copies(faults);

    sim->book.pushes[index].style = draw_style(faults);
    if (fault_hits(faults, FAULT_CALLBACK_LOST)) {
        sim->callbacks.lost += (uint64_t)copies;
        return;
    }
    if (fault_hits(faults, FAULT_CALLBACK_LATE)) {
        due += numbers[NUMBER_CALLBACK_LATE_MS];
    }
    if (fault_hits(faults, FAULT_CALLBACK_REORDERED)) {
        due +=
            fault_between(faults, FAULT_CALLBACK_REORDERED, 1, numbers[NUMBER_CALLBACK_REORDER_MS]);
    }
    for (int i = 0; i < copies; i++) {
        if (fault_hits(faults, FAULT_CALLBACK_COPY_LOST)) {
            sim->callbacks.lost++;
            continue;
        }
        plan_at(
            sim,
            due + fault_between(faults, FAULT_CALLBACK_COPY_LOST, 0,
                                numbers[NUMBER_CALLBACK_SPREAD_MS]),
            (struct timer){ .subject = index, .word = (uint8_t)result, .reason = CALLBACK_PUSH });
    }
}

/* The callbacks that are only ever sent, lost or doubled. */
static void plan_plain(struct sim *sim, enum callback_kind kind, uint32_t index, int lost,
                       int doubled)
{
    int copies = fault_hits(&sim->faults, doubled) ? 2 : 1;

    if (fault_hits(&sim->faults, lost)) {
        sim->callbacks.lost += (uint64_t)copies;
        return;
    }
    for (int i = 0; i < copies; i++) {
        plan_at(sim, due_ms(sim), (struct timer){ .subject = index, .reason = (uint8_t)kind });
    }
}

void callbacks_plan_c2b(struct sim *sim, uint32_t payment)
{
    plan_plain(sim, CALLBACK_C2B, payment, FAULT_C2B_LOST, FAULT_C2B_DOUBLED);
}

void callbacks_plan_reversal(struct sim *sim, uint32_t reversal)
{
    plan_plain(sim, CALLBACK_REVERSAL, reversal, FAULT_RESULT_LOST, FAULT_RESULT_DOUBLED);
}

void callbacks_repeat(struct sim *sim, uint32_t index)
{
    plan_at(sim, sim->loop.now_ms,
            (struct timer){ .subject = index,
                            .word = sim->book.pushes[index].result,
                            .reason = CALLBACK_PUSH });
}

void callbacks_fire(struct sim *sim, const struct timer *timer)
{
    struct callbacks *callbacks = &sim->callbacks;

    if (callbacks->due_count == callbacks->due_size) {
        uint32_t size = callbacks->due_size;
        struct timer *due = pages_map((size_t)size * 2 * sizeof(*due));

        for (uint32_t i = 0; i < size; i++) {
            due[i] = callbacks->due[(callbacks->due_first + i) % size];
        }
        pages_unmap(callbacks->due, size * sizeof(*due));
        callbacks->due = due;
        callbacks->due_first = 0;
        callbacks->due_size = size * 2;
    }
    callbacks->due[(callbacks->due_first + callbacks->due_count) % callbacks->due_size] = *timer;
    callbacks->due_count++;
}

void callbacks_shuffle(struct sim *sim)
{
    struct callbacks *callbacks = &sim->callbacks;

    for (uint32_t i = callbacks->due_count; i > 1; i--) {
        uint32_t other =
            (uint32_t)fault_between(&sim->faults, FAULT_CALLBACK_REORDERED, 0, (int64_t)i - 1);
        struct timer *a = &callbacks->due[(callbacks->due_first + i - 1) % callbacks->due_size];
        struct timer *b = &callbacks->due[(callbacks->due_first + other) % callbacks->due_size];
        struct timer kept = *a;

        *a = *b;
        *b = kept;
    }
}

uint64_t callbacks_pending(const struct sim *sim)
{
    const struct callbacks *callbacks = &sim->callbacks;

    return callbacks->planned - callbacks->answered - callbacks->given_up;
}

void callbacks_clear(struct sim *sim)
{
    struct callbacks *callbacks = &sim->callbacks;

    /* done() of the requests in flight may plan repetitions: so the wheel comes second. */
    poster_break(&callbacks->poster);
    wheel_drop(&sim->wheel, TIMER_CALLBACK);
    callbacks->stopped = false;
    callbacks->due_first = callbacks->due_count = 0;
    callbacks->planned = callbacks->answered = callbacks->retried = callbacks->given_up = 0;
    callbacks->lost = callbacks->unroutable = callbacks->refused = callbacks->broken = 0;
    memset(callbacks->posted, 0, sizeof(callbacks->posted));
}

void callbacks_close(struct sim *sim)
{
    callbacks_clear(sim);
    pages_unmap(sim->callbacks.due, sim->callbacks.due_size * sizeof(struct timer));
}
