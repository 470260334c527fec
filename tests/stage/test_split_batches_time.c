/* split-batches: what is due, what has expired, what a lost message left standing */
#include "split_batches_scene.h"

static void a_campaign_past_its_expiry_ends_with_what_was_sent(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = scene_campaign(fake, "sending", 50);

    configure(fake, 10, 0, 2);
    scene_sql(fake, "UPDATE campaigns SET expires_at = now() + interval '1 hour' WHERE id = %lld",
              (long long)id);
    assert_done(fake, tell(fake, RESERVED, id));
    assert_int_equal(fake_stage_emitted_of(fake, READY), 2);
    fake_stage_advance_ms(fake, 3700 * 1000);
    send_out(fake, id, 1);
    scene_sql(
        fake,
        "SELECT scene_entry(1, 'capture', 'reserved', 'spent', 10, 'batch 1', %lld);"
        "UPDATE token_balances SET reserved = reserved - 10, spent = 10;"
        "UPDATE token_holds SET captured = 10; UPDATE batches SET captured = 10 WHERE batch = 1",
        (long long)id);
    assert_done(fake, say_done(fake, id, 1));
    assert_int_equal(fake_stage_emitted(fake), 0); /* nothing new leaves */
    assert_string_equal(scene_status(fake, id), "sending");
    give_up(fake, id, 2);
    assert_done(fake, say_done(fake, id, 2));
    assert_string_equal(scene_status(fake, id), "expired");
    assert_event(fake, &campaign_completed_v1, "expired");
    assert_int_equal(scene_number(fake,
                                  "SELECT expired FROM campaign_counts WHERE campaign_id = %lld",
                                  (long long)id),
                     40);
    assert_int_equal(reserved(fake), 0);
    assert_int_equal(fake_number(fake, "SELECT spent FROM token_balances WHERE account_id = 1"),
                     10);
}

static void whatever_waits_past_its_expiry_is_found_by_the_tick(void **state)
{
    static const char *const words[] = { "sending", "scheduled", "paused", "insufficient_tokens" };
    struct fake_stage *fake = *state;

    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        int64_t id = scene_campaign(fake, words[i], 10);

        scene_sql(fake,
                  "UPDATE campaigns SET expires_at = now() - interval '1 second',"
                  " scheduled_at = now() - interval '1 minute' WHERE id = %lld",
                  (long long)id);
        assert_true(fake_stage_tick(fake));
        assert_int_equal(fake_stage_emitted(fake), 1);
        assert_string_equal(fake_stage_out(fake, 0)->type, RESUMED);
        assert_string_equal(fake_stage_out(fake, 0)->correlation, scene_name(id));
        assert_done(fake, tell(fake, RESUMED, id));
        assert_string_equal(scene_status(fake, id), "expired");
        assert_int_equal(fake_stage_emitted_of(fake, READY), 0);
        assert_event(fake, &campaign_completed_v1, "expired");
    }
    assert_int_equal(reserved(fake), 0);
}

static void a_paused_campaign_with_batches_set_aside_expires_whole(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = scene_campaign(fake, "sending", 20);

    configure(fake, 10, 0, 2);
    assert_done(fake, tell(fake, RESERVED, id));
    scene_sql(fake,
              "UPDATE batches SET waiting = true WHERE campaign_id = %lld;"
              "UPDATE campaigns SET status = 'paused', expires_at = now() - interval '1 second'"
              " WHERE id = %lld",
              (long long)id, (long long)id);
    assert_true(fake_stage_tick(fake));
    assert_int_equal(fake_stage_emitted_of(fake, RESUMED), 1);
    assert_done(fake, tell(fake, RESUMED, id));
    assert_int_equal(fake_stage_emitted(fake), 2);
    give_up(fake, id, 1);
    give_up(fake, id, 2);
    assert_done(fake, say_done(fake, id, 1));
    assert_string_equal(scene_status(fake, id), "expired");
    assert_int_equal(reserved(fake), 0);
}

static void a_scheduled_campaign_begins_when_it_is_due(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = scene_campaign(fake, "scheduled", 10);
    int64_t high = scene_campaign(fake, "scheduled", 10);
    char first[ID_MESSAGE_BYTES];

    configure(fake, 10, 0, 2);
    scene_sql(fake,
              "UPDATE campaigns SET scheduled_at = now() + interval '1 hour', lane ="
              " CASE WHEN id = %lld THEN 'high' ELSE 'normal' END",
              (long long)high);
    assert_done(fake, tell(fake, RESERVED, id));
    assert_int_equal(fake_stage_emitted(fake), 0);
    assert_string_equal(scene_status(fake, id), "scheduled");
    assert_true(fake_stage_tick(fake));
    assert_int_equal(fake_stage_emitted(fake), 0);
    fake_stage_advance_ms(fake, 3600 * 1000 + 1);
    assert_true(fake_stage_tick(fake));
    assert_int_equal(fake_stage_emitted(fake), 2);
    assert_string_equal(fake_stage_out(fake, 0)->key, "campaign.resumed.normal");
    assert_string_equal(fake_stage_out(fake, 1)->key, "campaign.resumed.high");
    strcpy(first, fake_stage_out(fake, 0)->id);
    fake_stage_advance_ms(fake, 1000);
    assert_true(fake_stage_tick(fake)); /* a later hint is another message */
    assert_string_not_equal(fake_stage_out(fake, 0)->id, first);
    assert_done(fake, tell(fake, RESUMED, id));
    assert_batch(fake, 0, id, 1, 10);
    assert_event(fake, &campaign_changed_v1, "sending");
    assert_string_equal(scene_status(fake, id), "sending");
    assert_done(fake, tell(fake, RESUMED, high));
    assert_string_equal(fake_stage_out(fake, 0)->key, "batch.ready.sms.high");
    assert_true(fake_stage_tick(fake));
    assert_int_equal(fake_stage_emitted(fake), 0);
}

