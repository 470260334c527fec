/* reconcile-dlr: what the provider tells afterwards decides what became of each recipient */
#include "msg/event.h"
#include "scene.h"

#define REPORTED "delivery.reported.v1"
#define INBOUND "sms.received.v1"
#define MISREAD "callback.misread.v1"
#define COMPLETED "campaign.completed.v1"

#define JSON_BYTES 131000
#define REPORTS_MAX 500
#define NUMBER(seq) (254700000000 + (seq))

/*
 * A campaign of n recipients in one batch that is done: all accepted, as <label>-<seq>, but for the
 * doubts ("1,4"), whose answer was lost and whose tokens are still reserved.
 */
static int64_t sent_but(struct fake_stage *fake, const char *label, int n, const char *doubts)
{
    int64_t id = scene_campaign(fake, "sent", n);

    scene_sql(fake,
              "UPDATE recipients SET state = 3, batch = 1, attempts = 1, sent_at = now(),"
              "       provider_id = '%s-' || seq WHERE campaign_id = %lld;"
              "UPDATE recipients SET state = 2, provider_id = NULL, reason = 'http_timeout'"
              " WHERE campaign_id = %lld AND seq = ANY ('{%s}');"
              "UPDATE campaigns SET sent_at = now() WHERE id = %lld",
              label, (long long)id, (long long)id, doubts, (long long)id);
    int taken = (int)scene_number(fake,
                                  "SELECT count(*) FROM recipients"
                                  " WHERE campaign_id = %lld AND state = 3",
                                  (long long)id);
    scene_sql(fake,
              "INSERT INTO batches (campaign_id, batch, first_seq, last_seq, origin, claimed_seq,"
              "                     recorded_seq, sent, captured, in_doubt, done_at)"
              " VALUES (%lld, 1, 1, %d, 'cut', %d, %d, %d, %d, %d, now());"
              "SELECT scene_entry(1, 'capture', 'reserved', 'spent', %d, 'all of %lld', %lld);"
              "UPDATE token_balances SET reserved = reserved - %d, spent = spent + %d"
              " WHERE account_id = 1;"
              "UPDATE token_holds SET captured = %d WHERE id = %lld",
              (long long)id, n, n, n, taken, taken, n - taken, taken, (long long)id, (long long)id,
              taken, taken, taken, (long long)id);
    return id;
}

static int64_t sent(struct fake_stage *fake, const char *label, int n)
{
    return sent_but(fake, label, n, "");
}

/* Reports, gathered into one message. */
static struct {
    char json[JSON_BYTES];
    size_t len;
} gathered;

__attribute__((format(printf, 1, 2))) static void put(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    gathered.len +=
        (size_t)vsnprintf(gathered.json + gathered.len, JSON_BYTES - gathered.len, fmt, args);
    va_end(args);
}

static void add(const char *id, int64_t msisdn, const char *status, const char *reason)
{
    char at[CLOCK_RFC3339_BYTES];

    clock_format(clock_now_ms(), at);
    put("%s{\"id\":\"%s\",\"phone\":\"+%lld\",\"status\":\"%s\",\"network\":\"63902\","
        "\"reason\":\"%s\",\"received_at\":\"%s\"}",
        gathered.len ? "," : "{\"provider\":\"africastalking\",\"reports\":[", id,
        (long long)msisdn, status, reason, at);
}

static enum verdict report_all(struct fake_stage *fake)
{
    put("]}");
    gathered.len = 0;
    return fake_stage_send(fake, REPORTED, scene_message(), gathered.json);
}

static enum verdict report(struct fake_stage *fake, const char *id, int64_t msisdn,
                           const char *status, const char *reason)
{
    add(id, msisdn, status, reason);
    return report_all(fake);
}

static int64_t of(struct fake_stage *fake, int64_t id, const char *column)
{
    return scene_number(fake, "SELECT %s FROM campaign_counts WHERE campaign_id = %lld", column,
                        (long long)id);
}

static int64_t state_of(struct fake_stage *fake, int64_t id, int seq)
{
    return scene_number(fake, "SELECT state FROM recipients WHERE campaign_id = %lld AND seq = %d",
                        (long long)id, seq);
}

static const char *reason_of(struct fake_stage *fake, int64_t id, int seq)
{
    return scene_text(fake, "SELECT reason FROM recipients WHERE campaign_id = %lld AND seq = %d",
                      (long long)id, seq);
}

static int64_t settled(struct fake_stage *fake, int64_t id)
{
    return scene_number(
        fake, "SELECT (settled_at IS NOT NULL)::int FROM batches WHERE campaign_id = %lld",
        (long long)id);
}

static int64_t unmatched(struct fake_stage *fake)
{
    return fake_number(fake, "SELECT count(*) FROM unmatched_reports");
}

