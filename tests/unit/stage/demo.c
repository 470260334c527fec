/*
 * demo - a stage for the tests of the skeleton, under the name and types of a real one
 *
 * Reads   campaign.closed.v1
 * Emits   campaign.rendered.v1 (one by position, one under a key), campaign.changed.v1
 * Tables  demo: one row per input; demo_due: what the tick emits
 *
 * The reference says what is to happen, so that a test can script it by its messages. A redelivery
 * does no harm: the row is there already and the same outputs are emitted again.
 *
 * "conflict…" meets a serialization failure twice, "clash…" each time.
 * Retried   "flaky…" until its second attempt, "busy…" always.
 * Rejected  "bad…" always.
 */
#include <stdlib.h>
#include <string.h>

#include "msg/campaign.h"
#include "msg/event.h"
#include "stage/stage.h"

struct demo_conf {
    long pause_ms;
    bool ticks;
};

static const struct conf_item conf_items[] = {
    CONF_MS(struct demo_conf, pause_ms, "DEMO_PAUSE", "0ms", 0, 5000, "Time a handler waits."),
    CONF_BOOL(struct demo_conf, ticks, "DEMO_TICKS", "no", "Whether the tick does anything."),
    CONF_END,
};

static const struct db_statement note_input = {
    "note_input",
    "INSERT INTO demo (id, reference) VALUES ($1, $2)"
    " ON CONFLICT (id) DO UPDATE SET times = demo.times + 1",
    2,
};

static const struct db_statement find_due = {
    "find_due",
    "SELECT name FROM demo_due WHERE NOT done ORDER BY name LIMIT 10 FOR UPDATE SKIP LOCKED",
    0,
};

static const struct db_statement mark_done = { "mark_done",
                                               "UPDATE demo_due SET done = true WHERE name = $1",
                                               1 };

static const struct db_statement conflict = {
    "conflict", "DO $$ BEGIN RAISE EXCEPTION 'conflict' USING ERRCODE = '40001'; END $$", 0
};

static const struct db_statement look = { "look", "SELECT count(*) FROM demo", 0 };

static bool starts_with(const char *text, const char *word)
{
    return strncmp(text, word, strlen(word)) == 0;
}

static void emit_all(struct stage *stage, const struct message *in,
                     const struct campaign_closed *closed)
{
    const struct campaign_fact fact = { .campaign = "cmp_demo" };
    const int64_t count = starts_with(closed->reference, "many") ? closed->chunks : 1;
    static int forgotten;

    if (starts_with(closed->reference, "forgetful") && forgotten++ > 0) {
        return; /* what no stage may do */
    }
    for (int64_t i = 0; i < count; i++) {
        stage_emit(stage, &campaign_rendered_v1, &fact);
    }
    if (starts_with(closed->reference, "later")) {
        stage_emit_as(stage, &campaign_rendered_v1, &fact,
                      &(struct emission){ .delay_ms = 600, .correlation = "delayed" });
    }
    stage_emit_as(stage, &campaign_rendered_v1, &fact, &(struct emission){ .key = in->id });
    const char *account = starts_with(closed->reference, "unheard") ? "nobody" : "acme";
    stage_emit_as(stage, &campaign_changed_v1,
                  &(struct campaign_event){
                      .campaign = "cmp_demo",
                      .reference = closed->reference,
                      .account = account,
                      .status = "rendered",
                      .at_ms = stage_now_ms(stage),
                  },
                  &(struct emission){ .account = account });
}

/* A neighbour's transaction gets in the way, as the database tells it. */
static bool collide(struct stage *stage, const char *reference, struct err *err)
{
    static int met;

    if (starts_with(reference, "clash") || (starts_with(reference, "conflict") && met++ < 2)) {
        return db_run(stage_db(stage), &conflict, NULL, NULL, err);
    }
    return true;
}

static enum verdict handle(struct stage *stage, const struct message *in)
{
    const struct demo_conf *conf = stage_conf(stage);
    struct campaign_closed closed;
    struct err err;

    if (!message_read(in, &campaign_closed_v1, &closed, &err)) {
        return stage_fail(stage, &err);
    }
    if (!db_run(stage_db(stage), &note_input,
                (struct db_value[]){ db_text(in->id), db_text(closed.reference) }, NULL, &err)) {
        return stage_fail(stage, &err);
    }
    if (conf->pause_ms > 0 && !stage_wait_ms(stage, conf->pause_ms)) {
        return stage_retry(stage, "stopping", "told to stop while waiting");
    }
    if (!starts_with(closed.reference, "quiet") &&
        !db_run(stage_db(stage), &look, NULL, NULL, &err)) {
        return stage_fail(stage, &err);
    }
    if (!collide(stage, closed.reference, &err)) {
        return stage_fail(stage, &err);
    }
    emit_all(stage, in, &closed);
    if (starts_with(closed.reference, "bad")) {
        return stage_reject(stage, "bad_reference", "reference '%s' is bad", closed.reference);
    }
    if (starts_with(closed.reference, "busy") ||
        (starts_with(closed.reference, "flaky") && in->attempt < 2)) {
        return stage_retry(stage, "not_yet", "attempt %u", in->attempt);
    }
    if (starts_with(closed.reference, "undeclared")) {
        stage_emit(stage, &campaign_reserved_v1, &(struct campaign_fact){ .campaign = "cmp_x" });
    }
    while (starts_with(closed.reference, "hang")) {
    }
    return STAGE_DONE;
}

static bool tick(struct stage *stage, struct err *err)
{
    const struct demo_conf *conf = stage_conf(stage);
    AUTO_DB_RESULT struct db_result *found = NULL;

    if (!conf->ticks) {
        return true;
    }
    if (!db_query(stage_db(stage), &find_due, NULL, &found, err)) {
        return false;
    }
    for (int i = 0; i < db_rows(found); i++) {
        const char *name = db_get_text(found, i, 0);
        if (!db_run(stage_db(stage), &mark_done, (struct db_value[]){ db_text(name) }, NULL, err)) {
            return false;
        }
        stage_emit_as(stage, &campaign_rendered_v1, &(struct campaign_fact){ .campaign = name },
                      &(struct emission){ .key = name, .account = "acme" });
    }
    return true;
}

static const struct stage_def demo_stage = {
    .name = "render-template",
    .summary = "stand in for a stage in the tests of the skeleton",
    .reads = (const struct shape *const[]){ &campaign_closed_v1, NULL },
    .emits = (const struct shape *const[]){ &campaign_rendered_v1, &campaign_changed_v1, NULL },
    .conf = conf_items,
    .conf_size = sizeof(struct demo_conf),
    .deadline_ms = 1000,
    .workers_env = "DEMO_WORKERS",
    .handle = handle,
    .tick = tick,
};

int main(int argc, char **argv)
{
    return stage_main(&demo_stage, argc, argv);
}
