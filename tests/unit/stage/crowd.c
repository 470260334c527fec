/*
 * crowd - a stage for the tests of messages handled together, under the name of a real one
 *
 * Reads   campaign.closed.v1
 * Emits   campaign.rendered.v1, where the reference says so
 * Tables  crowd: one row per input, with the number of messages in its last call
 *
 * The reference says what is to happen. A redelivery does no harm: the row is there already.
 *
 * "slow…" takes a while when alone, "clash…" meets a conflict in company, "emit…" emits always.
 * Retried   "flaky…" until its second attempt.
 * Rejected  "bad…" always.
 */
#include <string.h>

#include "msg/campaign.h"
#include "stage/stage.h"

struct crowd_conf {
    long pause_ms;
};

static const struct conf_item conf_items[] = {
    CONF_MS(struct crowd_conf, pause_ms, "CROWD_PAUSE", "0ms", 0, 5000, "Time a handler waits."),
    CONF_END,
};

static const struct db_statement note_input = {
    "note_input",
    "INSERT INTO crowd (id, reference, together) VALUES ($1, $2, $3)"
    " ON CONFLICT (id) DO UPDATE SET times = crowd.times + 1, together = $3",
    3,
};

static const struct db_statement dawdle = { "dawdle", "SELECT pg_sleep(0.8)", 0 };

static const struct db_statement conflict = {
    "conflict", "DO $$ BEGIN RAISE EXCEPTION 'conflict' USING ERRCODE = '40001'; END $$", 0
};

static bool starts_with(const char *text, const char *word)
{
    return strncmp(text, word, strlen(word)) == 0;
}

static bool note(struct stage *stage, const struct message *in, const char *reference, size_t count,
                 struct err *err)
{
    struct db *db = stage_db(stage);

    if (!db_run(db, &note_input,
                (struct db_value[]){ db_text(in->id), db_text(reference), db_int4((int32_t)count) },
                NULL, err) ||
        (count == 1 && starts_with(reference, "slow") && !db_run(db, &dawdle, NULL, NULL, err))) {
        return false;
    }
    return count == 1 || !starts_with(reference, "clash") || db_run(db, &conflict, NULL, NULL, err);
}

static enum verdict take(struct stage *stage, const struct message *in, size_t count)
{
    struct campaign_closed closed;
    struct err err;

    if (!message_read(in, &campaign_closed_v1, &closed, &err) ||
        !note(stage, in, closed.reference, count, &err)) {
        return stage_fail(stage, &err);
    }
    if (starts_with(closed.reference, "emit")) {
        stage_emit(stage, &campaign_rendered_v1, &(struct campaign_fact){ .campaign = "cmp_x" });
    }
    if (starts_with(closed.reference, "bad")) {
        return stage_reject(stage, "bad_reference", "reference '%s' is bad", closed.reference);
    }
    if (starts_with(closed.reference, "flaky") && in->attempt < 2) {
        return stage_retry(stage, "not_yet", "attempt %u", in->attempt);
    }
    return STAGE_DONE;
}

static enum verdict handle_many(struct stage *stage, const struct message *const *in, size_t count)
{
    const struct crowd_conf *conf = stage_conf(stage);

    for (size_t i = 0; i < count; i++) {
        const enum verdict verdict = take(stage, in[i], count);
        if (verdict != STAGE_DONE) {
            return verdict;
        }
    }
    if (conf->pause_ms > 0 && !stage_wait_ms(stage, conf->pause_ms)) {
        return stage_retry(stage, "stopping", "told to stop while waiting");
    }
    return STAGE_DONE;
}

static enum verdict handle(struct stage *stage, const struct message *in)
{
    return handle_many(stage, &in, 1);
}

static const struct stage_def crowd_stage = {
    .name = "render-template",
    .summary = "stand in for a stage that handles messages together",
    .reads = (const struct shape *const[]){ &campaign_closed_v1, NULL },
    .emits = (const struct shape *const[]){ &campaign_rendered_v1, NULL },
    .conf = conf_items,
    .conf_size = sizeof(struct crowd_conf),
    .deadline_ms = 2000,
    .prefetch = 8,
    .handle_many = handle_many,
    .together = 4,
    .together_ms = 1000,
};

/* CROWD_VARIANT: how else it could have been written, mostly by mistake. */
int main(int argc, char **argv)
{
    struct arena *arena = arena_create(4096);
    const char *setting = conf_get("CROWD_VARIANT", arena);
    const char *variant = setting != NULL ? setting : "";
    struct stage_def def = crowd_stage;

    if (strcmp(variant, "neither") == 0) {
        def.handle_many = NULL;
    } else if (strcmp(variant, "both") == 0) {
        def.handle = handle;
    } else if (strcmp(variant, "single") == 0) {
        def.handle_many = NULL;
        def.handle = handle;
    } else if (strcmp(variant, "one") == 0) {
        def.together = 1;
    } else if (strcmp(variant, "many") == 0) {
        def.together = TOGETHER_MAX + 1;
        def.prefetch = 100;
    } else if (strcmp(variant, "most") == 0) { /* no mistake */
        def.together = TOGETHER_MAX;
        def.prefetch = TOGETHER_MAX;
    } else if (strcmp(variant, "unfetched") == 0) {
        def.together = 9;
    } else if (strcmp(variant, "late") == 0) {
        def.together_ms = 2001;
    } else if (strcmp(variant, "patient") == 0) { /* no mistake */
        def.deadline_ms = 20000;
        def.together_ms = 20000;
    }
    arena_destroy(arena);
    return stage_main(&def, argc, argv);
}
