/*
 * metrics - counters that all worker processes share, in Prometheus text
 *
 *     struct metrics *metrics = metrics_create("tuma_send_sms");    // before fork()
 *     metrics_serve(metrics, "127.0.0.1:9101", NULL, NULL, &err);   // in the supervisor
 *
 *     struct metric *retries = metrics_counter(metrics, "messages_total", "Messages by outcome.",
 *                                              "verdict=\"retry\",why=\"carrier_busy\"");
 *     metric_add(retries, 1);                                       // in any worker, any thread
 *
 * The cells live in one anonymous shared mapping: what a worker adds is seen by all, and survives
 * the worker. Names and help are literals; labels are the text between the braces, "" for none.
 * Looking up takes a hash and a compare and may be done each time; keeping the pointer is faster.
 * When METRICS_MAX different metrics exist, further ones share a cell that is not shown, and
 * <prefix>_metrics_lost_total counts them: a label that comes from outside cannot do harm.
 */
#ifndef METRICS_METRICS_H
#define METRICS_METRICS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

#define METRICS_MAX 256
#define METRICS_NAME_BYTES 64    /* with the NUL; a longer name panics */
#define METRICS_LABELS_BYTES 192 /* with the NUL; longer ones count as one metric too many */

struct metrics;
struct metric;

/* prefix is copied; it and an underscore stand before every name. */
struct metrics *metrics_create(const char *prefix);

/* Stops serving too. Accepts NULL. */
void metrics_destroy(struct metrics *metrics);

/* Find or add; never NULL. The same name and labels give the same metric in every process. */
struct metric *metrics_counter(struct metrics *metrics, const char *name, const char *help,
                               const char *labels);
struct metric *metrics_gauge(struct metrics *metrics, const char *name, const char *help,
                             const char *labels);

/* Durations, shown in seconds; the buckets go from 1 ms to 30 s. Name it "..._seconds". */
struct metric *metrics_histogram(struct metrics *metrics, const char *name, const char *help,
                                 const char *labels);

void metric_add(struct metric *metric, int64_t n);     /* counters, gauges (also below zero) */
void metric_set(struct metric *metric, int64_t value); /* gauges */
void metric_observe_us(struct metric *metric, int64_t us);

/* The value of a counter or gauge, the number of observations of a histogram. */
int64_t metric_value(const struct metric *metric);

/* Appends everything in Prometheus text format 0.0.4, sorted by name and labels. */
void metrics_write(struct metrics *metrics, struct str *out);

/*
 * Starts a thread that answers GET /metrics, and GET /healthz with 200 or 503. listen is
 * "host:port" or "[v6]:port"; port 0 takes a free one. is_healthy runs on that thread; NULL is
 * always healthy. One server per process; a forked child has none and does not hold the port.
 */
bool metrics_serve(struct metrics *metrics, const char *listen, bool (*is_healthy)(void *context),
                   void *context, struct err *err) __attribute__((warn_unused_result));

/* The port that is served, 0 for none. */
int metrics_port(const struct metrics *metrics);

/* Stops serving; does nothing when nothing is served. */
void metrics_stop(struct metrics *metrics);

#endif
