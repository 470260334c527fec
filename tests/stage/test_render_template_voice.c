/* render-template: campaigns of calls, from a definition to what may be heard and what it may cost
 */
#include "campaign/voice.h"
#include "render_template_scene.h"

#define AUDIO "aud_0000000000007"

/* A campaign by voice that receives rows; said: "column = value, …" of its voice_campaigns. */
static int64_t ringing(struct fake_stage *fake, const char *text, const char *said)
{
    int64_t id = receiving(fake, text);

    scene_sql(fake, "UPDATE campaigns SET channel = 'voice' WHERE id = %lld", (long long)id);
    scene_sql(fake, "INSERT INTO voice_campaigns (campaign_id, tokens_per_minute) VALUES (%lld, 1)",
              (long long)id);
    if (*said != '\0') {
        scene_sql(fake, "UPDATE voice_campaigns SET %s WHERE campaign_id = %lld", said,
                  (long long)id);
    }
    return id;
}

static void put_audio(struct fake_stage *fake)
{
    fake_sql(fake,
             "INSERT INTO audio_assets VALUES (7, 1, sha256('x'), 'wav', 'a.wav', 1000, 61000,"
             " 8000, 1, now())");
}

static enum verdict partner_says(struct fake_stage *fake, const char *json)
{
    return fake_stage_give(fake, &(struct fake_message){ .type = SUBMITTED,
                                                         .id = scene_message(),
                                                         .account = "acme",
                                                         .from_partner = true,
                                                         .json = json });
}

static int64_t segments_of(struct fake_stage *fake, int64_t id, int seq)
{
    return scene_number(fake,
                        "SELECT segments FROM recipients WHERE campaign_id = %lld AND seq = %d",
                        (long long)id, seq);
}

static void a_sound_is_priced_once_and_no_text_is_kept(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id;

    put_audio(fake);
    id = ringing(fake, "", "audio_id = 7, audio_ms = 61000, tokens_per_minute = 3");
    fake_sql(fake, "INSERT INTO suppressions VALUES (1, 254712000002, 'stop')");
    assert_done(fake,
                give_chunk(fake, id, 1, 1, "[\"phone\",\"name\"]",
                           "[[\"0712000001\",\"A\"],[\"0712000002\",\"B\"],[\"0712000003\",\"\"],"
                           "[\"x\",\"C\"],[\"0712000001\",\"D\"]]"));
    assert_done(fake, give_close(fake, id, 1));
    assert_string_equal(scene_status(fake, id), "reserving");
    assert_int_equal(fake_stage_emitted_of(fake, RENDERED), 1);
    assert_int_equal(of(fake, id, "planned"), 3);
    assert_int_equal(of(fake, id, "suppressed"), 1);
    assert_int_equal(of(fake, id, "invalid"), 1);
    assert_int_equal(of(fake, id, "duplicates"), 1);
    assert_int_equal(segments_of(fake, id, 1), 6);
    assert_int_equal(of(fake, id, "segments"), 12);
    assert_int_equal(of(fake, id, "just_over"), 0);
    assert_int_equal(of(fake, id, "(text IS NULL)::int"), 1);
    assert_int_equal(scene_number(fake,
                                  "SELECT count(*) FROM recipients WHERE campaign_id = %lld"
                                  " AND text IS NULL",
                                  (long long)id),
                     3);
}

