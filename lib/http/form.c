/*
 * form - application/x-www-form-urlencoded, both ways
 *
 * Reading is on the path of every provider callback, so it is one pass over the body and one
 * allocation: the decoded text is never longer than the encoded one, and each '=' and '&' leaves
 * its place to a NUL.
 */
#include <string.h>

#include "base/str.h"
#include "http/http.h"

static bool is_unreserved(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

static void encode(struct str *out, const char *bytes, size_t len)
{
    static const char digits[] = "0123456789ABCDEF";
    char *to = str_room(out, 3 * len);
    const char *start = to;

    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)bytes[i];
        if (is_unreserved(c)) {
            *to++ = (char)c;
        } else if (c == ' ') {
            *to++ = '+';
        } else {
            *to++ = '%';
            *to++ = digits[c >> 4];
            *to++ = digits[c & 15];
        }
    }
    *to = '\0';
    out->len += (size_t)(to - start);
}

void http_form_add(struct str *out, const char *key, const char *value, size_t value_len)
{
    if (out->len > 0) {
        str_putc(out, '&');
    }
    encode(out, key, strlen(key));
    str_putc(out, '=');
    encode(out, value, value_len);
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    if (c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }
    return -1;
}

/* Decodes until stop1, stop2 or the end; returns where it stopped, or NULL for what is not text. */
static const char *decode(const char *from, const char *end, char stop1, char stop2, char **out)
{
    char *to = *out;

    for (; from < end; from++) {
        char c = *from;
        if (c == stop1 || c == stop2) {
            break;
        }
        if (c == '+') {
            c = ' ';
        } else if (c == '%') {
            if (end - from < 3) {
                return NULL;
            }
            int high = hex_value(from[1]);
            int low = hex_value(from[2]);
            if (high < 0 || low < 0) {
                return NULL;
            }
            c = (char)(high << 4 | low);
            from += 2;
        }
        if (c == '\0') {
            return NULL;
        }
        *to++ = c;
    }
    *to = '\0';
    *out = to;
    return from;
}

int http_form_read(const char *body, size_t len, struct http_pair *out_pairs, int max,
                   struct arena *arena, struct err *err)
{
    const char *from = body;
    const char *end = body + len;
    int count = 0;

    if (len == 0) {
        return 0;
    }
    char *to = arena_alloc(arena, len + 1);
    while (from < end) {
        if (*from == '&') {
            from++;
            continue;
        }
        if (count == max) {
            err_permanent(err, "bad_form", "more than %d fields", max);
            return -1;
        }
        struct http_pair *pair = &out_pairs[count++];
        pair->key = to;
        from = decode(from, end, '=', '&', &to);
        pair->value = to; /* the key's NUL: an empty value unless there is one */
        if (from != NULL && from < end && *from == '=') {
            pair->value = ++to;
            from = decode(from + 1, end, '&', '&', &to);
        }
        if (from == NULL) {
            err_permanent(err, "bad_form", "field %d has a NUL or a bad percent escape", count);
            return -1;
        }
        to++;
    }
    return count;
}

const char *http_form_find(const struct http_pair *pairs, int count, const char *key)
{
    for (int i = 0; i < count; i++) {
        if (strcmp(pairs[i].key, key) == 0) {
            return pairs[i].value;
        }
    }
    return NULL;
}
