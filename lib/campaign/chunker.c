#include "campaign/chunker.h"

#include <string.h>

#include "base/panic.h"
#include "json/shape.h"
#include "msg/campaign.h"
#include "msg/message.h"

/* Columns take up to 64 * (6 * 64 + 3) bytes of a body at the very worst; the rest is for rows. */
#define ROWS_BYTES_MAX ((size_t)100 << 10)

void chunker_init(struct chunker *chunker, const char *const *columns, size_t column_count,
                  chunk_fn *on_chunk, void *context)
{
    *chunker = (struct chunker){
        .columns = columns,
        .column_count = column_count,
        .on_chunk = on_chunk,
        .context = context,
        .first_row = 1,
        .chunk = 1,
    };
}

void chunker_free(struct chunker *chunker)
{
    str_free(&chunker->rows);
    str_free(&chunker->row);
}

void chunker_flush(struct chunker *chunker)
{
    if (chunker->row_count == 0) {
        return;
    }
    chunker->on_chunk(chunker->context, chunker);
    chunker->first_row += chunker->row_count;
    chunker->row_count = 0;
    chunker->chunk++;
    str_reset(&chunker->rows);
}

bool chunker_add(struct chunker *chunker, const char *const *cells)
{
    struct str *row = &chunker->row;

    str_reset(row);
    for (size_t i = 0; i < chunker->column_count; i++) {
        str_putc(row, i == 0 ? '[' : ',');
        json_put_string(row, cells[i], strlen(cells[i]));
    }
    str_putc(row, ']');
    if (row->len > ROWS_BYTES_MAX) {
        return false;
    }
    if (chunker->row_count == CAMPAIGN_CHUNK_ROWS ||
        chunker->rows.len + row->len + 1 > ROWS_BYTES_MAX) {
        chunker_flush(chunker);
    }
    if (chunker->row_count > 0) {
        str_putc(&chunker->rows, ',');
    }
    str_append(&chunker->rows, row->bytes, row->len);
    chunker->row_count++;
    return true;
}

int64_t chunker_rows(const struct chunker *chunker)
{
    return chunker->first_row - 1 + chunker->row_count;
}

int64_t chunker_chunks(const struct chunker *chunker)
{
    return chunker->chunk - (chunker->row_count == 0);
}

void chunker_body(const struct chunker *chunker, struct str *out)
{
    static const char empty[] = "\"rows\":[]}";
    const struct recipients_submitted message = {
        .campaign = chunker->campaign,
        .chunk = chunker->chunk,
        .first_row = chunker->first_row,
        .columns = { chunker->column_count, (const char **)(uintptr_t)chunker->columns },
    };

    str_reset(out);
    shape_write(&recipients_submitted_v1, &message, out);
    if (out->len < sizeof(empty) ||
        strcmp(out->bytes + out->len - (sizeof(empty) - 1), empty) != 0) {
        panic("recipients.submitted does not end in its rows");
    }
    out->len -= 2;
    str_append(out, chunker->rows.bytes, chunker->rows.len);
    str_puts(out, "]}");
    if (out->len > MESSAGE_BODY_MAX) {
        panic("a chunk of %zu bytes", out->len);
    }
}
