/*
 * route - held when the provider cannot or will not take anything, opened when it does again
 *
 * The row in routes is what rate-limit looks at; holding again adds to the failures in a row, from
 * which the pause grows. The same row has the time of the next recipient when there is a rate
 * limit.
 *
 * Whoever holds or opens a route, a worker here or an operator, marks the row; the tick tells what
 * it finds marked. So a change is told also when whoever made it dies at once; of two changes
 * within a tick only the last.
 */
#include <string.h>

#include "dispatch/dispatch.h"
#include "msg/event.h"

#define BREAKER_MAX_S 60 /* longest pause of the circuit breaker */
#define US_PER_S 1000000

static const struct db_statement hold_route = {
    "dispatch_hold_route",
    "UPDATE routes"
    "   SET status = 'held', why = $2, detail = $3, held_at = now(),"
    "       untold_at = now(), failures = failures + 1,"
    "       held_until = now() + make_interval(secs => CASE"
    "           WHEN $4::int > 0 THEN $4::int ELSE least($5::int, 2 ^ least(failures, 10)) END)"
    " WHERE name = $1 AND (status = 'open' OR $6)",
    6
};
static const struct db_statement open_route = {
    "dispatch_open_route",
    "UPDATE routes SET status = 'open', why = 'answers_again', detail = NULL, held_at = NULL,"
    "       held_until = NULL, failures = 0, untold_at = now()"
    " WHERE name = $1 AND status = 'held'",
    1,
};

bool route_hold(struct run *run, struct err *err)
{
    const struct dispatch_conf *conf = stage_conf(run->stage);
    const struct at_verdict *why = &run->worst;
    int64_t rest_s = why->retry_after_s > 0 ? why->retry_after_s : 0;
    int64_t rows;

    if (why->state == AT_REQUEST_UNAUTHORISED || why->state == AT_REQUEST_MALFORMED) {
        rest_s = conf->route_hold_ms / 1000;
    }
    if (!db_run(stage_db(run->stage), &hold_route,
                (struct db_value[]){ db_text(stage_route(run->stage)), db_text(why->why),
                                     db_text(why->detail), db_int4((int32_t)rest_s),
                                     db_int4(BREAKER_MAX_S), db_bool(run->batch.route_held) },
                &rows, err)) {
        return false;
    }
    if (rows > 0) { /* else another worker met the same failure and has held it */
        log_warn(stage_log(run->stage), "route_held", KV_STR("why", why->why),
                 KV_STR("detail", why->detail));
    }
    return true;
}

bool route_reopen(struct run *run, struct err *err)
{
    return db_run(stage_db(run->stage), &open_route,
                  (struct db_value[]){ db_text(stage_route(run->stage)) }, NULL, err);
}

static const struct db_statement find_untold = {
    "dispatch_find_untold",
    "SELECT status, coalesce(why, ''), coalesce(detail, ''), held_until, untold_at FROM routes"
    " WHERE name = $1 AND untold_at IS NOT NULL"
    "   FOR UPDATE SKIP LOCKED",
    1,
};
static const struct db_statement mark_told = {
    "dispatch_mark_told",
    "UPDATE routes SET untold_at = NULL WHERE name = $1",
    1,
};

bool route_tell(struct stage *stage, struct err *err)
{
    AUTO_DB_RESULT struct db_result *untold = NULL;
    struct db_value name = db_text(stage_route(stage));
    const char *status;
    int64_t at_ms;

    if (!db_query(stage_db(stage), &find_untold, &name, &untold, err)) {
        return false;
    }
    if (db_rows(untold) == 0) {
        return true;
    }
    status = db_get_text(untold, 0, 0);
    at_ms = db_get_time(untold, 0, 4);
    stage_emit_as(
        stage, strcmp(status, "held") == 0 ? &route_held_v1 : &route_opened_v1,
        &(struct route_event){
            .route = stage_route(stage),
            .why = db_get_text(untold, 0, 1),
            .detail = db_get_text(untold, 0, 2),
            .until_ms = db_get_time(untold, 0, 3),
            .at_ms = at_ms,
        },
        &(struct emission){ .key = arena_printf(stage_arena(stage), "%s %s %lld",
                                                stage_route(stage), status, (long long)at_ms) });
    return db_run(stage_db(stage), &mark_told, &name, NULL, err);
}

static const struct db_statement return_probe = {
    "dispatch_return_probe",
    "UPDATE routes SET held_until = now()"
    " WHERE name = $1 AND status = 'held' AND held_until IS NOT NULL",
    1,
};

bool route_return_probe(struct run *run, struct err *err)
{
    return db_run(stage_db(run->stage), &return_probe,
                  (struct db_value[]){ db_text(stage_route(run->stage)) }, NULL, err);
}

/* A generic cell rate algorithm without burst; the row serialises the workers. $2 microseconds. */
static const struct db_statement book_turn = {
    "dispatch_book_turn",
    "UPDATE routes"
    "   SET next_at = greatest(next_at, clock_timestamp()) + interval '1 microsecond' * $2::bigint"
    " WHERE name = $1"
    " RETURNING ceil(1000 * extract(epoch FROM"
    "     next_at - interval '1 microsecond' * $2::bigint - clock_timestamp()))::bigint",
    2
};

bool route_await_turn(struct run *run, size_t recipients, bool *out_go, struct err *err)
{
    AUTO_DB_RESULT struct db_result *booked = NULL;
    int64_t takes_us;

    *out_go = true;
    if (run->paced->per_second == 0) {
        return true;
    }
    takes_us = (int64_t)recipients * US_PER_S / run->paced->per_second;
    if (!db_query(stage_db(run->stage), &book_turn,
                  (struct db_value[]){ db_text(stage_route(run->stage)), db_int8(takes_us) },
                  &booked, err) ||
        !stage_commit(run->stage, err)) {
        return false;
    }
    if (db_rows(booked) > 0 && db_get_int(booked, 0, 0) > 0) {
        *out_go = stage_wait_ms(run->stage, db_get_int(booked, 0, 0));
    }
    return true;
}
