/* place-call: each recipient of a batch is called at most once a pass, and the batch ends last */
#include <pthread.h>

#include "base/panic.h"
#include "campaign/voice.h"
#include "msg/campaign.h"
#include "msg/event.h"
#include "scene.h"
#include "simulator.h"

#define PACED "batch.paced.v1"
#define PLACED "batch.placed.v1"
#define READY "batch.ready.v1"
#define DONE "batch.done.v1"
#define HELD "route.held.v1"

#define PRICE 3 /* tokens of a recipient */

static int start_all(void **state)
{
    simulator_start("");
    setenv("AT_USERNAME", "sandbox", 1);
    setenv("AT_API_KEY", "simulator-key", 1);
    setenv("AT_VOICE_CALLER_ID", "+254711000000", 1);
    return scene_start_server(state);
}

static int stop_all(void **state)
{
    simulator_stop();
    return scene_stop_server(state);
}

static int start(void **state)
{
    simulator_reset();
    setenv("AT_VOICE_URL", simulator_root(), 1);
    setenv("VOICE_TIMEOUT", "5s", 1);
    setenv("VOICE_CALLS_MAX", "100", 1);
    setenv("VOICE_DOUBT_WAIT", "10m", 1);
    return scene_start(state);
}

/* A number of the voice part of the simulator's stats. */
static int64_t calls_count(const char *name)
{
    const char *stats = strstr(simulator_get("stats"), "\"voice\"");
    char member[40];
    const char *found;

    snprintf(member, sizeof member, "\"%s\":", name);
    found = stats != NULL ? strstr(stats, member) : NULL;
    if (found == NULL) {
        panic("no %s in the stats of voice", name);
    }
    return atoll(found + strlen(member));
}

/* Nothing that a test does may ring a number twice in a pass. */
static int stop(void **state)
{
    assert_int_equal(calls_count("duplicates"), 0);
    return scene_stop(state);
}

#define CALLING(test) cmocka_unit_test_setup_teardown(test, start, stop)

static void configure(struct fake_stage *fake, const char *name, const char *value)
{
    setenv(name, value, 1);
    fake_stage_restart(fake);
}

static int64_t batch_of(struct fake_stage *fake, int recipients)
{
    int64_t id = scene_id();

    scene_sql(fake,
              "SELECT scene_campaign(%lld, 'sending', %d);"
              "UPDATE campaigns SET channel = 'voice', segments = %d, next_seq = %d + 1"
              " WHERE id = %lld;"
              "UPDATE recipients SET segments = %d WHERE campaign_id = %lld;"
              "INSERT INTO voice_campaigns (campaign_id, tokens_per_minute) VALUES (%lld, 1);"
              "SELECT scene_hold(%lld, %d);"
              "INSERT INTO batches (campaign_id, batch, first_seq, last_seq, origin, claimed_seq,"
              "                     recorded_seq) VALUES (%lld, 1, 1, %d, 'cut', 0, 0)",
              (long long)id, recipients, recipients * PRICE, recipients, (long long)id, PRICE,
              (long long)id, (long long)id, (long long)id, recipients * PRICE, (long long)id,
              recipients);
    return id;
}

static enum verdict deliver(struct fake_stage *fake, int64_t id, const char *message)
{
    char json[120];

    snprintf(json, sizeof json, "{\"campaign\":\"%s\",\"batch\":1,\"size\":100}", scene_name(id));
    return fake_stage_give(fake, &(struct fake_message){ .type = PACED,
                                                         .id = message,
                                                         .json = json,
                                                         .account = "acme",
                                                         .correlation = scene_name(id) });
}

static enum verdict pace(struct fake_stage *fake, int64_t id)
{
    return deliver(fake, id, scene_message());
}

static int64_t count(struct fake_stage *fake, int64_t id, const char *where)
{
    return scene_number(fake, "SELECT count(*) FROM recipients WHERE campaign_id = %lld AND (%s)",
                        (long long)id, where);
}

static int64_t batch(struct fake_stage *fake, int64_t id, const char *expression)
{
    return scene_number(fake, "SELECT (%s)::int FROM batches WHERE campaign_id = %lld", expression,
                        (long long)id);
}

