/* split-batches: a campaign is cut, a few batches at a time, and ended */
#include "msg/campaign.h"
#include "msg/event.h"
#include "scene.h"

#define RESERVED "campaign.reserved.v1"
#define RESUMED "campaign.resumed.v1"
#define CANCELLED "campaign.cancelled.v1"
#define DONE "batch.done.v1"
#define READY "batch.ready.v1"
#define CHANGED "campaign.changed.v1"
#define COMPLETED "campaign.completed.v1"

static void configure(struct fake_stage *fake, int size, int per_second, int window)
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

static enum verdict tell(struct fake_stage *fake, const char *type, int64_t id)
{
    return fake_stage_send(fake, type, scene_message(), scene_fact(id));
}

/* What send-sms does with a batch: its pending recipients are sent. */
static void send_out(struct fake_stage *fake, int64_t id, int batch)
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
static void give_up(struct fake_stage *fake, int64_t id, int batch)
{
    scene_sql(fake,
              "UPDATE batches SET done_at = now(), waiting = false"
              " WHERE campaign_id = %lld AND batch = %d",
              (long long)id, batch);
}

static enum verdict say_done(struct fake_stage *fake, int64_t id, int batch)
{
    char json[100];

    snprintf(json, sizeof json, "{\"campaign\":\"%s\",\"batch\":%d,\"size\":1}", scene_name(id),
             batch);
    return fake_stage_send(fake, DONE, scene_message(), json);
}

/* The index-th batch emitted has this number and size. */
static void assert_batch(struct fake_stage *fake, size_t index, int64_t id, int batch, int size)
{
    struct batch_fact fact;

    fake_stage_read(fake, &batch_ready_v1, index, &fact);
    assert_string_equal(fact.campaign, scene_name(id));
    assert_int_equal(fact.batch, batch);
    assert_int_equal(fact.size, size);
}

static void assert_event(struct fake_stage *fake, const struct shape *shape, const char *status)
{
    struct campaign_event event;

    fake_stage_read(fake, shape, 0, &event);
    assert_string_equal(event.status, status);
}

static int64_t of(struct fake_stage *fake, int64_t id, const char *column)
{
    return scene_number(fake, "SELECT %s FROM campaigns WHERE id = %lld", column, (long long)id);
}

static int64_t reserved(struct fake_stage *fake)
{
    return fake_number(fake, "SELECT reserved FROM token_balances WHERE account_id = 1");
}

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

/* The id of the one event of a tick, which must be of this status. */
static const char *told(struct fake_stage *fake, const char *status)
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
        SCENE(a_paused_campaign_sends_nothing_until_it_is_resumed),
        SCENE(a_batch_set_aside_behind_a_resumption_is_woken_by_the_tick),
        SCENE(a_cancelled_campaign_ends_when_its_last_batch_is_back),
        SCENE(tokens_of_recipients_in_doubt_stay_held_at_the_end),
        SCENE(a_campaign_cancelled_before_it_began_ends_at_once),
        SCENE(a_campaign_past_its_expiry_ends_with_what_was_sent),
        SCENE(whatever_waits_past_its_expiry_is_found_by_the_tick),
        SCENE(a_paused_campaign_with_batches_set_aside_expires_whole),
        SCENE(a_scheduled_campaign_begins_when_it_is_due),
        SCENE(what_a_lost_message_left_standing_goes_on_by_the_tick),
        SCENE(a_campaign_of_nothing_but_gaps_is_sent),
        SCENE(messages_about_campaigns_that_are_not_sending_do_nothing),
        SCENE(a_message_about_nothing_is_parked),
        SCENE(the_house_is_kept),
        SCENE(what_a_campaign_is_steered_to_is_told_until_the_telling_stands),
        SCENE(what_a_stage_has_made_of_a_campaign_is_not_told_once_more),
        SCENE(that_all_is_sent_is_told_even_if_the_campaign_was_completed_since),
        SCENE(campaigns_whose_recipients_stop_coming_are_abandoned),
        SCENE(every_recipient_is_in_exactly_one_batch),
    };

    return cmocka_run_group_tests_name("stage.split-batches", tests, scene_start_server,
                                       scene_stop_server);
}