static void a_text_is_priced_by_the_time_it_takes_to_say(void **state)
{
    static const struct {
        const char *said;
        int chars, tokens;
    } table[] = {
        { "", 1, 1 },
        { "", 160, 1 }, /* 161 characters are two segments, and one minute */
        { "", 161, 1 },
        { "", 923, 1 },
        { "", 924, 2 }, /* of 65 ms each */
        { "tokens_per_minute = 5", 924, 10 },
        { "stop_key = '9', wait_s = 10", 769, 1 },
        { "stop_key = '9', wait_s = 10", 770, 2 },
        { "repeat_key = '1', repeats = 2, wait_s = 10", 400, 2 },
        { "below_percent = 50", 10, 2 },
    };
    struct fake_stage *fake = *state;

    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char text[1000] = "";
        char rows[1100];

        memset(text, 'a', (size_t)table[i].chars);
        int64_t shared = ringing(fake, text, table[i].said);
        int64_t each = ringing(fake, "{{text}}", table[i].said);
        snprintf(rows, sizeof rows, "[[\"0712000001\",\"%s\"]]", text);
        assert_done(fake, give_chunk(fake, shared, 1, 1, "[\"phone\",\"text\"]", rows));
        assert_done(fake, give_chunk(fake, each, 1, 1, "[\"phone\",\"text\"]", rows));
        assert_int_equal(segments_of(fake, shared, 1), table[i].tokens);
        assert_int_equal(segments_of(fake, each, 1), table[i].tokens);
        assert_int_equal(of(fake, each, "segments"), table[i].tokens);
        assert_int_equal(of(fake, each, "just_over"), 0);
        assert_int_equal(of(fake, shared, "just_over"), 0);
        assert_string_equal(
            scene_text(fake, "SELECT text FROM campaigns WHERE id = %lld", (long long)shared),
            text);
        assert_string_equal(scene_text(fake, "SELECT text FROM recipients WHERE campaign_id = %lld",
                                       (long long)each),
                            text);
    }
}

static void a_text_that_cannot_be_said_is_left_out_with_its_reason(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = ringing(fake, "{{text}}", "");
    static char rows[JSON_BYTES];
    static char text[1602];

    memset(text, 'a', sizeof text - 1);
    scene_sql(fake, "UPDATE campaigns SET missing = 'skip' WHERE id = %lld", (long long)id);
    snprintf(rows, sizeof rows,
             "[[\"0712000001\",\"Hi\"],[\"0712000002\",\"%s\"],[\"0712000003\",\"\\uffff\"],"
             "[\"0712000004\",\" \"]]",
             text);
    assert_done(fake, give_chunk(fake, id, 1, 1, "[\"phone\",\"text\"]", rows));
    assert_int_equal(of(fake, id, "planned"), 1);
    assert_int_equal(of(fake, id, "invalid"), 3);
    assert_string_equal(reject_of(fake, id, 2), "text_too_long");
    assert_string_equal(reject_of(fake, id, 3), "say_empty");
    assert_string_equal(reject_of(fake, id, 4), "missing_field");
    int64_t mute = ringing(fake, "\uffff", "");
    assert_done(fake, give_chunk(fake, mute, 1, 1, "[\"phone\"]", "[[\"0712000001\"]]"));
    assert_string_equal(scene_status(fake, mute), "refused");
    assert_string_equal(detail_of(fake, mute), "message_template: has nothing that can be spoken");
}

static void what_could_cost_more_than_a_row_holds_is_refused(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id;

    put_audio(fake);
    id = ringing(fake, "", "audio_id = 7, audio_ms = 20000000, tokens_per_minute = 100");
    assert_done(fake, give_chunk(fake, id, 1, 1, "[\"phone\"]", "[[\"0712000001\"]]"));
    assert_string_equal(scene_status(fake, id), "refused");
    assert_string_equal(detail_of(fake, id), "voice.audio: calls to one recipient could cost more "
                                             "than 32767 tokens; shorten what is heard");
    id = ringing(fake, "", "audio_id = 7, audio_ms = 19600000, tokens_per_minute = 100");
    assert_done(fake, give_chunk(fake, id, 1, 1, "[\"phone\"]", "[[\"0712000001\"]]"));
    assert_int_equal(segments_of(fake, id, 1), 32700);
}

