/* render-template: rows become recipients, each number once, in whatever order chunks come */
#include "render_template_scene.h"

/* Three chunks and the closing, in the order of the letters. */
static void play(struct fake_stage *fake, const char *order)
{
    static const char *const rows[] = { "[[\"0712000001\"],[\"0712000002\"]]",
                                        "[[\"0712000003\"],[\"0712000004\"]]",
                                        "[[\"0712000005\"]]" };
    int64_t id = receiving(fake, "Hello");

    for (const char *at = order; *at; at++) {
        enum verdict verdict = *at == '!' ? give_close(fake, id, 3)
                                          : give_chunk(fake, id, *at - '0', (*at - '0') * 2 - 1,
                                                       "[\"phone\"]", rows[*at - '1']);

        assert_done(fake, verdict);
        assert_int_equal(fake_stage_emitted(fake), at[1] == '\0');
    }
    assert_string_equal(fake_stage_out(fake, 0)->type, RENDERED);
    assert_string_equal(fake_stage_out(fake, 0)->correlation, scene_name(id));
    assert_string_equal(fake_stage_out(fake, 0)->account, "acme");
    assert_string_equal(scene_status(fake, id), "reserving");
    assert_int_equal(of(fake, id, "planned"), 5);
    assert_int_equal(of(fake, id, "last_seq"), 5);
    assert_int_equal(of(fake, id, "segments"), 5);
    assert_int_equal(of(fake, id, "rows_received"), 5);
    assert_true(scene_number(fake,
                             "SELECT (rendered_at IS NOT NULL)::int FROM campaigns WHERE id = %lld",
                             (long long)id));
}

static void chunks_and_their_closing_may_come_in_any_order(void **state)
{
    static const char letters[] = "123!";
    char order[5] = "";

    for (int a = 0; a < 4; a++) {
        for (int b = 0; b < 4; b++) {
            for (int c = 0; c < 4; c++) {
                int d = 6 - a - b - c;
                if (a == b || a == c || b == c) {
                    continue;
                }
                snprintf(order, sizeof order, "%c%c%c%c", letters[a], letters[b], letters[c],
                         letters[d]);
                play(*state, order);
            }
        }
    }
}

static void the_definition_may_bring_the_number_of_chunks_and_the_rows(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = receiving(fake, "Hello");

    assert_done(fake, say(fake, SUBMITTED,
                          "{\"campaign\":\"%s\",\"title\":\"t\",\"message_template\":\"Hello\","
                          "\"chunks\":1}",
                          scene_name(id)));
    assert_int_equal(fake_stage_emitted(fake), 0);
    assert_done(fake, give_chunk(fake, id, 1, 1, "[\"phone\"]", "[[\"0712000001\"]]"));
    assert_int_equal(fake_stage_emitted_of(fake, RENDERED), 1);

    id = receiving(fake, "Hello");
    assert_done(fake, say(fake, SUBMITTED,
                          "{\"campaign\":\"%s\",\"title\":\"t\",\"message_template\":\"Hello\","
                          "\"columns\":[\"phone\"],\"rows\":[[\"0712000001\"],[\"0712000002\"]]}",
                          scene_name(id)));
    assert_int_equal(fake_stage_emitted_of(fake, RENDERED), 1);
    assert_int_equal(of(fake, id, "planned"), 2);

    id = receiving(fake, "Hello");
    assert_int_equal(say(fake, SUBMITTED,
                         "{\"campaign\":\"%s\",\"title\":\"t\",\"message_template\":\"Hello\","
                         "\"columns\":[\"phone\"],\"rows\":[[\"0712000001\"]],\"chunks\":2}",
                         scene_name(id)),
                     STAGE_REJECT);
    assert_string_equal(fake_stage_why(fake), "recipients_twice");
}

static void a_number_counts_once_however_it_is_written(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = receiving(fake, "Hello");

    assert_done(fake, give_chunk(fake, id, 1, 1, "[\"phone\"]",
                                 "[[\"0712000001\"],[\"+254 712-000-001\"],[\"0712000002\"],"
                                 "[\"712000001\"],[\"254712000002\"]]"));
    assert_int_equal(of(fake, id, "planned"), 2);
    assert_int_equal(of(fake, id, "duplicates"), 3);
    assert_string_equal(reject_of(fake, id, 2), "duplicate");
    assert_string_equal(reject_of(fake, id, 4), "duplicate");
    assert_string_equal(reject_of(fake, id, 5), "duplicate");
    assert_done(fake, give_chunk(fake, id, 2, 6, "[\"phone\"]",
                                 "[[\"0712000003\"],[\"00254712000001\"],[\"0712000004\"]]"));
    assert_int_equal(of(fake, id, "planned"), 4);
    assert_int_equal(of(fake, id, "duplicates"), 4);
    assert_int_equal(of(fake, id, "segments"), 4);
    assert_string_equal(reject_of(fake, id, 7), "duplicate");
    assert_done(fake, give_close(fake, id, 2));
    assert_string_equal(scene_status(fake, id), "reserving");
    /* The same numbers in another campaign are not duplicates. */
    id = receiving(fake, "Hello");
    assert_done(fake, give_chunk(fake, id, 1, 1, "[\"phone\"]", "[[\"0712000001\"]]"));
    assert_int_equal(of(fake, id, "planned"), 1);
}

