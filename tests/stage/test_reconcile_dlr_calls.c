/* reconcile-dlr: how a call ended decides what became of its recipient, what it costs, and whether
 * it is called again */
#include "reconcile_calls_scene.h"
#include "usage/usage.h"

static void each_end_has_its_meaning(void **state)
{
    static const struct {
        const char *how, *word, *told;
        int tokens, listened; /* -1: nobody listened */
    } table[] = {
        { ANSWERED(26), "completed", "delivered", 2, 100 },
        { ANSWERED(13), "completed", "delivered", 2, 50 },
        { ANSWERED(60), "completed", "delivered", 2, 100 },
        { ANSWERED(61), "completed", "delivered", 4, 100 },
        { ANSWERED(0), "completed", "delivered", 0, 0 },
        { ANSWERED(9000), "completed", "delivered", PRICE, 100 },
        { MISSED, "no_answer", "pending no_answer", 0, -1 },
        { BUSY, "busy", "pending busy", 0, -1 },
        { "\"status\":\"NotAnswered\",\"cause\":\"SUBSCRIBER_ABSENT\"", "unreachable",
          "pending unreachable", 0, -1 },
        { "\"status\":\"NotAnswered\",\"cause\":\"SERVICE_UNAVAILABLE\"", "failed",
          "pending failed", 0, -1 },
        { REFUSED, "rejected", "failed rejected", 0, -1 },
        { "\"status\":\"NotAnswered\",\"cause\":\"UNALLOCATED_NUMBER\"", "failed", "failed failed",
          0, -1 },
        { "\"status\":\"Aborted\"", "failed", "failed failed", 0, -1 },
    };
    enum { COUNT = sizeof table / sizeof *table };
    struct fake_stage *fake = *state;
    int64_t id = calls_placed(fake, "w", COUNT, "");

    for (int i = 0; i < COUNT; i++) {
        assert_done(fake, calls_ended(fake, id, "w", i + 1, table[i].how));
        assert_string_equal(calls_told(fake, id, i + 1), table[i].told);
        assert_string_equal(scene_text(fake,
                                       "SELECT word FROM calls WHERE campaign_id = %lld"
                                       "   AND seq = %d",
                                       (long long)id, i + 1),
                            table[i].word);
        assert_int_equal(scene_number(fake,
                                      "SELECT tokens * 1000 + coalesce(listened, -1) FROM calls"
                                      " WHERE campaign_id = %lld AND seq = %d",
                                      (long long)id, i + 1),
                         table[i].tokens * 1000 + table[i].listened);
        scene_adds_up(fake);
    }
    assert_int_equal(calls_batch(fake, id, "delivered * 100 + failed * 10 + sent"), 630);
    assert_int_equal(calls_batch(fake, id, "captured"), 2 + 2 + 2 + 4 + 0 + PRICE);
    assert_int_equal(calls_batch(fake, id, "captured + released"), 9 * PRICE);
    assert_int_equal(calls_batch(fake, id, "(retry_at > now())::int"), 1);
    assert_int_equal(calls_batch(fake, id, "(settled_at IS NULL AND done_at IS NULL)::int"), 1);
    assert_int_equal(fake_number(fake, "SELECT count(*) FROM odd_callbacks"), 0);
}

static void what_nobody_knows_is_decided_by_default_and_kept(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = calls_placed(fake, "u", 2, "");

    assert_done(fake, calls_ended(fake, id, "u", 1, "\"status\":\"Teleported\""));
    assert_string_equal(calls_told(fake, id, 1), "failed failed");
    assert_done(fake, calls_ended(fake, id, "u", 2, "\"status\":\"Beamed\",\"duration_s\":5"));
    assert_string_equal(calls_told(fake, id, 2), "delivered");
    assert_int_equal(fake_number(fake, "SELECT count(*) FROM odd_callbacks WHERE kind = 'voice'"
                                       "   AND why = 'unknown_status'"),
                     2);
    assert_non_null(strstr(fake_text(fake, "SELECT raw FROM odd_callbacks ORDER BY id LIMIT 1"),
                           "status=Teleported"));
}

