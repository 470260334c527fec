#include "http/range.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

#define UNIT "bytes="

/* Digits, at least one; past what a number holds it is the largest. */
static bool read_number(const char **at, int64_t *out)
{
    const char *from = *at;
    int64_t number = 0;

    for (; **at >= '0' && **at <= '9'; ++*at) {
        int digit = **at - '0';
        number = number > (INT64_MAX - digit) / 10 ? INT64_MAX : number * 10 + digit;
    }
    *out = number;
    return *at > from;
}

/* One range to the end of the text: its first byte (-1: a suffix) and its last or its length. */
static bool read_range(const char *text, int64_t *out_first, int64_t *out_last)
{
    bool has_first, has_last;

    if (strncasecmp(text, UNIT, strlen(UNIT)) != 0) {
        return false;
    }
    text += strlen(UNIT);
    text += strspn(text, " \t");
    has_first = read_number(&text, out_first);
    if (*text++ != '-') {
        return false;
    }
    has_last = read_number(&text, out_last);
    text += strspn(text, " \t");
    if (*text != '\0' || (!has_first && !has_last) ||
        (has_first && has_last && *out_last < *out_first)) {
        return false;
    }
    *out_first = has_first ? *out_first : -1;
    *out_last = has_last ? *out_last : INT64_MAX;
    return true;
}

enum http_range http_range_read(const char *range, const char *if_range, const char *etag,
                                int64_t size, int64_t *out_first, int64_t *out_count)
{
    int64_t first, last;

    *out_first = 0;
    *out_count = size;
    if (range == NULL || (if_range != NULL && strcmp(if_range, etag) != 0) ||
        !read_range(range, &first, &last)) {
        return HTTP_RANGE_WHOLE;
    }
    if (first < 0) { /* the last so many */
        *out_count = last < size ? last : size;
        *out_first = size - *out_count;
    } else {
        last = last < size ? last : size - 1;
        *out_first = first;
        *out_count = first < size ? last - first + 1 : 0;
    }
    if (*out_count == 0) {
        *out_first = 0;
        return HTTP_RANGE_NONE;
    }
    return HTTP_RANGE_PART;
}

bool http_etag_listed(const char *list, const char *etag)
{
    const size_t len = strlen(etag);

    if (list == NULL) {
        return false;
    }
    list += strspn(list, " \t");
    if (*list == '*') {
        return list[1 + strspn(list + 1, " \t")] == '\0';
    }
    while (*list != '\0') {
        list += strncmp(list, "W/", 2) == 0 ? 2 : 0; /* compared weakly: RFC 9110, 13.1.2 */
        if (*list != '"') {
            return false;
        }
        if (strncmp(list, etag, len) == 0) {
            return true;
        }
        list += 1 + strcspn(list + 1, "\"");
        list += *list == '"';
        list += strspn(list, " \t,");
    }
    return false;
}
