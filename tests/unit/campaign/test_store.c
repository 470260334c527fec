/* lib/campaign/store: accounts found, campaigns made once and refused for a reason */
#include "base/id.h"
#include "campaign/store.h"
#include "migrated.h"

#define NOW INT64_C(1795000000000)
#define MINUTE_MS INT64_C(60000)
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

#define STORE(test) cmocka_unit_test_setup_teardown(test, open_arena, close_arena)

static struct account acme(struct db *db)
{
    struct account account;
    struct err err;
    bool found;

    assert_ok(account_find(db, "acme", 0, arena, &account, &found, &err));
    assert_true(found);
    return account;
}

/* A campaign that nothing is wrong with. */
static struct campaign_submitted plain(void)
{
    return (struct campaign_submitted){ .title = "June", .message_template = "Hi {{name}}" };
}

static bool create(struct db *db, const struct campaign_submitted *definition,
                   const char *reference, struct campaign_made *out_made, struct err *err)
{
    const struct account account = acme(db);

    return campaign_create(db,
                           &(struct campaign_new){ .account = &account,
                                                   .definition = definition,
                                                   .reference = reference,
                                                   .kind = "campaign",
                                                   .lane = LANE_NORMAL,
                                                   .now_ms = NOW },
                           arena, out_made, err);
}

/* A plan is asked once for REST, AMQP and tumactl alike; a campaign that is there needs none. */
static void what_the_plan_lacks_is_refused(void **state)
{
    static const struct {
        const char *plan;
        enum lane lane;
        bool by_api, scheduled;
        const char *detail; /* NULL: it is created */
    } table[] = {
        { "starter", LANE_NORMAL, false, false, NULL },
        { "starter", LANE_NORMAL, true, false,
          "account: api_access is not in your plan; it is in business and enterprise" },
        { "starter", LANE_NORMAL, false, true,
          "scheduled_at: scheduled_sending is not in your plan; it is in business and enterprise" },
        { "business", LANE_NORMAL, true, true, NULL },
        { "business", LANE_HIGH, true, false,
          "priority: priority_sending is not in your plan; it is in enterprise" },
        { "enterprise", LANE_HIGH, true, true, NULL },
    };
    struct db *db = *state;
    const struct account account = acme(db);
    struct campaign_submitted definition = plain();
    struct campaign_made made;
    struct err err;

    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char sql[300];

        snprintf(sql, sizeof sql,
                 "DELETE FROM subscriptions; INSERT INTO subscriptions (id, account_id, plan,"
                 " reference, price_minor, currency, tokens, starts_at, ends_at)"
                 " VALUES (1, 1, '%s', 'x', 0, 'KES', 1, to_timestamp(%lld), 'infinity')",
                 table[i].plan, (long long)(NOW / 1000 - 60));
        script(db, sql);
        definition.scheduled_at = table[i].scheduled ? NOW + 3600000 : 0;
        const struct campaign_new new = { .account = &account,
                                          .definition = &definition,
                                          .reference = arena_printf(arena, "r%zu", i),
                                          .kind = "campaign",
                                          .lane = table[i].lane,
                                          .by_api = table[i].by_api,
                                          .now_ms = NOW };
        if (table[i].detail == NULL) {
            assert_ok(campaign_create(db, &new, arena, &made, &err));
        } else {
            assert_fails(campaign_create(db, &new, arena, &made, &err), ERR_PERMANENT,
                         "feature_not_in_plan");
            assert_string_equal(err.detail, table[i].detail);
        }
    }
    script(db, "UPDATE subscriptions SET ends_at = starts_at + interval '1 s'");
    definition.scheduled_at = 0;
    assert_ok(create(db, &definition, "r0", &made, &err));
    assert_true(made.existed);
    assert_fails(create(db, &definition, "new", &made, &err), ERR_PERMANENT, "feature_not_in_plan");
}

