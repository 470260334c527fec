/*
 * csv - comma-separated values as they arrive, row by row
 *
 *     static bool on_row(void *context, const struct text_csv_row *row) { ... return true; }
 *     static bool on_bad_row(void *context, size_t line, const struct err *err) { ... }
 *
 *     struct text_csv *csv = text_csv_create(arena, on_row, on_bad_row, context);
 *     while (bytes arrive && text_csv_feed(csv, bytes, len)) {}
 *     text_csv_finish(csv);
 *
 * RFC 4180, and what spreadsheets make of it: LF, CR LF or CR; a byte order mark; a delimiter of
 * comma, semicolon or tab, whichever the first line has most of (or an opening "sep=;" line);
 * blank lines are skipped; blanks after a closing quote are ignored; a quote inside an unquoted
 * cell is plain text. The first row fixes the number of cells: shorter rows are filled up with "",
 * longer ones are bad unless the surplus is empty. How the bytes are cut into feeds changes
 * nothing.
 *
 * A bad row is reported and parsing goes on with the next line. After a quote that is never closed,
 * that is the line after the one on which it was opened: one typing mistake costs one row.
 * Memory is flat: about 200 KiB in the arena, whatever the size of the file.
 */
#ifndef TEXT_CSV_H
#define TEXT_CSV_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/err.h"

/*
 * Limits: 64 columns and 4 KiB a cell are well past a contact list; 64 KiB a row keeps a chunk of
 * rows below the size of a broker message.
 */
enum {
    TEXT_CSV_CELLS_MAX = 64,
    TEXT_CSV_CELL_BYTES_MAX = 4096,
    TEXT_CSV_ROW_BYTES_MAX = 65536,
};

/* Borrowed: valid during the callback. Cells are UTF-8 without NUL, NUL-terminated. */
struct text_csv_row {
    size_t line;   /* on which the row starts, from 1 */
    size_t number; /* of this row among the good ones, from 0: usually the heading */
    size_t count;  /* the same for every row */
    const char *const *cells;
    const size_t *lens;
};

/* Both return false to stop. */
typedef bool text_csv_row_fn(void *context, const struct text_csv_row *row);

/*
 * err is permanent: csv_unterminated_quote, csv_bad_quotes, csv_too_many_cells, csv_cell_too_long,
 * csv_row_too_long, csv_bad_utf8. csv_utf16 is reported once and nothing else follows.
 */
typedef bool text_csv_bad_row_fn(void *context, size_t line, const struct err *err);

struct text_csv;

/* Lives in the arena. context is kept. */
struct text_csv *text_csv_create(struct arena *arena, text_csv_row_fn *on_row,
                                 text_csv_bad_row_fn *on_bad_row, void *context);

/* False once a callback has stopped it, or the input is UTF-16: the rest need not be read. */
bool text_csv_feed(struct text_csv *csv, const char *bytes, size_t len);

/* Delivers the last row, which need not end in a newline. False as above. */
bool text_csv_finish(struct text_csv *csv);

/* ',' ';' or tab; 0 before the first line is complete. */
char text_csv_delimiter(const struct text_csv *csv);

#endif
