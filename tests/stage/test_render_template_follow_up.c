/* render-template: a campaign and its follow-up are rendered and priced together, or not at all */
#include "render_template_scene.h"

#define BOTH                                                                                       \
    "\"title\":\"June\",\"channel\":\"voice\",\"message_template\":\"Hi {{name}}\","               \
    "\"follow_up\":{\"when\":[\"busy\"],\"message_template\":\"We called you, "                    \
    "{{name}}{{note|}}\"}"

static enum verdict partner_says(struct fake_stage *fake, const char *type, const char *json)
{
    return fake_stage_give(fake, &(struct fake_message){ .type = type,
                                                         .id = scene_message(),
                                                         .account = "acme",
                                                         .from_partner = true,
                                                         .json = json });
}

static int64_t first_of(struct fake_stage *fake)
{
    return fake_number(fake, "SELECT id FROM campaigns WHERE reference = 'june'");
}

static int64_t follow_up_of(struct fake_stage *fake)
{
    return fake_number(fake, "SELECT id FROM campaigns WHERE parent_id IS NOT NULL");
}

static const char *text_for(struct fake_stage *fake, int64_t id, int seq)
{
    return scene_text(fake, "SELECT text FROM recipients WHERE campaign_id = %lld AND seq = %d",
                      (long long)id, seq);
}

static void both_are_rendered_and_priced(void **state)
{
    struct fake_stage *fake = *state;
    struct campaign_event event;
    int64_t first, follow;

    fake_sql(fake, "INSERT INTO suppressions VALUES (1, 254712000003, 'stop')");
    assert_done(fake, partner_says(fake, SUBMITTED,
                                   "{\"reference\":\"june\"," BOTH ",\"hold\":true,\"chunks\":2}"));
    first = first_of(fake);
    follow = follow_up_of(fake);
    assert_done(fake,
                partner_says(fake, RECIPIENTS,
                             "{\"reference\":\"june\",\"chunk\":1,\"first_row\":1,"
                             "\"columns\":[\"phone\",\"name\",\"note\"],\"rows\":["
                             "[\"0712000001\",\"Asha\",\"\"],[\"0712000003\",\"Bo\",\"\"]]}"));
    assert_string_equal(scene_status(fake, follow), "receiving");
    assert_done(fake, partner_says(fake, RECIPIENTS,
                                   "{\"reference\":\"june\",\"chunk\":2,\"first_row\":3,"
                                   "\"columns\":[\"phone\",\"name\",\"note\"],\"rows\":["
                                   "[\"x\",\"Al\",\"\"],[\"0712000001\",\"Asha\",\"\"],"
                                   "[\"0712000004\",\"Cy\",\"\\u2713\"]]}"));
    fake_stage_read(fake, &campaign_changed_v1, 0, &event);
    assert_string_equal(event.status, "quoted");
    assert_int_equal(event.tokens, 4);
    assert_string_equal(scene_status(fake, first), "quoted");
    assert_string_equal(scene_status(fake, follow), "waiting");
    assert_int_equal(of(fake, follow, "(rendered_at IS NOT NULL)::int"), 1);
    for (int i = 0; i < 2; i++) {
        const int64_t id = i == 0 ? first : follow;

        assert_int_equal(of(fake, id, "planned * 100 + suppressed * 10 + segments"), 312);
        assert_int_equal(of(fake, id, "invalid * 10 + duplicates"), 11);
    }
    assert_int_equal(of(fake, first, "follow_segments"), 2);
    assert_string_equal(text_for(fake, first, 5), "Hi Cy");
    assert_string_equal(text_for(fake, follow, 1), "We called you, Asha");
    assert_string_equal(text_for(fake, follow, 5), "We called you, Cy\u2713");
}

static void a_field_that_the_follow_up_lacks_refuses_both(void **state)
{
    struct fake_stage *fake = *state;
    int64_t first;

    assert_done(fake, partner_says(fake, SUBMITTED,
                                   "{\"reference\":\"june\",\"title\":\"June\",\"channel\":"
                                   "\"voice\",\"message_template\":\"Hi\",\"follow_up\":"
                                   "{\"message_template\":\"Hi {{name}}\"},\"columns\":[\"phone\"],"
                                   "\"rows\":[[\"0712000001\"]]}"));
    first = first_of(fake);
    assert_string_equal(scene_status(fake, first), "refused");
    assert_int_equal(strncmp(detail_of(fake, first), "follow_up: ", 11), 0);
    assert_int_equal(fake_number(fake, "SELECT count(*) FROM recipients"), 0);
    assert_int_equal(of(fake, first, "follow_segments"), 0);
    /* reconcile-dlr ends it with the first. */
    assert_string_equal(scene_status(fake, follow_up_of(fake)), "receiving");
    assert_int_equal(fake_stage_emitted_of(fake, RENDERED), 0);
}

static void one_that_was_cancelled_meanwhile_is_neither_filled_nor_priced(void **state)
{
    struct fake_stage *fake = *state;
    int64_t first, follow;

    assert_done(fake, partner_says(fake, SUBMITTED, "{\"reference\":\"june\"," BOTH "}"));
    first = first_of(fake);
    follow = follow_up_of(fake);
    scene_sql(fake, "UPDATE campaigns SET status = 'cancelled' WHERE id = %lld", (long long)follow);
    assert_done(fake, partner_says(fake, RECIPIENTS,
                                   "{\"reference\":\"june\",\"chunk\":1,\"first_row\":1,"
                                   "\"columns\":[\"phone\",\"name\",\"note\"],\"rows\":["
                                   "[\"0712000001\",\"Asha\",\"\"]]}"));
    assert_done(fake, partner_says(fake, CLOSED, "{\"reference\":\"june\",\"chunks\":1}"));
    assert_string_equal(scene_status(fake, first), "reserving");
    assert_int_equal(of(fake, first, "segments * 10 + follow_segments"), 10);
    assert_string_equal(scene_status(fake, follow), "cancelled");
    assert_int_equal(of(fake, follow, "planned"), 0);
}

static void what_cannot_follow_is_rejected_with_the_first(void **state)
{
    struct fake_stage *fake = *state;

    assert_int_equal(partner_says(fake, SUBMITTED,
                                  "{\"reference\":\"june\",\"title\":\"t\",\"message_template\":"
                                  "\"x\",\"follow_up\":{\"when\":[\"busy\"],"
                                  "\"message_template\":\"x\"}}"),
                     STAGE_REJECT);
    assert_string_equal(fake_stage_why(fake), "follow_up_words");
    assert_int_equal(partner_says(fake, SUBMITTED,
                                  "{\"reference\":\"june\",\"title\":\"t\",\"message_template\":"
                                  "\"x\",\"follow_up\":{\"sender_id\":\"+254711000001\"}}"),
                     STAGE_REJECT);
    assert_string_equal(fake_stage_why(fake), "content_missing");
    assert_int_equal(fake_number(fake, "SELECT count(*) FROM campaigns"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(both_are_rendered_and_priced),
        SCENE(a_field_that_the_follow_up_lacks_refuses_both),
        SCENE(one_that_was_cancelled_meanwhile_is_neither_filled_nor_priced),
        SCENE(what_cannot_follow_is_rejected_with_the_first),
    };

    return cmocka_run_group_tests_name("stage.render-template.follow-up", tests, scene_start_server,
                                       scene_stop_server);
}
