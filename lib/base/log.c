/*
 * log - one logfmt line per outcome, on stderr
 *
 * A line is built on the stack and is at most PIPE_BUF bytes, because only then does a pipe keep
 * it whole when several processes write. Pairs that do not fit are left out, and the line ends
 * with cut= and their number.
 */
#include "base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/panic.h"
#include "base/str.h"

#define VALUE_MAX_BYTES 200
#define LINE_MAX_BYTES PIPE_BUF
#define CUT_BYTES 16 /* " cut=" and a number and the newline */
#define MASK_TAIL 3
#define MASK_TAIL_FROM 6 /* shorter text would lose half of itself or less, so all of it goes */

static const char *const level_names[] = { "error", "warn", "info", "debug" };
static _Atomic int max_level = LOG_INFO;

struct line {
    char bytes[LINE_MAX_BYTES];
    size_t len;
    int left_out;
};

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&max_level, (int)level, memory_order_relaxed);
}

bool log_parse_level(const char *name, enum log_level *out_level)
{
    for (int i = LOG_ERROR; i <= LOG_DEBUG; i++) {
        if (name != NULL && strcmp(name, level_names[i]) == 0) {
            *out_level = (enum log_level)i;
            return true;
        }
    }
    return false;
}

bool log_enabled(enum log_level level)
{
    return (int)level <= atomic_load_explicit(&max_level, memory_order_relaxed);
}

void log_context(struct log *log, const char *key, const char *value)
{
    size_t at = 0;

    while (at < LOG_CONTEXT_MAX && log->context[at].key != NULL &&
           strcmp(log->context[at].key, key) != 0) {
        at++;
    }
    if (at == LOG_CONTEXT_MAX) {
        panic("more than %d log context pairs: '%s'", LOG_CONTEXT_MAX, key);
    }
    if (value == NULL || value[0] == '\0') {
        /* The others keep their order. */
        memmove(&log->context[at], &log->context[at + 1],
                (LOG_CONTEXT_MAX - at - 1) * sizeof(log->context[0]));
        memset(&log->context[LOG_CONTEXT_MAX - 1], 0, sizeof(log->context[0]));
        return;
    }
    size_t len = strnlen(value, LOG_CONTEXT_BYTES - 1);
    log->context[at].key = key;
    memcpy(log->context[at].value, value, len);
    log->context[at].value[len] = '\0';
}

/* Characters that would break a line or fool the eye: C1, line separators, direction marks. */
static bool is_deceptive(uint32_t code)
{
    return (code >= 0x80 && code <= 0x9f) || (code >= 0x200b && code <= 0x200f) ||
           (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069) ||
           code == 0xfeff;
}

static uint32_t decode(const char *at, size_t size)
{
    static const unsigned char lead_bits[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
    uint32_t code = (unsigned char)at[0] & lead_bits[size];

    for (size_t i = 1; i < size; i++) {
        code = code << 6 | ((unsigned char)at[i] & 0x3f);
    }
    return code;
}

/* Appends what fits below the line's end and remembers in *full what did not. */
static void put(struct line *line, const char *bytes, size_t len, bool *full)
{
    if (*full || len > sizeof(line->bytes) - CUT_BYTES - line->len) {
        *full = true;
        return;
    }
    memcpy(line->bytes + line->len, bytes, len);
    line->len += len;
}

/* Appends the character that the left bytes begin with; returns how many of them it took. */
static size_t put_character(struct line *line, const char *at, size_t left, bool *full)
{
    size_t size = str_utf8_char(at, left);
    unsigned char c = (unsigned char)*at;
    char escape[8];
    int len = 0;

    if (size == 0) {
        len = snprintf(escape, sizeof(escape), "\\x%02x", c);
        size = 1;
    } else if (c == '"' || c == '\\') {
        len = snprintf(escape, sizeof(escape), "\\%c", c);
    } else if (c == '\n') {
        len = snprintf(escape, sizeof(escape), "\\n");
    } else if (c < ' ' || c == 0x7f) {
        len = snprintf(escape, sizeof(escape), "\\x%02x", c);
    } else if (size > 1 && is_deceptive(decode(at, size))) {
        len = snprintf(escape, sizeof(escape), "\\u%04x", (unsigned)decode(at, size));
    }
    if (len > 0) {
        put(line, escape, (size_t)len, full);
    } else {
        put(line, at, size, full);
    }
    return size;
}

static bool is_plain(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c <= ' ' || c >= 0x7f || c == '"' || c == '=' || c == '\\') {
            return false;
        }
    }
    return true;
}