/* As reconcile-dlr leaves a recipient whose call was answered, paid with one token. */
static void answered(struct fake_stage *fake, int64_t id, const char *where)
{
    int n = (int)scene_number(fake,
                              "WITH ended AS ("
                              "    UPDATE recipients SET state = 4, final_at = now()"
                              "     WHERE campaign_id = %lld AND state = 3 AND (%s)"
                              " RETURNING seq, provider_id),"
                              " told AS ("
                              "    INSERT INTO calls (campaign_id, seq, session_id, word, tokens,"
                              "                       ended_at)"
                              "    SELECT %lld, seq, provider_id, 'completed', 1, now() FROM ended)"
                              " SELECT count(*) FROM ended",
                              (long long)id, where, (long long)id);

    scene_sql(fake,
              "UPDATE batches SET sent = sent - %d, delivered = delivered + %d,"
              "       captured = captured + %d, released = released + %d WHERE campaign_id = %lld;"
              "SELECT scene_entry(1, 'capture', 'reserved', 'spent', %d, '%s', %lld);"
              "SELECT scene_entry(1, 'release', 'reserved', 'available', %d, '%s', %lld);"
              "UPDATE token_holds SET captured = captured + %d, released = released + %d"
              " WHERE id = %lld;",
              n, n, n, n * (PRICE - 1), (long long)id, n, scene_message(), (long long)id,
              n * (PRICE - 1), scene_message(), (long long)id, n, n * (PRICE - 1), (long long)id);
    scene_sql(fake,
              "UPDATE token_hold_lots SET amount = amount - %d WHERE hold_id = %lld;"
              "UPDATE token_lots SET available = available + %d WHERE id = 1;"
              "UPDATE token_balances SET available = available + %d, spent = spent + %d,"
              "       reserved = reserved - %d WHERE account_id = 1",
              n * (PRICE - 1), (long long)id, n * (PRICE - 1), n * (PRICE - 1), n, n * PRICE);
}

/* As it leaves one who did not answer and is to be called again in so many seconds. */
static void missed(struct fake_stage *fake, int64_t id, const char *where, int seconds)
{
    scene_sql(fake,
              "WITH ended AS ("
              "    UPDATE recipients SET state = 0"
              "     WHERE campaign_id = %lld AND state = 3 AND (%s) RETURNING seq)"
              " UPDATE batches SET sent = sent - (SELECT count(*) FROM ended),"
              "                    retry_at = now() + make_interval(secs => %d)"
              "  WHERE campaign_id = %lld",
              (long long)id, where, seconds, (long long)id);
}

static void a_batch_is_called_once_and_rests(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = batch_of(fake, 8);

    assert_done(fake, pace(fake, id));
    assert_int_equal(count(fake, id,
                           "state = 3 AND attempts = 1 AND sent_at IS NOT NULL"
                           " AND provider_id LIKE 'ATVId\\_%' AND batch = 1"),
                     8);
    assert_int_equal(batch(fake, id, "sent"), 8);
    assert_int_equal(batch(fake, id, "captured + released"), 0);
    assert_true(batch(fake, id,
                      "calling AND done_at IS NULL AND pass = 2 AND retry_at IS NULL"
                      " AND called_at > now() - interval '1 minute'"));
    assert_int_equal(fake_stage_emitted(fake), 1);
    assert_string_equal(fake_stage_out(fake, 0)->type, PLACED);
    assert_int_equal(calls_count("calls"), 8);
    /* Another leave for a batch that rests is of no use. */
    assert_done(fake, pace(fake, id));
    assert_int_equal(fake_stage_emitted(fake), 0);
    assert_true(fake_stage_tick(fake));
    assert_int_equal(fake_stage_emitted(fake), 0);
    assert_int_equal(calls_count("calls"), 8);
    assert_non_null(strstr(simulator_get("calls"), scene_name(id)));
}

static void the_batch_ends_after_its_last_call(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = batch_of(fake, 3);
    char first[ID_MESSAGE_BYTES];

    assert_done(fake, pace(fake, id));
    answered(fake, id, "seq < 3");
    assert_true(fake_stage_tick(fake));
    assert_int_equal(fake_stage_emitted(fake), 0);
    answered(fake, id, "seq = 3");
    assert_true(fake_stage_tick_lost(fake));
    assert_int_equal(fake_stage_emitted_of(fake, DONE), 1);
    snprintf(first, sizeof first, "%s", fake_stage_out(fake, 0)->id);
    assert_true(fake_stage_tick(fake));
    assert_int_equal(fake_stage_emitted_of(fake, DONE), 1);
    assert_string_equal(fake_stage_out(fake, 0)->id, first);
    assert_string_equal(fake_stage_out(fake, 0)->account, "acme");
    assert_true(batch(fake, id, "done_at IS NOT NULL AND settled_at IS NOT NULL AND NOT calling"));
    assert_true(fake_stage_tick(fake));
    assert_int_equal(fake_stage_emitted(fake), 0);
}

