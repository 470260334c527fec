/* send-sms: whose answer is missing is in doubt and is not sent to again */
#include <pthread.h>

#include "send_sms_scene.h"

static void without_a_definite_answer_recipients_are_in_doubt_for_good(void **state)
{
    static const struct {
        const char *faults;
        const char *reason; /* NULL: whatever it is */
        int accepted;
    } table[] = {
        { "{\"withhold\":1,\"withhold_ms\":2000}", NULL, 4 },
        { "{\"close_accepted\":1}", NULL, 4 },
        { "{\"error_500_accepted\":1}", "provider_error", 4 },
        { "{\"truncated\":1}", NULL, 4 },
        { "{\"garbage\":1}", "unreadable_reply", 4 },
        { "{\"error_500\":1}", "provider_error", 0 },
        { "{\"unavailable_503\":1}", "provider_error", 0 },
    };
    struct fake_stage *fake = *state;

    configure(fake, "SMS_TIMEOUT", "400ms");
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct route_event event;
        int64_t id = batch_of(fake, 4);

        simulator_reset();
        simulator_faults(table[i].faults);
        fake_sql(fake, "UPDATE routes SET status = 'open', held_until = NULL, failures = 0");
        assert_done(fake, pace(fake, id));
        assert_int_equal(count(fake, id,
                               "state = 2 AND provider_id IS NULL AND sent_at IS NOT NULL"
                               " AND final_at IS NULL AND batch = 1"),
                         4);
        if (table[i].reason) {
            assert_string_equal(scene_text(fake,
                                           "SELECT reason FROM recipients"
                                           " WHERE campaign_id = %lld AND seq = 1",
                                           (long long)id),
                                table[i].reason);
        }
        assert_int_equal(counter(fake, id, "in_doubt"), 4);
        assert_int_equal(counter(fake, id, "captured + released"), 0);
        /* No answer at all: the route rests. */
        assert_true(route(fake, "status = 'held' AND held_until > now()"));
        /* Nobody is left to be tried again, so the batch will not be the probe. */
        assert_int_equal(fake_stage_emitted_of(fake, READY), 0);
        assert_int_equal(fake_stage_emitted_of(fake, DONE), 1);
        assert_told(fake, &route_held_v1, &event);
        /* Whatever comes of the batch, nobody of them is sent to again. */
        simulator_faults("{\"withhold\":0,\"close_accepted\":0,\"error_500_accepted\":0,"
                         "\"truncated\":0,\"garbage\":0,\"error_500\":0,\"unavailable_503\":0}");
        assert_done(fake, probe(fake, id));
        assert_int_equal(fake_stage_emitted_of(fake, DONE), 1);
        assert_true(is_done(fake, id));
        assert_true(route(fake, "status = 'held' AND held_until <= now()"));
        assert_int_equal(counter(fake, id, "in_doubt"), 4);
        assert_int_equal(counter(fake, id, "(settled_at IS NULL)::int"), 1);
        assert_int_equal(simulator_count("requests"), 1);
        assert_int_equal(simulator_count("accepted"), table[i].accepted);
        assert_int_equal(simulator_count("duplicates"), 0);
    }
    assert_int_equal(purse(fake, "spent"), 0);
}

static void whoever_the_answer_leaves_out_is_in_doubt_and_nobody_else(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = batch_of(fake, 40);
    int64_t missing;

    simulator_faults("{\"partial\":1}");
    assert_done(fake, pace(fake, id));
    missing = count(fake, id, "state = 2 AND reason = 'missing_in_reply'");
    assert_in_range(missing, 1, 39);
    assert_int_equal(count(fake, id, "state = 3"), 40 - missing);
    assert_int_equal(counter(fake, id, "captured"), 40 - missing);
    assert_string_equal(fake_text(fake, "SELECT status FROM routes WHERE name = 'sms'"), "open");
    assert_true(is_done(fake, id));
    assert_int_equal(simulator_count("accepted"), 40);
}

