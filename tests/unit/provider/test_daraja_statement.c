/*
 * M-Pesa statements as the portal exports them, and as people save them again.
 */
#include <stdio.h>

#include "daraja_fixture.h"
#include "provider/daraja_statement.h"

#define NAMES                                                                                      \
    "Receipt No.,Completion Time,Initiation Time,Details,Transaction Status,Paid In,Withdrawn,"    \
    "Balance,A/C No.,Linked Transaction ID\n"
#define NOV_1_MS INT64_C(1793517300000) /* 2026-11-01 10:15:00 in East Africa */

struct got {
    int lines, bad;
    struct daraja_statement_line line;
    char receipt[64], reference[64], linked[64];
    char why[200];
    size_t bad_line;
};

static bool on_line(void *context, const struct daraja_statement_line *line)
{
    struct got *got = context;

    got->lines++;
    got->line = *line;
    snprintf(got->receipt, sizeof(got->receipt), "%s", line->receipt);
    snprintf(got->reference, sizeof(got->reference), "%s", line->bill_reference);
    snprintf(got->linked, sizeof(got->linked), "%s", line->linked);
    return true;
}

static bool on_bad(void *context, size_t line, const struct err *err)
{
    struct got *got = context;

    got->bad++;
    got->bad_line = line;
    snprintf(got->why, sizeof(got->why), "%s", err->detail);
    return true;
}

static bool read_text(struct arena *arena, const char *text, struct got *got, struct err *err)
{
    struct daraja_statement *statement = daraja_statement_create(arena, on_line, on_bad, got);

    *got = (struct got){ .lines = 0 };
    (void)daraja_statement_feed(statement, text, strlen(text));
    return daraja_statement_finish(statement, err);
}

static void a_line_is_read_below_the_organisations_own(void **state)
{
    struct got got;
    struct err err;

    assert_true(read_text(*state,
                          "Organization:,Tuma Ltd\nShort Code:,600000\n\n" NAMES
                          "UAB1CD2EF3,2026-11-01 10:15:00,2026-11-01 10:14:50,"
                          "Pay Bill from 254712***678 - JOHN DOE,Completed,\"4,500.00\",,"
                          "10000.00,TK12345678,\n",
                          &got, &err));
    assert_int_equal(got.lines, 1);
    assert_int_equal(got.bad, 0);
    assert_int_equal(got.line.line, 5);
    assert_string_equal(got.receipt, "UAB1CD2EF3");
    assert_string_equal(got.reference, "TK12345678");
    assert_int_equal(got.line.paid_in_minor, 450000);
    assert_int_equal(got.line.withdrawn_minor, 0);
    assert_true(got.line.completed);
    assert_true(got.line.completed_ms == NOV_1_MS);
}

static void columns_are_found_by_name_in_any_order(void **state)
{
    struct got got;
    struct err err;

    assert_true(read_text(*state,
                          "paid in,RECEIPT NO,Transaction status,Completion Time,Details\r\n"
                          "10,uab1cd2ef3,completed,01/11/2026 10:15,Pay Bill Acc. TK12345678\r\n",
                          &got, &err));
    assert_int_equal(got.lines, 1);
    assert_string_equal(got.receipt, "UAB1CD2EF3");
    assert_string_equal(got.reference, "TK12345678");
    assert_int_equal(got.line.paid_in_minor, 1000);
    assert_true(got.line.completed_ms == NOV_1_MS);
}

static void what_was_taken_back_names_what_it_takes(void **state)
{
    struct got got;
    struct err err;

    assert_true(read_text(*state,
                          NAMES "UZZ9,2026-11-01 10:15:00,,Pay Bill Reversal,Completed,,-50.00,,,"
                                "UAB1CD2EF3\n",
                          &got, &err));
    assert_int_equal(got.line.withdrawn_minor, 5000);
    assert_int_equal(got.line.paid_in_minor, 0);
    assert_string_equal(got.linked, "UAB1CD2EF3");
}

static void a_line_that_cannot_be_read_is_told_and_the_next_is_read(void **state)
{
    static const char *const bad[][2] = {
        { ",2026-11-01 10:15:00,,x,Completed,5,,,,", "Receipt No." },
        { "UAB-1,2026-11-01 10:15:00,,x,Completed,5,,,,", "Receipt No." },
        { "U123456789012345678901,2026-11-01 10:15:00,,x,Completed,5,,,,", "Receipt No." },
        { "UAB1,yesterday,,x,Completed,5,,,,", "Completion Time" },
        { "UAB1,2026-13-01 10:15:00,,x,Completed,5,,,,", "Completion Time" },
        { "UAB1,2026-11-01,,x,Completed,5,,,,", "Completion Time" },
        { "UAB1,201-261-20 10:15:00,,x,Completed,5,,,,", "Completion Time" },
        { "UAB1,01-11-26 10:15:00,,x,Completed,5,,,,", "Completion Time" },
        { "UAB1,2026-11-01 10:15:00:00,,x,Completed,5,,,,", "Completion Time" },
        { "UAB1,2026-11-01 10:15:00,,x,Completed,five,,,,", "Paid In" },
        { "UAB1,2026-11-01 10:15:00,,x,Completed,5.005,,,,", "Paid In" },
        { "UAB1,2026-11-01 10:15:00,,x,Completed,1e9,,,,", "Paid In" },
        { "UAB1,2026-11-01 10:15:00,,x,Completed,,much,,,", "Withdrawn" },
    };
    struct got got;
    struct err err;

    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        const char *text =
            arena_printf(*state, NAMES "%s\nUAB2,2026-11-01 10:15:00,,x,Failed,5,,,,\n", bad[i][0]);
        assert_true(read_text(*state, text, &got, &err));
        assert_int_equal(got.bad, 1);
        assert_int_equal(got.bad_line, 2);
        assert_non_null(strstr(got.why, bad[i][1]));
        assert_int_equal(got.lines, 1);
        assert_string_equal(got.receipt, "UAB2");
        assert_false(got.line.completed);
    }
}

static void what_is_no_statement_is_refused(void **state)
{
    struct got got;
    struct err err;
    char *long_text = arena_alloc(*state, 20001);

    memset(long_text, 'x', 20000);
    long_text[20000] = '\0';
    for (size_t i = 0; i < 4; i++) {
        const char *texts[] = { "", "phone,name\n0712345678,Ann\n", long_text,
                                "Receipt No.,Completion Time,Paid In\nU1,2026-11-01 10:15:00,5\n" };
        assert_false(read_text(*state, texts[i], &got, &err));
        assert_string_equal(err.what, "bad_statement");
        assert_int_equal(got.lines, 0);
    }
    assert_non_null(strstr(err.detail, "transactionstatus"));
    assert_true(
        read_text(*state, "Receipt No.,Completion Time,Transaction Status,Paid In", &got, &err));
    assert_int_equal(got.lines, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_ARENA(a_line_is_read_below_the_organisations_own),
        IN_ARENA(columns_are_found_by_name_in_any_order),
        IN_ARENA(what_was_taken_back_names_what_it_takes),
        IN_ARENA(a_line_that_cannot_be_read_is_told_and_the_next_is_read),
        IN_ARENA(what_is_no_statement_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
