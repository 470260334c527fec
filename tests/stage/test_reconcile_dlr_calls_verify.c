/* tumactl verify agrees with what reconcile-dlr makes of calls, and says where something differs */
#include "reconcile_calls_scene.h"

#define SAID_BYTES 20000

/* What the checker prints; *out_holds: it says that all is true. */
static const char *verify(struct fake_stage *fake, bool *out_holds)
{
    static char said[SAID_BYTES];
    size_t len;
    FILE *checker;

    setenv("DATABASE_URL", fake_url(fake), 1);
    checker = popen(TUMACTL " verify 2>&1", "r");
    assert_non_null(checker);
    len = fread(said, 1, sizeof said - 1, checker);
    said[len] = '\0';
    *out_holds = pclose(checker) == 0;
    return said;
}

static void holds(struct fake_stage *fake)
{
    bool is_true;
    const char *said = verify(fake, &is_true);

    if (!is_true) {
        fail_msg("%s", said);
    }
}

static void every_stage_of_a_campaign_adds_up(void **state)
{
    struct fake_stage *fake = *state;
    int64_t id = calls_placed(fake, "v", 7, "below_percent = 50");

    holds(fake); /* all are being called: held, and neither captured nor released */
    assert_done(fake, calls_ended(fake, id, "v", 1, ANSWERED(70) ",\"amount_e4\":100"));
    assert_done(fake, calls_ended(fake, id, "v", 2, ANSWERED(2) ",\"amount_e4\":50"));
    assert_done(fake, calls_ended(fake, id, "v", 3, MISSED));
    assert_done(fake, calls_ended(fake, id, "v", 4, REFUSED));
    calls_doubt(fake, id, 5);
    holds(fake);
    calls_place(fake, id, 2, "second");
    holds(fake);
    assert_done(fake, calls_end(fake, id, 2, "second", ANSWERED(2) ",\"amount_e4\":50"));
    scene_sql(fake,
              "UPDATE recipients SET sent_at = now() - interval '2 hours'"
              " WHERE campaign_id = %lld AND seq = 6;"
              "UPDATE batches SET started_at = now() - interval '2 hours'"
              " WHERE campaign_id = %lld",
              (long long)id, (long long)id);
    calls_tick(fake);
    assert_string_equal(calls_told(fake, id, 6), "expired no_report");
    holds(fake);
    assert_done(fake, calls_ended(fake, id, "v", 6, ANSWERED(20) ",\"amount_e4\":10"));
    assert_done(fake, calls_end(fake, id, 5, "found", ANSWERED(20)));
    holds(fake);
}

static void what_differs_is_named(void **state)
{
    static const struct {
        const char *change, *back, *said;
    } table[] = {
        { "UPDATE calls SET tokens = 4 WHERE seq = 1", "UPDATE calls SET tokens = 2 WHERE seq = 1",
          "batch 1: 2 captured and 14 released, calls say 4 and 12" },
        { "UPDATE calls SET tokens = 9 WHERE seq = 1", "UPDATE calls SET tokens = 2 WHERE seq = 1",
          "row 1: 9 tokens of 8" },
        { "UPDATE recipients SET cost_e4 = 7 WHERE seq = 1",
          "UPDATE recipients SET cost_e4 = 100 WHERE seq = 1",
          "row 1: 100 is the cost of its calls, its own 7" },
        { "UPDATE batches SET cost_e4 = 7", "UPDATE batches SET cost_e4 = 100",
          "7 is the cost of its batches, of its calls 100" },
        { "UPDATE calls SET seq = 20 WHERE seq = 1", "UPDATE calls SET seq = 1 WHERE seq = 20",
          "row 20: calls without a recipient" },
        { "UPDATE calls SET word = 'busy' WHERE seq = 1",
          "UPDATE calls SET word = 'completed' WHERE seq = 1",
          "row 1: delivered, but no call was answered" },
        { "UPDATE calls SET tokens = 1 WHERE seq = 2", "UPDATE calls SET tokens = 0 WHERE seq = 2",
          "row 2: 1 tokens for a call that was rejected" },
        { "UPDATE batches SET released = 6", "UPDATE batches SET released = 14",
          "batch 1: 2 captured and 6 released, calls say 2 and 14" },
        { "UPDATE recipients SET segments = 9 WHERE seq = 3",
          "UPDATE recipients SET segments = 8 WHERE seq = 3", "8 open, recipients say 9" },
    };
    struct fake_stage *fake = *state;
    int64_t id = calls_placed(fake, "t", 3, "");

    assert_done(fake, calls_ended(fake, id, "t", 1, ANSWERED(10) ",\"amount_e4\":100"));
    assert_done(fake, calls_ended(fake, id, "t", 2, REFUSED));
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        const char *said;
        bool is_true;

        fake_sql(fake, table[i].change);
        said = verify(fake, &is_true);
        if (is_true || strstr(said, table[i].said) == NULL) {
            fail_msg("after %s:\n%s", table[i].change, said);
        }
        fake_sql(fake, table[i].back);
    }
    holds(fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(every_stage_of_a_campaign_adds_up),
        SCENE(what_differs_is_named),
    };

    return cmocka_run_group_tests_name("stage.reconcile-dlr.calls.verify", tests,
                                       scene_start_server, scene_stop_server);
}