static void whoever_was_missed_is_called_again_in_time(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = batch_of(fake, 5);
    char ready[ID_MESSAGE_BYTES];
    struct batch_fact fact;

    assert_done(fake, pace(fake, id));
    missed(fake, id, "seq IN (2, 4)", 30);
    assert_true(fake_stage_tick(fake));
    assert_int_equal(fake_stage_emitted(fake), 0);
    assert_done(fake, pace(fake, id)); /* too early */
    assert_int_equal(calls_count("calls"), 5);
    fake_stage_advance_ms(fake, 31000);
    assert_true(fake_stage_tick_lost(fake));
    assert_int_equal(fake_stage_emitted_of(fake, READY), 1);
    snprintf(ready, sizeof ready, "%s", fake_stage_out(fake, 0)->id);
    assert_true(fake_stage_tick(fake));
    assert_int_equal(fake_stage_emitted_of(fake, READY), 1);
    assert_string_equal(fake_stage_out(fake, 0)->id, ready);
    assert_string_equal(fake_stage_out(fake, 0)->route, "voice");
    fake_stage_read(fake, &batch_ready_v1, 0, &fact);
    assert_int_equal(fact.size, 2);
    /* Said once; again after a while, should the message have been lost. */
    assert_true(fake_stage_tick(fake));
    assert_int_equal(fake_stage_emitted(fake), 0);
    fake_stage_advance_ms(fake, 61000);
    assert_true(fake_stage_tick(fake));
    assert_int_equal(fake_stage_emitted_of(fake, READY), 1);
    assert_string_not_equal(fake_stage_out(fake, 0)->id, ready);
    assert_done(fake, pace(fake, id));
    assert_int_equal(calls_count("calls"), 7);
    assert_int_equal(count(fake, id, "state = 3 AND attempts = 2"), 2);
    assert_true(batch(fake, id, "calling AND pass = 3 AND sent = 5 AND retry_at IS NULL"));
}

/* A call ends between the waking and its message: the pass waits for that one's time, too. */
static void a_batch_that_is_to_rest_longer_is_woken_again_in_time(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = batch_of(fake, 3);

    assert_done(fake, pace(fake, id));
    missed(fake, id, "seq = 1", 10);
    fake_stage_advance_ms(fake, 11000);
    assert_true(fake_stage_tick(fake));
    assert_int_equal(fake_stage_emitted_of(fake, READY), 1);
    missed(fake, id, "seq = 2", 20);
    assert_done(fake, pace(fake, id));
    assert_int_equal(calls_count("calls"), 3);
    assert_true(fake_stage_tick(fake));
    assert_int_equal(fake_stage_emitted(fake), 0);
    fake_stage_advance_ms(fake, 10000);
    assert_true(fake_stage_tick(fake));
    assert_int_equal(fake_stage_emitted_of(fake, READY), 1);
    assert_done(fake, pace(fake, id));
    assert_int_equal(calls_count("calls"), 5);
}

static void a_number_that_cannot_be_called_gives_its_tokens_back(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = batch_of(fake, 4);

    simulator_faults("{\"force\":\"0002:call_unsupported\"}");
    assert_done(fake, pace(fake, id));
    assert_int_equal(count(fake, id, "seq = 2 AND state = 5 AND reason = 'no_route'"), 1);
    assert_int_equal(batch(fake, id, "released"), PRICE);
    assert_int_equal(batch(fake, id, "failed"), 1);
    assert_int_equal(batch(fake, id, "sent"), 3);
}

/* It was answered once, for less than half of it; the second call cannot be placed. */
static void whoever_was_reached_before_stays_reached(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = batch_of(fake, 2);

    scene_sql(fake,
              "UPDATE recipients SET attempts = 1 WHERE campaign_id = %lld AND seq = 2;"
              "INSERT INTO calls (campaign_id, seq, session_id, word, duration_s, listened, tokens,"
              "                   ended_at) VALUES (%lld, 2, 'ATVId_1', 'completed', 61, 20, 2,"
              "                                     now())",
              (long long)id, (long long)id);
    simulator_faults("{\"force\":\"0002:call_unsupported\"}");
    assert_done(fake, pace(fake, id));
    assert_int_equal(count(fake, id, "seq = 2 AND state = 4 AND final_at IS NOT NULL"), 1);
    assert_int_equal(batch(fake, id, "delivered"), 1);
    assert_int_equal(batch(fake, id, "captured"), 2);
    assert_int_equal(batch(fake, id, "released"), PRICE - 2);
}

