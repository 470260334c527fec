/* send-sms: a batch is handed to the provider, each recipient at most once */
#include <pthread.h>

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

static int start_all(void **state)
{
    simulator_start("");
    setenv("AT_USERNAME", "sandbox", 1);
    setenv("AT_API_KEY", "simulator-key", 1);
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
    setenv("AT_SMS_URL", simulator_url(), 1);
    setenv("SMS_TIMEOUT", "5s", 1);
    setenv("SMS_CLAIM_WINDOW", "100", 1);
    setenv("SMS_JOB_ATTEMPTS", "3", 1);
    return scene_start(state);
}

/* Nothing that a test does may reach a number twice. */
static int stop(void **state)
{
    assert_int_equal(simulator_count("duplicates"), 0);
    return scene_stop(state);
}

#define CALLING(test) cmocka_unit_test_setup_teardown(test, start, stop)

static void configure(struct fake_stage *fake, const char *name, const char *value)
{
    setenv(name, value, 1);
    fake_stage_restart(fake);
}

/* A campaign that is sending and one batch of all its recipients. */
static int64_t batch_of(struct fake_stage *fake, int recipients)
{
    int64_t id = scene_campaign(fake, "sending", recipients);

    scene_sql(fake,
              "INSERT INTO batches (campaign_id, batch, first_seq, last_seq, origin, claimed_seq,"
              "                     recorded_seq) VALUES (%lld, 1, 1, %d, 'cut', 0, 0)",
              (long long)id, recipients);
    return id;
}

/* The texts are "Text 0" to "Text <texts - 1>" in turn. */
static void personalise(struct fake_stage *fake, int64_t id, int texts)
{
    scene_sql(fake,
              "UPDATE campaigns SET text = NULL WHERE id = %lld;"
              "UPDATE recipients SET text = 'Text ' || (seq %% %d) WHERE campaign_id = %lld",
              (long long)id, texts, (long long)id);
}

static enum verdict deliver(struct fake_stage *fake, int64_t id, const char *message, bool probe)
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

static enum verdict pace(struct fake_stage *fake, int64_t id)
{
    return deliver(fake, id, scene_message(), false);
}

/* As rate-limit does when the hold of a route is over. */
static enum verdict probe(struct fake_stage *fake, int64_t id)
{
    return deliver(fake, id, scene_message(), true);
}

