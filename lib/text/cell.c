/*
 * cell - quotes and apostrophes around text that others wrote
 */
#include "text/cell.h"

#include <string.h>

void text_put_cell(struct str *out, const char *text)
{
    bool is_formula;

    if (text == NULL || *text == '\0') {
        return;
    }
    is_formula = strchr("=+-@\t\r", *text) != NULL;
    if (!is_formula && strpbrk(text, ",\"\r\n") == NULL) {
        str_puts(out, text);
        return;
    }
    str_puts(out, is_formula ? "\"'" : "\"");
    for (; *text != '\0'; text++) {
        if (*text == '"') {
            str_putc(out, '"');
        }
        str_putc(out, *text);
    }
    str_putc(out, '"');
}
