/*
 * test_csv - rows come out as they were meant, and a bad one costs itself only
 *
 * What a file becomes is written down as text: "[cell][cell]\n" a row, "!line what\n" a bad one.
 * Every case is fed whole, byte by byte and in random pieces, and must give the same.
 */

/* cmocka.h needs the headers above it. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "random.h"
#include "text/csv.h"

struct result {
    struct str text;
    size_t rows;
    size_t stop_after; /* 0: never */
    size_t last_line;
    bool lines_shown;
};

static bool on_row(void *context, const struct text_csv_row *row)
{
    struct result *result = context;

    assert_int_equal(row->number, result->rows);
    assert_true(row->count <= TEXT_CSV_CELLS_MAX);
    assert_true(row->line >= result->last_line);
    result->last_line = row->line;
    if (result->lines_shown) {
        str_printf(&result->text, "%zu:", row->line);
    }
    for (size_t i = 0; i < row->count; i++) {
        assert_int_equal(strlen(row->cells[i]), row->lens[i]);
        str_putc(&result->text, '[');
        str_append(&result->text, row->cells[i], row->lens[i]);
        str_putc(&result->text, ']');
    }
    str_putc(&result->text, '\n');
    result->rows++;
    return result->rows != result->stop_after;
}

static bool on_bad_row(void *context, size_t line, const struct err *err)
{
    struct result *result = context;

    assert_int_equal(err->kind, ERR_PERMANENT);
    assert_true(line >= result->last_line);
    result->last_line = line;
    str_printf(&result->text, "!%zu %s\n", line, err->what);
    return true;
}

/* How the input is cut: 0 whole, 1 byte by byte, otherwise at random. */
static bool run(const char *bytes, size_t len, uint64_t cut, struct result *result)
{
    struct arena *arena = arena_create(1 << 20);
    struct text_csv *csv = text_csv_create(arena, on_row, on_bad_row, result);
    bool more = true;
    bool finished;

    for (size_t at = 0; at < len && more;) {
        size_t n = cut == 0 ? len : cut == 1 ? 1 : 1 + random_below(&cut, 5000);

        n = n < len - at ? n : len - at;
        more = text_csv_feed(csv, bytes + at, n);
        at += n;
    }
    finished = text_csv_finish(csv);
    assert_true(more || !finished);
    arena_destroy(arena);
    return finished;
}

static void expect_n(const char *input, size_t len, const char *expected, bool lines_shown)
{
    for (uint64_t cut = 0; cut < 6; cut++) {
        struct result result = { .lines_shown = lines_shown };

        run(input, len, cut, &result);
        str_putc(&result.text, '\0');
        if (strcmp(result.text.bytes, expected) != 0) {
            fail_msg("cut %d of '%.60s':\n%.500sexpected:\n%.500s", (int)cut, input,
                     result.text.bytes, expected);
        }
        str_free(&result.text);
    }
}

static void expect(const char *input, const char *expected)
{
    expect_n(input, strlen(input), expected, false);
}

static void reads_what_rfc_4180_says(void **state)
{
    (void)state;
    expect("a,b\r\n1,2\r\n", "[a][b]\n[1][2]\n");
    expect("a,b\n1,2", "[a][b]\n[1][2]\n");
    expect("a,b\r1,2\r", "[a][b]\n[1][2]\n");
    expect("a,b\n\"1,1\",\"2\"\n", "[a][b]\n[1,1][2]\n");
    expect("a,b\n\"he said \"\"hi\"\"\",\"\"\n", "[a][b]\n[he said \"hi\"][]\n");
    expect("a,b\n\"\"\"\",\"\"\"x\"\n", "[a][b]\n[\"][\"x]\n");
    expect("a,b\n\"line 1\r\nline 2\",x\n", "[a][b]\n[line 1\r\nline 2][x]\n");
    expect("a,b\n,\n", "[a][b]\n[][]\n");
    expect("a\n1\n", "[a]\n[1]\n");
    expect("a,b\n1,\"\"", "[a][b]\n[1][]\n");
    expect("a,b\n1,", "[a][b]\n[1][]\n");
    expect("", "");
    expect("\n\n", "");
    expect("a", "[a]\n");
    expect("\"a\"", "[a]\n");
}

