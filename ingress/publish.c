/*
 * publish - the publisher's thread: queue in, broker, settlements out
 *
 * A flight is one message handed to the broker's publisher; its index is the ticket. Whoever takes
 * a flight's cargo under the lock settles it, so a confirm and the deadline cannot both. While the
 * thread copies a cargo's body (state BUSY) the deadline leaves it alone: the body is still needed.
 *
 * Locks: publisher->lock guards everything but the broker connection and body, which are the
 * thread's own. No callback is called with the lock held.
 */
#include "publish.h"

#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/panic.h"
#include "base/str.h"
#include "broker/broker.h"
#include "gather.h"
#include "msg/report.h"
#include "msg/topic.h"
#include "settings.h"

#define FLIGHTS 256 /* messages at the broker at once */

#define PROGRESS_MS 1500     /* longest hang in the network; with CONFIRM_MS below 5 s */
#define IDLE_MS 200          /* heartbeats and reconnects are looked after this often */
#define REFUSE_AFTER_MS 1000 /* away this long: refuse at once */

enum flight_state { FLIGHT_FREE, FLIGHT_BUSY, FLIGHT_LIVE, FLIGHT_DEAD };

struct flight {
    enum flight_state state;
    int64_t deadline_ms;
    struct parcel *parcel;
    struct report *reports;
    bool is_reports;
};

struct publisher {
    struct publish_conf conf;
    struct arena *arena;
    struct broker_publisher *broker;
    pthread_t thread;
    int wake_fd;

    pthread_mutex_t lock;
    struct parcel *parcels, **parcels_tail;
    struct gather reports;
    struct flight flights[FLIGHTS];
    int free_flights[FLIGHTS];
    int free_count;
    int report_flights;
    bool wants_parcels; /* the thread sleeps and could take a parcel */
    int wants_reports;  /* likewise, once so many are queued; INT_MAX: never */
    bool stopping;
    bool closed; /* the thread is gone */
    char trouble[200];

    _Atomic int64_t away_since_ms; /* 0: the broker takes messages */
    atomic_bool stopped;

    bool has_settled; /* the thread's own, as what follows */
    struct str body;
    struct str exchange, key;
    struct str report_exchange, report_key;
    struct log log;
    struct metric *confirmed, *failed, *reports_in, *confirm_time;
};

static void expire(struct publisher *publisher, int64_t now_ms);

static void wake(struct publisher *publisher)
{
    uint64_t one = 1;

    if (write(publisher->wake_fd, &one, sizeof(one)) != (ssize_t)sizeof(one)) {
        panic("eventfd");
    }
}

void publish_send(struct publisher *publisher, struct parcel *parcel)
{
    bool asleep, closed;

    parcel->next = NULL;
    parcel->deadline_ms = clock_mono_ms() + CONFIRM_MS;
    pthread_mutex_lock(&publisher->lock);
    *publisher->parcels_tail = parcel;
    publisher->parcels_tail = &parcel->next;
    asleep = publisher->wants_parcels;
    publisher->wants_parcels = false;
    closed = publisher->closed;
    pthread_mutex_unlock(&publisher->lock);
    if (asleep) {
        wake(publisher);
    }
    if (closed) {
        expire(publisher, INT64_MAX);
    }
}

void publish_report(struct publisher *publisher, struct report *report)
{
    bool asleep, closed;

    report->deadline_ms = clock_mono_ms() + CONFIRM_MS;
    pthread_mutex_lock(&publisher->lock);
    gather_add(&publisher->reports, report);
    asleep = publisher->reports.count >= publisher->wants_reports;
    if (asleep) {
        publisher->wants_reports = INT_MAX;
    }
    closed = publisher->closed;
    pthread_mutex_unlock(&publisher->lock);
    if (asleep) {
        wake(publisher);
    }
    if (closed) {
        expire(publisher, INT64_MAX);
    }
}

/* --- settling -----------------------------------------------------------------------------------
 */

static void settle_parcel(struct publisher *publisher, struct parcel *parcel,
                          enum publish_outcome outcome)
{
    metric_add(outcome == PUBLISH_CONFIRMED ? publisher->confirmed : publisher->failed, 1);
    parcel->settled(parcel, outcome);
}

static void settle_reports(struct publisher *publisher, struct report *list,
                           enum publish_outcome outcome)
{
    metric_add(outcome == PUBLISH_CONFIRMED ? publisher->confirmed : publisher->failed, 1);
    publisher->conf.reports_settled(list, outcome);
}

/* Called with the lock held. */
static void free_flight(struct publisher *publisher, int index)
{
    struct flight *flight = &publisher->flights[index];

    if (flight->is_reports) {
        publisher->report_flights--;
    }
    *flight = (struct flight){ .state = FLIGHT_FREE };
    publisher->free_flights[publisher->free_count++] = index;
}