static int64_t purse(struct fake_stage *fake, const char *name)
{
    return scene_number(fake, "SELECT %s FROM token_balances WHERE account_id = 1", name);
}

/* A tick at which every report that waits has its turn. */
static void sweep(struct fake_stage *fake)
{
    fake_sql(fake, "UPDATE unmatched_reports SET next_try_at = now()");
    if (!fake_stage_tick(fake)) {
        fail_msg("%s: %s", fake_stage_why(fake), fake_stage_detail(fake));
    }
}

static void each_word_has_its_meaning(void **state)
{
    static const struct {
        const char *status, *reason;
        int state;
        const char *stored, *counter;
    } table[] = {
        { "Success", "", 4, "", "delivered" },
        { "success", "", 4, "", "delivered" },
        { "Failed", "UserDoesNotExist", 5, "UserDoesNotExist", "failed" },
        { "Failed", "", 5, "Failed", "failed" },
        { "Rejected", "InsufficientCredit", 5, "InsufficientCredit", "failed" },
        { "Rejected", "", 5, "Rejected", "failed" },
        { "AbsentSubscriber", "", 5, "AbsentSubscriber", "failed" },
        { "AbsentSubscriber", "Whatever", 5, "AbsentSubscriber", "failed" },
        { "Expired", "", 6, "Expired", "expired" },
        { "Sent", "", 3, "", "sent" },
        { "Submitted", "", 3, "", "sent" },
        { "Buffered", "", 3, "", "sent" },
        { "Teleported", "", 3, "", "sent" },
    };
    struct fake_stage *fake = *state;
    int count = (int)(sizeof table / sizeof *table);
    int64_t id = sent(fake, "w", count);

    for (int i = 0; i < count; i++) {
        char name[20];
        int64_t before = of(fake, id, table[i].counter);
        bool final = table[i].state != 3;

        snprintf(name, sizeof name, "w-%d", i + 1);
        assert_done(fake, report(fake, name, NUMBER(i + 1), table[i].status, table[i].reason));
        assert_int_equal(state_of(fake, id, i + 1), table[i].state);
        assert_string_equal(reason_of(fake, id, i + 1), table[i].stored);
        assert_int_equal(of(fake, id, table[i].counter), before + final);
        assert_int_equal(scene_number(fake,
                                      "SELECT (final_at IS NOT NULL)::int + coalesce(network, 0)"
                                      "  FROM recipients WHERE campaign_id = %lld AND seq = %d",
                                      (long long)id, i + 1),
                         final ? 1 + 63902 : 0);
    }
    assert_int_equal(fake_number(fake, "SELECT count(*) FROM odd_callbacks"), 1);
    assert_non_null(strstr(fake_text(fake, "SELECT raw FROM odd_callbacks"
                                           " WHERE why = 'unknown_status'"),
                           "status=Teleported"));
    assert_int_equal(unmatched(fake), 0);
    assert_int_equal(settled(fake, id), 0);
}

/* Whatever comes first stays, but for an absence that a success overturns. */
static void a_state_never_goes_backwards(void **state)
{
    static const struct {
        const char *word;
        int state;
    } words[] = { { "Success", 4 },          { "Failed", 5 },  { "Rejected", 5 },
                  { "AbsentSubscriber", 5 }, { "Expired", 6 }, { "Sent", 3 } };
    enum { WORDS = sizeof words / sizeof *words };
    struct fake_stage *fake = *state;
    int64_t id = sent(fake, "p", WORDS * WORDS);

    for (int first = 0; first < WORDS; first++) {
        for (int second = 0; second < WORDS; second++) {
            int seq = first * WORDS + second + 1;
            int expected = first == 5                  ? words[second].state
                           : first == 3 && second == 0 ? 4
                                                       : words[first].state;
            char name[20];

            snprintf(name, sizeof name, "p-%d", seq);
            assert_done(fake, report(fake, name, NUMBER(seq), words[first].word, ""));
            assert_done(fake, report(fake, name, NUMBER(seq), words[second].word, ""));
            assert_int_equal(state_of(fake, id, seq), expected);
            if (expected == 4) {
                assert_string_equal(reason_of(fake, id, seq), "");
            }
        }
    }
    assert_int_equal(of(fake, id, "sent"), 1); /* Sent, Sent */
    assert_int_equal(unmatched(fake), 0);
}

