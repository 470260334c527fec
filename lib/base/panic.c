/*
 * panic - stop at once when the program itself is wrong
 *
 * The line is logfmt like any other, but is made here without the logger: nothing may be trusted
 * any more, so it allocates nothing and is written with one write().
 */
#include "base/panic.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

void panic_at(const char *file, int line, const char *fmt, ...)
{
    char ts[CLOCK_RFC3339_BYTES];
    char detail[512];
    char text[1024];
    const char *slash = strrchr(file, '/');
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(detail, sizeof(detail), fmt, args);
    va_end(args);
    for (char *c = detail; *c != '\0'; c++) {
        if ((unsigned char)*c < ' ' || *c == '\x7f') {
            *c = ' ';
        } else if (*c == '"' || *c == '\\') {
            *c = '\'';
        }
    }
    clock_format(clock_now_ms(), ts);
    int len = snprintf(text, sizeof(text),
                       "ts=%s level=error event=panic pid=%ld at=%s:%d detail=\"%s\"\n", ts,
                       (long)getpid(), slash != NULL ? slash + 1 : file, line, detail);
    if (len > 0 && write(STDERR_FILENO, text, strnlen(text, sizeof(text))) < 0) {
        /* Nobody is listening; the core says the rest. */
        abort();
    }
    abort();
}