/* The tick's one event; its id is the same after a tick whose commit was lost. */
static void assert_told(struct fake_stage *fake, const struct shape *shape,
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

static void assert_nothing_to_tell(struct fake_stage *fake)
{
    assert_true(fake_stage_tick(fake));
    assert_int_equal(fake_stage_emitted(fake), 0);
}

static int64_t count(struct fake_stage *fake, int64_t id, const char *where)
{
    return scene_number(fake, "SELECT count(*) FROM recipients WHERE campaign_id = %lld AND (%s)",
                        (long long)id, where);
}

static int64_t counter(struct fake_stage *fake, int64_t id, const char *column)
{
    return scene_number(fake, "SELECT %s FROM batches WHERE campaign_id = %lld AND batch = 1",
                        column, (long long)id);
}

static bool is_done(struct fake_stage *fake, int64_t id)
{
    return counter(fake, id, "(done_at IS NOT NULL)::int") == 1;
}

static int64_t purse(struct fake_stage *fake, const char *name)
{
    return scene_number(fake, "SELECT %s FROM token_balances WHERE account_id = 1", name);
}

static int64_t route(struct fake_stage *fake, const char *expression)
{
    return scene_number(fake, "SELECT (%s)::int FROM routes WHERE name = 'sms'", expression);
}

static void a_batch_of_one_text_is_one_request(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = batch_of(fake, 250);
    struct batch_fact done;

    assert_done(fake, pace(fake, id)); /* and again, by the harness */
    assert_int_equal(simulator_count("requests"), 1);
    assert_int_equal(simulator_count("accepted"), 250);
    assert_int_equal(fake_stage_emitted(fake), 1);
    fake_stage_read(fake, &batch_done_v1, 0, &done);
    assert_string_equal(done.campaign, scene_name(id));
    assert_int_equal(done.batch, 1);
    assert_int_equal(
        count(fake, id,
              "state = 3 AND batch = 1 AND attempts = 1 AND provider_id LIKE 'ATX%'"
              " AND provider_code IN (100, 101, 102) AND cost_e4 = 8000 AND currency = 'KES'"
              " AND sent_at IS NOT NULL AND final_at IS NULL AND reason IS NULL"),
        250);
    assert_int_equal(counter(fake, id, "sent"), 250);
    assert_int_equal(counter(fake, id, "captured"), 250);
    assert_int_equal(counter(fake, id, "cost_e4"), 250 * 8000);
    assert_int_equal(counter(fake, id, "in_flight"), 0);
    assert_true(is_done(fake, id));
    assert_int_equal(counter(fake, id, "(settled_at IS NULL)::int"), 1);
    assert_int_equal(purse(fake, "spent"), 250);
    assert_int_equal(purse(fake, "reserved"), 0);
    assert_int_equal(simulator_messages(254700000250, "Hello"), 1);
}

static void equal_texts_share_a_request(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = batch_of(fake, 50);

    personalise(fake, id, 3);
    assert_done(fake, pace(fake, id));
    assert_int_equal(simulator_count("requests"), 3);
    assert_int_equal(simulator_count("accepted"), 50);
    assert_int_equal(simulator_messages(254700000009, "Text 0"), 1);
    assert_int_equal(simulator_messages(254700000010, "Text 1"), 1);
    assert_int_equal(simulator_messages(254700000050, "Text 2"), 1);
}

static void texts_of_their_own_are_claimed_a_window_at_a_time(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = batch_of(fake, 25);

    configure(fake, "SMS_CLAIM_WINDOW", "10");
    personalise(fake, id, 1000);
    assert_done(fake, pace(fake, id));
    assert_int_equal(simulator_count("requests"), 25);
    assert_int_equal(count(fake, id, "state = 3"), 25);
    assert_int_equal(
        fake_number(fake, "SELECT count(*) FROM ledger_entries WHERE kind = 'capture'"), 3);
    assert_int_equal(simulator_messages(254700000025, "Text 25"), 1);
}

/* Who had no turn is asked about in a later pass, the next windows are smaller, no route is held.
 */
static void a_slow_provider_gets_smaller_windows(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = batch_of(fake, 40);

    configure(fake, "SMS_CLAIM_WINDOW", "20");
    personalise(fake, id, 1000);
    simulator_faults("{\"latency_min_ms\":50,\"latency_max_ms\":50}");
    fake_stage_hurry(fake, 120);
    fake_stage_repeat(fake, false);
    assert_done(fake, pace(fake, id));
    int64_t sent = count(fake, id, "state = 3");
    assert_true(sent >= 4 && sent < 40);
    assert_int_equal(count(fake, id, "state = 0 AND attempts = 0"), 40 - sent);
    assert_int_equal(simulator_count("accepted"), sent);
    /* The first window's 20 were claimed at once, later ones only as many as had their turn. */
    assert_true(fake_number(fake, "SELECT count(*) FROM ledger_entries WHERE kind = 'capture'") >
                2);
    assert_int_equal(route(fake, "status = 'open' AND failures = 0"), 1);
    assert_false(is_done(fake, id));
    simulator_faults("{\"latency_min_ms\":0,\"latency_max_ms\":0}");
    fake_stage_hurry(fake, 10000);
    assert_done(fake, pace(fake, id));
    assert_int_equal(count(fake, id, "state = 3 AND attempts = 1"), 40);
    assert_true(is_done(fake, id));
}

static void texts_and_senders_arrive_as_they_are(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = batch_of(fake, 1);

    scene_sql(fake,
              "UPDATE campaigns SET text = 'H\u00e9, 100%% & +1 = \u20ac2; \U0001F600'"
              " WHERE id = %lld",
              (long long)id);
    assert_done(fake, pace(fake, id));
    assert_int_equal(simulator_messages(254700000001, "H\u00e9, 100% & +1 = \u20ac2; \U0001F600"),
                     1);
}

static void each_refusal_is_final_released_and_recorded(void **state)
{
    static const struct {
        int seq, code;
        const char *reason;
    } table[] = { { 1, 403, "invalid_number" },
                  { 2, 404, "unsupported_number" },
                  { 3, 406, "opted_out" },
                  { 4, 407, "no_route" } };
    struct fake_stage *fake = *state;
    int64_t id = batch_of(fake, 10);

    simulator_faults("{\"force\":\"0001:403,0002:404,0003:406,0004:407\"}");
    scene_sql(fake,
              "UPDATE recipients SET segments = 3 WHERE campaign_id = %lld AND seq = 1;"
              "UPDATE campaigns SET segments = 12 WHERE id = %lld;"
              "UPDATE token_holds SET amount = 12; UPDATE token_hold_lots SET amount = 12;"
              "UPDATE token_lots SET available = available - 2;"
              "UPDATE token_balances SET available = available - 2, reserved = reserved + 2;"
              "SELECT scene_entry(1, 'adjust', 'available', 'reserved', 2, 'x')",
              (long long)id, (long long)id);
    assert_done(fake, pace(fake, id));
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char where[200];

        snprintf(where, sizeof where,
                 "seq = %d AND state = 5 AND provider_code = %d AND reason = '%s'"
                 " AND final_at IS NOT NULL AND batch = 1",
                 table[i].seq, table[i].code, table[i].reason);
        assert_int_equal(count(fake, id, where), 1);
    }
    assert_int_equal(counter(fake, id, "sent"), 6);
    assert_int_equal(counter(fake, id, "failed"), 4);
    assert_int_equal(counter(fake, id, "captured"), 6);
    assert_int_equal(counter(fake, id, "released"), 6);
    assert_int_equal(purse(fake, "spent"), 6);
    assert_int_equal(purse(fake, "available"), SCENE_TOKENS - 6);
    assert_int_equal(fake_number(fake, "SELECT count(*) FROM suppressions"), 1);
    assert_int_equal(fake_number(fake, "SELECT msisdn FROM suppressions WHERE account_id = 1"
                                       " AND reason = 'provider_blacklist'"),
                     254700000003);
    assert_true(is_done(fake, id));
}

