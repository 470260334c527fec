/*
 * csv - comma-separated values as they arrive, row by row
 *
 * Input is gathered in one buffer, so that the raw bytes of the row in hand are always there: the
 * way back after a quote that was never closed. A state machine walks over it and copies the cells,
 * without their quotes, into a second one. Everything is decided by the bytes before `pos`, never
 * by what happens to have arrived already, so the cuts between feeds cannot matter.
 *
 * Going back costs little: the lines between a quote and the place that proves it wrong hold an
 * even number of quotes each, so they are walked over at most twice.
 */
#include "text/csv.h"

#include <stdint.h>
#include <string.h>

#include "base/str.h"

enum state {
    CELL_START,
    UNQUOTED,
    QUOTED,
    QUOTE_SEEN,  /* in a quoted cell: the end of it, or the first of two */
    AFTER_QUOTE, /* blanks behind the closing quote */
    SKIPPING,    /* to the end of a line that is lost */
};

static const char candidates[] = { ',', ';', '\t' };

#define BUFFER_BYTES ((size_t)2 * TEXT_CSV_ROW_BYTES_MAX)
#define CELLS_BYTES (TEXT_CSV_ROW_BYTES_MAX + TEXT_CSV_CELLS_MAX + 4) /* with their NULs */

struct text_csv {
    text_csv_row_fn *on_row;
    text_csv_bad_row_fn *on_bad_row;
    void *context;
    bool stopped;
    bool at_end; /* of the input */

    char delimiter;      /* 0 until the first line is known */
    bool ends_cell[256]; /* delimiter, CR, LF */

    char *buffer;
    size_t start; /* of the row in hand */
    size_t pos;   /* next byte to look at */
    size_t end;
    bool after_cr; /* the byte before pos is a CR that ended a line */

    enum state state;
    size_t line;     /* of the byte at pos */
    size_t row_line; /* of the byte at start */
    size_t cell_at;  /* first byte of an unquoted cell */
    size_t quote_at; /* the quote that opened this cell, and its line */
    size_t quote_line;

    char *text; /* the cells so far, NUL-terminated */
    size_t text_len;
    size_t cell_text; /* where this cell starts in text */
    const char *cells[TEXT_CSV_CELLS_MAX];
    size_t lens[TEXT_CSV_CELLS_MAX];
    size_t count;
    size_t width; /* cells of the first row, 0 before it */
    size_t rows;

    bool mark_passed; /* the byte order mark, if any */
    size_t detect_at; /* how far the first line was searched */
    bool detect_quoted;
    size_t seen[sizeof(candidates)];

    struct err fault; /* of the row in hand; what is NULL when there is none */
};

struct text_csv *text_csv_create(struct arena *arena, text_csv_row_fn *on_row,
                                 text_csv_bad_row_fn *on_bad_row, void *context)
{
    struct text_csv *csv = arena_alloc(arena, sizeof(*csv));

    csv->on_row = on_row;
    csv->on_bad_row = on_bad_row;
    csv->context = context;
    csv->buffer = arena_alloc(arena, BUFFER_BYTES);
    csv->text = arena_alloc(arena, CELLS_BYTES);
    csv->line = 1;
    csv->row_line = 1;
    return csv;
}

char text_csv_delimiter(const struct text_csv *csv)
{
    return csv->delimiter;
}

static bool is_newline(char c)
{
    return c == '\n' || c == '\r';
}

/* The row in hand is over or lost: the next one starts at pos. */
static void begin_row(struct text_csv *csv)
{
    csv->start = csv->pos;
    csv->row_line = csv->line;
    csv->state = CELL_START;
    csv->text_len = 0;
    csv->cell_text = 0;
    csv->count = 0;
    csv->fault.what = NULL;
}

static void report_bad_row(struct text_csv *csv)
{
    if (!csv->on_bad_row(csv->context, csv->row_line, &csv->fault)) {
        csv->stopped = true;
    }
}

/* The first fault of a row is the one that is told. */
static void note_fault(struct text_csv *csv, const char *what, size_t line, const char *text)
{
    if (csv->fault.what == NULL) {
        err_permanent(&csv->fault, what, "line %zu: %s", line, text);
    }
}

