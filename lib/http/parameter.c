/*
 * parameter - what stands behind the semicolons of a header's value (RFC 2045, RFC 8187)
 */
#include <string.h>
#include <strings.h>

#include "base/str.h"
#include "http/multipart.h"

#define EXTENDED "UTF-8''"

struct parameter {
    const char *name, *value;
    size_t name_len, value_len;
    bool quoted;
};

/* The next one, behind a semicolon outside of quotes. */
static bool next_parameter(const char **at, struct parameter *out)
{
    const char *from = *at + strcspn(*at, ";");

    if (*from == '\0') {
        return false;
    }
    from++;
    from += strspn(from, " \t");
    out->name = from;
    out->name_len = strcspn(from, "=; \t");
    from += out->name_len;
    out->quoted = from[0] == '=' && from[1] == '"';
    if (*from != '=') { /* a word without a value */
        out->value = from;
        out->value_len = 0;
    } else if (!out->quoted) {
        out->value = from + 1;
        out->value_len = strcspn(out->value, "; \t");
    } else {
        out->value = from + 2;
        out->value_len = 0;
        while (out->value[out->value_len] != '\0' && out->value[out->value_len] != '"') {
            const char *c = &out->value[out->value_len];
            out->value_len += c[0] == '\\' && (c[1] == '"' || c[1] == '\\') ? 2 : 1;
        }
    }
    *at = out->value + out->value_len;
    return true;
}

/* A backslash that quotes nothing is itself: some clients send whole Windows paths. */
static const char *unquote(const struct parameter *parameter, struct arena *arena)
{
    char *text = arena_strndup(arena, parameter->value, parameter->value_len);
    char *to = text;

    if (!parameter->quoted) {
        return text;
    }
    for (const char *from = text; *from != '\0'; from++) {
        from += from[0] == '\\' && (from[1] == '"' || from[1] == '\\');
        *to++ = *from;
    }
    *to = '\0';
    return text;
}

static int hex_digit(char c)
{
    const char *digits = "0123456789abcdef",
               *found = strchr(digits, c >= 'A' && c <= 'F' ? c + 32 : c);

    return c != '\0' && found != NULL ? (int)(found - digits) : -1;
}

/* UTF-8''na%C3%AFve.wav; NULL when it is not that. */
static const char *decode(const struct parameter *parameter, struct arena *arena)
{
    char *text = arena_strndup(arena, parameter->value, parameter->value_len);
    char *to = text;

    if (parameter->quoted || strncasecmp(text, EXTENDED, strlen(EXTENDED)) != 0) {
        return NULL;
    }
    for (const char *from = text + strlen(EXTENDED); *from != '\0'; from++) {
        if (*from != '%') {
            *to++ = *from;
            continue;
        }
        int high = hex_digit(from[1]), low = high < 0 ? -1 : hex_digit(from[2]);
        if (low < 0 || (high == 0 && low == 0)) {
            return NULL;
        }
        *to++ = (char)(high << 4 | low);
        from += 2;
    }
    *to = '\0';
    return str_is_utf8(text, (size_t)(to - text)) ? text : NULL;
}

const char *http_header_parameter(const char *value, const char *name, struct arena *arena)
{
    const size_t len = strlen(name);
    const char *plain = NULL, *extended = NULL;
    struct parameter parameter;

    while (next_parameter(&value, &parameter)) {
        if (parameter.name_len < len || strncasecmp(parameter.name, name, len) != 0) {
            continue;
        }
        if (parameter.name_len == len && plain == NULL && parameter.name[len] == '=') {
            plain = unquote(&parameter, arena);
        } else if (parameter.name_len == len + 1 && parameter.name[len] == '*' &&
                   extended == NULL) {
            extended = decode(&parameter, arena);
        }
    }
    return extended != NULL ? extended : plain;
}
