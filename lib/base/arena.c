/*
 * arena - memory that lives as long as a unit of work
 *
 * A list of blocks, the newest first, cut from the front. What is large gets a block of its own
 * in a second list, so that the newest is not abandoned half full. With ARENA_MALLOC everything
 * counts as large. Under AddressSanitizer all that is not handed out is poisoned, and a gap
 * lies behind each allocation.
 */
#include "base/arena.h"

#include <stdalign.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/panic.h"

#if defined(__SANITIZE_ADDRESS__)
#define ARENA_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_ASAN 1
#endif
#endif

#ifdef ARENA_ASAN
#include <sanitizer/asan_interface.h>
#define GAP_BYTES 16
#define TEXT_ALIGN alignof(max_align_t)
#else
#define ASAN_POISON_MEMORY_REGION(addr, size) ((void)(addr), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(addr, size) ((void)(addr), (void)(size))
#define GAP_BYTES 0
#define TEXT_ALIGN 1
#endif

#ifdef ARENA_MALLOC
#define FIRST_BLOCK_BYTES 0
#define LARGE_BYTES 1
#else
#define FIRST_BLOCK_BYTES ((size_t)64 << 10)
#define LARGE_BYTES ((size_t)16 << 10)
#endif
#define MAX_BLOCK_BYTES ((size_t)1 << 20)

struct block {
    struct block *next; /* older */
    size_t size;
    size_t used;
    alignas(max_align_t) char bytes[];
};

struct arena {
    struct block *newest; /* never NULL; the oldest survives a reset */
    struct block *large;
    size_t limit;
    size_t used;
};

static struct block *create_block(size_t size_bytes, struct block *next)
{
    struct block *block = NULL;
    size_t whole;

    if (!__builtin_add_overflow(sizeof(*block), size_bytes, &whole)) {
        block = malloc(whole);
    }
    if (block == NULL) {
        panic("out of memory for an arena block of %zu bytes", size_bytes);
    }
    block->next = next;
    block->size = size_bytes;
    block->used = 0;
    ASAN_POISON_MEMORY_REGION(block->bytes, block->size);
    return block;
}

/* Frees the blocks from the first up to last, which stays and is returned. */
static struct block *destroy_until(struct block *block, const struct block *last)
{
    while (block != last) {
        struct block *next = block->next;
        ASAN_UNPOISON_MEMORY_REGION(block->bytes, block->size);
        free(block);
        block = next;
    }
    return block;
}

struct arena *arena_create(size_t limit_bytes)
{
    struct arena *arena = calloc(1, sizeof(*arena));

    if (arena == NULL) {
        panic("out of memory for an arena");
    }
    arena->limit = limit_bytes;
    arena->newest = create_block(FIRST_BLOCK_BYTES, NULL);
    return arena;
}

void arena_destroy(struct arena *arena)
{
    if (arena == NULL) {
        return;
    }
    arena->newest = destroy_until(arena->newest, NULL);
    arena->large = destroy_until(arena->large, NULL);
    free(arena);
}

/* Where in the block the next allocation starts, or the block's size when it does not fit. */
static size_t find_start(const struct block *block, size_t size_bytes, size_t align)
{
    size_t start = (block->used + align - 1) & ~(align - 1);

    if (start > block->size || block->size - start < size_bytes) {
        return block->size;
    }
    return start;
}

/* Memory that is not cleared yet. */
static char *take(struct arena *arena, size_t size_bytes, size_t align)
{
    if (size_bytes > arena->limit - arena->used) {
        panic("arena limit: %zu bytes asked for, %zu of %zu used", size_bytes, arena->used,
              arena->limit);
    }
    size_t whole = size_bytes + GAP_BYTES;
    struct block *block = arena->newest;
    size_t start = 0;

    if (size_bytes >= LARGE_BYTES) {
        block = create_block(whole, arena->large);
        arena->large = block;
    } else {
        start = find_start(block, whole, align);
        if (start == block->size) {
            size_t size = block->size * 2 < MAX_BLOCK_BYTES ? block->size * 2 : MAX_BLOCK_BYTES;
            block = create_block(size, block);
            arena->newest = block;
            start = 0;
        }
    }
    block->used = start + whole;
    arena->used += size_bytes;
    ASAN_UNPOISON_MEMORY_REGION(block->bytes + start, size_bytes);
    return block->bytes + start;
}

void *arena_alloc(struct arena *arena, size_t size_bytes)
{
    /* Nothing at all still gets an address of its own. */
    size_t size = size_bytes > 0 ? size_bytes : 1;

    return memset(take(arena, size, alignof(max_align_t)), 0, size);
}

void *arena_array(struct arena *arena, size_t count, size_t size_bytes)
{
    size_t whole;

    if (__builtin_mul_overflow(count, size_bytes, &whole)) {
        panic("array of %zu elements of %zu bytes", count, size_bytes);
    }
    return arena_alloc(arena, whole);
}

char *arena_strndup(struct arena *arena, const char *text, size_t len)
{
    size_t size;

    if (__builtin_add_overflow(len, 1, &size)) {
        panic("text of %zu bytes", len);
    }
    char *copy = take(arena, size, TEXT_ALIGN);
    if (len > 0) {
        memcpy(copy, text, len);
    }
    copy[len] = '\0';
    return copy;
}

char *arena_strdup(struct arena *arena, const char *text)
{
    return arena_strndup(arena, text, strlen(text));
}

char *arena_vprintf(struct arena *arena, const char *fmt, va_list args)
{
    va_list again;

    va_copy(again, args);
    int len = vsnprintf(NULL, 0, fmt, args);
    if (len < 0) {
        panic("cannot format '%s'", fmt);
    }
    char *text = take(arena, (size_t)len + 1, TEXT_ALIGN);
    if (vsnprintf(text, (size_t)len + 1, fmt, again) != len) {
        panic("'%s' changed while it was formatted", fmt);
    }
    va_end(again);
    return text;
}

char *arena_printf(struct arena *arena, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    char *text = arena_vprintf(arena, fmt, args);
    va_end(args);
    return text;
}

/* Stale pointers must hurt: in builds without optimisation the old contents go too. */
static void spoil(struct block *block)
{
#ifndef __OPTIMIZE__
    ASAN_UNPOISON_MEMORY_REGION(block->bytes, block->size);
    memset(block->bytes, 0xa5, block->used);
#endif
    ASAN_POISON_MEMORY_REGION(block->bytes, block->size);
}

void arena_reset(struct arena *arena)
{
    struct block *oldest = arena->newest;

    while (oldest->next != NULL) {
        oldest = oldest->next;
    }
    arena->newest = destroy_until(arena->newest, oldest);
    arena->large = destroy_until(arena->large, NULL);
    spoil(oldest);
    oldest->used = 0;
    arena->used = 0;
}

static void wipe(struct block *block)
{
    for (; block != NULL; block = block->next) {
        ASAN_UNPOISON_MEMORY_REGION(block->bytes, block->size);
        explicit_bzero(block->bytes, block->used);
    }
}

void arena_wipe(struct arena *arena)
{
    wipe(arena->newest);
    wipe(arena->large);
    arena_reset(arena);
}

size_t arena_used(const struct arena *arena)
{
    return arena->used;
}
