/*
 * fields - the members of a request, each as text whether it came as a string or as a number
 */
#include "fields.h"

#include <ctype.h>
#include <jansson.h>
#include <string.h>

#include "base/str.h"

#define AMOUNT_MAX 1000000000000

bool fields_open(struct fields *fields, const struct request *request, struct arena *arena)
{
    json_t *root = json_loadb(request->body, request->body_len, 0, NULL);

    if (!json_is_object(root)) {
        json_decref(root);
        return false;
    }
    *fields = (struct fields){ .root = root, .arena = arena };
    return true;
}

void fields_close(struct fields *fields)
{
    json_decref(fields->root);
    fields->root = NULL;
}

const char *field_text(const struct fields *fields, const char *name)
{
    const json_t *value = json_object_get(fields->root, name);

    if (json_is_string(value)) {
        return arena_strdup(fields->arena, json_string_value(value));
    }
    if (json_is_integer(value)) {
        return arena_printf(fields->arena, "%lld", (long long)json_integer_value(value));
    }
    if (json_is_real(value)) {
        return arena_printf(fields->arena, "%#g", json_real_value(value));
    }
    return "";
}

int64_t field_phone(const char *text)
{
    int64_t phone;

    if (strlen(text) != 12 || strncmp(text, "254", 3) != 0 || (text[3] != '7' && text[3] != '1') ||
        !field_is_digits(text, 12, 12) || !str_parse_int(text, 1, INT64_MAX, &phone)) {
        return 0;
    }
    return phone;
}

int64_t field_amount(const char *text)
{
    int64_t amount;

    return field_is_digits(text, 1, 12) && str_parse_int(text, 1, AMOUNT_MAX, &amount) ? amount : 0;
}

bool field_is_url(const char *text)
{
    size_t scheme = strncmp(text, "http://", 7) == 0 ? 7 : 8;
    size_t host;

    if (scheme == 8 && strncmp(text, "https://", 8) != 0) {
        return false;
    }
    host = strcspn(text + scheme, "/");
    for (const char *at = text + scheme; *at != '\0'; at++) {
        if ((unsigned char)*at <= ' ' || *at == 0x7F ||
            ((size_t)(at - text) < scheme + host && isupper((unsigned char)*at))) {
            return false;
        }
    }
    return host > 0 && strlen(text) < FIELD_URL_BYTES;
}

bool field_is_digits(const char *text, size_t min, size_t max)
{
    size_t len = strspn(text, "0123456789");

    return text[len] == '\0' && len >= min && len <= max;
}

static int sextet(char c)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c == '\0' ? NULL : strchr(alphabet, c);

    return at == NULL ? -1 : (int)(at - alphabet);
}

/* Written without the product's own base64, so that the two check each other. */
const char *field_decode(struct arena *arena, const char *base64)
{
    size_t len = strlen(base64);
    char *text = arena_alloc(arena, len + 1);
    unsigned bits = 0;
    int have = 0;
    size_t out = 0;
    size_t padding = 0;

    while (len > 0 && padding < 2 && base64[len - 1] == '=') {
        len--;
        padding++;
    }
    if ((len + padding) % 4 != 0) {
        return NULL;
    }
    for (size_t i = 0; i < len; i++) {
        int six = sextet(base64[i]);

        if (six < 0) {
            return NULL;
        }
        bits = bits << 6 | (unsigned)six;
        have += 6;
        if (have >= 8) {
            have -= 8;
            text[out] = (char)(bits >> have & 0xFF);
            if (text[out++] == '\0') {
                return NULL;
            }
        }
    }
    return text;
}