static void on_settled(void *context, uint64_t ticket, enum broker_outcome outcome)
{
    static const enum publish_outcome meanings[] = {
        [BROKER_CONFIRMED] = PUBLISH_CONFIRMED,
        [BROKER_RETURNED] = PUBLISH_UNROUTABLE,
        [BROKER_REFUSED] = PUBLISH_FULL,
    };
    struct publisher *publisher = context;
    struct flight *flight = &publisher->flights[ticket];
    struct flight cargo;

    publisher->has_settled = true;
    pthread_mutex_lock(&publisher->lock);
    cargo = *flight;
    free_flight(publisher, (int)ticket);
    pthread_mutex_unlock(&publisher->lock);
    if (cargo.state != FLIGHT_LIVE) {
        return;
    }
    metric_observe_us(publisher->confirm_time,
                      (clock_mono_ms() + CONFIRM_MS - cargo.deadline_ms) * 1000);
    if (cargo.parcel != NULL) {
        settle_parcel(publisher, cargo.parcel, meanings[outcome]);
    } else {
        settle_reports(publisher, cargo.reports, meanings[outcome]);
    }
}

static struct report **end_of(struct report **list)
{
    while (*list != NULL) {
        list = &(*list)->next;
    }
    return list;
}

/* What is overdue at now_ms, taken out; everything when now_ms is INT64_MAX. Lock held. */
static void take_overdue(struct publisher *publisher, int64_t now_ms, struct parcel **out_parcels,
                         struct report **out_reports)
{
    struct parcel **parcels_tail = out_parcels;
    struct report **reports_tail = out_reports;

    while (publisher->parcels != NULL && publisher->parcels->deadline_ms <= now_ms) {
        *parcels_tail = publisher->parcels;
        parcels_tail = &publisher->parcels->next;
        publisher->parcels = publisher->parcels->next;
    }
    if (publisher->parcels == NULL) {
        publisher->parcels_tail = &publisher->parcels;
    }
    *reports_tail = gather_take_overdue(&publisher->reports, now_ms);
    for (int i = 0; i < FLIGHTS; i++) {
        struct flight *flight = &publisher->flights[i];
        if (flight->state != FLIGHT_LIVE || flight->deadline_ms > now_ms) {
            continue;
        }
        flight->state = FLIGHT_DEAD;
        if (flight->parcel != NULL) {
            *parcels_tail = flight->parcel;
            parcels_tail = &flight->parcel->next;
        } else {
            reports_tail = end_of(reports_tail);
            *reports_tail = flight->reports;
        }
    }
    *parcels_tail = NULL;
}

static void expire(struct publisher *publisher, int64_t now_ms)
{
    struct parcel *parcels = NULL;
    struct report *reports = NULL;

    pthread_mutex_lock(&publisher->lock);
    take_overdue(publisher, now_ms, &parcels, &reports);
    pthread_mutex_unlock(&publisher->lock);
    while (parcels != NULL) {
        struct parcel *parcel = parcels;
        parcels = parcel->next;
        settle_parcel(publisher, parcel, PUBLISH_AWAY);
    }
    if (reports != NULL) {
        settle_reports(publisher, reports, PUBLISH_AWAY);
    }
}

void publish_expire(struct publisher *publisher)
{
    expire(publisher, clock_mono_ms());
}

/* --- the thread ---------------------------------------------------------------------------------
 */

static void hand_over(struct publisher *publisher, struct broker_message *message, int index,
                      const char *account, const char *trace)
{
    struct broker_header headers[3];
    size_t count = 0;
    char fresh[TRACE_BYTES];

    if (trace == NULL) {
        publish_trace(NULL, fresh);
        trace = fresh;
    }
    headers[count++] = (struct broker_header){ .key = "traceparent", .text = trace };
    headers[count++] = (struct broker_header){ .key = "attempt", .num = 1 };
    if (account != NULL) {
        headers[count++] = (struct broker_header){ .key = "account", .text = account };
    }
    message->timestamp_ms = clock_now_ms();
    message->headers = headers;
    message->header_count = count;
    broker_publish(publisher->broker, message, (uint64_t)index);
    message->headers = NULL;
    message->header_count = 0;
    pthread_mutex_lock(&publisher->lock);
    publisher->flights[index].state = FLIGHT_LIVE;
    pthread_mutex_unlock(&publisher->lock);
}

