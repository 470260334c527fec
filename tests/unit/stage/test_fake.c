/* The harness of the stage tests, tried on the demo: tests/stage/fake_stage.h */
/* cmocka.h needs the others before it. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fake_stage.h"
#include "msg/campaign.h"
#include "servers.h"

#define CLOSED "campaign.closed.v1"
#define TABLES                                                                                     \
    "CREATE TABLE demo (id text PRIMARY KEY, reference text, times int DEFAULT 1);"                \
    "CREATE TABLE demo_due (name text PRIMARY KEY, done boolean DEFAULT false)"

static int start_server(void **state)
{
    (void)state;
    servers_start("postgres");
    return 0;
}

static int stop_server(void **state)
{
    (void)state;
    servers_stop();
    return 0;
}

static int start(void **state)
{
    setenv("DEMO_TICKS", "yes", 1);
    *state = fake_stage_start();
    fake_sql(*state, TABLES);
    return 0;
}

static int stop(void **state)
{
    unsetenv("DEMO_PAUSE");
    fake_stage_stop(*state);
    return 0;
}

static void a_message_is_handled_twice_with_the_same_outputs(void **state)
{
    struct fake_stage *fake = *state;
    struct campaign_fact fact;

    assert_int_equal(fake_stage_send(fake, CLOSED, "m1", "{\"reference\":\"ok\",\"chunks\":1}"),
                     STAGE_DONE);
    assert_string_equal(fake_stage_why(fake), "");
    assert_int_equal(fake_number(fake, "SELECT times FROM demo WHERE id = 'm1'"), 2);
    assert_string_equal(fake_text(fake, "SELECT reference FROM demo"), "ok");
    assert_int_equal(fake_stage_emitted(fake), 3);
    assert_int_equal(fake_stage_emitted_of(fake, "campaign.rendered.v1"), 2);
    assert_string_equal(fake_stage_out(fake, 0)->key, "campaign.rendered.normal");
    assert_string_equal(fake_stage_out(fake, 2)->key, "campaign.changed.acme");
    fake_stage_read(fake, &campaign_rendered_v1, 1, &fact);
    assert_string_equal(fact.campaign, "cmp_demo");
    fake_stage_repeat(fake, false);
    assert_int_equal(fake_stage_send(fake, CLOSED, "m2", "{\"reference\":\"ok\",\"chunks\":1}"),
                     STAGE_DONE);
    assert_int_equal(fake_number(fake, "SELECT times FROM demo WHERE id = 'm2'"), 1);
}

static void a_refusal_leaves_nothing_behind(void **state)
{
    struct fake_stage *fake = *state;

    assert_int_equal(fake_stage_send(fake, CLOSED, "m1", "{\"reference\":\"bad\",\"chunks\":1}"),
                     STAGE_REJECT);
    assert_string_equal(fake_stage_why(fake), "bad_reference");
    assert_string_equal(fake_stage_detail(fake), "reference 'bad' is bad");
    assert_int_equal(fake_stage_emitted(fake), 0);
    assert_int_equal(fake_number(fake, "SELECT count(*) FROM demo"), 0);
    assert_int_equal(fake_number(fake, "SELECT times FROM demo"), -1);
    assert_int_equal(fake_stage_send(fake, "batch.done.v1", "m1", "{}"), STAGE_REJECT);
    assert_string_equal(fake_stage_why(fake), "unknown_type");
    assert_int_equal(fake_stage_send(fake, CLOSED, "m1", "{"), STAGE_REJECT);
    assert_string_equal(fake_stage_why(fake), "bad_json");
}

static void attempts_and_partners_can_be_played(void **state)
{
    struct fake_stage *fake = *state;
    struct fake_message message = { .type = CLOSED,
                                    .id = "m1",
                                    .json = "{\"reference\":\"flaky\",\"chunks\":1}",
                                    .account = "acme" };

    assert_int_equal(fake_stage_give(fake, &message), STAGE_RETRY);
    message.attempt = 2;
    assert_int_equal(fake_stage_give(fake, &message), STAGE_DONE);
    char id[40];
    strcpy(id, fake_stage_out(fake, 0)->id);
    message.from_partner = true;
    assert_int_equal(fake_stage_give(fake, &message), STAGE_RETRY); /* its headers do not count */
    message.json = "{\"reference\":\"ok\",\"chunks\":1}";
    assert_int_equal(fake_stage_give(fake, &message), STAGE_DONE);
    assert_string_not_equal(fake_stage_out(fake, 0)->id, id);
    assert_string_equal(fake_stage_out(fake, 0)->account, "acme");
}

static void a_tick_commits_or_is_lost(void **state)
{
    struct fake_stage *fake = *state;
    char id[40];

    fake_sql(fake, "INSERT INTO demo_due VALUES ('a')");
    assert_true(fake_stage_tick_lost(fake));
    assert_int_equal(fake_stage_emitted(fake), 1);
    strcpy(id, fake_stage_out(fake, 0)->id);
    assert_int_equal(fake_number(fake, "SELECT count(*) FROM demo_due WHERE done"), 0);
    assert_true(fake_stage_tick(fake));
    assert_string_equal(fake_stage_out(fake, 0)->id, id);
    assert_int_equal(fake_number(fake, "SELECT count(*) FROM demo_due WHERE done"), 1);
    fake_stage_restart(fake);
    assert_true(fake_stage_tick(fake));
    assert_int_equal(fake_stage_emitted(fake), 0);
    fake_sql(fake, "DROP TABLE demo_due");
    assert_false(fake_stage_tick(fake));
    assert_string_equal(fake_stage_why(fake), "pg_undefined_table");
}

static void waiting_moves_the_clock(void **state)
{
    struct fake_stage *fake = *state;

    setenv("DEMO_PAUSE", "700ms", 1);
    fake_stage_restart(fake);
    assert_int_equal(fake_stage_send(fake, CLOSED, "m1", "{\"reference\":\"ok\",\"chunks\":1}"),
                     STAGE_DONE);
    assert_int_equal(fake_stage_waited_ms(fake), 700);
}

/* A handler whose second answer differs is a defect, and the harness says so. */
static void a_handler_that_forgets_to_emit_again_is_caught(void **state)
{
    (void)state;
    const pid_t pid = fork();
    int status;

    if (pid == 0) {
        struct fake_stage *fake = fake_stage_start();
        fake_sql(fake, TABLES);
        fake_stage_send(fake, CLOSED, "m1", "{\"reference\":\"forgetful\",\"chunks\":1}");
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
}

#define with_fake(test) cmocka_unit_test_setup_teardown(test, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_fake(a_message_is_handled_twice_with_the_same_outputs),
        with_fake(a_refusal_leaves_nothing_behind),
        with_fake(attempts_and_partners_can_be_played),
        with_fake(a_tick_commits_or_is_lost),
        with_fake(waiting_moves_the_clock),
        cmocka_unit_test(a_handler_that_forgets_to_emit_again_is_caught),
    };

    return cmocka_run_group_tests(tests, start_server, stop_server);
}
