/*
 * sim - the whole simulator: its parts and its counters
 *
 * main.c builds one; send.c, reports.c, dial.c and control.c work on it. One thread, no locks.
 */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/str.h"
#include "book.h"
#include "engine/loop.h"
#include "engine/poster.h"
#include "engine/server.h"
#include "engine/wheel.h"
#include "kinds.h"
#include "reports.h"
#include "settings.h"
#include "voice.h"

/* Accepted messages per this long; a second is ten of them. */
#define SIM_BUCKET_MS 100
#define SIM_BUCKETS_MAX (10 * 86400 * 7)

#define SIM_STATUS_MAX 600

struct stats {
    uint64_t requests; /* to /version1 */
    uint64_t accepted;
    uint64_t refused[FAULT_COUNT];
    uint64_t answers[SIM_STATUS_MAX]; /* by HTTP status */
    uint64_t dropped;                 /* closed without an answer */
    uint64_t parts;
    int64_t first_accept_ms, last_accept_ms; /* wall clock */
    int64_t first_mono_ms;
    int64_t rate_second; /* the second that rate_count counts recipients of */
    int64_t rate_count;
    uint64_t rate_limited; /* requests answered 429 for it */
    uint32_t bucket_count;
    uint32_t *buckets;
    int64_t cpu_at_reset_us;
};

/* An inbound SMS or opt-out on its way. */
struct callback {
    struct str body;
    long attempts;
};

#define SIM_CALLBACKS_MAX 65536

/* A ring; the callback in flight is the one before the first and keeps its place. */
struct callback_queue {
    struct poster poster;
    struct callback *ring;
    uint32_t first, count;
    long retries;
    uint64_t posted, answered, given_up;
};

struct sim {
    struct settings settings;
    struct log log;
    struct arena *arena; /* the process's life */
    struct arena *work;  /* one request */
    struct loop loop;
    struct wheel wheel;
    struct faults faults;
    struct book book;
    struct server server;
    struct reports reports;
    struct callback_queue incoming, opt_outs;
    struct voice voice;
    struct stats stats;
    int64_t balance_e4;
    struct str reply;
};

/* The handler of every request: send.c and control.c below one table in main.c. */
void send_messaging(struct sim *sim, struct conn *conn, struct request *request);
void send_user(struct sim *sim, struct conn *conn, struct request *request);
void dial_call(struct sim *sim, struct conn *conn, struct request *request);
void control_handle(struct sim *sim, struct conn *conn, struct request *request);

/* The posters of inbound SMS and opt-outs. */
bool control_open(struct sim *sim, struct err *err) __attribute__((warn_unused_result));

void control_close(struct sim *sim);

/* Back to the state at the start; the faults of the environment are in force again. */
void control_reset(struct sim *sim);

/* Answers and counts. */
void sim_answer(struct sim *sim, struct conn *conn, const struct answer *answer);
void sim_answer_text(struct sim *sim, struct conn *conn, int status, const char *text);
void sim_answer_unauthorized(struct sim *sim, struct conn *conn);

/* Closes without an answer, and counts. */
void sim_drop(struct sim *sim, struct conn *conn);

/* The faults that strike before anything is accepted; true when one did, and all is answered. */
bool sim_fails_before(struct sim *sim, struct conn *conn, const struct request *request);

/* "+254700000001"; 0 when it is not like that. */
int64_t sim_parse_phone(const char *text);

uint64_t sim_hash_text(uint64_t seed, const char *text);

#endif
