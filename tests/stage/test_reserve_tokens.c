/* reserve-tokens: the price of a whole campaign is set aside, or nothing */
#include "msg/campaign.h"
#include "msg/event.h"
#include "scene.h"

#define RENDERED "campaign.rendered.v1"
#define LAUNCHED "campaign.launched.v1"
#define RESERVED "campaign.reserved.v1"
#define CHANGED "campaign.changed.v1"

static enum verdict render(struct fake_stage *fake, int64_t id)
{
    return fake_stage_send(fake, RENDERED, scene_message(), scene_fact(id));
}

static int64_t balance(struct fake_stage *fake, int account, const char *purse)
{
    return scene_number(fake, "SELECT %s FROM token_balances WHERE account_id = %d", purse,
                        account);
}

static void take_all_but(struct fake_stage *fake, int64_t left)
{
    int64_t id = scene_campaign(fake, "reserving", 1);

    scene_sql(
        fake,
        "DELETE FROM recipients WHERE campaign_id = %lld;"
        "UPDATE campaigns SET status = 'refused', segments = 0, planned = 0, rows_received = 0"
        " WHERE id = %lld;",
        (long long)id, (long long)id);
    scene_sql(fake,
              "UPDATE token_lots SET available = %lld WHERE id = 1;"
              "SELECT scene_entry(1, 'expire', 'available', 'expired', %lld, 'all but');"
              "UPDATE token_balances SET available = %lld, expired = %lld WHERE account_id = 1",
              (long long)left, (long long)(SCENE_TOKENS - left), (long long)left,
              (long long)(SCENE_TOKENS - left));
}

static void the_whole_price_is_held_at_once(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = scene_campaign(fake, "reserving", 250);
    struct campaign_event event;
    struct campaign_fact fact;

    assert_done(fake, render(fake, id));
    assert_int_equal(fake_stage_emitted(fake), 2);
    fake_stage_read(fake, &campaign_reserved_v1, 0, &fact);
    assert_string_equal(fact.campaign, scene_name(id));
    fake_stage_read(fake, &campaign_changed_v1, 0, &event);
    assert_string_equal(event.status, "sending");
    assert_int_equal(event.tokens, 250);
    assert_string_equal(scene_status(fake, id), "sending");
    assert_int_equal(balance(fake, 1, "available"), SCENE_TOKENS - 250);
    assert_int_equal(balance(fake, 1, "reserved"), 250);
    assert_int_equal(
        scene_number(fake, "SELECT amount FROM token_holds WHERE id = %lld", (long long)id), 250);
    assert_int_equal(fake_number(fake, "SELECT count(*) FROM ledger_entries WHERE kind = 'hold'"),
                     1);
}

static void the_last_token_may_be_held_and_no_token_more(void **state)
{
    struct fake_stage *fake = *state;
    int64_t exact, too_many;
    struct campaign_event event;

    take_all_but(fake, 30);
    too_many = scene_campaign(fake, "reserving", 31);
    exact = scene_campaign(fake, "reserving", 30);
    assert_done(fake, render(fake, too_many));
    assert_int_equal(fake_stage_emitted(fake), 1);
    fake_stage_read(fake, &campaign_changed_v1, 0, &event);
    assert_string_equal(event.status, "insufficient_tokens");
    assert_string_equal(event.detail, "1 tokens are missing");
    assert_string_equal(scene_status(fake, too_many), "insufficient_tokens");
    assert_string_equal(
        scene_text(fake, "SELECT detail FROM campaigns WHERE id = %lld", (long long)too_many),
        "1 tokens are missing");
    assert_int_equal(balance(fake, 1, "reserved"), 0);
    assert_done(fake, render(fake, exact));
    assert_string_equal(scene_status(fake, exact), "sending");
    assert_int_equal(balance(fake, 1, "available"), 0);
    assert_done(fake, render(fake, too_many)); /* now all of them are missing */
    fake_stage_read(fake, &campaign_changed_v1, 0, &event);
    assert_string_equal(event.detail, "31 tokens are missing");
}