static void a_batch_of_nothing_but_refusals_is_settled(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = batch_of(fake, 3);

    simulator_faults("{\"force\":\"1:403,2:403,3:407\"}");
    assert_done(fake, pace(fake, id));
    assert_int_equal(fake_stage_emitted_of(fake, DONE), 1);
    assert_int_equal(counter(fake, id, "(settled_at IS NOT NULL)::int"), 1);
}

static void a_refusal_for_now_is_tried_again_until_the_limit(void **state)
{
    static const int codes[] = { 500, 501, 502 };
    struct fake_stage *fake = *state;

    for (size_t i = 0; i < 3; i++) {
        int64_t id = batch_of(fake, 5);
        char faults[60];

        scene_sql(fake, "UPDATE recipients SET msisdn = msisdn + %zu WHERE campaign_id = %lld",
                  i * 1000, (long long)id);
        snprintf(faults, sizeof faults, "{\"force\":\"0002:%d,1002:%d,2002:%d\"}", codes[i],
                 codes[i], codes[i]);
        simulator_faults(faults);
        for (int attempt = 1; attempt <= 3; attempt++) {
            assert_done(fake, pace(fake, id));
            assert_int_equal(fake_stage_emitted(fake), 1);
            assert_int_equal(count(fake, id, "seq = 2 AND state = 0") == 1, attempt < 3);
            assert_int_equal(scene_number(fake,
                                          "SELECT attempts FROM recipients WHERE campaign_id = %lld"
                                          " AND seq = 2",
                                          (long long)id),
                             attempt);
            assert_int_equal(counter(fake, id, "sent"), 4);
            if (attempt < 3) {
                assert_string_equal(fake_stage_out(fake, 0)->type, READY);
                assert_int_equal(fake_stage_out(fake, 0)->delay_ms, attempt * 10000);
                assert_false(is_done(fake, id));
                assert_int_equal(counter(fake, id, "released"), 0);
            }
        }
        assert_string_equal(fake_stage_out(fake, 0)->type, DONE);
        assert_int_equal(count(fake, id, "seq = 2 AND state = 5 AND final_at IS NOT NULL"), 1);
        assert_int_equal(counter(fake, id, "released"), 1);
        assert_string_equal(fake_text(fake, "SELECT status FROM routes"), "open");
    }
}

/* What is emitted is a ready batch, so late; returns its id. */
static const char *ready_in(struct fake_stage *fake, int64_t delay_ms)
{
    static char ids[4][ID_MESSAGE_BYTES];
    static unsigned next;
    char *id = ids[next++ % 4];

    assert_int_equal(fake_stage_emitted(fake), 1);
    assert_string_equal(fake_stage_out(fake, 0)->type, READY);
    assert_int_equal(fake_stage_out(fake, 0)->delay_ms, delay_ms);
    snprintf(id, ID_MESSAGE_BYTES, "%s", fake_stage_out(fake, 0)->id);
    return id;
}

static void a_message_that_ended_a_pass_keeps_its_pause_when_it_comes_again(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = batch_of(fake, 5);
    const char *first, *second;

    simulator_faults("{\"force\":\"0002:500\"}");
    assert_done(fake, deliver(fake, id, "one", false)); /* and again, by the harness */
    first = ready_in(fake, 10000);
    assert_int_equal(simulator_count("requests"), 1);
    assert_done(fake, deliver(fake, id, "two", false));
    second = ready_in(fake, 20000);
    assert_string_not_equal(second, first);
    assert_int_equal(simulator_count("requests"), 2);
    assert_int_equal(count(fake, id, "seq = 2 AND attempts = 2"), 1);
    /* A further pass was begun since the first; the third is still to come. */
    assert_done(fake, deliver(fake, id, "one", false));
    assert_int_equal(fake_stage_emitted(fake), 0);
    assert_done(fake, deliver(fake, id, "two", false));
    assert_string_equal(ready_in(fake, 20000), second);
    /* A worker has claimed, in the third pass. */
    scene_sql(fake, "UPDATE batches SET claimed_seq = 1, recorded_seq = 1 WHERE campaign_id = %lld",
              (long long)id);
    assert_done(fake, deliver(fake, id, "two", false));
    assert_int_equal(fake_stage_emitted(fake), 0);
    assert_int_equal(simulator_count("requests"), 2);
    assert_done(fake, deliver(fake, id, "three", false));
    assert_int_equal(fake_stage_emitted_of(fake, DONE), 1);
    assert_int_equal(simulator_count("requests"), 3);
    /* Whatever ended it, that it is done is told. */
    assert_done(fake, deliver(fake, id, "one", false));
    assert_int_equal(fake_stage_emitted_of(fake, DONE), 1);
}