static void of_several_words_in_one_message_the_best_counts(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = sent(fake, "b", 3);

    add("b-1", NUMBER(1), "Failed", "");
    add("b-2", NUMBER(2), "Expired", "");
    add("b-1", NUMBER(1), "Success", "");
    add("b-3", NUMBER(3), "Success", "");
    add("b-2", NUMBER(2), "AbsentSubscriber", "");
    add("b-3", NUMBER(3), "Success", "");
    add("b-1", NUMBER(1), "Sent", "");
    assert_done(fake, report_all(fake));
    assert_int_equal(state_of(fake, id, 1), 4);
    assert_int_equal(state_of(fake, id, 2), 5);
    assert_int_equal(state_of(fake, id, 3), 4);
    assert_int_equal(of(fake, id, "delivered"), 2);
    assert_int_equal(of(fake, id, "failed"), 1);
    assert_int_equal(settled(fake, id), 1);
    assert_int_equal(unmatched(fake), 0);
}

static void many_reports_in_chance_order_count_once_each(void **state)
{
    static const char *const words[] = { "Success", "Failed", "Expired" };
    static int picks[REPORTS_MAX];
    struct fake_stage *fake = *state;
    int64_t id = sent(fake, "n", REPORTS_MAX);
    int64_t expected[3] = { 0 };
    uint32_t chance = 99;

    scene_sql(
        fake,
        "UPDATE batches SET last_seq = 200, claimed_seq = 200, recorded_seq = 200, sent = 200,"
        "       captured = 200 WHERE campaign_id = %lld;"
        "INSERT INTO batches (campaign_id, batch, first_seq, last_seq, origin, claimed_seq,"
        "                     recorded_seq, sent, captured, done_at)"
        " VALUES (%lld, 2, 201, 500, 'cut', 500, 500, 300, 300, now());"
        "UPDATE recipients SET batch = 2 WHERE campaign_id = %lld AND seq > 200",
        (long long)id, (long long)id, (long long)id);
    for (int i = 0; i < REPORTS_MAX; i++) {
        chance = chance * 1664525 + 1013904223;
        picks[i] = (int)(chance >> 8) % 3;
        expected[picks[i]]++;
    }
    for (int copy = 0; copy < 2; copy++) {
        for (int i = 0; i < REPORTS_MAX; i++) {
            int seq = (i * 373 + copy * 17) % REPORTS_MAX;
            char name[20];

            snprintf(name, sizeof name, "n-%d", seq + 1);
            add(name, NUMBER(seq + 1), words[picks[seq]], "");
        }
        assert_done(fake, report_all(fake));
    }
    assert_int_equal(of(fake, id, "delivered"), expected[0]);
    assert_int_equal(of(fake, id, "failed"), expected[1]);
    assert_int_equal(of(fake, id, "expired"), expected[2]);
    assert_int_equal(scene_number(fake,
                                  "SELECT count(*) FROM batches WHERE campaign_id = %lld"
                                  " AND settled_at IS NOT NULL",
                                  (long long)id),
                     2);
}

static void a_report_that_comes_before_the_answer_waits_for_it(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = sent(fake, "e", 2);

    scene_sql(fake, "UPDATE recipients SET provider_id = NULL WHERE campaign_id = %lld",
              (long long)id);
    assert_done(fake, report(fake, "e-1", NUMBER(1), "Success", ""));
    assert_done(fake, report(fake, "e-2", NUMBER(2), "Failed", "UserInBlackList"));
    assert_int_equal(unmatched(fake), 2);
    assert_int_equal(fake_number(fake, "SELECT count(*) FROM suppressions"), 0);
    sweep(fake);
    assert_int_equal(unmatched(fake), 2);
    assert_int_equal(fake_number(fake, "SELECT count(*) FROM unmatched_reports"
                                       " WHERE tries = 1 AND next_try_at > now()"),
                     2);
    scene_sql(fake, "UPDATE recipients SET provider_id = 'e-' || seq WHERE campaign_id = %lld",
              (long long)id);
    assert_true(fake_stage_tick(fake)); /* not their turn yet */
    assert_int_equal(unmatched(fake), 2);
    sweep(fake);
    assert_int_equal(unmatched(fake), 0);
    assert_int_equal(state_of(fake, id, 1), 4);
    assert_int_equal(state_of(fake, id, 2), 5);
    assert_int_equal(settled(fake, id), 1);
    /* Late or not, the network's word about an opt-out counts. */
    assert_int_equal(fake_number(fake, "SELECT msisdn FROM suppressions WHERE account_id = 1"
                                       " AND reason = 'opted_out_at_network'"),
                     NUMBER(2));
}

static void a_report_that_nobody_claims_is_kept_for_a_person(void **state)
{
    struct fake_stage *fake = *state;

    assert_done(fake, report(fake, "stranger", NUMBER(7), "Success", ""));
    assert_done(fake, report(fake, "stranger", NUMBER(7), "Success", ""));
    assert_int_equal(unmatched(fake), 1);
    for (int i = 0; i < 15; i++) {
        sweep(fake);
    }
    assert_int_equal(fake_number(fake, "SELECT tries FROM unmatched_reports"), 15);
    assert_true(fake_number(fake, "SELECT (next_try_at <= now() + interval '10 minutes')::int"
                                  "  FROM unmatched_reports"));
    fake_stage_advance_ms(fake, 24LL * 3600 * 1000);
    sweep(fake);
    assert_int_equal(unmatched(fake), 0);
    assert_non_null(strstr(fake_text(fake, "SELECT raw FROM odd_callbacks WHERE why = 'orphan'"),
                           "id=stranger"));
}

