/*
 * cell - one cell of comma-separated values, as it may be opened by a spreadsheet
 *
 *     text_put_cell(&out, name);
 *     str_putc(&out, ',');
 *     text_put_cell(&out, reason);
 *     str_puts(&out, "\r\n");
 *
 * Quoted when it must be. Text that begins with = + - @ tab or CR would be a formula to a
 * spreadsheet: it gets an apostrophe in front. Numbers are not cells of text: write them yourself.
 */
#ifndef TEXT_CELL_H
#define TEXT_CELL_H

#include "base/str.h"

/* NULL is empty. */
void text_put_cell(struct str *out, const char *text);

#endif