/* Also when its leave to send is over meanwhile. */
static void a_pause_outlasts_the_leave_to_send(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = batch_of(fake, 5);
    char json[200], at[CLOCK_RFC3339_BYTES];
    const char *first;

    clock_format(clock_now_ms() + 60000, at);
    snprintf(json, sizeof json,
             "{\"campaign\":\"%s\",\"batch\":1,\"size\":5,\"expires_at\":\"%s\"}", scene_name(id),
             at);
    simulator_faults("{\"force\":\"0002:500\"}");
    assert_done(fake, fake_stage_send(fake, PACED, "one", json));
    first = ready_in(fake, 10000);
    fake_stage_advance_ms(fake, 61000);
    assert_done(fake, fake_stage_send(fake, PACED, "one", json));
    assert_string_equal(ready_in(fake, 10000), first);
    assert_int_equal(simulator_count("requests"), 1);
}

static void a_probe_that_comes_again_leaves_the_route_as_it_is(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = batch_of(fake, 3);

    simulator_faults("{\"unauthorized\":1}");
    assert_done(fake, pace(fake, id));
    for (int i = 0; i < 3; i++) {
        assert_done(fake, deliver(fake, id, "probe", true));
        ready_in(fake, 1000);
        assert_int_equal(simulator_count("requests"), 2);
        assert_true(route(fake, "status = 'held' AND held_until > now() AND failures = 2"));
    }
}

static void a_batch_set_aside_waits_also_when_its_message_comes_again(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = batch_of(fake, 5);

    simulator_faults("{\"force\":\"0002:402\"}");
    assert_done(fake, deliver(fake, id, "one", false));
    simulator_reset();
    scene_sql(fake,
              "UPDATE campaigns SET status = 'sending' WHERE id = %lld;"
              "UPDATE batches SET waiting = false WHERE campaign_id = %lld",
              (long long)id, (long long)id);
    assert_done(fake, deliver(fake, id, "one", false));
    assert_int_equal(fake_stage_emitted(fake), 0);
    assert_int_equal(simulator_count("requests"), 0);
    assert_done(fake, deliver(fake, id, "woken", false));
    assert_int_equal(fake_stage_emitted_of(fake, DONE), 1);
}

static void a_refusal_for_now_may_pass_the_next_time(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = batch_of(fake, 5);

    fake_stage_repeat(fake, false);
    simulator_faults("{\"refuse_501\":{\"count\":2}}");
    assert_done(fake, pace(fake, id));
    assert_int_equal(count(fake, id, "state = 0 AND attempts = 1 AND provider_code = 501"), 2);
    assert_int_equal(count(fake, id, "state = 3"), 3);
    fake_stage_repeat(fake, true);
    assert_done(fake, pace(fake, id));
    assert_string_equal(fake_stage_out(fake, 0)->type, DONE);
    assert_int_equal(count(fake, id, "state = 3"), 5);
    assert_int_equal(count(fake, id, "state = 3 AND attempts = 2 AND reason IS NULL"), 2);
    assert_int_equal(counter(fake, id, "sent"), 5);
    assert_int_equal(purse(fake, "spent"), 5);
}

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
    assert_string_equal(fake_text(fake, "SELECT status FROM routes"), "open");
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
    assert_string_equal(fake_text(fake, "SELECT status FROM routes"), "open");
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

