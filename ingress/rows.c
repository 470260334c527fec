#include "rows.h"

#include <stdint.h>
#include <string.h>

#include "base/str.h"
#include "campaign/columns.h"

#define DEPTH_MAX 32 /* of what json_member() steps over */

struct reader {
    struct rows *rows;
    const char *at, *end;
    const char *name; /* of the array; NULL for a line */
    size_t row;
    const char *column; /* NULL before it is known */
    struct err *err;
};

/* "recipients[3].first_name: text" */
static bool refuse(const struct reader *reader, const char *what, const char *text)
{
    const char *dot = reader->column != NULL && reader->name != NULL ? "." : "";
    const char *column = reader->column != NULL ? reader->column : "";

    if (reader->name == NULL) {
        return err_permanent(reader->err, what, "%.64s%s%s", column, *column != '\0' ? ": " : "",
                             text);
    }
    return err_permanent(reader->err, what, "%s[%zu]%s%.64s: %s", reader->name, reader->row, dot,
                         column, text);
}

static bool refuse_json(const struct reader *reader, const char *text)
{
    return refuse(reader, "bad_json", text);
}

static void skip_blanks(struct reader *reader)
{
    while (reader->at < reader->end && (*reader->at == ' ' || *reader->at == '\t' ||
                                        *reader->at == '\n' || *reader->at == '\r')) {
        reader->at++;
    }
}

/* Takes the character when it is next, after blanks. */
static bool take(struct reader *reader, char c)
{
    skip_blanks(reader);
    if (reader->at == reader->end || *reader->at != c) {
        return false;
    }
    reader->at++;
    return true;
}

static int hex4(const char *at)
{
    int value = 0;

    for (int i = 0; i < 4; i++) {
        char c = at[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0) {
            return -1;
        }
        value = value << 4 | digit;
    }
    return value;
}

static char *put_utf8(char *out, uint32_t c)
{
    if (c < 0x80) {
        *out++ = (char)c;
    } else if (c < 0x800) {
        *out++ = (char)(0xC0 | c >> 6);
        *out++ = (char)(0x80 | (c & 0x3F));
    } else if (c < 0x10000) {
        *out++ = (char)(0xE0 | c >> 12);
        *out++ = (char)(0x80 | (c >> 6 & 0x3F));
        *out++ = (char)(0x80 | (c & 0x3F));
    } else {
        *out++ = (char)(0xF0 | c >> 18);
        *out++ = (char)(0x80 | (c >> 12 & 0x3F));
        *out++ = (char)(0x80 | (c >> 6 & 0x3F));
        *out++ = (char)(0x80 | (c & 0x3F));
    }
    return out;
}

/* The escape at *at, which stands behind a backslash, as UTF-8; NULL when it is none. */
static char *unescape(const char **at, const char *end, char *out)
{
    static const char from[] = "\"\\/bfnrt";
    static const char to[] = "\"\\/\b\f\n\r\t";
    const char *known = *at < end ? memchr(from, **at, sizeof(from) - 1) : NULL;

    if (known != NULL) {
        *out = to[known - from];
        (*at)++;
        return out + 1;
    }
    if (end - *at < 5 || **at != 'u') {
        return NULL;
    }
    int c = hex4(*at + 1);
    *at += 5;
    if (c >= 0xD800 && c < 0xDC00) {
        int low = end - *at >= 6 && (*at)[0] == '\\' && (*at)[1] == 'u' ? hex4(*at + 2) : -1;
        if (low < 0xDC00 || low > 0xDFFF) {
            return NULL;
        }
        *at += 6;
        return put_utf8(out, 0x10000U + ((uint32_t)(c - 0xD800) << 10) + (uint32_t)(low - 0xDC00));
    }
    return c <= 0 || (c >= 0xDC00 && c < 0xE000) ? NULL : put_utf8(out, (uint32_t)c);
}