static void each_kind_of_bad_number_is_recorded_with_its_reason(void **state)
{
    static const struct {
        const char *phone, *reason;
    } table[] = {
        { "", "empty" },
        { "  ", "empty" },
        { "Asha", "not_a_number" },
        { "0712000001 / 0712000002", "several_numbers" },
        { "2.54712E+11", "scientific_lost_digits" },
        { "07120", "too_short" },
        { "071200000123", "too_long" },
        { "+1 202 555 0123", "unknown_country" },
        { "0312000001", "invalid_for_country" },
        { "020 2222222", "not_mobile" },
    };
    struct fake_stage *fake = *state;
    int64_t id = receiving(fake, "Hello");
    size_t count = sizeof table / sizeof *table;

    for (size_t i = 0; i < count; i++) {
        char rows[200];

        snprintf(rows, sizeof rows, "[[\"%s\"]]", table[i].phone);
        assert_done(fake, give_chunk(fake, id, (int)i + 1, (int)i + 1, "[\"phone\"]", rows));
        assert_string_equal(reject_of(fake, id, (int)i + 1), table[i].reason);
        assert_string_equal(
            scene_text(fake,
                       "SELECT phone FROM campaign_rejects WHERE campaign_id = %lld AND seq = %d",
                       (long long)id, (int)i + 1),
            table[i].phone);
    }
    assert_int_equal(of(fake, id, "invalid"), count);
    assert_int_equal(of(fake, id, "planned"), 0);
}

static void a_long_phone_is_cut_between_characters(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = receiving(fake, "Hello");

    assert_done(fake, give_chunk(fake, id, 1, 1, "[\"phone\"]",
                                 "[[\"x\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9"
                                 "\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9"
                                 "\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9"
                                 "\u00e9\u00e9\u00e9\"]]"));
    assert_int_equal(scene_number(fake,
                                  "SELECT octet_length(phone) FROM campaign_rejects"
                                  " WHERE campaign_id = %lld",
                                  (long long)id),
                     63);
}

static void suppressed_numbers_are_planned_but_neither_priced_nor_sent(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = receiving(fake, "Hello");

    fake_sql(fake, "INSERT INTO suppressions VALUES (1, 254712000001, 'stop'),"
                   " (NULL, 254712000002, 'regulator'), (2, 254712000003, 'of another')");
    assert_done(
        fake, give_chunk(fake, id, 1, 1, "[\"phone\"]",
                         "[[\"0712000001\"],[\"0712000002\"],[\"0712000003\"],[\"0712000001\"]]"));
    assert_done(fake, give_close(fake, id, 1));
    assert_int_equal(of(fake, id, "planned"), 3);
    assert_int_equal(of(fake, id, "suppressed"), 2);
    assert_int_equal(of(fake, id, "duplicates"), 1);
    assert_int_equal(of(fake, id, "segments"), 1);
    assert_int_equal(
        scene_number(fake,
                     "SELECT count(*) FROM recipients WHERE campaign_id = %lld"
                     " AND state = 7 AND final_at IS NOT NULL AND reason = 'suppressed'",
                     (long long)id),
        2);
    assert_string_equal(scene_status(fake, id), "reserving");
}

static void a_chunk_that_comes_again_changes_nothing(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = receiving(fake, "Hello");
    char first[ID_MESSAGE_BYTES];

    for (int i = 0; i < 3; i++) { /* other message ids: the publisher sent it again */
        assert_done(fake, give_chunk(fake, id, 1, 1, "[\"phone\"]",
                                     "[[\"0712000001\"],[\"0712000001\"],[\"x\"]]"));
    }
    assert_int_equal(of(fake, id, "chunks_done"), 1);
    assert_int_equal(of(fake, id, "rows_received"), 3);
    assert_done(fake, give_close(fake, id, 1));
    strcpy(first, fake_stage_out(fake, 0)->id);
    assert_done(fake, give_close(fake, id, 1));
    assert_string_equal(fake_stage_out(fake, 0)->id, first); /* one fact, one id */
    assert_done(fake, give_close(fake, id, 7));              /* said otherwise, too late */
    assert_int_equal(of(fake, id, "chunks_expected"), 1);
    scene_sql(fake, "UPDATE campaigns SET status = 'sending' WHERE id = %lld", (long long)id);
    assert_done(fake, give_close(fake, id, 1));
    assert_int_equal(fake_stage_emitted(fake), 0);
}

static void chunks_whose_rows_overlap_refuse_the_campaign(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = receiving(fake, "Hello");

    assert_done(fake, give_chunk(fake, id, 1, 1, "[\"phone\"]",
                                 "[[\"0712000001\"],[\"0712000002\"],[\"0712000003\"]]"));
    assert_done(fake, give_chunk(fake, id, 2, 3, "[\"phone\"]",
                                 "[[\"0712000004\"],[\"0712000001\"],[\"0712000005\"]]"));
    assert_string_equal(scene_status(fake, id), "refused");
    assert_non_null(strstr(detail_of(fake, id), "first_row: "));
    assert_int_equal(of(fake, id, "planned"), 3); /* of the first */
}

