/* lib/campaign/follow_up: what one is made of, and for which ends of the first it may be */
#include "base/id.h"
#include "campaign/follow_up.h"
#include "migrated.h"

#define NOW INT64_C(1795000000000)
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

#define FOLLOW(test) cmocka_unit_test_setup_teardown(test, open_arena, close_arena)

/* As whoever calls it does: what is refused leaves nothing. */
static bool create(struct db *db, const struct campaign_submitted *definition, struct err *err)
{
    static int number;
    struct account account;
    struct campaign_made made;
    bool found;
    bool ok =
        db_begin(db, err) && account_find(db, "acme", 0, arena, &account, &found, err) &&
        campaign_create(db,
                        &(struct campaign_new){ .account = &account,
                                                .definition = definition,
                                                .reference = arena_printf(arena, "r%d", ++number),
                                                .kind = "campaign",
                                                .lane = LANE_HIGH,
                                                .now_ms = NOW + number * 10 },
                        arena, &made, err) &&
        db_commit(db, err);

    if (!ok) {
        db_rollback(db);
    }
    return ok;
}

static struct campaign_submitted first(enum channel channel)
{
    return (struct campaign_submitted){ .title = "June",
                                        .channel = channel,
                                        .message_template = "Hi",
                                        .follow_up = { .message_template = "Hello {{name}}" } };
}

static void it_is_for_the_ends_that_are_named_or_the_usual(void **state)
{
    static const struct {
        enum channel channel;
        const char *words[4];
        const char *stored; /* NULL: refused */
    } table[] = {
        { CHANNEL_SMS, { NULL }, "failed,expired" },
        { CHANNEL_SMS, { "expired" }, "expired" },
        { CHANNEL_SMS, { "failed", "expired" }, "failed,expired" },
        { CHANNEL_SMS, { "no_answer" }, NULL },
        { CHANNEL_SMS, { "failed", "delivered" }, NULL },
        { CHANNEL_VOICE, { NULL }, "no_answer,busy,unreachable" },
        { CHANNEL_VOICE, { "rejected", "failed", "expired" }, "rejected,failed,expired" },
        { CHANNEL_VOICE, { "completed" }, NULL },
        { CHANNEL_VOICE, { "" }, NULL },
        { CHANNEL_VOICE, { "Busy" }, NULL },
    };
    struct db *db = *state;
    struct err err;

    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct campaign_submitted definition = first(table[i].channel);
        struct strings *when = &definition.follow_up.when;

        when->items = arena_array(arena, 4, sizeof *when->items);
        while (table[i].words[when->count] != NULL) {
            when->items[when->count] = table[i].words[when->count];
            when->count++;
        }
        if (table[i].stored == NULL) {
            assert_fails(create(db, &definition, &err), ERR_PERMANENT, "follow_up_words");
            assert_non_null(strstr(err.detail, "follow_up.when: '"));
            assert_non_null(strstr(err.detail, table[i].channel == CHANNEL_SMS
                                                   ? "an SMS; use failed or expired"
                                                   : "calls; use no_answer, busy,"));
            continue;
        }
        assert_ok(create(db, &definition, &err));
        assert_string_equal(text_of(db, "SELECT array_to_string(follow_words, ',') FROM campaigns"
                                        " ORDER BY id DESC LIMIT 1"),
                            table[i].stored);
    }
}

static void it_takes_over_what_is_not_of_its_channel(void **state)
{
    struct db *db = *state;
    struct campaign_submitted definition = first(CHANNEL_VOICE);
    struct err err;

    definition.missing = MISSING_DEFAULT;
    definition.missing_default = "friend";
    definition.scheduled_at = NOW + 3600000;
    definition.expires_at = NOW + 7200000;
    definition.hold = true;
    definition.voice.stop_key = "9";
    assert_ok(create(db, &definition, &err));
    assert_string_equal(
        text_of(db, "SELECT concat_ws(' ', f.channel, f.status, f.title, f.message_template,"
                    "       f.lane, f.missing, f.missing_default, f.hold, f.scheduled_at,"
                    "       f.expires_at = p.expires_at, f.country, f.follow_done)"
                    "  FROM campaigns f JOIN campaigns p ON p.id = f.parent_id"),
        "sms receiving June Hello {{name}} high default friend f t KE f");
    assert_int_equal(number_of(db, "SELECT count(*) FROM voice_campaigns"), 1);
}

static void there_is_one_when_anything_is_said_of_it(void **state)
{
    static const char *const words[] = { "failed" };
    const struct campaign_follow_up some[] = {
        { .when = { 1, (const char **)(uintptr_t)words } },
        { .message_template = "x" },
        { .sender_id = "ACME" },
        { .voice = { .audio = "aud_0000000000007" } },
        { .voice = { .say_voice = "man" } },
        { .voice = { .stop_key = "9" } },
    };
    struct campaign_submitted definition = { .message_template = "Hi" };

    (void)state;
    assert_false(follow_up_is_wanted(&definition));
    definition.follow_up = (struct campaign_follow_up){ .message_template = "", .sender_id = "" };
    assert_false(follow_up_is_wanted(&definition));
    for (size_t i = 0; i < sizeof some / sizeof *some; i++) {
        definition.follow_up = some[i];
        assert_true(follow_up_is_wanted(&definition));
    }
}

static void what_it_cannot_be_is_told_of_its_field(void **state)
{
    static const struct {
        enum channel channel;
        struct campaign_follow_up follow;
        const char *what, *detail;
    } table[] = {
        { CHANNEL_VOICE,
          { .sender_id = "ACME" },
          "template_empty",
          "follow_up.message_template: " },
        { CHANNEL_VOICE,
          { .message_template = "{{" },
          "template_unterminated",
          "follow_up.message_template: " },
        { CHANNEL_VOICE,
          { .message_template = "x", .sender_id = "OTHER" },
          "sender_id_unknown",
          "follow_up.sender_id: " },
        { CHANNEL_VOICE,
          { .message_template = "x", .voice = { .stop_key = "9" } },
          "voice_without_calls",
          "follow_up.voice: " },
        { CHANNEL_SMS,
          { .voice = { .stop_key = "9" } },
          "content_missing",
          "follow_up.message_template: " },
        { CHANNEL_SMS,
          { .message_template = "x", .sender_id = "ACME" },
          "bad_caller_id",
          "follow_up.sender_id: " },
        { CHANNEL_SMS,
          { .message_template = "x", .voice = { .stop_key = "x" } },
          "bad_key",
          "follow_up.voice.stop_key: " },
        { CHANNEL_SMS,
          { .voice = { .audio = "aud_0000000000007" } },
          "audio_unknown",
          "follow_up.voice.audio: " },
    };
    struct db *db = *state;
    struct err err;

    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct campaign_submitted definition = first(table[i].channel);

        definition.follow_up = table[i].follow;
        assert_fails(create(db, &definition, &err), ERR_PERMANENT, table[i].what);
        assert_int_equal(strncmp(err.detail, table[i].detail, strlen(table[i].detail)), 0);
    }
    assert_int_equal(number_of(db, "SELECT count(*) FROM campaigns"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FOLLOW(it_is_for_the_ends_that_are_named_or_the_usual),
        FOLLOW(it_takes_over_what_is_not_of_its_channel),
        cmocka_unit_test(there_is_one_when_anything_is_said_of_it),
        FOLLOW(what_it_cannot_be_is_told_of_its_field),
    };

    return cmocka_run_group_tests_name("unit.campaign.follow_up", tests, migrated_start,
                                       migrated_stop);
}