static void an_end_counts_once_however_often_it_is_told(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = calls_placed(fake, "o", 3, "");
    const char *paid = ANSWERED(70) ",\"amount_e4\":15000,\"currency\":\"KES\"";

    for (int i = 0; i < 3; i++) { /* each twice */
        assert_done(fake, calls_ended(fake, id, "o", 1, paid));
        assert_done(fake, calls_ended(fake, id, "o", 2, MISSED));
        scene_adds_up(fake);
    }
    /* Another word about a call that has ended. */
    assert_done(fake, calls_ended(fake, id, "o", 1, MISSED));
    assert_done(fake, calls_ended(fake, id, "o", 2, ANSWERED(30)));
    assert_string_equal(calls_told(fake, id, 1), "delivered");
    assert_string_equal(calls_told(fake, id, 2), "pending no_answer");
    assert_int_equal(calls_count(fake, id), 2);
    assert_int_equal(calls_kept(fake), 0);
    assert_string_equal(calls_tokens(fake, id), "4 captured 4 released");
    assert_int_equal(calls_batch(fake, id, "cost_e4"), 15000);
    assert_string_equal(scene_text(fake,
                                   "SELECT cost_e4 || ' ' || currency FROM recipients"
                                   " WHERE campaign_id = %lld AND seq = 1",
                                   (long long)id),
                        "15000 KES");
}

static void who_does_not_answer_is_called_again_so_often(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = calls_placed(fake, "r", 1, "");
    static const int pauses[] = { 15, 30 };

    for (int i = 0; i < 2; i++) {
        char session[30];

        snprintf(session, sizeof session, i == 0 ? "ATVId_r-1" : "second");
        assert_done(fake, calls_end(fake, id, 1, session,
                                    MISSED ",\"amount_e4\":100,\"currency\":\"KES\""));
        assert_string_equal(calls_told(fake, id, 1), "pending no_answer");
        assert_int_equal(scene_number(fake,
                                      "SELECT count(*) FROM batches WHERE campaign_id = %lld"
                                      "   AND retry_at - now() BETWEEN interval '1 s' * %d - "
                                      "interval '3 s' AND interval '1 s' * %d",
                                      (long long)id, pauses[i], pauses[i]),
                         1);
        assert_int_equal(calls_batch(fake, id, "sent"), 0);
        scene_adds_up(fake);
        calls_place(fake, id, 1, i == 0 ? "second" : "third");
    }
    assert_done(fake, calls_end(fake, id, 1, "third", BUSY ",\"amount_e4\":50"));
    assert_string_equal(calls_told(fake, id, 1), "failed busy");
    assert_string_equal(calls_tokens(fake, id), "0 captured 8 released");
    assert_int_equal(calls_batch(fake, id, "cost_e4"), 250);
    assert_int_equal(calls_count(fake, id), 3);
}

static void a_campaign_says_how_often_and_when(void **state)
{
    struct fake_stage *fake = *state;
    int64_t once = calls_placed(fake, "c", 1, "attempts = 1");
    int64_t later = calls_placed(fake, "l", 1, "attempts = 2, retry_s = 3600");

    assert_done(fake, calls_ended(fake, once, "c", 1, MISSED));
    assert_string_equal(calls_told(fake, once, 1), "failed no_answer");
    assert_done(fake, calls_ended(fake, later, "l", 1, MISSED));
    assert_string_equal(calls_told(fake, later, 1), "pending no_answer");
    assert_true(calls_batch(fake, later, "(retry_at > now() + interval '59 minutes')::int"));
}

static void the_pause_of_a_batch_is_its_longest(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = calls_placed(fake, "p", 2, "retry_s = 100");

    scene_sql(fake, "UPDATE recipients SET attempts = 2 WHERE campaign_id = %lld AND seq = 1",
              (long long)id);
    assert_done(fake, calls_ended(fake, id, "p", 1, MISSED));
    assert_done(fake, calls_ended(fake, id, "p", 2, MISSED));
    assert_true(calls_batch(fake, id, "(retry_at > now() + interval '190 seconds')::int"));
}

