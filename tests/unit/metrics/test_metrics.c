/* metrics: shared by forked workers, exact under contention, bounded, and told in order. */

/* cmocka.h needs the headers above it. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "metrics/metrics.h"

static int set_up(void **state)
{
    *state = metrics_create("tuma_t");
    return 0;
}

static int tear_down(void **state)
{
    metrics_destroy(*state);
    return 0;
}

static void assert_written(struct metrics *metrics, const char *want)
{
    struct str out = { 0 };

    str_append(&out, "", 0);
    metrics_write(metrics, &out);
    assert_string_equal(out.bytes, want);
    str_free(&out);
}

static void nothing_counted_is_nothing_written(void **state)
{
    assert_written(*state, "");
    metrics_destroy(NULL);
}

static void metrics_are_written_in_order_with_one_head_a_name(void **state)
{
    metric_add(metrics_counter(*state, "messages_total", "By \\ outcome.\n2", "why=\"b\""), 2);
    metric_set(metrics_gauge(*state, "in_flight", "Now.", ""), 7);
    metric_add(metrics_counter(*state, "messages_total", "ignored", "why=\"a\""), 3);
    metric_add(metrics_gauge(*state, "in_flight", "Now.", ""), -9);
    metric_add(metrics_counter(*state, "messages", "Shorter.", ""), 1);
    assert_written(*state, "# HELP tuma_t_in_flight Now.\n"
                           "# TYPE tuma_t_in_flight gauge\n"
                           "tuma_t_in_flight -2\n"
                           "# HELP tuma_t_messages Shorter.\n"
                           "# TYPE tuma_t_messages counter\n"
                           "tuma_t_messages 1\n"
                           "# HELP tuma_t_messages_total ignored\n"
                           "# TYPE tuma_t_messages_total counter\n"
                           "tuma_t_messages_total{why=\"a\"} 3\n"
                           "tuma_t_messages_total{why=\"b\"} 2\n");
}

static void help_is_escaped(void **state)
{
    metrics_counter(*state, "a", "Back\\slash\nand line.", "");
    assert_written(*state, "# HELP tuma_t_a Back\\\\slash\\nand line.\n"
                           "# TYPE tuma_t_a counter\n"
                           "tuma_t_a 0\n");
}

static void looking_up_again_finds_the_same(void **state)
{
    struct metric *metric = metrics_counter(*state, "a", "A.", "k=\"1\"");

    assert_ptr_equal(metrics_counter(*state, "a", "A.", "k=\"1\""), metric);
    assert_ptr_not_equal(metrics_counter(*state, "a", "A.", "k=\"2\""), metric);
    assert_ptr_not_equal(metrics_counter(*state, "b", "B.", "k=\"1\""), metric);
    metric_add(metric, 5);
    assert_int_equal(metric_value(metrics_counter(*state, "a", "A.", "k=\"1\"")), 5);
}

static void durations_fall_into_cumulative_buckets(void **state)
{
    struct metric *plain = metrics_histogram(*state, "a_seconds", "A.", "");
    struct metric *labelled = metrics_histogram(*state, "a_seconds", "A.", "route=\"sms\"");

    metric_observe_us(plain, 0);
    metric_observe_us(plain, 1000);
    metric_observe_us(plain, 1001);
    metric_observe_us(plain, 30000000);
    metric_observe_us(plain, 30000001);
    metric_observe_us(labelled, 1500000);
    assert_int_equal(metric_value(plain), 5);
    assert_written(*state, "# HELP tuma_t_a_seconds A.\n"
                           "# TYPE tuma_t_a_seconds histogram\n"
                           "tuma_t_a_seconds_bucket{le=\"0.001\"} 2\n"
                           "tuma_t_a_seconds_bucket{le=\"0.0025\"} 3\n"
                           "tuma_t_a_seconds_bucket{le=\"0.005\"} 3\n"
                           "tuma_t_a_seconds_bucket{le=\"0.01\"} 3\n"
                           "tuma_t_a_seconds_bucket{le=\"0.025\"} 3\n"
                           "tuma_t_a_seconds_bucket{le=\"0.05\"} 3\n"
                           "tuma_t_a_seconds_bucket{le=\"0.1\"} 3\n"
                           "tuma_t_a_seconds_bucket{le=\"0.25\"} 3\n"
                           "tuma_t_a_seconds_bucket{le=\"0.5\"} 3\n"
                           "tuma_t_a_seconds_bucket{le=\"1\"} 3\n"
                           "tuma_t_a_seconds_bucket{le=\"2.5\"} 3\n"
                           "tuma_t_a_seconds_bucket{le=\"5\"} 3\n"
                           "tuma_t_a_seconds_bucket{le=\"10\"} 3\n"
                           "tuma_t_a_seconds_bucket{le=\"30\"} 4\n"
                           "tuma_t_a_seconds_bucket{le=\"+Inf\"} 5\n"
                           "tuma_t_a_seconds_sum 60.002002\n"
                           "tuma_t_a_seconds_count 5\n"
                           "tuma_t_a_seconds_bucket{route=\"sms\",le=\"0.001\"} 0\n"
                           "tuma_t_a_seconds_bucket{route=\"sms\",le=\"0.0025\"} 0\n"
                           "tuma_t_a_seconds_bucket{route=\"sms\",le=\"0.005\"} 0\n"
                           "tuma_t_a_seconds_bucket{route=\"sms\",le=\"0.01\"} 0\n"
                           "tuma_t_a_seconds_bucket{route=\"sms\",le=\"0.025\"} 0\n"
                           "tuma_t_a_seconds_bucket{route=\"sms\",le=\"0.05\"} 0\n"
                           "tuma_t_a_seconds_bucket{route=\"sms\",le=\"0.1\"} 0\n"
                           "tuma_t_a_seconds_bucket{route=\"sms\",le=\"0.25\"} 0\n"
                           "tuma_t_a_seconds_bucket{route=\"sms\",le=\"0.5\"} 0\n"
                           "tuma_t_a_seconds_bucket{route=\"sms\",le=\"1\"} 0\n"
                           "tuma_t_a_seconds_bucket{route=\"sms\",le=\"2.5\"} 1\n"
                           "tuma_t_a_seconds_bucket{route=\"sms\",le=\"5\"} 1\n"
                           "tuma_t_a_seconds_bucket{route=\"sms\",le=\"10\"} 1\n"
                           "tuma_t_a_seconds_bucket{route=\"sms\",le=\"30\"} 1\n"
                           "tuma_t_a_seconds_bucket{route=\"sms\",le=\"+Inf\"} 1\n"
                           "tuma_t_a_seconds_sum{route=\"sms\"} 1.500000\n"
                           "tuma_t_a_seconds_count{route=\"sms\"} 1\n");
}

#define WORKERS 4
#define ROUNDS 2000

/* Every worker looks up the same hundred metrics, most of them for the first time. */
static void count_from_a_worker(struct metrics *metrics)
{
    char labels[32];

    for (int i = 0; i < ROUNDS; i++) {
        snprintf(labels, sizeof(labels), "n=\"%d\"", i % 100);
        metric_add(metrics_counter(metrics, "work_total", "Work.", labels), 1);
    }
}