/* A string whose opening quote was taken. */
static bool read_string(struct reader *reader, size_t max, const char **out_text)
{
    const char *at = reader->at;
    const char *start = at;
    char *text, *to;

    while (at < reader->end && *at != '"' && *at != '\\' && (unsigned char)*at >= 0x20) {
        at++;
    }
    if (at < reader->end && *at == '"') {
        text = arena_strndup(reader->rows->arena, start, (size_t)(at - start));
        to = text + (at - start);
    } else {
        const char *close = at;
        while (close < reader->end && *close != '"') {
            close += *close == '\\' ? 2 : 1;
        }
        if (close >= reader->end) {
            return refuse_json(reader, "a text without a closing quote");
        }
        text = to = arena_alloc(reader->rows->arena, (size_t)(close - start) + 1);
        for (at = start; at < close;) {
            if ((unsigned char)*at < 0x20) {
                return refuse_json(reader, "a control character in a text");
            }
            if (*at != '\\') {
                *to++ = *at++;
                continue;
            }
            at++;
            to = unescape(&at, close, to);
            if (to == NULL) {
                return refuse_json(reader, "a bad escape in a text");
            }
        }
    }
    reader->at = at + 1;
    if ((size_t)(to - text) > max) {
        return refuse(reader, "bad_field", "too long");
    }
    if (!str_is_utf8(text, (size_t)(to - text))) {
        return refuse_json(reader, "not UTF-8");
    }
    *out_text = text;
    return true;
}

static const char *skip_digits(const char *at, const char *end)
{
    while (at < end && *at >= '0' && *at <= '9') {
        at++;
    }
    return at;
}

/* The end of the JSON number at at, or NULL. */
static const char *number_end(const char *at, const char *end)
{
    const char *digits;

    at += at < end && *at == '-';
    digits = at;
    at = skip_digits(at, end);
    if (at == digits || (*digits == '0' && at - digits > 1)) {
        return NULL;
    }
    if (at < end && *at == '.') {
        digits = ++at;
        at = skip_digits(at, end);
        if (at == digits) {
            return NULL;
        }
    }
    if (at < end && (*at == 'e' || *at == 'E')) {
        at++;
        at += at < end && (*at == '+' || *at == '-');
        digits = at;
        at = skip_digits(at, end);
        if (at == digits) {
            return NULL;
        }
    }
    return at;
}

static bool take_word(struct reader *reader, const char *word)
{
    size_t len = strlen(word);

    if ((size_t)(reader->end - reader->at) < len || memcmp(reader->at, word, len) != 0) {
        return false;
    }
    reader->at += len;
    return true;
}

/* A value that can be a cell. */
static bool read_cell(struct reader *reader, const char **out_text)
{
    skip_blanks(reader);
    if (reader->at == reader->end) {
        return refuse_json(reader, "a value is missing");
    }
    if (*reader->at == '"') {
        reader->at++;
        return read_string(reader, CAMPAIGN_CELL_MAX, out_text);
    }
    if (*reader->at == '{' || *reader->at == '[') {
        return refuse(reader, "bad_field", "a list or an object cannot be a field's value");
    }
    if (take_word(reader, "null")) {
        *out_text = "";
        return true;
    }
    if (take_word(reader, "true")) {
        *out_text = "true";
        return true;
    }
    if (take_word(reader, "false")) {
        *out_text = "false";
        return true;
    }
    const char *end = number_end(reader->at, reader->end);
    if (end == NULL) {
        return refuse_json(reader, "not a JSON value");
    }
    if (end - reader->at > CAMPAIGN_CELL_MAX) {
        return refuse(reader, "bad_field", "too long");
    }
    *out_text = arena_strndup(reader->rows->arena, reader->at, (size_t)(end - reader->at));
    reader->at = end;
    return true;
}

/* The key's column, added when it is new; -1 for one that is to be dropped, -2 with an error. */
static int column_of(struct reader *reader, const char *key, size_t guess)
{
    struct rows *rows = reader->rows;

    if (guess < rows->column_count && strcmp(rows->columns[guess], key) == 0) {
        return (int)guess;
    }
    for (size_t i = 0; i < rows->column_count; i++) {
        if (strcmp(rows->columns[i], key) == 0) {
            return (int)i;
        }
    }
    if (rows->fixed) {
        return -1;
    }
    if (*key == '\0' || strlen(key) > CAMPAIGN_COLUMN_MAX) {
        refuse(reader, "bad_field", "a field's name has 1 to 64 bytes");
        return -2;
    }
    if (rows->column_count == CAMPAIGN_COLUMNS_MAX) {
        refuse(reader, "bad_field", "more than 64 different fields");
        return -2;
    }
    rows->columns[rows->column_count] = key;
    return (int)rows->column_count++;
}

