/*
 * fuzz_text_csv - how a file is cut changes nothing, and rows read back as themselves
 *
 * The first byte seeds the cuts. Good rows are written again, all cells quoted, and must come back.
 */
#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "base/panic.h"
#include "base/str.h"
#include "text/csv.h"

#define ARENA_BYTES (1 << 20)

/* All that was reported, and the good rows as a proper file. */
struct record {
    struct str events;
    struct str file;
    size_t good;
    size_t bad;
};

static bool on_row(void *context, const struct text_csv_row *row)
{
    struct record *record = context;

    if (row->count == 0 || row->count > TEXT_CSV_CELLS_MAX || row->number != record->good) {
        panic("row %zu has %zu cells", row->number, row->count);
    }
    str_printf(&record->events, "%zu", row->line);
    for (size_t i = 0; i < row->count; i++) {
        if (strlen(row->cells[i]) != row->lens[i] || row->lens[i] > TEXT_CSV_CELL_BYTES_MAX ||
            !str_is_utf8(row->cells[i], row->lens[i])) {
            panic("cell %zu is not what it should be", i);
        }
        str_putc(&record->events, '\x01');
        str_append(&record->events, row->cells[i], row->lens[i]);
        str_puts(&record->file, i == 0 ? "\"" : ",\"");
        for (size_t k = 0; k < row->lens[i]; k++) {
            str_puts(&record->file, row->cells[i][k] == '"' ? "\"" : "");
            str_putc(&record->file, row->cells[i][k]);
        }
        str_putc(&record->file, '"');
    }
    str_putc(&record->events, '\x02');
    str_putc(&record->file, '\n');
    record->good++;
    return true;
}

static bool on_bad_row(void *context, size_t line, const struct err *err)
{
    struct record *record = context;

    str_printf(&record->events, "%zu\x03%s\x02", line, err->what);
    record->bad++;
    return true;
}

/* seed 0 feeds all at once. */
static void run(const char *bytes, size_t len, uint32_t seed, struct record *record)
{
    static struct arena *arena; /* kept: making one takes longer than parsing */
    struct text_csv *csv;
    bool more = true;

    if (arena == NULL) {
        arena = arena_create(ARENA_BYTES);
    }
    csv = text_csv_create(arena, on_row, on_bad_row, record);

    while (len > 0 && more) {
        size_t n = len;

        if (seed != 0) {
            seed = seed * 1664525 + 1013904223;
            n = 1 + (seed >> 16) % ((seed >> 8) % 5 == 0 ? 9000 : 7);
            n = n < len ? n : len;
        }
        more = text_csv_feed(csv, bytes, n);
        bytes += n;
        len -= n;
    }
    (void)text_csv_finish(csv);
    arena_reset(arena);
}

static void reset(struct record *record)
{
    str_free(&record->events);
    str_free(&record->file);
    *record = (struct record){ .good = 0 };
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *bytes = (const char *)data + 1;
    struct record whole = { .good = 0 };
    struct record cut = { .good = 0 };

    if (size < 1) {
        return 0;
    }
    run(bytes, size - 1, 0, &whole);
    run(bytes, size - 1, 1U + data[0], &cut);
    if (whole.events.len != cut.events.len ||
        (cut.events.len > 0 && memcmp(whole.events.bytes, cut.events.bytes, cut.events.len) != 0)) {
        panic("the cuts change the rows: %zu good and %zu", whole.good, cut.good);
    }
    reset(&cut);
    if (whole.good > 0) {
        struct str file = whole.file;

        run(file.bytes, file.len, 0, &cut);
        /* Quotes can make a row longer than it was. */
        if (cut.bad == 0 &&
            (cut.file.len != file.len || memcmp(cut.file.bytes, file.bytes, file.len) != 0)) {
            panic("%zu good rows read back as %zu", whole.good, cut.good);
        }
        if (cut.bad > 0 && file.len < TEXT_CSV_ROW_BYTES_MAX) {
            panic("a good row reads back as a bad one: %s", cut.events.bytes);
        }
    }
    reset(&cut);
    reset(&whole);
    return 0;
}