static void forked_workers_count_together(void **state)
{
    char labels[32];
    pid_t pids[WORKERS];
    int status;

    for (int i = 0; i < WORKERS; i++) {
        pids[i] = fork();
        assert_true(pids[i] >= 0);
        if (pids[i] == 0) {
            count_from_a_worker(*state);
            _exit(0);
        }
    }
    for (int i = 0; i < WORKERS; i++) {
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_int_equal(status, 0);
    }
    for (int i = 0; i < 100; i++) {
        snprintf(labels, sizeof(labels), "n=\"%d\"", i);
        assert_int_equal(metric_value(metrics_counter(*state, "work_total", "Work.", labels)),
                         WORKERS * ROUNDS / 100);
    }
}

static void *count_from_a_thread(void *metrics)
{
    count_from_a_worker(metrics);
    return NULL;
}

static void threads_count_together(void **state)
{
    pthread_t threads[WORKERS];

    for (int i = 0; i < WORKERS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, count_from_a_thread, *state), 0);
    }
    for (int i = 0; i < WORKERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(metric_value(metrics_counter(*state, "work_total", "Work.", "n=\"99\"")),
                     WORKERS * ROUNDS / 100);
}

static void past_the_limit_metrics_are_lost_and_counted(void **state)
{
    struct str out = { 0 };
    char labels[32];

    for (int i = 0; i < METRICS_MAX; i++) {
        snprintf(labels, sizeof(labels), "n=\"%d\"", i);
        metric_add(metrics_counter(*state, "a_total", "A.", labels), 1);
    }
    for (int i = 0; i < 10; i++) {
        snprintf(labels, sizeof(labels), "m=\"%d\"", i);
        metric_add(metrics_counter(*state, "b_total", "B.", labels), 1);
        metric_observe_us(metrics_histogram(*state, "c_seconds", "C.", labels), 1);
    }
    metrics_write(*state, &out);
    assert_non_null(strstr(out.bytes, "tuma_t_a_total{n=\"255\"} 1\n"));
    assert_null(strstr(out.bytes, "b_total"));
    assert_null(strstr(out.bytes, "c_seconds"));
    assert_non_null(strstr(out.bytes, "# TYPE tuma_t_metrics_lost_total counter\n"
                                      "tuma_t_metrics_lost_total 20\n"));
    /* The ones that have a place keep working. */
    assert_int_equal(metric_value(metrics_counter(*state, "a_total", "A.", "n=\"255\"")), 1);
    str_free(&out);
}

