/* render-template: texts, prices and refusals of whole campaigns, also of those partners publish */
#include "render_template_scene.h"

__attribute__((format(printf, 3, 4))) static enum verdict
partner_says(struct fake_stage *fake, const char *type, const char *fmt, ...)
{
    static char json[JSON_BYTES];
    va_list args;

    va_start(args, fmt);
    vsnprintf(json, sizeof json, fmt, args);
    va_end(args);
    return fake_stage_give(fake, &(struct fake_message){ .type = type,
                                                         .id = scene_message(),
                                                         .json = json,
                                                         .account = "acme",
                                                         .from_partner = true });
}

static const char *text_of(struct fake_stage *fake, int64_t id, int seq)
{
    return scene_text(fake,
                      "SELECT coalesce(r.text, c.text) FROM recipients r"
                      "  JOIN campaigns c ON c.id = r.campaign_id"
                      " WHERE r.campaign_id = %lld AND r.seq = %d",
                      (long long)id, seq);
}

static void a_missing_value_is_handled_as_the_campaign_says(void **state)
{
    static const struct {
        const char *policy, *fallback, *message_template, *cell;
        const char *text;   /* of the recipient, or NULL */
        const char *reason; /* of the reject, or NULL */
        const char *detail; /* of the refused campaign, or NULL */
    } table[] = {
        { "block", "", "Hi {{name}}", "Asha", "Hi Asha", NULL, NULL },
        { "block", "", "Hi {{name}}", " ", NULL, NULL, "row 2: " },
        { "block", "", "Hi {{name|friend}}", "", "Hi friend", NULL, NULL },
        { "skip", "", "Hi {{name}}", "", NULL, "missing_field", NULL },
        { "skip", "", "Hi {{name}}", "Asha", "Hi Asha", NULL, NULL },
        { "default", "you", "Hi {{name}}", "", "Hi you", NULL, NULL },
        { "default", "", "Hi {{name}}", "", "Hi", NULL, NULL },
        { "default", "you", "Hi {{name|friend}}", "", "Hi friend", NULL, NULL },
        { "default", "", "{{name}}", "", NULL, "text_empty", NULL },
    };
    struct fake_stage *fake = *state;

    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        int64_t id = receiving(fake, table[i].message_template);
        char rows[200];

        scene_sql(fake,
                  "UPDATE campaigns SET missing = '%s', missing_default = '%s'"
                  " WHERE id = %lld",
                  table[i].policy, table[i].fallback, (long long)id);
        snprintf(rows, sizeof rows, "[[\"0712000001\",\"Juma\"],[\"0712000002\",\"%s\"]]",
                 table[i].cell);
        assert_done(fake, give_chunk(fake, id, 1, 1, "[\"phone\",\"name\"]", rows));
        if (table[i].detail) {
            assert_string_equal(scene_status(fake, id), "refused");
            assert_int_equal(strncmp(detail_of(fake, id), table[i].detail, 7), 0);
            assert_int_equal(of(fake, id, "planned"), 0);
            assert_int_equal(fake_stage_emitted_of(fake, CHANGED), 1);
            continue;
        }
        assert_string_equal(scene_status(fake, id), "receiving");
        assert_string_equal(text_of(fake, id, 2), table[i].text ? table[i].text : "");
        assert_string_equal(reject_of(fake, id, 2), table[i].reason ? table[i].reason : "");
        assert_int_equal(of(fake, id, "invalid"), table[i].reason != NULL);
    }
}

