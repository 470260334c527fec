/*
 * quote - text as a JSON string, with its quotes
 */
#include "engine/quote.h"

void quote_json(struct str *out, const char *text, size_t len)
{
    str_putc(out, '"');
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];

        if (c == '"' || c == '\\') {
            str_putc(out, '\\');
            str_putc(out, (char)c);
        } else if (c < ' ') {
            str_printf(out, "\\u%04x", c);
        } else {
            str_putc(out, (char)c);
        }
    }
    str_putc(out, '"');
}
