/* lib/campaign/steer: what each action does to a campaign of each status */
#include "campaign/store.h"
#include "migrated.h"

enum { GOES, SO_ALREADY, REFUSED };

static const char *const verbs[] = { "launch", "pause", "resume", "cancel" };

/* A row per status, a column per action: launch, pause, resume, cancel. */
static const struct {
    const char *status;
    int effects[4];
} table[] = {
    { "receiving", { REFUSED, REFUSED, REFUSED, GOES } },
    { "quoted", { GOES, REFUSED, REFUSED, GOES } },
    { "waiting", { REFUSED, REFUSED, REFUSED, GOES } },
    { "reserving", { SO_ALREADY, REFUSED, REFUSED, GOES } },
    { "insufficient_tokens", { SO_ALREADY, REFUSED, SO_ALREADY, GOES } },
    { "scheduled", { SO_ALREADY, GOES, SO_ALREADY, GOES } },
    { "sending", { SO_ALREADY, GOES, SO_ALREADY, GOES } },
    { "paused", { SO_ALREADY, SO_ALREADY, GOES, GOES } },
    { "cancelling", { REFUSED, REFUSED, REFUSED, SO_ALREADY } },
    { "cancelled", { REFUSED, REFUSED, REFUSED, SO_ALREADY } },
    { "expired", { REFUSED, REFUSED, REFUSED, REFUSED } },
    { "refused", { REFUSED, REFUSED, REFUSED, REFUSED } },
    { "abandoned", { REFUSED, REFUSED, REFUSED, REFUSED } },
    { "sent", { SO_ALREADY, REFUSED, SO_ALREADY, REFUSED } },
    { "completed", { SO_ALREADY, REFUSED, SO_ALREADY, REFUSED } },
};
enum { STATUSES = sizeof table / sizeof *table };

static const char *const goals[] = { "reserving", "paused", "sending", "cancelling" };

static const struct shape *fact_of(int action)
{
    static const struct shape *const facts[] = { &campaign_launched_v1, NULL, &campaign_resumed_v1,
                                                 &campaign_cancelled_v1 };

    return facts[action];
}

static void put_campaign(struct db *db, const char *status)
{
    char sql[300];

    snprintf(sql, sizeof sql,
             "TRUNCATE campaigns CASCADE;"
             "INSERT INTO campaigns (id, account_id, reference, status, title, message_template,"
             "                       country) VALUES (7, 1, 'june', '%s', 'June', 'Hi', 'KE')",
             status);
    script(db, sql);
}

static void every_action_in_every_status_does_what_the_table_says(void **state)
{
    struct db *db = *state;
    struct err err;

    for (size_t i = 0; i < STATUSES; i++) {
        for (int action = 0; action < 4; action++) {
            struct campaign_steered steered;
            char wanted[140];

            put_campaign(db, table[i].status);
            if (table[i].effects[action] == REFUSED) {
                assert_fails(campaign_steer(db, 1, 7, (enum campaign_action)action, &steered, &err),
                             ERR_PERMANENT, "wrong_status");
                snprintf(wanted, sizeof wanted, "status: cannot %s a campaign that is %s%s",
                         verbs[action], table[i].status,
                         strcmp(table[i].status, "waiting") == 0
                             ? "; it begins by itself when the one that it follows is over"
                             : "");
                assert_string_equal(err.detail, wanted);
                assert_string_equal(text_of(db, "SELECT status FROM campaigns"), table[i].status);
                continue;
            }
            assert_ok(campaign_steer(db, 1, 7, (enum campaign_action)action, &steered, &err));
            const char *now = table[i].effects[action] == GOES ? goals[action] : table[i].status;
            assert_string_equal(steered.status, now);
            assert_string_equal(text_of(db, "SELECT status FROM campaigns"), now);
            /* A tick will tell of what has changed, and of nothing else. */
            assert_int_equal(number_of(db, "SELECT count(untold_at) FROM campaigns"),
                             table[i].effects[action] == GOES);
            /* Told again, too; the tokens are asked for by the stage that a launch tells. */
            assert_ptr_equal(steered.publish,
                             action == CAMPAIGN_RESUME && strcmp(now, "insufficient_tokens") == 0
                                 ? &campaign_launched_v1
                                 : fact_of(action));
            assert_int_equal(steered.lane, LANE_NORMAL);
        }
    }
}