static void a_number_that_cannot_be_read_matches_nobody(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = sent_but(fake, "r", 1, "1");

    assert_done(fake,
                fake_stage_send(fake, REPORTED, scene_message(),
                                "{\"provider\":\"africastalking\",\"reports\":[{\"id\":\"r-1\","
                                "\"phone\":\"9f86d081884c7d659a2feaa0\",\"status\":\"Success\","
                                "\"received_at\":\"2026-11-20T10:00:00Z\"},{\"id\":\"r-9\","
                                "\"status\":\"Success\","
                                "\"received_at\":\"2026-11-20T10:00:00Z\"},{\"id\":\"r-8\","
                                "\"status\":\"What?\","
                                "\"received_at\":\"2026-11-20T10:00:00Z\"}]}"));
    assert_string_equal(fake_text(fake, "SELECT raw FROM odd_callbacks"),
                        "id=r-8&phoneNumber=&status=What?&networkCode=&failureReason=");
    assert_int_equal(unmatched(fake), 2);
    sweep(fake);
    assert_int_equal(state_of(fake, id, 1), 2);
}

static void a_doubt_is_resolved_by_a_report_of_its_number(void **state)
{
    static const struct {
        const char *word;
        int state;
        const char *counter;
    } table[] = { { "Success", 4, "delivered" },
                  { "Failed", 5, "failed" },
                  { "AbsentSubscriber", 5, "failed" },
                  { "Expired", 6, "expired" } };
    struct fake_stage *fake = *state;

    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char label[20];
        int64_t id, spent;

        snprintf(label, sizeof label, "d%zu", i);
        id = sent_but(fake, label, 1, "1");
        scene_sql(fake, "UPDATE recipients SET msisdn = msisdn + %zu WHERE campaign_id = %lld",
                  i * 10, (long long)id);
        spent = purse(fake, "spent");
        assert_done(fake, report(fake, label, NUMBER(1 + (int)i * 10), table[i].word, ""));
        sweep(fake);
        assert_int_equal(state_of(fake, id, 1), 2); /* the answer may still be on its way */
        fake_stage_advance_ms(fake, 5000);
        sweep(fake);
        assert_int_equal(state_of(fake, id, 1), table[i].state);
        assert_string_equal(
            scene_text(fake, "SELECT provider_id FROM recipients WHERE campaign_id = %lld",
                       (long long)id),
            label);
        assert_int_equal(of(fake, id, table[i].counter), 1);
        assert_int_equal(of(fake, id, "in_doubt"), 0);
        assert_int_equal(of(fake, id, "captured"), 1); /* the provider had taken it */
        assert_int_equal(purse(fake, "spent"), spent + 1);
        assert_int_equal(settled(fake, id), 1);
        assert_int_equal(unmatched(fake), 0);
        assert_string_equal(scene_status(fake, id), "completed");
        scene_adds_up(fake);
        /* Said again it is known. */
        assert_done(fake, report(fake, label, NUMBER(1 + (int)i * 10), table[i].word, ""));
        assert_int_equal(unmatched(fake), 0);
    }
    assert_int_equal(purse(fake, "reserved"), 0);
}

static void of_two_in_doubt_nobody_can_say_which_was_meant(void **state)
{
    struct fake_stage *fake = *state;
    int64_t one = sent_but(fake, "o", 1, "1");
    int64_t two = sent_but(fake, "t", 1, "1");

    assert_done(fake, report(fake, "unknown", NUMBER(1), "Success", ""));
    fake_stage_advance_ms(fake, 60 * 1000);
    sweep(fake);
    assert_int_equal(state_of(fake, one, 1), 2);
    assert_int_equal(state_of(fake, two, 1), 2);
    assert_int_equal(unmatched(fake), 1);
    /* Once one of them is known, the other must be it. */
    scene_sql(fake, "UPDATE recipients SET provider_id = 'mine' WHERE campaign_id = %lld",
              (long long)two);
    assert_done(fake, report(fake, "mine", NUMBER(1), "Failed", "UserDoesNotExist"));
    fake_stage_advance_ms(fake, 60 * 1000);
    sweep(fake);
    sweep(fake);
    assert_int_equal(state_of(fake, two, 1), 5);
    assert_int_equal(state_of(fake, one, 1), 4);
    assert_int_equal(purse(fake, "reserved"), 0);
}

