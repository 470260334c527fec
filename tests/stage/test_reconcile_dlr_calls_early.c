/* reconcile-dlr: reports of calls that come before their recipient is known to be called, too late,
 * of nobody, or about another call than the one that is waited for */
#include "reconcile_calls_scene.h"

/* What a request is named, as place-call does. */
static const char *request_of(int64_t id, int pass)
{
    static char names[100];

    snprintf(names, sizeof names, ",\"request\":\"%s-1-%d\"", scene_name(id), pass);
    return names;
}

static void a_report_that_comes_before_the_record_waits_for_it(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = calls_placed(fake, "e", 3, "");

    calls_claim(fake, id, 3);
    assert_done(fake, calls_ended(fake, id, "e", 1, ANSWERED(70)));
    assert_done(fake,
                calls_tell(fake, &(struct call_told){ "ATVId_e-2", NUMBER(2), request_of(id, 1),
                                                      "\"ended\":true," MISSED }));
    /* Named by nothing but number and session. */
    assert_done(fake, calls_tell(fake, &(struct call_told){ "ATVId_e-3", NUMBER(3), "",
                                                            "\"ended\":true," REFUSED }));
    assert_done(fake, calls_press(fake, id, 1, "ATVId_e-1", 1, "7"));
    assert_int_equal(fake_number(fake, "SELECT count(*) FROM call_keys"), 1); /* need not wait */
    assert_int_equal(calls_kept(fake), 3);
    assert_int_equal(calls_count(fake, id), 0);
    assert_int_equal(fake_number(fake, "SELECT count(*) FROM unmatched_calls WHERE tries = 0"
                                       "   AND next_try_at - now() BETWEEN interval '0'"
                                       "                                AND interval '1 s'"),
                     3);
    calls_sweep(fake);
    assert_int_equal(calls_kept(fake), 3);
    assert_int_equal(scene_number(fake,
                                  "SELECT count(*) FROM recipients WHERE campaign_id = %lld"
                                  "   AND state = 0 AND final_at IS NULL AND provider_id IS NULL",
                                  (long long)id),
                     3);
    assert_int_equal(calls_batch(fake, id, "in_flight"), 3);

    calls_record(fake, id, 3, "e");
    calls_tick(fake); /* not their turn yet */
    assert_int_equal(calls_kept(fake), 3);
    fake_stage_advance_ms(fake, 2100);
    calls_tick(fake);
    assert_int_equal(calls_kept(fake), 0);
    assert_string_equal(calls_told(fake, id, 1), "delivered");
    assert_string_equal(calls_told(fake, id, 2), "pending no_answer");
    assert_string_equal(calls_told(fake, id, 3), "failed rejected");
    assert_string_equal(calls_tokens(fake, id), "4 captured 12 released");
    /* What was kept and comes again. */
    assert_done(fake, calls_ended(fake, id, "e", 1, ANSWERED(70)));
    assert_done(fake, calls_ended(fake, id, "e", 2, MISSED));
    assert_int_equal(calls_kept(fake), 0);
    assert_int_equal(calls_count(fake, id), 3);
}

/* It died after the request: its recipients are in doubt, and the report that waited resolves them.
 */
static void a_report_between_claim_and_crash_resolves_the_doubt(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = calls_placed(fake, "c", 2, "");

    calls_claim(fake, id, 2);
    assert_done(fake, calls_ended(fake, id, "c", 1, ANSWERED(10)));
    assert_done(fake, calls_ended(fake, id, "c", 2, MISSED));
    assert_int_equal(calls_kept(fake), 2);
    scene_sql(fake,
              "UPDATE recipients SET state = 2, batch = 1, reason = 'answer_lost',"
              "       sent_at = now(), attempts = attempts + 1 WHERE campaign_id = %lld;"
              "UPDATE batches SET recorded_seq = claimed_seq, in_flight = 0, claim = NULL,"
              "       in_doubt = in_doubt + 2 WHERE campaign_id = %lld",
              (long long)id, (long long)id);
    calls_sweep(fake);
    assert_int_equal(calls_kept(fake), 0);
    assert_string_equal(calls_told(fake, id, 1), "delivered");
    assert_string_equal(calls_told(fake, id, 2), "pending no_answer");
    assert_int_equal(calls_batch(fake, id, "in_doubt * 10 + sent"), 0);
    assert_string_equal(calls_tokens(fake, id), "2 captured 6 released");
    assert_string_equal(scene_text(fake,
                                   "SELECT string_agg(provider_id, ' ' ORDER BY seq)"
                                   "  FROM recipients WHERE campaign_id = %lld",
                                   (long long)id),
                        "ATVId_c-1 ATVId_c-2");
}