static void who_listened_to_too_little_is_called_once_more(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = calls_placed(fake, "s", 4, "below_percent = 50");

    assert_done(fake, calls_ended(fake, id, "s", 1, ANSWERED(12)));
    assert_string_equal(calls_told(fake, id, 1), "pending completed");
    assert_string_equal(calls_tokens(fake, id), "0 captured 0 released");
    assert_done(fake, calls_ended(fake, id, "s", 2, ANSWERED(13)));
    assert_string_equal(calls_told(fake, id, 2), "delivered");
    scene_adds_up(fake);

    /* The second answer is the last, and both are paid. */
    calls_place(fake, id, 1, "again");
    assert_done(fake, calls_end(fake, id, 1, "again", ANSWERED(5)));
    assert_string_equal(calls_told(fake, id, 1), "delivered");
    assert_string_equal(calls_tokens(fake, id), "6 captured 10 released");

    /* Whoever answered once was reached, though not a second time. */
    assert_done(fake, calls_ended(fake, id, "s", 3, ANSWERED(1)));
    calls_place(fake, id, 3, "third");
    assert_done(fake, calls_end(fake, id, 3, "third", BUSY));
    assert_string_equal(calls_told(fake, id, 3), "pending busy");
    calls_place(fake, id, 3, "last");
    assert_done(fake, calls_end(fake, id, 3, "last", BUSY));
    assert_string_equal(calls_told(fake, id, 3), "delivered");

    /* Nobody is called more often than that. */
    scene_sql(fake, "UPDATE recipients SET attempts = 3 WHERE campaign_id = %lld AND seq = 4",
              (long long)id);
    assert_done(fake, calls_ended(fake, id, "s", 4, ANSWERED(1)));
    assert_string_equal(calls_told(fake, id, 4), "delivered");
    assert_string_equal(calls_tokens(fake, id), "10 captured 22 released");
}

static void nobody_pays_more_than_was_held(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = calls_placed(fake, "m", 1, "below_percent = 100, tokens_per_minute = 7");

    scene_sql(fake, "UPDATE campaigns SET text = repeat('a', 4000) WHERE id = %lld", (long long)id);
    assert_done(fake, calls_ended(fake, id, "m", 1, ANSWERED(20)));
    calls_place(fake, id, 1, "again");
    assert_done(fake, calls_end(fake, id, 1, "again", ANSWERED(86400)));
    assert_string_equal(calls_tokens(fake, id), "8 captured 0 released");
    assert_int_equal(scene_number(fake,
                                  "SELECT sum(tokens) FROM calls WHERE campaign_id = %lld"
                                  "   AND session_id = 'again'",
                                  (long long)id),
                     1);
}

static void a_campaign_that_ends_calls_nobody_again(void **state)
{
    static const char *const ends[] = { "status = 'cancelling'",
                                        "expires_at = now() - interval '1 s'" };
    struct fake_stage *fake = *state;

    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        char label[10];
        int64_t id;

        snprintf(label, sizeof label, "e%zu", i);
        id = calls_placed(fake, label, 3, "below_percent = 90");
        /* This one would have been called again, and now will not be. */
        assert_done(fake, calls_ended(fake, id, label, 3, ANSWERED(2)));
        assert_string_equal(calls_told(fake, id, 3), "pending completed");
        calls_tick(fake);
        assert_string_equal(calls_told(fake, id, 3), "pending completed");
        scene_sql(fake, "UPDATE campaigns SET %s WHERE id = %lld", ends[i], (long long)id);
        assert_done(fake, calls_ended(fake, id, label, 1, MISSED));
        assert_string_equal(calls_told(fake, id, 1), "failed no_answer");
        assert_done(fake, calls_ended(fake, id, label, 2, ANSWERED(2)));
        assert_string_equal(calls_told(fake, id, 2), "delivered");
        scene_adds_up(fake);
        calls_tick(fake);
        assert_string_equal(calls_told(fake, id, 3), "delivered");
        assert_string_equal(calls_tokens(fake, id), "4 captured 20 released");
        scene_adds_up(fake);
    }
}

static void a_paused_campaign_goes_on_later(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = calls_placed(fake, "z", 1, "");

    scene_sql(fake, "UPDATE campaigns SET status = 'paused' WHERE id = %lld", (long long)id);
    assert_done(fake, calls_ended(fake, id, "z", 1, MISSED));
    assert_string_equal(calls_told(fake, id, 1), "pending no_answer");
}

