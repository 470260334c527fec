#include "provider/daraja_statement.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/str.h"
#include "provider/daraja.h"
#include "text/csv.h"

#define PREFACE_MAX 16384 /* above the columns' names; the portal writes a dozen short lines */
#define AMOUNT_MAX 32

enum column {
    COLUMN_RECEIPT,
    COLUMN_COMPLETED,
    COLUMN_STATUS,
    COLUMN_PAID_IN,
    COLUMN_WITHDRAWN,
    COLUMN_DETAILS,
    COLUMN_ACCOUNT,
    COLUMN_LINKED,
    COLUMNS,
};

/* As the portal writes them, without what is no letter or digit. */
static const struct {
    const char *name;
    bool needed;
} columns[COLUMNS] = {
    [COLUMN_RECEIPT] = { "receiptno", true },
    [COLUMN_COMPLETED] = { "completiontime", true },
    [COLUMN_STATUS] = { "transactionstatus", true },
    [COLUMN_PAID_IN] = { "paidin", true },
    [COLUMN_WITHDRAWN] = { "withdrawn", false },
    [COLUMN_DETAILS] = { "details", false },
    [COLUMN_ACCOUNT] = { "acno", false },
    [COLUMN_LINKED] = { "linkedtransactionid", false },
};

struct daraja_statement {
    struct text_csv *csv;
    daraja_statement_line_fn *on_line;
    daraja_statement_bad_fn *on_bad;
    void *context;
    struct str preface; /* of it, the line that is not complete yet */
    size_t preface_lines;
    size_t preface_bytes;
    bool begun;        /* the line of names was found */
    int at[COLUMNS];   /* -1: there is none */
    const char *fault; /* of the line of names */
};

/* The letters and digits of a text, in lower case. */
static void squeeze(const char *text, size_t len, char *out, size_t size)
{
    size_t n = 0;

    for (size_t i = 0; i < len && n + 1 < size; i++) {
        char c = text[i];
        if (c >= 'A' && c <= 'Z') {
            c = (char)(c - 'A' + 'a');
        }
        if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) {
            out[n++] = c;
        }
    }
    out[n] = '\0';
}

static void read_names(struct daraja_statement *statement, const struct text_csv_row *row)
{
    char name[64];

    for (int column = 0; column < COLUMNS; column++) {
        statement->at[column] = -1;
        for (size_t i = 0; i < row->count && statement->at[column] < 0; i++) {
            squeeze(row->cells[i], row->lens[i], name, sizeof(name));
            if (strcmp(name, columns[column].name) == 0) {
                statement->at[column] = (int)i;
            }
        }
        if (columns[column].needed && statement->at[column] < 0 && statement->fault == NULL) {
            statement->fault = columns[column].name;
        }
    }
}

static const char *cell(const struct daraja_statement *statement, const struct text_csv_row *row,
                        enum column column)
{
    const char *text = statement->at[column] >= 0 ? row->cells[statement->at[column]] : "";

    return text + strspn(text, " \t'");
}

/* "1,000.00", "-50.00", "" */
static bool read_amount(const char *text, int64_t *out_minor)
{
    char digits[AMOUNT_MAX];
    size_t n = 0;

    *out_minor = 0;
    text += *text == '-';
    for (; *text != '\0' && *text != ' '; text++) {
        if (*text == ',') {
            continue;
        }
        if (n + 1 == sizeof(digits)) {
            return false;
        }
        digits[n++] = *text;
    }
    digits[n] = '\0';
    return text[strspn(text, " ")] == '\0' && (n == 0 || daraja_amount_parse(digits, out_minor));
}

/* "2026-11-01 10:15:00", "01-11-2026 10:15:00", with slashes, without seconds. */
static bool read_time(const char *text, int64_t *out_ms)
{
    static const char *const ends[] = { "-/", "-/", " ", ":", ":", "" };
    char number[6][5] = { "", "", "", "", "", "00" };
    char compact[6 * sizeof(*number)];

    for (int i = 0; i < 6; i++) {
        size_t digits = strspn(text, "0123456789");
        bool may_be_year = digits == 4 && (i == 0 || i == 2);
        if (digits == 0 || (digits > 2 && !may_be_year)) {
            return false;
        }
        snprintf(number[i], sizeof(*number), "%s%.*s", digits == 1 ? "0" : "", (int)digits, text);
        text += digits;
        if (i >= 4 && text[strspn(text, " ")] == '\0') {
            break;
        }
        if (*text == '\0' || strchr(ends[i], *text) == NULL) {
            return false;
        }
        text++;
    }
    const bool year_first = strlen(number[0]) == 4;
    snprintf(compact, sizeof(compact), "%s%s%s%s%s%s", number[year_first ? 0 : 2], number[1],
             number[year_first ? 2 : 0], number[3], number[4], number[5]);
    return daraja_time_parse(compact, out_ms);
}

/* Letters and digits in capitals; false when it can be no receipt's number. */
static bool read_receipt(const char *text, char out[DARAJA_RECEIPT_MAX + 1])
{
    size_t len = strcspn(text, " \t");

    if (len == 0 || len > DARAJA_RECEIPT_MAX || text[len + strspn(text + len, " \t")] != '\0') {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (c >= 'a' && c <= 'z') {
            c = (char)(c - 'a' + 'A');
        }
        if (!((c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))) {
            return false;
        }
        out[i] = c;
    }
    out[len] = '\0';
    return true;
}

