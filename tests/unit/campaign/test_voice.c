/* lib/campaign/voice: what is said of calls, checked once, stored, and what it may cost */
#include "base/id.h"
#include "campaign/store.h"
#include "campaign/voice.h"
#include "migrated.h"

#define NOW INT64_C(1795000000000)
#define ARENA_BYTES (16u << 20)
#define ASSET 7

static struct arena *arena;

static int open_voice(void **state)
{
    int done = migrated_open(state);

    arena = arena_create(ARENA_BYTES);
    script(*state,
           "TRUNCATE audio_assets CASCADE;"
           "INSERT INTO audio_assets SELECT 6 + n, n, sha256(n::text::bytea), 'wav', 'a.wav',"
           " 1000, 12500, 8000, 1, now() FROM generate_series(1, 2) AS s(n);"
           "INSERT INTO sender_ids VALUES (1, 'ACME'), (1, '+254711000001'),"
           " (2, '+254711000002'), (NULL, '+254711000003')");
    return done;
}

static int close_voice(void **state)
{
    arena_destroy(arena);
    return migrated_close(state);
}

#define VOICE(test) cmocka_unit_test_setup_teardown(test, open_voice, close_voice)

static const char *asset_name(int64_t id)
{
    char *name = arena_alloc(arena, ID_TEXT_BYTES);

    id_format("aud", id, name);
    return name;
}

static bool create(struct db *db, const struct campaign_submitted *definition,
                   const char *reference, struct campaign_made *out_made, struct err *err)
{
    struct account account;
    bool found;

    if (!account_find(db, "acme", 0, arena, &account, &found, err)) {
        return false;
    }
    return campaign_create(db,
                           &(struct campaign_new){ .account = &account,
                                                   .definition = definition,
                                                   .reference = reference,
                                                   .kind = "campaign",
                                                   .lane = LANE_NORMAL,
                                                   .now_ms = NOW },
                           arena, out_made, err);
}

static struct campaign_submitted spoken(void)
{
    return (struct campaign_submitted){ .title = "June",
                                        .channel = CHANNEL_VOICE,
                                        .message_template = "Hi {{name}}" };
}

static struct voice load(struct db *db, int64_t id)
{
    struct voice voice;
    struct err err;
    bool found;

    assert_ok(voice_load(db, id, arena, &voice, &found, &err));
    assert_true(found);
    return voice;
}

static void what_is_left_out_is_filled_in(void **state)
{
    struct db *db = *state;
    struct campaign_submitted definition = spoken();
    struct campaign_made made;
    struct err err;

    script(db, "UPDATE accounts SET default_sender = 'ACME' WHERE id = 1");
    assert_ok(create(db, &definition, "plain", &made, &err));
    struct voice voice = load(db, made.id);
    assert_int_equal(voice.audio, 0);
    assert_int_equal(voice.audio_ms, 0);
    assert_int_equal(voice.attempts, 0);
    assert_int_equal(voice.retry_s, 0);
    assert_int_equal(voice.repeats, 0);
    assert_int_equal(voice.repeat_key, 0);
    assert_int_equal(voice.stop_key, 0);
    assert_int_equal(voice.answers.count, 0);
    assert_int_equal(voice.wait_s, 10);
    assert_string_equal(voice.say_voice, "");
    assert_string_equal(voice.thanks, "");
    assert_string_equal(voice.stopped, "");
    assert_int_equal(voice.tokens_per_minute, 1);
    /* The account's own sender is a word; a call comes from a number. */
    assert_int_equal(number_of(db, "SELECT count(*) FROM campaigns WHERE channel = 'voice'"
                                   " AND sender_id = '' AND message_template = 'Hi {{name}}'"),
                     1);
    definition.voice = (struct campaign_voice){
        .repeat_key = "*",
        .stop_key = "#",
        .answers = { 1, (const char *[]){ "1" }, (const char *[]){ "Yes" } },
    };
    assert_ok(create(db, &definition, "keys", &made, &err));
    voice = load(db, made.id);
    assert_int_equal(voice.repeats, 1);
    assert_string_equal(voice.thanks, "Thank you. Goodbye.");
    assert_string_equal(voice.stopped, "You will not be called again. Goodbye.");
    definition.voice.thanks = definition.voice.stopped = "";
    assert_ok(create(db, &definition, "silent", &made, &err));
    voice = load(db, made.id);
    assert_string_equal(voice.thanks, "");
    assert_string_equal(voice.stopped, "");
}