static void set_delimiter(struct text_csv *csv, char delimiter)
{
    csv->delimiter = delimiter;
    csv->ends_cell[(unsigned char)delimiter] = true;
    csv->ends_cell['\n'] = true;
    csv->ends_cell['\r'] = true;
}

/* Moves past the byte at pos, which is a CR or LF: the second half of CR LF is not a new line. */
static void pass_newline(struct text_csv *csv)
{
    char c = csv->buffer[csv->pos++];

    csv->line += c == '\r' || !csv->after_cr;
    csv->after_cr = c == '\r';
}

/*
 * Reports the row, then goes on behind the first newline from `from` to pos; when there is none,
 * behind the next one to come.
 */
static void give_up_row(struct text_csv *csv, size_t from, size_t from_line)
{
    report_bad_row(csv);
    for (size_t i = from; i < csv->pos; i++) {
        if (is_newline(csv->buffer[i])) {
            csv->pos = i;
            csv->line = from_line;
            csv->after_cr = false;
            pass_newline(csv);
            begin_row(csv);
            return;
        }
    }
    begin_row(csv);
    csv->state = SKIPPING;
}

/* Gives up a row whose quoted cell went wrong at pos. */
static void give_up_quotes(struct text_csv *csv, const char *what, const char *text)
{
    note_fault(csv, what, csv->quote_line, text);
    give_up_row(csv, csv->quote_at, csv->quote_line);
}

static void end_cell(struct text_csv *csv)
{
    size_t limit = csv->width > 0 ? csv->width : TEXT_CSV_CELLS_MAX;
    size_t len = csv->text_len - csv->cell_text;

    csv->state = CELL_START;
    if (len > TEXT_CSV_CELL_BYTES_MAX) {
        note_fault(csv, "csv_cell_too_long", csv->line, "a cell is longer than 4096 bytes");
    }
    if (csv->count == limit) {
        if (len > 0) {
            note_fault(csv, "csv_too_many_cells", csv->row_line,
                       csv->width > 0 ? "more cells than in the first row"
                                      : "more than 64 columns");
        }
        return;
    }
    csv->cells[csv->count] = csv->text + csv->cell_text;
    csv->lens[csv->count] = len;
    csv->count++;
    csv->text[csv->text_len++] = '\0';
    csv->cell_text = csv->text_len;
}

/* An unquoted cell is copied whole when its end is found. */
static void end_unquoted(struct text_csv *csv)
{
    size_t len = csv->pos - csv->cell_at;

    memcpy(csv->text + csv->text_len, csv->buffer + csv->cell_at, len);
    csv->text_len += len;
    end_cell(csv);
}

/* The row ends before pos. */
static void end_row(struct text_csv *csv)
{
    if (!str_is_utf8(csv->buffer + csv->start, csv->pos - csv->start)) {
        note_fault(csv, "csv_bad_utf8", csv->row_line, "not valid UTF-8");
    }
    if (csv->fault.what != NULL) {
        report_bad_row(csv);
        return;
    }
    if (csv->width == 0) {
        csv->width = csv->count;
    }
    for (; csv->count < csv->width; csv->count++) {
        csv->cells[csv->count] = "";
        csv->lens[csv->count] = 0;
    }
    if (!csv->on_row(csv->context, &(struct text_csv_row){
                                       .line = csv->row_line,
                                       .number = csv->rows++,
                                       .count = csv->count,
                                       .cells = csv->cells,
                                       .lens = csv->lens,
                                   })) {
        csv->stopped = true;
    }
}

/* The delimiter or newline at pos, after a cell. */
static void step_end(struct text_csv *csv)
{
    if (csv->buffer[csv->pos] == csv->delimiter) {
        csv->pos++;
        csv->after_cr = false;
        return;
    }
    end_row(csv);
    pass_newline(csv);
    begin_row(csv);
}

static void step_cell_start(struct text_csv *csv)
{
    char c = csv->buffer[csv->pos];

    if (csv->pos == csv->start && is_newline(c)) { /* a blank line, or half of CR LF */
        pass_newline(csv);
        begin_row(csv);
    } else if (c == '"') {
        csv->quote_at = csv->pos++;
        csv->quote_line = csv->line;
        csv->state = QUOTED;
        csv->after_cr = false;
    } else {
        csv->cell_at = csv->pos;
        csv->state = UNQUOTED;
        csv->after_cr = false;
    }
}

