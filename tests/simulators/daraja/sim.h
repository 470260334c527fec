/*
 * sim - the whole simulator: its parts and its counters
 *
 * main.c builds one and routes requests; oauth.c, push.c, query.c, c2b.c, reverse.c and control.c
 * answer them, payer.c acts for the customer, callbacks.c posts. One thread, no locks.
 */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/str.h"
#include "book.h"
#include "callbacks.h"
#include "engine/loop.h"
#include "engine/server.h"
#include "engine/wheel.h"
#include "fields.h"
#include "kinds.h"
#include "limiter.h"
#include "results.h"
#include "settings.h"

#define SIM_STATUS_MAX 600
#define SIM_TOKENS 256
#define SIM_TOKEN_BYTES 29

enum {
    TIMER_PAYER = TIMER_OWN, /* subject: the push; word: 1 for the payment after a failure */
    TIMER_CALLBACK,          /* callbacks.h */
};

struct token {
    char text[SIM_TOKEN_BYTES];
    int64_t expires_ms; /* monotonic */
    bool dead;
};

struct stats {
    uint64_t requests; /* of the API */
    uint64_t answers[SIM_STATUS_MAX];
    uint64_t dropped; /* closed without an answer */
    uint64_t tokens, token_refusals;
    uint64_t pushes, pushes_refused, prompts;
    uint64_t queries, queries_limited;
    uint64_t results[RESULT_COUNT]; /* of pushes */
    uint64_t by_hand, reversals;
    int64_t amount_paid, amount_reversed;
    int64_t first_push_ms, last_push_ms; /* wall clock */
    int64_t cpu_at_reset_us;
};

/* Where C2B payments are confirmed. */
struct registration {
    char confirmation_url[FIELD_URL_BYTES];
    char validation_url[FIELD_URL_BYTES];
    bool done;
    bool hashed; /* registered by v1: the payer's number comes as a digest */
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
    struct callbacks callbacks;
    struct registration registration;
    struct token tokens[SIM_TOKENS];
    uint32_t token_count; /* ever issued */
    uint32_t refusals;    /* numbers the requestId of errors */
    struct limiter query_limiter, push_limiter;
    struct stats stats;
    struct str reply;
};

/* Handlers: one a path, see the table in main.c. */
void oauth_generate(struct sim *sim, struct conn *conn, struct request *request);
void push_process(struct sim *sim, struct conn *conn, struct request *request);
void query_push(struct sim *sim, struct conn *conn, struct request *request);
void c2b_register_v1(struct sim *sim, struct conn *conn, struct request *request);
void c2b_register_v2(struct sim *sim, struct conn *conn, struct request *request);
void reverse_request(struct sim *sim, struct conn *conn, struct request *request);
void control_handle(struct sim *sim, struct conn *conn, struct request *request);

/* Is the bearer token good? If not, the refusal was answered. */
bool oauth_admits(struct sim *sim, struct conn *conn, const struct request *request);

/* Password and timestamp of a push or a query; if they are not good, the refusal was answered. */
bool push_knows_merchant(struct sim *sim, struct conn *conn, const struct fields *fields);

/* The payer of a push that was just accepted starts to think; early: has already decided. */
void payer_prompt(struct sim *sim, uint32_t index, bool early);
void payer_act(struct sim *sim, const struct timer *timer);

/* A payment by hand; returns its index. */
uint32_t c2b_pay(struct sim *sim, int64_t phone, int64_t amount, const char *reference);

/* Sends the confirmation of a payment if URLs are registered; says whether they are. */
bool c2b_confirm(struct sim *sim, uint32_t payment);

/* Back to the state at the start; tokens stay valid. */
void control_reset(struct sim *sim);

#endif