static void one_lost_answer_among_several_is_an_accident(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = batch_of(fake, 30);

    personalise(fake, id, 3);
    simulator_faults("{\"close_accepted\":{\"count\":1}}");
    assert_done(fake, pace(fake, id));
    assert_int_equal(count(fake, id, "state = 2"), 10);
    assert_int_equal(count(fake, id, "state = 3"), 20);
    assert_string_equal(fake_text(fake, "SELECT status FROM routes WHERE name = 'sms'"), "open");
    assert_int_equal(fake_stage_emitted_of(fake, DONE), 1);
}

static void a_connection_that_died_idle_is_no_second_request(void **state)
{
    struct fake_stage *fake = *state;
    int64_t first = batch_of(fake, 3);
    int64_t second = batch_of(fake, 3);

    fake_stage_repeat(fake, false);
    scene_sql(fake, "UPDATE recipients SET msisdn = msisdn + 1000 WHERE campaign_id = %lld",
              (long long)second);
    assert_done(fake, pace(fake, first));
    simulator_faults("{\"close_reused\":1}"); /* read, then closed: libcurl would repeat it */
    assert_done(fake, pace(fake, second));
    assert_int_equal(count(fake, second, "state = 2"), 3);
    assert_int_equal(simulator_count("requests"), 2);
}

static void a_claim_without_an_answer_is_in_doubt(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = batch_of(fake, 10);

    /* A worker claimed rows up to 4 and died. */
    scene_sql(fake,
              "UPDATE batches SET claimed_seq = 4, claim = 77, in_flight = 4, started_at = now()"
              " WHERE campaign_id = %lld",
              (long long)id);
    scene_adds_up(fake);
    assert_done(fake, pace(fake, id));
    assert_int_equal(count(fake, id,
                           "seq <= 4 AND state = 2 AND reason = 'answer_lost'"
                           " AND sent_at IS NOT NULL"),
                     4);
    assert_int_equal(count(fake, id, "seq > 4 AND state = 3"), 6);
    assert_int_equal(simulator_count("accepted"), 6);
    assert_int_equal(counter(fake, id, "in_doubt"), 4);
    assert_int_equal(counter(fake, id, "in_flight"), 0);
    assert_int_equal(purse(fake, "reserved"), 4);
    assert_true(is_done(fake, id));
}

static void a_claim_without_an_answer_is_in_doubt_also_when_nothing_is_sent_any_more(void **state)
{
    static const char *const words[] = { "cancelling", "paused", "expired" };
    struct fake_stage *fake = *state;

    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        int64_t id = batch_of(fake, 10);

        scene_sql(fake,
                  "UPDATE campaigns SET status = '%s' WHERE id = %lld;"
                  "UPDATE batches SET claimed_seq = 4, claim = 77, in_flight = 4"
                  " WHERE campaign_id = %lld",
                  words[i], (long long)id, (long long)id);
        assert_done(fake, pace(fake, id));
        assert_int_equal(count(fake, id, "state = 2"), 4);
        assert_int_equal(count(fake, id, "state = 0"), 6);
    }
    assert_int_equal(simulator_count("requests"), 0);
}

/* Somebody else, acting while the stage waits for the provider. */
struct meddler {
    const char *url, *sql;
    pthread_t thread;
};

static void *meddle(void *context)
{
    const struct meddler *meddler = context;
    static const struct db_statement is_claimed = { "meddler_is_claimed",
                                                    "SELECT 1 FROM batches WHERE in_flight > 0",
                                                    0 };
    struct db *db;
    struct err err;
    int rows = 0;

    if (!db_open(meddler->url, "meddler", &db, &err)) {
        panic("%s", err.detail);
    }
    for (int tries = 0; rows == 0 && tries < 1000; tries++) {
        struct db_result *found;

        if (!db_query(db, &is_claimed, NULL, &found, &err)) {
            panic("%s", err.detail);
        }
        rows = db_rows(found);
        db_result_destroy(found);
        clock_sleep_ms(rows == 0 ? 5 : 0);
    }
    if (!db_script(db, meddler->sql, &err)) {
        panic("%s", err.detail);
    }
    db_close(db);
    return NULL;
}