static void keys_are_kept_whichever_is_told_first(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = calls_placed(fake, "k", 2, "answers = '{\"1\": \"yes\"}'");

    for (int i = 0; i < 2; i++) {
        assert_done(fake, calls_press(fake, id, 1, "ATVId_k-1", 1, "1"));
        assert_done(fake, calls_press(fake, id, 1, "ATVId_k-1", 2, "#"));
        assert_done(fake, calls_press(fake, id, 1, "ATVId_k-1", 2, "5")); /* said otherwise later */
    }
    assert_string_equal(calls_told(fake, id, 1), "sent");
    assert_done(fake, calls_ended(fake, id, "k", 1, ANSWERED(30)));
    assert_done(fake, calls_ended(fake, id, "k", 2, ANSWERED(30)));
    assert_done(fake, calls_press(fake, id, 2, "ATVId_k-2", 1, "1"));
    assert_string_equal(
        scene_text(fake,
                   "SELECT string_agg(seq || '/' || step || '=' || keys, ' ' ORDER BY seq, step)"
                   "  FROM call_keys WHERE campaign_id = %lld",
                   (long long)id),
        "1/1=1 1/2=# 2/1=1");
    assert_int_equal(calls_kept(fake), 0);
    assert_int_equal(fake_number(fake, "SELECT count(*) FROM suppressions"), 0);
}

static void who_pressed_stop_is_not_called_again(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = calls_placed(fake, "x", 4, "stop_key = '9', below_percent = 90");

    assert_done(fake, calls_press(fake, id, 1, "ATVId_x-1", 1, "9"));
    assert_done(fake, calls_ended(fake, id, "x", 1, ANSWERED(2)));
    assert_string_equal(calls_told(fake, id, 1), "delivered");
    /* The end is told first. */
    assert_done(fake, calls_ended(fake, id, "x", 2, ANSWERED(2)));
    assert_string_equal(calls_told(fake, id, 2), "pending completed");
    assert_done(fake, calls_press(fake, id, 2, "ATVId_x-2", 1, "9"));
    assert_string_equal(calls_told(fake, id, 2), "delivered");
    /* Another key is none. */
    assert_done(fake, calls_press(fake, id, 3, "ATVId_x-3", 1, "8"));
    assert_done(fake, calls_ended(fake, id, "x", 3, ANSWERED(2)));
    assert_string_equal(calls_told(fake, id, 3), "pending completed");
    assert_string_equal(fake_text(fake, "SELECT string_agg(msisdn || ' ' || reason, ', ' ORDER BY"
                                        " msisdn) FROM suppressions WHERE account_id = 1"),
                        "254700000001 pressed_stop, 254700000002 pressed_stop");
    assert_string_equal(calls_tokens(fake, id), "4 captured 12 released");
}

static void a_batch_that_is_over_is_settled_by_its_last_doubt(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = calls_placed(fake, "b", 3, "");

    calls_doubt(fake, id, 2);
    calls_doubt(fake, id, 3);
    assert_done(fake, calls_ended(fake, id, "b", 1, ANSWERED(10)));
    scene_sql(fake, "UPDATE batches SET done_at = now(), calling = false WHERE campaign_id = %lld",
              (long long)id);
    /* The campaign goes on, but nobody calls anybody of this batch any more. */
    assert_done(fake, calls_end(fake, id, 2, "found", MISSED));
    assert_string_equal(calls_told(fake, id, 2), "failed no_answer");
    assert_int_equal(calls_batch(fake, id, "(settled_at IS NULL)::int"), 1);
    scene_sql(fake, "UPDATE campaigns SET status = 'sent', sent_at = now() WHERE id = %lld",
              (long long)id);
    calls_tick(fake);
    assert_string_equal(scene_status(fake, id), "sent");
    assert_done(fake, calls_end(fake, id, 3, "found-too", MISSED));
    assert_string_equal(calls_told(fake, id, 3), "failed no_answer");
    assert_int_equal(calls_batch(fake, id, "(settled_at IS NOT NULL)::int"), 1);
    calls_tick(fake);
    assert_string_equal(scene_status(fake, id), "completed");
    assert_string_equal(calls_tokens(fake, id), "2 captured 22 released");
}

