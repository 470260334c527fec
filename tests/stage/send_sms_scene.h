/*
 * send_sms_scene - what the tests of send-sms share: the provider's simulator, batches to hand over
 *
 * Each test ends with the proof that the provider was given no recipient twice.
 */
#ifndef STAGE_SEND_SMS_SCENE_H
#define STAGE_SEND_SMS_SCENE_H

#include "base/panic.h"
#include "msg/campaign.h"
#include "msg/event.h"
#include "scene.h"
#include "simulator.h"

#define PACED "batch.paced.v1"
#define READY "batch.ready.v1"
#define DONE "batch.done.v1"
#define HELD "route.held.v1"
#define OPENED "route.opened.v1"

__attribute__((unused)) static int start_all(void **state)
{
    simulator_start("");
    setenv("AT_USERNAME", "sandbox", 1);
    setenv("AT_API_KEY", "simulator-key", 1);
    return scene_start_server(state);
}

__attribute__((unused)) static int stop_all(void **state)
{
    simulator_stop();
    return scene_stop_server(state);
}

__attribute__((unused)) static int start(void **state)
{
    simulator_reset();
    setenv("AT_SMS_URL", simulator_url(), 1);
    setenv("SMS_TIMEOUT", "5s", 1);
    setenv("SMS_CLAIM_WINDOW", "100", 1);
    setenv("SMS_JOB_ATTEMPTS", "3", 1);
    return scene_start(state);
}

/* Nothing that a test does may reach a number twice. */
__attribute__((unused)) static int stop(void **state)
{
    assert_int_equal(simulator_count("duplicates"), 0);
    return scene_stop(state);
}

#define CALLING(test) cmocka_unit_test_setup_teardown(test, start, stop)

__attribute__((unused)) static void configure(struct fake_stage *fake, const char *name,
                                              const char *value)
{
    setenv(name, value, 1);
    fake_stage_restart(fake);
}

/* A campaign that is sending and one batch of all its recipients. */
__attribute__((unused)) static int64_t batch_of(struct fake_stage *fake, int recipients)
{
    int64_t id = scene_campaign(fake, "sending", recipients);

    scene_sql(fake,
              "INSERT INTO batches (campaign_id, batch, first_seq, last_seq, origin, claimed_seq,"
              "                     recorded_seq) VALUES (%lld, 1, 1, %d, 'cut', 0, 0)",
              (long long)id, recipients);
    return id;
}

/* The texts are "Text 0" to "Text <texts - 1>" in turn. */
__attribute__((unused)) static void personalise(struct fake_stage *fake, int64_t id, int texts)
{
    scene_sql(fake,
              "UPDATE campaigns SET text = NULL WHERE id = %lld;"
              "UPDATE recipients SET text = 'Text ' || (seq %% %d) WHERE campaign_id = %lld",
              (long long)id, texts, (long long)id);
}

__attribute__((unused)) static enum verdict deliver(struct fake_stage *fake, int64_t id,
                                                    const char *message, bool probe)
{
    char json[120];

    snprintf(json, sizeof json, "{\"campaign\":\"%s\",\"batch\":1,\"size\":100%s}", scene_name(id),
             probe ? ",\"probe\":true" : "");
    return fake_stage_give(fake, &(struct fake_message){ .type = PACED,
                                                         .id = message,
                                                         .json = json,
                                                         .account = "acme",
                                                         .correlation = scene_name(id) });
}

__attribute__((unused)) static enum verdict pace(struct fake_stage *fake, int64_t id)
{
    return deliver(fake, id, scene_message(), false);
}

/* As rate-limit does when the hold of a route is over. */
__attribute__((unused)) static enum verdict probe(struct fake_stage *fake, int64_t id)
{
    return deliver(fake, id, scene_message(), true);
}

/* The tick's one event; its id is the same after a tick whose commit was lost. */
__attribute__((unused)) static void assert_told(struct fake_stage *fake, const struct shape *shape,
                                                struct route_event *out_event)
{
    char id[ID_MESSAGE_BYTES];

    assert_int_equal(fake_stage_emitted_of(fake, HELD) + fake_stage_emitted_of(fake, OPENED), 0);
    assert_true(fake_stage_tick_lost(fake));
    assert_int_equal(fake_stage_emitted(fake), 1);
    snprintf(id, sizeof id, "%s", fake_stage_out(fake, 0)->id);
    assert_true(fake_stage_tick(fake));
    assert_int_equal(fake_stage_emitted(fake), 1);
    assert_string_equal(fake_stage_out(fake, 0)->id, id);
    fake_stage_read(fake, shape, 0, out_event);
    assert_string_equal(out_event->route, "sms");
}

__attribute__((unused)) static int64_t count(struct fake_stage *fake, int64_t id, const char *where)
{
    return scene_number(fake, "SELECT count(*) FROM recipients WHERE campaign_id = %lld AND (%s)",
                        (long long)id, where);
}

__attribute__((unused)) static int64_t counter(struct fake_stage *fake, int64_t id,
                                               const char *column)
{
    return scene_number(fake, "SELECT %s FROM batches WHERE campaign_id = %lld AND batch = 1",
                        column, (long long)id);
}

__attribute__((unused)) static bool is_done(struct fake_stage *fake, int64_t id)
{
    return counter(fake, id, "(done_at IS NOT NULL)::int") == 1;
}

__attribute__((unused)) static int64_t purse(struct fake_stage *fake, const char *name)
{
    return scene_number(fake, "SELECT %s FROM token_balances WHERE account_id = 1", name);
}

__attribute__((unused)) static int64_t route(struct fake_stage *fake, const char *expression)
{
    return scene_number(fake, "SELECT (%s)::int FROM routes WHERE name = 'sms'", expression);
}

#endif
