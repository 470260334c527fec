/* reconcile-dlr: a follow-up begins, for those whom it is for, when its first is over */
#include "campaign/follow_up.h"
#include "msg/event.h"
#include "reconcile_calls_scene.h"

#define COMPLETED "campaign.completed.v1"
#define CHANGED "campaign.changed.v1"
#define RESERVED "campaign.reserved.v1"

/* Calls of which each has ended as said, a way for each recipient; and an SMS that waits for them.
 */
struct pair {
    int64_t first, follow;
};

static struct pair followed(struct fake_stage *fake, const char *label, const char *const *ways,
                            int n, const char *words)
{
    struct pair pair = { .first = calls_placed(fake, label, n, "attempts = 1"),
                         .follow = scene_id() };

    scene_sql(fake,
              "SELECT scene_campaign(%lld, 'waiting', %d);"
              "UPDATE campaigns SET parent_id = %lld, follow_words = '{%s}' WHERE id = %lld;"
              "UPDATE campaigns SET follow_segments = %d WHERE id = %lld;"
              "SELECT scene_entry(1, 'hold', 'available', 'reserved', %d, '%lld more', %lld);"
              "UPDATE token_holds SET amount = amount + %d WHERE id = %lld;"
              "UPDATE token_hold_lots SET amount = amount + %d WHERE hold_id = %lld;"
              "UPDATE token_lots SET available = available - %d WHERE id = 1;"
              "UPDATE token_balances SET available = available - %d, reserved = reserved + %d"
              " WHERE account_id = 1",
              (long long)pair.follow, n, (long long)pair.first, words, (long long)pair.follow, n,
              (long long)pair.first, n, (long long)pair.first, (long long)pair.first, n,
              (long long)pair.first, n, (long long)pair.first, n, n, n);
    for (int i = 0; i < n; i++) {
        assert_done(fake, calls_ended(fake, pair.first, label, i + 1, ways[i]));
    }
    scene_adds_up(fake);
    return pair;
}

/* What place-call and split-batches do after the last call. */
static void is_sent(struct fake_stage *fake, int64_t id)
{
    scene_sql(fake,
              "UPDATE batches SET done_at = now(), settled_at = now() WHERE campaign_id = %lld;"
              "UPDATE campaigns SET status = 'sent', sent_at = now() WHERE id = %lld",
              (long long)id, (long long)id);
}

static void ends_as(struct fake_stage *fake, int64_t id, const char *status)
{
    scene_sql(fake, "UPDATE campaigns SET status = '%s', completed_at = now() WHERE id = %lld",
              status, (long long)id);
}

static void tick(struct fake_stage *fake)
{
    calls_tick(fake);
    scene_adds_up(fake);
}

/* The rows that are left: "2 3". */
static const char *rows_of(struct fake_stage *fake, int64_t id)
{
    return scene_text(fake,
                      "SELECT string_agg(seq::text, ' ' ORDER BY seq) FROM recipients"
                      " WHERE campaign_id = %lld",
                      (long long)id);
}

static const char *detail_of(struct fake_stage *fake, int64_t id)
{
    return scene_text(fake, "SELECT detail FROM campaigns WHERE id = %lld", (long long)id);
}

static int64_t of(struct fake_stage *fake, int64_t id, const char *expression)
{
    return scene_number(fake, "SELECT (%s)::bigint FROM campaigns WHERE id = %lld", expression,
                        (long long)id);
}

static int64_t held_by(struct fake_stage *fake, int64_t id)
{
    return scene_number(fake,
                        "SELECT coalesce((SELECT amount FROM token_holds WHERE id = %lld), 0)",
                        (long long)id);
}