/* A call of the pass before ends while the next is being placed: the row must stay as it is. */
static void nobody_becomes_pending_in_a_window_that_is_claimed(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = calls_placed(fake, "w", 3, "");

    scene_sql(fake,
              "UPDATE recipients SET state = 0 WHERE campaign_id = %lld AND seq IN (1, 3);"
              "UPDATE batches SET claimed_seq = 3, in_flight = 2, sent = 1, claim = 7,"
              "       calling = false WHERE campaign_id = %lld",
              (long long)id, (long long)id);
    assert_done(fake, calls_ended(fake, id, "w", 2, MISSED));
    assert_string_equal(calls_told(fake, id, 2), "sent");
    assert_int_equal(calls_kept(fake), 1);
    assert_int_equal(calls_count(fake, id), 0);
    scene_adds_up(fake);
    scene_sql(fake,
              "UPDATE recipients SET state = 3, attempts = 2, provider_id = 'other-' || seq"
              " WHERE campaign_id = %lld AND seq IN (1, 3);"
              "UPDATE batches SET recorded_seq = 3, in_flight = 0, sent = 3, claim = NULL"
              " WHERE campaign_id = %lld",
              (long long)id, (long long)id);
    calls_sweep(fake);
    assert_string_equal(calls_told(fake, id, 2), "pending no_answer");
    assert_int_equal(calls_kept(fake), 0);
    /* An end that ends the recipient need not wait. */
    scene_sql(fake,
              "UPDATE recipients SET state = 0 WHERE campaign_id = %lld AND seq = 1;"
              "UPDATE batches SET claimed_seq = 3, recorded_seq = 0, in_flight = 2, sent = 1,"
              "       claim = 8 WHERE campaign_id = %lld",
              (long long)id, (long long)id);
    assert_done(fake, calls_end(fake, id, 3, "other-3", ANSWERED(5)));
    assert_string_equal(calls_told(fake, id, 3), "delivered");
    assert_int_equal(calls_kept(fake), 0);
}

static void a_doubt_is_resolved_by_what_names_it(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = calls_placed(fake, "d", 4, "");

    for (int seq = 1; seq <= 4; seq++) {
        calls_doubt(fake, id, seq);
    }
    assert_done(fake, calls_end(fake, id, 1, "one", ANSWERED(30)));
    assert_string_equal(calls_told(fake, id, 1), "delivered");
    assert_done(fake, calls_tell(fake, &(struct call_told){ "two", NUMBER(2), request_of(id, 1),
                                                            "\"ended\":true," BUSY }));
    assert_string_equal(calls_told(fake, id, 2), "pending busy");
    /* A request that is none of ours is not about anybody in doubt. */
    assert_done(fake, calls_tell(fake, &(struct call_told){ "else", NUMBER(3),
                                                            ",\"request\":\"somebody-else\"",
                                                            "\"ended\":true," REFUSED }));
    fake_stage_advance_ms(fake, 6000);
    calls_sweep(fake);
    assert_string_equal(calls_told(fake, id, 3), "in_doubt answer_lost");
    assert_int_equal(calls_kept(fake), 1);
    fake_sql(fake, "DELETE FROM unmatched_calls");
    fake_stage_advance_ms(fake, -6000);
    /* Named by nothing: it may be another's, whose session is about to be recorded. */
    assert_done(fake, calls_tell(fake, &(struct call_told){ "three", NUMBER(3), "",
                                                            "\"ended\":true," REFUSED }));
    assert_string_equal(calls_told(fake, id, 3), "in_doubt answer_lost");
    fake_stage_advance_ms(fake, 6000);
    calls_sweep(fake);
    assert_string_equal(calls_told(fake, id, 3), "failed rejected");
    /* A session that is known is the one that is meant. */
    scene_sql(fake,
              "UPDATE recipients SET provider_id = 'mine' WHERE campaign_id = %lld"
              "   AND seq = 4",
              (long long)id);
    assert_done(fake, calls_end(fake, id, 4, "other", ANSWERED(30)));
    assert_string_equal(calls_told(fake, id, 4), "in_doubt answer_lost");
    assert_done(fake, calls_end(fake, id, 4, "mine", ANSWERED(30)));
    assert_string_equal(calls_told(fake, id, 4), "delivered");
    assert_int_equal(calls_batch(fake, id, "in_doubt * 10 + sent"), 0);
    assert_string_equal(calls_tokens(fake, id), "6 captured 18 released");
}

