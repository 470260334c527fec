/*
 * metrics - counters that all worker processes share, in Prometheus text
 *
 * The registry is a hash table in the shared mapping, only ever added to, without a lock: a lock
 * would stay taken when a worker is killed while it holds it. A slot goes from EMPTY through BUSY
 * to READY; whoever meets a BUSY one waits a little, then takes its writer for dead and goes on
 * to the next. Should the writer have lived after all, the same metric stands in two slots,
 * and their values are added up when they are shown.
 */
#include "metrics/metrics.h"

#include <sched.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/panic.h"

#define SLOTS (2 * METRICS_MAX) /* a power of two */
#define HELP_BYTES 128
#define BUSY_TURNS 1000 /* filling a slot takes less than a microsecond */

enum slot_state { SLOT_EMPTY, SLOT_BUSY, SLOT_READY, SLOT_DEAD };

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

static const char *const type_names[] = { "counter", "gauge", "histogram" };

static const struct {
    int64_t us;
    const char *le;
} buckets[] = {
    { 1000, "0.001" },  { 2500, "0.0025" }, { 5000, "0.005" },     { 10000, "0.01" },
    { 25000, "0.025" }, { 50000, "0.05" },  { 100000, "0.1" },     { 250000, "0.25" },
    { 500000, "0.5" },  { 1000000, "1" },   { 2500000, "2.5" },    { 5000000, "5" },
    { 10000000, "10" }, { 30000000, "30" }, { INT64_MAX, "+Inf" },
};

#define BUCKETS (sizeof(buckets) / sizeof(buckets[0]))

struct metric {
    _Atomic int state; /* enum slot_state */
    enum metric_type type;
    uint64_t hash;
    char name[METRICS_NAME_BYTES];
    char help[HELP_BYTES];
    char labels[METRICS_LABELS_BYTES];
    _Atomic int64_t value; /* of a histogram: the sum in microseconds */
    _Atomic int64_t counts[BUCKETS];
};

struct shared {
    _Atomic int taken;
    _Atomic int64_t lost;
    struct metric spill; /* for all that did not fit */
    struct metric slots[SLOTS];
};

/* Processes share the mapping; each has its own handle, though forked ones look the same. */
struct metrics {
    char prefix[METRICS_NAME_BYTES];
    struct shared *shared;
};

struct metrics *metrics_create(const char *prefix)
{
    struct metrics *metrics = calloc(1, sizeof(*metrics));
    size_t len = strlen(prefix);

