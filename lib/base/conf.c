/*
 * conf - settings: the environment and one table
 *
 * An empty variable counts as not set, because that is how an unfilled line of a .env file
 * arrives. A default that its own row does not allow is a mistake in the program: panic.
 */
#include "base/conf.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/panic.h"

#define FILE_MAX_BYTES 65536

/* What became of looking for a variable. */
enum found {
    FOUND_NOTHING,
    FOUND_VALUE,
    FOUND_FAULT, /* *out_value says which, in words */
};

static const char *get_variable(const char *name)
{
    const char *value = getenv(name);

    return value != NULL && value[0] != '\0' ? value : NULL;
}

/* Reads at most size bytes; -1 and errno when that fails. */
static ssize_t read_bytes(const char *path, char *bytes, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t len = 0;
    ssize_t got = 1;

    if (fd < 0) {
        return -1;
    }
    while (len < size && got != 0) {
        got = read(fd, bytes + len, size - len);
        if (got < 0 && errno != EINTR) {
            int saved_errno = errno;
            close(fd);
            errno = saved_errno;
            return -1;
        }
        len += got > 0 ? (size_t)got : 0;
    }
    close(fd);
    return (ssize_t)len;
}

static enum found read_file(const char *path, struct arena *arena, const char **out_value)
{
    char bytes[FILE_MAX_BYTES + 1];
    ssize_t got = read_bytes(path, bytes, sizeof(bytes));
    enum found found = FOUND_FAULT;

    if (got < 0) {
        *out_value = arena_printf(arena, "cannot read %s: %s", path, strerror(errno));
    } else if (got > FILE_MAX_BYTES) {
        *out_value = arena_printf(arena, "%s is larger than %d bytes", path, FILE_MAX_BYTES);
    } else if (memchr(bytes, '\0', (size_t)got) != NULL) {
        *out_value = arena_printf(arena, "%s is not text", path);
    } else {
        size_t len = (size_t)got;
        if (len > 0 && bytes[len - 1] == '\n') {
            len -= len > 1 && bytes[len - 2] == '\r' ? 2 : 1;
        }
        if (len == 0) {
            *out_value = arena_printf(arena, "%s is empty", path);
        } else {
            *out_value = arena_strndup(arena, bytes, len);
            found = FOUND_VALUE;
        }
    }
    explicit_bzero(bytes, sizeof(bytes)); /* most often it was a secret */
    return found;
}

static enum found find_value(const char *name, struct arena *arena, const char **out_value)
{
    const char *value = get_variable(name);
    const char *path = get_variable(arena_printf(arena, "%s_FILE", name));

    if (value != NULL && path != NULL) {
        *out_value = "set, and its _FILE too: only one of them is allowed";
        return FOUND_FAULT;
    }
    if (path != NULL) {
        return read_file(path, arena, out_value);
    }
    if (value != NULL) {
        *out_value = arena_strdup(arena, value);
        return FOUND_VALUE;
    }
    return FOUND_NOTHING;
}

const char *conf_get(const char *name, struct arena *arena)
{
    const char *value = NULL;

    return find_value(name, arena, &value) == FOUND_VALUE ? value : NULL;
}

bool conf_parse_ms(const char *text, long *out_ms)
{
    static const struct {
        const char *name;
        long ms;
    } units[] = { { "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 } };
    size_t digits;
    int64_t count;

    if (text == NULL) {
        return false;
    }
    digits = strspn(text, "0123456789");
    if (!str_parse_int_n(text, digits, 0, LONG_MAX, &count)) {
        return false;
    }
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        long ms;
        if (strcmp(text + digits, units[i].name) == 0 &&
            !__builtin_mul_overflow(count, units[i].ms, &ms)) {
            *out_ms = ms;
            return true;
        }
    }
    return false;
}

static bool parse_bool(const char *text, bool *out_value)
{
    static const char *const words[] = { "false", "true", "no", "yes", "0", "1", "off", "on" };

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(text, words[i]) == 0) {
            *out_value = i % 2 == 1;
            return true;
        }
    }
    return false;
}

/* Stores the value in its member if the row allows it. */
static bool store(const struct conf_item *item, const char *value, void *out)
{
    char *member = (char *)out + item->offset;
    int64_t number = 0;
    long number_long = 0;
    bool truth = false;

    switch (item->type) {
    case CONF_TYPE_STR:
    case CONF_TYPE_SECRET:
        memcpy(member, &value, sizeof(value));
        return true;
    case CONF_TYPE_INT:
        if (!str_parse_int(value, item->min, item->max, &number)) {
            return false;
        }
        number_long = (long)number;
        memcpy(member, &number_long, sizeof(number_long));
        return true;
    case CONF_TYPE_MS:
        if (!conf_parse_ms(value, &number_long) || number_long < item->min ||
            number_long > item->max) {
            return false;
        }
        memcpy(member, &number_long, sizeof(number_long));
        return true;
    case CONF_TYPE_BOOL:
        if (!parse_bool(value, &truth)) {
            return false;
        }
        memcpy(member, &truth, sizeof(truth));
        return true;
    case CONF_TYPE_END:
        break;
    }
    panic("setting '%s' has no type", item->env);
}

/* One line, the value escaped so that it stays one. */
static void add_problem(struct str *problems, const struct conf_item *item, const char *value)
{
    str_printf(problems, "%s: '", item->env);
    for (const char *c = value; *c != '\0'; c++) {
        str_putc(problems, (unsigned char)*c < ' ' || *c == '\x7f' ? '?' : *c);
    }
    str_puts(problems, "' is not allowed: ");
    if (item->type == CONF_TYPE_INT) {
        str_printf(problems, "a whole number from %ld to %ld\n", item->min, item->max);
    } else if (item->type == CONF_TYPE_MS) {
        str_printf(problems, "a time with its unit (ms, s, m, h) from %ldms to %ldms\n", item->min,
                   item->max);
    } else {
        str_puts(problems, "one of true false yes no 1 0 on off\n");
    }
}

static bool load_item(const struct conf_item *item, void *out, struct arena *arena,
                      struct str *problems)
{
    const char *value = NULL;

    switch (find_value(item->env, arena, &value)) {
    case FOUND_VALUE:
        if (!store(item, value, out)) {
            add_problem(problems, item, value);
            return false;
        }
        return true;
    case FOUND_FAULT:
        str_printf(problems, "%s: %s\n", item->env, value);
        return false;
    case FOUND_NOTHING:
        break;
    }
    if (item->fallback == NULL) {
        str_printf(problems, "%s: not set, and there is no default: %s\n", item->env,
                   item->help != NULL ? item->help : "");
        return false;
    }
    if (!store(item, arena_strdup(arena, item->fallback), out)) {
        panic("the default of %s is not allowed: '%s'", item->env, item->fallback);
    }
    return true;
}

bool conf_load(const struct conf_item *items, void *out, struct arena *arena, struct str *problems)
{
    bool good = true;

    for (; items->type != CONF_TYPE_END; items++) {
        good = load_item(items, out, arena, problems) && good;
    }
    return good;
}
