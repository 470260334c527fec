/*
 * test_msisdn - numbers are understood as people and spreadsheets write them, and never guessed
 */

/* cmocka.h needs the headers above it. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "random.h"
#include "text/msisdn.h"

static void expect(const char *written, const char *home, const char *expected)
{
    char got[TEXT_MSISDN_BYTES];
    int64_t msisdn = 0;
    enum text_msisdn_fault fault = text_msisdn_parse(
        written, strlen(written), home == NULL ? NULL : text_country_find(home), &msisdn);

    if (fault == TEXT_MSISDN_OK) {
        text_msisdn_format(msisdn, got);
    } else {
        strcpy(got, text_msisdn_word(fault));
        assert_int_equal(msisdn, 0);
    }
    if (strcmp(got, expected) != 0) {
        fail_msg("'%s' is %s, expected %s", written, got, expected);
    }
}

static void understands_what_people_write(void **state)
{
    static const char *const kenyan[] = {
        "0712345678",
        "712345678",
        "254712345678",
        "+254712345678",
        "00254712345678",
        "000254712345678",
        "+254 712 345 678",
        "+254-712-345-678",
        "0712.345.678",
        "(0712) 345 678",
        "(+254) 712 345678",
        "+254 (0)712 345678",
        "+2540712345678",
        "[254] 712/345678",
        "'0712345678",
        "\"0712345678\"",
        "tel:+254712345678",
        "  0712345678\t",
        "0712345678\r\n",
        "0712\u00A0345\u00A0678",
        "\u00A00712345678\u00A0",
        "\u202A+254712345678\u202C", /* as copied from an address book */
        "\uFEFF0712345678",
        "+254\u2011712\u2013345678",
        "0712345678,",
        "254,712,345,678",
        "254712345678.0",
        "254712345678.00",
        "712345678.0",
        "2.54712345678E+11",
        "2.54712345678e+11",
        "2.54712345678E11",
        "2,54712345678E+11",
        "2.547123456780E+11",
        "+2.54712345678E+11",
        "7.12345678E+08",
        "'7.12345678E+8",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(kenyan) / sizeof(kenyan[0]); i++) {
        expect(kenyan[i], "KE", "+254712345678");
    }
    expect("07.12.34.56.00", "KE", "+254712345600"); /* pairs, not a fraction */
    expect("0110123456", "KE", "+254110123456");     /* the newer prefixes */
    expect("0100123456", "KE", "+254100123456");
    expect("0119123456", "KE", "+254119123456");
}