static void reads_what_spreadsheets_write(void **state)
{
    (void)state;
    expect("\xEF\xBB\xBFphone;name\r\n07;Ann\r\n", "[phone][name]\n[07][Ann]\n");
    expect("phone\tname\n07\tAnn, B\n", "[phone][name]\n[07][Ann, B]\n");
    expect("sep=;\r\na;b,c\r\n1;2\r\n", "[a][b,c]\n[1][2]\n");
    expect("sep=|\na|b\n1|2\n", "[a][b]\n[1][2]\n");
    expect("\xEF\xBB\xBFsep=\t\na\tb\n1\t2\n", "[a][b]\n[1][2]\n");
    expect("\r\n\r\na;b\r\n\r\n1;2\r\n\r\n", "[a][b]\n[1][2]\n");
    expect("\"a;b;c\",d\n1,2\n", "[a;b;c][d]\n[1][2]\n");
    expect("\"a\" ,\"b\"  \n\"1\"\t,2\n", "[a][b]\n[1][2]\n");
    expect("a,b\n5\" pipe,x\"y\"\n", "[a][b]\n[5\" pipe][x\"y\"]\n");
    expect("\xEF\xBB\xBF", "");
    expect("\xEF\xBB", "!1 csv_bad_utf8\n");
    expect("a;b,c\n", "[a;b][c]\n"); /* a tie is a comma */
}

static void squares_rows(void **state)
{
    (void)state;
    expect(
        "a,b,c\n1\n1,2\n1,2,3\n1,2,3,,,\n1,2,3,4\n5,6,7\n",
        "[a][b][c]\n[1][][]\n[1][2][]\n[1][2][3]\n[1][2][3]\n!6 csv_too_many_cells\n[5][6][7]\n");
}

static void loses_one_line_to_a_quote_that_is_not_closed(void **state)
{
    (void)state;
    expect("a,b\n\"1,2\n3,4\n", "[a][b]\n!2 csv_unterminated_quote\n[3][4]\n");
    expect("a,b\n1,\"2\n3,4\n\"5\",\"6\"\n", "[a][b]\n!2 csv_bad_quotes\n[3][4]\n[5][6]\n");
    expect("a,b\n\"x\ny\",\"2\n3,4\n", "[a][b]\n!2 csv_unterminated_quote\n[3][4]\n");
    expect("a,b\n\"1\"2,3\n4,5\n", "[a][b]\n!2 csv_bad_quotes\n[4][5]\n");
    expect("a,b\n1,\"", "[a][b]\n!2 csv_unterminated_quote\n");
    expect("a,b\n1,\"\r\n\r\n2,3\r\n", "[a][b]\n!2 csv_unterminated_quote\n[2][3]\n");
    expect("\"a,b\n1,2\n", "!1 csv_unterminated_quote\n[1][2]\n");
}

static void reports_and_goes_on(void **state)
{
    struct str input = { 0 };

    (void)state;
    expect("a,b\n1,\xFF\n3,4\n", "[a][b]\n!2 csv_bad_utf8\n[3][4]\n");
    expect_n("a,b\n1,\0\n3,4\n", 12, "[a][b]\n!2 csv_bad_utf8\n[3][4]\n", false);

    str_puts(&input, "a,b\n1,");
    for (int i = 0; i < TEXT_CSV_CELL_BYTES_MAX + 1; i++) {
        str_putc(&input, 'x');
    }
    str_puts(&input, "\n3,4\n");
    expect(input.bytes, "[a][b]\n!2 csv_cell_too_long\n[3][4]\n");

    str_reset(&input);
    str_puts(&input, "a,b\n1,\"");
    for (int i = 0; i < TEXT_CSV_CELL_BYTES_MAX + 1; i++) {
        str_putc(&input, 'x');
    }
    str_puts(&input, "\",5\n3,4\n");
    expect(input.bytes, "[a][b]\n!2 csv_cell_too_long\n[3][4]\n");

    str_reset(&input);
    str_puts(&input, "a,b\n1,\"2\n");
    for (int i = 0; i < 2000; i++) {
        str_puts(&input, "3,4\n");
    }
    struct result result = { 0 };
    assert_true(run(input.bytes, input.len, 0, &result));
    assert_int_equal(result.rows, 2001);
    str_free(&result.text);
    str_free(&input);
}