static void a_campaign_that_cannot_be_is_refused_whole_with_the_reason(void **state)
{
    static const struct {
        const char *message_template, *columns, *rows, *detail;
    } table[] = {
        { "Hi {{nmae}}", "[\"phone\",\"name\"]", "[[\"0712000001\",\"Asha\"]]", "nmae" },
        { "Hello", "[\"name\"]", "[[\"Asha\"]]", "columns: no phone column" },
        { "Hello", "[\"phone\",\"name\"]", "[[\"0712000001\"]]", "rows: 1 cells" },
        { "Hello", "[\"phone\"]", "[[\"0712000001\",\"Asha\"]]", "rows: 2 cells" },
    };
    struct fake_stage *fake = *state;

    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        int64_t id = receiving(fake, table[i].message_template);
        struct campaign_event event;

        assert_done(fake, give_chunk(fake, id, 1, 1, table[i].columns, table[i].rows));
        assert_string_equal(scene_status(fake, id), "refused");
        assert_non_null(strstr(detail_of(fake, id), table[i].detail));
        assert_int_equal(fake_stage_emitted(fake), 1);
        fake_stage_read(fake, &campaign_changed_v1, 0, &event);
        assert_string_equal(event.status, "refused");
        assert_string_equal(event.detail, detail_of(fake, id));
        assert_string_equal(event.campaign, scene_name(id));
        assert_int_equal(scene_number(fake,
                                      "SELECT count(*) FROM recipients WHERE campaign_id = %lld",
                                      (long long)id),
                         0);
        /* What still comes of it changes nothing any more. */
        assert_done(fake, give_chunk(fake, id, 2, 2, "[\"phone\"]", "[[\"0712000009\"]]"));
        assert_done(fake, give_close(fake, id, 1));
        assert_string_equal(scene_status(fake, id), "refused");
        assert_int_equal(fake_stage_emitted_of(fake, RENDERED), 0);
    }
}

static void a_campaign_on_hold_stops_at_its_quote(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = receiving(fake, "Hello");
    struct campaign_event event;

    scene_sql(fake, "UPDATE campaigns SET hold = true WHERE id = %lld", (long long)id);
    assert_done(fake, give_close(fake, id, 1));
    assert_done(fake,
                give_chunk(fake, id, 1, 1, "[\"phone\"]", "[[\"0712000001\"],[\"0712000002\"]]"));
    assert_string_equal(scene_status(fake, id), "quoted");
    assert_int_equal(fake_stage_emitted(fake), 1);
    fake_stage_read(fake, &campaign_changed_v1, 0, &event);
    assert_string_equal(event.status, "quoted");
    assert_int_equal(event.planned, 2);
    assert_int_equal(event.tokens, 2);
}

static void a_campaign_without_a_recipient_left_is_complete(void **state)
{
    static const char *const rows[] = { "[[\"nobody\"]]", "[[\"0712000001\"]]", "[]" };
    struct fake_stage *fake = *state;

    fake_sql(fake, "INSERT INTO suppressions VALUES (1, 254712000001, 'stop')");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int64_t id = receiving(fake, "Hello");
        struct campaign_event event;

        scene_sql(fake, "UPDATE campaigns SET hold = %s WHERE id = %lld", i == 0 ? "true" : "false",
                  (long long)id);
        assert_done(fake, give_chunk(fake, id, 1, 1, "[\"phone\"]", rows[i]));
        assert_done(fake, give_close(fake, id, 1));
        assert_string_equal(scene_status(fake, id), "completed");
        assert_int_equal(fake_stage_emitted(fake), 1);
        fake_stage_read(fake, &campaign_completed_v1, 0, &event);
        assert_string_equal(event.status, "completed");
        assert_string_equal(event.detail, "no recipient was left to send to");
        assert_int_equal(event.invalid, i == 0);
        assert_int_equal(event.suppressed, i == 1);
    }
    int64_t none = receiving(fake, "Hello");
    assert_done(fake, give_close(fake, none, 0));
    assert_string_equal(scene_status(fake, none), "completed");
}