/* "Pay Bill from 254712***678 - JOHN DOE Acc. TK12345678" */
static const char *reference_in(const char *details)
{
    const char *found = strstr(details, "Acc. ");

    return found != NULL ? found + strlen("Acc. ") : "";
}

static bool bad(struct daraja_statement *statement, size_t line, const char *column)
{
    struct err err;

    err_permanent(&err, "bad_line", "%s is missing or cannot be read", column);
    return statement->on_bad(statement->context, line, &err);
}

static bool on_row(void *context, const struct text_csv_row *row)
{
    struct daraja_statement *statement = context;
    size_t number = row->line + statement->preface_lines;
    char receipt[DARAJA_RECEIPT_MAX + 1], linked[DARAJA_RECEIPT_MAX + 1];
    char status[32];
    struct daraja_statement_line line = { .line = number, .receipt = receipt, .linked = linked };

    if (row->number == 0) {
        read_names(statement, row);
        return statement->fault == NULL;
    }
    if (!read_receipt(cell(statement, row, COLUMN_RECEIPT), receipt)) {
        return bad(statement, number, "Receipt No.");
    }
    if (!read_time(cell(statement, row, COLUMN_COMPLETED), &line.completed_ms)) {
        return bad(statement, number, "Completion Time");
    }
    if (!read_amount(cell(statement, row, COLUMN_PAID_IN), &line.paid_in_minor)) {
        return bad(statement, number, "Paid In");
    }
    if (!read_amount(cell(statement, row, COLUMN_WITHDRAWN), &line.withdrawn_minor)) {
        return bad(statement, number, "Withdrawn");
    }
    if (!read_receipt(cell(statement, row, COLUMN_LINKED), linked)) {
        linked[0] = '\0';
    }
    const char *text = cell(statement, row, COLUMN_STATUS);
    squeeze(text, strlen(text), status, sizeof(status));
    line.completed = strcmp(status, "completed") == 0;
    line.details = cell(statement, row, COLUMN_DETAILS);
    line.bill_reference = cell(statement, row, COLUMN_ACCOUNT);
    if (*line.bill_reference == '\0') {
        line.bill_reference = reference_in(line.details);
    }
    return statement->on_line(statement->context, &line);
}

static bool on_bad_row(void *context, size_t line, const struct err *err)
{
    struct daraja_statement *statement = context;

    return statement->on_bad(statement->context, line + statement->preface_lines, err);
}

struct daraja_statement *daraja_statement_create(struct arena *arena,
                                                 daraja_statement_line_fn *on_line,
                                                 daraja_statement_bad_fn *on_bad, void *context)
{
    struct daraja_statement *statement = arena_alloc(arena, sizeof(*statement));

    *statement =
        (struct daraja_statement){ .on_line = on_line, .on_bad = on_bad, .context = context };
    statement->csv = text_csv_create(arena, on_row, on_bad_row, statement);
    return statement;
}

/* True when the line in hand names the receipts; otherwise it is dropped. */
static bool is_begin(struct daraja_statement *statement)
{
    struct str *preface = &statement->preface;
    char squeezed[256];

    squeeze(preface->bytes, preface->len, squeezed, sizeof(squeezed));
    if (strstr(squeezed, columns[COLUMN_RECEIPT].name) != NULL) {
        return true;
    }
    str_reset(preface);
    statement->preface_lines++;
    return false;
}

/* Takes bytes up to the line of names, which is fed then; *len is what was taken. */
static bool skip_preface(struct daraja_statement *statement, const char *bytes, size_t *len)
{
    size_t taken = 0;

    while (taken < *len && !statement->begun) {
        const char *end = memchr(bytes + taken, '\n', *len - taken);
        size_t piece = end != NULL ? (size_t)(end - bytes) - taken + 1 : *len - taken;

        statement->preface_bytes += piece;
        if (statement->preface_bytes > PREFACE_MAX) {
            return false;
        }
        str_append(&statement->preface, bytes + taken, piece);
        taken += piece;
        statement->begun = end != NULL && is_begin(statement);
    }
    *len = taken;
    return !statement->begun ||
           text_csv_feed(statement->csv, statement->preface.bytes, statement->preface.len);
}

bool daraja_statement_feed(struct daraja_statement *statement, const char *bytes, size_t len)
{
    size_t taken = 0;

    if (!statement->begun) {
        taken = len;
        if (!skip_preface(statement, bytes, &taken)) {
            return false;
        }
    }
    return taken == len || text_csv_feed(statement->csv, bytes + taken, len - taken);
}

bool daraja_statement_finish(struct daraja_statement *statement, struct err *err)
{
    bool begun = statement->begun;

    if (!begun && statement->preface.len > 0 && is_begin(statement)) {
        begun = true; /* names and nothing else */
        (void)text_csv_feed(statement->csv, statement->preface.bytes, statement->preface.len);
    }
    if (begun) {
        (void)text_csv_finish(statement->csv);
    }
    str_free(&statement->preface);
    if (!begun) {
        return err_permanent(err, "bad_statement", "no line has a column named Receipt No.");
    }
    return statement->fault == NULL ||
           err_permanent(err, "bad_statement", "no column is named %s", statement->fault);
}
