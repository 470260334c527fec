/*
 * work - the threads that may wait for the database
 *
 *     static void run(struct job *job, struct worker *worker) { … worker_db(worker, &err) … }
 *     request->job.run = run;
 *     if (!work_submit(work, &request->job)) … too busy
 *
 * A fixed number of threads, each with one connection, and one queue. A job is kept until it has
 * run; it is never dropped once submitted.
 */
#ifndef INGRESS_WORK_H
#define INGRESS_WORK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "db/db.h"

struct job;
struct worker;
struct work;
struct settings;
struct http;

typedef void job_fn(struct job *job, struct worker *worker);

struct job {
    struct job *next; /* the queue's */
    job_fn *run;
    void *context;
};

/* settings are kept. Does not wait for the database. */
struct work *work_create(const struct settings *settings);

/* Runs what is queued, then ends the threads. Accepts NULL. */
void work_destroy(struct work *work);

/* False when the queue is full; forced takes it all the same (for work that ends others). */
bool work_submit(struct work *work, struct job *job, bool forced);

/* The worker's connection, opened or brought back when needed; NULL with a temporary err. */
struct db *worker_db(struct worker *worker, struct err *err);

/* A client for providers, made on first use; NULL with err. */
struct http *worker_http(struct worker *worker, struct err *err);

#endif