static void labels_that_would_break_the_text_are_lost(void **state)
{
    struct str out = { 0 };
    char labels[METRICS_LABELS_BYTES + 1];

    memset(labels, 'x', sizeof(labels));
    labels[METRICS_LABELS_BYTES] = '\0';
    metrics_counter(*state, "a", "A.", labels);
    metrics_counter(*state, "a", "A.", "k=\"1\n2\"");
    metrics_write(*state, &out);
    assert_null(strstr(out.bytes, "tuma_t_a"));
    assert_non_null(strstr(out.bytes, "tuma_t_metrics_lost_total 2\n"));
    str_reset(&out);
    labels[METRICS_LABELS_BYTES - 1] = '\0';
    metrics_counter(*state, "a", "A.", labels);
    metrics_write(*state, &out);
    assert_non_null(strstr(out.bytes, "tuma_t_a{xxx"));
    str_free(&out);
}

/* Runs the function in a child and expects it to abort. */
static void assert_aborts(void (*function)(struct metrics *metrics), struct metrics *metrics)
{
    int status;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        signal(SIGABRT, SIG_DFL); /* cmocka's handler would report a failed test */
        close(STDERR_FILENO);
        function(metrics);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}

static void use_a_bad_name(struct metrics *metrics)
{
    metrics_counter(metrics, "Bad-name", "A.", "");
}

static void use_two_types(struct metrics *metrics)
{
    metrics_counter(metrics, "a", "A.", "");
    metrics_gauge(metrics, "a", "A.", "");
}

static void mistakes_of_the_program_panic(void **state)
{
    assert_aborts(use_a_bad_name, *state);
    assert_aborts(use_two_types, *state);
}

static void add_until_killed(struct metrics *metrics, int fd)
{
    char labels[32];

    for (int i = 0;; i++) {
        snprintf(labels, sizeof(labels), "n=\"%d\"", i % 200);
        metric_add(metrics_counter(metrics, "a_total", "A.", labels), 1);
        if (i == 0 && write(fd, "x", 1) != 1) {
            _exit(1);
        }
    }
}

static void a_killed_worker_leaves_the_others_going(void **state)
{
    int ends[2];
    char ready;

    assert_int_equal(pipe(ends), 0);
    for (int i = 0; i < 20; i++) {
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            add_until_killed(*state, ends[1]);
        }
        assert_int_equal(read(ends[0], &ready, 1), 1);
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
    }
    metric_add(metrics_counter(*state, "after_total", "After.", ""), 1);
    assert_int_equal(metric_value(metrics_counter(*state, "after_total", "After.", "")), 1);
    close(ends[0]);
    close(ends[1]);
}

#define test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(nothing_counted_is_nothing_written),
        test(metrics_are_written_in_order_with_one_head_a_name),
        test(help_is_escaped),
        test(looking_up_again_finds_the_same),
        test(durations_fall_into_cumulative_buckets),
        test(forked_workers_count_together),
        test(threads_count_together),
        test(past_the_limit_metrics_are_lost_and_counted),
        test(labels_that_would_break_the_text_are_lost),
        test(mistakes_of_the_program_panic),
        test(a_killed_worker_leaves_the_others_going),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