static void a_partner_publishes_a_campaign_with_its_rows(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id;

    assert_done(fake,
                partner_says(fake, SUBMITTED,
                             "{\"reference\":\"june\",\"title\":\"June\",\"message_template\":"
                             "\"Hi {{name}}\",\"sender_id\":\"ACME\",\"columns\":[\"Name\","
                             "\"Phone Number\"],\"rows\":[[\"Asha\",\"0712000001\"]]}"));
    assert_int_equal(fake_stage_emitted_of(fake, RENDERED), 1);
    id = fake_number(fake, "SELECT id FROM campaigns WHERE reference = 'june' AND account_id = 1");
    assert_string_equal(text_of(fake, id, 1), "Hi Asha");
    assert_string_equal(
        scene_text(fake, "SELECT sender_id FROM campaigns WHERE id = %lld", (long long)id), "ACME");
    /* The same reference is the same campaign, whatever else is said. */
    assert_done(fake,
                partner_says(fake, SUBMITTED,
                             "{\"reference\":\"june\",\"title\":\"Other\",\"message_template\":"
                             "\"Bye\",\"columns\":[\"phone\"],\"rows\":[[\"0712000002\"]]}"));
    assert_int_equal(fake_number(fake, "SELECT count(*) FROM campaigns"), 1);
    assert_int_equal(of(fake, id, "planned"), 1);
    /* Without a reference the message id is it. */
    assert_done(fake, fake_stage_give(fake, &(struct fake_message){
                                                .type = SUBMITTED,
                                                .id = "partners-own-17",
                                                .account = "acme",
                                                .from_partner = true,
                                                .json = "{\"title\":\"t\",\"message_template\":"
                                                        "\"Bye\",\"columns\":[\"phone\"],"
                                                        "\"rows\":[[\"0712000002\"]]}" }));
    assert_int_equal(
        fake_number(fake, "SELECT planned FROM campaigns WHERE reference = 'partners-own-17'"), 1);
    assert_int_equal(fake_number(fake, "SELECT count(*) FROM campaigns"), 2);
}

static void a_partner_publishes_chunks_by_its_own_reference(void **state)
{
    struct fake_stage *fake = *state;
    int64_t stranger = receiving(fake, "Hello");

    scene_sql(fake, "UPDATE campaigns SET account_id = 2 WHERE id = %lld", (long long)stranger);
    assert_int_equal(partner_says(fake, RECIPIENTS,
                                  "{\"reference\":\"july\",\"chunk\":1,\"first_row\":1,\"columns\":"
                                  "[\"phone\"],\"rows\":[[\"0712000001\"]]}"),
                     STAGE_RETRY); /* the definition is still on its way */
    assert_string_equal(fake_stage_why(fake), "campaign_unknown");
    assert_int_equal(partner_says(fake, CLOSED, "{\"reference\":\"july\",\"chunks\":1}"),
                     STAGE_RETRY);
    assert_done(
        fake, partner_says(fake, SUBMITTED,
                           "{\"reference\":\"july\",\"title\":\"t\",\"message_template\":\"Hi\"}"));
    assert_int_equal(fake_stage_emitted(fake), 0);
    assert_done(fake,
                partner_says(fake, RECIPIENTS,
                             "{\"reference\":\"july\",\"chunk\":1,\"first_row\":1,\"columns\":"
                             "[\"phone\"],\"rows\":[[\"0712000001\"]]}"));
    assert_done(fake, partner_says(fake, CLOSED, "{\"reference\":\"july\",\"chunks\":1}"));
    assert_int_equal(fake_stage_emitted_of(fake, RENDERED), 1);
    /* It cannot name a row of the platform, its own or another's. */
    assert_int_equal(partner_says(fake, RECIPIENTS,
                                  "{\"campaign\":\"%s\",\"chunk\":1,\"first_row\":1,\"columns\":"
                                  "[\"phone\"],\"rows\":[[\"0712000001\"]]}",
                                  scene_name(stranger)),
                     STAGE_REJECT);
    assert_string_equal(fake_stage_why(fake), "no_reference");
    assert_int_equal(of(fake, stranger, "rows_received"), 0);
}

