/*
 * handle - one call of a handler, in a transaction, under a watchdog
 *
 * A failure of the database itself says nothing about the message: the outcome is "undecided" and
 * the caller makes the same call again once the database is back. The handler is idempotent, so
 * that is also the answer to a COMMIT whose reply was lost.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/panic.h"
#include "stage/core.h"

static void on_alarm(int signal)
{
    static const char text[] = "watchdog: the handler passed its deadline twice over, aborting\n";

    (void)signal;
    if (write(STDERR_FILENO, text, sizeof text - 1) < 0) {
        _exit(EXIT_FAILED);
    }
    abort();
}

static void set_alarm(long ms)
{
    const struct itimerval timer = { .it_value = { .tv_sec = ms / 1000,
                                                   .tv_usec = ms % 1000 * 1000 } };

    if (setitimer(ITIMER_REAL, &timer, NULL) != 0) {
        panic("setitimer");
    }
}

void watchdog_arm(const struct stage *stage)
{
    const struct sigaction action = { .sa_handler = on_alarm };

    if (sigaction(SIGALRM, &action, NULL) != 0) {
        panic("sigaction");
    }
    set_alarm(2 * stage->def->deadline_ms);
}

void watchdog_disarm(void)
{
    set_alarm(0);
}

/* Conflicts with a neighbour that the database resolved by stopping us: again, at once. */
static bool is_conflict(const char *why)
{
    return strcmp(why, "pg_serialization_failure") == 0 ||
           strcmp(why, "pg_deadlock_detected") == 0 || strcmp(why, "pg_commit_unknown") == 0;
}

static void decide(struct stage *stage, struct handled *handled, enum verdict verdict)
{
    handled->verdict = verdict;
    handled->why = stage->why;
    handled->detail = stage->detail;
}

static void undecided(struct stage *stage, struct handled *handled, const struct err *err)
{
    handled->undecided = true;
    decide(stage, handled, stage_retry(stage, err->what, "%s", err->detail));
}

/* Commits what a handler called done. */
static void commit(struct stage *stage, struct handled *handled)
{
    const int64_t from_us = clock_mono_us();
    struct err err;

    if (db_commit(stage->db, &err)) {
        stage_crash_point("after_commit");
        decide(stage, handled, STAGE_DONE);
    } else if (err.kind == ERR_PERMANENT) { /* a deferred constraint said no */
        decide(stage, handled, stage_fail(stage, &err));
    } else {
        undecided(stage, handled, &err);
    }
    handled->commit_us = clock_mono_us() - from_us;
}

static void call_handler(struct stage *stage, const struct message *const *in, size_t count,
                         struct handled *handled)
{
    const struct stage_def *def = stage->def;
    const int64_t from_us = clock_mono_us();

    watchdog_arm(stage);
    const enum verdict verdict =
        def->handle_many != NULL ? def->handle_many(stage, in, count) : def->handle(stage, in[0]);
    watchdog_disarm();
    handled->handle_us = clock_mono_us() - from_us;
    stage_crash_point("after_handle");
    if (verdict == STAGE_DONE) {
        stage->why[0] = '\0';
        stage->detail[0] = '\0';
        commit(stage, handled);
    } else if (stage->why[0] == '\0') {
        panic("stage %s gave verdict %s without a reason", stage->def->name, verdict_word(verdict));
    } else {
        decide(stage, handled, verdict);
        handled->undecided = db_is_down(stage->db) || is_conflict(stage->why);
    }
}

/* outputs is NULL where several messages leave open whose output it would be. */
static void handle(struct stage *stage, const struct message *const *in, size_t count,
                   struct outputs *outputs, struct handled *handled)
{
    struct err err;

    *handled = (struct handled){ .why = "", .detail = "" };
    stage->in = in[0];
    stage->out = outputs;
    stage->why[0] = '\0';
    stage->detail[0] = '\0';
    if (!db_begin(stage->db, &err)) {
        undecided(stage, handled, &err);
    } else {
        call_handler(stage, in, count, handled);
    }
    if (handled->verdict != STAGE_DONE) {
        db_rollback(stage->db);
        if (outputs != NULL) {
            outputs_begin(outputs, outputs->arena);
        }
    }
    stage->in = NULL;
    stage->out = NULL;
    arena_reset(stage->arena);
}

void handle_message(struct stage *stage, const struct message *in, struct outputs *outputs,
                    struct handled *handled)
{
    handle(stage, &in, 1, outputs, handled);
}

void handle_together(struct stage *stage, const struct message *const *in, size_t count,
                     struct handled *handled)
{
    handle(stage, in, count, NULL, handled);
}
