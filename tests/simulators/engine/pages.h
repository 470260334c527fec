/*
 * pages - big zeroed memory straight from the kernel
 *
 *     struct entry *entries = pages_map(8000000 * sizeof(*entries));
 *     pages_unmap(entries, 8000000 * sizeof(*entries));
 *
 * Only touched pages cost memory, so a table is reserved at its limit and never copied.
 * Panics when the address space is exhausted.
 */
#ifndef SIM_PAGES_H
#define SIM_PAGES_H

#include <stddef.h>

void *pages_map(size_t size_bytes) __attribute__((returns_nonnull));
void pages_unmap(void *pages, size_t size_bytes);

/* Zeroes the first used_bytes by giving their pages back. */
void pages_clear(void *pages, size_t used_bytes);

#endif
