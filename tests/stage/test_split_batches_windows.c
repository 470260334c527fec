/* split-batches: a campaign is cut into batches, a window of them at a time */
#include "split_batches_scene.h"

static void only_a_window_of_batches_is_out_at_once(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = scene_campaign(fake, "sending", 55);

    configure(fake, 10, 0, 3);
    assert_done(fake, tell(fake, RESERVED, id));
    assert_int_equal(fake_stage_emitted_of(fake, READY), 3);
    for (int i = 0; i < 3; i++) {
        assert_batch(fake, (size_t)i, id, i + 1, 10);
        assert_string_equal(fake_stage_out(fake, (size_t)i)->route, "sms");
        assert_string_equal(fake_stage_out(fake, (size_t)i)->key, "batch.ready.sms.normal");
        assert_string_equal(fake_stage_out(fake, (size_t)i)->account, "acme");
    }
    assert_int_equal(fake_stage_emitted(fake), 3); /* that it is sending, reserve-tokens told */
    assert_true(of(fake, id, "(started_at IS NOT NULL)::int"));
    assert_done(fake, tell(fake, RESERVED, id)); /* another of the kind: the window is full */
    assert_int_equal(fake_stage_emitted(fake), 0);
    for (int batch = 1; batch <= 6; batch++) {
        send_out(fake, id, batch);
        assert_done(fake, say_done(fake, id, batch));
        if (batch <= 3) {
            assert_int_equal(fake_stage_emitted(fake), 1);
            assert_batch(fake, 0, id, batch + 3, batch < 3 ? 10 : 5);
        } else {
            assert_int_equal(fake_stage_emitted(fake), batch == 6);
        }
    }
    assert_event(fake, &campaign_changed_v1, "sent");
    assert_string_equal(scene_status(fake, id), "sent");
    assert_true(of(fake, id, "(sent_at IS NOT NULL AND completed_at IS NULL)::int"));
    assert_int_equal(reserved(fake), 55); /* send-sms settles, nobody else */
}

static void several_batches_done_at_once_refill_the_window(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = scene_campaign(fake, "sending", 50);

    configure(fake, 10, 0, 3);
    assert_done(fake, tell(fake, RESERVED, id));
    send_out(fake, id, 1);
    send_out(fake, id, 3);
    assert_done(fake, say_done(fake, id, 3));
    assert_int_equal(fake_stage_emitted_of(fake, READY), 2);
    assert_batch(fake, 0, id, 4, 10);
    assert_batch(fake, 1, id, 5, 10);
    assert_done(fake, say_done(fake, id, 1));
    assert_int_equal(fake_stage_emitted(fake), 0);
}

static void a_rate_makes_batches_of_a_twentieth_of_a_second(void **state)
{
    static const struct {
        int per_second, batch_size, size;
    } table[] = { { 0, 30, 30 }, { 10, 30, 1 },   { 20, 30, 1 },
                  { 40, 30, 2 }, { 500, 30, 25 }, { 100000, 30, 30 } };
    struct fake_stage *fake = *state;

    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        int64_t id = scene_campaign(fake, "sending", 100);

        configure(fake, table[i].batch_size, table[i].per_second, 2);
        assert_done(fake, tell(fake, RESERVED, id));
        assert_batch(fake, 0, id, 1, table[i].size);
        assert_batch(fake, 1, id, 2, table[i].size);
    }
}

static void a_small_campaign_is_charged_for_what_it_is(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = scene_campaign(fake, "sending", 1);

    configure(fake, 500, 10000, 12);
    fake_stage_repeat(fake, false); /* sizes are counted in two ways */
    for (int twice = 0; twice < 2; twice++) {
        assert_done(fake, fake_stage_send(fake, RESERVED, "small", scene_fact(id)));
        assert_batch(fake, 0, id, 1, 1);
    }
}