/* Its second call is in doubt; the first, whose session it still has, has ended. */
static void a_doubt_about_a_second_call_is_resolved_by_its_end(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = calls_placed(fake, "s", 2, "");

    for (int seq = 1; seq <= 2; seq++) {
        assert_done(fake, calls_ended(fake, id, "s", seq, MISSED));
        scene_sql(fake,
                  "UPDATE recipients SET state = 2, reason = 'answer_lost', sent_at = now(),"
                  "       attempts = 2 WHERE campaign_id = %lld AND seq = %d;"
                  "UPDATE batches SET in_doubt = in_doubt + 1 WHERE campaign_id = %lld",
                  (long long)id, seq, (long long)id);
    }
    assert_done(fake, calls_ended(fake, id, "s", 1, MISSED)); /* the first again: nothing new */
    assert_string_equal(calls_told(fake, id, 1), "in_doubt answer_lost");
    assert_done(fake, calls_end(fake, id, 1, "second", ANSWERED(10)));
    assert_string_equal(calls_told(fake, id, 1), "delivered");
    assert_done(fake, calls_tell(fake, &(struct call_told){ "nameless", NUMBER(2), "",
                                                            "\"ended\":true," ANSWERED(10) }));
    fake_stage_advance_ms(fake, 6000);
    calls_sweep(fake);
    assert_string_equal(calls_told(fake, id, 2), "delivered");
}

static void of_two_in_doubt_nobody_can_say_which_was_meant(void **state)
{
    struct fake_stage *fake = *state;
    int64_t one = calls_placed(fake, "o", 1, "");
    int64_t two = calls_placed(fake, "t", 1, "");

    calls_doubt(fake, one, 1);
    calls_doubt(fake, two, 1);
    assert_done(fake, calls_tell(fake, &(struct call_told){ "whose", NUMBER(1), "",
                                                            "\"ended\":true," ANSWERED(10) }));
    fake_stage_advance_ms(fake, 60 * 1000);
    calls_sweep(fake);
    assert_string_equal(calls_told(fake, one, 1), "in_doubt answer_lost");
    assert_string_equal(calls_told(fake, two, 1), "in_doubt answer_lost");
    assert_done(fake, calls_end(fake, two, 1, "named", ANSWERED(10)));
    calls_sweep(fake);
    assert_string_equal(calls_told(fake, one, 1), "delivered");
    assert_int_equal(calls_kept(fake), 0);
}

