/*
 * quote - text as a JSON string, with its quotes
 */
#ifndef SIM_QUOTE_H
#define SIM_QUOTE_H

#include <stddef.h>

#include "base/str.h"

void quote_json(struct str *out, const char *text, size_t len);

#endif