static void an_account_without_any_token_lacks_them_all(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = scene_campaign(fake, "reserving", 5);
    struct campaign_event event;

    scene_sql(fake, "UPDATE campaigns SET account_id = 2 WHERE id = %lld", (long long)id);
    assert_done(fake, render(fake, id));
    fake_stage_read(fake, &campaign_changed_v1, 0, &event);
    assert_string_equal(event.detail, "5 tokens are missing");
    assert_string_equal(event.account, "globex");
    assert_int_equal(balance(fake, 1, "reserved"), 0);
    assert_true(fake_stage_tick(fake));
    assert_int_equal(fake_stage_emitted(fake), 0);
    fake_sql(fake, "SELECT scene_grant(2, 5, 'top-up')");
    assert_true(fake_stage_tick(fake));
    assert_string_equal(scene_status(fake, id), "sending");
    assert_int_equal(balance(fake, 2, "reserved"), 5);
}

static void the_tick_goes_on_after_a_top_up_the_oldest_first(void **state)
{
    struct fake_stage *fake = *state;
    int64_t ids[3];
    struct campaign_event event;

    take_all_but(fake, 10);
    for (int i = 0; i < 3; i++) {
        ids[i] = scene_campaign(fake, "reserving", 20);
        assert_done(fake, render(fake, ids[i]));
        assert_string_equal(scene_status(fake, ids[i]), "insufficient_tokens");
    }
    assert_true(fake_stage_tick(fake));
    assert_int_equal(fake_stage_emitted(fake), 0);
    fake_sql(fake, "SELECT scene_grant(1, 35, 'top-up')"); /* 45: two of three */
    assert_true(fake_stage_tick_lost(fake));
    assert_int_equal(fake_stage_emitted_of(fake, RESERVED), 2);
    assert_string_equal(scene_status(fake, ids[0]), "insufficient_tokens");
    assert_int_equal(balance(fake, 1, "reserved"), 0);
    assert_true(fake_stage_tick(fake));
    assert_int_equal(fake_stage_emitted_of(fake, RESERVED), 2);
    assert_string_equal(fake_stage_out(fake, 0)->correlation, scene_name(ids[0]));
    assert_string_equal(scene_status(fake, ids[0]), "sending");
    assert_string_equal(scene_text(fake,
                                   "SELECT coalesce(detail, '-') FROM campaigns"
                                   " WHERE id = %lld",
                                   (long long)ids[0]),
                        "-");
    assert_string_equal(scene_status(fake, ids[1]), "sending");
    assert_string_equal(scene_status(fake, ids[2]), "insufficient_tokens");
    assert_int_equal(balance(fake, 1, "available"), 5);
    fake_stage_read(fake, &campaign_changed_v1, 2, &event); /* it was tried and lacks 15 */
    assert_string_equal(event.detail, "15 tokens are missing");
    assert_true(fake_stage_tick(fake));
    assert_int_equal(fake_stage_emitted(fake), 0);
}

static void the_message_itself_may_come_again_after_the_top_up(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id;

    take_all_but(fake, 10);
    id = scene_campaign(fake, "reserving", 11);
    assert_done(fake, render(fake, id));
    fake_sql(fake, "SELECT scene_grant(1, 1, 'top-up')");
    assert_done(fake, render(fake, id));
    assert_string_equal(scene_status(fake, id), "sending");
    assert_done(fake, render(fake, id));
    assert_int_equal(fake_stage_emitted_of(fake, RESERVED), 1);
    assert_int_equal(fake_number(fake, "SELECT count(*) FROM token_holds"), 1);
}