/* Neither a delivery report nor its refund is about a call. */
static void a_report_of_a_message_is_about_no_call(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = calls_placed(fake, "q", 2, "");
    const char *json = "{\"provider\":\"africastalking\",\"reports\":["
                       "{\"id\":\"ATVId_q-1\",\"phone\":\"+254700000001\",\"status\":\"Failed\","
                       "\"received_at\":\"2026-11-20T10:00:00Z\"},"
                       "{\"id\":\"a-message\",\"phone\":\"+254700000002\",\"status\":\"Failed\","
                       "\"received_at\":\"2036-11-20T10:00:00Z\"}]}";

    calls_doubt(fake, id, 2);
    fake_sql(fake, "UPDATE accounts SET refund_failed = true");
    assert_done(fake, fake_stage_send(fake, "delivery.reported.v1", scene_message(), json));
    fake_stage_advance_ms(fake, 60 * 1000);
    fake_sql(fake, "UPDATE unmatched_reports SET next_try_at = now(),"
                   "       received_at = now() - interval '30 s'");
    scene_sql(fake, "UPDATE campaigns SET created_at = now() - interval '1 h' WHERE id = %lld",
              (long long)id);
    calls_tick(fake);
    assert_string_equal(calls_told(fake, id, 1), "sent");
    assert_string_equal(calls_told(fake, id, 2), "in_doubt answer_lost");
    assert_string_equal(calls_tokens(fake, id), "0 captured 0 released");
}

/* The recipient has been called again since, or another call of it was not known. */
static void the_end_of_another_call_is_paid_and_changes_nothing(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = calls_placed(fake, "p", 2, "");

    assert_done(fake, calls_ended(fake, id, "p", 1, MISSED));
    calls_place(fake, id, 1, "second");
    assert_done(fake, calls_ended(fake, id, "p", 1, MISSED)); /* the first, once more */
    assert_done(fake, calls_tell(fake, &(struct call_told){ "ATVId_p-1", NUMBER(1), "",
                                                            "\"ended\":true," MISSED }));
    assert_string_equal(calls_told(fake, id, 1), "sent");
    assert_int_equal(calls_count(fake, id), 1);
    assert_int_equal(calls_kept(fake), 0);
    assert_done(fake, calls_end(fake, id, 1, "unknown", ANSWERED(10) ",\"amount_e4\":700"));
    assert_string_equal(calls_told(fake, id, 1), "sent");
    assert_int_equal(calls_count(fake, id), 2);
    assert_int_equal(calls_batch(fake, id, "cost_e4 + sent"), 702);
    scene_adds_up(fake);
    assert_done(fake, calls_end(fake, id, 1, "second", ANSWERED(10)));
    assert_string_equal(calls_told(fake, id, 1), "delivered");
    assert_string_equal(calls_tokens(fake, id), "4 captured 4 released");
    /* After its end a call costs us, and nobody else. */
    assert_done(fake, calls_end(fake, id, 1, "late", ANSWERED(10) ",\"amount_e4\":300"));
    assert_string_equal(calls_told(fake, id, 1), "delivered");
    assert_string_equal(calls_tokens(fake, id), "4 captured 4 released");
    assert_int_equal(calls_batch(fake, id, "cost_e4"), 1000);
}

static void a_report_after_the_campaign_was_cancelled_still_counts(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = calls_placed(fake, "x", 3, "");

    scene_sql(fake,
              "UPDATE campaigns SET status = 'cancelling' WHERE id = %lld;"
              "UPDATE recipients SET state = 0, batch = NULL, attempts = 0, provider_id = NULL,"
              "       sent_at = NULL WHERE campaign_id = %lld AND seq = 3;"
              "UPDATE batches SET sent = 2 WHERE campaign_id = %lld",
              (long long)id, (long long)id, (long long)id);
    calls_doubt(fake, id, 2);
    assert_done(fake, calls_ended(fake, id, "x", 1, ANSWERED(10)));
    assert_string_equal(calls_told(fake, id, 1), "delivered");
    /* The end of it: what is in doubt is kept. */
    scene_sql(fake,
              "UPDATE batches SET done_at = now(), calling = false WHERE campaign_id = %lld;"
              "UPDATE campaigns SET status = 'cancelled', sent_at = now() WHERE id = %lld;"
              "SELECT scene_entry(1, 'release', 'reserved', 'available', %d, 'closed', %lld);"
              "UPDATE token_holds SET released = released + %d WHERE id = %lld;"
              "UPDATE token_hold_lots SET amount = amount - %d WHERE hold_id = %lld;"
              "UPDATE token_lots SET available = available + %d WHERE id = 1;"
              "UPDATE token_balances SET available = available + %d, reserved = reserved - %d",
              (long long)id, (long long)id, PRICE, (long long)id, PRICE, (long long)id, PRICE,
              (long long)id, PRICE, PRICE, PRICE);
    scene_adds_up(fake);
    assert_done(fake, calls_end(fake, id, 2, "found", ANSWERED(10)));
    assert_string_equal(calls_told(fake, id, 2), "delivered");
    assert_int_equal(calls_batch(fake, id, "(settled_at IS NOT NULL)::int"), 1);
    assert_string_equal(calls_tokens(fake, id), "4 captured 20 released");
    /* It says that one was called whom nobody called: for a person. */
    assert_done(fake, calls_end(fake, id, 3, "impossible", ANSWERED(10)));
    assert_int_equal(calls_kept(fake), 1);
    fake_stage_advance_ms(fake, 24LL * 3600 * 1000);
    calls_sweep(fake);
    assert_int_equal(calls_kept(fake), 0);
    assert_non_null(strstr(fake_text(fake, "SELECT raw FROM odd_callbacks WHERE why = 'orphan'"),
                           "sessionId=impossible&callerNumber=254700000003&campaign=cmp_"));
}

