/*
 * err - why something failed, and whether trying again could help
 *
 * The text is made in a buffer of its own first, so that a caller may quote the detail it is
 * about to replace: err_permanent(err, what, "%s: %s", where, err->detail).
 */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

/* Drops the piece of a character that the cut at the buffer's end left behind. */
static void trim_partial_character(char *text)
{
    size_t len = strlen(text);
    size_t start = len;

    while (start > 0 && len - start < 4 && ((unsigned char)text[start - 1] & 0xc0) == 0x80) {
        start--;
    }
    if (start > 0 && (unsigned char)text[start - 1] >= 0xc0) {
        start--;
        if (str_utf8_char(text + start, len - start) == 0) {
            text[start] = '\0';
        }
    }
}

void err_fill(struct err *err, enum err_kind kind, const char *what, const char *fmt, ...)
{
    char detail[sizeof(err->detail)] = "";
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(detail, sizeof(detail), fmt, args);
    va_end(args);
    for (char *c = detail; *c != '\0'; c++) {
        if ((unsigned char)*c < ' ' || *c == '\x7f') {
            *c = ' '; /* one line */
        }
    }
    trim_partial_character(detail);
    err->kind = kind;
    err->what = what;
    memcpy(err->detail, detail, sizeof(detail));
}