static void a_doubt_whose_id_is_known_is_resolved_by_that_id(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = sent_but(fake, "k", 1, "1");
    int64_t other = sent_but(fake, "l", 1, "1");

    /* Accepted with a code nobody knows, but with an id. */
    scene_sql(fake,
              "UPDATE recipients SET provider_id = 'k-1', reason = 'unknown_code'"
              " WHERE campaign_id = %lld",
              (long long)id);
    assert_done(fake, report(fake, "k-1", NUMBER(1), "Success", ""));
    fake_stage_advance_ms(fake, 6000);
    sweep(fake);
    assert_int_equal(state_of(fake, id, 1), 4);
    assert_int_equal(state_of(fake, other, 1), 2);
    assert_int_equal(of(fake, id, "captured"), 1);
    assert_int_equal(unmatched(fake), 0);
}

static void a_report_older_than_the_campaign_is_not_about_it(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = sent_but(fake, "y", 1, "1");

    scene_sql(fake, "UPDATE campaigns SET created_at = now() + interval '1 minute' WHERE id = %lld",
              (long long)id);
    assert_done(fake, report(fake, "old", NUMBER(1), "Success", ""));
    fake_stage_advance_ms(fake, 3600 * 1000);
    sweep(fake);
    assert_int_equal(state_of(fake, id, 1), 2);
}

static void a_doubt_without_evidence_fails_in_the_end_and_costs_nothing(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = sent_but(fake, "g", 3, "2");

    assert_done(fake, report(fake, "g-1", NUMBER(1), "Success", ""));
    assert_done(fake, report(fake, "g-3", NUMBER(3), "Success", ""));
    assert_int_equal(settled(fake, id), 0);
    fake_stage_advance_ms(fake, 72LL * 3600 * 1000 - 60 * 1000);
    sweep(fake);
    assert_int_equal(state_of(fake, id, 2), 2);
    fake_stage_advance_ms(fake, 120 * 1000);
    assert_true(fake_stage_tick_lost(fake)); /* what nobody is told of is committed before */
    assert_int_equal(state_of(fake, id, 2), 5);
    assert_string_equal(scene_status(fake, id), "sent");
    sweep(fake);
    assert_string_equal(reason_of(fake, id, 2), "answer_lost");
    assert_int_equal(of(fake, id, "failed"), 1);
    assert_int_equal(of(fake, id, "released"), 1);
    assert_int_equal(purse(fake, "reserved"), 0);
    assert_int_equal(purse(fake, "available"), SCENE_TOKENS - 2);
    assert_int_equal(settled(fake, id), 1);
    assert_string_equal(scene_status(fake, id), "completed");
}

static void doubts_of_a_campaign_that_was_cancelled_are_settled_too(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = sent_but(fake, "c", 2, "1,2");

    scene_sql(fake, "UPDATE campaigns SET status = 'cancelled' WHERE id = %lld", (long long)id);
    assert_done(fake, report(fake, "c-1", NUMBER(1), "Success", ""));
    fake_stage_advance_ms(fake, 6000);
    sweep(fake);
    assert_int_equal(state_of(fake, id, 1), 4);
    fake_stage_advance_ms(fake, 73LL * 3600 * 1000);
    sweep(fake);
    assert_int_equal(state_of(fake, id, 2), 5);
    assert_int_equal(purse(fake, "reserved"), 0);
    assert_string_equal(scene_status(fake, id), "cancelled");
}

static void a_campaign_is_complete_when_its_last_recipient_is_settled(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = sent(fake, "f", 2);
    struct campaign_event event;
    char first[ID_MESSAGE_BYTES];

    assert_done(fake, report(fake, "f-1", NUMBER(1), "Success", ""));
    sweep(fake);
    assert_int_equal(fake_stage_emitted(fake), 0);
    assert_done(fake, report(fake, "f-2", NUMBER(2), "Expired", ""));
    assert_true(fake_stage_tick_lost(fake));
    assert_int_equal(fake_stage_emitted_of(fake, COMPLETED), 1);
    strcpy(first, fake_stage_out(fake, 0)->id);
    assert_string_equal(scene_status(fake, id), "sent");
    sweep(fake);
    assert_string_equal(fake_stage_out(fake, 0)->id, first);
    fake_stage_read(fake, &campaign_completed_v1, 0, &event);
    assert_string_equal(event.campaign, scene_name(id));
    assert_string_equal(event.status, "completed");
    assert_string_equal(fake_stage_out(fake, 0)->key, "campaign.completed.acme");
    assert_int_equal(event.delivered, 1);
    assert_int_equal(event.expired, 1);
    assert_string_equal(scene_status(fake, id), "completed");
    sweep(fake);
    assert_int_equal(fake_stage_emitted(fake), 0);
}