static void a_call_nobody_reports_on_is_given_up_and_put_right_later(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = calls_placed(fake, "g", 4, "below_percent = 90");

    /* The fourth was heard once, and its second call is the one that nobody tells of. */
    assert_done(fake, calls_ended(fake, id, "g", 4, ANSWERED(5)));
    calls_place(fake, id, 4, "second");
    fake_stage_advance_ms(fake, 3590 * 1000);
    calls_tick(fake);
    assert_string_equal(calls_told(fake, id, 1), "sent");
    fake_stage_advance_ms(fake, 20 * 1000);
    calls_tick(fake);
    assert_string_equal(calls_told(fake, id, 1), "expired no_report");
    assert_string_equal(calls_told(fake, id, 4), "expired no_report");
    assert_int_equal(calls_batch(fake, id, "expired * 10 + sent"), 40);
    assert_string_equal(calls_tokens(fake, id), "2 captured 30 released");
    scene_adds_up(fake);

    assert_done(fake, calls_ended(fake, id, "g", 1, ANSWERED(70) ",\"amount_e4\":900"));
    assert_string_equal(calls_told(fake, id, 1), "delivered");
    assert_done(fake, calls_ended(fake, id, "g", 2, MISSED)); /* and is not called again */
    assert_string_equal(calls_told(fake, id, 2), "failed no_answer");
    assert_done(fake, calls_end(fake, id, 3, "another", ANSWERED(5)));
    assert_string_equal(calls_told(fake, id, 3), "expired no_report");
    assert_int_equal(calls_batch(fake, id, "delivered * 100 + failed * 10 + expired"), 112);
    assert_int_equal(calls_batch(fake, id, "cost_e4"), 900);
    assert_string_equal(calls_tokens(fake, id), "2 captured 30 released");
}

static void a_doubt_nobody_resolves_fails_and_pays_for_what_was_heard(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = calls_placed(fake, "f", 2, "below_percent = 90");

    assert_done(fake, calls_ended(fake, id, "f", 1, ANSWERED(5)));
    calls_place(fake, id, 1, "second");
    calls_doubt(fake, id, 1);
    calls_doubt(fake, id, 2);
    fake_stage_advance_ms(fake, 71LL * 3600 * 1000);
    calls_tick(fake);
    assert_string_equal(calls_told(fake, id, 1), "in_doubt answer_lost");
    fake_stage_advance_ms(fake, 2LL * 3600 * 1000);
    calls_tick(fake);
    assert_string_equal(calls_told(fake, id, 1), "failed answer_lost");
    assert_string_equal(calls_told(fake, id, 2), "failed answer_lost");
    assert_string_equal(calls_tokens(fake, id), "2 captured 14 released");
    scene_adds_up(fake);
    assert_done(fake, calls_end(fake, id, 2, "at-last", ANSWERED(5)));
    assert_string_equal(calls_told(fake, id, 2), "delivered");
    assert_string_equal(calls_tokens(fake, id), "2 captured 14 released");
    assert_int_equal(calls_batch(fake, id, "delivered * 10 + failed"), 11);
}

