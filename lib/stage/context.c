/* context - what a handler may ask of its stage */
#include <stdarg.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/panic.h"
#include "stage/core.h"

const void *stage_conf(const struct stage *stage)
{
    return stage->conf;
}

struct arena *stage_arena(struct stage *stage)
{
    return stage->arena;
}

struct arena *stage_memory(struct stage *stage)
{
    return stage->memory;
}

void stage_set_state(struct stage *stage, void *state)
{
    stage->state = state;
}

void *stage_state(const struct stage *stage)
{
    return stage->state;
}

struct log *stage_log(struct stage *stage)
{
    return &stage->log;
}

struct db *stage_db(struct stage *stage)
{
    return stage->db;
}

struct http *stage_http(struct stage *stage)
{
    if (stage->http == NULL) {
        panic("stage %s did not say uses_http", stage->def->name);
    }
    return stage->http;
}

struct metrics *stage_metrics(struct stage *stage)
{
    return stage->metrics;
}

const char *stage_route(const struct stage *stage)
{
    return stage->route;
}

int64_t stage_now_ms(const struct stage *stage)
{
    (void)stage; /* one clock for the process; tests shift it */
    return clock_now_ms();
}

bool stage_commit(struct stage *stage, struct err *err)
{
    if (stage->in != NULL && stage->out == NULL) {
        panic("stage %s commits in the middle of several messages", stage->def->name);
    }
    return db_commit(stage->db, err) && db_begin(stage->db, err);
}

bool stage_wait_ms(struct stage *stage, int64_t ms)
{
    return stage->wait(stage, ms < stage->def->deadline_ms ? ms : stage->def->deadline_ms);
}

__attribute__((format(printf, 4, 0))) static enum verdict
record(struct stage *stage, enum verdict verdict, const char *why, const char *fmt, va_list args)
{
    snprintf(stage->why, sizeof stage->why, "%s", why);
    vsnprintf(stage->detail, sizeof stage->detail, fmt, args);
    return verdict;
}

enum verdict stage_retry(struct stage *stage, const char *why, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    record(stage, STAGE_RETRY, why, fmt, args);
    va_end(args);
    return STAGE_RETRY;
}

enum verdict stage_reject(struct stage *stage, const char *why, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    record(stage, STAGE_REJECT, why, fmt, args);
    va_end(args);
    return STAGE_REJECT;
}

enum verdict stage_fail(struct stage *stage, const struct err *err)
{
    return err->kind == ERR_TEMPORARY ? stage_retry(stage, err->what, "%s", err->detail)
                                      : stage_reject(stage, err->what, "%s", err->detail);
}

const char *verdict_word(enum verdict verdict)
{
    switch (verdict) {
    case STAGE_DONE:
        return "done";
    case STAGE_RETRY:
        return "retry";
    case STAGE_REJECT:
        return "reject";
    }
    panic("verdict %d", (int)verdict);
}

/* start() in a transaction of its own, as handle() has one. */
static bool call_start(struct stage *stage, struct err *err)
{
    if (stage->def->start == NULL) {
        return true;
    }
    if (!db_begin(stage->db, err)) {
        return false;
    }
    const bool started = stage->def->start(stage, err);
    arena_reset(stage->arena);
    if (!started) {
        db_rollback(stage->db);
        return false;
    }
    return db_commit(stage->db, err);
}

static bool mark_started(struct stage *stage)
{
    stage->started = true;
    return true;
}

/* A third of the deadline to begin calls leaves the rest for the last of them, and the database. */
static bool create_http(struct stage *stage, struct err *err)
{
    return http_create(&(struct http_conf){ .begin_within_ms = stage->def->deadline_ms / 3 },
                       &stage->http, err);
}

bool stage_open(struct stage *stage, const char *name, struct err *err)
{
    return db_open_by_key(stage->settings->database_url, name, &stage->db, err) &&
           db_set_timeout(stage->db, stage->def->deadline_ms, err) &&
           (!stage->def->uses_http || create_http(stage, err)) && call_start(stage, err) &&
           mark_started(stage);
}

void stage_close(struct stage *stage)
{
    if (stage->started && stage->def->stop != NULL) {
        stage->def->stop(stage);
    }
    stage->started = false;
    http_destroy(stage->http);
    stage->http = NULL;
    db_close(stage->db);
    stage->db = NULL;
}
