/*
 * shape_check - show the C tables of the messages to tests that are not written in C
 *
 *     shape_check                           reads lines of "type<TAB>json", answers each with
 *                                           "ok<TAB>json encoded again" or
 * "err<TAB>what<TAB>detail" shape_check describe                  every topic with its fields,
 * routes and lanes, as JSON shape_check definitions PREFIX VHOST  what topic_definitions() makes
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "msg/topic.h"

#define ARENA_BYTES ((size_t)64 << 20)

static const char *type_word(enum field_type type)
{
    static const char *const words[] = {
        [FIELD_TYPE_STR] = "str",     [FIELD_TYPE_INT] = "int",
        [FIELD_TYPE_BOOL] = "bool",   [FIELD_TYPE_TIME] = "time",
        [FIELD_TYPE_ENUM] = "enum",   [FIELD_TYPE_OBJECT] = "object",
        [FIELD_TYPE_LIST] = "list",   [FIELD_TYPE_MAP] = "map",
        [FIELD_TYPE_TABLE] = "table", [FIELD_TYPE_STRINGS] = "strings",
    };
    return words[type];
}

static void put_words(struct str *out, const char *const *words)
{
    const char *before = "[";

    for (; *words != NULL; words++) {
        str_printf(out, "%s\"%s\"", before, *words);
        before = ", ";
    }
    str_putc(out, ']');
}

static void put_fields(struct str *out, const struct shape *shape)
{
    str_putc(out, '[');
    for (const struct field *field = shape->fields; field->type != FIELD_TYPE_END; field++) {
        str_printf(out, "%s\n  {\"name\": \"%s\", \"type\": \"%s\", \"required\": %s",
                   field == shape->fields ? "" : ",", field->name, type_word(field->type),
                   (field->flags & FIELD_OPTIONAL) != 0 ? "false" : "true");
        str_printf(out, ", \"min\": %" PRId64 ", \"max\": %" PRId64 ", \"item_max\": %" PRId64,
                   field->min, field->max, field->item_max);
        if (field->words != NULL) {
            str_puts(out, ", \"words\": ");
            put_words(out, field->words);
        }
        if (field->shape != NULL) {
            str_puts(out, ", \"fields\": ");
            put_fields(out, field->shape);
        }
        str_putc(out, '}');
    }
    str_putc(out, ']');
}

static void put_topic(struct str *out, const struct topic *topic)
{
    str_printf(out, "{\"type\": \"%s\", \"exchange\": \"%s\"", topic->shape->type, topic->exchange);
    if (topic->stage != NULL) {
        str_printf(out, ", \"stage\": \"%s\"", topic->stage);
    }
    if (topic->routes != NULL) {
        str_puts(out, ", \"routes\": ");
        put_words(out, topic->routes);
    }
    str_printf(out, ", \"partner\": %s, \"fields\": ", topic->partner ? "true" : "false");
    put_fields(out, topic->shape);
    str_putc(out, '}');
}

static void describe(struct str *out)
{
    str_puts(out, "{\"routes\": ");
    put_words(out, topic_routes);
    str_puts(out, ", \"lanes\": ");
    put_words(out, lane_words);
    str_puts(out, ", \"topics\": [");
    for (const struct topic *topic = topics; topic->shape != NULL; topic++) {
        str_puts(out, topic == topics ? "\n " : ",\n ");
        put_topic(out, topic);
    }
    str_puts(out, "]}\n");
}

/* Answers one line, which may be written over. */
static void check_line(char *line, size_t len, struct arena *arena, struct str *out)
{
    char *tab = memchr(line, '\t', len);
    struct err err;

    if (tab == NULL) {
        str_puts(out, "err\tbad_line\tno tab\n");
        return;
    }
    *tab = '\0';
    const struct topic *topic = topic_find(line);
    if (topic == NULL) {
        str_puts(out, "err\tbad_line\tno such type\n");
        return;
    }
    void *body = arena_alloc(arena, topic->shape->size);
    const char *json = tab + 1;
    if (!shape_read(topic->shape, json, len - (size_t)(json - line), body, arena, &err)) {
        str_printf(out, "err\t%s\t%s\n", err.what, err.detail);
        return;
    }
    str_puts(out, "ok\t");
    shape_write(topic->shape, body, out);
    str_putc(out, '\n');
}

static void check_lines(struct str *out)
{
    struct arena *arena = arena_create(ARENA_BYTES);
    char *line = NULL;
    size_t size = 0;
    ssize_t len;

    while ((len = getline(&line, &size, stdin)) > 0) {
        if (line[len - 1] == '\n') {
            len--;
        }
        check_line(line, (size_t)len, arena, out);
        arena_reset(arena);
    }
    free(line);
    arena_destroy(arena);
}

int main(int argc, char **argv)
{
    struct str out = { 0 };

    if (argc == 1) {
        check_lines(&out);
    } else if (argc == 2 && strcmp(argv[1], "describe") == 0) {
        describe(&out);
    } else if (argc == 4 && strcmp(argv[1], "definitions") == 0) {
        topic_definitions(argv[2], argv[3], &out);
    } else {
        (void)fputs("usage: shape_check [describe | definitions PREFIX VHOST]\n", stderr);
        return 64;
    }
    bool written = fwrite(out.bytes, 1, out.len, stdout) == out.len && fflush(stdout) == 0;
    str_free(&out);
    return written ? 0 : 1;
}