static void it_begins_for_those_whom_it_is_for(void **state)
{
    static const char *const ways[] = { ANSWERED(20), MISSED, BUSY, REFUSED, MISSED, MISSED };
    struct fake_stage *fake = *state;
    struct pair pair = followed(fake, "b", ways, 6, "no_answer,busy");
    struct campaign_event event;
    struct campaign_fact fact;

    scene_sql(fake, "INSERT INTO suppressions VALUES (1, %lld, 'stop')", (long long)NUMBER(5));
    tick(fake);
    assert_string_equal(scene_status(fake, pair.follow), "waiting"); /* the first is under way */
    is_sent(fake, pair.first);
    tick(fake);
    assert_string_equal(scene_status(fake, pair.first), "completed");
    tick(fake);
    assert_string_equal(scene_status(fake, pair.follow), "sending");
    assert_string_equal(rows_of(fake, pair.follow), "2 3 6");
    assert_int_equal(of(fake, pair.follow, "planned * 1000 + segments * 100 + rows_received"),
                     3303);
    assert_int_equal(of(fake, pair.follow, "(reserved_at IS NOT NULL)::int"), 1);
    assert_int_equal(held_by(fake, pair.follow), 3);
    assert_string_equal(calls_tokens(fake, pair.first), "2 captured 52 released");
    fake_stage_read(fake, &campaign_reserved_v1, 0, &fact);
    assert_string_equal(fact.campaign, scene_name(pair.follow));
    fake_stage_read(fake, &campaign_changed_v1, 0, &event);
    assert_string_equal(event.status, "sending");
    assert_int_equal(event.planned * 100 + event.tokens, 303);
    tick(fake);
    assert_int_equal(fake_stage_emitted(fake), 0);
}

static void every_failure_is_meant_by_failed(void **state)
{
    static const char *const ways[] = { ANSWERED(20), MISSED, BUSY, REFUSED };
    struct fake_stage *fake = *state;
    struct pair pair = followed(fake, "f", ways, 4, "failed");

    is_sent(fake, pair.first);
    tick(fake);
    tick(fake);
    assert_string_equal(rows_of(fake, pair.follow), "2 3 4");
}

/* Its rows are 4,000 apart, in several chunks with rejects of their own: each step is whole. */
static void many_rows_are_sorted_in_steps(void **state)
{
    static const char *const ways[] = { ANSWERED(20), MISSED, MISSED, ANSWERED(20), BUSY };
    struct fake_stage *fake = *state;
    struct pair pair = followed(fake, "s", ways, 5, "no_answer");
    struct err err;
    bool some = true;
    int steps = 0;

    scene_sql(fake,
              "UPDATE recipients SET seq = seq * 4000 WHERE campaign_id = %lld;"
              "UPDATE recipients SET state = 7, reason = 'suppressed', final_at = now()"
              " WHERE campaign_id = %lld AND seq = 8000;"
              "UPDATE campaigns SET last_seq = 20000, rows_received = 7, invalid = 1,"
              "       duplicates = 1, suppressed = 1, segments = 4, chunks_done = 2,"
              "       chunks_expected = 2 WHERE id = %lld;"
              "INSERT INTO campaign_rejects VALUES (%lld, 1, 'x', 'bad'),"
              "                                    (%lld, 2, 'y', 'duplicate');"
              "INSERT INTO campaign_chunks VALUES (%lld, 2, 2, 0)",
              (long long)pair.follow, (long long)pair.follow, (long long)pair.follow,
              (long long)pair.follow, (long long)pair.follow, (long long)pair.follow);
    scene_adds_up(fake);
    ends_as(fake, pair.first, "completed");
    scene_sql(fake,
              "UPDATE batches SET done_at = now(), settled_at = now() WHERE campaign_id = %lld",
              (long long)pair.first);
    while (some) {
        assert_true(follow_up_sort(fake_db(fake), &some, &err));
        scene_adds_up(fake);
        steps += some;
        assert_int_equal(of(fake, pair.follow, "follow_seq"),
                         steps * FOLLOW_UP_ROWS < 20000 ? steps * FOLLOW_UP_ROWS : 20000);
    }
    assert_int_equal(steps, 4);
    assert_string_equal(scene_status(fake, pair.follow), "waiting");
    assert_string_equal(rows_of(fake, pair.follow), "12000");
    assert_int_equal(of(fake, pair.follow, "suppressed + invalid + duplicates"), 0);
    tick(fake);
    assert_string_equal(scene_status(fake, pair.follow), "sending");
    assert_int_equal(held_by(fake, pair.follow), 1);
}

