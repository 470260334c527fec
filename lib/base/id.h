/*
 * id - names for things
 *
 * A row id is 63 bits: 42 bits of milliseconds since 2025-01-01 and 21 random bits. Ids sort by
 * birth, so a table partitioned by id is partitioned by time. Outside the database an id is its
 * kind and 13 Crockford base-32 letters: "cmp_06ETQ5S0K3P1V".
 *
 *     int64_t id = id_create(clock_now_ms());
 *     id_format("cmp", id, text);
 *     if (!id_parse("cmp", text, &id)) ...
 *
 * A message id is 32 hexadecimal digits.
 */
#ifndef BASE_ID_H
#define BASE_ID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ID_TEXT_BYTES 24    /* prefix of up to 6, underscore, 13 letters, NUL */
#define ID_MESSAGE_BYTES 33 /* 32 hex digits and NUL */

int64_t id_create(int64_t now_ms);

/* The smallest id that can have been born at or after ms: a partition or scan bound. */
int64_t id_floor(int64_t ms);
int64_t id_born_ms(int64_t id);

void id_format(const char *kind, int64_t id, char out[ID_TEXT_BYTES]);

/* Exactly the kind, an underscore and 13 letters of a valid id; letters in either case. */
bool id_parse(const char *kind, const char *text, int64_t *out_id);

/* A random message id. */
void id_message(char out[ID_MESSAGE_BYTES]);

/* Fills from the kernel's generator; panics if that fails. */
void id_random(void *out, size_t len);

/* Uniform in [0, below). For jitter and sampling, not for secrets. */
uint32_t id_random_below(uint32_t below);

void id_hex(const void *bytes, size_t len, char *out); /* out holds 2 * len + 1 */

#endif