static void the_database_knows_these_statuses_and_no_other(void **state)
{
    struct db *db = *state;
    struct err err;

    assert_int_equal(number_of(db, "SELECT count(*) FROM regexp_matches(("
                                   "SELECT pg_get_constraintdef(oid) FROM pg_constraint"
                                   " WHERE conname = 'campaigns_status_word'),"
                                   " '''[a-z_]+''', 'g')"),
                     STATUSES);
    assert_false(db_script(db,
                           "INSERT INTO campaigns (id, account_id, reference, status, title,"
                           " message_template, country) VALUES (8, 1, 'x', 'running', 't', 'm',"
                           " 'KE')",
                           &err));
    assert_string_equal(db_constraint(db), "campaigns_status_word");
}

static void a_campaign_paused_before_its_time_is_scheduled_again(void **state)
{
    struct db *db = *state;
    struct campaign_steered steered;
    struct err err;

    put_campaign(db, "paused");
    script(db, "UPDATE campaigns SET scheduled_at = now() + interval '1 hour', lane = 'high'");
    assert_ok(campaign_steer(db, 1, 7, CAMPAIGN_RESUME, &steered, &err));
    assert_string_equal(steered.status, "scheduled");
    assert_int_equal(steered.lane, LANE_HIGH);
    assert_string_equal(text_of(db, "SELECT status FROM campaigns"), "scheduled");
    put_campaign(db, "paused");
    script(db, "UPDATE campaigns SET scheduled_at = now(), started_at = now()");
    assert_ok(campaign_steer(db, 1, 7, CAMPAIGN_RESUME, &steered, &err));
    assert_string_equal(steered.status, "sending");
}

static void another_accounts_campaign_is_not_there(void **state)
{
    struct db *db = *state;
    struct campaign_steered steered;
    struct err err;

    put_campaign(db, "sending");
    assert_fails(campaign_steer(db, 2, 7, CAMPAIGN_PAUSE, &steered, &err), ERR_PERMANENT,
                 "campaign_unknown");
    assert_fails(campaign_steer(db, 1, 8, CAMPAIGN_PAUSE, &steered, &err), ERR_PERMANENT,
                 "campaign_unknown");
    assert_string_equal(text_of(db, "SELECT status FROM campaigns"), "sending");
    assert_ok(campaign_steer(db, 0, 7, CAMPAIGN_PAUSE, &steered, &err)); /* the operator */
    assert_string_equal(text_of(db, "SELECT status FROM campaigns"), "paused");
    /* Ids of accounts have their real size. */
    assert_fails(
        campaign_steer(db, INT64_C(124738254470643712), 7, CAMPAIGN_RESUME, &steered, &err),
        ERR_PERMANENT, "campaign_unknown");
}

static void five_statuses_are_final(void **state)
{
    static const char *const final[] = { "completed", "cancelled", "expired", "refused",
                                         "abandoned" };

    (void)state;
    for (size_t i = 0; i < STATUSES; i++) {
        bool expected = false;

        for (size_t f = 0; f < 5; f++) {
            expected |= strcmp(final[f], table[i].status) == 0;
        }
        assert_int_equal(campaign_status_is_final(table[i].status), expected);
    }
    assert_false(campaign_status_is_final("complete"));
    assert_false(campaign_status_is_final("ancelled"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MIGRATED(every_action_in_every_status_does_what_the_table_says),
        MIGRATED(the_database_knows_these_statuses_and_no_other),
        MIGRATED(a_campaign_paused_before_its_time_is_scheduled_again),
        MIGRATED(another_accounts_campaign_is_not_there),
        MIGRATED(five_statuses_are_final),
    };

    return cmocka_run_group_tests_name("unit.campaign.steer", tests, migrated_start, migrated_stop);
}
