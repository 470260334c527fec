/*
 * world - real servers, the real topology, and the demo stage as a process, for the skeleton's
 * tests
 *
 *     world_start();                                     // once per test program
 *     world_publish("ok", "m1");                         // to render-template, normal lane
 *     run_demo((const char *[]){ "--drain", NULL }, NULL)   // waits for it; its exit status
 *     size_t n = world_collect(OUTPUTS, got, 2);          // waits for exactly that many
 */
#ifndef UNIT_STAGE_WORLD_H
#define UNIT_STAGE_WORLD_H

/* cmocka.h needs the others before it. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <sys/types.h>

#include "base/clock.h"
#include "broker/broker.h"
#include "db/db.h"
#include "servers.h"

#define INPUTS "tuma.render-template.normal"
#define INPUTS_HIGH "tuma.render-template.high"
#define OUTPUTS "tuma.reserve-tokens.normal"
#define OUTPUTS_HIGH "tuma.reserve-tokens.high"
#define PARKED "tuma.render-template.parked"
#define EVENTS "test.events"
#define PARTNER "tuma.in.acme"

/* Longest wait for anything. */
#define WITHIN_MS 30000

struct got {
    char id[64], type[64], exchange[64], key[64], why[64], detail[200], account[64];
    char trace[64], stage[64], version[32], verdict[32], origin_exchange[64], origin_key[64];
    char correlation[64];
    char body[400];
    int64_t attempt, born_ms, deadline;
    int queue;
};

int world_start(void **state);
int world_stop(void **state);
/* Empties queues and tables; before each test. */
int world_reset(void **state);

/* The topology, declared anew. */
void world_import(void);

struct db *world_db(void);
int64_t world_number(const char *sql);

/* A message for the demo; reference scripts it. */
void world_publish(const char *reference, const char *id);
void world_send(const struct broker_message *message);
/* Publishes count messages "m0" … in one go. */
void world_publish_many(const char *reference, int count);

/* Takes exactly want messages and acknowledges them; fails after WITHIN_MS. */
void world_collect(const char *queue, struct got *out, size_t want);
/* Fails when the queue is not empty. */
void world_expect_empty(const char *queue);
int64_t world_depth(const char *queue);
int64_t world_consumers(const char *queue);

/* Starts the demo (or DEMO_CRASH with a crash point) with options; env is "NAME=value"s or NULL. */
pid_t start_demo(const char *const *options, const char *const *env);
pid_t start_crasher(const char *point, const char *const *options);
/* Waits for its end; exit status, or 128 + signal. */
int wait_demo(pid_t pid);
int run_demo(const char *const *options, const char *const *env);
/* What the demo last run wrote; stdin is from the file named by demo_input. */
const char *demo_output(void);
void demo_input(const char *text);
/* Waits until what it wrote contains text. */
void await_output(const char *text);
/* The pid of the only child of pid: its worker. */
pid_t worker_of(pid_t pid);
/* Kilobytes of /proc/pid/status VmRSS, or another field. */
long status_kb(pid_t pid, const char *field);
/* CPU time used so far, in clock ticks. */
long cpu_ticks(pid_t pid);

#define await(condition)                                                                           \
    do {                                                                                           \
        const int64_t until_ms = clock_mono_ms() + WITHIN_MS;                                      \
        while (!(condition)) {                                                                     \
            if (clock_mono_ms() > until_ms) {                                                      \
                fail_msg("%s did not become true; the stage said:\n%s", #condition,                \
                         demo_output());                                                           \
            }                                                                                      \
            clock_sleep_ms(5);                                                                     \
        }                                                                                          \
    } while (0)

#endif