static void tokens_are_drawn_from_the_lots_that_expire_first(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id;

    fake_sql(fake,
             "SELECT scene_grant(1, 100, 'soon');"
             "SELECT scene_grant(1, 100, 'later');"
             "UPDATE token_lots SET expires_at = now() + interval '1 day' WHERE reference = 'soon';"
             "UPDATE token_lots SET expires_at = now() + interval '9 days'"
             " WHERE reference = 'later'");
    id = scene_campaign(fake, "reserving", 150);
    assert_done(fake, render(fake, id));
    assert_int_equal(fake_number(fake, "SELECT available FROM token_lots WHERE reference = 'soon'"),
                     0);
    assert_int_equal(
        fake_number(fake, "SELECT available FROM token_lots WHERE reference = 'later'"), 50);
    assert_int_equal(fake_number(fake, "SELECT available FROM token_lots WHERE reference = 'seed'"),
                     SCENE_TOKENS);
}

static void the_tick_retires_tokens_whose_time_is_over(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = scene_campaign(fake, "reserving", 40);

    fake_sql(fake, "UPDATE token_lots SET expires_at = now() + interval '1 hour' WHERE id = 1;"
                   "SELECT scene_grant(1, 30, 'for ever')");
    fake_stage_advance_ms(fake, 2 * 3600 * 1000);
    assert_done(fake, render(fake, id)); /* expired tokens do not count, retired or not */
    assert_string_equal(
        scene_text(fake, "SELECT detail FROM campaigns WHERE id = %lld", (long long)id),
        "10 tokens are missing");
    assert_true(fake_stage_tick(fake));
    assert_int_equal(balance(fake, 1, "available"), 30);
    assert_int_equal(balance(fake, 1, "expired"), SCENE_TOKENS);
    assert_true(fake_stage_tick(fake));
    assert_int_equal(balance(fake, 1, "expired"), SCENE_TOKENS);
}

static void a_campaign_that_was_cancelled_meanwhile_holds_nothing(void **state)
{
    static const char *const words[] = { "cancelling", "cancelled", "expired",
                                         "refused",    "quoted",    "paused",
                                         "sent",       "completed", "receiving" };
    struct fake_stage *fake = *state;

    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        int64_t id = scene_campaign(fake, "reserving", 5);

        scene_sql(fake, "UPDATE campaigns SET status = '%s' WHERE id = %lld", words[i],
                  (long long)id);
        assert_done(fake, render(fake, id));
        assert_int_equal(fake_stage_emitted(fake), 0);
        assert_string_equal(scene_status(fake, id), words[i]);
    }
    assert_int_equal(balance(fake, 1, "reserved"), 0);
}

static void a_launched_campaign_goes_the_same_way_in_its_own_lane(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = scene_campaign(fake, "reserving", 5);

    scene_sql(fake, "UPDATE campaigns SET lane = 'high', hold = true WHERE id = %lld",
              (long long)id);
    assert_done(fake, fake_stage_send(fake, LAUNCHED, scene_message(), scene_fact(id)));
    assert_string_equal(scene_status(fake, id), "sending");
    assert_string_equal(fake_stage_out(fake, 0)->type, RESERVED);
    assert_string_equal(fake_stage_out(fake, 0)->key, "campaign.reserved.high");
}

static void a_campaign_for_later_is_paid_now_and_scheduled(void **state)
{
    struct fake_stage *fake = *state;
    int64_t later = scene_campaign(fake, "reserving", 5);
    int64_t past = scene_campaign(fake, "reserving", 5);

    scene_sql(fake, "UPDATE campaigns SET scheduled_at = now() + interval '1 hour' WHERE id = %lld",
              (long long)later);
    scene_sql(fake,
              "UPDATE campaigns SET scheduled_at = now() - interval '1 second' WHERE id = %lld",
              (long long)past);
    assert_done(fake, render(fake, later));
    assert_string_equal(scene_status(fake, later), "scheduled");
    assert_int_equal(fake_stage_emitted_of(fake, RESERVED), 1);
    assert_int_equal(balance(fake, 1, "reserved"), 5);
    assert_done(fake, render(fake, past));
    assert_string_equal(scene_status(fake, past), "sending");
    assert_int_equal(balance(fake, 1, "reserved"), 10);
}

