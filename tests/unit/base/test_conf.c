/* conf: a table filled from the environment, with every problem told at once. */

/* cmocka.h needs the headers above it. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/conf.h"
#include "child.h"

struct send_conf {
    const char *url;
    const char *key;
    long batch;
    long timeout_ms;
    bool dry_run;
};

static const struct conf_item items[] = {
    CONF_STR(struct send_conf, url, "T_URL", "https://example.com", "Where messages are posted."),
    CONF_SECRET(struct send_conf, key, "T_KEY", NULL, "The provider's key."),
    CONF_INT(struct send_conf, batch, "T_BATCH", "500", 1, 500, "Recipients a batch."),
    CONF_MS(struct send_conf, timeout_ms, "T_TIMEOUT", "30s", 100, 60000, "Longest wait."),
    CONF_BOOL(struct send_conf, dry_run, "T_DRY_RUN", "no", "Send nothing."),
    CONF_END,
};

struct fixture {
    struct arena *arena;
    struct str problems;
    struct send_conf conf;
    char path[64];
};

static int set_up(void **state)
{
    static const char *const names[] = { "T_URL", "T_KEY", "T_BATCH", "T_TIMEOUT", "T_DRY_RUN" };
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    char file[64];

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(file, sizeof(file), "%s_FILE", names[i]);
        unsetenv(names[i]);
        unsetenv(file);
    }
    fixture->arena = arena_create(1 << 20);
    strcpy(fixture->path, "/tmp/tuma-test-conf-XXXXXX");
    close(mkstemp(fixture->path));
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    unlink(fixture->path);
    arena_destroy(fixture->arena);
    str_free(&fixture->problems);
    free(fixture);
    return 0;
}

static bool load(struct fixture *fixture)
{
    str_reset(&fixture->problems);
    return conf_load(items, &fixture->conf, fixture->arena, &fixture->problems);
}

static void write_file(const struct fixture *fixture, const void *bytes, size_t len)
{
    FILE *file = fopen(fixture->path, "wb");

    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

static void defaults_fill_what_is_not_set(void **state)
{
    struct fixture *fixture = *state;

    setenv("T_KEY", "secret", 1);
    setenv("T_BATCH", "", 1); /* empty is not set */
    assert_true(load(fixture));
    assert_int_equal(fixture->problems.len, 0);
    assert_string_equal(fixture->conf.url, "https://example.com");
    assert_string_equal(fixture->conf.key, "secret");
    assert_int_equal(fixture->conf.batch, 500);
    assert_int_equal(fixture->conf.timeout_ms, 30000);
    assert_false(fixture->conf.dry_run);
}

static void the_environment_comes_first(void **state)
{
    struct fixture *fixture = *state;

    setenv("T_URL", "http://127.0.0.1:1/", 1);
    setenv("T_KEY", "k", 1);
    setenv("T_BATCH", "1", 1);
    setenv("T_TIMEOUT", "200ms", 1);
    setenv("T_DRY_RUN", "true", 1);
    assert_true(load(fixture));
    setenv("T_KEY", "changed", 1); /* the values are copies */
    unsetenv("T_URL");
    assert_string_equal(fixture->conf.url, "http://127.0.0.1:1/");
    assert_string_equal(fixture->conf.key, "k");
    assert_int_equal(fixture->conf.batch, 1);
    assert_int_equal(fixture->conf.timeout_ms, 200);
    assert_true(fixture->conf.dry_run);
}

static void all_problems_are_told_in_one_go(void **state)
{
    struct fixture *fixture = *state;

    setenv("T_BATCH", "501", 1);
    setenv("T_TIMEOUT", "5", 1);
    setenv("T_DRY_RUN", "may\nbe", 1);
    assert_false(load(fixture));
    assert_string_equal(
        fixture->problems.bytes,
        "T_KEY: not set, and there is no default: The provider's key.\n"
        "T_BATCH: '501' is not allowed: a whole number from 1 to 500\n"
        "T_TIMEOUT: '5' is not allowed: a time with its unit (ms, s, m, h) from 100ms to 60000ms\n"
        "T_DRY_RUN: 'may?be' is not allowed: one of true false yes no 1 0 on off\n");
}