static void step_unquoted(struct text_csv *csv, size_t limit)
{
    size_t pos = csv->pos;

    while (pos < limit && !csv->ends_cell[(unsigned char)csv->buffer[pos]]) {
        pos++;
    }
    csv->pos = pos;
    if (pos < limit) {
        end_unquoted(csv);
        step_end(csv);
    }
}

static void step_quoted(struct text_csv *csv, size_t limit)
{
    while (csv->pos < limit) {
        char c = csv->buffer[csv->pos];

        if (c == '"') {
            csv->pos++;
            csv->state = QUOTE_SEEN;
            csv->after_cr = false;
            return;
        }
        if (csv->text_len - csv->cell_text >= TEXT_CSV_CELL_BYTES_MAX) {
            if (csv->line > csv->quote_line) {
                give_up_quotes(csv, "csv_unterminated_quote",
                               "the quote opened here is not closed");
            } else {
                give_up_quotes(csv, "csv_cell_too_long", "a cell is longer than 4096 bytes");
            }
            return;
        }
        csv->text[csv->text_len++] = c;
        if (is_newline(c)) {
            pass_newline(csv);
        } else {
            csv->pos++;
            csv->after_cr = false;
        }
    }
}

/* Behind a quote that was not followed by another. */
static void step_closed(struct text_csv *csv)
{
    char c = csv->buffer[csv->pos];

    if (csv->ends_cell[(unsigned char)c]) {
        end_cell(csv);
        step_end(csv);
    } else if (c == ' ' || c == '\t') {
        csv->pos++;
        csv->state = AFTER_QUOTE;
    } else {
        give_up_quotes(csv, "csv_bad_quotes", "a quoted cell that starts here is followed by text");
    }
}

static void step_quote_seen(struct text_csv *csv)
{
    if (csv->buffer[csv->pos] != '"') {
        step_closed(csv);
        return;
    }
    csv->text[csv->text_len++] = '"';
    csv->pos++;
    csv->state = QUOTED;
}

static void step_skipping(struct text_csv *csv, size_t limit)
{
    while (csv->pos < limit) {
        char c = csv->buffer[csv->pos];

        if (is_newline(c)) {
            pass_newline(csv);
            begin_row(csv);
            return;
        }
        csv->pos++;
        csv->after_cr = false;
    }
    csv->start = csv->pos;
}

/* Walks over what is in the buffer. */
static void scan(struct text_csv *csv)
{
    while (csv->pos < csv->end && !csv->stopped) {
        size_t limit = csv->end;

        if (limit - csv->start > TEXT_CSV_ROW_BYTES_MAX + 1) {
            limit = csv->start + TEXT_CSV_ROW_BYTES_MAX + 1; /* a newline may follow the last */
        }
        if (csv->pos == limit) {
            bool quoted = csv->state == QUOTED;

            note_fault(csv, "csv_row_too_long", csv->row_line, "a row is longer than 65536 bytes");
            give_up_row(csv, quoted ? csv->quote_at : csv->pos,
                        quoted ? csv->quote_line : csv->line);
            continue;
        }
        switch (csv->state) {
        case CELL_START:
            step_cell_start(csv);
            break;
        case UNQUOTED:
            step_unquoted(csv, limit);
            break;
        case QUOTED:
            step_quoted(csv, limit);
            break;
        case QUOTE_SEEN:
            step_quote_seen(csv);
            break;
        case AFTER_QUOTE:
            step_closed(csv);
            break;
        case SKIPPING:
            step_skipping(csv, limit);
            break;
        }
    }
}

/* "sep=;" as spreadsheets write it above the heading. */
static bool is_separator_line(const char *line, size_t len)
{
    return len == 5 && memcmp(line, "sep=", 4) == 0 && line[4] != '"';
}

static void choose_delimiter(struct text_csv *csv, size_t line_end)
{
    size_t best = 0;

    if (is_separator_line(csv->buffer + csv->start, line_end - csv->start)) {
        set_delimiter(csv, csv->buffer[line_end - 1]);
        csv->pos = line_end;
        csv->state = SKIPPING;
        return;
    }
    for (size_t k = 1; k < sizeof(candidates); k++) {
        best = csv->seen[k] > csv->seen[best] ? k : best;
    }
    set_delimiter(csv, candidates[best]);
}