static void without_an_answer_calls_are_in_doubt_and_the_batch_waits_for_word(void **state)
{
    static const char *const faults[] = { "{\"withhold\":1,\"withhold_ms\":1000}",
                                          "{\"close_accepted\":1}", "{\"truncated\":1}" };
    struct fake_stage *fake = *state;

    configure(fake, "VOICE_TIMEOUT", "300ms");
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        int64_t id = batch_of(fake, 3);

        fake_sql(fake, "UPDATE routes SET status = 'open', held_until = NULL, failures = 0");
        simulator_reset();
        simulator_faults(faults[i]);
        assert_done(fake, pace(fake, id));
        assert_int_equal(count(fake, id, "state = 2 AND attempts = 1"), 3);
        assert_int_equal(batch(fake, id, "in_doubt"), 3);
        assert_true(batch(fake, id, "calling AND done_at IS NULL"));
        assert_true(scene_number(fake, "SELECT (status = 'held')::int FROM routes"
                                       " WHERE name = 'voice'"));
        assert_true(scene_number(fake, "SELECT (status = 'open')::int FROM routes"
                                       " WHERE name = 'sms'"));
        assert_true(fake_stage_tick(fake));
        assert_int_equal(fake_stage_emitted_of(fake, DONE), 0);
        assert_int_equal(fake_stage_emitted_of(fake, HELD), 1);
        scene_sql(
            fake,
            "UPDATE batches SET called_at = now() - interval '601 s' WHERE campaign_id = %lld",
            (long long)id);
        assert_true(fake_stage_tick(fake));
        assert_int_equal(fake_stage_emitted_of(fake, DONE), 1);
        assert_true(batch(fake, id, "done_at IS NOT NULL AND settled_at IS NULL"));
        assert_int_equal(calls_count("calls"), 3);
    }
}

static void a_claim_without_an_answer_is_in_doubt(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = batch_of(fake, 6);

    scene_sql(fake,
              "UPDATE batches SET claimed_seq = 4, claim = 7, in_flight = 4, called_at = now()"
              " WHERE campaign_id = %lld",
              (long long)id);
    assert_done(fake, pace(fake, id));
    assert_int_equal(count(fake, id, "seq <= 4 AND state = 2 AND attempts = 1"), 4);
    assert_int_equal(count(fake, id, "seq > 4 AND state = 3"), 2);
    assert_int_equal(calls_count("calls"), 2);
}

static void no_more_calls_are_under_way_than_there_is_room_for(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = batch_of(fake, 8);

    configure(fake, "VOICE_CALLS_MAX", "5");
    assert_done(fake, pace(fake, id));
    assert_int_equal(calls_count("calls"), 5);
    assert_int_equal(batch(fake, id, "sent"), 5);
    assert_true(batch(fake, id, "NOT calling AND pass = 1"));
    assert_int_equal(fake_stage_emitted(fake), 1);
    assert_string_equal(fake_stage_out(fake, 0)->type, READY);
    assert_int_equal(fake_stage_out(fake, 0)->delay_ms, 1000);
    assert_done(fake, pace(fake, id));
    assert_int_equal(calls_count("calls"), 5);
    answered(fake, id, "seq <= 2");
    assert_done(fake, pace(fake, id));
    assert_int_equal(calls_count("calls"), 7);
    assert_true(batch(fake, id, "NOT calling AND pass = 1"));
    answered(fake, id, "seq = 3");
    assert_done(fake, pace(fake, id));
    assert_int_equal(calls_count("calls"), 8);
    assert_true(batch(fake, id, "calling AND pass = 2"));
    assert_int_equal(fake_stage_emitted_of(fake, PLACED), 1);
}

/* The end of a call may never be told: it makes room all the same. */
static void a_call_of_long_ago_is_not_under_way(void **state)
{
    struct fake_stage *fake = *state;
    int64_t old = batch_of(fake, 5);
    int64_t id = batch_of(fake, 3);

    scene_sql(fake, "UPDATE recipients SET msisdn = msisdn + 100 WHERE campaign_id = %lld",
              (long long)id);
    configure(fake, "VOICE_CALLS_MAX", "5");
    assert_done(fake, pace(fake, old));
    assert_done(fake, pace(fake, id));
    assert_int_equal(calls_count("calls"), 5);
    scene_sql(fake,
              "UPDATE batches SET called_at = now() - interval '16 minutes'"
              " WHERE campaign_id = %lld",
              (long long)old);
    assert_done(fake, pace(fake, id));
    assert_int_equal(calls_count("calls"), 8);
}