static void what_a_partner_cannot_publish_is_rejected_with_the_reason(void **state)
{
    static const struct {
        const char *json, *why;
    } table[] = {
        { "{\"title\":\"t\",\"message_template\":\"Hi {{\"}", "template_unterminated" },
        { "{\"title\":\"t\",\"message_template\":\"Hi\",\"sender_id\":\"GLOBEX\"}",
          "sender_id_unknown" },
        { "{\"title\":\"t\",\"message_template\":\"Hi\",\"country\":\"XX\"}", "country_unknown" },
        { "{\"title\":\"t\",\"message_template\":\"Hi\",\"scheduled_at\":\"2026-01-01T00:00:00Z\"}",
          "schedule_in_past" },
        { "{\"title\":\"t\",\"message_template\":\"Hi\",\"expires_at\":\"2026-01-01T00:00:00Z\"}",
          "expiry_too_early" },
        { "{\"message_template\":\"Hi\"}", "bad_field" },
        { "{\"title\":\"t\"}", "template_empty" },
        { "{\"title\":\"t\",\"channel\":\"fax\"}", "bad_field" },
        { "nonsense", "bad_json" },
    };
    struct fake_stage *fake = *state;

    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        assert_int_equal(partner_says(fake, SUBMITTED, "%s", table[i].json), STAGE_REJECT);
        assert_string_equal(fake_stage_why(fake), table[i].why);
    }
    fake_sql(fake, "INSERT INTO subscriptions (id, account_id, plan, reference, price_minor,"
                   " currency, tokens, starts_at, ends_at)"
                   " VALUES (1, 1, 'starter', 'x', 0, 'KES', 1, now(), 'infinity')");
    assert_int_equal(partner_says(fake, SUBMITTED, "{\"title\":\"t\",\"message_template\":\"Hi\"}"),
                     STAGE_REJECT);
    assert_string_equal(fake_stage_why(fake), "feature_not_in_plan");
    fake_sql(fake, "UPDATE accounts SET status = 'suspended' WHERE id = 1");
    assert_int_equal(partner_says(fake, SUBMITTED, "{\"title\":\"t\",\"message_template\":\"Hi\"}"),
                     STAGE_REJECT);
    assert_string_equal(fake_stage_why(fake), "account_not_active");
    assert_int_equal(fake_number(fake, "SELECT count(*) FROM campaigns"), 0);
}

static void the_price_is_the_sum_of_the_segments_of_the_frozen_texts(void **state)
{
    static const struct {
        const char *unit;
        int times, segments;
    } table[] = {
        { "a", 1, 1 },           { "a", 160, 1 },     { "a", 161, 2 },     { "a", 306, 2 },
        { "a", 307, 3 },         { "[", 80, 1 },      { "[", 81, 2 },      { "\u00e9", 160, 1 },
        { "\u20ac", 80, 1 },     { "\u0416", 70, 1 }, { "\u0416", 71, 2 }, { "\U0001F600", 35, 1 },
        { "\U0001F600", 36, 2 },
    };
    struct fake_stage *fake = *state;
    int64_t id = receiving(fake, "{{text}}");
    size_t count = sizeof table / sizeof *table;
    int64_t sum = 0;

    for (size_t i = 0; i < count; i++) {
        char text[2000] = "";
        char rows[2200];

        for (int n = 0; n < table[i].times; n++) {
            strcat(text, table[i].unit);
        }
        snprintf(rows, sizeof rows, "[[\"07120000%02zu\",\"%s\"]]", i, text);
        assert_done(fake,
                    give_chunk(fake, id, (int)i + 1, (int)i + 1, "[\"phone\",\"text\"]", rows));
        assert_int_equal(scene_number(fake,
                                      "SELECT segments FROM recipients"
                                      " WHERE campaign_id = %lld AND seq = %zu",
                                      (long long)id, i + 1),
                         table[i].segments);
        assert_string_equal(text_of(fake, id, (int)i + 1), text);
        sum += table[i].segments;
    }
    assert_int_equal(of(fake, id, "segments"), sum);
    assert_int_equal(of(fake, id, "just_over"), 5); /* 161, 307, 162, 71 and 72 units */
}

