/*
 * route - held when the provider cannot or will not take anything, opened when it does again
 *
 * The row in routes is what rate-limit looks at; holding again adds to the failures in a row, from
 * which the pause grows. The same row has the time of the next recipient when there is a rate
 * limit.
 */
#include "msg/event.h"
#include "run.h"

#define BREAKER_MAX_S 60 /* longest pause of the circuit breaker */
#define US_PER_S 1000000

static const struct db_statement hold_route = {
    "send_hold_route",
    "UPDATE routes"
    "   SET status = 'held', why = $2, detail = $3, held_at = now(),"
    "       failures = failures + 1,"
    "       held_until = now() + make_interval(secs => CASE"
    "           WHEN $4::int > 0 THEN $4::int ELSE least($5::int, 2 ^ least(failures, 10)) END)"
    " WHERE name = $1 AND (status = 'open' OR $6)"
    " RETURNING held_until",
    6
};
static const struct db_statement open_route = {
    "send_open_route",
    "UPDATE routes SET status = 'open', why = NULL, detail = NULL, held_at = NULL,"
    "       held_until = NULL, failures = 0"
    " WHERE name = $1 AND status = 'held'",
    1,
};

bool route_hold(struct run *run, struct err *err)
{
    const struct send_conf *conf = stage_conf(run->stage);
    AUTO_DB_RESULT struct db_result *held = NULL;
    const struct at_verdict *why = &run->worst;
    int64_t rest_s = why->retry_after_s > 0 ? why->retry_after_s : 0;

    if (why->state == AT_REQUEST_UNAUTHORISED || why->state == AT_REQUEST_MALFORMED) {
        rest_s = conf->route_hold_ms / 1000;
    }
    if (!db_query(stage_db(run->stage), &hold_route,
                  (struct db_value[]){ db_text(stage_route(run->stage)), db_text(why->why),
                                       db_text(why->detail), db_int4((int32_t)rest_s),
                                       db_int4(BREAKER_MAX_S), db_bool(run->batch.route_held) },
                  &held, err)) {
        return false;
    }
    if (db_rows(held) == 0) {
        return true; /* another worker met the same failure and has held it */
    }
    stage_emit(run->stage, &route_held_v1,
               &(struct route_event){
                   .route = stage_route(run->stage),
                   .why = why->why,
                   .detail = why->detail,
                   .until_ms = db_get_time(held, 0, 0),
                   .at_ms = stage_now_ms(run->stage),
               });
    log_warn(stage_log(run->stage), "route_held", KV_STR("why", why->why),
             KV_STR("detail", why->detail));
    return true;
}

bool route_reopen(struct run *run, struct err *err)
{
    int64_t rows;

    if (!db_run(stage_db(run->stage), &open_route,
                (struct db_value[]){ db_text(stage_route(run->stage)) }, &rows, err)) {
        return false;
    }
    if (rows > 0) {
        stage_emit(run->stage, &route_opened_v1,
                   &(struct route_event){ .route = stage_route(run->stage),
                                          .why = "answers_again",
                                          .detail = "",
                                          .at_ms = stage_now_ms(run->stage) });
    }
    return true;
}

static const struct db_statement return_probe = {
    "send_return_probe",
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
    "send_book_turn",
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