static void publish_parcel(struct publisher *publisher, struct parcel *parcel, int index)
{
    const struct topic *topic = topic_find(parcel->shape->type);

    if (topic == NULL) {
        panic("type %s has no topic", parcel->shape->type);
    }
    str_reset(&publisher->exchange);
    str_reset(&publisher->key);
    topic_exchange(publisher->conf.prefix, topic, &publisher->exchange);
    topic_key(topic, NULL, parcel->lane, &publisher->key);
    struct broker_message message = {
        .exchange = publisher->exchange.bytes,
        .key = publisher->key.bytes,
        .id = parcel->id,
        .type = parcel->shape->type,
        .correlation = parcel->correlation,
        .body = parcel->body,
        .body_len = parcel->body_len,
    };
    hand_over(publisher, &message, index, parcel->account, parcel->trace);
}

static void publish_reports(struct publisher *publisher, const struct report *list, int index)
{
    struct str *body = &publisher->body;
    char id[ID_MESSAGE_BYTES];

    metric_add(publisher->reports_in, gather_write(list, body));
    id_message(id);
    struct broker_message message = {
        .exchange = publisher->report_exchange.bytes,
        .key = publisher->report_key.bytes,
        .id = id,
        .type = delivery_reported_v1.type,
        .body = body->bytes,
        .body_len = body->len,
    };
    hand_over(publisher, &message, index, NULL, NULL);
}

/* The next cargo as a BUSY flight, or -1: nothing to do, or no room. Sets what may wake us. */
static int take_cargo(struct publisher *publisher)
{
    int index = -1;

    pthread_mutex_lock(&publisher->lock);
    bool room = publisher->free_count > 0 && broker_publisher_room(publisher->broker) > 0;
    int needed = room ? gather_needed(&publisher->reports, publisher->report_flights) : INT_MAX;
    bool reports = publisher->reports.count >= needed;
    if (room && (reports || publisher->parcels != NULL)) {
        index = publisher->free_flights[--publisher->free_count];
        struct flight *flight = &publisher->flights[index];
        flight->state = FLIGHT_BUSY;
        if (reports) {
            flight->reports = gather_take(&publisher->reports);
            flight->deadline_ms = flight->reports->deadline_ms;
            flight->is_reports = true;
            publisher->report_flights++;
        } else {
            flight->parcel = publisher->parcels;
            flight->deadline_ms = flight->parcel->deadline_ms;
            publisher->parcels = flight->parcel->next;
            if (publisher->parcels == NULL) {
                publisher->parcels_tail = &publisher->parcels;
            }
        }
    }
    publisher->wants_parcels = index < 0 && room;
    publisher->wants_reports = index < 0 ? needed : INT_MAX;
    pthread_mutex_unlock(&publisher->lock);
    return index;
}

static void note_state(struct publisher *publisher)
{
    bool up = broker_publisher_is_up(publisher->broker) &&
              !broker_publisher_is_blocked(publisher->broker);
    bool was_up = publisher->away_since_ms == 0;

    if (up == was_up) {
        return;
    }
    publisher->away_since_ms = up ? 0 : clock_mono_ms();
    pthread_mutex_lock(&publisher->lock);
    const char *why = up ? ""
                      : broker_publisher_is_blocked(publisher->broker)
                          ? "the broker's alarm is on"
                          : broker_publisher_trouble(publisher->broker);
    snprintf(publisher->trouble, sizeof(publisher->trouble), "%s", why);
    pthread_mutex_unlock(&publisher->lock);
    if (up) {
        log_info(&publisher->log, "broker_up");
    } else {
        log_warn(&publisher->log, "broker_away", KV_STR("detail", publisher->trouble));
    }
}

/* How long there is nothing to do unless somebody wakes us. */
static int rest_ms(struct publisher *publisher)
{
    int64_t ms = -1;

    pthread_mutex_lock(&publisher->lock);
    /* Without room, as while the broker is away, only the broker can make a difference. */
    if (publisher->wants_reports != INT_MAX && publisher->report_flights == 0) {
        ms = gather_wait_ms(&publisher->reports);
    }
    pthread_mutex_unlock(&publisher->lock);
    return ms < 0 || ms > IDLE_MS ? IDLE_MS : (int)ms;
}

static void rest(struct publisher *publisher)
{
    struct pollfd fds[] = {
        { .fd = publisher->wake_fd, .events = POLLIN },
        { .fd = broker_publisher_fd(publisher->broker), .events = POLLIN },
    };
    uint64_t count;

    (void)poll(fds, 2, rest_ms(publisher));
    if ((fds[0].revents & POLLIN) != 0 &&
        read(publisher->wake_fd, &count, sizeof(count)) != (ssize_t)sizeof(count)) {
        panic("eventfd");
    }
}

static bool has_work(struct publisher *publisher)
{
    bool work;

    pthread_mutex_lock(&publisher->lock);
    work = !publisher->stopping || publisher->parcels != NULL || publisher->reports.head != NULL ||
           publisher->free_count < FLIGHTS;
    pthread_mutex_unlock(&publisher->lock);
    return work;
}