static void the_route_rests_when_the_provider_refuses_the_account(void **state)
{
    static const struct {
        const char *faults, *why;
        int rest_s_min, rest_s_max;
    } table[] = {
        { "{\"unauthorized\":1}", "bad_credentials", 58, 60 },
        { "{\"force\":\"1:405,2:405,3:405\"}", "insufficient_balance", 58, 60 },
        { "{\"force\":\"1:401,2:401,3:401\"}", "risk_hold", 58, 60 },
        { "{\"throttled\":1,\"retry_after_s\":7}", "throttled", 5, 7 },
        { "{\"throttled\":1}", "throttled", 0, 2 },
    };
    struct fake_stage *fake = *state;

    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        int64_t id = batch_of(fake, 3);
        struct route_event event;

        simulator_reset();
        simulator_faults(table[i].faults);
        fake_sql(fake, "UPDATE routes SET status = 'open', held_until = NULL, failures = 0");
        assert_done(fake, pace(fake, id));
        assert_int_equal(fake_stage_emitted(fake), 1);
        assert_int_equal(fake_stage_emitted_of(fake, READY), 1);
        assert_told(fake, &route_held_v1, &event);
        assert_string_equal(event.why, table[i].why);
        assert_true(route(fake, "status = 'held'"));
        assert_string_equal(fake_text(fake, "SELECT why FROM routes"), table[i].why);
        assert_in_range(event.until_ms - clock_now_ms() + 2000, table[i].rest_s_min * 1000,
                        table[i].rest_s_max * 1000 + 2000);
        assert_int_equal(count(fake, id, "state = 0 AND attempts = 0 AND provider_id IS NULL"), 3);
        /* What was let through before is not sent either, and waits its turn. */
        assert_done(fake, pace(fake, id));
        assert_int_equal(fake_stage_emitted(fake), 1);
        assert_string_equal(fake_stage_out(fake, 0)->type, READY);
        assert_int_equal(simulator_count("requests"), 1);
        assert_nothing_to_tell(fake);
        /* A probe that is refused keeps it held; one that passes opens it. */
        assert_done(fake, probe(fake, id));
        assert_true(route(fake, "status = 'held' AND failures = 2"));
        assert_told(fake, &route_held_v1, &event);
        simulator_reset();
        assert_done(fake, probe(fake, id));
        assert_int_equal(fake_stage_emitted(fake), 1);
        assert_string_equal(fake_stage_out(fake, 0)->type, DONE);
        assert_true(route(fake, "status = 'open' AND failures = 0"));
        assert_told(fake, &route_opened_v1, &event);
        assert_string_equal(event.why, "answers_again");
        assert_int_equal(event.until_ms, 0);
        assert_nothing_to_tell(fake);
        assert_int_equal(count(fake, id, "state = 3"), 3);
    }
}

static void the_rest_of_a_batch_is_not_sent_over_a_route_that_just_failed(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = batch_of(fake, 30);

    configure(fake, "SMS_CLAIM_WINDOW", "10");
    personalise(fake, id, 1000);
    simulator_faults("{\"force\":\"0012:405\"}");
    assert_done(fake, pace(fake, id));
    assert_int_equal(count(fake, id, "state = 3"), 19);
    assert_int_equal(count(fake, id, "state = 0"), 11);
    assert_int_equal(simulator_count("requests"), 20);
    simulator_faults("{\"force\":\"\"}");
    assert_done(fake, probe(fake, id));
    assert_int_equal(count(fake, id, "state = 3"), 30);
    assert_int_equal(simulator_count("accepted"), 30);
}

static void without_a_connection_no_attempt_is_counted(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = batch_of(fake, 5);
    int64_t last = 0;

    setenv("SMS_JOB_ATTEMPTS", "1", 1);
    configure(fake, "AT_SMS_URL", "http://127.0.0.1:1/version1");
    for (int i = 1; i <= 8; i++) {
        struct route_event event;

        assert_done(fake, i == 1 ? pace(fake, id) : probe(fake, id));
        assert_int_equal(fake_stage_emitted_of(fake, READY), 1);
        assert_told(fake, &route_held_v1, &event);
        assert_int_equal(route(fake, "failures"), i);
        /* Each pause is longer than the one before, up to a minute. */
        int64_t rest_s = route(fake, "extract(epoch FROM held_until - held_at)");
        assert_true(rest_s > last || rest_s == 60);
        last = rest_s;
    }
    assert_int_equal(last, 60);
    assert_int_equal(count(fake, id, "state = 0 AND attempts = 0 AND reason IS NULL"), 5);
    configure(fake, "AT_SMS_URL", simulator_url());
    assert_done(fake, probe(fake, id));
    assert_int_equal(count(fake, id, "state = 3 AND attempts = 1"), 5);
    assert_true(route(fake, "status = 'open' AND untold_at IS NOT NULL"));
}

