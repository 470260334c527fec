/* lib/campaign/view and tell: a campaign as it is shown, and what is said about it */
#include "base/id.h"
#include "campaign/store.h"
#include "campaign/tell.h"
#include "migrated.h"

#define ARENA_BYTES (16u << 20)

static struct arena *arena;

static int open_arena(void **state)
{
    arena = arena_create(ARENA_BYTES);
    return migrated_open(state);
}

static int close_arena(void **state)
{
    arena_destroy(arena);
    return migrated_close(state);
}

#define VIEW(test) cmocka_unit_test_setup_teardown(test, open_arena, close_arena)

static struct campaign_view find(struct db *db, int64_t id)
{
    struct campaign_view view;
    struct err err;
    bool found;

    assert_ok(campaign_find(db, 0, id, arena, &view, &found, &err));
    assert_true(found);
    return view;
}

/*
 * A campaign of ten recipients, ids from the newest partition: 1 suppressed, 1 delivered, 1 failed,
 * 1 expired, 2 sent, 1 in doubt, 1 under way, 2 not cut yet.
 */
static int64_t put_mixed(struct db *db)
{
    int64_t id = number_of(db, "SELECT id_floor(now())");
    char sql[3000];

    snprintf(sql, sizeof sql,
             "INSERT INTO campaigns (id, account_id, reference, status, detail, title,"
             "  message_template, text, sender_id, lane, country, hold, scheduled_at, expires_at,"
             "  rows_received, invalid, duplicates, planned, suppressed, segments, created_at,"
             "  rendered_at, reserved_at, started_at)"
             " VALUES (%lld, 1, 'june', 'sending', NULL, 'June', 'Hi', 'Hi', 'ACME', 'high', 'KE',"
             "  true, '2026-11-20 10:00Z', '2026-11-21 10:00Z', 13, 2, 1, 10, 1, 9,"
             "  '2026-11-20 09:00Z', '2026-11-20 09:01Z', '2026-11-20 09:02Z',"
             "  '2026-11-20 10:00:01Z');"
             "INSERT INTO recipients (campaign_id, msisdn, seq, segments, state, batch, currency)"
             " SELECT %lld, 254700000000 + i, i, 1, (ARRAY[7, 4, 5, 6, 3, 3, 2, 0, 0, 0])[i],"
             "        CASE WHEN i BETWEEN 2 AND 7 THEN 1 END, CASE WHEN i = 2 THEN 'KES' END"
             "   FROM generate_series(1, 10) i;"
             "INSERT INTO campaign_rejects SELECT %lld, 100 + i, 'x', 'empty'"
             "  FROM generate_series(1, 3) i;"
             "INSERT INTO batches (campaign_id, batch, first_seq, last_seq, origin, claimed_seq,"
             "  recorded_seq, in_flight, sent, delivered, failed, expired, in_doubt, captured,"
             "  released, cost_e4)"
             " VALUES (%lld, 1, 1, 4, 'x', 4, 4, 0, 0, 1, 1, 1, 0, 2, 1, 16000),"
             "        (%lld, 2, 5, 8, 'x', 8, 7, 1, 2, 0, 0, 0, 1, 2, 0, 16000)",
             (long long)id, (long long)id, (long long)id, (long long)id, (long long)id);
    script(db, sql);
    return id;
}

static void a_view_holds_all_there_is_to_know(void **state)
{
    struct db *db = *state;
    int64_t id = put_mixed(db);
    struct campaign_view view = find(db, id);

    assert_int_equal(view.id, id);
    assert_int_equal(view.account_id, 1);
    assert_string_equal(view.account, "acme");
    assert_string_equal(view.reference, "june");
    assert_string_equal(view.kind, "campaign");
    assert_string_equal(view.channel, "sms");
    assert_string_equal(view.status, "sending");
    assert_string_equal(view.detail, "");
    assert_string_equal(view.title, "June");
    assert_string_equal(view.message_template, "Hi");
    assert_string_equal(view.text, "Hi");
    assert_string_equal(view.sender_id, "ACME");
    assert_string_equal(view.lane, "high");
    assert_string_equal(view.country, "KE");
    assert_true(view.hold);
    assert_int_equal(view.scheduled_at, 1795168800000);
    assert_int_equal(view.expires_at - view.scheduled_at, 86400000);
    assert_int_equal(view.created_at, 1795165200000);
    assert_int_equal(view.rendered_at - view.created_at, 60000);
    assert_int_equal(view.reserved_at - view.created_at, 120000);
    assert_int_equal(view.started_at - view.scheduled_at, 1000);
    assert_int_equal(view.sent_at, 0);
    assert_int_equal(view.completed_at, 0);
    assert_int_equal(view.rows_received, 13);
    assert_int_equal(view.invalid, 2);
    assert_int_equal(view.duplicates, 1);
    assert_int_equal(view.segments, 9);
    assert_int_equal(view.captured, 4);
    assert_int_equal(view.released, 1);
    assert_int_equal(view.cost_e4, 32000);
    assert_string_equal(view.currency, "KES");
    assert_int_equal(view.follow_up.id, 0);
    assert_int_equal(view.parent, 0);
}