static void a_partner_publishes_calls(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id;

    put_audio(fake);
    fake_sql(fake, "INSERT INTO sender_ids VALUES (1, '+254711000001')");
    assert_done(fake,
                partner_says(fake,
                             "{\"reference\":\"june\",\"title\":\"June\",\"channel\":\"voice\","
                             "\"sender_id\":\"+254711000001\",\"voice\":{\"audio\":\"" AUDIO
                             "\",\"attempts\":2,\"stop_key\":\"9\",\"answers\":{\"1\":\"Yes\"}},"
                             "\"hold\":true,\"columns\":[\"phone\"],\"rows\":[[\"0712000001\"]]}"));
    id = fake_number(fake, "SELECT id FROM campaigns WHERE reference = 'june'");
    assert_string_equal(scene_status(fake, id), "quoted");
    assert_string_equal(
        scene_text(fake, "SELECT channel || ' ' || sender_id FROM campaigns WHERE id = %lld",
                   (long long)id),
        "voice +254711000001");
    assert_string_equal(
        scene_text(fake,
                   "SELECT format('%%s %%s %%s %%s %%s', audio_id, audio_ms, attempts, stop_key,"
                   " answers) FROM voice_campaigns WHERE campaign_id = %lld",
                   (long long)id),
        "7 61000 2 9 {\"1\": \"Yes\"}");
    assert_int_equal(segments_of(fake, id, 1), 2);
    assert_done(fake,
                partner_says(fake, "{\"reference\":\"july\",\"title\":\"July\","
                                   "\"channel\":\"voice\",\"message_template\":\"Hi {{name}}\","
                                   "\"columns\":[\"phone\",\"name\"],"
                                   "\"rows\":[[\"0712000001\",\"Asha\"]]}"));
    id = fake_number(fake, "SELECT id FROM campaigns WHERE reference = 'july'");
    assert_string_equal(
        scene_text(fake, "SELECT text FROM recipients WHERE campaign_id = %lld", (long long)id),
        "Hi Asha");
}

static void what_cannot_be_a_campaign_of_calls_is_rejected(void **state)
{
    static const struct {
        const char *json, *why;
    } table[] = {
        { "{\"title\":\"t\",\"channel\":\"voice\"}", "content_missing" },
        { "{\"title\":\"t\",\"channel\":\"voice\",\"voice\":{\"audio\":\"" AUDIO "\"}}",
          "audio_unknown" },
        { "{\"title\":\"t\",\"channel\":\"voice\",\"message_template\":\"x\",\"voice\":"
          "{\"audio\":\"" AUDIO "\"}}",
          "content_twice" },
        { "{\"title\":\"t\",\"channel\":\"voice\",\"message_template\":\"x\",\"sender_id\":"
          "\"ACME\"}",
          "bad_caller_id" },
        { "{\"title\":\"t\",\"channel\":\"voice\",\"message_template\":\"x\",\"voice\":"
          "{\"stop_key\":\"x\"}}",
          "bad_key" },
        { "{\"title\":\"t\",\"channel\":\"voice\",\"message_template\":\"x\",\"voice\":"
          "{\"stop_key\":\"10\"}}",
          "bad_field" },
        { "{\"title\":\"t\",\"message_template\":\"x\",\"voice\":{\"wait_s\":5}}",
          "voice_without_calls" },
        { "{\"title\":\"t\",\"channel\":\"fax\",\"message_template\":\"x\"}", "bad_field" },
    };
    struct fake_stage *fake = *state;

    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        assert_int_equal(partner_says(fake, table[i].json), STAGE_REJECT);
        assert_string_equal(fake_stage_why(fake), table[i].why);
    }
    assert_int_equal(fake_number(fake, "SELECT count(*) FROM campaigns"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(a_sound_is_priced_once_and_no_text_is_kept),
        SCENE(a_text_is_priced_by_the_time_it_takes_to_say),
        SCENE(a_text_that_cannot_be_said_is_left_out_with_its_reason),
        SCENE(what_could_cost_more_than_a_row_holds_is_refused),
        SCENE(a_partner_publishes_calls),
        SCENE(what_cannot_be_a_campaign_of_calls_is_rejected),
    };

    return cmocka_run_group_tests_name("stage.render-template.voice", tests, scene_start_server,
                                       scene_stop_server);
}
