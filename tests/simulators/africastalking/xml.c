/*
 * xml - our answer to a call: what the callee is to hear and what is asked of them
 */
#include "xml.h"

#include <string.h>

#include "base/str.h"

#define TIMEOUT_DEFAULT_S 30
#define TIMEOUT_MAX_S 3600
#define DIGITS_MAX 32
#define ATTRIBUTES_MAX 8
#define NAME_BYTES 32

struct attribute {
    const char *name;
    const char *value;
};

/* A start tag: <name a="b"> or <name a="b"/>. */
struct tag {
    char name[NAME_BYTES];
    struct attribute attributes[ATTRIBUTES_MAX];
    size_t count;
    bool empty;
};

struct reader {
    const char *at;
    const char *end;
    struct arena *arena;
    const char *problem;
};

static bool complain(struct reader *reader, const char *problem)
{
    if (reader->problem == NULL) {
        reader->problem = problem;
    }
    return false;
}

static bool is_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == ':' || c == '.';
}

static bool looks_at(const struct reader *reader, const char *text)
{
    size_t len = strlen(text);

    return (size_t)(reader->end - reader->at) >= len && memcmp(reader->at, text, len) == 0;
}

static void skip_space(struct reader *reader)
{
    while (reader->at < reader->end && strchr(" \t\r\n", *reader->at) != NULL &&
           *reader->at != '\0') {
        reader->at++;
    }
}

/* White space, declarations and comments. */
static bool skip_between(struct reader *reader)
{
    for (;;) {
        const char *close = "-->";
        const char *found;

        skip_space(reader);
        if (looks_at(reader, "<?")) {
            close = "?>";
        } else if (!looks_at(reader, "<!--")) {
            return true;
        }
        found = memmem(reader->at, (size_t)(reader->end - reader->at), close, strlen(close));
        if (found == NULL) {
            return complain(reader, "a declaration or comment has no end");
        }
        reader->at = found + strlen(close);
    }
}

/* "&amp;" and the like at *at; the character's bytes go to out. */
static bool take_entity(struct reader *reader, const char **at, const char *end, struct str *out)
{
    static const struct {
        const char *name;
        char c;
    } entities[] = {
        { "amp", '&' }, { "lt", '<' }, { "gt", '>' }, { "quot", '"' }, { "apos", '\'' },
    };
    const char *semicolon = memchr(*at, ';', (size_t)(end - *at));
    size_t len = semicolon == NULL ? 0 : (size_t)(semicolon - *at) - 1;

    if (semicolon == NULL || len == 0 || len > 8) {
        return complain(reader, "a raw & in a text");
    }
    if ((*at)[1] == '#') {
        str_putc(out, '?'); /* the character itself does not matter here */
        *at = semicolon + 1;
        return true;
    }
    for (size_t i = 0; i < sizeof(entities) / sizeof(entities[0]); i++) {
        if (strlen(entities[i].name) == len && memcmp(*at + 1, entities[i].name, len) == 0) {
            str_putc(out, entities[i].c);
            *at = semicolon + 1;
            return true;
        }
    }
    return complain(reader, "an entity that XML does not have");
}

/* The text [from, end) without its entities. */
static bool decode(struct reader *reader, const char *from, const char *end, const char **out_text)
{
    struct str text = { 0 };
    bool ok = true;

    while (ok && from < end) {
        if (*from == '&') {
            ok = take_entity(reader, &from, end, &text);
        } else if (*from == '<') {
            ok = complain(reader, "a raw < in a text");
        } else {
            str_putc(&text, *from++);
        }
    }
    *out_text = arena_strndup(reader->arena, text.bytes == NULL ? "" : text.bytes, text.len);
    str_free(&text);
    return ok;
}

static bool take_name(struct reader *reader, char out[NAME_BYTES])
{
    size_t len = 0;

    while (reader->at < reader->end && is_name(*reader->at) && len < NAME_BYTES - 1) {
        out[len++] = *reader->at++;
    }
    out[len] = '\0';
    return len > 0 || complain(reader, "a name was expected");
}