static void put_value(struct line *line, const char *text, bool *full)
{
    size_t len = strnlen(text, VALUE_MAX_BYTES + 1);
    size_t limit = len <= VALUE_MAX_BYTES ? len : VALUE_MAX_BYTES;
    size_t at = 0;

    if (len == limit && is_plain(text, len)) {
        put(line, text, len, full);
        return;
    }
    put(line, "\"", 1, full);
    while (at < limit) {
        /* What lies at the cut is looked at whole, and left out when it reaches beyond. */
        size_t left = strnlen(text + at, 4);
        if (at + str_utf8_char(text + at, left) > limit) {
            break;
        }
        at += put_character(line, text + at, left, full);
    }
    if (len > limit) {
        put(line, "...", 3, full);
    }
    put(line, "\"", 1, full);
}

/* A pair is written whole or not at all. */
static void put_pair(struct line *line, const char *key, const char *value)
{
    size_t start = line->len;
    bool full = false;

    if (start > 0) {
        put(line, " ", 1, &full);
    }
    put(line, key, strlen(key), &full);
    put(line, "=", 1, &full);
    if (value != NULL) {
        put_value(line, value, &full);
    }
    if (full) {
        line->len = start;
        line->left_out++;
    }
}

static void write_line(const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t done = write(STDERR_FILENO, bytes, len);
        if (done < 0 && errno != EINTR) {
            return; /* nowhere left to say so */
        }
        if (done > 0) {
            bytes += done;
            len -= (size_t)done;
        }
    }
}

void log_write(const struct log *log, enum log_level level, const char *event, const struct kv *kv)
{
    struct line line; /* not cleared: 4 KiB that are written before they are read */
    char text[CLOCK_RFC3339_BYTES];
    int saved_errno = errno;

    if (!log_enabled(level)) {
        return;
    }
    line.len = 0;
    line.left_out = 0;
    clock_format(clock_now_ms(), text);
    put_pair(&line, "ts", text);
    put_pair(&line, "level", level_names[level]);
    for (size_t i = 0; log != NULL && i < LOG_CONTEXT_MAX && log->context[i].key != NULL; i++) {
        put_pair(&line, log->context[i].key, log->context[i].value);
    }
    put_pair(&line, "event", event);
    for (; kv != NULL && kv->type != KV_END; kv++) {
        if (kv->type == KV_TYPE_INT) {
            (void)snprintf(text, sizeof(text), "%" PRId64, kv->num);
        }
        put_pair(&line, kv->key, kv->type == KV_TYPE_INT ? text : kv->str);
    }
    if (line.left_out > 0) {
        line.len += (size_t)snprintf(line.bytes + line.len, CUT_BYTES, " cut=%d", line.left_out);
    }
    line.bytes[line.len++] = '\n';
    write_line(line.bytes, line.len);
    errno = saved_errno;
}

const char *log_mask(const char *text, char out[LOG_MASK_BYTES])
{
    size_t len = text != NULL ? strlen(text) : 0;
    size_t tail = len >= MASK_TAIL_FROM ? MASK_TAIL : 0;
    size_t stars = len - tail;

    if (stars > LOG_MASK_BYTES - 1 - tail) {
        stars = LOG_MASK_BYTES - 1 - tail;
    }
    memset(out, '*', stars);
    if (tail > 0) {
        memcpy(out + stars, text + len - tail, tail);
    }
    out[stars + tail] = '\0';
    return out;
}
