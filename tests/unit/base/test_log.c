/* log: one parseable line, whatever the values are. */

/* cmocka.h needs the headers above it. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "child.h"

static char said[CHILD_SAID_BYTES];

/* What the function logs, without the time at the front of its first line. */
static const char *heard(void (*function)(void *arg), void *arg)
{
    assert_int_equal(run_in_child(function, arg, said), 0);
    if (said[0] == '\0') {
        return said;
    }
    assert_memory_equal(said, "ts=20", 5);
    assert_memory_equal(said + 26, "Z ", 2);
    return said + 28;
}

static void log_a_batch(void *arg)
{
    log_info(arg, "batch_done", KV_INT("sent", 500), KV_STR("route", "sms"));
}

static void a_line_has_time_level_context_event_and_pairs(void **state)
{
    struct log log = { 0 };

    (void)state;
    log_context(&log, "stage", "send-sms");
    log_context(&log, "msg", "01HZ");
    assert_string_equal(heard(log_a_batch, &log),
                        "level=info stage=send-sms msg=01HZ event=batch_done sent=500 route=sms\n");
    assert_string_equal(heard(log_a_batch, NULL),
                        "level=info event=batch_done sent=500 route=sms\n");
}

static void context_is_replaced_and_removed(void **state)
{
    struct log log = { 0 };
    char value[] = "first";

    (void)state;
    log_context(&log, "stage", value);
    memset(value, 'x', 5); /* copied */
    log_context(&log, "msg", "1");
    log_context(&log, "trace", "t");
    log_context(&log, "msg", "2");
    assert_string_equal(
        heard(log_a_batch, &log),
        "level=info stage=first msg=2 trace=t event=batch_done sent=500 route=sms\n");
    log_context(&log, "msg", NULL);
    log_context(&log, "none", NULL);
    log_context(&log, "empty", "");
    assert_string_equal(heard(log_a_batch, &log),
                        "level=info stage=first trace=t event=batch_done sent=500 route=sms\n");
    for (int i = 0; i < 6; i++) {
        static const char *const keys[] = { "a", "b", "c", "d", "e", "f" };
        log_context(&log, keys[i], "v");
    }
    log_context(&log, "stage", NULL);
    log_context(&log, "g", "v");
    assert_string_equal(heard(log_a_batch, &log),
                        "level=info trace=t a=v b=v c=v d=v e=v f=v g=v event=batch_done sent=500 "
                        "route=sms\n");
}

static void add_one_too_many(void *arg)
{
    static const char *const keys[] = { "a", "b", "c", "d", "e", "f", "g", "h", "i" };

    for (size_t i = 0; i < 9; i++) {
        log_context(arg, keys[i], "v");
    }
}

static void too_much_context_panics(void **state)
{
    struct log log = { 0 };

    (void)state;
    assert_panics(add_one_too_many, &log, "log context");
}

static void long_context_is_cut(void **state)
{
    struct log log = { 0 };
    char value[200];

    (void)state;
    memset(value, 'v', sizeof(value));
    value[199] = '\0';
    log_context(&log, "stage", value);
    assert_int_equal(strlen(log.context[0].value), LOG_CONTEXT_BYTES - 1);
}

static void log_value(void *arg)
{
    log_warn(NULL, "e", KV_STR("v", arg));
}

static void values_are_escaped(void **state)
{
    static const struct {
        const char *value;
        const char *line;
    } cases[] = {
        { "plain-text_1/2:3", "v=plain-text_1/2:3" },
        { "two words", "v=\"two words\"" },
        { "a=b", "v=\"a=b\"" },
        { "say \"no\"", "v=\"say \\\"no\\\"\"" },
        { "back\\slash", "v=\"back\\\\slash\"" },
        { "line\nbreak", "v=\"line\\nbreak\"" },
        { "tab\tcr\r", "v=\"tab\\x09cr\\x0d\"" },
        { "esc\x1b[31m", "v=\"esc\\x1b[31m\"" },
        { "del\x7f", "v=\"del\\x7f\"" },
        { "Gr\xc3\xbc\xc3\x9f"
          "e",
          "v=\"Gr\xc3\xbc\xc3\x9f"
          "e\"" },
        { "bad\xff\xc3", "v=\"bad\\xff\\xc3\"" },
        { "c1\xc2\x85", "v=\"c1\\u0085\"" },
        { "rlo\xe2\x80\xae!", "v=\"rlo\\u202e!\"" },
        { "ls\xe2\x80\xa8", "v=\"ls\\u2028\"" },
        { "", "v=" },
        { NULL, "v=" },
    };
    char want[200];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        snprintf(want, sizeof(want), "level=warn event=e %s\n", cases[i].line);
        assert_string_equal(heard(log_value, (void *)(uintptr_t)cases[i].value), want);
    }
}

static void values_are_cut_at_200_bytes(void **state)
{
    char value[1000];
    char want[400];

    (void)state;
    memset(value, 'x', 200);
    value[200] = '\0';
    snprintf(want, sizeof(want), "level=warn event=e v=%.200s\n", value);
    assert_string_equal(heard(log_value, value), want);
    memset(value, 'x', 999);
    value[999] = '\0';
    snprintf(want, sizeof(want), "level=warn event=e v=\"%.200s...\"\n", value);
    assert_string_equal(heard(log_value, value), want);
    /* A character that lies across the cut is left out whole. */
    memcpy(value + 199, "\xe2\x82\xac", 3);
    snprintf(want, sizeof(want), "level=warn event=e v=\"%.199s...\"\n", value);
    assert_string_equal(heard(log_value, value), want);
    memcpy(value + 197, "\xe2\x82\xac", 3);
    snprintf(want, sizeof(want), "level=warn event=e v=\"%.200s...\"\n", value);
    assert_string_equal(heard(log_value, value), want);
}