    if (metrics == NULL) {
        panic("out of memory for metrics");
    }
    if (len >= sizeof(metrics->prefix)) {
        panic("metrics prefix '%s' is too long", prefix);
    }
    memcpy(metrics->prefix, prefix, len + 1);
    metrics->shared = mmap(NULL, sizeof(*metrics->shared), PROT_READ | PROT_WRITE,
                           MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (metrics->shared == MAP_FAILED) {
        panic("cannot map %zu bytes for metrics", sizeof(*metrics->shared));
    }
    return metrics;
}

void metrics_destroy(struct metrics *metrics)
{
    if (metrics != NULL) {
        metrics_stop(metrics);
        munmap(metrics->shared, sizeof(*metrics->shared));
        free(metrics);
    }
}

/* FNV-1a. */
static uint64_t add_to_hash(uint64_t hash, const char *text)
{
    for (; *text != '\0'; text++) {
        hash = (hash ^ (unsigned char)*text) * 0x100000001b3U;
    }
    return hash;
}

static bool is_name(const char *name)
{
    size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyz_0123456789");

    return len > 0 && len < METRICS_NAME_BYTES && name[len] == '\0' &&
           (name[0] < '0' || name[0] > '9');
}

static bool is_label_text(const char *labels)
{
    for (const char *c = labels; *c != '\0'; c++) {
        if ((unsigned char)*c < ' ' || *c == '\x7f') {
            return false;
        }
    }
    return strlen(labels) < METRICS_LABELS_BYTES;
}

/* Waits for the writer of a busy slot; afterwards the slot is READY or DEAD. */
static int await_writer(struct metric *slot)
{
    int state = SLOT_BUSY;

    for (int i = 0; i < BUSY_TURNS && state == SLOT_BUSY; i++) {
        sched_yield();
        state = atomic_load_explicit(&slot->state, memory_order_acquire);
    }
    if (state == SLOT_BUSY && atomic_compare_exchange_strong(&slot->state, &state, SLOT_DEAD)) {
        state = SLOT_DEAD;
    }
    return state;
}

static struct metric *lose(struct shared *shared)
{
    atomic_fetch_add_explicit(&shared->lost, 1, memory_order_relaxed);
    return &shared->spill;
}

static void fill(struct metric *slot, const struct metric *like)
{
    slot->type = like->type;
    slot->hash = like->hash;
    memcpy(slot->name, like->name, sizeof(slot->name));
    memcpy(slot->help, like->help, sizeof(slot->help));
    memcpy(slot->labels, like->labels, sizeof(slot->labels));
    atomic_store_explicit(&slot->state, SLOT_READY, memory_order_release);
}

static struct metric *find_or_add(struct shared *shared, const struct metric *like)
{
    for (size_t i = 0; i < SLOTS; i++) {
        struct metric *slot = &shared->slots[(like->hash + i) % SLOTS];
        int state = atomic_load_explicit(&slot->state, memory_order_acquire);
        if (state == SLOT_EMPTY) {
            if (atomic_fetch_add(&shared->taken, 1) >= METRICS_MAX) {
                atomic_fetch_sub(&shared->taken, 1);
                return lose(shared);
            }
            if (atomic_compare_exchange_strong(&slot->state, &state, SLOT_BUSY)) {
                fill(slot, like);
                return slot;
            }
            atomic_fetch_sub(&shared->taken, 1); /* another was quicker; state says what it is */
        }
        if (state == SLOT_BUSY) {
            state = await_writer(slot);
        }
        if (state == SLOT_READY && slot->hash == like->hash &&
            strcmp(slot->name, like->name) == 0 && strcmp(slot->labels, like->labels) == 0) {
            if (slot->type != like->type) {
                panic("metric '%s' is a %s", slot->name, type_names[slot->type]);
            }
            return slot;
        }
    }
    return lose(shared);
}

static struct metric *get_metric(struct metrics *metrics, enum metric_type type, const char *name,
                                 const char *help, const char *labels)
{
    struct metric like = { .type = type };

    if (!is_name(name)) {
        panic("bad metric name '%s'", name);
    }
    if (!is_label_text(labels)) {
        return lose(metrics->shared);
    }
    memcpy(like.name, name, strlen(name) + 1);
    memcpy(like.help, help, strnlen(help, sizeof(like.help) - 1));
    memcpy(like.labels, labels, strlen(labels) + 1);
    like.hash = add_to_hash(add_to_hash(0xcbf29ce484222325U, name), labels);
    return find_or_add(metrics->shared, &like);
}

struct metric *metrics_counter(struct metrics *metrics, const char *name, const char *help,
                               const char *labels)
{
    return get_metric(metrics, METRIC_COUNTER, name, help, labels);
}

struct metric *metrics_gauge(struct metrics *metrics, const char *name, const char *help,
                             const char *labels)
{
    return get_metric(metrics, METRIC_GAUGE, name, help, labels);
}

struct metric *metrics_histogram(struct metrics *metrics, const char *name, const char *help,
                                 const char *labels)
{
    return get_metric(metrics, METRIC_HISTOGRAM, name, help, labels);
}

void metric_add(struct metric *metric, int64_t n)
{
    atomic_fetch_add_explicit(&metric->value, n, memory_order_relaxed);
}

void metric_set(struct metric *metric, int64_t value)
{
    atomic_store_explicit(&metric->value, value, memory_order_relaxed);
}

void metric_observe_us(struct metric *metric, int64_t us)
{
    size_t at = 0;

    while (us > buckets[at].us) {
        at++;
    }
    atomic_fetch_add_explicit(&metric->counts[at], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&metric->value, us, memory_order_relaxed);
}

static int64_t load(const _Atomic int64_t *cell)
{
    return atomic_load_explicit(cell, memory_order_relaxed);
}

int64_t metric_value(const struct metric *metric)
{
    int64_t count = 0;

    if (metric->type != METRIC_HISTOGRAM) {
        return load(&metric->value);
    }
    for (size_t i = 0; i < BUCKETS; i++) {
        count += load(&metric->counts[i]);
    }
    return count;
}

static int compare(const void *a, const void *b)
{
    const struct metric *const *x = a;
    const struct metric *const *y = b;
    int order = strcmp((*x)->name, (*y)->name);

    return order != 0 ? order : strcmp((*x)->labels, (*y)->labels);
}

/* All that can be shown, sorted; returns how many. */
static size_t collect(struct shared *shared, const struct metric **out)
{
    size_t count = 0;

    for (size_t i = 0; i < SLOTS; i++) {
        if (atomic_load_explicit(&shared->slots[i].state, memory_order_acquire) == SLOT_READY) {
            out[count++] = &shared->slots[i];
        }
    }
    qsort(out, count, sizeof(*out), compare);
    return count;
}

static void put_head(struct str *out, const char *prefix, const char *name, const char *help,
                     enum metric_type type)
{
    str_printf(out, "# HELP %s_%s ", prefix, name);
    for (; *help != '\0'; help++) {
        if (*help == '\n') {
            str_puts(out, "\\n");
        } else if (*help == '\\') {
            str_puts(out, "\\\\");
        } else {
            str_putc(out, *help);
        }
    }
    str_printf(out, "\n# TYPE %s_%s %s\n", prefix, name, type_names[type]);
}

static void put_histogram(struct str *out, const char *prefix, const struct metric *metric,
                          const int64_t *counts, int64_t sum_us)
{
    const char *comma = metric->labels[0] != '\0' ? "," : "";
    const char *open = metric->labels[0] != '\0' ? "{" : "";
    const char *close = metric->labels[0] != '\0' ? "}" : "";
    int64_t below = 0;

    for (size_t i = 0; i < BUCKETS; i++) {
        below += counts[i];
        str_printf(out, "%s_%s_bucket{%s%sle=\"%s\"} %lld\n", prefix, metric->name, metric->labels,
                   comma, buckets[i].le, (long long)below);
    }
    str_printf(out, "%s_%s_sum%s%s%s %lld.%06lld\n", prefix, metric->name, open, metric->labels,
               close, (long long)(sum_us / 1000000), (long long)(sum_us % 1000000));
    str_printf(out, "%s_%s_count%s%s%s %lld\n", prefix, metric->name, open, metric->labels, close,
               (long long)below);
}

/* Writes one metric, adding up the slots that hold it; returns how many they are. */
static size_t put_metric(struct str *out, const char *prefix, const struct metric **from,
                         size_t count)
{
    const struct metric *metric = from[0];
    int64_t counts[BUCKETS] = { 0 };
    int64_t value = 0;
    size_t same = 0;

    for (; same < count && compare(&from[0], &from[same]) == 0; same++) {
        value += load(&from[same]->value);
        for (size_t i = 0; i < BUCKETS; i++) {
            counts[i] += load(&from[same]->counts[i]);
        }
    }
    if (metric->type == METRIC_HISTOGRAM) {
        put_histogram(out, prefix, metric, counts, value);
    } else if (metric->labels[0] != '\0') {
        str_printf(out, "%s_%s{%s} %lld\n", prefix, metric->name, metric->labels, (long long)value);
    } else {
        str_printf(out, "%s_%s %lld\n", prefix, metric->name, (long long)value);
    }
    return same;
}

void metrics_write(struct metrics *metrics, struct str *out)
{
    const struct metric *all[SLOTS];
    size_t count = collect(metrics->shared, all);
    const char *last_name = "";

    for (size_t i = 0; i < count;) {
        if (strcmp(last_name, all[i]->name) != 0) {
            put_head(out, metrics->prefix, all[i]->name, all[i]->help, all[i]->type);
            last_name = all[i]->name;
        }
        i += put_metric(out, metrics->prefix, &all[i], count - i);
    }
    int64_t lost = load(&metrics->shared->lost);
    if (lost > 0) {
        static const char name[] = "metrics_lost_total";
        put_head(out, metrics->prefix, name, "Look-ups of metrics that had no place.",
                 METRIC_COUNTER);
        str_printf(out, "%s_%s %lld\n", metrics->prefix, name, (long long)lost);
    }
}