static void what_is_given_is_stored(void **state)
{
    struct db *db = *state;
    const struct campaign_submitted definition = {
        .title = "June",
        .channel = CHANNEL_VOICE,
        .message_template = "",
        .sender_id = "+254711000001",
        .voice = { .audio = asset_name(ASSET),
                   .say_voice = "en-KE-Standard-A",
                   .attempts = 4,
                   .retry_after_s = 90,
                   .below_percent = 60,
                   .repeat_key = "3",
                   .repeats = 2,
                   .stop_key = "9",
                   .answers = { 2, (const char *[]){ "1", "2" }, (const char *[]){ "Yes", "No" } },
                   .wait_s = 5,
                   .thanks = "Asante",
                   .stopped = "Kwaheri" },
    };
    struct campaign_made made;
    struct err err;

    script(db, "INSERT INTO subscriptions (id, account_id, plan, reference, price_minor, currency,"
               " tokens, starts_at, ends_at)"
               " VALUES (1, 1, 'business', 'x', 0, 'KES', 1, '2020-01-01', 'infinity');"
               "UPDATE plans SET tokens_per_minute = 3 WHERE code = 'business'");
    assert_ok(create(db, &definition, "june", &made, &err));
    const struct voice voice = load(db, made.id);
    assert_int_equal(voice.audio, ASSET);
    assert_int_equal(voice.audio_ms, 12500);
    assert_string_equal(voice.say_voice, "en-KE-Standard-A");
    assert_int_equal(voice.attempts, 4);
    assert_int_equal(voice.retry_s, 90);
    assert_int_equal(voice.below_percent, 60);
    assert_int_equal(voice.repeat_key, '3');
    assert_int_equal(voice.repeats, 2);
    assert_int_equal(voice.stop_key, '9');
    assert_int_equal(voice.answers.count, 2);
    assert_true(voice_is_answer(&voice, '2'));
    assert_false(voice_is_answer(&voice, '3'));
    assert_int_equal(voice.wait_s, 5);
    assert_string_equal(voice.thanks, "Asante");
    assert_string_equal(voice.stopped, "Kwaheri");
    assert_int_equal(voice.tokens_per_minute, 3);
    script(db, "UPDATE plans SET tokens_per_minute = 1 WHERE code = 'business'");
    assert_int_equal(load(db, made.id).tokens_per_minute, 3); /* as agreed */
    assert_int_equal(number_of(db, "SELECT count(*) FROM campaigns WHERE channel = 'voice'"
                                   " AND sender_id = '+254711000001' AND message_template = ''"),
                     1);
}

#define KEYS(...)                                                                                  \
    (const char *[])                                                                               \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }

