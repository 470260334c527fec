/*
 * book - every message the simulator accepted, 32 bytes each
 *
 *     index = book_add(&book, (struct entry){ .phone = 254700000001, .hash = hash, ... });
 *     book_id(&book, index, id);                     // "ATXid_..." of that message
 *     for (at = book_last(&book, phone); at != BOOK_NONE; at = book_entry(&book, at)->previous)
 *
 * Also counts duplicates (the same hash accepted again) and keeps the last texts. An index stays
 * valid until book_clear(); ids are never given out twice, not even by another process.
 */
#ifndef SIM_BOOK_H
#define SIM_BOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

#define BOOK_NONE UINT32_MAX
#define BOOK_ID_BYTES 39 /* "ATXid_", 32 hex digits, NUL */

struct entry {
    int64_t phone;
    uint64_t hash;     /* of number, text and sender */
    uint32_t previous; /* message of the same number before this one */
    uint32_t text;     /* number of its text */
    uint32_t at_ms;    /* since the book was cleared */
    uint8_t parts;
    uint8_t fate; /* enum fault */
    uint8_t pad[2];
};

struct phone_slot {
    int64_t phone; /* 0: free */
    uint32_t last; /* its newest message */
    bool opted_out;
};

struct book {
    struct entry *entries;
    uint32_t capacity;
    uint32_t count;
    uint64_t boot;    /* makes ids unlike those of any other run */
    uint64_t cleared; /* entries that earlier clears dropped */
    struct phone_slot *phones;
    size_t phone_slots, phone_used;
    uint64_t *hashes;
    size_t hash_slots, hash_used;
    uint64_t duplicates;
    struct str *texts;
    uint32_t text_slots, text_count;
    int64_t start_ms;
};

void book_init(struct book *book, uint32_t capacity, uint32_t texts, int64_t now_ms);
void book_fini(struct book *book);
void book_clear(struct book *book, int64_t now_ms);
bool book_has_room(const struct book *book, size_t count);

/* Keeps a copy among the last texts and returns its number, for entry.text. */
uint32_t book_add_text(struct book *book, const char *text, size_t len);

/* NULL when it was too long ago. */
const struct str *book_text(const struct book *book, uint32_t text);

/* Fills previous and at_ms itself. Call book_has_room() first. */
uint32_t book_add(struct book *book, struct entry entry, int64_t now_ms);
struct entry *book_entry(const struct book *book, uint32_t index);
uint32_t book_last(const struct book *book, int64_t phone);
void book_id(const struct book *book, uint32_t index, char out[BOOK_ID_BYTES]);

void book_opt_out(struct book *book, int64_t phone);
bool book_is_opted_out(const struct book *book, int64_t phone);

#endif