static void bounds_rows(void **state)
{
    struct str input = { 0 };
    struct str expected = { 0 };
    struct result result;

    (void)state;
    for (int i = 0; i < TEXT_CSV_CELLS_MAX + 1; i++) {
        str_puts(&input, i == 0 ? "a" : ",a");
    }
    str_puts(&input, "\na,b\n");
    expect(input.bytes, "!1 csv_too_many_cells\n[a][b]\n");

    /* 65,536 bytes are a row, with or without a newline; one more is not. */
    for (int extra = 0; extra < 2; extra++) {
        for (int newline = 0; newline < 2; newline++) {
            str_reset(&input);
            for (int i = 0; i < 17; i++) {
                for (int k = 0; k < (i < 16 ? 4000 : 65536 - 16 * 4001 + extra); k++) {
                    str_putc(&input, 'x');
                }
                str_puts(&input, i < 16 ? "," : newline ? "\nA,B\n" : "");
            }
            for (uint64_t cut = 0; cut < 4; cut++) {
                result = (struct result){ 0 };
                assert_true(run(input.bytes, input.len, cut, &result));
                assert_int_equal(result.rows, (extra == 0) + newline);
                if (extra > 0) {
                    assert_memory_equal(result.text.bytes, "!1 csv_row_too_long", 19);
                }
                str_free(&result.text);
            }
        }
    }
    str_free(&input);
    str_free(&expected);
}

static void knows_its_lines(void **state)
{
    static const char input[] = "\r\na,b\r\n\"x\r\ny\nz\rw\",1\n\n3,4\r5,6\n7,\"8\n9,10\n";

    (void)state;
    expect_n(input, strlen(input),
             "2:[a][b]\n3:[x\r\ny\nz\rw][1]\n8:[3][4]\n9:[5][6]\n!10 csv_unterminated_quote\n"
             "11:[9][10]\n",
             true);
    expect_n("a\r\r\n\n\rb\r", 8, "1:[a]\n5:[b]\n", true);
}

/* Rows lie across every edge of the buffer, in every state. */
static void reads_files_larger_than_its_buffer(void **state)
{
    struct str input = { 0 };
    struct str expected = { 0 };

    (void)state;
    str_puts(&input, "phone,name,text\n");
    str_puts(&expected, "1:[phone][name][text]\n");
    for (int i = 0, line = 2; i < 20000; i++, line++) {
        switch (i % 4) {
        case 0:
            str_printf(&input, "07%08d,Wanjiku %d,plain text\n", i, i);
            str_printf(&expected, "%d:[07%08d][Wanjiku %d][plain text]\n", line, i, i);
            break;
        case 1:
            str_printf(&input, "\"07%08d\",\"K, \"\"%d\"\"\",\"two\nlines\"\n", i, i);
            str_printf(&expected, "%d:[07%08d][K, \"%d\"][two\nlines]\n", line++, i, i);
            break;
        case 2:
            str_printf(&input, "07%08d,\"never closed %d,%0*d\n", i, i, i % 300, i);
            str_printf(&expected, "!%d csv_bad_quotes\n", line);
            break;
        default:
            str_printf(&input, "07%08d,\"%0*d\"\n", i, 1 + i % 900, 7);
            str_printf(&expected, "%d:[07%08d][%0*d][]\n", line, i, 1 + i % 900, 7);
            break;
        }
    }
    assert_true(input.len > 10 * TEXT_CSV_ROW_BYTES_MAX);
    expect_n(input.bytes, input.len, expected.bytes, true);
    str_free(&input);
    str_free(&expected);
}

static void refuses_utf16_once(void **state)
{
    struct result result = { 0 };

    (void)state;
    assert_false(run("\xFF\xFE"
                     "a\0,\0b\0\n\0",
                     10, 0, &result));
    assert_string_equal(result.text.bytes, "!1 csv_utf16\n");
    str_reset(&result.text);
    assert_false(run("\xFE\xFF\0a\0,\0b\0\n", 10, 1, &result));
    assert_string_equal(result.text.bytes, "!1 csv_utf16\n");
    str_free(&result.text);
}

