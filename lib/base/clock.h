/*
 * clock - the only place that asks what time it is
 *
 *     int64_t now = clock_now_ms();          // wall clock, milliseconds since 1970, UTC
 *     int64_t start = clock_mono_us();       // for measuring and pacing
 *
 * Tests shift the wall clock with clock_set_offset_ms().
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int64_t clock_now_ms(void);
int64_t clock_mono_ms(void);
int64_t clock_mono_us(void);
void clock_set_offset_ms(int64_t offset_ms);

/* Sleeps; returns early when a signal arrives. */
void clock_sleep_ms(int64_t ms);

/* "2026-11-20T09:12:44.031Z" and a NUL: 25 bytes. */
#define CLOCK_RFC3339_BYTES 25
void clock_format(int64_t ms, char out[CLOCK_RFC3339_BYTES]);

/* RFC 3339 with Z or an offset, fraction optional; false when it is not one. */
bool clock_parse(const char *text, size_t len, int64_t *out_ms);

#endif