static bool take_attribute(struct reader *reader, struct attribute *attribute)
{
    char name[NAME_BYTES];
    const char *close;

    if (!take_name(reader, name)) {
        return false;
    }
    skip_space(reader);
    if (!looks_at(reader, "=")) {
        return complain(reader, "an attribute has no value");
    }
    reader->at++;
    skip_space(reader);
    if (!looks_at(reader, "\"") && !looks_at(reader, "'")) {
        return complain(reader, "an attribute's value has no quotes");
    }
    close = memchr(reader->at + 1, *reader->at, (size_t)(reader->end - reader->at - 1));
    if (close == NULL) {
        return complain(reader, "an attribute's value has no end");
    }
    attribute->name = arena_strdup(reader->arena, name);
    if (!decode(reader, reader->at + 1, close, &attribute->value)) {
        return false;
    }
    reader->at = close + 1;
    return true;
}

static bool take_tag(struct reader *reader, struct tag *tag)
{
    *tag = (struct tag){ 0 };
    if (!looks_at(reader, "<")) {
        return complain(reader, reader->at < reader->end ? "text where an element was expected"
                                                         : "the document ends too early");
    }
    reader->at++;
    if (!take_name(reader, tag->name)) {
        return false;
    }
    for (;;) {
        skip_space(reader);
        if (looks_at(reader, "/>")) {
            tag->empty = true;
            reader->at += 2;
            return true;
        }
        if (looks_at(reader, ">")) {
            reader->at++;
            return true;
        }
        if (tag->count == ATTRIBUTES_MAX) {
            return complain(reader, "too many attributes");
        }
        if (!take_attribute(reader, &tag->attributes[tag->count])) {
            return false;
        }
        tag->count++;
    }
}

static bool take_close(struct reader *reader, const char *name)
{
    char got[NAME_BYTES];

    if (!looks_at(reader, "</")) {
        return complain(reader, "an element is not closed");
    }
    reader->at += 2;
    if (!take_name(reader, got)) {
        return false;
    }
    skip_space(reader);
    if (strcmp(got, name) != 0 || !looks_at(reader, ">")) {
        return complain(reader, "an element is closed by another's name");
    }
    reader->at++;
    return true;
}

static const char *attribute_of(const struct tag *tag, const char *name)
{
    for (size_t i = 0; i < tag->count; i++) {
        if (strcmp(tag->attributes[i].name, name) == 0) {
            return tag->attributes[i].value;
        }
    }
    return NULL;
}

/* The text of an element up to its end tag. */
static bool take_text(struct reader *reader, const struct tag *tag, const char **out_text)
{
    const char *from = reader->at;
    const char *open;

    *out_text = "";
    if (tag->empty) {
        return true;
    }
    open = memchr(from, '<', (size_t)(reader->end - from));
    if (open == NULL) {
        return complain(reader, "an element is not closed");
    }
    reader->at = open;
    return decode(reader, from, open, out_text) && take_close(reader, tag->name);
}

/* Not the second byte of one, or a later one. */
static bool is_char(char byte)
{
    return ((unsigned char)byte & 0xc0) != 0x80;
}

/* SSML: the characters outside its tags are what is spoken. */
static bool take_speech(struct reader *reader, size_t *out_chars)
{
    const char *from = reader->at;
    const char *close = memmem(from, (size_t)(reader->end - from), "</speak>", strlen("</speak>"));
    bool in_tag = false;

    if (close == NULL) {
        return complain(reader, "speak is not closed");
    }
    for (const char *at = from; at < close; at++) {
        in_tag = *at == '<' || (in_tag && *at != '>');
        *out_chars += !in_tag && *at != '>' && is_char(*at);
    }
    reader->at = close + strlen("</speak>");
    skip_space(reader);
    return take_close(reader, "Say");
}

static bool take_say(struct reader *reader, const struct tag *tag, size_t *out_chars)
{
    const char *text;

    *out_chars = 0;
    if (!tag->empty && looks_at(reader, "<speak")) {
        return take_speech(reader, out_chars);
    }
    if (!take_text(reader, tag, &text)) {
        return false;
    }
    for (; *text != '\0'; text++) {
        *out_chars += is_char(*text);
    }
    return *out_chars > 0 || complain(reader, "Say has no text");
}

static bool take_play(struct reader *reader, const struct tag *tag, const char **out_url)
{
    const char *text;

    *out_url = attribute_of(tag, "url");
    if (*out_url == NULL || strncmp(*out_url, "http", 4) != 0) {
        return complain(reader, "Play has no url that begins with http");
    }
    return take_text(reader, tag, &text) &&
           (strspn(text, " \t\r\n") == strlen(text) || complain(reader, "Play has a text"));
}