static void an_unknown_sender_pauses_its_campaign_and_no_other(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = batch_of(fake, 3);
    int64_t other = batch_of(fake, 3);

    simulator_stop();
    simulator_start("ACME");
    configure(fake, "AT_SMS_URL", simulator_url());
    scene_sql(fake,
              "UPDATE campaigns SET sender_id = CASE WHEN id = %lld THEN 'NOBODY'"
              " ELSE 'ACME' END",
              (long long)id);
    scene_sql(fake, "UPDATE recipients SET msisdn = msisdn + 1000 WHERE campaign_id = %lld",
              (long long)other);
    assert_done(fake, pace(fake, id));
    assert_string_equal(scene_status(fake, id), "paused");
    assert_non_null(
        strstr(scene_text(fake, "SELECT detail FROM campaigns WHERE id = %lld", (long long)id),
               "'NOBODY'"));
    assert_int_equal(fake_stage_emitted(fake), 0); /* split-batches tells */
    assert_int_equal(scene_number(fake,
                                  "SELECT (untold_at IS NOT NULL)::int FROM campaigns"
                                  " WHERE id = %lld",
                                  (long long)id),
                     1);
    assert_int_equal(counter(fake, id, "waiting::int"), 1);
    assert_int_equal(count(fake, id, "state = 0 AND attempts = 0"), 3);
    assert_done(fake, pace(fake, other));
    assert_int_equal(count(fake, other, "state = 3"), 3);
    /* Repaired and resumed. */
    scene_sql(fake, "UPDATE campaigns SET status = 'sending', sender_id = 'ACME' WHERE id = %lld",
              (long long)id);
    assert_done(fake, pace(fake, id));
    assert_int_equal(count(fake, id, "state = 3"), 3);
    assert_true(is_done(fake, id));
    assert_int_equal(counter(fake, id, "waiting::int"), 0);
}

static void a_sender_refused_for_one_recipient_pauses_the_campaign(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = batch_of(fake, 5);

    simulator_faults("{\"force\":\"0002:402\"}");
    assert_done(fake, pace(fake, id));
    assert_string_equal(scene_status(fake, id), "paused");
    assert_string_equal(fake_text(fake, "SELECT status FROM routes"), "open");
    assert_int_equal(count(fake, id, "state = 3"), 4);
    assert_int_equal(count(fake, id, "state = 0 AND seq = 2"), 1);
    assert_int_equal(counter(fake, id, "waiting::int"), 1);
}

static void in_the_forbidden_hours_a_batch_comes_back_later(void **state)
{
    static const struct {
        const char *faults;
        int sent;
    } table[] = { { "{\"conflict_409\":1}", 0 }, { "{\"force\":\"0002:409\"}", 4 } };
    struct fake_stage *fake = *state;

    for (size_t i = 0; i < 2; i++) {
        int64_t id = batch_of(fake, 5);

        simulator_reset();
        simulator_faults(table[i].faults);
        for (int again = 0; again < 5; again++) { /* a night has more hours than we have attempts */
            assert_done(fake, pace(fake, id));
            assert_int_equal(fake_stage_emitted(fake), 1);
            assert_string_equal(fake_stage_out(fake, 0)->type, READY);
            assert_in_range(fake_stage_out(fake, 0)->delay_ms, 60 * 1000, 3600 * 1000);
            assert_int_equal(count(fake, id, "state = 3"), table[i].sent);
            assert_int_equal(count(fake, id, "state = 0"), 5 - table[i].sent);
            assert_string_equal(scene_status(fake, id), "sending");
            assert_string_equal(fake_text(fake, "SELECT status FROM routes"), "open");
        }
        simulator_faults("{\"conflict_409\":0,\"force\":\"\"}");
        assert_done(fake, pace(fake, id));
        assert_int_equal(count(fake, id, "state = 3"), 5);
        assert_int_equal(fake_stage_emitted_of(fake, DONE), 1);
    }
}

static void batches_of_campaigns_that_have_stopped_are_not_sent(void **state)
{
    static const struct {
        const char *status;
        const char *emitted; /* NULL: nothing */
        bool done, waiting;
    } table[] = {
        { "cancelling", DONE, true, false }, { "cancelled", DONE, true, false },
        { "expired", DONE, true, false },    { "completed", DONE, true, false },
        { "paused", NULL, false, true },
    };
    struct fake_stage *fake = *state;

    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        int64_t id = batch_of(fake, 5);

        scene_sql(fake, "UPDATE campaigns SET status = '%s' WHERE id = %lld", table[i].status,
                  (long long)id);
        assert_done(fake, pace(fake, id));
        assert_int_equal(fake_stage_emitted(fake), table[i].emitted != NULL);
        assert_int_equal(is_done(fake, id), table[i].done);
        assert_int_equal(counter(fake, id, "waiting::int"), table[i].waiting);
        assert_int_equal(count(fake, id, "state = 0"), 5);
    }
    int64_t late = batch_of(fake, 5);
    scene_sql(fake, "UPDATE campaigns SET expires_at = now() - interval '1 s' WHERE id = %lld",
              (long long)late);
    assert_done(fake, pace(fake, late));
    assert_int_equal(fake_stage_emitted_of(fake, DONE), 1);
    assert_true(is_done(fake, late));
    assert_int_equal(simulator_count("requests"), 0);
}