/* A text is a number in the phone column, whatever that is called here. */
static bool read_plain(struct reader *reader, const char **cells)
{
    int phone = campaign_phone_column(reader->rows->columns, reader->rows->column_count);
    const char *text = NULL;

    if (!read_cell(reader, &text)) {
        return false;
    }
    if (phone < 0) {
        phone = column_of(reader, "phone", 0);
        if (phone < 0) {
            return phone == -2 ? false : refuse(reader, "bad_field", "there is no phone field");
        }
    }
    cells[phone] = text;
    return true;
}

/* The members of an object whose brace was taken. */
static bool read_members(struct reader *reader, const char **cells)
{
    const char *key = NULL;

    if (take(reader, '}')) {
        return true;
    }
    for (size_t i = 0;; i++) {
        const char *text = NULL;
        reader->column = NULL;
        if (!take(reader, '"')) {
            return refuse_json(reader, "a field's name is missing");
        }
        if (!read_string(reader, CAMPAIGN_CELL_MAX, &key)) {
            return false;
        }
        reader->column = key;
        if (!take(reader, ':')) {
            return refuse_json(reader, "a colon is missing");
        }
        if (!read_cell(reader, &text)) {
            return false;
        }
        int column = column_of(reader, key, i);
        if (column == -2) {
            return false;
        }
        if (column >= 0 && cells[column] != NULL) {
            return refuse_json(reader, "this field is there twice");
        }
        if (column >= 0) {
            cells[column] = text;
        }
        reader->column = NULL;
        if (take(reader, '}')) {
            return true;
        }
        if (!take(reader, ',')) {
            return refuse_json(reader, "a comma or closing brace is missing");
        }
    }
}

/* cells has CAMPAIGN_COLUMNS_MAX entries, all NULL. */
static bool read_row(struct reader *reader, const char **cells)
{
    reader->column = NULL;
    if (take(reader, '{')) {
        return read_members(reader, cells);
    }
    return read_plain(reader, cells);
}

void rows_init(struct rows *rows, struct arena *arena)
{
    *rows = (struct rows){ .arena = arena };
}

bool rows_read_line(struct rows *rows, const char *json, size_t len, const char **out_cells,
                    struct err *err)
{
    struct reader reader = { .rows = rows, .at = json, .end = json + len, .err = err };

    memset(out_cells, 0, CAMPAIGN_COLUMNS_MAX * sizeof(*out_cells));
    if (!read_row(&reader, out_cells)) {
        return false;
    }
    skip_blanks(&reader);
    if (reader.at != reader.end) {
        return refuse_json(&reader, "something follows the value");
    }
    for (size_t i = 0; i < rows->column_count; i++) {
        if (out_cells[i] == NULL) {
            out_cells[i] = "";
        }
    }
    return true;
}

struct kept_row {
    struct kept_row *next;
    size_t count;
    const char *cells[];
};

static void fill_table(struct rows *rows, const struct kept_row *kept, size_t count,
                       struct table *out)
{
    size_t cols = rows->column_count;

    out->rows = count;
    out->cols = cols;
    out->cells = arena_array(rows->arena, count * cols + 1, sizeof(*out->cells));
    for (size_t row = 0; kept != NULL; row++, kept = kept->next) {
        for (size_t col = 0; col < cols; col++) {
            const char *cell = col < kept->count ? kept->cells[col] : NULL;
            out->cells[row * cols + col] = cell != NULL ? cell : "";
        }
    }
}

bool rows_read_all(struct rows *rows, const char *name, const char *json, size_t len, size_t max,
                   struct table *out_table, struct err *err)
{
    struct reader reader = {
        .rows = rows, .at = json, .end = json + len, .name = name, .err = err
    };
    struct kept_row *first = NULL, **last = &first;
    const char *cells[CAMPAIGN_COLUMNS_MAX];

