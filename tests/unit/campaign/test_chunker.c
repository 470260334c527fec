/* lib/campaign/chunker: rows as bodies of recipients.submitted */
/* cmocka.h needs the others before it. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <string.h>

#include "base/arena.h"
#include "campaign/chunker.h"
#include "msg/campaign.h"
#include "msg/message.h"

#define ROW_BYTES_MAX (100 << 10) /* that any row may have as JSON */

static const char *const columns[] = { "phone", "note" };

/* What was cut, as its readers see it. */
struct cut {
    struct arena *arena;
    int64_t rows, chunks;
    size_t most_rows;
    struct str all; /* the second column of all rows */
};

static void on_chunk(void *context, struct chunker *chunker)
{
    struct cut *cut = context;
    struct recipients_submitted read;
    struct str body = { 0 };
    struct err err;

    chunker_body(chunker, &body);
    assert_true(body.len <= MESSAGE_BODY_MAX);
    assert_true(
        shape_read(&recipients_submitted_v1, body.bytes, body.len, &read, cut->arena, &err));
    assert_string_equal(read.campaign, "cmp_0000000000001");
    assert_int_equal(read.chunk, ++cut->chunks);
    assert_int_equal(read.first_row, cut->rows + 1);
    assert_int_equal(read.columns.count, 2);
    assert_string_equal(read.columns.items[1], "note");
    for (size_t i = 0; i < read.rows.rows; i++) {
        str_puts(&cut->all, read.rows.cells[i * read.rows.cols + 1]);
        str_putc(&cut->all, '|');
    }
    cut->rows += (int64_t)read.rows.rows;
    cut->most_rows = read.rows.rows > cut->most_rows ? read.rows.rows : cut->most_rows;
    str_free(&body);
}

static void begin(struct chunker *chunker, struct cut *cut)
{
    *cut = (struct cut){ .arena = arena_create((size_t)64 << 20) };
    chunker_init(chunker, columns, 2, on_chunk, cut);
    chunker->campaign = "cmp_0000000000001";
}

static void end(struct chunker *chunker, struct cut *cut)
{
    chunker_free(chunker);
    str_free(&cut->all);
    arena_destroy(cut->arena);
}

static bool add(struct chunker *chunker, const char *note)
{
    return chunker_add(chunker, (const char *const[]){ "0712345678", note });
}

static void a_chunk_has_at_most_so_many_rows(void **state)
{
    struct chunker chunker;
    struct cut cut;

    (void)state;
    begin(&chunker, &cut);
    assert_int_equal(chunker_chunks(&chunker), 0);
    for (int i = 1; i <= 2 * CAMPAIGN_CHUNK_ROWS + 1; i++) {
        assert_true(add(&chunker, "x"));
        assert_int_equal(chunker_rows(&chunker), i);
        assert_int_equal(chunker_chunks(&chunker),
                         (i + CAMPAIGN_CHUNK_ROWS - 1) / CAMPAIGN_CHUNK_ROWS);
    }
    assert_int_equal(cut.chunks, 2); /* the third is not full */
    chunker_flush(&chunker);
    chunker_flush(&chunker); /* nothing is left */
    assert_int_equal(cut.chunks, 3);
    assert_int_equal(cut.chunks, chunker_chunks(&chunker));
    assert_int_equal(cut.rows, 2 * CAMPAIGN_CHUNK_ROWS + 1);
    assert_int_equal(cut.most_rows, CAMPAIGN_CHUNK_ROWS);
    end(&chunker, &cut);
}

static void long_rows_fill_a_chunk_sooner(void **state)
{
    char note[CAMPAIGN_CELL_MAX + 1];
    struct chunker chunker;
    struct cut cut;

    (void)state;
    memset(note, '"', sizeof note - 1); /* two bytes each, as JSON */
    note[sizeof note - 1] = '\0';
    begin(&chunker, &cut);
    for (int i = 0; i < 100; i++) {
        assert_true(add(&chunker, note));
    }
    chunker_flush(&chunker);
    assert_int_equal(cut.rows, 100);
    assert_int_equal(cut.most_rows, ROW_BYTES_MAX / (2 * CAMPAIGN_CELL_MAX));
    end(&chunker, &cut);
}

static void texts_arrive_as_they_were(void **state)
{
    struct chunker chunker;
    struct cut cut;

    (void)state;
    begin(&chunker, &cut);
    assert_true(add(&chunker, "a \"b\" \\ c"));
    assert_true(add(&chunker, ""));
    assert_true(add(&chunker, "\xc3\xa9\n]}"));
    chunker_flush(&chunker);
    assert_string_equal(cut.all.bytes, "a \"b\" \\ c||\xc3\xa9\n]}|");
    end(&chunker, &cut);
}

static void a_row_no_message_can_hold_is_left_out(void **state)
{
    static char note[ROW_BYTES_MAX + 1];
    struct chunker chunker;
    struct cut cut;

    (void)state;
    memset(note, 'x', sizeof note - 1);
    begin(&chunker, &cut);
    assert_true(add(&chunker, "first"));
    assert_false(add(&chunker, note));
    assert_true(add(&chunker, "second"));
    chunker_flush(&chunker);
    assert_string_equal(cut.all.bytes, "first|second|");
    assert_int_equal(cut.chunks, 1);
    end(&chunker, &cut);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_chunk_has_at_most_so_many_rows),
        cmocka_unit_test(long_rows_fill_a_chunk_sooner),
        cmocka_unit_test(texts_arrive_as_they_were),
        cmocka_unit_test(a_row_no_message_can_hold_is_left_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