static void texts_just_over_a_segment_are_counted_once_for_each_who_gets_one(void **state)
{
    static const struct {
        int length, just_over;
    } table[] = { { 160, 0 }, { 161, 2 }, { 170, 2 }, { 171, 0 }, { 306, 0 }, { 316, 2 } };
    struct fake_stage *fake = *state;

    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char text[400] = "";
        char rows[200];

        memset(text, 'a', (size_t)table[i].length);
        int64_t id = receiving(fake, text);
        /* The second number is there twice, the third is none. */
        snprintf(rows, sizeof rows,
                 "[[\"071300001%zu\"],[\"071300002%zu\"],[\"071300002%zu\"],[\"1\"]]", i, i, i);
        assert_done(fake, give_chunk(fake, id, 1, 1, "[\"phone\"]", rows));
        assert_int_equal(of(fake, id, "just_over"), table[i].just_over);
    }
}

static void a_text_without_fields_is_kept_once(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = receiving(fake, "  Hello   there ");

    assert_done(fake,
                give_chunk(fake, id, 1, 1, "[\"phone\"]", "[[\"0712000001\"],[\"0712000002\"]]"));
    assert_string_equal(
        scene_text(fake, "SELECT text FROM campaigns WHERE id = %lld", (long long)id),
        "Hello there");
    assert_int_equal(scene_number(fake,
                                  "SELECT count(*) FROM recipients"
                                  " WHERE campaign_id = %lld AND text IS NULL",
                                  (long long)id),
                     2);
    id = receiving(fake, "  Hello   there ");
    scene_sql(fake, "UPDATE campaigns SET keep_whitespace = true WHERE id = %lld", (long long)id);
    assert_done(fake, give_chunk(fake, id, 1, 1, "[\"phone\"]", "[[\"0712000001\"]]"));
    assert_string_equal(
        scene_text(fake, "SELECT text FROM campaigns WHERE id = %lld", (long long)id),
        "  Hello   there ");
}

static void a_message_that_names_no_campaign_waits_or_is_parked(void **state)
{
    struct fake_stage *fake = *state;

    assert_int_equal(give_close(fake, scene_id(), 1), STAGE_RETRY);
    assert_string_equal(fake_stage_why(fake), "campaign_unknown");
    assert_int_equal(say(fake, CLOSED, "{\"chunks\":1}"), STAGE_REJECT);
    assert_string_equal(fake_stage_why(fake), "no_reference");
    assert_int_equal(say(fake, CLOSED, "{\"reference\":\"x\",\"chunks\":1}"), STAGE_REJECT);
    assert_string_equal(fake_stage_why(fake), "account_unknown");
    assert_int_equal(say(fake, CLOSED, "{\"reference\":\"x\",\"chunks\":-1}"), STAGE_REJECT);
    assert_string_equal(fake_stage_why(fake), "bad_field");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(a_missing_value_is_handled_as_the_campaign_says),
        SCENE(a_campaign_that_cannot_be_is_refused_whole_with_the_reason),
        SCENE(a_campaign_on_hold_stops_at_its_quote),
        SCENE(a_campaign_without_a_recipient_left_is_complete),
        SCENE(a_partner_publishes_a_campaign_with_its_rows),
        SCENE(a_partner_publishes_chunks_by_its_own_reference),
        SCENE(what_a_partner_cannot_publish_is_rejected_with_the_reason),
        SCENE(the_price_is_the_sum_of_the_segments_of_the_frozen_texts),
        SCENE(texts_just_over_a_segment_are_counted_once_for_each_who_gets_one),
        SCENE(a_text_without_fields_is_kept_once),
        SCENE(a_message_that_names_no_campaign_waits_or_is_parked),
    };

    return cmocka_run_group_tests_name("stage.render-template.campaigns", tests, scene_start_server,
                                       scene_stop_server);
}