static void leave_to_send_is_for_now(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = batch_of(fake, 5);
    char json[200], at[CLOCK_RFC3339_BYTES];

    for (int late = 1; late >= 0; late--) {
        clock_format(clock_now_ms() + (late ? -1000 : 60000), at);
        snprintf(json, sizeof json,
                 "{\"campaign\":\"%s\",\"batch\":1,\"size\":5,\"expires_at\":\"%s\"}",
                 scene_name(id), at);
        assert_done(fake, fake_stage_send(fake, PACED, scene_message(), json));
        assert_int_equal(fake_stage_emitted(fake), 1);
        assert_string_equal(fake_stage_out(fake, 0)->type, late ? READY : DONE);
        assert_int_equal(fake_stage_out(fake, 0)->delay_ms, 0);
        assert_int_equal(simulator_count("requests"), !late);
    }
}

static void a_batch_is_one_workers_at_a_time(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = batch_of(fake, 5);

    scene_sql(fake, "SELECT pg_advisory_lock(hashtextextended('%lld 1', 0))", (long long)id);
    assert_int_equal(pace(fake, id), STAGE_RETRY);
    assert_string_equal(fake_stage_why(fake), "batch_elsewhere");
    scene_sql(fake, "SELECT pg_advisory_unlock(hashtextextended('%lld 1', 0))", (long long)id);
    assert_done(fake, pace(fake, id));
    assert_int_equal(fake_number(fake, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"),
                     0);
}

static void a_message_that_names_no_batch_waits_or_is_parked(void **state)
{
    struct fake_stage *fake = *state;

    assert_int_equal(pace(fake, scene_campaign(fake, "sending", 1)), STAGE_RETRY);
    assert_string_equal(fake_stage_why(fake), "batch_unknown");
    assert_int_equal(
        fake_stage_send(fake, PACED, "x", "{\"campaign\":\"june\",\"batch\":1,\"size\":1}"),
        STAGE_REJECT);
    assert_string_equal(fake_stage_why(fake), "bad_campaign");
    assert_int_equal(fake_stage_send(fake, PACED, "x", "{\"campaign\":\"june\"}"), STAGE_REJECT);
    assert_string_equal(fake_stage_why(fake), "bad_field");
}

/*
 * Everything at once: some batches through a provider that fails in every way, each message now and
 * then delivered twice, until all are done. Nobody is sent to twice, everybody is in a named state.
 */
static void under_all_faults_together_nobody_is_sent_to_twice(void **state)
{
    enum { BATCHES = 12, RECIPIENTS = 60, ROUNDS_MAX = 400 };
    struct fake_stage *fake = *state;
    int64_t ids[BATCHES];
    uint32_t chance = 7;
    int64_t sent, in_doubt, accepted;
    int open = BATCHES;

    fake_stage_repeat(fake, false);
    configure(fake, "SMS_CLAIM_WINDOW", "7");
    for (int i = 0; i < BATCHES; i++) {
        ids[i] = batch_of(fake, RECIPIENTS);
        scene_sql(fake, "UPDATE recipients SET msisdn = msisdn + %d WHERE campaign_id = %lld",
                  i * 1000, (long long)ids[i]);
        if (i % 3 != 0) {
            personalise(fake, ids[i], i % 3 == 1 ? 5 : 1000);
        }
    }
    simulator_faults("{\"unauthorized\":0.02,\"throttled\":0.03,\"error_500\":0.02,"
                     "\"unavailable_503\":0.02,\"conflict_409\":0.02,\"close_reused\":0.02,"
                     "\"close_accepted\":0.03,\"error_500_accepted\":0.02,\"partial\":0.03,"
                     "\"truncated\":0.02,\"garbage\":0.02,\"refuse_403\":0.02,\"refuse_406\":0.02,"
                     "\"refuse_500\":0.1,\"refuse_501\":0.1}");
    for (int round = 0; open > 0 && round < ROUNDS_MAX; round++) {
        int64_t id = ids[round % BATCHES];
        bool held = route(fake, "status = 'held'");

        if (is_done(fake, id)) {
            continue;
        }
        chance = chance * 1664525 + 1013904223;
        const char *message = scene_message();
        assert_done(fake, deliver(fake, id, message, held));
        if (chance & 0x10000) {
            assert_done(fake, deliver(fake, id, message, held));
        }
        open -= is_done(fake, id);
        if (round % 8 == 0) {
            scene_adds_up(fake);
        }
    }
    assert_int_equal(open, 0);
    assert_int_equal(fake_number(fake, "SELECT count(*) FROM recipients WHERE state IN (0, 1)"), 0);
    sent = fake_number(fake, "SELECT count(*) FROM recipients WHERE state = 3");
    in_doubt = fake_number(fake, "SELECT count(*) FROM recipients WHERE state = 2");
    accepted = simulator_count("accepted");
    assert_true(accepted >= sent && accepted <= sent + in_doubt);
    assert_true(in_doubt > 0 && sent > BATCHES * RECIPIENTS / 2);
    assert_int_equal(purse(fake, "spent"), sent);
    assert_int_equal(purse(fake, "reserved"), in_doubt);
}

static void the_providers_credit_is_asked_for_now_and_then_and_told_when_it_is_low(void **state)
{
    struct fake_stage *fake = *state;
    int64_t requests = simulator_count("requests");

    assert_true(fake_stage_tick(fake));
    assert_int_equal(simulator_count("requests"), requests); /* nobody wants to know */
    configure(fake, "AT_CREDIT_LOW", "100000");
    assert_true(fake_stage_tick(fake));
    assert_int_equal(
        fake_number(fake, "SELECT balance_e4 FROM provider_credit WHERE currency = 'KES'"),
        1000000000);
    assert_int_equal(fake_number(fake, "SELECT count(*) FROM alerts"), 0); /* just enough */
    configure(fake, "AT_CREDIT_LOW", "100001");
    requests = simulator_count("requests");
    assert_true(fake_stage_tick(fake));
    assert_int_equal(simulator_count("requests"), requests); /* another worker has just asked */
    for (int i = 0; i < 3; i++) {
        fake_stage_advance_ms(fake, 5 * 60 * 1000);
        assert_true(fake_stage_tick(fake));
    }
    assert_int_equal(fake_stage_emitted(fake), 0); /* reserve-tokens tells it */
    assert_string_equal(fake_text(fake, "SELECT string_agg(kind || ' ' || value || ' ' || threshold"
                                        "                  || ' ' || currency, ',')"
                                        "  FROM alerts WHERE untold_at IS NOT NULL"),
                        "provider_credit_low 1000000000 1000010000 KES");
    configure(fake, "AT_SMS_URL", "http://127.0.0.1:1/version1");
    fake_stage_advance_ms(fake, 5 * 60 * 1000);
    assert_true(fake_stage_tick(fake)); /* no answer is no news */
    assert_int_equal(fake_number(fake, "SELECT count(*) FROM provider_credit"
                                       " WHERE answered_at < asked_at"),
                     1);
    unsetenv("AT_CREDIT_LOW");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CALLING(a_batch_of_one_text_is_one_request),
        CALLING(the_providers_credit_is_asked_for_now_and_then_and_told_when_it_is_low),
        CALLING(equal_texts_share_a_request),
        CALLING(texts_of_their_own_are_claimed_a_window_at_a_time),
        CALLING(a_slow_provider_gets_smaller_windows),
        CALLING(texts_and_senders_arrive_as_they_are),
        CALLING(each_refusal_is_final_released_and_recorded),
        CALLING(a_batch_of_nothing_but_refusals_is_settled),
        CALLING(a_refusal_for_now_is_tried_again_until_the_limit),
        CALLING(a_message_that_ended_a_pass_keeps_its_pause_when_it_comes_again),
        CALLING(a_pause_outlasts_the_leave_to_send),
        CALLING(a_probe_that_comes_again_leaves_the_route_as_it_is),
        CALLING(a_batch_set_aside_waits_also_when_its_message_comes_again),
        CALLING(a_refusal_for_now_may_pass_the_next_time),
        CALLING(without_a_definite_answer_recipients_are_in_doubt_for_good),
        CALLING(whoever_the_answer_leaves_out_is_in_doubt_and_nobody_else),
        CALLING(one_lost_answer_among_several_is_an_accident),
        CALLING(a_connection_that_died_idle_is_no_second_request),
        CALLING(a_claim_without_an_answer_is_in_doubt),
        CALLING(a_claim_without_an_answer_is_in_doubt_also_when_nothing_is_sent_any_more),
        CALLING(an_answer_that_comes_after_the_claim_was_lost_resolves_the_doubt),
        CALLING(answers_survive_a_database_that_goes_away),
        CALLING(the_route_rests_when_the_provider_refuses_the_account),
        CALLING(the_rest_of_a_batch_is_not_sent_over_a_route_that_just_failed),
        CALLING(without_a_connection_no_attempt_is_counted),
        CALLING(a_sender_refused_for_one_recipient_pauses_the_campaign),
        CALLING(in_the_forbidden_hours_a_batch_comes_back_later),
        CALLING(batches_of_campaigns_that_have_stopped_are_not_sent),
        CALLING(leave_to_send_is_for_now),
        CALLING(a_batch_is_one_workers_at_a_time),
        CALLING(a_message_that_names_no_batch_waits_or_is_parked),
        CALLING(under_all_faults_together_nobody_is_sent_to_twice),
        CALLING(an_unknown_sender_pauses_its_campaign_and_no_other),
    };

    return cmocka_run_group_tests_name("stage.send-sms", tests, start_all, stop_all);
}
