/*
 * The provider's words: codes, report states, opt-out, networks, money.
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

#include "provider/africastalking.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void money_is_exact(void **state)
{
    static const struct {
        const char *text;
        int64_t e4;
        const char *currency;
    } cases[] = {
        { "KES 0.8000", 8000, "KES" },      { "0", 0, "" },
        { "ZAR -1.3448", -13448, "ZAR" },   { "USD 999999589.6168", 9999995896168, "USD" },
        { "KES 1785.50", 17855000, "KES" }, { "USD 0.0079", 79, "USD" },
        { "KES 4", 40000, "KES" },          { "UGX 25.0", 250000, "UGX" },
        { "KES 0.80000000", 8000, "KES" },  { "0.0000", 0, "" },
        { "NGN -0.0001", -1, "NGN" },       { "USD 922337203685477.5807", INT64_MAX, "USD" },
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        int64_t e4 = 42;
        char currency[4] = "???";
        assert_true(at_money_parse(cases[i].text, &e4, currency));
        assert_int_equal(e4, cases[i].e4);
        assert_string_equal(currency, cases[i].currency);
    }
}

static void what_is_not_money_leaves_all_untouched(void **state)
{
    static const char *const cases[] = {
        "",
        "KES",
        "KES ",
        "KES  1",
        "KES 1 ",
        "kes 1",
        "KE 1",
        "KESX 1",
        "KES1",
        "KES 1.",
        "KES .5",
        "KES 1.2.3",
        "KES 0.80001",
        "KES 1,000",
        "KES +1",
        "KES --1",
        "KES 1e3",
        "KES 0x1",
        "None",
        "-",
        "1 KES",
        "KES -",
        "USD 922337203685477.5808",
        "99999999999999999999",
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        int64_t e4 = 42;
        char currency[4] = "???";
        assert_false(at_money_parse(cases[i], &e4, currency));
        assert_int_equal(e4, 42);
        assert_string_equal(currency, "???");
    }
}

static void each_code_has_its_class(void **state)
{
    static const struct {
        int code;
        enum at_class class;
    } cases[] = {
        { 100, AT_ACCEPTED },     { 101, AT_ACCEPTED },     { 102, AT_ACCEPTED },
        { 401, AT_HOLD_ACCOUNT }, { 402, AT_HOLD_ACCOUNT }, { 403, AT_FINAL },
        { 404, AT_FINAL },        { 405, AT_HOLD_ACCOUNT }, { 406, AT_SUPPRESS },
        { 407, AT_FINAL },        { 409, AT_HOLD_WINDOW },  { 500, AT_RETRY },
        { 501, AT_RETRY },        { 502, AT_RETRY },
    };
    (void)state;
    assert_int_equal(at_codes_count, COUNT(cases));
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_int_equal(at_codes[i].code, cases[i].code);
        assert_int_equal(at_codes[i].class, cases[i].class);
        assert_true(at_codes[i].word[0] != '\0');
        assert_true(at_codes[i].reason[0] != '\0');
        assert_true(strspn(at_codes[i].reason, "abcdefghijklmnopqrstuvwxyz_") ==
                    strlen(at_codes[i].reason));
    }
    for (int class = AT_DOUBT; class <= AT_HOLD_ACCOUNT; class ++) {
        for (int other = AT_DOUBT; other < class; other++) {
            assert_string_not_equal(at_class_name((enum at_class) class),
                                    at_class_name((enum at_class)other));
        }
    }
}

static void report_words(void **state)
{
    static const struct {
        const char *word;
        enum report_state state;
    } cases[] = {
        { "Success", REPORT_DELIVERED },
        { "Sent", REPORT_PROGRESS },
        { "Submitted", REPORT_PROGRESS },
        { "Buffered", REPORT_PROGRESS },
        { "Failed", REPORT_FAILED },
        { "Rejected", REPORT_FAILED },
        { "AbsentSubscriber", REPORT_ABSENT },
        { "Expired", REPORT_EXPIRED },
        { "absentsubscriber", REPORT_ABSENT },
        { "SUCCESS", REPORT_DELIVERED },
        { "Delivered", REPORT_UNKNOWN },
        { "Successful", REPORT_UNKNOWN },
        { "", REPORT_UNKNOWN },
        { NULL, REPORT_UNKNOWN },
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_int_equal(at_report_state(cases[i].word), cases[i].state);
    }
}

static void both_spellings_of_the_opt_out(void **state)
{
    (void)state;
    assert_true(at_reason_is_opt_out("UserInBlackList"));
    assert_true(at_reason_is_opt_out("UserInBlacklist"));
    assert_false(at_reason_is_opt_out("UserIsInactive"));
    assert_false(at_reason_is_opt_out("DoNotDisturbRejection"));
    assert_false(at_reason_is_opt_out(""));
    assert_false(at_reason_is_opt_out(NULL));
}

static void networks(void **state)
{
    (void)state;
    assert_string_equal(at_network_name("63902"), "Safaricom Kenya");
    assert_string_equal(at_network_name("63903"), "Airtel Kenya");
    assert_string_equal(at_network_name("99999"), "Athena (sandbox)");
    assert_null(at_network_name("6390"));
    assert_null(at_network_name(""));
    assert_null(at_network_name(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(money_is_exact),
        cmocka_unit_test(what_is_not_money_leaves_all_untouched),
        cmocka_unit_test(each_code_has_its_class),
        cmocka_unit_test(report_words),
        cmocka_unit_test(both_spellings_of_the_opt_out),
        cmocka_unit_test(networks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