static void bounds_are_kept(void **state)
{
    static const struct {
        const char *name;
        const char *value;
        bool good;
    } cases[] = {
        { "T_BATCH", "0", false },      { "T_BATCH", "-1", false },
        { "T_BATCH", "1", true },       { "T_BATCH", "500", true },
        { "T_BATCH", " 5", false },     { "T_BATCH", "5.0", false },
        { "T_BATCH", "5s", false },     { "T_TIMEOUT", "99ms", false },
        { "T_TIMEOUT", "100ms", true }, { "T_TIMEOUT", "1m", true },
        { "T_TIMEOUT", "61s", false },  { "T_TIMEOUT", "1h", false },
        { "T_DRY_RUN", "on", true },    { "T_DRY_RUN", "1", true },
        { "T_DRY_RUN", "2", false },    { "T_DRY_RUN", "TRUE", false },
    };
    struct fixture *fixture = *state;

    setenv("T_KEY", "k", 1);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        setenv(cases[i].name, cases[i].value, 1);
        if (load(fixture) != cases[i].good) {
            fail_msg("%s=%s", cases[i].name, cases[i].value);
        }
        unsetenv(cases[i].name);
    }
}

static void every_word_for_yes_and_no_is_known(void **state)
{
    static const char *const words[] = { "false", "true", "no", "yes", "0", "1", "off", "on" };
    struct fixture *fixture = *state;

    setenv("T_KEY", "k", 1);
    for (size_t i = 0; i < 8; i++) {
        setenv("T_DRY_RUN", words[i], 1);
        assert_true(load(fixture));
        assert_int_equal(fixture->conf.dry_run, i % 2 == 1);
    }
}

static void a_value_may_come_from_a_file(void **state)
{
    static const struct {
        const char *bytes;
        const char *value;
    } cases[] = {
        { "from file", "from file" },     { "from file\n", "from file" },
        { "from file\r\n", "from file" }, { "two\nlines\n\n", "two\nlines\n" },
        { " spaces ", " spaces " },
    };
    struct fixture *fixture = *state;

    setenv("T_KEY_FILE", fixture->path, 1);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        write_file(fixture, cases[i].bytes, strlen(cases[i].bytes));
        assert_true(load(fixture));
        assert_string_equal(fixture->conf.key, cases[i].value);
    }
    write_file(fixture, "7\n", 2);
    setenv("T_BATCH_FILE", fixture->path, 1);
    assert_true(load(fixture));
    assert_int_equal(fixture->conf.batch, 7);
    assert_string_equal(conf_get("T_KEY", fixture->arena), "7");
    unsetenv("T_BATCH_FILE");
}

static void a_file_that_cannot_be_used_is_a_problem(void **state)
{
    static char large[70000];
    struct fixture *fixture = *state;

    setenv("T_KEY_FILE", "/nonexistent/key", 1);
    assert_false(load(fixture));
    assert_non_null(
        strstr(fixture->problems.bytes, "T_KEY: cannot read /nonexistent/key: No such"));
    assert_null(conf_get("T_KEY", fixture->arena));

    setenv("T_KEY_FILE", "/tmp", 1);
    assert_false(load(fixture));
    assert_non_null(strstr(fixture->problems.bytes, "T_KEY: cannot read /tmp: Is a directory"));

    setenv("T_KEY_FILE", fixture->path, 1);
    write_file(fixture, "a\0b", 3);
    assert_false(load(fixture));
    assert_non_null(strstr(fixture->problems.bytes, "is not text"));

    write_file(fixture, "\n", 1);
    assert_false(load(fixture));
    assert_non_null(strstr(fixture->problems.bytes, "is empty"));

    memset(large, 'x', sizeof(large));
    write_file(fixture, large, sizeof(large));
    assert_false(load(fixture));
    assert_non_null(strstr(fixture->problems.bytes, "larger than 65536 bytes"));
    write_file(fixture, large, 65536);
    assert_true(load(fixture));
    assert_int_equal(strlen(fixture->conf.key), 65536);
}

