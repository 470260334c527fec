/*
 * form - application/x-www-form-urlencoded, both ways
 *
 *     while (form_next(&cursor, &name, &value)) ...     // decodes in place
 *     form_put(&out, "phoneNumber", "+254700000001");   // appends "&phoneNumber=%2B2547..."
 */
#ifndef SIM_FORM_H
#define SIM_FORM_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

struct form {
    char *next; /* unread rest */
    char *end;
};

/* Name and value point into the form and end in NUL; false at its end. form.end must be writable.
 */
bool form_next(struct form *form, char **out_name, char **out_value);

void form_put(struct str *out, const char *name, const char *value);

#endif