/* Both told in one transaction: there is nobody left for a further pass. */
static void who_stops_leaves_no_pass_behind(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = calls_placed(fake, "y", 1, "stop_key = '*', below_percent = 90");
    static const char *const whats[] = { "\"ended\":true," ANSWERED(2),
                                         "\"step\":1,\"keys\":\"*\"" };
    static const char *const names[] = { "stops-1", "stops-2" };
    struct fake_message messages[2];
    char json[2][300], at[CLOCK_RFC3339_BYTES];

    clock_format(clock_now_ms(), at);
    for (int i = 0; i < 2; i++) {
        snprintf(json[i], sizeof json[i],
                 "{\"provider\":\"africastalking\",\"session\":\"ATVId_y-1\","
                 "\"phone\":\"+%lld\",%s,\"received_at\":\"%s\"}",
                 (long long)NUMBER(1), whats[i], at);
        messages[i] = (struct fake_message){ .type = REPORTED, .id = names[i], .json = json[i] };
    }
    assert_done(fake, fake_stage_together(fake, messages, 2));
    assert_string_equal(calls_told(fake, id, 1), "delivered");
    assert_int_equal(calls_batch(fake, id, "(retry_at IS NULL)::int"), 1);
}

/* By network, as it is read: "recipients tokens delivered failed failed_tokens", and the rest. */
static const char *used(struct fake_stage *fake)
{
    static char text[100];
    struct arena *arena = arena_create(1 << 20);
    struct usage usage;
    struct err err;

    if (!usage_read(fake_db(fake), 1, 2, 5, clock_now_ms() + 1000, arena, &usage, &err)) {
        fail_msg("%s: %s", err.what, err.detail);
    }
    assert_int_equal(usage.network_count, 1);
    snprintf(text, sizeof text, "%lld %lld %lld %lld %lld, %lld",
             (long long)usage.networks[0].recipients, (long long)usage.networks[0].tokens,
             (long long)usage.networks[0].delivered, (long long)usage.networks[0].failed,
             (long long)usage.networks[0].failed_tokens, (long long)usage.uncounted);
    arena_destroy(arena);
    return text;
}

/* By network: what calls cost, and not what was held for them. */
static void calls_are_counted_by_what_they_cost(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = calls_placed(fake, "n", 4, "attempts = 1");

    assert_done(fake, calls_ended(fake, id, "n", 1, ANSWERED(70)));
    assert_string_equal(used(fake), "4 4 1 0 0, 0");
    assert_done(fake, calls_ended(fake, id, "n", 2, MISSED));
    assert_done(fake, calls_ended(fake, id, "n", 3, ANSWERED(5)));
    assert_done(fake, calls_ended(fake, id, "n", 4, REFUSED));
    scene_sql(fake,
              "UPDATE recipients SET final_at = final_at + interval '1 s' WHERE campaign_id = %lld;"
              "UPDATE batches SET done_at = now(), settled_at = now() WHERE campaign_id = %lld;"
              "UPDATE campaigns SET status = 'sent', sent_at = now() WHERE id = %lld",
              (long long)id, (long long)id, (long long)id);
    calls_tick(fake);
    calls_tick(fake);
    assert_string_equal(fake_text(fake, "SELECT concat_ws(' ', recipients, tokens, delivered,"
                                        "                 failed, failed_tokens)"
                                        "  FROM network_usage"),
                        "4 6 2 0 0");
    assert_string_equal(used(fake), "4 6 2 0 0, 0");
}

#define TOGETHER 32

/*
 * Two campaigns, and messages among the calls whose tokens go back: in chance order, some of them
 * twice in one transaction. What comes of it is what would of each alone.
 */
