/*
 * arena - memory that lives as long as a unit of work
 *
 * One arena per message or request: allocate freely, never free, reset at the end.
 *
 *     struct arena *arena = arena_create(8 << 20);
 *     char *url = arena_printf(arena, "%s/version1/messaging", base);
 *     arena_reset(arena);
 *
 * Memory is zeroed and aligned for anything. Allocation never fails: past the limit, or
 * without memory, the process panics, because the broker still holds the message.
 * An arena belongs to one thread. With -DARENA_MALLOC=ON each allocation is its own malloc.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stdarg.h>
#include <stddef.h>

struct arena;

/* limit_bytes bounds what one unit of work may take. */
struct arena *arena_create(size_t limit_bytes);
void arena_destroy(struct arena *arena); /* accepts NULL */

void *arena_alloc(struct arena *arena, size_t size_bytes)
    __attribute__((returns_nonnull, malloc, alloc_size(2)));

/* count elements of size bytes; panics when the product overflows. */
void *arena_array(struct arena *arena, size_t count, size_t size_bytes)
    __attribute__((returns_nonnull, malloc, alloc_size(2, 3)));

char *arena_strdup(struct arena *arena, const char *text) __attribute__((returns_nonnull));

/* Copies len bytes and adds a NUL. */
char *arena_strndup(struct arena *arena, const char *text, size_t len)
    __attribute__((returns_nonnull));

char *arena_printf(struct arena *arena, const char *fmt, ...)
    __attribute__((format(printf, 2, 3), returns_nonnull));
char *arena_vprintf(struct arena *arena, const char *fmt, va_list args)
    __attribute__((format(printf, 2, 0), returns_nonnull));

/* Forgets everything; keeps a first block for the next unit of work. */
void arena_reset(struct arena *arena);

/* Overwrites, then forgets everything: for arenas that hold secrets. */
void arena_wipe(struct arena *arena);

/* Bytes handed out since the last reset. */
size_t arena_used(const struct arena *arena);

#endif
