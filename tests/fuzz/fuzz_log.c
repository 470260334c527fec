/*
 * fuzz_log - whatever a value is, a log line is one line of printable UTF-8 that says it back
 *
 * The line is caught in a memory file that stands in for stderr while it is written, then
 * taken apart again: unescaped, the value must be the input, or its first bytes and dots.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"
#include "base/panic.h"
#include "base/str.h"

#define LINE_MAX_BYTES 4096
#define VALUE_MAX_BYTES 200

static int own_stderr = -1;
static int file = -1;

/* Logs the text as a value; returns the line's length. */
static size_t catch_line(const struct log *log, const char *text, char line[LINE_MAX_BYTES + 1])
{
    if (file < 0) {
        own_stderr = dup(STDERR_FILENO);
        file = memfd_create("line", 0);
    }
    if (own_stderr < 0 || file < 0 || ftruncate(file, 0) != 0 || lseek(file, 0, SEEK_SET) != 0 ||
        dup2(file, STDERR_FILENO) < 0) {
        abort();
    }
    log_info(log, "fuzzed", KV_STR("value", text), KV_INT("end", 7));
    if (dup2(own_stderr, STDERR_FILENO) < 0) {
        abort();
    }
    ssize_t len = pread(file, line, LINE_MAX_BYTES + 1, 0);
    if (len <= 0 || len > LINE_MAX_BYTES) {
        panic("line of %zd bytes", len);
    }
    line[len] = '\0';
    return (size_t)len;
}

static void check_line(const char *line, size_t len)
{
    if (strlen(line) != len || line[len - 1] != '\n' || strncmp(line, "ts=", 3) != 0 ||
        strstr(line, " event=fuzzed value=") == NULL || strstr(line, " end=7\n") == NULL) {
        panic("odd line");
    }
    if (!str_is_utf8(line, len)) {
        panic("line is not UTF-8");
    }
    for (size_t i = 0; i < len - 1; i++) {
        if ((unsigned char)line[i] < ' ' || line[i] == '\x7f') {
            panic("control character %d in the line", line[i]);
        }
    }
}

static uint32_t take_hex(const char **at, int digits)
{
    char text[5] = "";

    memcpy(text, *at, (size_t)digits);
    *at += digits;
    return (uint32_t)strtoul(text, NULL, 16);
}

/* Undoes one escape, whose backslash is passed. */
static void put_unescaped(struct str *out, const char **at)
{
    char kind = *(*at)++;

    if (kind == 'x') {
        str_putc(out, (char)take_hex(at, 2));
    } else if (kind == 'u') {
        uint32_t code = take_hex(at, 4);
        if (code >= 0x800) {
            str_putc(out, (char)(0xe0 | code >> 12));
            str_putc(out, (char)(0x80 | (code >> 6 & 0x3f)));
        } else {
            str_putc(out, (char)(0xc0 | code >> 6));
        }
        str_putc(out, (char)(0x80 | (code & 0x3f)));
    } else {
        str_putc(out, kind == 'n' ? '\n' : kind);
    }
}

static void check_value(const char *line, const char *text)
{
    const char *at = strstr(line, " event=fuzzed value=") + strlen(" event=fuzzed value=");
    size_t len = strlen(text);
    struct str value = { 0 };

    str_append(&value, "", 0);
    if (*at == '"') {
        for (at++; *at != '"';) {
            if (*at == '\\') {
                at++;
                put_unescaped(&value, &at);
            } else {
                str_putc(&value, *at++);
            }
        }
        at++;
    } else {
        size_t plain = strcspn(at, " \n");
        str_append(&value, at, plain);
        at += plain;
    }
    if (strcmp(at, " end=7\n") != 0) {
        panic("the value does not end where it should");
    }
    if (len <= VALUE_MAX_BYTES) {
        if (strcmp(value.bytes, text) != 0) {
            panic("the value changed");
        }
    } else if (value.len < VALUE_MAX_BYTES || value.len > VALUE_MAX_BYTES + 3 ||
               memcmp(value.bytes, text, value.len - 3) != 0 ||
               strcmp(value.bytes + value.len - 3, "...") != 0) {
        panic("the value was cut to %zu bytes", value.len);
    }
    str_free(&value);
}

static void check_mask(const char *text)
{
    char out[LOG_MASK_BYTES];
    size_t len = strlen(text);

    log_mask(text, out);
    size_t shown = len >= 6 ? 3 : 0;
    size_t masked = strlen(out);
    if (masked != (len < LOG_MASK_BYTES - 1 ? len : LOG_MASK_BYTES - 1) ||
        strspn(out, "*") < masked - shown ||
        strcmp(out + masked - shown, text + len - shown) != 0) {
        panic("masked to '%s'", out);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char line[LINE_MAX_BYTES + 2];
    struct log log = { 0 };
    char *text = malloc(size + 1); /* exact, so that a sanitizer sees a read beyond it */

    if (text == NULL) {
        abort();
    }
    if (size > 0) {
        memcpy(text, data, size);
    }
    text[size] = '\0';
    check_line(line, catch_line(NULL, text, line));
    check_value(line, text);
    log_context(&log, "msg", text);
    check_line(line, catch_line(&log, text, line));
    check_mask(text);
    free(text);
    return 0;
}