static void an_account_is_found_by_slug_id_or_email(void **state)
{
    struct db *db = *state;
    struct account account;
    struct err err;
    bool found;

    script(db, "UPDATE accounts SET default_sender = 'ACME', country = 'UG' WHERE id = 1;"
               "UPDATE accounts SET status = 'suspended' WHERE id = 2");
    for (int how = 0; how < 3; how++) {
        static const char *const slugs[] = { "acme", NULL, "acme@example.com" };

        assert_ok(account_find(db, slugs[how], how == 1 ? 1 : 0, arena, &account, &found, &err));
        assert_true(found);
        assert_int_equal(account.id, 1);
        assert_string_equal(account.slug, "acme");
        assert_string_equal(account.name, "Acme");
        assert_string_equal(account.email, "acme@example.com");
        assert_string_equal(account.country, "UG");
        assert_string_equal(account.default_sender, "ACME");
        assert_true(account.active);
    }
    assert_ok(account_find(db, "globex", 0, arena, &account, &found, &err));
    assert_true(found);
    assert_string_equal(account.default_sender, "");
    assert_false(account.active);
    assert_ok(account_find(db, "nobody", 0, arena, &account, &found, &err));
    assert_false(found);
    assert_ok(account_find(db, NULL, 99, arena, &account, &found, &err));
    assert_false(found);
    assert_ok(account_find(db, "nobody@example.com", 0, arena, &account, &found, &err));
    assert_false(found);
}

static void a_campaign_is_stored_as_it_was_defined(void **state)
{
    struct db *db = *state;
    struct campaign_submitted definition = plain();
    struct campaign_made made;
    struct err err;

    script(db, "INSERT INTO sender_ids VALUES (1, 'ACME')");
    definition.sender_id = "ACME";
    definition.missing = MISSING_DEFAULT;
    definition.missing_default = "friend";
    definition.keep_whitespace = true;
    definition.country = "TZ";
    definition.hold = true;
    definition.scheduled_at = NOW + MINUTE_MS;
    definition.expires_at = NOW + 2 * MINUTE_MS;
    assert_ok(create(db, &definition, "june", &made, &err));
    assert_false(made.existed);
    assert_int_equal(id_born_ms(made.id), NOW);
    assert_int_equal(number_of(db, "SELECT count(*) FROM campaigns WHERE account_id = 1"
                                   " AND reference = 'june' AND kind = 'campaign'"
                                   " AND channel = 'sms' AND status = 'receiving'"
                                   " AND title = 'June' AND message_template = 'Hi {{name}}'"
                                   " AND sender_id = 'ACME' AND lane = 'normal'"
                                   " AND missing = 'default' AND missing_default = 'friend'"
                                   " AND keep_whitespace AND country = 'TZ' AND hold"
                                   " AND extract(epoch FROM scheduled_at) = 1795000060"
                                   " AND extract(epoch FROM expires_at) = 1795000120"
                                   " AND extract(epoch FROM created_at) = 1795000000"),
                     1);
}

static void what_is_left_out_comes_from_the_account(void **state)
{
    struct db *db = *state;
    struct campaign_submitted definition = plain();
    struct campaign_made made;
    struct err err;

    script(db, "UPDATE accounts SET default_sender = 'ACME', country = 'UG' WHERE id = 1");
    definition.sender_id = "";
    definition.country = "";
    assert_ok(create(db, &definition, "june", &made, &err));
    assert_int_equal(number_of(db, "SELECT count(*) FROM campaigns WHERE sender_id = 'ACME'"
                                   " AND country = 'UG' AND missing = 'block'"
                                   " AND missing_default = '' AND NOT hold"
                                   " AND scheduled_at IS NULL AND expires_at IS NULL"),
                     1);
}

static void the_same_reference_is_the_same_campaign(void **state)
{
    struct db *db = *state;
    struct campaign_submitted definition = plain();
    struct campaign_made first, again;
    struct err err;
    int64_t id;

    assert_ok(create(db, &definition, "june", &first, &err));
    definition.message_template = "{{"; /* whatever it says now */
    script(db, "UPDATE accounts SET status = 'suspended'");
    assert_ok(create(db, &definition, "june", &again, &err));
    assert_true(again.existed);
    assert_int_equal(again.id, first.id);
    assert_ok(campaign_by_reference(db, 1, "june", &id, &err));
    assert_int_equal(id, first.id);
    assert_ok(campaign_by_reference(db, 2, "june", &id, &err));
    assert_int_equal(id, 0);
    assert_ok(campaign_by_reference(db, 1, "July", &id, &err));
    assert_int_equal(id, 0);
}