static void a_message_about_nothing_is_parked(void **state)
{
    static const struct {
        const char *json, *why;
    } table[] = { { "{\"campaign\":\"cmp_0000000000001\"}", "campaign_unknown" },
                  { "{\"campaign\":\"june\"}", "bad_campaign" },
                  { "{\"campaign\":\"\"}", "bad_field" },
                  { "{}", "bad_field" } };
    struct fake_stage *fake = *state;

    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        assert_int_equal(fake_stage_send(fake, RENDERED, scene_message(), table[i].json),
                         STAGE_REJECT);
        assert_string_equal(fake_stage_why(fake), table[i].why);
    }
}

static void leave_transfer(struct fake_stage *fake, const char *reference, const char *reason)
{
    scene_sql(fake,
              "INSERT INTO untold_transfers (from_id, to_id, tokens, reference, reason, actor,"
              "                              created_at)"
              " VALUES (1, 2, 50, '%s', %s, 'clerk', '2026-11-20T09:12:44Z')",
              reference, reason);
}

static void both_accounts_are_told_of_a_transfer_until_it_is_confirmed(void **state)
{
    struct fake_stage *fake = *state;
    struct transfer_event event;
    char first[60];

    leave_transfer(fake, "TRF-1", "'rent'");
    assert_true(fake_stage_tick_lost(fake));
    assert_int_equal(fake_stage_emitted_of(fake, "tokens.transferred.v1"), 2);
    snprintf(first, sizeof first, "%s", fake_stage_out(fake, 0)->id);
    assert_int_equal(fake_number(fake, "SELECT count(*) FROM untold_transfers"), 1);

    assert_true(fake_stage_tick(fake));
    assert_int_equal(fake_stage_emitted(fake), 2);
    assert_string_equal(fake_stage_out(fake, 0)->id, first); /* told again, the same message */
    assert_string_equal(fake_stage_out(fake, 0)->key, "tokens.transferred.acme");
    assert_string_equal(fake_stage_out(fake, 1)->key, "tokens.transferred.globex");
    fake_stage_read(fake, &tokens_transferred_v1, 0, &event);
    assert_string_equal(event.account, "acme");
    fake_stage_read(fake, &tokens_transferred_v1, 1, &event);
    assert_string_equal(event.account, "globex");
    assert_string_equal(event.from, "acme");
    assert_string_equal(event.to, "globex");
    assert_string_equal(event.reference, "TRF-1");
    assert_string_equal(event.reason, "rent");
    assert_string_equal(event.actor, "clerk");
    assert_int_equal(event.tokens, 50);
    assert_int_equal(event.at_ms, 1795165964000);
    assert_int_equal(fake_number(fake, "SELECT count(*) FROM untold_transfers"), 0);

    leave_transfer(fake, "TRF-2", "NULL");
    assert_true(fake_stage_tick(fake));
    assert_int_equal(fake_stage_emitted(fake), 2);
    assert_true(fake_stage_tick(fake));
    assert_int_equal(fake_stage_emitted(fake), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(the_whole_price_is_held_at_once),
        SCENE(the_last_token_may_be_held_and_no_token_more),
        SCENE(an_account_without_any_token_lacks_them_all),
        SCENE(the_tick_goes_on_after_a_top_up_the_oldest_first),
        SCENE(the_message_itself_may_come_again_after_the_top_up),
        SCENE(tokens_are_drawn_from_the_lots_that_expire_first),
        SCENE(the_tick_retires_tokens_whose_time_is_over),
        SCENE(both_accounts_are_told_of_a_transfer_until_it_is_confirmed),
        SCENE(a_campaign_that_was_cancelled_meanwhile_holds_nothing),
        SCENE(a_launched_campaign_goes_the_same_way_in_its_own_lane),
        SCENE(a_campaign_for_later_is_paid_now_and_scheduled),
        SCENE(a_message_about_nothing_is_parked),
    };

    return cmocka_run_group_tests_name("stage.reserve-tokens", tests, scene_start_server,
                                       scene_stop_server);
}
