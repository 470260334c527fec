/*
 * The promises of msg/message.h, and that every type's limits let its largest message through.
 */
/* clang-format off */
#include <setjmp.h> /* cmocka.h needs these four before it */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "msg/campaign.h"
#include "msg/message.h"
#include "msg/report.h"

static struct message make_message(const char *type, const char *body, struct arena *arena)
{
    return (struct message){
        .id = "0f1e2d3c4b5a69788796a5b4c3d2e1f0",
        .type = type,
        .body = body,
        .body_len = strlen(body),
        .arena = arena,
    };
}

static void a_message_is_of_its_own_type_only(void **state)
{
    (void)state;
    struct message in = make_message("batch.ready.v1", "{}", NULL);

    assert_true(message_is(&in, &batch_ready_v1));
    assert_false(message_is(&in, &batch_done_v1));
    in.type = "batch.ready.v2";
    assert_false(message_is(&in, &batch_ready_v1));
}

static void a_message_is_read_into_its_struct(void **state)
{
    (void)state;
    struct arena *arena = arena_create(1 << 20);
    struct message in =
        make_message("batch.paced.v1",
                     "{\"campaign\":\"cmp_06ETQ5S0K3P1V\",\"batch\":17,\"size\":500,"
                     "\"expires_at\":\"1970-01-01T00:00:01.500Z\",\"future\":1}",
                     arena);
    struct batch_paced paced;
    struct err err;

    assert_true(message_read(&in, &batch_paced_v1, &paced, &err));
    assert_string_equal(paced.campaign, "cmp_06ETQ5S0K3P1V");
    assert_int_equal(paced.batch, 17);
    assert_int_equal(paced.size, 500);
    assert_int_equal(paced.expires_at_ms, 1500);
    arena_destroy(arena);
}

static void a_wrong_body_is_a_permanent_error(void **state)
{
    (void)state;
    struct arena *arena = arena_create(1 << 20);
    struct message in =
        make_message("batch.done.v1", "{\"campaign\":\"c\",\"batch\":0,\"size\":1}", arena);
    struct batch_fact done = { .batch = 99 };
    struct err err;

    assert_false(message_read(&in, &batch_done_v1, &done, &err));
    assert_int_equal(err.kind, ERR_PERMANENT);
    assert_string_equal(err.what, "bad_field");
    assert_int_equal(done.batch, 99);
    arena_destroy(arena);
}

static void reading_as_another_type_panics(void **state)
{
    (void)state;
    struct message in = make_message("batch.done.v1", "{}", NULL);
    struct batch_paced paced;
    struct err err;
    int status;

    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        signal(SIGABRT, SIG_DFL);
        (void)!freopen("/dev/null", "w", stderr);
        _exit(message_read(&in, &batch_paced_v1, &paced, &err) ? 1 : 2);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}

/* The two types that are filled by count: a full one must stay below one frame. */

static void a_full_batch_of_ordinary_reports_fits_one_frame(void **state)
{
    (void)state;
    struct delivery_report reports[REPORTS_MAX];
    struct delivery_reported body = {
        .provider = "africastalking",
        .reports = { .count = REPORTS_MAX, .items = reports },
    };
    struct str out = { 0 };

    for (size_t i = 0; i < REPORTS_MAX; i++) {
        reports[i] = (struct delivery_report){
            .id = "ATXid_5c0a3f1b7d2e4c6f8a9b0c1d2e3f4a5b",
            .phone = "+254712345678",
            .status = "AbsentSubscriber",
            .network = "63902",
            .reason = "UserNotSubscribedToProduct",
            .received_ms = 1795410044031,
        };
    }
    shape_write(&delivery_reported_v1, &body, &out);
    assert_true(out.len < MESSAGE_BODY_MAX);
    str_free(&out);
}

static void what_is_not_utf8_can_be_kept_whole(void **state)
{
    (void)state;
    struct arena *arena = arena_create(8 << 20);
    char raw[CALLBACK_RAW_MAX + 1];
    struct callback_misread body = {
        .provider = "africastalking", .kind = "delivery", .why = "bad", .raw = raw
    };
    struct callback_misread back;
    struct str out = { 0 };
    struct err err;

    memset(raw, 0xff, CALLBACK_RAW_MAX);
    raw[CALLBACK_RAW_MAX] = '\0';
    shape_write(&callback_misread_v1, &body, &out);
    assert_true(shape_read(&callback_misread_v1, out.bytes, out.len, &back, arena, &err));
    assert_int_equal(strlen(back.raw), 3 * CALLBACK_RAW_MAX);
    str_free(&out);
    arena_destroy(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_is_of_its_own_type_only),
        cmocka_unit_test(a_message_is_read_into_its_struct),
        cmocka_unit_test(a_wrong_body_is_a_permanent_error),
        cmocka_unit_test(reading_as_another_type_panics),
        cmocka_unit_test(a_full_batch_of_ordinary_reports_fits_one_frame),
        cmocka_unit_test(what_is_not_utf8_can_be_kept_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
