/* text/cell.h: cells that a spreadsheet takes for what they are */
/* cmocka.h needs the others before it. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include "text/cell.h"

static void cells_are_quoted_and_formulas_defused(void **state)
{
    static const struct {
        const char *text, *cell;
    } table[] = {
        { NULL, "" },
        { "", "" },
        { "plain", "plain" },
        { " = 1", " = 1" },
        { "a=b", "a=b" },
        { "rent, June", "\"rent, June\"" },
        { "say \"hi\"", "\"say \"\"hi\"\"\"" },
        { "two\nlines", "\"two\nlines\"" },
        { "=1+1", "\"'=1+1\"" },
        { "+254", "\"'+254\"" },
        { "-1", "\"'-1\"" },
        { "@SUM(A1)", "\"'@SUM(A1)\"" },
        { "\tx", "\"'\tx\"" },
        { "\rx", "\"'\rx\"" },
        { "=\"a\"", "\"'=\"\"a\"\"\"" },
        { "caf\u00e9", "caf\u00e9" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct str out = { 0 };

        str_puts(&out, "|");
        text_put_cell(&out, table[i].text);
        assert_string_equal(out.bytes + 1, table[i].cell);
        str_free(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cells_are_quoted_and_formulas_defused),
    };

    return cmocka_run_group_tests_name("unit.text.cell", tests, NULL, NULL);
}