static void one_that_nobody_needs_ends_and_gives_its_tokens_back(void **state)
{
    static const char *const ways[] = { ANSWERED(20), REFUSED };
    struct fake_stage *fake = *state;
    struct pair pair = followed(fake, "n", ways, 2, "no_answer");
    struct campaign_event event;

    is_sent(fake, pair.first);
    tick(fake);
    tick(fake);
    assert_string_equal(scene_status(fake, pair.follow), "completed");
    assert_string_equal(detail_of(fake, pair.follow), "nobody was left for it");
    assert_int_equal(held_by(fake, pair.follow), 0);
    assert_string_equal(calls_tokens(fake, pair.first), "2 captured 16 released");
    fake_stage_read(fake, &campaign_completed_v1, 0, &event);
    assert_string_equal(event.campaign, scene_name(pair.follow));
    assert_int_equal(fake_stage_emitted_of(fake, RESERVED), 0);
}

static void it_ends_with_a_first_that_does_not_take_place(void **state)
{
    static const char *const ends[] = { "cancelled", "expired", "refused", "abandoned" };
    struct fake_stage *fake = *state;

    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        int64_t first = scene_campaign(fake, "reserving", 3);
        int64_t follow = scene_campaign(fake, "reserving", 3);
        struct campaign_event event;
        char detail[80];

        /* One that still receives ends so, too. */
        scene_sql(fake,
                  "UPDATE campaigns SET status = '%s', parent_id = %lld, follow_words = '{busy}'"
                  " WHERE id = %lld;"
                  "UPDATE campaigns SET follow_segments = 3 WHERE id = %lld",
                  i < 2 ? "waiting" : "receiving", (long long)first, (long long)follow,
                  (long long)first);
        tick(fake);
        assert_int_equal(fake_stage_emitted(fake), 0);
        ends_as(fake, first, ends[i]);
        tick(fake);
        assert_string_equal(scene_status(fake, follow), "cancelled");
        snprintf(detail, sizeof detail, "the campaign that it follows is %s", ends[i]);
        assert_string_equal(detail_of(fake, follow), detail);
        fake_stage_read(fake, &campaign_completed_v1, 0, &event);
        assert_string_equal(event.status, "cancelled");
        tick(fake);
        assert_int_equal(fake_stage_emitted(fake), 0);
    }
}

static void one_that_was_cancelled_while_it_waited_stays_so(void **state)
{
    static const char *const ways[] = { MISSED, MISSED };
    struct fake_stage *fake = *state;
    struct pair pair = followed(fake, "c", ways, 2, "no_answer");

    ends_as(fake, pair.follow, "cancelled");
    tick(fake);
    assert_string_equal(calls_tokens(fake, pair.first), "0 captured 16 released");
    is_sent(fake, pair.first);
    tick(fake);
    assert_int_equal(fake_stage_emitted_of(fake, COMPLETED), 1); /* of the first */
    tick(fake);
    assert_int_equal(fake_stage_emitted(fake), 0);
    assert_string_equal(scene_status(fake, pair.follow), "cancelled");
    assert_int_equal(of(fake, pair.follow, "planned"), 2);
    assert_string_equal(calls_tokens(fake, pair.first), "0 captured 18 released");
}

