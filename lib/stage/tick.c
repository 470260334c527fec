/*
 * tick - a stage's own clock: due campaigns, deadlines
 *
 * What a tick emits is confirmed before its transaction commits, so that a crash repeats it rather
 * than losing it; its rows are locked meanwhile, so that another instance skips them.
 */
#include "base/clock.h"
#include "base/panic.h"
#include "stage/worker.h"

/* Longest wait for the confirms while rows are locked. */
#define TICK_CONFIRM_MS 5000
/* Ticks of several workers part by up to this. */
#define TICK_JITTER_MS 200

static bool await_confirms(struct worker *worker, const struct flight *flight, struct err *err)
{
    const int64_t until_ms = clock_mono_ms() + TICK_CONFIRM_MS;

    while (flight->unconfirmed > 0) {
        const int64_t left_ms = until_ms - clock_mono_ms();
        if (left_ms <= 0) {
            return err_temporary(err, "not_confirmed", "%u of %u messages", flight->unconfirmed,
                                 flight->outputs.count);
        }
        worker_sleep(worker, left_ms);
        worker_chores(worker);
    }
    return true;
}

static bool call_tick(struct worker *worker, struct flight *flight, struct err *err)
{
    struct stage *stage = worker->stage;

    stage->out = &flight->outputs;
    watchdog_arm(stage);
    const bool ticked = stage->def->tick(stage, err);
    watchdog_disarm();
    stage->out = NULL;
    arena_reset(stage->arena);
    return ticked;
}

static bool tick(struct worker *worker, struct flight *flight, struct err *err)
{
    struct stage *stage = worker->stage;

    if (db_is_down(stage->db) && (!db_reconnect(stage->db, err) ||
                                  !db_set_timeout(stage->db, stage->def->deadline_ms, err))) {
        return false;
    }
    if (!db_begin(stage->db, err) || !call_tick(worker, flight, err)) {
        return false;
    }
    stage_crash_point("tick_after_handle");
    if (flight->outputs.count > 0) {
        flight_launch(&worker->flights, flight);
        if (!await_confirms(worker, flight, err)) {
            return false;
        }
        stage_crash_point("tick_after_confirm");
    }
    return db_commit(stage->db, err);
}

void worker_tick(struct worker *worker)
{
    struct stage *stage = worker->stage;
    struct err err;

    if (stage->def->tick == NULL || clock_mono_ms() < worker->tick_at_ms) {
        return;
    }
    worker->tick_at_ms = clock_mono_ms() + TICK_EVERY_MS + id_random_below(TICK_JITTER_MS);
    struct flight *flight = flights_take_tick(&worker->flights);
    if (flight == NULL) {
        return;
    }
    if (tick(worker, flight, &err)) {
        if (flight->outputs.count > 0) {
            log_info(&stage->log, "tick_done", KV_INT("emitted", flight->outputs.count));
        }
    } else {
        db_rollback(stage->db);
        log_warn(&stage->log, "tick_failed", KV_STR("why", err.what), KV_STR("detail", err.detail));
    }
    flight_forget(&worker->flights, flight);
}
