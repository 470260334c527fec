/* lib/campaign/columns: which column holds the phone number */
/* cmocka.h needs the others before it. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <string.h>

#include "campaign/columns.h"

#define COLUMNS_MAX 5

static void the_phone_column_is_found_by_its_usual_names(void **state)
{
    static const struct {
        const char *columns[COLUMNS_MAX];
        int found;
    } table[] = {
        { { "phone" }, 0 },
        { { "name", "phone" }, 1 },
        { { "Phone" }, 0 },
        { { "PHONE NUMBER", "x" }, 0 },
        { { "x", "phone-number" }, 1 },
        { { "phone_number" }, 0 },
        { { "PhoneNumber" }, 0 },
        { { "MSISDN" }, 0 },
        { { "Mobile" }, 0 },
        { { "number" }, 0 },
        { { "Telephone" }, 0 },
        { { "tel" }, 0 },
        { { "mobile", "number", "phone" }, 2 }, /* the plainest name wins */
        { { "tel", "msisdn" }, 1 },
        { { "phone", "Phone" }, 0 }, /* the first of equals */
        { { "name", "amount" }, -1 },
        { { "phones" }, -1 },
        { { "phon" }, -1 },
        { { " phone" }, -1 },
        { { "" }, -1 },
        { { "t\u00e9l" }, -1 },
        { { NULL }, -1 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        size_t count = 0;

        while (count < COLUMNS_MAX && table[i].columns[count] != NULL) {
            count++;
        }
        assert_int_equal(campaign_phone_column(table[i].columns, count), table[i].found);
    }
}

static void people_are_told_the_names_that_work(void **state)
{
    (void)state;
    const char *names = campaign_phone_names();
    static const char *const some[] = { "phone",  "phone_number", "msisdn", "mobile",
                                        "number", "telephone",    "tel" };

    for (size_t i = 0; i < sizeof some / sizeof *some; i++) {
        assert_non_null(strstr(names, some[i]));
        assert_int_equal(campaign_phone_column(&some[i], 1), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_phone_column_is_found_by_its_usual_names),
        cmocka_unit_test(people_are_told_the_names_that_work),
    };

    return cmocka_run_group_tests_name("unit.campaign.columns", tests, NULL, NULL);
}