/* Rows that became no recipient, or are suppressed, leave gaps; the sizes do not count them. */
static void gaps_in_the_rows_do_not_count(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = scene_campaign(fake, "sending", 30);

    configure(fake, 10, 0, 2);
    scene_sql(fake,
              "UPDATE recipients SET seq = seq * 5000 WHERE campaign_id = %lld;"
              "UPDATE recipients SET state = 7 WHERE campaign_id = %lld AND seq %% 15000 = 0;"
              "UPDATE campaigns SET last_seq = 1000000, suppressed = 10, segments = 20"
              " WHERE id = %lld;"
              "UPDATE token_holds SET released = 10 WHERE id = %lld;",
              (long long)id, (long long)id, (long long)id, (long long)id);
    scene_sql(fake,
              "UPDATE token_holds SET amount = 20, released = 0 WHERE id = %lld;"
              "UPDATE token_hold_lots SET amount = 20 WHERE hold_id = %lld;"
              "UPDATE token_lots SET available = available + 10 WHERE id = 1;"
              "UPDATE token_balances SET available = available + 10, reserved = reserved - 10;"
              "SELECT scene_entry(1, 'adjust', 'reserved', 'available', 10, 'gaps')",
              (long long)id, (long long)id);
    /* Both times, also when the sizes are counted again for a redelivery. */
    for (int twice = 0; twice < 2; twice++) {
        fake_stage_repeat(fake, false);
        assert_done(fake, fake_stage_send(fake, RESERVED, "gaps", scene_fact(id)));
        assert_int_equal(fake_stage_emitted_of(fake, READY), 2);
        assert_batch(fake, 0, id, 1, 10);
        assert_batch(fake, 1, id, 2, 10);
    }
    assert_int_equal(scene_number(fake,
                                  "SELECT last_seq FROM batches WHERE campaign_id = %lld"
                                  " AND batch = 1",
                                  (long long)id),
                     70000);
    send_out(fake, id, 1);
    assert_done(fake, say_done(fake, id, 1)); /* nothing but a gap is left */
    assert_int_equal(fake_stage_emitted(fake), 0);
    send_out(fake, id, 2);
    assert_done(fake, say_done(fake, id, 2));
    assert_event(fake, &campaign_changed_v1, "sent");
}

static void a_message_that_comes_again_tells_the_same_even_much_later(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = scene_campaign(fake, "sending", 30);
    char ids[3][ID_MESSAGE_BYTES];

    configure(fake, 10, 0, 2);
    scene_sql(fake,
              "UPDATE campaigns SET reserved_at = now() - interval '1 hour',"
              "       scheduled_at = now() - interval '1 second' WHERE id = %lld",
              (long long)id); /* so that it tells that it begins */
    assert_done(fake, fake_stage_send(fake, RESERVED, "again", scene_fact(id)));
    for (size_t i = 0; i < 3; i++) {
        strcpy(ids[i], fake_stage_out(fake, i)->id);
    }
    send_out(fake, id, 1);
    assert_done(fake, say_done(fake, id, 1));
    send_out(fake, id, 2);
    fake_stage_restart(fake);
    assert_done(fake, fake_stage_send(fake, RESERVED, "again", scene_fact(id)));
    assert_int_equal(fake_stage_emitted(fake), 3);
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(fake_stage_out(fake, i)->id, ids[i]);
    }
    assert_int_equal(
        scene_number(fake, "SELECT count(*) FROM batches WHERE campaign_id = %lld", (long long)id),
        3);
}

static void a_campaign_of_nothing_but_gaps_is_sent(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = scene_campaign(fake, "sending", 5);

    scene_sql(fake,
              "UPDATE recipients SET state = 5, batch = 1 WHERE campaign_id = %lld;"
              "INSERT INTO batches (campaign_id, batch, first_seq, last_seq, origin, claimed_seq,"
              "                     recorded_seq, done_at, failed)"
              " VALUES (%lld, 1, 1, 5, 'before', 5, 5, now(), 5);"
              "UPDATE campaigns SET last_seq = 99, next_seq = 6, next_batch = 2 WHERE id = %lld",
              (long long)id, (long long)id, (long long)id);
    assert_done(fake, tell(fake, RESUMED, id));
    assert_int_equal(fake_stage_emitted(fake), 1);
    assert_event(fake, &campaign_changed_v1, "sent");
}

static void messages_about_campaigns_that_are_not_sending_do_nothing(void **state)
{
    static const char *const words[] = { "receiving",           "quoted",  "reserving",
                                         "insufficient_tokens", "refused", "abandoned",
                                         "completed",           "paused" };
    static const char *const types[] = { RESERVED, RESUMED, CANCELLED };
    struct fake_stage *fake = *state;

    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        int64_t id = scene_campaign(fake, words[i], 10);

        for (size_t t = 0; t < 3; t++) {
            assert_done(fake, tell(fake, types[t], id));
            assert_int_equal(fake_stage_emitted(fake), 0);
            assert_string_equal(scene_status(fake, id), words[i]);
        }
    }
}