static void a_campaign_that_is_over_is_counted_by_network(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = sent(fake, "n", 2);

    scene_sql(fake, "UPDATE campaigns SET started_at = now() WHERE id = %lld", (long long)id);
    sweep(fake);
    assert_int_equal(fake_number(fake, "SELECT count(*) FROM network_usage"), 0);
    assert_done(fake, report(fake, "n-1", NUMBER(1), "Success", ""));
    assert_done(fake, report(fake, "n-2", NUMBER(2), "Failed", ""));
    sweep(fake); /* completes it */
    sweep(fake);
    assert_int_equal(fake_number(fake, "SELECT sum(recipients)::bigint FROM network_usage"), 2);
    assert_int_equal(fake_number(fake, "SELECT sum(failed_tokens)::bigint FROM network_usage"), 1);
    sweep(fake);
    assert_int_equal(fake_number(fake, "SELECT sum(tokens)::bigint FROM network_usage"), 2);
}

static void a_campaign_without_its_last_reports_is_complete_after_three_days(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = sent(fake, "z", 2);
    int64_t sending = sent(fake, "s", 2);
    struct campaign_event event;

    scene_sql(fake, "UPDATE campaigns SET status = 'sending', sent_at = NULL WHERE id = %lld",
              (long long)sending);
    assert_done(fake, report(fake, "z-1", NUMBER(1), "Success", ""));
    fake_stage_advance_ms(fake, 72LL * 3600 * 1000 - 60 * 1000);
    sweep(fake);
    assert_string_equal(scene_status(fake, id), "sent");
    fake_stage_advance_ms(fake, 120 * 1000);
    sweep(fake);
    assert_string_equal(scene_status(fake, id), "completed");
    assert_string_equal(scene_status(fake, sending), "sending");
    fake_stage_read(fake, &campaign_completed_v1, 0, &event);
    assert_int_equal(event.delivered, 1);
    assert_int_equal(event.sent, 1);
    /* A late report still counts. */
    assert_done(fake, report(fake, "z-2", NUMBER(2), "Success", ""));
    assert_int_equal(of(fake, id, "delivered"), 2);
    assert_int_equal(of(fake, id, "sent"), 0);
}

static void a_batch_under_way_is_not_settled_by_its_reports(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = sent(fake, "u", 1);

    scene_sql(fake, "UPDATE batches SET done_at = NULL WHERE campaign_id = %lld", (long long)id);
    assert_done(fake, report(fake, "u-1", NUMBER(1), "Success", ""));
    assert_int_equal(settled(fake, id), 0);
    assert_int_equal(of(fake, id, "delivered"), 1);
}

/* Platform off, account 1 on. */
static void want_refunds(struct fake_stage *fake)
{
    fake_sql(fake, "UPDATE accounts SET refund_failed = true WHERE id = 1");
}

static void what_did_not_arrive_is_given_back_once(void **state)
{
    struct fake_stage *fake = *state;
    int64_t one, two, available;

    want_refunds(fake);
    one = sent(fake, "a", 10);
    two = sent(fake, "b", 10);
    available = purse(fake, "available");
    for (int repeat = 0; repeat < 3; repeat++) { /* redelivered, and told anew by the provider */
        add("a-7", NUMBER(7), "Failed", "");
        add("a-3", NUMBER(3), "Rejected", "");
        add("b-1", NUMBER(1), "Expired", "");
        add("a-1", NUMBER(1), "Success", "");
        assert_done(fake, report_all(fake));
    }
    assert_int_equal(purse(fake, "available"), available + 3);
    assert_int_equal(purse(fake, "spent"), 17);
    assert_int_equal(
        scene_number(fake, "SELECT refunded FROM batches WHERE campaign_id = %lld", (long long)one),
        2);
    assert_int_equal(
        scene_number(fake, "SELECT refunded FROM token_holds WHERE id = %lld", (long long)two), 1);
    /* One entry for each campaign of a message. */
    assert_string_equal(scene_text(fake,
                                   "SELECT string_agg(reference || ' ' || amount, ', ' ORDER BY id)"
                                   "  FROM ledger_entries WHERE kind = 'refund'"),
                        scene_text(fake, "SELECT '%lld/failed/3 2, %lld/failed/1 1'",
                                   (long long)one, (long long)two));
    assert_done(fake, report(fake, "a-2", NUMBER(2), "Failed", "")); /* below the first */
    assert_int_equal(purse(fake, "available"), available + 4);
    assert_int_equal(of(fake, one, "captured"), 10); /* it was captured, and given back */
}