static void says_why_it_is_none(void **state)
{
    static const struct {
        const char *written, *word;
    } cases[] = {
        { "", "empty" },
        { "   ", "empty" },
        { "-", "empty" },
        { "\u00A0", "empty" },
        { "''", "empty" },
        { "+", "not_a_number" },
        { "n/a", "not_a_number" },
        { "Wanjiku", "not_a_number" },
        { "07l2345678", "not_a_number" },
        { "0712345678 ext 4", "not_a_number" },
        { "#REF!", "not_a_number" },
        { "0712345678\xFF", "not_a_number" },
        { "0712+345678", "not_a_number" },
        { "++254712345678", "not_a_number" },
        { "٠٧١٢٣٤٥٦٧٨", "not_a_number" },
        { "0712345678/0722345678", "several_numbers" },
        { "0712345678, 0722345678", "several_numbers" },
        { "0712345678;0722345678", "several_numbers" },
        { "0712345678 0722345678", "several_numbers" },
        { "0712345678\n0722345678", "several_numbers" },
        { "0712345678 or 0722345678", "not_a_number" },
        { "+254712345678+254722345678", "several_numbers" },
        { "+254712345678 +254722345678 x", "several_numbers" },
        { "2.54712E+11", "scientific_lost_digits" },
        { "2.547E+11", "scientific_lost_digits" },
        { "2.5471234567E+11", "scientific_lost_digits" },
        { "2,54712E+11", "scientific_lost_digits" },
        { "7.12346E+08", "scientific_lost_digits" },
        { "2.547123456785E+11", "not_a_number" },
        { "2.5E", "not_a_number" },
        { "2.5E+", "not_a_number" },
        { "2.5E+111", "not_a_number" },
        { "25.4712345678E+10", "not_a_number" },
        { "2.54712345678E-11", "not_a_number" },
        { "1e5", "not_a_number" },
        { "2.", "too_short" },
        { "07123456", "too_short" },
        { "12", "too_short" },
        { "0", "too_short" },
        { "25471234567", "too_short" },
        { "+25471234567", "too_short" },
        { "+1", "too_short" },
        { "+", "not_a_number" },
        { "07123456789", "too_long" },
        { "2547123456789", "too_long" },
        { "+2547123456789", "too_long" },
        { "07123456789012345678901234567890", "too_long" },
        { "+12025550123", "unknown_country" },
        { "+447911123456", "unknown_country" },
        { "0044 7911 123456", "unknown_country" },
        { "+027123456789", "unknown_country" },
        { "0312345678", "invalid_for_country" },
        { "270711234567", "too_long" }, /* not South Africa's, for all we know */
        { "+254312345678", "invalid_for_country" },
        { "254312345678", "invalid_for_country" },
        { "0202012345", "not_mobile" },
        { "+254 20 2012345", "not_mobile" },
        { "0800723253", "not_mobile" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        expect(cases[i].written, "KE", cases[i].word);
    }
}

static void serves_its_countries(void **state)
{
    static const struct {
        const char *iso, *national, *msisdn;
    } cases[] = {
        { "BF", "70123456", "+22670123456" },      { "BJ", "0190011234", "+2290190011234" },
        { "CI", "0123456789", "+2250123456789" },  { "CM", "671234567", "+237671234567" },
        { "ET", "0911234567", "+251911234567" },   { "GH", "0231234567", "+233231234567" },
        { "KE", "0712123456", "+254712123456" },   { "ML", "65012345", "+22365012345" },
        { "MW", "0991234567", "+265991234567" },   { "NE", "93123456", "+22793123456" },
        { "NG", "08021234567", "+2348021234567" }, { "RW", "0720123456", "+250720123456" },
        { "SN", "701234567", "+221701234567" },    { "TG", "90112345", "+22890112345" },
        { "TZ", "0621234567", "+255621234567" },   { "UG", "0712345678", "+256712345678" },
        { "ZA", "0711234567", "+27711234567" },    { "ZM", "0955123456", "+260955123456" },
    };
    char listed[4];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct text_country *country = text_country_find(cases[i].iso);

        assert_non_null(country);
        assert_string_equal(text_country_iso(country), cases[i].iso);
        memcpy(listed, text_country_list() + 3 * i, 3);
        listed[2] = '\0';
        assert_string_equal(listed, cases[i].iso);

        expect(cases[i].national, cases[i].iso, cases[i].msisdn);
        expect(cases[i].msisdn, cases[i].iso, cases[i].msisdn);
        expect(cases[i].msisdn, "KE", cases[i].msisdn);
        expect(cases[i].msisdn, NULL, cases[i].msisdn);
        expect(cases[i].msisdn + 1, "KE", cases[i].msisdn); /* a spreadsheet ate the plus */
        expect(cases[i].msisdn + 1, NULL, cases[i].msisdn);
        assert_string_equal(text_msisdn_country(strtoll(cases[i].msisdn + 1, NULL, 10)),
                            cases[i].iso);
    }
    assert_int_equal(strlen(text_country_list()), 18 * 3 - 1);
    assert_null(text_country_find("US"));
    assert_null(text_country_find("ke"));
    assert_null(text_country_find(""));
    assert_null(text_msisdn_country(12025550123));
    assert_null(text_msisdn_country(0));
    assert_null(text_msisdn_country(-254712345678));
    assert_null(text_msisdn_country(INT64_MAX));
}

static void needs_a_home_for_national_numbers(void **state)
{
    (void)state;
    expect("0712345678", NULL, "unknown_country");
    expect("712345678", NULL, "unknown_country");
    expect("0712345678", "UG", "+256712345678");
    expect("0712345678", "TZ", "+255712345678");
    expect("+254712345678", "UG", "+254712345678");
}