static void each_refusal_has_its_word_and_names_the_field(void **state)
{
    static const struct {
        struct campaign_submitted definition; /* title and template are added when missing */
        const char *what, *detail;
    } table[] = {
        { { .message_template = "" }, "template_empty", "message_template: " },
        { { .message_template = "Hi {{name" }, "template_unterminated", "message_template: " },
        { { .message_template = "Hi {{}}" }, "template_empty_field", "message_template: " },
        { { .message_template = "Hi }}" }, "template_stray_braces", "message_template: " },
        { { .message_template = "\xff" }, "template_bad_utf8", "message_template: " },
        { { .sender_id = "NOBODY" },
          "sender_id_unknown",
          "sender_id: 'NOBODY' is not yours; use one of ACME, SHARED" },
        { { .sender_id = "GLOBEX" }, "sender_id_unknown", "sender_id: 'GLOBEX' is not yours" },
        { { .country = "XX" }, "country_unknown", "country: 'XX' is not served; use one of " },
        { { .country = "ke" }, "country_unknown", "country: 'ke' is not served" },
        { { .scheduled_at = NOW - 61000 }, "schedule_in_past", "scheduled_at: 2026-11-18T" },
        { { .expires_at = NOW }, "expiry_too_early", "expires_at: " },
        { { .scheduled_at = NOW + MINUTE_MS, .expires_at = NOW + MINUTE_MS },
          "expiry_too_early",
          "expires_at: " },
    };
    struct db *db = *state;
    struct campaign_made made;
    struct err err;

    script(db, "INSERT INTO sender_ids VALUES (1, 'ACME'), (2, 'GLOBEX'), (NULL, 'SHARED')");
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct campaign_submitted definition = table[i].definition;

        definition.title = "June";
        if (!definition.message_template) {
            definition.message_template = "Hi";
        }
        assert_fails(create(db, &definition, "june", &made, &err), ERR_PERMANENT, table[i].what);
        if (strncmp(err.detail, table[i].detail, strlen(table[i].detail)) != 0) {
            fail_msg("'%s' instead of '%s…'", err.detail, table[i].detail);
        }
    }
    struct campaign_submitted without = { .title = "June" };
    assert_fails(create(db, &without, "june", &made, &err), ERR_PERMANENT, "template_empty");
    script(db, "UPDATE accounts SET status = 'closed' WHERE id = 1");
    struct campaign_submitted definition = plain();
    assert_fails(create(db, &definition, "june", &made, &err), ERR_PERMANENT, "account_not_active");
    assert_int_equal(number_of(db, "SELECT count(*) FROM campaigns"), 0);
}

static void what_is_just_allowed_is_allowed(void **state)
{
    static const struct campaign_submitted table[] = {
        { .scheduled_at = NOW - MINUTE_MS }, /* clocks differ */
        { .expires_at = NOW + 1 },
        { .scheduled_at = NOW + MINUTE_MS, .expires_at = NOW + MINUTE_MS + 1 },
        { .sender_id = "SHARED" },
        { .message_template = "No field, {one brace}, no harm" },
    };
    struct db *db = *state;
    struct campaign_made made;
    struct err err;

    script(db, "INSERT INTO sender_ids VALUES (NULL, 'SHARED')");
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct campaign_submitted definition = table[i];
        char reference[20];

        definition.title = "June";
        if (!definition.message_template) {
            definition.message_template = "Hi";
        }
        snprintf(reference, sizeof reference, "june %zu", i);
        assert_ok(create(db, &definition, reference, &made, &err));
        assert_false(made.existed);
    }
}

static void without_a_sender_of_its_own_an_account_is_told_so(void **state)
{
    struct campaign_submitted definition = plain();
    struct campaign_made made;
    struct err err;

    definition.sender_id = "ACME";
    assert_fails(create(*state, &definition, "june", &made, &err), ERR_PERMANENT,
                 "sender_id_unknown");
    assert_string_equal(err.detail, "sender_id: 'ACME' is not yours; register one or leave it out");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE(what_the_plan_lacks_is_refused),
        STORE(an_account_is_found_by_slug_id_or_email),
        STORE(a_campaign_is_stored_as_it_was_defined),
        STORE(what_is_left_out_comes_from_the_account),
        STORE(the_same_reference_is_the_same_campaign),
        STORE(each_refusal_has_its_word_and_names_the_field),
        STORE(what_is_just_allowed_is_allowed),
        STORE(without_a_sender_of_its_own_an_account_is_told_so),
    };

    return cmocka_run_group_tests_name("unit.campaign.store", tests, migrated_start, migrated_stop);
}