/* Counts delimiters outside quotes up to the end of the first line, or of what a row may be. */
static void detect_delimiter(struct text_csv *csv)
{
    while (csv->pos < csv->end && is_newline(csv->buffer[csv->pos])) {
        pass_newline(csv);
        begin_row(csv);
        csv->detect_at = csv->pos;
    }
    for (; csv->detect_at < csv->end; csv->detect_at++) {
        char c = csv->buffer[csv->detect_at];

        if ((is_newline(c) && !csv->detect_quoted) ||
            csv->detect_at - csv->start == TEXT_CSV_ROW_BYTES_MAX) {
            choose_delimiter(csv, csv->detect_at);
            return;
        }
        csv->detect_quoted ^= c == '"';
        for (size_t k = 0; k < sizeof(candidates) && !csv->detect_quoted; k++) {
            csv->seen[k] += c == candidates[k];
        }
    }
    if (csv->at_end) {
        choose_delimiter(csv, csv->end);
    }
}

/* Passes a byte order mark; false until enough has arrived to tell, or when it is UTF-16. */
static bool pass_mark(struct text_csv *csv)
{
    const char *first = csv->buffer;

    if (csv->end < 3 && !csv->at_end) {
        return false;
    }
    csv->mark_passed = true;
    if (csv->end >= 2 && (memcmp(first, "\xFF\xFE", 2) == 0 || memcmp(first, "\xFE\xFF", 2) == 0)) {
        note_fault(csv, "csv_utf16", 1, "the file is UTF-16; save it as CSV in UTF-8");
        report_bad_row(csv);
        csv->stopped = true;
        return false;
    }
    if (csv->end >= 3 && memcmp(first, "\xEF\xBB\xBF", 3) == 0) {
        csv->pos = 3;
        csv->start = 3;
    }
    csv->detect_at = csv->start;
    return true;
}

static void advance(struct text_csv *csv)
{
    if (!csv->mark_passed && !pass_mark(csv)) {
        return;
    }
    if (csv->delimiter == '\0') {
        detect_delimiter(csv);
    }
    if (csv->delimiter != '\0') {
        scan(csv);
    }
}

/* Moves the row in hand to the front. */
static void compact(struct text_csv *csv)
{
    size_t gone = csv->start;

    memmove(csv->buffer, csv->buffer + gone, csv->end - gone);
    csv->start = 0;
    csv->pos -= gone;
    csv->end -= gone;
    csv->cell_at -= gone; /* one of the two is stale and may wrap: it is set before it is used */
    csv->quote_at -= gone;
}

bool text_csv_feed(struct text_csv *csv, const char *bytes, size_t len)
{
    while (len > 0 && !csv->stopped) {
        size_t n;

        if (csv->end == BUFFER_BYTES) {
            compact(csv);
        }
        n = BUFFER_BYTES - csv->end < len ? BUFFER_BYTES - csv->end : len;
        memcpy(csv->buffer + csv->end, bytes, n);
        csv->end += n;
        bytes += n;
        len -= n;
        advance(csv);
    }
    return !csv->stopped;
}

/* The row in hand ends with the input. */
static void end_last_row(struct text_csv *csv)
{
    if (csv->state == UNQUOTED) {
        end_unquoted(csv);
    } else {
        end_cell(csv);
    }
    if (csv->pos - csv->start > TEXT_CSV_ROW_BYTES_MAX) {
        note_fault(csv, "csv_row_too_long", csv->row_line, "a row is longer than 65536 bytes");
    }
    end_row(csv);
    begin_row(csv);
}

bool text_csv_finish(struct text_csv *csv)
{
    csv->at_end = true;
    advance(csv);
    while (!csv->stopped && csv->start < csv->pos) {
        if (csv->state == QUOTED) {
            give_up_quotes(csv, "csv_unterminated_quote", "the quote opened here is not closed");
            scan(csv);
        } else {
            end_last_row(csv);
        }
    }
    return !csv->stopped;
}