static void a_cancelled_campaign_calls_nobody_and_waits_for_its_calls(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = batch_of(fake, 5);

    configure(fake, "VOICE_CALLS_MAX", "2");
    assert_done(fake, pace(fake, id));
    missed(fake, id, "seq = 1", 0);
    scene_sql(fake, "UPDATE campaigns SET status = 'cancelling' WHERE id = %lld", (long long)id);
    assert_done(fake, pace(fake, id));
    assert_int_equal(calls_count("calls"), 2);
    assert_true(batch(fake, id, "calling AND done_at IS NULL"));
    assert_true(fake_stage_tick(fake));
    assert_int_equal(fake_stage_emitted(fake), 0);
    answered(fake, id, "seq = 2");
    assert_true(fake_stage_tick(fake));
    assert_int_equal(fake_stage_emitted_of(fake, DONE), 1);
    assert_true(batch(fake, id, "done_at IS NOT NULL"));
}

/* One who heard a call and will not be called again after all is paid for before the hold closes.
 */
static void a_batch_does_not_end_before_what_was_heard_is_paid(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = batch_of(fake, 2);

    assert_done(fake, pace(fake, id));
    answered(fake, id, "seq = 1");
    missed(fake, id, "seq = 2", 3600);
    scene_sql(fake,
              "INSERT INTO calls (campaign_id, seq, session_id, word, tokens, ended_at)"
              " VALUES (%lld, 2, 'short', 'completed', 1, now());"
              "UPDATE campaigns SET status = 'cancelling' WHERE id = %lld",
              (long long)id, (long long)id);
    assert_true(fake_stage_tick(fake));
    assert_true(batch(fake, id, "done_at IS NULL"));
    scene_sql(fake,
              "UPDATE recipients SET state = 3 WHERE campaign_id = %lld AND seq = 2;"
              "DELETE FROM calls WHERE session_id = 'short';"
              "UPDATE batches SET sent = 1 WHERE campaign_id = %lld",
              (long long)id, (long long)id);
    answered(fake, id, "seq = 2");
    assert_true(fake_stage_tick(fake));
    assert_true(batch(fake, id, "done_at IS NOT NULL AND delivered = 2"));
}

/* reconcile-dlr, acting while a window that is chosen waits to be claimed. */
struct meddler {
    const char *url, *sql;
    pthread_barrier_t ready;
    pthread_t thread;
};

static void *meddle(void *context)
{
    static const struct db_statement is_waited_for = { "meddler_is_waited_for",
                                                       "SELECT FROM pg_locks WHERE NOT granted",
                                                       0 };
    struct meddler *meddler = context;
    struct db *db;
    struct err err;
    int rows = 0;

    if (!db_open(meddler->url, "meddler", &db, &err) ||
        !db_script(db, "BEGIN; SELECT FROM routes WHERE name = 'voice' FOR UPDATE", &err)) {
        panic("%s", err.detail);
    }
    pthread_barrier_wait(&meddler->ready);
    for (int tries = 0; rows == 0 && tries < 1000; tries++) {
        struct db_result *found;

        if (!db_query(db, &is_waited_for, NULL, &found, &err)) {
            panic("%s", err.detail);
        }
        rows = db_rows(found);
        db_result_destroy(found);
        clock_sleep_ms(rows == 0 ? 5 : 0);
    }
    if (rows == 0 || !db_script(db, meddler->sql, &err) || !db_script(db, "COMMIT", &err)) {
        panic("%s", rows == 0 ? "nobody waited" : err.detail);
    }
    db_close(db);
    return NULL;
}

static void pace_meddled(struct fake_stage *fake, int64_t id, const char *sql)
{
    struct meddler meddler = { .url = fake_url(fake), .sql = sql };

    fake_stage_repeat(fake, false);
    assert_int_equal(pthread_barrier_init(&meddler.ready, NULL, 2), 0);
    assert_int_equal(pthread_create(&meddler.thread, NULL, meddle, &meddler), 0);
    pthread_barrier_wait(&meddler.ready);
    assert_done(fake, pace(fake, id));
    pthread_join(meddler.thread, NULL);
    pthread_barrier_destroy(&meddler.ready);
}