static void nobody_is_refunded_who_does_not_want_it(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = sent(fake, "a", 5);
    int64_t available = purse(fake, "available");

    assert_done(fake, report(fake, "a-1", NUMBER(1), "Failed", ""));
    fake_sql(fake, "UPDATE accounts SET refund_failed = false WHERE id = 1");
    setenv("REFUND_FAILED_REPORTS", "on", 1);
    fake_stage_restart(fake);
    assert_done(fake, report(fake, "a-2", NUMBER(2), "Failed", ""));
    assert_int_equal(purse(fake, "available"), available);
    fake_sql(fake, "UPDATE accounts SET refund_failed = NULL WHERE id = 1");
    assert_done(fake, report(fake, "a-3", NUMBER(3), "Failed", ""));
    assert_done(fake, report(fake, "a-2", NUMBER(2), "Failed", "")); /* not belatedly */
    unsetenv("REFUND_FAILED_REPORTS");
    fake_stage_restart(fake);
    assert_int_equal(purse(fake, "available"), available + 1);
    assert_int_equal(of(fake, id, "failed"), 3);
}

static void what_was_delivered_after_all_stays_given_back(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id, available;

    want_refunds(fake);
    id = sent(fake, "a", 2);
    available = purse(fake, "available");
    assert_done(fake, report(fake, "a-1", NUMBER(1), "AbsentSubscriber", ""));
    assert_int_equal(purse(fake, "available"), available + 1);
    assert_done(fake, report(fake, "a-1", NUMBER(1), "Success", ""));
    assert_int_equal(state_of(fake, id, 1), 4);
    assert_done(fake, report(fake, "a-1", NUMBER(1), "AbsentSubscriber", ""));
    assert_int_equal(purse(fake, "available"), available + 1);
    assert_int_equal(purse(fake, "spent"), 1);
    add("a-2", NUMBER(2), "AbsentSubscriber", ""); /* of both in one message the better counts */
    add("a-2", NUMBER(2), "Success", "");
    assert_done(fake, report_all(fake));
    assert_int_equal(purse(fake, "available"), available + 1);
}

static void a_doubt_that_turns_out_a_failure_is_refunded_unless_nobody_knows(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id, available;

    want_refunds(fake);
    id = sent_but(fake, "d", 2, "1,2");
    available = purse(fake, "available");
    assert_done(fake, report(fake, "d-1", NUMBER(1), "Failed", ""));
    fake_stage_advance_ms(fake, 5000);
    sweep(fake);
    assert_int_equal(state_of(fake, id, 1), 5);
    assert_int_equal(purse(fake, "available"), available + 1);
    assert_int_equal(of(fake, id, "captured"), 1);
    fake_stage_advance_ms(fake, 72 * 3600 * 1000);
    sweep(fake);
    assert_int_equal(state_of(fake, id, 2), 5);
    assert_int_equal(of(fake, id, "released"), 1); /* never captured: released, not refunded */
    assert_int_equal(purse(fake, "available"), available + 2);
    assert_int_equal(
        scene_number(fake, "SELECT refunded FROM token_holds WHERE id = %lld", (long long)id), 1);
    assert_int_equal(purse(fake, "reserved"), 0);
}

static void a_report_of_another_number_or_a_campaign_long_gone_changes_nothing(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = sent(fake, "a", 1);

    assert_done(fake, report(fake, "a-1", NUMBER(2), "Success", ""));
    assert_int_equal(state_of(fake, id, 1), 3);
    assert_int_equal(unmatched(fake), 1);
    fake_stage_advance_ms(fake, 40LL * 24 * 3600 * 1000);
    assert_done(fake, report(fake, "a-1", NUMBER(1), "Success", ""));
    assert_int_equal(state_of(fake, id, 1), 3);
}

static void whoever_opted_out_at_the_network_is_not_sent_to_again(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = sent(fake, "x", 3);

    add("x-1", NUMBER(1), "Failed", "UserInBlackList");
    add("x-2", NUMBER(2), "Rejected", "userinblacklist");
    add("x-3", NUMBER(3), "Failed", "UserDoesNotExist");
    add("strange", NUMBER(4), "Failed", "UserInBlackList");
    assert_done(fake, report_all(fake));
    assert_int_equal(fake_number(fake, "SELECT count(*) FROM suppressions"
                                       " WHERE account_id = 1 AND msisdn IN (254700000001,"
                                       " 254700000002) AND reason = 'opted_out_at_network'"),
                     2);
    assert_int_equal(fake_number(fake, "SELECT count(*) FROM suppressions"), 2);
    assert_int_equal(of(fake, id, "failed"), 3);
}

