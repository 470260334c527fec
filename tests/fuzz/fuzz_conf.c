/*
 * fuzz_conf - the parsers of plain text read exactly what their formatters write
 *
 * Whatever is accepted is formatted and must be accepted again with the same value. The text is
 * furthermore set as an environment variable of each type: loading gives a value within
 * the row's bounds or one line that names the variable.
 */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/conf.h"
#include "base/id.h"
#include "base/panic.h"

struct conf {
    const char *text;
    long number;
    long ms;
    bool truth;
};

static const struct conf_item items[] = {
    CONF_STR(struct conf, text, "FUZZ_TEXT", "none", "Any text."),
    CONF_INT(struct conf, number, "FUZZ_NUMBER", "5", -10, 1000, "A number."),
    CONF_MS(struct conf, ms, "FUZZ_MS", "5s", 100, 60000, "A duration."),
    CONF_BOOL(struct conf, truth, "FUZZ_TRUTH", "no", "Yes or no."),
    CONF_END,
};

static void check_numbers(const char *text)
{
    char again[40];
    int64_t value = 0;
    int64_t back = 0;
    long ms = 0;
    long ms_back = 0;

    if (str_parse_int(text, INT64_MIN, INT64_MAX, &value)) {
        (void)snprintf(again, sizeof(again), "%" PRId64, value);
        if (!str_parse_int(again, value, value, &back) || back != value) {
            panic("'%s' is not '%s'", text, again);
        }
    }
    if (conf_parse_ms(text, &ms)) {
        (void)snprintf(again, sizeof(again), "%ldms", ms);
        if (ms < 0 || !conf_parse_ms(again, &ms_back) || ms_back != ms) {
            panic("'%s' is not '%s'", text, again);
        }
    }
}

static void check_time(const char *text, size_t len)
{
    char again[CLOCK_RFC3339_BYTES];
    int64_t ms = 0;
    int64_t back = 0;

    if (clock_parse(text, len, &ms)) {
        clock_format(ms, again);
        if (!clock_parse(again, strlen(again), &back) || back != ms) {
            panic("'%.*s' is not '%s'", (int)len, text, again);
        }
    }
}

static void check_id(const char *text)
{
    char again[ID_TEXT_BYTES];
    int64_t id = 0;
    int64_t back = 0;

    if (id_parse("cmp", text, &id)) {
        id_format("cmp", id, again);
        if (id <= 0 || !id_parse("cmp", again, &back) || back != id || strlen(text) != 17) {
            panic("'%s' is not '%s'", text, again);
        }
    }
}

static void set_all(const char *text)
{
    for (const struct conf_item *item = items; item->type != CONF_TYPE_END; item++) {
        if (setenv(item->env, text, 1) != 0) {
            panic("setenv failed");
        }
    }
}

static void check_settings(const char *text, struct arena *arena)
{
    struct conf conf = { 0 };
    struct str problems = { 0 };
    size_t lines = 0;

    set_all(text);
    bool good = conf_load(items, &conf, arena, &problems);
    for (size_t i = 0; i < problems.len; i++) {
        lines += problems.bytes[i] == '\n' ? 1 : 0;
        if (problems.bytes[i] == '\n' && i + 1 < problems.len &&
            strncmp(problems.bytes + i + 1, "FUZZ_", 5) != 0) {
            panic("a problem is not one line: %s", problems.bytes);
        }
    }
    if (good != (lines == 0) || strcmp(conf.text, text[0] != '\0' ? text : "none") != 0) {
        panic("%zu problems, text '%s'", lines, conf.text);
    }
    if (good && (conf.number < -10 || conf.number > 1000 || conf.ms < 100 || conf.ms > 60000)) {
        panic("out of bounds: %ld %ld", conf.number, conf.ms);
    }
    str_free(&problems);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct arena *arena;

    if (arena == NULL) {
        arena = arena_create((size_t)64 << 20);
    }
    const char *text = arena_strndup(arena, (const char *)data, size);
    check_numbers(text);
    check_time((const char *)data, size); /* not ended by a NUL */
    check_id(text);
    check_settings(text, arena);
    arena_reset(arena);
    return 0;
}