    if (!take(&reader, '[')) {
        return err_permanent(err, "bad_field", "%s: not a list", name);
    }
    bool more = !take(&reader, ']');
    for (; more; reader.row++) {
        if (reader.row == max) {
            return err_permanent(err, "too_many", "%s: more than %zu; send them as CSV or NDJSON",
                                 name, max);
        }
        memset(cells, 0, sizeof(cells));
        if (!read_row(&reader, cells)) {
            return false;
        }
        struct kept_row *kept =
            arena_alloc(rows->arena, sizeof(*kept) + rows->column_count * sizeof(*cells));
        kept->count = rows->column_count;
        memcpy(kept->cells, cells, rows->column_count * sizeof(*cells));
        *last = kept;
        last = &kept->next;
        more = !take(&reader, ']');
        if (more && !take(&reader, ',')) {
            return refuse_json(&reader, "a comma or closing bracket is missing");
        }
    }
    if (reader.row == 0) {
        return err_permanent(err, "no_recipients", "%s: at least one is needed", name);
    }
    if (campaign_phone_column(rows->columns, rows->column_count) < 0) {
        return err_permanent(err, "no_phone", "%s: none has a phone; name the field one of %s",
                             name, campaign_phone_names());
    }
    fill_table(rows, first, reader.row, out_table);
    return true;
}

/* Past the string, number, word, list or object at the front; NULL when it does not end. */
static const char *skip_value(const char *at, const char *end)
{
    int depth = 0;

    for (; at < end; at++) {
        if (*at == '"') {
            for (at++; at < end && *at != '"'; at++) {
                at += *at == '\\';
            }
            if (at >= end) {
                return NULL;
            }
        } else if (*at == '{' || *at == '[') {
            depth++;
        } else if (*at == '}' || *at == ']') {
            depth--;
            if (depth < 0) {
                return at;
            }
        } else if (*at == ',' && depth == 0) {
            return at;
        }
        if (depth > DEPTH_MAX) {
            return NULL;
        }
    }
    return at;
}

struct member {
    const char *key, *value;
    size_t key_len, value_len;
};

/* The next member of an object whose brace was taken; false at its end. */
static bool next_member(struct reader *reader, struct member *out)
{
    if (!take(reader, '"')) {
        return false;
    }
    const char *quote = reader->at;
    while (quote < reader->end && *quote != '"') {
        quote += *quote == '\\' ? 2 : 1;
    }
    if (quote >= reader->end) {
        return false;
    }
    out->key = reader->at;
    out->key_len = (size_t)(quote - reader->at);
    reader->at = quote + 1;
    if (!take(reader, ':')) {
        return false;
    }
    skip_blanks(reader);
    out->value = reader->at;
    reader->at = skip_value(reader->at, reader->end);
    if (reader->at == NULL) {
        return false;
    }
    out->value_len = (size_t)(reader->at - out->value);
    (void)take(reader, ',');
    return true;
}

static bool is_named(const struct member *member, const char *name)
{
    return strlen(name) == member->key_len && memcmp(member->key, name, member->key_len) == 0;
}

bool json_member(const char *json, size_t len, const char *name, const char **out_value,
                 size_t *out_len)
{
    struct reader reader = { .at = json, .end = json + len };
    struct member member;

    if (!take(&reader, '{')) {
        return false;
    }
    while (next_member(&reader, &member)) {
        if (is_named(&member, name)) {
            *out_value = member.value;
            *out_len = member.value_len;
            return true;
        }
    }
    return false;
}

bool json_check_members(const char *json, size_t len, const char *const *known, size_t count,
                        struct err *err)
{
    struct reader reader = { .at = json, .end = json + len };
    struct member member;

    if (!take(&reader, '{')) {
        return true;
    }
    while (next_member(&reader, &member)) {
        size_t i = 0;
        while (i < count && !is_named(&member, known[i])) {
            i++;
        }
        if (i == count) {
            return err_permanent(err, "unknown_field", "%.*s: there is no such field",
                                 (int)(member.key_len < 64 ? member.key_len : 64), member.key);
        }
    }
    return true;
}