static void stops_when_told(void **state)
{
    struct result result = { .stop_after = 2 };

    (void)state;
    assert_false(run("a\nb\nc\nd\n", 8, 0, &result));
    assert_string_equal(result.text.bytes, "[a]\n[b]\n");
    str_free(&result.text);
}

static void tells_the_delimiter(void **state)
{
    struct arena *arena = arena_create(1 << 20);
    struct result result = { 0 };
    struct text_csv *csv = text_csv_create(arena, on_row, on_bad_row, &result);

    (void)state;
    assert_true(text_csv_feed(csv, "a;b", 3));
    assert_int_equal(text_csv_delimiter(csv), 0);
    assert_true(text_csv_feed(csv, "\n", 1));
    assert_int_equal(text_csv_delimiter(csv), ';');
    assert_true(text_csv_finish(csv));
    str_free(&result.text);
    arena_destroy(arena);
}

/* What is written properly is read back, however it is cut. */
static void reads_back_random_tables(void **state)
{
    static const char *const words[] = { "",  "a",    "07 12", "x\"y", "\"", "1,2",
                                         "é", "a\nb", "\r\n",  ";",    "😀",  "\t" };
    uint64_t seed = 3;

    (void)state;
    for (int round = 0; round < 300; round++) {
        struct str input = { 0 };
        struct str expected = { 0 };
        uint32_t columns = 2 + random_below(&seed, 6);
        uint32_t rows = random_below(&seed, 400);

        for (uint32_t i = 0; i < columns; i++) {
            str_printf(&input, "%sc%u", i == 0 ? "" : ",", i);
            str_printf(&expected, "[c%u]", i);
        }
        str_puts(&input, "\n");
        str_puts(&expected, "\n");
        for (uint32_t k = 0; k < rows; k++) {
            for (uint32_t i = 0; i < columns; i++) {
                const char *word = words[random_below(&seed, 12)];

                str_puts(&input, i == 0 ? "\"" : ",\"");
                for (const char *c = word; *c != '\0'; c++) {
                    str_puts(&input, *c == '"' ? "\"\"" : (char[]){ *c, '\0' });
                }
                str_puts(&input, "\"");
                str_printf(&expected, "[%s]", word);
            }
            str_puts(&input, random_below(&seed, 2) == 0 ? "\n" : "\r\n");
            str_puts(&expected, "\n");
        }
        expect_n(input.bytes, input.len, expected.bytes, false);
        str_free(&input);
        str_free(&expected);
    }
}

/* Damage anywhere: no crash, and the cuts still do not matter. */
static void is_the_same_however_it_is_cut(void **state)
{
    static const char alphabet[] = "\"\"\",;\n\r\n \tab\xC3\xA9";
    uint64_t seed = 11;

    (void)state;
    for (int round = 0; round < 2000; round++) {
        char input[300];
        size_t len = random_below(&seed, sizeof(input));
        struct result whole = { 0 };

        for (size_t i = 0; i < len; i++) {
            input[i] = alphabet[random_below(&seed, sizeof(alphabet) - 1)];
        }
        run(input, len, 0, &whole);
        str_putc(&whole.text, '\0');
        expect_n(input, len, whole.text.bytes, false);
        str_free(&whole.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_rfc_4180_says),
        cmocka_unit_test(reads_what_spreadsheets_write),
        cmocka_unit_test(squares_rows),
        cmocka_unit_test(loses_one_line_to_a_quote_that_is_not_closed),
        cmocka_unit_test(reports_and_goes_on),
        cmocka_unit_test(bounds_rows),
        cmocka_unit_test(knows_its_lines),
        cmocka_unit_test(reads_files_larger_than_its_buffer),
        cmocka_unit_test(refuses_utf16_once),
        cmocka_unit_test(stops_when_told),
        cmocka_unit_test(tells_the_delimiter),
        cmocka_unit_test(reads_back_random_tables),
        cmocka_unit_test(is_the_same_however_it_is_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