static void a_message_about_nothing_is_parked(void **state)
{
    static const struct {
        const char *type, *json, *why;
    } table[] = {
        { RESERVED, "{\"campaign\":\"cmp_0000000000001\"}", "campaign_unknown" },
        { CANCELLED, "{\"campaign\":\"june\"}", "bad_campaign" },
        { RESUMED, "{}", "bad_field" },
        { DONE, "{\"campaign\":\"june\",\"batch\":1,\"size\":1}", "bad_campaign" },
        { DONE, "{\"campaign\":\"cmp_0000000000001\",\"batch\":0,\"size\":1}", "bad_field" },
    };
    struct fake_stage *fake = *state;

    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        assert_int_equal(fake_stage_send(fake, table[i].type, scene_message(), table[i].json),
                         STAGE_REJECT);
        assert_string_equal(fake_stage_why(fake), table[i].why);
    }
}

/* Whatever the gaps, sizes and windows: each pending recipient is in exactly one batch. */
static void every_recipient_is_in_exactly_one_batch(void **state)
{
    struct fake_stage *fake = *state;
    uint32_t chance = 42;

    for (int round = 0; round < 8; round++) {
        int64_t id = scene_campaign(fake, "sending", 300);
        int64_t pending, emitted = 0;
        int size, window, next = 1;

        chance = chance * 1664525 + 1013904223;
        size = 1 + (int)(chance >> 8) % 40;
        window = 1 + (int)(chance >> 16) % 9;
        configure(fake, size, 0, window);
        scene_sql(fake,
                  "UPDATE recipients SET seq = seq * 1000 WHERE campaign_id = %lld;"
                  "UPDATE recipients r SET seq = n.at FROM ("
                  "  SELECT seq, 3 * row_number() OVER (ORDER BY md5(seq::text || '%u')) -"
                  "         get_byte(md5(seq::text)::bytea, 0) %% 3 AS at"
                  "    FROM recipients WHERE campaign_id = %lld) n"
                  " WHERE r.campaign_id = %lld AND r.seq = n.seq;"
                  "UPDATE campaigns SET last_seq = 901 WHERE id = %lld",
                  (long long)id, chance, (long long)id, (long long)id, (long long)id);
        pending = 300;
        assert_done(fake, tell(fake, RESERVED, id));
        while (strcmp(scene_status(fake, id), "sending") == 0) {
            size_t batches = fake_stage_emitted_of(fake, READY);

            for (size_t i = 0; i < batches; i++) {
                struct batch_fact fact;

                fake_stage_read(fake, &batch_ready_v1, i, &fact);
                assert_true(fact.size >= 1 && fact.size <= size);
                emitted += fact.size;
            }
            assert_true(scene_number(fake,
                                     "SELECT count(*) FROM batches WHERE campaign_id = %lld"
                                     " AND done_at IS NULL",
                                     (long long)id) <= window);
            send_out(fake, id, next);
            assert_done(fake, say_done(fake, id, next++));
        }
        assert_string_equal(scene_status(fake, id), "sent");
        assert_int_equal(emitted, pending);
        assert_int_equal(scene_number(fake,
                                      "SELECT count(*) FROM recipients r JOIN batches b"
                                      "  ON b.campaign_id = r.campaign_id"
                                      " AND r.seq BETWEEN b.first_seq AND b.last_seq"
                                      " WHERE r.campaign_id = %lld AND r.state = 3",
                                      (long long)id),
                         pending);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(only_a_window_of_batches_is_out_at_once),
        SCENE(several_batches_done_at_once_refill_the_window),
        SCENE(a_rate_makes_batches_of_a_twentieth_of_a_second),
        SCENE(a_small_campaign_is_charged_for_what_it_is),
        SCENE(gaps_in_the_rows_do_not_count),
        SCENE(a_message_that_comes_again_tells_the_same_even_much_later),
        SCENE(a_campaign_of_nothing_but_gaps_is_sent),
        SCENE(messages_about_campaigns_that_are_not_sending_do_nothing),
        SCENE(a_message_about_nothing_is_parked),
        SCENE(every_recipient_is_in_exactly_one_batch),
    };

    return cmocka_run_group_tests_name("stage.split-batches.windows", tests, scene_start_server,
                                       scene_stop_server);
}