static void a_campaign_and_its_follow_up_know_each_other(void **state)
{
    struct db *db = *state;
    struct campaign_view view;
    int64_t id = put_mixed(db);
    char sql[800];

    snprintf(sql, sizeof sql,
             "UPDATE campaigns SET follow_segments = 7;"
             "INSERT INTO campaigns (id, account_id, reference, status, channel, title,"
             "  message_template, country, parent_id, follow_words)"
             " VALUES (%lld, 1, 'after', 'waiting', 'voice', 'June', 'Hi', 'KE', %lld,"
             "         '{failed,expired}');"
             "INSERT INTO voice_campaigns (campaign_id, tokens_per_minute) VALUES (%lld, 1)",
             (long long)id + 1, (long long)id, (long long)id + 1);
    script(db, sql);
    view = find(db, id);
    assert_int_equal(view.segments, 16);
    assert_int_equal(view.follow_up.id, id + 1);
    assert_string_equal(view.follow_up.channel, "voice");
    assert_string_equal(view.follow_up.status, "waiting");
    assert_string_equal(view.follow_up.when, "failed,expired");
    assert_int_equal(view.follow_up.tokens, 7);
    assert_int_equal(view.parent, 0);
    view = find(db, id + 1);
    assert_int_equal(view.follow_up.id, 0);
    assert_int_equal(view.parent, id);
    assert_false(campaign_status_is_final(view.status));
}

static void the_nine_counts_make_up_the_plan_in_every_status(void **state)
{
    static const struct {
        const char *status;
        int pending, expired, cancelled;
    } table[] = {
        { "sending", 2, 1, 0 },   { "paused", 2, 1, 0 },  { "cancelling", 0, 1, 2 },
        { "cancelled", 0, 1, 2 }, { "expired", 0, 3, 0 },
    };
    struct db *db = *state;
    int64_t id = put_mixed(db);

    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char sql[80];

        snprintf(sql, sizeof sql, "UPDATE campaigns SET status = '%s'", table[i].status);
        script(db, sql);
        struct campaign_view view = find(db, id);
        assert_int_equal(view.planned, 10);
        assert_int_equal(view.pending, table[i].pending);
        assert_int_equal(view.sending, 1);
        assert_int_equal(view.in_doubt, 1);
        assert_int_equal(view.sent, 2);
        assert_int_equal(view.delivered, 1);
        assert_int_equal(view.failed, 1);
        assert_int_equal(view.expired, table[i].expired);
        assert_int_equal(view.suppressed, 1);
        assert_int_equal(view.cancelled, table[i].cancelled);
        assert_int_equal(view.pending + view.sending + view.in_doubt + view.sent + view.delivered +
                             view.failed + view.expired + view.suppressed + view.cancelled,
                         10);
        assert_null(text_of(db, invariants_sql));
    }
}

static void a_campaign_is_shown_to_its_own_account(void **state)
{
    struct db *db = *state;
    int64_t id = put_mixed(db);
    struct campaign_view view;
    struct err err;
    bool found;

    assert_ok(campaign_find(db, 1, id, arena, &view, &found, &err));
    assert_true(found);
    assert_ok(campaign_find(db, 2, id, arena, &view, &found, &err));
    assert_false(found);
    assert_ok(campaign_find(db, 0, id + 1, arena, &view, &found, &err));
    assert_false(found);
}

static void the_event_says_what_the_view_says(void **state)
{
    struct db *db = *state;
    int64_t id = put_mixed(db);
    struct campaign_view view = find(db, id);
    const struct campaign_event *event = campaign_tell(&view, NULL, NULL, 1234, arena);
    char name[ID_TEXT_BYTES];

    id_format("cmp", id, name);
    assert_string_equal(event->campaign, name);
    assert_string_equal(event->reference, "june");
    assert_string_equal(event->account, "acme");
    assert_string_equal(event->status, "sending");
    assert_string_equal(event->detail, "");
    assert_int_equal(event->planned, 10);
    assert_int_equal(event->sent, 2);
    assert_int_equal(event->delivered, 1);
    assert_int_equal(event->failed, 1);
    assert_int_equal(event->expired, 1);
    assert_int_equal(event->in_doubt, 1);
    assert_int_equal(event->suppressed, 1);
    assert_int_equal(event->cancelled, 0);
    assert_int_equal(event->invalid, 2);
    assert_int_equal(event->duplicates, 1);
    assert_int_equal(event->tokens, 9);
    assert_int_equal(event->at_ms, 1234);
    event = campaign_tell(&view, "paused", "why", 1234, arena);
    assert_string_equal(event->status, "paused");
    assert_string_equal(event->detail, "why");
}