static void a_window_is_what_is_pending_when_it_is_claimed(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = batch_of(fake, 3);

    assert_done(fake, pace(fake, id));
    missed(fake, id, "seq IN (1, 3)", 0);
    pace_meddled(fake, id,
                 "UPDATE recipients SET state = 0 WHERE seq = 2;"
                 "UPDATE batches SET sent = sent - 1");
    /* As many as were chosen, from the first on; then the rest. */
    assert_int_equal(count(fake, id, "state = 3 AND attempts = 2"), 3);
    assert_int_equal(calls_count("calls"), 6);
    scene_adds_up(fake);

    /* Whoever is not to be called after all is not; here it is the only one. */
    missed(fake, id, "seq = 2", 0);
    pace_meddled(fake, id,
                 "UPDATE recipients SET state = 3 WHERE seq = 2;"
                 "UPDATE batches SET sent = sent + 1");
    assert_int_equal(calls_count("calls"), 6);
    assert_true(batch(fake, id, "calling AND in_flight = 0 AND claimed_seq = recorded_seq"));
}

static void a_paused_campaign_is_not_woken(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = batch_of(fake, 2);

    assert_done(fake, pace(fake, id));
    missed(fake, id, "true", 0);
    scene_sql(fake, "UPDATE campaigns SET status = 'paused' WHERE id = %lld", (long long)id);
    fake_stage_advance_ms(fake, 1000);
    assert_true(fake_stage_tick(fake));
    assert_int_equal(fake_stage_emitted(fake), 0);
    assert_done(fake, pace(fake, id));
    assert_int_equal(calls_count("calls"), 2);
    scene_sql(fake,
              "UPDATE campaigns SET status = 'sending' WHERE id = %lld;"
              "UPDATE batches SET waiting = false WHERE campaign_id = %lld",
              (long long)id, (long long)id);
    assert_done(fake, pace(fake, id));
    assert_int_equal(calls_count("calls"), 4);
}

static void a_caller_that_is_not_ours_pauses_its_campaign(void **state)
{
    static const char *const callers[] = { "", "ACME", "+254733000000" };
    struct fake_stage *fake = *state;

    simulator_stop();
    setenv("SIM_CALLERS", "+254711000000", 1);
    simulator_start("");
    unsetenv("SIM_CALLERS");
    setenv("AT_VOICE_URL", simulator_root(), 1);
    configure(fake, "AT_VOICE_CALLER_ID", "");
    for (size_t i = 0; i < sizeof callers / sizeof *callers; i++) {
        int64_t id = batch_of(fake, 2);

        scene_sql(fake, "UPDATE campaigns SET sender_id = '%s' WHERE id = %lld", callers[i],
                  (long long)id);
        assert_done(fake, pace(fake, id));
        assert_string_equal(scene_status(fake, id), "paused");
        assert_non_null(
            strstr(scene_text(fake, "SELECT detail FROM campaigns WHERE id = %lld", (long long)id),
                   "caller"));
        assert_int_equal(count(fake, id, "state = 0 AND attempts = 0"), 2);
        assert_true(batch(fake, id, "waiting AND NOT calling"));
    }
    assert_int_equal(calls_count("calls"), 0);
    setenv("AT_VOICE_CALLER_ID", "+254711000000", 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CALLING(a_batch_is_called_once_and_rests),
        CALLING(the_batch_ends_after_its_last_call),
        CALLING(whoever_was_missed_is_called_again_in_time),
        CALLING(a_batch_that_is_to_rest_longer_is_woken_again_in_time),
        CALLING(a_number_that_cannot_be_called_gives_its_tokens_back),
        CALLING(whoever_was_reached_before_stays_reached),
        CALLING(without_an_answer_calls_are_in_doubt_and_the_batch_waits_for_word),
        CALLING(a_claim_without_an_answer_is_in_doubt),
        CALLING(no_more_calls_are_under_way_than_there_is_room_for),
        CALLING(a_call_of_long_ago_is_not_under_way),
        CALLING(a_cancelled_campaign_calls_nobody_and_waits_for_its_calls),
        CALLING(a_batch_does_not_end_before_what_was_heard_is_paid),
        CALLING(a_window_is_what_is_pending_when_it_is_claimed),
        CALLING(a_paused_campaign_is_not_woken),
        CALLING(a_caller_that_is_not_ours_pauses_its_campaign),
    };

    return cmocka_run_group_tests(tests, start_all, stop_all);
}
