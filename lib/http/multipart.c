#include "http/multipart.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define BOUNDARY_MAX 70 /* RFC 2046 */
#define PREAMBLE_MAX 1024

enum state {
    IN_BODY,  /* of a part, or before the first */
    IN_MARK,  /* behind a delimiter */
    IN_DASH,  /* "-" behind it: of the last one */
    IN_CR,    /* the end of its line */
    IN_HEAD,  /* of a part */
    IN_TRAIL, /* behind the last delimiter: ignored */
};

struct http_multipart {
    const struct http_form_events *events;
    void *context;
    struct arena *arena;
    enum state state;
    char mark[4 + BOUNDARY_MAX + 1]; /* CR LF "--" boundary */
    size_t mark_len;
    size_t matched; /* of the mark, at the end of what has come */
    int parts;
    size_t preamble;
    char head[HTTP_PART_HEAD_MAX + 1];
    size_t head_len;
};

static bool fail(struct err *err, const char *why)
{
    return err_permanent(err, "bad_multipart", "the multipart/form-data cannot be read: %s", why);
}

/* --- begin
 * --------------------------------------------------------------------------------------- */

/* What RFC 2046 allows, so never a CR. */
static bool is_boundary(const char *text)
{
    static const char allowed[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "'()+_,-./:=? ";
    size_t len = strspn(text, allowed);

    return len > 0 && len <= BOUNDARY_MAX && text[len] == '\0' && text[len - 1] != ' ';
}

struct http_multipart *http_multipart_begin(const char *content_type,
                                            const struct http_form_events *events, void *context,
                                            struct arena *arena, struct err *err)
{
    const char *boundary = http_header_parameter(content_type, "boundary", arena);

    if (boundary == NULL || !is_boundary(boundary)) {
        (void)fail(err, "its Content-Type has no boundary of 1 to 70 characters; most clients "
                        "make the header themselves if it is not set");
        return NULL;
    }
    struct http_multipart *form = arena_alloc(arena, sizeof(*form));
    *form = (struct http_multipart){
        .events = events,
        .context = context,
        .arena = arena,
        .matched = 2, /* as if a line had ended before the first delimiter */
    };
    form->mark_len = (size_t)snprintf(form->mark, sizeof(form->mark), "\r\n--%s", boundary);
    return form;
}

/* --- a part's head
 * ------------------------------------------------------------------------------- */

/* The value of a line that is this header's, or NULL. */
static const char *header_value(const char *line, const char *name)
{
    size_t len = strlen(name);

    if (strncasecmp(line, name, len) != 0 || line[len] != ':') {
        return NULL;
    }
    return line + len + 1 + strspn(line + len + 1, " \t");
}

static bool is_as_it_is(const char *encoding)
{
    return strcasecmp(encoding, "binary") == 0 || strcasecmp(encoding, "8bit") == 0 ||
           strcasecmp(encoding, "7bit") == 0;
}

static bool read_line(struct http_multipart *form, const char *line, struct http_part *part,
                      struct err *err)
{
    const char *value;

    if (*line == ' ' || *line == '\t' || strchr(line, ':') == NULL) {
        return fail(err, "a line of a part's head is no header");
    }
    if ((value = header_value(line, "Content-Disposition")) != NULL) {
        if (part->name != NULL) {
            return fail(err, "a part has two Content-Disposition headers");
        }
        if (strncasecmp(value, "form-data", 9) != 0 || strchr("; \t", value[9]) == NULL) {
            return fail(err, "a part's Content-Disposition is not form-data");
        }
        part->name = http_header_parameter(value, "name", form->arena);
        part->filename = http_header_parameter(value, "filename", form->arena);
    } else if ((value = header_value(line, "Content-Type")) != NULL) {
        part->type = arena_strdup(form->arena, value);
    } else if ((value = header_value(line, "Content-Transfer-Encoding")) != NULL &&
               !is_as_it_is(value)) {
        return fail(err, "a part has a Content-Transfer-Encoding; send files as they are");
    }
    return true;
}

/* The head is whole: lines that end in CR LF, the last of them empty. */
static bool begin_part(struct http_multipart *form, struct err *err)
{
    struct http_part part = { .type = "" };
    char *line = form->head, *end;

    form->head[form->head_len] = '\0';
    if (strlen(form->head) != form->head_len) {
        return fail(err, "a part's head has a NUL byte");
    }
    while ((end = strstr(line, "\r\n")) != line) {
        *end = '\0';
        if (!read_line(form, line, &part, err)) {
            return false;
        }
        line = end + 2;
    }
    if (part.name == NULL) {
        return fail(err, "a part has no name");
    }
    if (++form->parts > HTTP_PARTS_MAX) {
        return fail(err, "it has more than 16 parts");
    }
    form->state = IN_BODY;
    return form->events->part(form->context, &part, err);
}

/* --- the bytes
 * ----------------------------------------------------------------------------------- */

static bool pass(struct http_multipart *form, const char *bytes, size_t len, struct err *err)
{
    if (form->parts > 0) {
        return form->events->bytes(form->context, bytes, len, err);
    }
    form->preamble += len;
    return form->preamble <= PREAMBLE_MAX ||
           fail(err, "it does not begin with the boundary of its Content-Type");
}

/*
 * Up to the end of a delimiter. Only a delimiter's first byte is a CR, so when one does not go on
 * as it began, all that matched is content, and the next can begin no earlier than here.
 */
static bool scan(struct http_multipart *form, const char *bytes, size_t len, size_t *out_taken,
                 struct err *err)
{
    size_t at = 0;

    while (at < len && form->matched < form->mark_len) {
        size_t count = form->matched;
        if (bytes[at] == form->mark[form->matched]) {
            form->matched++;
            at++;
            continue;
        }
        if (count > 0) {
            form->matched = 0;
            if (!pass(form, form->mark, count, err)) {
                return false;
            }
            continue;
        }
        const char *cr = memchr(bytes + at, '\r', len - at);
        count = cr != NULL ? (size_t)(cr - bytes) - at : len - at;
        if (!pass(form, bytes + at, count, err)) {
            return false;
        }
        at += count;
    }
    if (form->matched == form->mark_len) {
        form->matched = 0;
        form->state = IN_MARK;
    }
    *out_taken = at;
    return true;
}

static bool take_head(struct http_multipart *form, char c, struct err *err)
{
    const char *end = &form->head[form->head_len + 1];

    if (form->head_len == HTTP_PART_HEAD_MAX) {
        return fail(err, "a part's head is longer than 4096 bytes");
    }
    form->head[form->head_len++] = c;
    if (c != '\n' || !((form->head_len == 2 && form->head[0] == '\r') ||
                       (form->head_len >= 4 && memcmp(end - 4, "\r\n\r\n", 4) == 0))) {
        return true;
    }
    return begin_part(form, err);
}

/* One byte of what is not content. */
static bool take(struct http_multipart *form, char c, struct err *err)
{
    switch (form->state) {
    case IN_MARK:
        if (c == '-') {
            form->state = IN_DASH;
        } else if (c == '\r') {
            form->state = IN_CR;
        } else if (c != ' ' && c != '\t') {
            return fail(err, "a delimiter's line does not end behind it");
        }
        return true;
    case IN_DASH:
        form->state = IN_TRAIL;
        return c == '-' || fail(err, "a delimiter's line does not end behind it");
    case IN_CR:
        form->state = IN_HEAD;
        form->head_len = 0;
        return c == '\n' || fail(err, "a delimiter's line does not end in CR LF");
    case IN_HEAD:
        return take_head(form, c, err);
    case IN_BODY:
    case IN_TRAIL:
        break;
    }
    return true;
}

bool http_multipart_add(struct http_multipart *form, const char *bytes, size_t len, struct err *err)
{
    while (len > 0 && form->state != IN_TRAIL) {
        size_t taken = 1;
        if (form->state == IN_BODY ? !scan(form, bytes, len, &taken, err)
                                   : !take(form, *bytes, err)) {
            return false;
        }
        bytes += taken;
        len -= taken;
    }
    return true;
}

bool http_multipart_end(struct http_multipart *form, struct err *err)
{
    return form->state == IN_TRAIL || fail(err, "it ends before its last delimiter");
}
