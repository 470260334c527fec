/* split-batches: campaigns that are paused, resumed and cancelled, and what is told of them */
#include "split_batches_scene.h"

static void a_paused_campaign_sends_nothing_until_it_is_resumed(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = scene_campaign(fake, "sending", 60);

    configure(fake, 10, 0, 3);
    assert_done(fake, tell(fake, RESERVED, id));
    scene_sql(fake, "UPDATE campaigns SET status = 'paused' WHERE id = %lld", (long long)id);
    send_out(fake, id, 1);
    assert_done(fake, say_done(fake, id, 1));
    assert_int_equal(fake_stage_emitted(fake), 0);
    scene_sql(fake, "UPDATE batches SET waiting = true WHERE campaign_id = %lld AND batch > 1",
              (long long)id);
    assert_true(fake_stage_tick(fake));
    assert_int_equal(fake_stage_emitted(fake), 0);
    scene_sql(fake, "UPDATE campaigns SET status = 'sending' WHERE id = %lld", (long long)id);
    fake_stage_repeat(fake, false);
    for (int twice = 0; twice < 2; twice++) { /* in the same order: their ids count on it */
        assert_done(fake, fake_stage_send(fake, RESUMED, "resumed", scene_fact(id)));
        assert_int_equal(fake_stage_emitted_of(fake, READY), 3); /* two woken, one more */
        assert_batch(fake, 0, id, 2, 10);
        assert_batch(fake, 1, id, 3, 10);
        assert_batch(fake, 2, id, 4, 10);
    }
    fake_stage_repeat(fake, true);
    assert_int_equal(
        scene_number(fake, "SELECT count(*) FROM batches WHERE campaign_id = %lld AND waiting",
                     (long long)id),
        0);
    assert_done(fake, tell(fake, RESUMED, id));
    assert_int_equal(fake_stage_emitted(fake), 0);
}

static void a_batch_set_aside_behind_a_resumption_is_woken_by_the_tick(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = scene_campaign(fake, "sending", 10);

    configure(fake, 10, 0, 3);
    assert_done(fake, tell(fake, RESERVED, id));
    scene_sql(fake, "UPDATE batches SET waiting = true WHERE campaign_id = %lld", (long long)id);
    assert_true(fake_stage_tick(fake));
    assert_int_equal(fake_stage_emitted(fake), 1);
    assert_string_equal(fake_stage_out(fake, 0)->type, RESUMED);
    assert_done(fake, tell(fake, RESUMED, id));
    assert_batch(fake, 0, id, 1, 10);
    assert_true(fake_stage_tick(fake));
    assert_int_equal(fake_stage_emitted(fake), 0);
}

static void a_cancelled_campaign_ends_when_its_last_batch_is_back(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = scene_campaign(fake, "sending", 50);

    configure(fake, 10, 0, 3);
    assert_done(fake, tell(fake, RESERVED, id));
    send_out(fake, id, 1);
    scene_sql(fake, "UPDATE campaigns SET status = 'cancelling' WHERE id = %lld", (long long)id);
    scene_sql(fake, "UPDATE batches SET waiting = true WHERE campaign_id = %lld AND batch = 3",
              (long long)id);
    assert_done(fake, tell(fake, CANCELLED, id));
    assert_int_equal(fake_stage_emitted(fake), 1); /* it has to come back to be closed */
    assert_batch(fake, 0, id, 3, 10);
    assert_string_equal(scene_status(fake, id), "cancelling");
    give_up(fake, id, 2);
    assert_done(fake, say_done(fake, id, 2));
    assert_int_equal(fake_stage_emitted(fake), 0);
    give_up(fake, id, 3);
    assert_done(fake, say_done(fake, id, 3));
    assert_string_equal(scene_status(fake, id), "cancelled");
    assert_event(fake, &campaign_completed_v1, "cancelled");
    assert_int_equal(scene_number(fake,
                                  "SELECT cancelled FROM campaign_counts WHERE campaign_id = %lld",
                                  (long long)id),
                     40);
    assert_true(of(fake, id, "(completed_at IS NOT NULL)::int"));
    assert_int_equal(reserved(fake), 0);
}

static void tokens_of_recipients_in_doubt_stay_held_at_the_end(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = scene_campaign(fake, "sending", 10);

    configure(fake, 10, 0, 3);
    assert_done(fake, tell(fake, RESERVED, id));
    scene_sql(fake,
              "UPDATE recipients SET state = 2, batch = 1 WHERE campaign_id = %lld AND seq <= 3;"
              "UPDATE batches SET in_doubt = 3, claimed_seq = 3, recorded_seq = 3"
              " WHERE campaign_id = %lld;"
              "UPDATE campaigns SET status = 'cancelling' WHERE id = %lld",
              (long long)id, (long long)id, (long long)id);
    give_up(fake, id, 1);
    assert_done(fake, say_done(fake, id, 1));
    assert_string_equal(scene_status(fake, id), "cancelled");
    assert_int_equal(reserved(fake), 3);
}