static void lets_fixed_lines_be_called(void **state)
{
    const struct text_country *kenya = text_country_find("KE");
    int64_t msisdn = 0;

    (void)state;
    assert_int_equal(text_msisdn_parse_callable("020 2012345", 11, kenya, &msisdn), TEXT_MSISDN_OK);
    assert_int_equal(msisdn, 254202012345);
    assert_int_equal(text_msisdn_parse_callable("0712345678", 10, kenya, &msisdn), TEXT_MSISDN_OK);
    assert_int_equal(msisdn, 254712345678);
    assert_int_equal(text_msisdn_parse_callable("0900223344", 10, kenya, &msisdn),
                     TEXT_MSISDN_INVALID_FOR_COUNTRY); /* premium rate */
    assert_int_equal(msisdn, 254712345678);
}

static void reads_len_bytes_only(void **state)
{
    const struct text_country *kenya = text_country_find("KE");
    int64_t msisdn = 0;

    (void)state;
    assert_int_equal(text_msisdn_parse("07123456789", 10, kenya, &msisdn), TEXT_MSISDN_OK);
    assert_int_equal(msisdn, 254712345678);
    assert_int_equal(text_msisdn_parse("0712345678\xC2\xA0", 11, kenya, &msisdn),
                     TEXT_MSISDN_NOT_A_NUMBER);
    assert_int_equal(text_msisdn_parse("0\0"
                                       "712345678",
                                       10, kenya, &msisdn),
                     TEXT_MSISDN_NOT_A_NUMBER);
    assert_int_equal(text_msisdn_parse("x", 0, kenya, &msisdn), TEXT_MSISDN_EMPTY);
}

static void has_words_for_every_fault(void **state)
{
    struct err err;

    (void)state;
    for (int fault = 0; fault < TEXT_MSISDN_FAULTS; fault++) {
        const char *word = text_msisdn_word(fault);

        assert_true(strlen(text_msisdn_reason(fault)) > 5);
        assert_true(strlen(word) > 1);
        for (const char *c = word; *c != '\0'; c++) {
            assert_true(islower((unsigned char)*c) || *c == '_');
        }
        for (int other = 0; other < fault; other++) {
            assert_string_not_equal(word, text_msisdn_word(other));
        }
        if (fault != TEXT_MSISDN_OK) {
            assert_false(text_msisdn_fail(fault, &err));
            assert_int_equal(err.kind, ERR_PERMANENT);
            assert_string_equal(err.what, word);
        }
    }
    text_msisdn_fail(TEXT_MSISDN_UNKNOWN_COUNTRY, &err);
    assert_non_null(strstr(err.detail, text_country_list()));
}

/* What is accepted is written back the same, from every home and form. */
static void is_stable(void **state)
{
    uint64_t seed = 5;
    int accepted = 0;

    (void)state;
    for (int round = 0; round < 300000; round++) {
        char written[40];
        char formatted[TEXT_MSISDN_BYTES];
        int64_t first = 0;
        int64_t second = 0;
        size_t len = 1 + random_below(&seed, 14);
        static const char alphabet[] = "0123456789012345678900777225+-. (";

        for (size_t i = 0; i < len; i++) {
            written[i] = alphabet[random_below(&seed, i == 0 ? 33 : 28)];
        }
        if (text_msisdn_parse(written, len, text_country_find("KE"), &first) != TEXT_MSISDN_OK) {
            continue;
        }
        accepted++;
        assert_true(first > 0);
        assert_non_null(text_msisdn_country(first));
        text_msisdn_format(first, formatted);
        assert_int_equal(text_msisdn_parse(formatted, strlen(formatted), NULL, &second),
                         TEXT_MSISDN_OK);
        assert_true(first == second);
    }
    assert_true(accepted > 300);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(understands_what_people_write),
        cmocka_unit_test(says_why_it_is_none),
        cmocka_unit_test(serves_its_countries),
        cmocka_unit_test(needs_a_home_for_national_numbers),
        cmocka_unit_test(lets_fixed_lines_be_called),
        cmocka_unit_test(reads_len_bytes_only),
        cmocka_unit_test(has_words_for_every_fault),
        cmocka_unit_test(is_stable),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
