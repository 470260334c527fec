/*
 * Every result of libcurl has a class, a kind and a word, and "not sent" needs its proof.
 */
/* cmocka.h wants these before it. clang-format would sort them. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <string.h>

#include "http/outcome.h"

static void every_code_is_in_doubt_once_bytes_left(void **state)
{
    (void)state;
    assert_true(http_outcome_codes() > 90);
    for (int code = 1; code < http_outcome_codes(); code++) {
        struct err err = { 0 };
        assert_int_equal(http_outcome(code, true, "detail", &err), HTTP_UNKNOWN);
        assert_int_equal(err.kind, ERR_UNKNOWN);
        assert_string_equal(err.what, http_outcome_what(code, true));
        assert_memory_equal(err.what, "http_", 5);
        assert_string_equal(err.detail, "detail");
    }
}

static void every_code_may_be_repeated_when_nothing_left(void **state)
{
    (void)state;
    for (int code = 1; code < http_outcome_codes(); code++) {
        struct err err = { 0 };
        assert_int_equal(http_outcome(code, false, "detail", &err), HTTP_NOT_SENT);
        assert_true(err.kind == ERR_TEMPORARY || err.kind == ERR_PERMANENT);
        assert_string_equal(err.what, http_outcome_what(code, false));
        assert_memory_equal(err.what, "http_", 5);
    }
}

/* CURLcode numbers are part of libcurl's ABI; the header stays inside lib/http. */
static void words_of_the_usual_failures(void **state)
{
    static const struct {
        int code;
        const char *early, *late;
    } cases[] = {
        { 3, "http_bad_url", "http_bad_url" },
        { 6, "http_resolve_failed", "http_resolve_failed" },
        { 7, "http_connect_failed", "http_connect_failed" },
        { 18, "http_truncated", "http_truncated" },
        { 28, "http_connect_timeout", "http_timeout" },
        { 35, "http_tls_failed", "http_tls_failed" },
        { 42, "http_connection_died", "http_connection_died" },
        { 52, "http_connection_died", "http_connection_died" },
        { 55, "http_send_failed", "http_send_failed" },
        { 56, "http_receive_failed", "http_receive_failed" },
        { 60, "http_tls_failed", "http_tls_failed" },
        { 65, "http_connection_died", "http_connection_died" },
        { 9999, "http_failed", "http_failed" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_string_equal(http_outcome_what(cases[i].code, false), cases[i].early);
        assert_string_equal(http_outcome_what(cases[i].code, true), cases[i].late);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_is_in_doubt_once_bytes_left),
        cmocka_unit_test(every_code_may_be_repeated_when_nothing_left),
        cmocka_unit_test(words_of_the_usual_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
