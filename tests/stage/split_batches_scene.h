/*
 * split_batches_scene - what the tests of split-batches share: settings, messages, what is expected
 */
#ifndef STAGE_SPLIT_BATCHES_SCENE_H
#define STAGE_SPLIT_BATCHES_SCENE_H

#include "msg/campaign.h"
#include "msg/event.h"
#include "scene.h"

#define RESERVED "campaign.reserved.v1"
#define RESUMED "campaign.resumed.v1"
#define CANCELLED "campaign.cancelled.v1"
#define DONE "batch.done.v1"
#define READY "batch.ready.v1"

__attribute__((unused)) static void configure(struct fake_stage *fake, int size, int per_second,
                                              int window)
{
    char text[20];

    snprintf(text, sizeof text, "%d", size);
    setenv("SMS_BATCH_SIZE", text, 1);
    snprintf(text, sizeof text, "%d", per_second);
    setenv("SMS_RATE_LIMIT_PER_SECOND", text, 1);
    snprintf(text, sizeof text, "%d", window);
    setenv("SMS_BATCH_WINDOW", text, 1);
    fake_stage_restart(fake);
}

__attribute__((unused)) static enum verdict tell(struct fake_stage *fake, const char *type,
                                                 int64_t id)
{
    return fake_stage_send(fake, type, scene_message(), scene_fact(id));
}

/* What send-sms does with a batch: its pending recipients are sent. */
__attribute__((unused)) static void send_out(struct fake_stage *fake, int64_t id, int batch)
{
    scene_sql(fake,
              "WITH out AS (UPDATE recipients r SET state = 3, batch = b.batch FROM batches b"
              "  WHERE b.campaign_id = %lld AND b.batch = %d AND r.campaign_id = b.campaign_id"
              "    AND r.seq BETWEEN b.first_seq AND b.last_seq AND r.state = 0 RETURNING r.seq)"
              " UPDATE batches SET sent = (SELECT count(*) FROM out), claimed_seq = last_seq,"
              "        recorded_seq = last_seq, done_at = now(), waiting = false"
              "  WHERE campaign_id = %lld AND batch = %d",
              (long long)id, batch, (long long)id, batch);
}

/* What it does with a batch of a campaign that has ended. */
__attribute__((unused)) static void give_up(struct fake_stage *fake, int64_t id, int batch)
{
    scene_sql(fake,
              "UPDATE batches SET done_at = now(), waiting = false"
              " WHERE campaign_id = %lld AND batch = %d",
              (long long)id, batch);
}

__attribute__((unused)) static enum verdict say_done(struct fake_stage *fake, int64_t id, int batch)
{
    char json[100];

    snprintf(json, sizeof json, "{\"campaign\":\"%s\",\"batch\":%d,\"size\":1}", scene_name(id),
             batch);
    return fake_stage_send(fake, DONE, scene_message(), json);
}

/* The index-th batch emitted has this number and size. */
__attribute__((unused)) static void assert_batch(struct fake_stage *fake, size_t index, int64_t id,
                                                 int batch, int size)
{
    struct batch_fact fact;

    fake_stage_read(fake, &batch_ready_v1, index, &fact);
    assert_string_equal(fact.campaign, scene_name(id));
    assert_int_equal(fact.batch, batch);
    assert_int_equal(fact.size, size);
}

__attribute__((unused)) static void assert_event(struct fake_stage *fake, const struct shape *shape,
                                                 const char *status)
{
    struct campaign_event event;

    fake_stage_read(fake, shape, 0, &event);
    assert_string_equal(event.status, status);
}

__attribute__((unused)) static int64_t of(struct fake_stage *fake, int64_t id, const char *column)
{
    return scene_number(fake, "SELECT %s FROM campaigns WHERE id = %lld", column, (long long)id);
}

__attribute__((unused)) static int64_t reserved(struct fake_stage *fake)
{
    return fake_number(fake, "SELECT reserved FROM token_balances WHERE account_id = 1");
}

/* The id of the one event of a tick, which must be of this status. */
__attribute__((unused)) static const char *told(struct fake_stage *fake, const char *status)
{
    static char id[ID_MESSAGE_BYTES];

    assert_int_equal(fake_stage_emitted_of(fake, "campaign.changed.v1"), 1);
    assert_event(fake, &campaign_changed_v1, status);
    for (size_t i = 0; i < fake_stage_emitted(fake); i++) {
        if (strcmp(fake_stage_out(fake, i)->type, "campaign.changed.v1") == 0) {
            snprintf(id, sizeof id, "%s", fake_stage_out(fake, i)->id);
            assert_string_equal(fake_stage_out(fake, i)->key, "campaign.changed.acme");
        }
    }
    return id;
}

#endif