static void one_whose_tokens_expired_waits_for_others(void **state)
{
    static const char *const ways[] = { MISSED };
    struct fake_stage *fake = *state;
    struct pair pair = followed(fake, "t", ways, 1, "no_answer");
    struct campaign_event event;

    fake_sql(fake, "UPDATE token_lots SET expires_at = now() - interval '1 hour'");
    is_sent(fake, pair.first);
    tick(fake);
    tick(fake);
    assert_string_equal(scene_status(fake, pair.follow), "insufficient_tokens");
    assert_string_equal(detail_of(fake, pair.follow), "its tokens expired while it waited");
    assert_int_equal(of(fake, pair.follow, "(waiting_since IS NOT NULL)::int"), 1);
    assert_int_equal(held_by(fake, pair.follow), 0);
    assert_int_equal(fake_stage_emitted_of(fake, RESERVED), 0);
    fake_stage_read(fake, &campaign_changed_v1, 0, &event);
    assert_string_equal(event.status, "insufficient_tokens");
}

static void of_two_workers_one_has_it(void **state)
{
    static const char *const ways[] = { MISSED, ANSWERED(20) };
    struct fake_stage *fake = *state;
    struct pair pair = followed(fake, "w", ways, 2, "no_answer");
    struct pair other = followed(fake, "x", ways, 2, "no_answer");
    struct err err;
    bool some;

    ends_as(fake, pair.first, "completed");
    ends_as(fake, other.first, "completed");
    assert_true(db_begin(fake_db(fake), &err));
    assert_true(follow_up_sort(fake_db(fake), &some, &err));
    assert_true(some);
    calls_tick(fake); /* does not wait for it */
    assert_string_equal(scene_status(fake, other.follow), "sending");
    assert_int_equal(fake_stage_emitted_of(fake, RESERVED), 1);
    assert_true(db_commit(fake_db(fake), &err));
    scene_adds_up(fake);
    assert_string_equal(scene_status(fake, pair.follow), "waiting");
    assert_string_equal(rows_of(fake, pair.follow), "1");
    tick(fake);
    assert_string_equal(scene_status(fake, pair.follow), "sending");
    assert_int_equal(fake_stage_emitted_of(fake, RESERVED), 1);
}

static void several_begin_at_once_and_a_lost_tick_says_the_same_again(void **state)
{
    static const char *const ways[] = { MISSED };
    struct fake_stage *fake = *state;
    struct pair pairs[3];
    char told[6][ID_MESSAGE_BYTES];
    size_t count;

    for (int i = 0; i < 3; i++) {
        pairs[i] = followed(fake, (const char *[]){ "l", "m", "k" }[i], ways, 1, "no_answer");
        ends_as(fake, pairs[i].first, "completed");
    }
    assert_true(fake_stage_tick_lost(fake));
    assert_string_equal(scene_status(fake, pairs[0].follow), "waiting");
    scene_adds_up(fake);
    count = fake_stage_emitted(fake);
    assert_int_equal(count, 6); /* reserved and changed of each */
    for (size_t i = 0; i < count; i++) {
        snprintf(told[i], sizeof told[i], "%s", fake_stage_out(fake, i)->id);
    }
    tick(fake);
    assert_int_equal(fake_stage_emitted(fake), count);
    for (size_t i = 0; i < count; i++) {
        assert_string_equal(fake_stage_out(fake, i)->id, told[i]);
    }
    for (int i = 0; i < 3; i++) {
        assert_string_equal(scene_status(fake, pairs[i].follow), "sending");
        assert_int_equal(held_by(fake, pairs[i].follow), 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(it_begins_for_those_whom_it_is_for),
        SCENE(every_failure_is_meant_by_failed),
        SCENE(many_rows_are_sorted_in_steps),
        SCENE(one_that_nobody_needs_ends_and_gives_its_tokens_back),
        SCENE(it_ends_with_a_first_that_does_not_take_place),
        SCENE(one_that_was_cancelled_while_it_waited_stays_so),
        SCENE(one_whose_tokens_expired_waits_for_others),
        SCENE(of_two_workers_one_has_it),
        SCENE(several_begin_at_once_and_a_lost_tick_says_the_same_again),
    };

    return cmocka_run_group_tests_name("stage.reconcile-dlr.follow-up", tests, scene_start_server,
                                       scene_stop_server);
}
