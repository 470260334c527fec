/*
 * stage - the skeleton every stage program is built on
 *
 * A stage is a program that takes messages from its queues and turns each into zero or more
 * new messages. Write the turning; this module does the rest: settings, logging, signals,
 * worker processes, broker, database transaction, retries, parking, metrics, shutdown.
 *
 *     static enum verdict handle(struct stage *stage, const struct message *in)
 *     {
 *         if (!message_read(in, &order_placed_v1, &order, &err))
 *             return stage_fail(stage, &err);
 *         if (!db_run(stage_db(stage), &insert_order, values, NULL, &err))
 *             return stage_fail(stage, &err);
 *         stage_emit(stage, &order_checked_v1, &checked);
 *         return STAGE_DONE;
 *     }
 *
 * Promises to the handler:
 *   - one message at a time (or the few that were asked for), on one thread;
 *   - a transaction is open; it commits after STAGE_DONE and rolls back otherwise;
 *   - nothing emitted is visible to anyone until STAGE_DONE was returned and the commit stands;
 *   - the input is acknowledged after the broker confirmed every output;
 *   - the same message may arrive again, with the same id: be idempotent, and emit the same;
 *   - memory from stage_arena() lives until the handler returns.
 *
 * LIFECYCLE.md beside this file has the states of a message and what a crash in each does.
 */
#ifndef STAGE_STAGE_H
#define STAGE_STAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/conf.h"
#include "base/err.h"
#include "base/log.h"
#include "db/db.h"
#include "http/http.h"
#include "json/shape.h"
#include "metrics/metrics.h"
#include "msg/message.h"

struct stage;

#define TOGETHER_MAX 64

/* What became of a message. There is no fourth answer. */
enum verdict {
    STAGE_DONE,   /* handled: publish what was emitted, then forget the input */
    STAGE_RETRY,  /* not now: drop what was emitted, bring the input back later */
    STAGE_REJECT, /* never: drop what was emitted, park the input with the reason */
};

/* Everything the skeleton needs to know about a stage. Printed by --describe. */
struct stage_def {
    const char *name;                 /* queue, log tag, binary and directory name */
    const char *summary;              /* one line, no full stop */
    const struct shape *const *reads; /* accepted message types, NULL-terminated */
    const struct shape *const *emits; /* types it may emit; anything else is a bug */
    const struct conf_item *conf;     /* settings, or NULL */
    size_t conf_size;                 /* size of the settings struct */
    long deadline_ms;                 /* longest a handler may take; at most 55 s, see worker.c */
    const char *workers_env;          /* setting with the number of workers, or NULL */
    const char *workers_fallback;     /* its default; NULL means "1" */
    long prefetch;                    /* messages fetched ahead per lane; 0 means 4 */
    bool shares_lanes;                /* keep no worker for the high lane alone */
    bool uses_http;                   /* stage_http() is wanted */

    /* Called once before the first message, e.g. to read routes. Optional. */
    bool (*start)(struct stage *stage, struct err *err);

    /* Called for each message. */
    enum verdict (*handle)(struct stage *stage, const struct message *in);

    /*
     * Instead of handle, for work that is cheaper done for many at once: called with the messages
     * that wait, at most `together` of them, in one transaction. Two of them may be one message,
     * published twice. It may emit, or stage_commit(), only when there is one. When several end
     * otherwise than in STAGE_DONE all is rolled back and each is handled alone.
     */
    enum verdict (*handle_many)(struct stage *stage, const struct message *const *in, size_t count);
    size_t together;  /* with handle_many; at most TOGETHER_MAX and the prefetch */
    long together_ms; /* how long a message waits until there are so many */

    /*
     * Called about once a second, also when idle, inside a transaction of its own: due
     * campaigns, deadlines. What it emits is published and confirmed BEFORE the transaction
     * commits, so a crash repeats it: claim rows with FOR UPDATE SKIP LOCKED. It emits under keys
     * (stage_emit_as), since there is no input. Handles at most a bounded number of rows a call.
     * Optional. Returns false with err to roll back and be called again later.
     */
    bool (*tick)(struct stage *stage, struct err *err);

    /* Called once after the last message. Optional. */
    void (*stop)(struct stage *stage);
};

/* Runs the stage until it is told to stop; returns the process exit status. */
int stage_main(const struct stage_def *def, int argc, char **argv);

/* The settings struct filled from def->conf. */
const void *stage_conf(const struct stage *stage);

/* Scratch memory for this message. Never fails; emptied after the handler returns. */
struct arena *stage_arena(struct stage *stage);

/* Memory for the process's life: what start() wants to keep. */
struct arena *stage_memory(struct stage *stage);

/* Whatever start() wants to find again in handle(): a struct of the stage's own, kept. */
void stage_set_state(struct stage *stage, void *state);
void *stage_state(const struct stage *stage);

/* A log that already carries the stage, message and trace ids. */
struct log *stage_log(struct stage *stage);

/* The database, inside the transaction the skeleton opened. */
struct db *stage_db(struct stage *stage);

/*
 * The HTTP client, for stages that call providers. Calls that a third of the deadline was not long
 * enough to begin are HTTP_NOT_SENT, http_not_begun.
 */
struct http *stage_http(struct stage *stage);

/* Counters of this stage, shared by its workers. */
struct metrics *stage_metrics(struct stage *stage);

/* The route this process serves ("sms"), or NULL when the stage is not routed. */
const char *stage_route(const struct stage *stage);

/* Wall clock in milliseconds; tests set it. */
int64_t stage_now_ms(const struct stage *stage);

/* Commits the work so far and opens the next transaction: what must stand before a request leaves.
 */
bool stage_commit(struct stage *stage, struct err *err) __attribute__((warn_unused_result));

/* Waits, answering heartbeats and confirms meanwhile; at most deadline_ms. False when told to stop.
 */
bool stage_wait_ms(struct stage *stage, int64_t ms);

/*
 * Adds a message to this handler's output. The body is copied. The id is derived
 * from the input's id, this stage's name and the position in the output, so that a
 * replay emits the same ids. Emitting a type not listed in def->emits aborts.
 * It travels in the input's lane, with its trace, account and correlation.
 */
void stage_emit(struct stage *stage, const struct shape *shape, const void *body);

/* The same with what differs from the usual; zero fields mean the usual. */
struct emission {
    const char *key;         /* derive the id from this instead of from the input and position */
    const char *route;       /* for types that travel per route; required for those */
    const char *correlation; /* the campaign */
    const char *account;     /* slug; for events the routing key's end */
    const enum lane *lane;
    int64_t delay_ms; /* arrives no earlier than this (rounded up to a delay bucket) */
};
void stage_emit_as(struct stage *stage, const struct shape *shape, const void *body,
                   const struct emission *how);

/* For "return stage_retry(...)": record why, in snake_case and in words. */
enum verdict stage_retry(struct stage *stage, const char *why, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* For "return stage_reject(...)": likewise. */
enum verdict stage_reject(struct stage *stage, const char *why, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* The verdict an error calls for: temporary is retried, permanent and unknown are parked. */
enum verdict stage_fail(struct stage *stage, const struct err *err);

/*
 * A named place where a test may kill the process: TUMA_CRASH_AT=<point>[:<nth time>]. Nothing
 * unless built with -DCRASH_POINTS=ON. The skeleton's own points: after_receive after_handle
 * after_commit after_publish after_confirm after_ack, and of the tick tick_after_handle
 * after_publish tick_after_confirm.
 */
#ifdef CRASH_POINTS
void stage_crash_point(const char *point);
#else
#define stage_crash_point(point) ((void)0)
#endif

#endif