static void each_refusal_has_its_word_and_names_the_field(void **state)
{
    const struct {
        struct campaign_submitted definition; /* a text is added unless it has an audio */
        const char *what, *detail;
    } table[] = {
        { { .message_template = "" }, "content_missing", "message_template: there is nothing" },
        { { .message_template = "x", .voice.audio = asset_name(ASSET) },
          "content_twice",
          "voice.audio: is given beside a text" },
        { { .voice.audio = asset_name(ASSET + 1) }, /* another account's */
          "audio_unknown",
          "voice.audio: 'aud_0000000000008' is no audio asset of yours" },
        { { .voice.audio = "aud_" }, "audio_unknown", "voice.audio: 'aud_' is no" },
        { { .voice.audio = "cmp_0000000000007" }, "audio_unknown", "voice.audio: 'cmp_" },
        { { .message_template = "Hi {{name" }, "template_unterminated", "message_template: " },
        { { .message_template = "\xc2\x85" }, "say_empty", "message_template: has nothing" },
        { { .voice.say_voice = "a b" }, "bad_voice", "voice.say_voice: is no voice" },
        { { .sender_id = "ACME" }, "bad_caller_id", "sender_id: 'ACME' is no number with +" },
        { { .sender_id = "254711000001" }, "bad_caller_id", "sender_id: '254711000001' is" },
        { { .sender_id = "+054711000001" }, "bad_caller_id", "sender_id: " },
        { { .sender_id = "+254711" }, "bad_caller_id", "sender_id: " },
        { { .sender_id = "+25471100000x" }, "bad_caller_id", "sender_id: " },
        { { .sender_id = "+254711000002" },
          "caller_id_unknown",
          "sender_id: '+254711000002' is not yours; use one of +254711000001, +254711000003" },
        { { .voice.repeat_key = "a" }, "bad_key", "voice.repeat_key: 'a' is no key" },
        { { .voice.stop_key = "10" }, "bad_key", "voice.stop_key: '10' is no key" },
        { { .voice.answers = { 1, KEYS(""), KEYS("Yes") } }, "bad_key", "voice.answers: '' is no" },
        { { .voice.answers = { 1, KEYS("x"), KEYS("Yes") } }, "bad_key", "voice.answers: 'x'" },
        { { .voice = { .repeat_key = "1", .stop_key = "1" } },
          "key_twice",
          "voice.stop_key: the key 1 has another meaning" },
        { { .voice = { .repeat_key = "1", .answers = { 1, KEYS("1"), KEYS("Yes") } } },
          "key_twice",
          "voice.answers: the key 1" },
        { { .voice = { .stop_key = "*", .answers = { 2, KEYS("1", "*"), KEYS("Yes", "No") } } },
          "key_twice",
          "voice.answers: the key *" },
        { { .voice.answers = { 1, KEYS("1"), KEYS("") } },
          "label_empty",
          "voice.answers: the key" },
        { { .voice.answers = { 1, KEYS("1"), KEYS(" \t") } }, "label_empty", "voice.answers: " },
        { { .voice.repeats = 2 }, "no_repeat_key", "voice.repeats: there is no key" },
        { { .voice.thanks = "x" }, "no_answers", "voice.thanks: is said after" },
        { { .voice = { .stop_key = "9", .thanks = "x" } }, "no_answers", "voice.thanks: " },
        { { .voice.stopped = "x" }, "no_stop_key", "voice.stopped: is said after" },
        { { .voice.wait_s = 5 }, "no_keys", "voice.wait_s: there is no key" },
        { { .voice = { .stop_key = "9", .stopped = " " } }, "say_empty", "voice.stopped: has" },
        { { .channel = CHANNEL_SMS, .message_template = "x", .voice.wait_s = 5 },
          "voice_without_calls",
          "voice: is for calls" },
        { { .channel = CHANNEL_SMS, .message_template = "x", .voice.audio = asset_name(ASSET) },
          "voice_without_calls",
          "voice: is for calls" },
    };
    struct db *db = *state;
    struct campaign_made made;
    struct err err;

    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct campaign_submitted definition = table[i].definition;

        definition.title = "June";
        if (strcmp(table[i].what, "voice_without_calls") != 0) {
            definition.channel = CHANNEL_VOICE;
        }
        if (definition.message_template == NULL && definition.voice.audio == NULL) {
            definition.message_template = "Hi";
        }
        if (create(db, &definition, "june", &made, &err)) {
            fail_msg("made in spite of '%s'", table[i].detail);
        }
        assert_string_equal(err.what, table[i].what);
        assert_int_equal(err.kind, ERR_PERMANENT);
        if (strncmp(err.detail, table[i].detail, strlen(table[i].detail)) != 0) {
            fail_msg("'%s' instead of '%s…'", err.detail, table[i].detail);
        }
    }
    assert_int_equal(number_of(db, "SELECT count(*) FROM campaigns"), 0);
}

static void every_part_of_calls_is_noticed_in_an_sms(void **state)
{
    static const struct campaign_voice table[] = {
        { .audio = "aud_x" },   { .say_voice = "man" }, { .attempts = 1 },
        { .retry_after_s = 1 }, { .below_percent = 1 }, { .repeat_key = "1" },
        { .repeats = 1 },       { .stop_key = "1" },    { .answers = { .count = 1 } },
        { .wait_s = 1 },        { .thanks = "x" },      { .stopped = "x" },
    };
    struct campaign_submitted definition = { .voice = { .audio = "", .thanks = "" } };
    struct err err;

    (void)state;
    assert_ok(voice_check_none(&definition, &err)); /* what a publisher leaves empty is not said */
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        definition.voice = table[i];
        assert_fails(voice_check_none(&definition, &err), ERR_PERMANENT, "voice_without_calls");
    }
}

static void an_audio_that_a_campaign_names_cannot_go(void **state)
{
    struct db *db = *state;
    struct campaign_submitted definition = spoken();
    struct campaign_made made;
    struct err err;
    static const struct db_statement remove = { "remove", "DELETE FROM audio_assets", 0 };

    definition.message_template = NULL;
    definition.voice.audio = asset_name(ASSET);
    assert_ok(create(db, &definition, "june", &made, &err));
    assert_fails(db_run(db, &remove, NULL, NULL, &err), ERR_PERMANENT, "pg_foreign_key_violation");
}

