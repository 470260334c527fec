/* err: filled and false in one expression, one line of text, safe to quote itself. */

/* cmocka.h needs the headers above it. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <string.h>

#include "base/err.h"
#include "base/str.h"

static void each_kind_fills_and_returns_false(void **state)
{
    struct err err;

    (void)state;
    assert_false(err_temporary(&err, "pg_down", "host %s, port %d", "db", 5432));
    assert_int_equal(err.kind, ERR_TEMPORARY);
    assert_string_equal(err.what, "pg_down");
    assert_string_equal(err.detail, "host db, port 5432");
    assert_false(err_permanent(&err, "refused", "no"));
    assert_int_equal(err.kind, ERR_PERMANENT);
    assert_false(err_unknown(&err, "timeout", "sent"));
    assert_int_equal(err.kind, ERR_UNKNOWN);
    assert_string_equal(err.what, "timeout");
    assert_string_equal(err.detail, "sent");
}

static void the_detail_is_one_line(void **state)
{
    struct err err;

    (void)state;
    err_permanent(&err, "x",
                  "a\nb\tc\x7f"
                  "d");
    assert_string_equal(err.detail, "a b c d");
}

static void a_long_detail_is_cut_between_characters(void **state)
{
    struct err err;
    char text[400] = "";

    (void)state;
    for (size_t shift = 0; shift < 4; shift++) {
        memset(text, 'x', shift);
        text[shift] = '\0';
        while (strlen(text) < 300) {
            strcat(text, "\xe2\x82\xac");
        }
        err_permanent(&err, "x", "%s", text);
        assert_true(strlen(err.detail) >= sizeof(err.detail) - 4);
        assert_true(str_is_utf8(err.detail, strlen(err.detail)));
        assert_memory_equal(err.detail, text, strlen(err.detail));
    }
}

static void an_error_may_quote_itself(void **state)
{
    struct err err;

    (void)state;
    err_temporary(&err, "inner", "reset by peer");
    err_permanent(&err, "outer", "%s: %s", err.what, err.detail);
    assert_string_equal(err.detail, "inner: reset by peer");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_fills_and_returns_false),
        cmocka_unit_test(the_detail_is_one_line),
        cmocka_unit_test(a_long_detail_is_cut_between_characters),
        cmocka_unit_test(an_error_may_quote_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