static void a_value_and_its_file_are_too_much(void **state)
{
    struct fixture *fixture = *state;

    setenv("T_KEY", "here", 1);
    setenv("T_KEY_FILE", fixture->path, 1);
    assert_false(load(fixture));
    assert_non_null(strstr(fixture->problems.bytes, "T_KEY: set, and its _FILE too"));
}

static void a_secret_is_never_printed(void **state)
{
    struct fixture *fixture = *state;

    setenv("T_KEY", "hunter2", 1);
    setenv("T_KEY_FILE", fixture->path, 1);
    write_file(fixture, "hunter2\0", 8);
    assert_false(load(fixture));
    assert_null(strstr(fixture->problems.bytes, "hunter2"));
    unsetenv("T_KEY");
    assert_false(load(fixture));
    assert_null(strstr(fixture->problems.bytes, "hunter2"));
}

static void load_with_a_bad_default(void *arg)
{
    static const struct conf_item bad[] = {
        CONF_INT(struct send_conf, batch, "T_BATCH", "501", 1, 500, "Recipients a batch."),
        CONF_END,
    };
    struct fixture *fixture = arg;

    conf_load(bad, &fixture->conf, fixture->arena, &fixture->problems);
}

static void a_default_that_is_not_allowed_panics(void **state)
{
    assert_panics(load_with_a_bad_default, *state, "the default of T_BATCH is not allowed");
}

static void durations_carry_a_unit(void **state)
{
    static const struct {
        const char *text;
        long ms;
    } good[] = { { "0ms", 0 },     { "1ms", 1 },      { "200ms", 200 }, { "5s", 5000 },
                 { "2m", 120000 }, { "1h", 3600000 }, { "0s", 0 },      { "007s", 7000 } };
    static const char *const bad[] = { "",
                                       "5",
                                       "s",
                                       "ms",
                                       "-5s",
                                       "5 s",
                                       "5S",
                                       "1.5s",
                                       "5sec",
                                       "5ss",
                                       " 5s",
                                       "5s ",
                                       "1d",
                                       "5m30s",
                                       "9223372036854775807s",
                                       "99999999999999999999ms" };
    long ms = 77;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (conf_parse_ms(bad[i], &ms)) {
            fail_msg("'%s' was read as a duration", bad[i]);
        }
    }
    assert_false(conf_parse_ms(NULL, &ms));
    assert_int_equal(ms, 77);
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_true(conf_parse_ms(good[i].text, &ms));
        assert_int_equal(ms, good[i].ms);
    }
}

static void single_variables_are_found_or_not(void **state)
{
    struct fixture *fixture = *state;

    assert_null(conf_get("T_URL", fixture->arena));
    setenv("T_URL", "", 1);
    assert_null(conf_get("T_URL", fixture->arena));
    setenv("T_URL", "x", 1);
    assert_string_equal(conf_get("T_URL", fixture->arena), "x");
}

#define test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(defaults_fill_what_is_not_set),
        test(the_environment_comes_first),
        test(all_problems_are_told_in_one_go),
        test(bounds_are_kept),
        test(every_word_for_yes_and_no_is_known),
        test(a_value_may_come_from_a_file),
        test(a_file_that_cannot_be_used_is_a_problem),
        test(a_value_and_its_file_are_too_much),
        test(a_secret_is_never_printed),
        test(a_default_that_is_not_allowed_panics),
        test(durations_carry_a_unit),
        test(single_variables_are_found_or_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