/* Twenty campaigns with the ids 1 to 20; the even ones are globex's, every fifth is a message. */
static void put_twenty(struct db *db)
{
    script(db, "INSERT INTO campaigns (id, account_id, reference, kind, status, title,"
               "                       message_template, country)"
               " SELECT i, 1 + (i % 2 = 0)::int, 'r' || i,"
               "        CASE WHEN i % 5 = 0 THEN 'message' ELSE 'campaign' END,"
               "        CASE WHEN i > 15 THEN 'sending' ELSE 'completed' END, 't', 'm', 'KE'"
               "   FROM generate_series(1, 20) i");
}

static int list(struct db *db, const struct campaign_filter *filter, int64_t *out_ids)
{
    struct campaign_view *views;
    struct err err;
    int count;

    assert_ok(campaign_list(db, filter, arena, &views, &count, &err));
    for (int i = 0; i < count; i++) {
        out_ids[i] = views[i].id;
    }
    return count;
}

static void ids_have_their_real_size(void **state)
{
    struct db *db = *state;
    int64_t account = INT64_C(124738254470643712), campaign = account + 5;
    struct campaign_view view;
    struct err err;
    int64_t ids[5];
    bool found;

    script(db, "INSERT INTO accounts (id, slug, name, email)"
               " VALUES (124738254470643712, 'big', 'Big', 'big@example.com');"
               "INSERT INTO campaigns (id, account_id, reference, status, title,"
               "                       message_template, country)"
               " SELECT 124738254470643712 + i, 124738254470643712, 'r' || i, 'sending', 't', 'm',"
               "        'KE' FROM generate_series(1, 5) i");
    assert_ok(campaign_find(db, account, campaign, arena, &view, &found, &err));
    assert_true(found);
    assert_int_equal(view.account_id, account);
    assert_int_equal(
        list(db,
             &(struct campaign_filter){ .account_id = account, .before_id = campaign, .limit = 5 },
             ids),
        4);
    assert_int_equal(ids[0], campaign - 1);
}

static void lists_are_filtered(void **state)
{
    static const struct {
        struct campaign_filter filter;
        int count;
        int64_t first, last;
    } table[] = {
        { { .limit = 100 }, 20, 20, 1 },
        { { .limit = 100, .oldest_first = true }, 20, 1, 20 },
        { { .limit = 3 }, 3, 20, 18 },
        { { .account_id = 1, .limit = 100 }, 10, 19, 1 },
        { { .account_id = 2, .limit = 100 }, 10, 20, 2 },
        { { .account_id = 3, .limit = 100 }, 0, 0, 0 },
        { { .kind = "message", .limit = 100 }, 4, 20, 5 },
        { { .kind = "", .channel = "", .status = "", .limit = 100 }, 20, 20, 1 },
        { { .channel = "voice", .limit = 100 }, 0, 0, 0 },
        { { .channel = "sms", .status = "sending", .limit = 100 }, 5, 20, 16 },
        { { .status = "sending", .kind = "campaign", .account_id = 1, .limit = 100 }, 2, 19, 17 },
        { { .before_id = 5, .limit = 100 }, 4, 4, 1 },
        { { .before_id = 5, .oldest_first = true, .limit = 100 }, 15, 6, 20 },
        { { .before_id = 1, .limit = 100 }, 0, 0, 0 },
    };
    struct db *db = *state;
    int64_t ids[100];

    put_twenty(db);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        assert_int_equal(list(db, &table[i].filter, ids), table[i].count);
        if (table[i].count > 0) {
            assert_int_equal(ids[0], table[i].first);
            assert_int_equal(ids[table[i].count - 1], table[i].last);
        }
    }
}

static void pages_follow_each_other_without_gap_or_overlap(void **state)
{
    struct db *db = *state;
    int64_t ids[100];

    put_twenty(db);
    for (int oldest_first = 0; oldest_first < 2; oldest_first++) {
        for (int limit = 1; limit <= 21; limit++) {
            struct campaign_filter filter = { .limit = limit, .oldest_first = oldest_first };
            int64_t next = oldest_first ? 1 : 20;
            int count;

            while ((count = list(db, &filter, ids)) > 0) {
                assert_true(count <= limit);
                for (int i = 0; i < count; i++) {
                    assert_int_equal(ids[i], next);
                    next += oldest_first ? 1 : -1;
                }
                filter.before_id = ids[count - 1];
            }
            assert_int_equal(next, oldest_first ? 21 : 0);
            arena_reset(arena);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        VIEW(a_view_holds_all_there_is_to_know),
        VIEW(a_campaign_and_its_follow_up_know_each_other),
        VIEW(the_nine_counts_make_up_the_plan_in_every_status),
        VIEW(a_campaign_is_shown_to_its_own_account),
        VIEW(the_event_says_what_the_view_says),
        VIEW(ids_have_their_real_size),
        VIEW(lists_are_filtered),
        VIEW(pages_follow_each_other_without_gap_or_overlap),
    };

    return cmocka_run_group_tests_name("unit.campaign.view", tests, migrated_start, migrated_stop);
}
