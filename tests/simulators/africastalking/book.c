/*
 * book - every message the simulator accepted, 32 bytes each
 */
#include "book.h"

#include <string.h>

#include "base/clock.h"
#include "base/id.h"
#include "base/panic.h"
#include "engine/faults.h"
#include "engine/pages.h"

#define FIRST_SLOTS ((size_t)1 << 16)

_Static_assert(sizeof(struct entry) == 32, "a million messages must stay small");

void book_init(struct book *book, uint32_t capacity, uint32_t texts, int64_t now_ms)
{
    *book = (struct book){
        .entries = pages_map(capacity * sizeof(struct entry)),
        .capacity = capacity,
        .phones = pages_map(FIRST_SLOTS * sizeof(struct phone_slot)),
        .phone_slots = FIRST_SLOTS,
        .hashes = pages_map(FIRST_SLOTS * sizeof(uint64_t)),
        .hash_slots = FIRST_SLOTS,
        .texts = pages_map(texts * sizeof(struct str)),
        .text_slots = texts,
        .start_ms = now_ms,
    };
    id_random(&book->boot, sizeof(book->boot));
}

void book_fini(struct book *book)
{
    for (uint32_t i = 0; i < book->text_slots; i++) {
        str_free(&book->texts[i]);
    }
    pages_unmap(book->texts, book->text_slots * sizeof(struct str));
    pages_unmap(book->hashes, book->hash_slots * sizeof(uint64_t));
    pages_unmap(book->phones, book->phone_slots * sizeof(struct phone_slot));
    pages_unmap(book->entries, book->capacity * sizeof(struct entry));
}

void book_clear(struct book *book, int64_t now_ms)
{
    pages_clear(book->entries, book->count * sizeof(struct entry));
    pages_clear(book->phones, book->phone_slots * sizeof(struct phone_slot));
    pages_clear(book->hashes, book->hash_slots * sizeof(uint64_t));
    for (uint32_t i = 0; i < book->text_slots; i++) {
        str_free(&book->texts[i]);
    }
    book->cleared += book->count;
    book->count = 0;
    book->phone_used = 0;
    book->hash_used = 0;
    book->duplicates = 0;
    book->text_count = 0;
    book->start_ms = now_ms;
}

bool book_has_room(const struct book *book, size_t count)
{
    return count <= book->capacity - book->count;
}

uint32_t book_add_text(struct book *book, const char *text, size_t len)
{
    struct str *slot = &book->texts[book->text_count % book->text_slots];

    str_reset(slot);
    str_append(slot, text, len);
    return book->text_count++;
}

const struct str *book_text(const struct book *book, uint32_t text)
{
    if (book->text_count - text > book->text_slots) {
        return NULL;
    }
    return &book->texts[text % book->text_slots];
}

/* The slot of a phone, or the free one where it would be. */
static struct phone_slot *find_phone(const struct book *book, int64_t phone)
{
    size_t slot = fault_mix((uint64_t)phone) & (book->phone_slots - 1);

    while (book->phones[slot].phone != 0 && book->phones[slot].phone != phone) {
        slot = (slot + 1) & (book->phone_slots - 1);
    }
    return &book->phones[slot];
}

static struct phone_slot *add_phone(struct book *book, int64_t phone)
{
    struct phone_slot *slot = find_phone(book, phone);

    if (slot->phone != 0) {
        return slot;
    }
    if (book->phone_used * 2 >= book->phone_slots) {
        struct phone_slot *old = book->phones;
        size_t old_slots = book->phone_slots;

        book->phone_slots *= 2;
        book->phones = pages_map(book->phone_slots * sizeof(struct phone_slot));
        for (size_t i = 0; i < old_slots; i++) {
            if (old[i].phone != 0) {
                *find_phone(book, old[i].phone) = old[i];
            }
        }
        pages_unmap(old, old_slots * sizeof(struct phone_slot));
        slot = find_phone(book, phone);
    }
    book->phone_used++;
    *slot = (struct phone_slot){ .phone = phone, .last = BOOK_NONE };
    return slot;
}

/* The slot of a hash, or the free one where it would be. */
static uint64_t *find_hash(const struct book *book, uint64_t hash)
{
    size_t slot = hash & (book->hash_slots - 1);

    while (book->hashes[slot] != 0 && book->hashes[slot] != hash) {
        slot = (slot + 1) & (book->hash_slots - 1);
    }
    return &book->hashes[slot];
}

static void add_hash(struct book *book, uint64_t hash)
{
    uint64_t *slot = find_hash(book, hash);

    if (*slot != 0) {
        book->duplicates++;
        return;
    }
    *slot = hash;
    book->hash_used++;
    if (book->hash_used * 2 >= book->hash_slots) {
        uint64_t *old = book->hashes;
        size_t old_slots = book->hash_slots;

        book->hash_slots *= 2;
        book->hashes = pages_map(book->hash_slots * sizeof(uint64_t));
        for (size_t i = 0; i < old_slots; i++) {
            if (old[i] != 0) {
                *find_hash(book, old[i]) = old[i];
            }
        }
        pages_unmap(old, old_slots * sizeof(uint64_t));
    }
}

uint32_t book_add(struct book *book, struct entry entry, int64_t now_ms)
{
    struct phone_slot *phone = add_phone(book, entry.phone);
    uint32_t index = book->count;

    if (index == book->capacity) {
        panic("the book is full");
    }
    entry.previous = phone->last;
    entry.at_ms = (uint32_t)(now_ms - book->start_ms);
    phone->last = index;
    add_hash(book, entry.hash == 0 ? 1 : entry.hash);
    book->entries[index] = entry;
    book->count++;
    return index;
}

struct entry *book_entry(const struct book *book, uint32_t index)
{
    if (index >= book->count) {
        panic("message %u of %u", index, book->count);
    }
    return &book->entries[index];
}

uint32_t book_last(const struct book *book, int64_t phone)
{
    const struct phone_slot *slot = find_phone(book, phone);

    return slot->phone == 0 ? BOOK_NONE : slot->last;
}

void book_id(const struct book *book, uint32_t index, char out[BOOK_ID_BYTES])
{
    uint64_t serial = book->cleared + index;
    uint64_t halves[2] = { fault_mix(book->boot ^ fault_mix(serial)),
                           fault_mix(book->boot + serial) };

    memcpy(out, "ATXid_", 6);
    id_hex(halves, sizeof(halves), out + 6);
}

void book_opt_out(struct book *book, int64_t phone)
{
    add_phone(book, phone)->opted_out = true;
}

bool book_is_opted_out(const struct book *book, int64_t phone)
{
    const struct phone_slot *slot = find_phone(book, phone);

    return slot->phone != 0 && slot->opted_out;
}