static void a_chunk_beyond_the_announced_number_refuses_the_campaign(void **state)
{
    struct fake_stage *fake = *state;

    for (int close_first = 0; close_first < 2; close_first++) {
        int64_t id = receiving(fake, "Hello");

        if (close_first) {
            assert_done(fake, give_close(fake, id, 2));
        }
        assert_done(fake, give_chunk(fake, id, 1, 1, "[\"phone\"]", "[[\"0712000001\"]]"));
        assert_done(fake, give_chunk(fake, id, 3, 3, "[\"phone\"]", "[[\"0712000003\"]]"));
        if (!close_first) {
            assert_done(fake, give_close(fake, id, 2));
        }
        /* Had it gone on without chunk 2, that chunk's recipients would be lost in silence. */
        assert_string_equal(scene_status(fake, id), "refused");
        assert_int_equal(fake_stage_emitted_of(fake, RENDERED), 0);
        assert_int_equal(fake_stage_emitted_of(fake, CHANGED), 1);
    }
}

/* Chunks of 1,000 rows of few distinct numbers: the sums are those of a model beside it. */
static void many_chance_rows_come_out_as_a_simple_model_says(void **state)
{
    enum { CHUNKS = 12, ROWS = 1000, NUMBERS = 6000 };
    static bool seen[NUMBERS];
    static char rows[JSON_BYTES];
    struct fake_stage *fake = *state;
    int64_t id = receiving(fake, "Hello");
    int64_t planned = 0, duplicates = 0, invalid = 0, suppressed = 0;
    uint32_t chance = 20261120;

    fake_sql(fake, "INSERT INTO suppressions SELECT 1, 254712000000 + 7 * i, 'stop'"
                   "  FROM generate_series(0, 857) i");
    memset(seen, 0, sizeof seen);
    for (int chunk = CHUNKS; chunk > 0; chunk--) {
        size_t len = 0;

        for (int row = 0; row < ROWS; row++) {
            chance = chance * 1664525 + 1013904223;
            unsigned number = (chance >> 8) % (NUMBERS + 600);

            if (number >= NUMBERS) {
                invalid++;
                len += (size_t)sprintf(rows + len, "%s[\"nobody %u\"]", row ? "," : "[", number);
                continue;
            }
            len += (size_t)sprintf(rows + len, "%s[\"%s712%06u\"]", row ? "," : "[",
                                   chance & 0x80 ? "0" : "+254", number);
            duplicates += seen[number];
            planned += !seen[number];
            suppressed += !seen[number] && number % 7 == 0;
            seen[number] = true;
        }
        strcpy(rows + len, "]");
        assert_done(fake,
                    give_chunk(fake, id, chunk, (chunk - 1) * ROWS + 1, "[\"mobile\"]", rows));
    }
    assert_done(fake, give_close(fake, id, CHUNKS));
    assert_int_equal(of(fake, id, "rows_received"), CHUNKS * ROWS);
    assert_int_equal(of(fake, id, "planned"), planned);
    assert_int_equal(of(fake, id, "duplicates"), duplicates);
    assert_int_equal(of(fake, id, "invalid"), invalid);
    assert_int_equal(of(fake, id, "suppressed"), suppressed);
    assert_int_equal(of(fake, id, "segments"), planned - suppressed);
    assert_string_equal(scene_status(fake, id), "reserving");
}

static void a_chunk_of_a_campaign_that_is_cancelled_is_not_taken(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = receiving(fake, "Hello");

    scene_sql(fake, "UPDATE campaigns SET status = 'cancelling' WHERE id = %lld", (long long)id);
    assert_done(fake, give_chunk(fake, id, 1, 1, "[\"phone\"]", "[[\"0712000001\"]]"));
    assert_done(fake, give_close(fake, id, 1));
    assert_int_equal(fake_stage_emitted(fake), 0);
    assert_int_equal(of(fake, id, "planned"), 0);
    assert_string_equal(scene_status(fake, id), "cancelling");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(chunks_and_their_closing_may_come_in_any_order),
        SCENE(the_definition_may_bring_the_number_of_chunks_and_the_rows),
        SCENE(a_number_counts_once_however_it_is_written),
        SCENE(each_kind_of_bad_number_is_recorded_with_its_reason),
        SCENE(a_long_phone_is_cut_between_characters),
        SCENE(suppressed_numbers_are_planned_but_neither_priced_nor_sent),
        SCENE(a_chunk_that_comes_again_changes_nothing),
        SCENE(chunks_whose_rows_overlap_refuse_the_campaign),
        SCENE(a_chunk_beyond_the_announced_number_refuses_the_campaign),
        SCENE(many_chance_rows_come_out_as_a_simple_model_says),
        SCENE(a_chunk_of_a_campaign_that_is_cancelled_is_not_taken),
    };

    return cmocka_run_group_tests_name("stage.render-template.chunks", tests, scene_start_server,
                                       scene_stop_server);
}
