/*
 * fields - the members of a request, each as text whether it came as a string or as a number
 *
 *     struct fields fields;
 *     if (!fields_open(&fields, request, arena)) ...        // not a JSON object
 *     phone = field_text(&fields, "PhoneNumber");           // "" when it is missing
 *     fields_close(&fields);
 *
 * The provider takes both forms of every scalar. Texts live in the arena.
 */
#ifndef SIM_FIELDS_H
#define SIM_FIELDS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "engine/request.h"

struct json_t;

struct fields {
    struct json_t *root;
    struct arena *arena;
};

bool fields_open(struct fields *fields, const struct request *request, struct arena *arena)
    __attribute__((warn_unused_result));
void fields_close(struct fields *fields);

/* "" when it is absent, null, or neither a string nor a number. */
const char *field_text(const struct fields *fields, const char *name);

/* A phone number as the provider wants it, 2547... or 2541... and 12 digits; 0 when it is not. */
int64_t field_phone(const char *text);

/* A whole amount of at least 1, without a point; 0 when it is not. */
int64_t field_amount(const char *text);

#define FIELD_URL_BYTES 512

/* http:// or https://, a lower-case host, no blanks, less than FIELD_URL_BYTES. */
bool field_is_url(const char *text);

bool field_is_digits(const char *text, size_t min, size_t max);

/* The standard base64 of a text without NUL, decoded in the arena; NULL when it is not that. */
const char *field_decode(struct arena *arena, const char *base64);

#endif