static void an_inbound_message_is_kept_once(void **state)
{
    static const char json[] =
        "{\"provider\":\"africastalking\",\"id\":\"in-1\","
        "\"from\":\"+254700000001\",\"to\":\"22334\",\"text\":\"Habari \u00e9\","
        "\"date\":\"2026-11-20 12:00\",\"link_id\":\"L1\","
        "\"network\":\"63902\",\"received_at\":\"2026-11-20T09:00:00Z\"}";
    struct fake_stage *fake = *state;

    assert_done(fake, fake_stage_send(fake, INBOUND, "first", json));
    assert_done(fake, fake_stage_send(fake, INBOUND, "the provider told it again", json));
    assert_int_equal(fake_number(fake, "SELECT count(*) FROM inbound_messages"), 1);
    assert_int_equal(fake_number(fake,
                                 "SELECT count(*) FROM inbound_messages"
                                 " WHERE sender = '+254700000001' AND recipient = '22334'"
                                 "   AND text = 'Habari \u00e9' AND link_id = 'L1'"
                                 "   AND network = '63902' AND provider_date = '2026-11-20 12:00'"
                                 "   AND received_at = '2026-11-20 09:00:00Z'"),
                     1);
    assert_done(fake, fake_stage_send(fake, INBOUND, "bare",
                                      "{\"provider\":\"africastalking\",\"id\":\"in-2\","
                                      "\"from\":\"x\",\"text\":\"\","
                                      "\"received_at\":\"2026-11-20T09:00:00Z\"}"));
    assert_int_equal(fake_number(fake, "SELECT count(*) FROM inbound_messages"), 2);
}

static void a_callback_that_nobody_could_read_is_kept_whole(void **state)
{
    static const char json[] = "{\"provider\":\"africastalking\",\"kind\":\"delivery\","
                               "\"why\":\"id is missing\",\"raw\":\"status=Success&x=1\","
                               "\"received_at\":\"2026-11-20T09:00:00Z\"}";
    struct fake_stage *fake = *state;

    assert_done(fake, fake_stage_send(fake, MISREAD, "odd", json));
    assert_int_equal(fake_number(fake, "SELECT count(*) FROM odd_callbacks"
                                       " WHERE why = 'misread: id is missing'"
                                       "   AND raw = 'status=Success&x=1' AND kind = 'delivery'"),
                     1);
    assert_int_equal(fake_number(fake, "SELECT count(*) FROM odd_callbacks"), 1);
}

static void only_what_is_no_report_at_all_is_parked(void **state)
{
    struct fake_stage *fake = *state;

    assert_int_equal(
        fake_stage_send(fake, REPORTED, "x", "{\"provider\":\"africastalking\",\"reports\":[]}"),
        STAGE_REJECT);
    assert_string_equal(fake_stage_why(fake), "bad_field");
    assert_int_equal(fake_stage_send(fake, REPORTED, "x", "{}"), STAGE_REJECT);
    assert_int_equal(fake_stage_send(fake, INBOUND, "x", "{}"), STAGE_REJECT);
    assert_int_equal(fake_stage_send(fake, MISREAD, "x", "["), STAGE_REJECT);
    assert_string_equal(fake_stage_why(fake), "bad_json");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(each_word_has_its_meaning),
        SCENE(a_state_never_goes_backwards),
        SCENE(of_several_words_in_one_message_the_best_counts),
        SCENE(many_reports_in_chance_order_count_once_each),
        SCENE(a_report_that_comes_before_the_answer_waits_for_it),
        SCENE(a_report_that_nobody_claims_is_kept_for_a_person),
        SCENE(a_number_that_cannot_be_read_matches_nobody),
        SCENE(a_doubt_is_resolved_by_a_report_of_its_number),
        SCENE(of_two_in_doubt_nobody_can_say_which_was_meant),
        SCENE(a_doubt_whose_id_is_known_is_resolved_by_that_id),
        SCENE(a_report_older_than_the_campaign_is_not_about_it),
        SCENE(a_doubt_without_evidence_fails_in_the_end_and_costs_nothing),
        SCENE(doubts_of_a_campaign_that_was_cancelled_are_settled_too),
        SCENE(a_campaign_is_complete_when_its_last_recipient_is_settled),
        SCENE(a_campaign_that_is_over_is_counted_by_network),
        SCENE(a_campaign_without_its_last_reports_is_complete_after_three_days),
        SCENE(a_batch_under_way_is_not_settled_by_its_reports),
        SCENE(what_did_not_arrive_is_given_back_once),
        SCENE(nobody_is_refunded_who_does_not_want_it),
        SCENE(what_was_delivered_after_all_stays_given_back),
        SCENE(a_doubt_that_turns_out_a_failure_is_refunded_unless_nobody_knows),
        SCENE(a_report_of_another_number_or_a_campaign_long_gone_changes_nothing),
        SCENE(whoever_opted_out_at_the_network_is_not_sent_to_again),
        SCENE(an_inbound_message_is_kept_once),
        SCENE(a_callback_that_nobody_could_read_is_kept_whole),
        SCENE(only_what_is_no_report_at_all_is_parked),
    };

    return cmocka_run_group_tests_name("stage.reconcile-dlr", tests, scene_start_server,
                                       scene_stop_server);
}
