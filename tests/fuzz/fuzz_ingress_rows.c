/*
 * fuzz_ingress_rows - recipients given as JSON, which the ingress reads itself
 *
 * No input may crash it. What it takes is JSON to the strict reader too (but for numbers that one
 * cannot hold), every cell is there, UTF-8 and within its limit.
 */
#include <assert.h>
#include <string.h>

#include "base/str.h"
#include "rows.h"

#define ARENA_BYTES (64 << 20)
#define ROWS_MAX 1000
#define DIGITS_MAX 15 /* longer numbers, and exponents, are beyond the strict reader */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct field no_fields[] = { FIELD_END };
static const struct shape any_shape = { .type = "anything", .size = 1, .fields = no_fields };

/* Whether a number in the text may be too large for the strict reader. */
static bool has_large_number(const char *text, size_t len)
{
    size_t digits = 0;

    for (size_t i = 0; i < len; i++) {
        digits = text[i] >= '0' && text[i] <= '9' ? digits + 1 : 0;
        if (digits > DIGITS_MAX || (digits > 0 && i + 1 < len && (text[i + 1] | 0x20) == 'e')) {
            return true;
        }
    }
    return false;
}

static void check_json(const char *text, size_t len, struct arena *arena)
{
    struct str whole = { 0 };
    struct err err;
    char nothing;

    str_puts(&whole, "{\"it\":");
    str_append(&whole, text, len);
    str_putc(&whole, '}');
    assert(shape_read(&any_shape, whole.bytes, whole.len, &nothing, arena, &err) ||
           has_large_number(text, len));
    str_free(&whole);
}

static void check_cells(const char *const *cells, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        assert(cells[i] != NULL && strlen(cells[i]) <= CAMPAIGN_CELL_MAX);
        assert(str_is_utf8(cells[i], strlen(cells[i])));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_create(ARENA_BYTES);
    const char *text = (const char *)data;
    const char *cells[CAMPAIGN_COLUMNS_MAX];
    const char *known[] = { "recipients", "a" };
    struct table table;
    struct rows rows;
    struct err err;
    size_t len;

    rows_init(&rows, arena);
    if (rows_read_line(&rows, text, size, cells, &err)) {
        check_json(text, size, arena);
        check_cells(cells, rows.column_count);
    }
    rows_init(&rows, arena);
    if (rows_read_all(&rows, "recipients", text, size, ROWS_MAX, &table, &err)) {
        assert(table.rows > 0 && table.cols == rows.column_count);
        check_cells(table.cells, table.rows * table.cols);
    }
    if (json_member(text, size, "recipients", &text, &len)) {
        assert(len <= size);
    }
    (void)!json_check_members((const char *)data, size, known, 2, &err);
    arena_destroy(arena);
    return 0;
}