static void what_a_lost_message_left_standing_goes_on_by_the_tick(void **state)
{
    struct fake_stage *fake = *state;
    int64_t fresh = scene_campaign(fake, "sending", 20);
    int64_t stuck = scene_campaign(fake, "sending", 20);
    int64_t ending = scene_campaign(fake, "cancelling", 20);
    int64_t busy = scene_campaign(fake, "sending", 20);

    configure(fake, 10, 0, 1);
    assert_done(fake, tell(fake, RESERVED, stuck));
    send_out(fake, stuck, 1); /* its batch.done is lost */
    assert_done(fake, tell(fake, RESERVED, busy));
    assert_true(fake_stage_tick(fake));
    assert_int_equal(fake_stage_emitted(fake), 3);
    assert_string_equal(fake_stage_out(fake, 0)->correlation, scene_name(fresh));
    assert_string_equal(fake_stage_out(fake, 1)->correlation, scene_name(stuck));
    assert_string_equal(fake_stage_out(fake, 2)->correlation, scene_name(ending));
    assert_done(fake, tell(fake, RESUMED, stuck));
    assert_batch(fake, 0, stuck, 2, 10);
    assert_done(fake, tell(fake, RESUMED, ending));
    assert_string_equal(scene_status(fake, ending), "cancelled");
}

static void the_house_is_kept(void **state)
{
    struct fake_stage *fake = *state;

    fake_sql(fake, "INSERT INTO idempotency_keys (account_id, key, request_hash, created_at) VALUES"
                   " (1, 'old', '', now() - interval '25 hours'),"
                   " (1, 'recent', '', now() - interval '23 hours')");
    assert_true(fake_stage_tick(fake));
    assert_int_equal(fake_number(fake, "SELECT count(*) FROM idempotency_keys"), 1);
    fake_sql(fake, "UPDATE idempotency_keys SET created_at = now() - interval '25 hours'");
    assert_true(fake_stage_tick(fake)); /* once an hour will do */
    assert_int_equal(fake_number(fake, "SELECT count(*) FROM idempotency_keys"), 1);
    fake_stage_advance_ms(fake, 3600 * 1000);
    assert_true(fake_stage_tick(fake));
    assert_int_equal(fake_number(fake, "SELECT count(*) FROM idempotency_keys"), 0);
}

static void campaigns_whose_recipients_stop_coming_are_abandoned(void **state)
{
    static const struct {
        const char *status, *receiving_until, *created_at, *after;
    } table[] = {
        { "receiving", "now() - interval '1 second'", "now()", "abandoned" },
        { "receiving", "now() + interval '1 minute'", "now()", "receiving" },
        { "receiving", "now() + interval '1 minute'", "now() - interval '25 hours'", "receiving" },
        { "receiving", "NULL", "now() - interval '23 hours'", "receiving" },
        { "receiving", "NULL", "now() - interval '25 hours'", "abandoned" },
        { "quoted", "now() - interval '1 second'", "now() - interval '25 hours'", "quoted" },
    };
    struct fake_stage *fake = *state;
    int64_t ids[sizeof table / sizeof *table];
    char first[ID_MESSAGE_BYTES];

    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        ids[i] = scene_campaign(fake, table[i].status, 1);
        scene_sql(fake,
                  "UPDATE campaigns SET receiving_until = %s, created_at = %s WHERE id = %lld",
                  table[i].receiving_until, table[i].created_at, (long long)ids[i]);
    }
    assert_true(fake_stage_tick(fake));
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        assert_string_equal(scene_status(fake, ids[i]), table[i].after);
    }
    assert_true(fake_stage_tick_lost(fake));
    assert_int_equal(fake_stage_emitted(fake), 2);
    snprintf(first, sizeof first, "%s", fake_stage_out(fake, 0)->id);
    assert_true(fake_stage_tick(fake));
    assert_int_equal(fake_stage_emitted_of(fake, "campaign.completed.v1"), 2);
    assert_event(fake, &campaign_completed_v1, "abandoned");
    assert_string_equal(fake_stage_out(fake, 0)->id, first);
    assert_true(fake_stage_tick(fake));
    assert_int_equal(fake_stage_emitted(fake), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(a_campaign_past_its_expiry_ends_with_what_was_sent),
        SCENE(whatever_waits_past_its_expiry_is_found_by_the_tick),
        SCENE(a_paused_campaign_with_batches_set_aside_expires_whole),
        SCENE(a_scheduled_campaign_begins_when_it_is_due),
        SCENE(what_a_lost_message_left_standing_goes_on_by_the_tick),
        SCENE(the_house_is_kept),
        SCENE(campaigns_whose_recipients_stop_coming_are_abandoned),
    };

    return cmocka_run_group_tests_name("stage.split-batches.time", tests, scene_start_server,
                                       scene_stop_server);
}