static void meddle_begin(struct meddler *meddler, struct fake_stage *fake, const char *sql)
{
    *meddler = (struct meddler){ .url = fake_url(fake), .sql = sql };
    assert_int_equal(pthread_create(&meddler->thread, NULL, meddle, meddler), 0);
}

static void an_answer_that_comes_after_the_claim_was_lost_resolves_the_doubt(void **state)
{
    static const struct {
        const char *force;
        int sent; /* of six */
    } table[] = { { "0005:403,0006:500", 4 }, { "1:403,2:403,3:403,4:403,5:407,6:407", 0 } };
    struct fake_stage *fake = *state;
    int64_t spent = 0;

    fake_stage_repeat(fake, false);
    for (size_t i = 0; i < 2; i++) {
        int64_t id = batch_of(fake, 6);
        struct meddler meddler;
        char faults[120];

        simulator_reset();
        snprintf(faults, sizeof faults, "{\"withhold\":1,\"withhold_ms\":700,\"force\":\"%s\"}",
                 table[i].force);
        simulator_faults(faults);
        meddle_begin(&meddler, fake,
                     "UPDATE recipients SET state = 2, batch = 1, reason = 'answer_lost',"
                     "       sent_at = now()"
                     " WHERE campaign_id IN (SELECT campaign_id FROM batches WHERE in_flight > 0);"
                     "UPDATE batches SET recorded_seq = claimed_seq, in_flight = 0, claim = NULL,"
                     "       in_doubt = 6, done_at = now() WHERE in_flight > 0");
        assert_done(fake, pace(fake, id));
        pthread_join(meddler.thread, NULL);
        spent += table[i].sent;
        assert_int_equal(fake_stage_emitted(fake), 0); /* whoever has the batch tells */
        assert_int_equal(count(fake, id,
                               "state = 3 AND provider_id IS NOT NULL"
                               " AND reason IS NULL"),
                         table[i].sent);
        /* Refused for now is refused: the batch will not come back for it. */
        assert_int_equal(count(fake, id, "state = 5"), 6 - table[i].sent);
        assert_int_equal(counter(fake, id, "sent"), table[i].sent);
        assert_int_equal(counter(fake, id, "failed"), 6 - table[i].sent);
        assert_int_equal(counter(fake, id, "in_doubt"), 0);
        assert_int_equal(counter(fake, id, "(settled_at IS NOT NULL)::int"), table[i].sent == 0);
        assert_int_equal(purse(fake, "spent"), spent);
        assert_int_equal(purse(fake, "reserved"), 0);
    }
}

static void answers_survive_a_database_that_goes_away(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = batch_of(fake, 6);
    struct meddler meddler;

    simulator_faults("{\"withhold\":{\"count\":1},\"withhold_ms\":700}");
    meddle_begin(&meddler, fake,
                 "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                 " WHERE datname = current_database()"
                 "   AND application_name NOT IN ('meddler', 'fake_stage')");
    assert_int_equal(deliver(fake, id, "one", false), STAGE_RETRY);
    pthread_join(meddler.thread, NULL);
    assert_string_equal(fake_stage_why(fake), "recorded_late");
    assert_int_equal(count(fake, id, "state = 3"), 6);
    assert_done(fake, deliver(fake, id, "one", false));
    assert_int_equal(fake_stage_emitted_of(fake, DONE), 1);
    assert_int_equal(simulator_count("requests"), 1);
    assert_int_equal(purse(fake, "spent"), 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CALLING(without_a_definite_answer_recipients_are_in_doubt_for_good),
        CALLING(whoever_the_answer_leaves_out_is_in_doubt_and_nobody_else),
        CALLING(one_lost_answer_among_several_is_an_accident),
        CALLING(a_connection_that_died_idle_is_no_second_request),
        CALLING(a_claim_without_an_answer_is_in_doubt),
        CALLING(a_claim_without_an_answer_is_in_doubt_also_when_nothing_is_sent_any_more),
        CALLING(an_answer_that_comes_after_the_claim_was_lost_resolves_the_doubt),
        CALLING(answers_survive_a_database_that_goes_away),
    };

    return cmocka_run_group_tests_name("stage.send-sms.doubt", tests, start_all, stop_all);
}
