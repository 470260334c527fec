/* panic: one line with place and message, then abort. */

/* cmocka.h needs the headers above it. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <stdio.h>
#include <string.h>

#include "base/panic.h"
#include "child.h"

#define PANIC_LINE 22 /* of the next panic() */

static void panic_with_odd_text(void *arg)
{
    panic("slot %d says \"no\"\nand ends", *(int *)arg);
}

static void panic_aborts_and_says_where_and_why(void **state)
{
    static char said[CHILD_SAID_BYTES];
    char place[40];
    int slot = 7;
    int status = run_in_child(panic_with_odd_text, &slot, said);

    (void)state;
    snprintf(place, sizeof(place), "at=test_panic.c:%d ", PANIC_LINE);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    assert_non_null(strstr(said, "level=error event=panic "));
    assert_non_null(strstr(said, place));
    assert_non_null(strstr(said, "detail=\"slot 7 says 'no' and ends\"\n"));
    assert_ptr_equal(strchr(said, '\n'), said + strlen(said) - 1); /* one line */
}

static void panic_at_length(void *arg)
{
    panic("%s", (const char *)arg);
}

static void a_long_message_is_cut_and_still_a_line(void **state)
{
    static char said[CHILD_SAID_BYTES];
    char text[4000];

    (void)state;
    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    int status = run_in_child(panic_at_length, text, said);
    assert_true(WIFSIGNALED(status));
    assert_true(strlen(said) < 1024);
    assert_string_equal(said + strlen(said) - 3, "x\"\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(panic_aborts_and_says_where_and_why),
        cmocka_unit_test(a_long_message_is_cut_and_still_a_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