static void *run(void *argument)
{
    struct publisher *publisher = argument;
    int index;

    while (!publisher->stopped && has_work(publisher)) {
        while ((index = take_cargo(publisher)) >= 0) {
            struct flight *flight = &publisher->flights[index];
            if (flight->is_reports) {
                publish_reports(publisher, flight->reports, index);
            } else {
                publish_parcel(publisher, flight->parcel, index);
            }
        }
        publisher->has_settled = false;
        broker_publisher_pump(publisher->broker, 0, on_settled, publisher);
        note_state(publisher);
        if (!publisher->has_settled) { /* otherwise there may be room for what waits */
            rest(publisher);
            broker_publisher_pump(publisher->broker, 0, on_settled, publisher);
        }
    }
    return NULL;
}

/* --- making, ending, asking ----------------------------------------------------------------------
 */

bool publisher_create(const struct publish_conf *conf, struct publisher **out_publisher,
                      struct err *err)
{
    struct arena *arena = arena_create((size_t)1 << 20);
    struct publisher *publisher = arena_alloc(arena, sizeof(*publisher));
    const struct topic *reports = topic_find(delivery_reported_v1.type);
    const struct broker_conf broker = {
        .url = conf->url,
        .name = "ingress",
        .window = FLIGHTS,
        .progress_ms = PROGRESS_MS,
    };

    publisher->conf = *conf;
    publisher->arena = arena;
    publisher->parcels_tail = &publisher->parcels;
    gather_init(&publisher->reports);
    for (int i = 0; i < FLIGHTS; i++) {
        publisher->free_flights[publisher->free_count++] = i;
    }
    publisher->away_since_ms = clock_mono_ms();
    log_context(&publisher->log, "stage", "ingress");
    publisher->confirmed = metrics_counter(conf->metrics, "published_total", "Messages by outcome.",
                                           "outcome=\"confirmed\"");
    publisher->failed = metrics_counter(conf->metrics, "published_total", "Messages by outcome.",
                                        "outcome=\"failed\"");
    publisher->reports_in = metrics_counter(conf->metrics, "reports_total",
                                            "Delivery reports handed to the broker.", "");
    publisher->confirm_time = metrics_histogram(conf->metrics, "confirm_seconds",
                                                "From queueing a message to its confirm.", "");
    topic_exchange(conf->prefix, reports, &publisher->report_exchange);
    topic_key(reports, NULL, LANE_NORMAL, &publisher->report_key);
    pthread_mutex_init(&publisher->lock, NULL);
    publisher->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (publisher->wake_fd < 0) {
        panic("eventfd");
    }
    if (!broker_publisher_create(&broker, &publisher->broker, err)) {
        close(publisher->wake_fd);
        arena_destroy(arena);
        return false;
    }
    if (pthread_create(&publisher->thread, NULL, run, publisher) != 0) {
        panic("no thread for the publisher");
    }
    *out_publisher = publisher;
    return true;
}

void publisher_stop(struct publisher *publisher, int64_t wait_ms)
{
    if (publisher == NULL) {
        return;
    }
    int64_t until_ms = clock_now_ms() + wait_ms;
    struct timespec until = { .tv_sec = until_ms / 1000, .tv_nsec = (until_ms % 1000) * 1000000 };
    pthread_mutex_lock(&publisher->lock);
    publisher->stopping = true;
    pthread_mutex_unlock(&publisher->lock);
    wake(publisher);
    if (pthread_timedjoin_np(publisher->thread, NULL, &until) != 0) {
        publisher->stopped = true;
        wake(publisher);
        pthread_join(publisher->thread, NULL);
    }
    pthread_mutex_lock(&publisher->lock);
    publisher->closed = true;
    pthread_mutex_unlock(&publisher->lock);
    expire(publisher, INT64_MAX);
}

void publisher_destroy(struct publisher *publisher)
{
    if (publisher == NULL) {
        return;
    }
    broker_publisher_destroy(publisher->broker);
    close(publisher->wake_fd);
    pthread_mutex_destroy(&publisher->lock);
    str_free(&publisher->body);
    str_free(&publisher->exchange);
    str_free(&publisher->key);
    str_free(&publisher->report_exchange);
    str_free(&publisher->report_key);
    arena_destroy(publisher->arena);
}

bool publish_is_ready(const struct publisher *publisher)
{
    int64_t since_ms = publisher->away_since_ms;

    return since_ms == 0 || clock_mono_ms() - since_ms < REFUSE_AFTER_MS;
}

void publish_trouble(struct publisher *publisher, char out[200])
{
    pthread_mutex_lock(&publisher->lock);
    memcpy(out, publisher->trouble, sizeof(publisher->trouble));
    pthread_mutex_unlock(&publisher->lock);
}