static void what_nobody_claims_is_tried_again_ever_more_rarely(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = calls_placed(fake, "n", 1, "");

    assert_done(fake, calls_end(fake, id, 9, "stranger", MISSED)); /* no such recipient */
    assert_done(fake, calls_end(fake, id, 9, "stranger", MISSED));
    assert_done(fake, calls_tell(fake, &(struct call_told){ "stranger", 7, ",\"campaign\":\"who?\"",
                                                            "\"step\":1,\"keys\":\"1\"" }));
    assert_done(fake, fake_stage_send(fake, REPORTED, scene_message(),
                                      "{\"provider\":\"africastalking\",\"session\":\"hashed\","
                                      "\"phone\":\"9f86d081884c7d659a2f\",\"ended\":true,"
                                      "\"received_at\":\"2026-11-20T10:00:00Z\"}"));
    assert_int_equal(calls_kept(fake), 3);
    assert_int_equal(fake_number(fake, "SELECT count(*) FROM odd_callbacks"),
                     1); /* no word at all */
    fake_sql(fake, "UPDATE unmatched_calls SET received_at = now()");
    for (int i = 0; i < 12; i++) {
        calls_sweep(fake);
    }
    assert_int_equal(fake_number(fake, "SELECT count(*) FROM unmatched_calls WHERE tries = 12"
                                       "   AND next_try_at BETWEEN now() + interval '9 minutes'"
                                       "                       AND now() + interval '10 minutes'"),
                     3);
    fake_stage_advance_ms(fake, 24LL * 3600 * 1000);
    calls_sweep(fake);
    assert_int_equal(calls_kept(fake), 0);
    assert_int_equal(fake_number(fake, "SELECT count(*) FROM odd_callbacks WHERE why = 'orphan'"),
                     3);
    assert_string_equal(calls_told(fake, id, 1), "expired no_report");
}

static void only_what_is_no_report_at_all_is_parked(void **state)
{
    struct fake_stage *fake = *state;

    assert_int_equal(fake_stage_send(fake, REPORTED, "x", "{\"provider\":\"africastalking\"}"),
                     STAGE_REJECT);
    assert_string_equal(fake_stage_why(fake), "bad_field");
    assert_int_equal(fake_stage_send(fake, REPORTED, "x",
                                     "{\"provider\":\"a\",\"session\":\"s\",\"ended\":true,"
                                     "\"duration_s\":99999999,"
                                     "\"received_at\":\"2026-11-20T10:00:00Z\"}"),
                     STAGE_REJECT);
    assert_string_equal(fake_stage_why(fake), "bad_field");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(a_report_that_comes_before_the_record_waits_for_it),
        SCENE(a_report_between_claim_and_crash_resolves_the_doubt),
        SCENE(nobody_becomes_pending_in_a_window_that_is_claimed),
        SCENE(a_doubt_is_resolved_by_what_names_it),
        SCENE(a_doubt_about_a_second_call_is_resolved_by_its_end),
        SCENE(of_two_in_doubt_nobody_can_say_which_was_meant),
        SCENE(a_report_of_a_message_is_about_no_call),
        SCENE(the_end_of_another_call_is_paid_and_changes_nothing),
        SCENE(a_report_after_the_campaign_was_cancelled_still_counts),
        SCENE(a_call_nobody_reports_on_is_given_up_and_put_right_later),
        SCENE(a_doubt_nobody_resolves_fails_and_pays_for_what_was_heard),
        SCENE(what_nobody_claims_is_tried_again_ever_more_rarely),
        SCENE(only_what_is_no_report_at_all_is_parked),
    };

    return cmocka_run_group_tests_name("stage.reconcile-dlr.calls.early", tests, scene_start_server,
                                       scene_stop_server);
}
