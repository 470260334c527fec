/*
 * rate-limit - let batches through at the pace a route can bear
 *
 * Reads   batch.ready.v1 (a queue per route and lane, one active consumer)
 * Emits   batch.paced.v1; batch.ready.v1 again, later, while the route is held
 * Tables  routes
 *
 * The pace is a generic cell rate algorithm without burst: a batch of n recipients takes n / rate
 * seconds, and the next may go when that time is over. Split-batches cuts batches so small
 * that no second holds more than the rate allows. Leave to send expires soon, so that leaves which
 * piled up while send-sms was away are not all used at once; what workers do with their leaves at
 * the same moment, send-sms spaces out once more. Nothing is remembered over a restart: a new
 * process starts with no credit, which cannot exceed the rate.
 *
 * Redelivery does no harm: it costs time and gives the same batch leave once more, and send-sms
 * sends a batch once. While a route is held, batches come back later; after the hold one
 * at a time may try until the provider accepts again.
 *
 * Retried   never on its own account. Rejected  a message that does not name a batch.
 */
#include <string.h>

#include "base/clock.h"
#include "msg/campaign.h"
#include "stage/stage.h"

#define US_PER_S 1000000
#define HELD_DELAY_MS 5000 /* what is held for longer is asked about so often */
#define SOON_DELAY_MS 1000 /* what may open any moment, so often */
#define PROBE_EVERY_S 5

struct rate_conf {
    long sms_per_second, voice_per_second;
    long permit_ms;
};

static const struct conf_item conf_items[] = {
    CONF_INT(struct rate_conf, sms_per_second, "SMS_RATE_LIMIT_PER_SECOND", "10", 0, 1000000,
             "Recipients a second that may leave over the SMS route; 0 means no limit."),
    CONF_INT(struct rate_conf, voice_per_second, "VOICE_RATE_LIMIT_PER_SECOND", "4", 0, 1000000,
             "Calls a second that may be placed over the voice route; 0 means no limit."),
    CONF_MS(struct rate_conf, permit_ms, "RATE_PERMIT", "400ms", 50, 10000,
            "How long leave to send is good for, when there is a limit."),
    CONF_END,
};

struct pace {
    long per_second; /* of the route this process serves */
    int64_t next_us; /* when the next recipient may go, on the monotonic clock */
};

static bool start(struct stage *stage, struct err *err)
{
    const struct rate_conf *conf = stage_conf(stage);
    struct pace *pace = arena_alloc(stage_memory(stage), sizeof *pace);

    (void)err;
    pace->per_second =
        strcmp(stage_route(stage), "voice") == 0 ? conf->voice_per_second : conf->sms_per_second;
    stage_set_state(stage, pace);
    return true;
}

/* A held route whose time is over lets one batch through as a probe, and is then held again. */
static const struct db_statement ask_route = {
    "rate_ask_route",
    "WITH probe AS ("
    "    UPDATE routes SET held_until = now() + make_interval(secs => $2::int)"
    "     WHERE name = $1 AND status = 'held' AND held_until <= now()"
    " RETURNING name)"
    " SELECT status = 'open' OR EXISTS (SELECT FROM probe),"
    "        coalesce(held_until <= now() + make_interval(secs => $2::int), false)"
    "   FROM routes WHERE name = $1",
    2
};

static const struct db_statement read_route = {
    "rate_read_route",
    "SELECT status = 'open' FROM routes WHERE name = $1",
    1,
};

struct leave {
    bool open;
    bool probe;
    int64_t delay_ms; /* unless open: when to ask again */
};

static bool may_pass(struct stage *stage, struct leave *out_leave, struct err *err)
{
    AUTO_DB_RESULT struct db_result *route = NULL;
    AUTO_DB_RESULT struct db_result *held = NULL;
    const char *name = stage_route(stage);

    if (!db_query(stage_db(stage), &read_route, (struct db_value[]){ db_text(name) }, &route,
                  err)) {
        return false;
    }
    *out_leave = (struct leave){ .open = db_rows(route) == 0 || db_get_bool(route, 0, 0) };
    if (out_leave->open) {
        return true;
    }
    if (!db_query(stage_db(stage), &ask_route,
                  (struct db_value[]){ db_text(name), db_int4(PROBE_EVERY_S) }, &held, err)) {
        return false;
    }
    out_leave->open = out_leave->probe = db_get_bool(held, 0, 0);
    out_leave->delay_ms = db_get_bool(held, 0, 1) ? SOON_DELAY_MS : HELD_DELAY_MS;
    return true;
}

/* Waits for this batch's turn and books its time. False when told to stop meanwhile. */
static bool wait_for_turn(struct stage *stage, int64_t size)
{
    struct pace *pace = stage_state(stage);
    int64_t now_us = clock_mono_us();

    if (pace->next_us > now_us) {
        if (!stage_wait_ms(stage, (pace->next_us - now_us + 999) / 1000)) {
            return false;
        }
        now_us = clock_mono_us();
    }
    pace->next_us = (pace->next_us > now_us - 1000 ? pace->next_us : now_us) +
                    size * US_PER_S / pace->per_second;
    return true;
}

static enum verdict handle(struct stage *stage, const struct message *in)
{
    const struct rate_conf *conf = stage_conf(stage);
    const struct pace *pace = stage_state(stage);
    struct batch_fact batch;
    struct batch_paced paced;
    struct err err;
    struct leave leave;

    if (!message_read(in, &batch_ready_v1, &batch, &err)) {
        return stage_fail(stage, &err);
    }
    if (!may_pass(stage, &leave, &err)) {
        return stage_fail(stage, &err);
    }
    if (!leave.open) {
        stage_emit_as(
            stage, &batch_ready_v1, &batch,
            &(struct emission){ .route = stage_route(stage), .delay_ms = leave.delay_ms });
        return STAGE_DONE;
    }
    paced = (struct batch_paced){
        .campaign = batch.campaign, .batch = batch.batch, .size = batch.size, .probe = leave.probe
    };
    if (pace->per_second > 0) {
        if (!wait_for_turn(stage, batch.size)) {
            return stage_retry(stage, "stopping", "told to stop while waiting for the turn");
        }
        paced.expires_at_ms = stage_now_ms(stage) + conf->permit_ms;
        paced.per_second = pace->per_second;
    }
    stage_emit_as(stage, &batch_paced_v1, &paced,
                  &(struct emission){ .route = stage_route(stage) });
    return STAGE_DONE;
}

static const struct stage_def rate_limit_stage = {
    .name = "rate-limit",
    .summary = "let batches through at the pace a route can bear",
    .reads = (const struct shape *const[]){ &batch_ready_v1, NULL },
    .emits = (const struct shape *const[]){ &batch_paced_v1, &batch_ready_v1, NULL },
    .conf = conf_items,
    .conf_size = sizeof(struct rate_conf),
    .deadline_ms = 5000,
    .prefetch = 2,
    .start = start,
    .handle = handle,
};

int main(int argc, char **argv)
{
    return stage_main(&rate_limit_stage, argc, argv);
}