static void many_are_loaded_at_once(void **state)
{
    struct db *db = *state;
    struct campaign_submitted definition = spoken();
    struct campaign_submitted sms = { .title = "June", .message_template = "Hi" };
    struct campaign_made first, second, third;
    const struct voice *voices[4];
    struct campaign_view *views;
    struct err err;
    int count;

    definition.voice.say_voice = "man";
    assert_ok(create(db, &definition, "a", &first, &err));
    assert_ok(create(db, &sms, "b", &second, &err));
    definition.voice.say_voice = "woman";
    assert_ok(create(db, &definition, "c", &third, &err));
    assert_ok(voice_load_all(db, (int64_t[]){ third.id, second.id, 1, first.id }, 4, arena, voices,
                             &err));
    assert_string_equal(voices[0]->say_voice, "woman");
    assert_null(voices[1]);
    assert_null(voices[2]);
    assert_string_equal(voices[3]->say_voice, "man");
    assert_ok(campaign_list(db, &(struct campaign_filter){ .oldest_first = true, .limit = 9 },
                            arena, &views, &count, &err));
    assert_int_equal(count, 3);
    for (int i = 0; i < count; i++) {
        assert_int_equal(views[i].voice == NULL, views[i].id == second.id);
    }
    assert_ok(campaign_list(db, &(struct campaign_filter){ .channel = "voice", .limit = 9 }, arena,
                            &views, &count, &err));
    assert_int_equal(count, 2);
}

/* Seconds of sound, and what is asked, to tokens. */
static void a_hold_is_what_calls_may_cost_at_most(void **state)
{
    static const struct {
        struct voice voice;
        int64_t content_ms;
        int tokens;
    } table[] = {
        { { .tokens_per_minute = 1 }, 0, 1 },
        { { .tokens_per_minute = 1 }, 60000, 1 },
        { { .tokens_per_minute = 1 }, 60001, 2 },
        { { .tokens_per_minute = 3 }, 60001, 6 },
        { { .tokens_per_minute = 1, .wait_s = 10 }, 60000, 1 }, /* no key is asked for */
        { { .tokens_per_minute = 1, .wait_s = 10, .stop_key = '9' }, 60000, 2 },
        { { .tokens_per_minute = 1, .wait_s = 10, .stop_key = '9' }, 50000, 1 },
        { { .tokens_per_minute = 1, .wait_s = 10, .repeat_key = '1', .repeats = 2 }, 50000, 3 },
        { { .tokens_per_minute = 1, .below_percent = 50 }, 60001, 4 }, /* twice */
        { { .tokens_per_minute = 1, .thanks = "x" }, 60000, 2 },
        { { .tokens_per_minute = 100, .below_percent = 1 }, 60000 * 163, 32600 },
        { { .tokens_per_minute = 100, .below_percent = 1 }, 60000 * 164, VOICE_TOKENS_MAX + 1 },
        { { .tokens_per_minute = 100 }, INT64_C(1) << 50, VOICE_TOKENS_MAX + 1 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct voice voice = table[i].voice;

        voice.thanks = voice.thanks != NULL ? voice.thanks : "";
        voice.stopped = "";
        assert_int_equal(voice_tokens_most(&voice, table[i].content_ms), table[i].tokens);
    }
}

static void a_call_costs_each_minute_that_began(void **state)
{
    const struct voice voice = { .tokens_per_minute = 2 };

    (void)state;
    assert_int_equal(voice_tokens(&voice, 0), 0);
    assert_int_equal(voice_tokens(&voice, 1), 2);
    assert_int_equal(voice_tokens(&voice, 60), 2);
    assert_int_equal(voice_tokens(&voice, 61), 4);
}

static void a_request_is_named_and_read_again(void **state)
{
    static const char *const bad[] = {
        "",
        "cmp_0000000000007",
        "cmp_0000000000007-1",
        "cmp_0000000000007-0-1",
        "x-1-1",
        "cmp_0000000000007-1-x",
        "cmp_0000000000007-1-1-1",
        "cmp_0000000000007-1-11111111111111111111111111111111111111111111111111111",
    };
    char request[VOICE_REQUEST_BYTES];
    int64_t campaign;
    int batch, pass;

    (void)state;
    voice_request_write(7, 17, 2, request);
    assert_string_equal(request, "cmp_0000000000007-17-2");
    assert_true(voice_request_read(request, &campaign, &batch, &pass));
    assert_int_equal(campaign, 7);
    assert_int_equal(batch, 17);
    assert_int_equal(pass, 2);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(voice_request_read(bad[i], &campaign, &batch, &pass));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        VOICE(what_is_left_out_is_filled_in),
        VOICE(what_is_given_is_stored),
        VOICE(each_refusal_has_its_word_and_names_the_field),
        VOICE(an_audio_that_a_campaign_names_cannot_go),
        VOICE(many_are_loaded_at_once),
        cmocka_unit_test(every_part_of_calls_is_noticed_in_an_sms),
        cmocka_unit_test(a_hold_is_what_calls_may_cost_at_most),
        cmocka_unit_test(a_call_costs_each_minute_that_began),
        cmocka_unit_test(a_request_is_named_and_read_again),
    };

    return cmocka_run_group_tests_name("unit.campaign.voice", tests, migrated_start, migrated_stop);
}
