/*
 * eat - East Africa Time as M-Pesa writes it: "20261120134500"
 */
#ifndef SIM_EAT_H
#define SIM_EAT_H

#include <stdbool.h>
#include <stdint.h>

#define EAT_BYTES 15

void eat_format(int64_t wall_ms, char out[EAT_BYTES]);

/* Exactly 14 digits of a time that exists. */
bool eat_parse(const char *text, int64_t *out_wall_ms);

#endif