/* A number in an attribute; the fallback when it is not there. */
static bool read_number(struct reader *reader, const struct tag *tag, const char *name, long max,
                        long *in_out)
{
    const char *text = attribute_of(tag, name);
    int64_t value;

    if (text == NULL) {
        return true;
    }
    if (!str_parse_int(text, 1, max, &value)) {
        return complain(reader, "GetDigits has a number out of range");
    }
    *in_out = (long)value;
    return true;
}

static bool take_get_digits(struct reader *reader, const struct tag *tag, struct element *element)
{
    struct tag child;

    element->timeout_s = TIMEOUT_DEFAULT_S;
    element->callback_url = attribute_of(tag, "callbackUrl");
    if (!read_number(reader, tag, "timeout", TIMEOUT_MAX_S, &element->timeout_s) ||
        !read_number(reader, tag, "numDigits", DIGITS_MAX, &element->num_digits)) {
        return false;
    }
    if (tag->empty) {
        return complain(reader, "GetDigits has no Say or Play");
    }
    if (!skip_between(reader) || !take_tag(reader, &child)) {
        return false;
    }
    if (strcmp(child.name, "Say") == 0) {
        element->prompt = ELEMENT_SAY;
        if (!take_say(reader, &child, &element->chars)) {
            return false;
        }
    } else if (strcmp(child.name, "Play") == 0) {
        element->prompt = ELEMENT_PLAY;
        if (!take_play(reader, &child, &element->url)) {
            return false;
        }
    } else {
        return complain(reader, "GetDigits has another child than Say or Play");
    }
    return skip_between(reader) &&
           (looks_at(reader, "</") || complain(reader, "GetDigits has more than one child")) &&
           take_close(reader, "GetDigits");
}

static bool take_element(struct reader *reader, struct element *element)
{
    struct tag tag;

    *element = (struct element){ 0 };
    if (!take_tag(reader, &tag)) {
        return false;
    }
    if (strcmp(tag.name, "Say") == 0) {
        element->kind = ELEMENT_SAY;
        return take_say(reader, &tag, &element->chars);
    }
    if (strcmp(tag.name, "Play") == 0) {
        element->kind = ELEMENT_PLAY;
        return take_play(reader, &tag, &element->url);
    }
    if (strcmp(tag.name, "GetDigits") == 0) {
        element->kind = ELEMENT_GET_DIGITS;
        return take_get_digits(reader, &tag, element);
    }
    if (strcmp(tag.name, "Redirect") == 0) {
        element->kind = ELEMENT_REDIRECT;
        return take_text(reader, &tag, &element->url) &&
               (strncmp(element->url, "http", 4) == 0 || complain(reader, "Redirect has no URL"));
    }
    return complain(reader, "an element that is not known or not done here");
}

static bool read_all(struct reader *reader, struct script *script)
{
    struct tag root;

    if (looks_at(reader, "\xef\xbb\xbf")) {
        reader->at += 3;
    }
    if (!skip_between(reader) || !take_tag(reader, &root)) {
        return false;
    }
    if (strcmp(root.name, "Response") != 0) {
        return complain(reader, "the root is not Response");
    }
    while (!root.empty) {
        if (!skip_between(reader)) {
            return false;
        }
        if (looks_at(reader, "</")) {
            root.empty = true;
            if (!take_close(reader, "Response")) {
                return false;
            }
        } else if (script->count == XML_ELEMENTS_MAX) {
            return complain(reader, "too many elements");
        } else if (take_element(reader, &script->elements[script->count])) {
            script->count++;
        } else {
            return false;
        }
    }
    return skip_between(reader) &&
           (reader->at == reader->end || complain(reader, "something follows the root"));
}

bool xml_read(const char *bytes, size_t len, struct arena *arena, struct script *out_script,
              const char **out_problem)
{
    struct reader reader = { .at = bytes, .end = bytes + len, .arena = arena };
    bool ok;

    out_script->count = 0;
    if (!str_is_utf8(bytes, len)) {
        *out_problem = "not UTF-8";
        return false;
    }
    ok = read_all(&reader, out_script);
    *out_problem = reader.problem;
    return ok;
}