static void log_extremes(void *arg)
{
    (void)arg;
    log_error(NULL, "e", KV_INT("min", INT64_MIN), KV_INT("max", INT64_MAX));
}

static void integers_are_whole(void **state)
{
    (void)state;
    assert_string_equal(heard(log_extremes, NULL),
                        "level=error event=e min=-9223372036854775808 max=9223372036854775807\n");
}

static void log_every_level(void *arg)
{
    if (arg != NULL) {
        log_set_level(*(enum log_level *)arg);
    }
    log_error(NULL, "e");
    log_warn(NULL, "w");
    log_info(NULL, "i");
    log_debug(NULL, "d");
}

static void lines_above_the_level_are_dropped(void **state)
{
    static const char *const events[] = { "event=e\n", "event=w\n", "event=i\n", "event=d\n" };

    (void)state;
    for (enum log_level level = LOG_ERROR; level <= LOG_DEBUG; level++) {
        assert_int_equal(run_in_child(log_every_level, &level, said), 0);
        for (int i = 0; i < 4; i++) {
            assert_int_equal(strstr(said, events[i]) != NULL, i <= (int)level);
        }
    }
    heard(log_every_level, NULL); /* info unless said otherwise */
    assert_non_null(strstr(said, "event=i\n"));
    assert_null(strstr(said, "event=d\n"));
    assert_true(log_enabled(LOG_INFO));
    assert_false(log_enabled(LOG_DEBUG));
}

static void levels_have_names(void **state)
{
    enum log_level level = LOG_WARN;

    (void)state;
    assert_false(log_parse_level("trace", &level));
    assert_false(log_parse_level("", &level));
    assert_false(log_parse_level("INFO", &level));
    assert_false(log_parse_level(NULL, &level));
    assert_int_equal(level, LOG_WARN);
    assert_true(log_parse_level("debug", &level));
    assert_int_equal(level, LOG_DEBUG);
    assert_true(log_parse_level("error", &level));
    assert_int_equal(level, LOG_ERROR);
}

static void log_too_much(void *arg)
{
    const char *v = arg;

    log_info(NULL, "e", KV_STR("a", v), KV_STR("b", v), KV_STR("c", v), KV_STR("d", v),
             KV_STR("e", v), KV_STR("f", v), KV_STR("g", v), KV_STR("h", v), KV_INT("last", 7));
}

static void a_line_fits_a_pipe_and_says_what_it_left_out(void **state)
{
    char value[201];

    (void)state;
    memset(value, '\x01', 200); /* four bytes each when escaped: 806 a pair */
    value[200] = '\0';
    const char *line = heard(log_too_much, value);
    assert_true(strlen(said) <= 4096);
    assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
    assert_non_null(strstr(line, "\" last=7 cut=3\n")); /* what still fits is kept */
    assert_non_null(strstr(line, " e=\"\\x01"));
    assert_null(strstr(line, " f=\""));
}

#define WRITERS 4
#define LINES 200

static void *write_lines(void *arg)
{
    for (int i = 0; i < LINES; i++) {
        log_info(NULL, "line", KV_STR("v", arg));
    }
    return NULL;
}

static void log_from_threads(void *arg)
{
    pthread_t threads[WRITERS];

    for (int i = 0; i < WRITERS; i++) {
        pthread_create(&threads[i], NULL, write_lines, arg);
    }
    for (int i = 0; i < WRITERS; i++) {
        pthread_join(threads[i], NULL);
    }
}

static void lines_do_not_mix(void **state)
{
    int lines = 0;
    char value[21];

    (void)state;
    memset(value, 'x', 20);
    value[20] = '\0';
    assert_int_equal(run_in_child(log_from_threads, value, said), 0);
    for (char *line = strtok(said, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        assert_memory_equal(line, "ts=20", 5);
        assert_string_equal(line + 28, "level=info event=line v=xxxxxxxxxxxxxxxxxxxx");
        lines++;
    }
    assert_int_equal(lines, WRITERS * LINES);
}

static void log_without_stderr(void *arg)
{
    (void)arg;
    close(STDERR_FILENO);
    errno = ENOTTY;
    log_info(NULL, "unheard");
    _exit(errno == ENOTTY ? 42 : 1);
}

static void errno_survives_logging(void **state)
{
    (void)state;
    int status = run_in_child(log_without_stderr, NULL, said);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 42);
}

static void masks_leave_three_characters(void **state)
{
    char out[LOG_MASK_BYTES];

    (void)state;
    assert_string_equal(log_mask("+254700000123", out), "**********123");
    assert_string_equal(log_mask("123456", out), "***456");
    assert_string_equal(log_mask("12345", out), "*****");
    assert_string_equal(log_mask("1", out), "*");
    assert_string_equal(log_mask("", out), "");
    assert_string_equal(log_mask(NULL, out), "");
    assert_string_equal(log_mask("12345678901234567890123456789", out), "********************789");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_has_time_level_context_event_and_pairs),
        cmocka_unit_test(context_is_replaced_and_removed),
        cmocka_unit_test(too_much_context_panics),
        cmocka_unit_test(long_context_is_cut),
        cmocka_unit_test(values_are_escaped),
        cmocka_unit_test(values_are_cut_at_200_bytes),
        cmocka_unit_test(integers_are_whole),
        cmocka_unit_test(lines_above_the_level_are_dropped),
        cmocka_unit_test(levels_have_names),
        cmocka_unit_test(a_line_fits_a_pipe_and_says_what_it_left_out),
        cmocka_unit_test(lines_do_not_mix),
        cmocka_unit_test(errno_survives_logging),
        cmocka_unit_test(masks_leave_three_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