static void a_campaign_cancelled_before_it_began_ends_at_once(void **state)
{
    struct fake_stage *fake = *state;
    int64_t unpaid = scene_campaign(fake, "reserving", 10);
    int64_t paid = scene_campaign(fake, "scheduled", 10);
    int64_t ids[] = { unpaid, paid };

    for (int i = 0; i < 2; i++) {
        scene_sql(fake, "UPDATE campaigns SET status = 'cancelling' WHERE id = %lld",
                  (long long)ids[i]);
        assert_done(fake, tell(fake, CANCELLED, ids[i]));
        assert_string_equal(scene_status(fake, ids[i]), "cancelled");
        assert_event(fake, &campaign_completed_v1, "cancelled");
    }
    assert_int_equal(reserved(fake), 0);
}

static void steer(struct fake_stage *fake, int64_t id, const char *status)
{
    scene_sql(fake, "UPDATE campaigns SET status = '%s', untold_at = now() WHERE id = %lld", status,
              (long long)id);
}

static void what_a_campaign_is_steered_to_is_told_until_the_telling_stands(void **state)
{
    static const char *const statuses[] = { "paused", "sending", "paused", "scheduled",
                                            "cancelling" };
    struct fake_stage *fake = *state;
    int64_t id = scene_campaign(fake, "sending", 10);
    char before[ID_MESSAGE_BYTES] = "";

    scene_sql(fake, "UPDATE campaigns SET scheduled_at = now() + interval '1 hour' WHERE id = %lld",
              (long long)id);
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        char first[ID_MESSAGE_BYTES];

        steer(fake, id, statuses[i]);
        assert_true(fake_stage_tick_lost(fake)); /* it dies before the commit */
        snprintf(first, sizeof first, "%s", told(fake, statuses[i]));
        assert_true(fake_stage_tick(fake));
        assert_string_equal(told(fake, statuses[i]), first);
        assert_string_not_equal(first, before); /* the second pause is another */
        assert_true(fake_stage_tick(fake));
        assert_int_equal(fake_stage_emitted_of(fake, "campaign.changed.v1"), 0);
        snprintf(before, sizeof before, "%s", first);
    }
}

static void what_a_stage_has_made_of_a_campaign_is_not_told_once_more(void **state)
{
    static const char *const statuses[] = { "sent", "cancelled", "expired", "completed",
                                            "insufficient_tokens" };
    struct fake_stage *fake = *state;

    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        steer(fake, scene_campaign(fake, "sending", 1), statuses[i]);
    }
    assert_true(fake_stage_tick(fake));
    assert_int_equal(fake_stage_emitted(fake), 0);
    assert_int_equal(
        fake_number(fake, "SELECT count(*) FROM campaigns WHERE untold_at IS NOT NULL"), 0);
}

static void that_all_is_sent_is_told_even_if_the_campaign_was_completed_since(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = scene_campaign(fake, "sending", 5);
    char json[100], first[ID_MESSAGE_BYTES];

    configure(fake, 10, 0, 3);
    assert_done(fake, tell(fake, RESERVED, id));
    send_out(fake, id, 1);
    snprintf(json, sizeof json, "{\"campaign\":\"%s\",\"batch\":1,\"size\":5}", scene_name(id));
    assert_done(fake, fake_stage_send(fake, DONE, "last", json));
    snprintf(first, sizeof first, "%s", told(fake, "sent"));
    scene_sql(fake,
              "UPDATE campaigns SET status = 'completed', completed_at = now() WHERE id = %lld",
              (long long)id);
    assert_done(fake, fake_stage_send(fake, DONE, "last", json));
    assert_int_equal(fake_stage_emitted(fake), 1);
    assert_string_equal(told(fake, "sent"), first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(a_paused_campaign_sends_nothing_until_it_is_resumed),
        SCENE(a_batch_set_aside_behind_a_resumption_is_woken_by_the_tick),
        SCENE(a_cancelled_campaign_ends_when_its_last_batch_is_back),
        SCENE(tokens_of_recipients_in_doubt_stay_held_at_the_end),
        SCENE(a_campaign_cancelled_before_it_began_ends_at_once),
        SCENE(what_a_campaign_is_steered_to_is_told_until_the_telling_stands),
        SCENE(what_a_stage_has_made_of_a_campaign_is_not_told_once_more),
        SCENE(that_all_is_sent_is_told_even_if_the_campaign_was_completed_since),
    };

    return cmocka_run_group_tests_name("stage.split-batches.steering", tests, scene_start_server,
                                       scene_stop_server);
}