static void many_together_come_to_the_same(void **state)
{
    struct fake_stage *fake = *state;
    int64_t ids[2] = { calls_placed(fake, "g0", 10, "stop_key = '9', below_percent = 50"),
                       calls_placed(fake, "g1", 10, "") };
    int64_t sms = scene_campaign(fake, "sent", 2);
    struct fake_message messages[TOGETHER];
    static char json[TOGETHER][400];
    char at[CLOCK_RFC3339_BYTES];

    scene_sql(fake,
              "UPDATE recipients SET state = 3, batch = 1, attempts = 1, sent_at = now(),"
              "       provider_id = 'm-' || seq, msisdn = msisdn + 500 WHERE campaign_id = %lld;"
              "INSERT INTO batches (campaign_id, batch, first_seq, last_seq, origin, claimed_seq,"
              "                     recorded_seq, sent, captured, done_at)"
              " VALUES (%lld, 1, 1, 2, 'cut', 2, 2, 2, 2, now());"
              "SELECT scene_entry(1, 'capture', 'reserved', 'spent', 2, 'sms', %lld);"
              "UPDATE token_balances SET reserved = reserved - 2, spent = spent + 2"
              " WHERE account_id = 1; UPDATE token_holds SET captured = 2 WHERE id = %lld;"
              "UPDATE accounts SET refund_failed = true",
              (long long)sms, (long long)sms, (long long)sms, (long long)sms);
    clock_format(clock_now_ms(), at);
    for (int i = 0; i < TOGETHER; i++) {
        int n = (i * 13 + 5) % TOGETHER; /* 0 to 19 ends, 20 to 27 the first again, then others */
        int seq = n % 20 % 10 + 1, campaign = n % 20 / 10;

        messages[i] = (struct fake_message){ .type = n < 30 ? REPORTED : "delivery.reported.v1",
                                             .id = scene_text(fake, "SELECT 'together-%d'", i),
                                             .json = json[i] };
        if (n >= 30) {
            snprintf(json[i], sizeof json[i],
                     "{\"provider\":\"africastalking\",\"reports\":[{\"id\":\"m-%d\","
                     "\"phone\":\"+%lld\",\"status\":\"Failed\",\"received_at\":\"%s\"}]}",
                     n - 29, (long long)NUMBER(500 + n - 29), at);
            continue;
        }
        snprintf(
            json[i], sizeof json[i],
            "{\"provider\":\"africastalking\",\"session\":\"ATVId_g%d-%d\",\"phone\":\"+%lld\","
            "\"campaign\":\"%s\",%s,\"received_at\":\"%s\"}",
            campaign, seq, (long long)NUMBER(seq), scene_name(ids[campaign]),
            n >= 28    ? "\"step\":1,\"keys\":\"9\""
            : seq == 3 ? "\"ended\":true," MISSED ",\"amount_e4\":10"
                       : "\"ended\":true," ANSWERED(5) ",\"amount_e4\":10",
            at);
    }
    assert_done(fake, fake_stage_together(fake, messages, TOGETHER));
    scene_adds_up(fake);
    /* 28 and 29 are keys of the ninth and tenth of the first, who were to be called again. */
    assert_int_equal(calls_batch(fake, ids[0], "delivered * 100 + failed * 10 + sent"), 200);
    assert_int_equal(calls_batch(fake, ids[1], "delivered * 100 + failed * 10 + sent"), 900);
    assert_string_equal(calls_tokens(fake, ids[0]), "4 captured 12 released");
    assert_string_equal(calls_tokens(fake, ids[1]), "18 captured 54 released");
    assert_int_equal(calls_batch(fake, ids[0], "cost_e4"), 100);
    assert_int_equal(
        scene_number(fake, "SELECT refunded FROM token_holds WHERE id = %lld", (long long)sms), 2);
    assert_int_equal(fake_number(fake, "SELECT count(*) FROM ledger_entries"
                                       " WHERE reference LIKE '%/calls/%'"),
                     4); /* one capture and one release of each campaign */
    /* And again, as after a crash before the acknowledgement. */
    assert_done(fake, fake_stage_together(fake, messages, TOGETHER));
    assert_int_equal(fake_number(fake, "SELECT count(*) FROM calls"), 20);
    assert_string_equal(calls_tokens(fake, ids[0]), "4 captured 12 released");
    assert_int_equal(calls_kept(fake), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(each_end_has_its_meaning),
        SCENE(what_nobody_knows_is_decided_by_default_and_kept),
        SCENE(an_end_counts_once_however_often_it_is_told),
        SCENE(who_does_not_answer_is_called_again_so_often),
        SCENE(a_campaign_says_how_often_and_when),
        SCENE(the_pause_of_a_batch_is_its_longest),
        SCENE(who_listened_to_too_little_is_called_once_more),
        SCENE(nobody_pays_more_than_was_held),
        SCENE(a_campaign_that_ends_calls_nobody_again),
        SCENE(a_paused_campaign_goes_on_later),
        SCENE(keys_are_kept_whichever_is_told_first),
        SCENE(who_pressed_stop_is_not_called_again),
        SCENE(a_batch_that_is_over_is_settled_by_its_last_doubt),
        SCENE(who_stops_leaves_no_pass_behind),
        SCENE(calls_are_counted_by_what_they_cost),
        SCENE(many_together_come_to_the_same),
    };

    return cmocka_run_group_tests_name("stage.reconcile-dlr.calls", tests, scene_start_server,
                                       scene_stop_server);
}
