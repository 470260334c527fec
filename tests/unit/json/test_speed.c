/*
 * How fast a batch of ordinary rows is written and read. The floors are far below what was
 * measured, so that only a change of kind fails, not a busy machine; the figures are printed.
 */

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
#include <time.h>

#include "json/shape.h"

#define ROWS 1000
#define COLS 6
#define ROUNDS 200

struct chunk {
    const char *campaign;
    struct table rows;
};

static const struct field chunk_fields[] = {
    FIELD_STR(struct chunk, campaign, 1, 24),
    FIELD_TABLE(struct chunk, rows, ROWS, 200),
    FIELD_END,
};

static const struct shape chunk_shape = { "chunk", sizeof(struct chunk), chunk_fields };

/* CPU time, which a busy machine stretches least. */
static double now_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void a_batch_is_written_and_read_fast(void **state)
{
    static const char *cells[ROWS * COLS];
    const struct chunk chunk = { "cmp_06ETQ5S0K3P1V", { ROWS, COLS, cells } };
    struct chunk back;
    struct str out = { 0 };
    struct arena *arena = arena_create(8 << 20);
    struct err err;

    (void)state;
    for (size_t i = 0; i < ROWS * COLS; i += COLS) {
        cells[i] = "+254700000123";
        cells[i + 1] = "Wanjiru";
        cells[i + 2] =
            "Dear Wanjiru, your balance of KES 1,250 is due on 30 November. Pay bill 12.";
        cells[i + 3] = "Nairobi";
        cells[i + 4] = "1250";
        cells[i + 5] = "2026-11-30";
    }
    double start = now_s();
    for (int i = 0; i < ROUNDS; i++) {
        str_reset(&out);
        shape_write(&chunk_shape, &chunk, &out);
    }
    double written = (double)out.len * ROUNDS / (now_s() - start) / 1e6;
    start = now_s();
    for (int i = 0; i < ROUNDS; i++) {
        arena_reset(arena);
        assert_true(shape_read(&chunk_shape, out.bytes, out.len, &back, arena, &err));
    }
    double read = (double)out.len * ROUNDS / (now_s() - start) / 1e6;
    print_message("%zu bytes: written at %.0f MB/s, read at %.0f MB/s\n", out.len, written, read);
    assert_true(written > 20);
    assert_true(read > 2);
    str_free(&out);
    arena_destroy(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_batch_is_written_and_read_fast),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
