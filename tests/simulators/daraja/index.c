/*
 * index - a map from a 64-bit key to the number of a record
 */
#include "index.h"

#include "engine/faults.h"
#include "engine/pages.h"

#define FIRST_SLOTS ((size_t)1 << 14)

void index_init(struct index *index)
{
    *index = (struct index){
        .slots = pages_map(FIRST_SLOTS * sizeof(struct index_slot)),
        .size = FIRST_SLOTS,
    };
}

void index_fini(struct index *index)
{
    pages_unmap(index->slots, index->size * sizeof(struct index_slot));
}

void index_clear(struct index *index)
{
    pages_clear(index->slots, index->size * sizeof(struct index_slot));
    index->used = 0;
}

uint64_t index_hash(const char *text)
{
    uint64_t hash = 0xCBF29CE484222325ULL;

    for (; *text != '\0'; text++) {
        hash = (hash ^ (unsigned char)*text) * 0x100000001B3ULL;
    }
    return fault_mix(hash) | 1; /* never 0 */
}

/* The slot of a key, or the free one where it would be. */
static struct index_slot *find(const struct index *index, uint64_t key)
{
    size_t at = fault_mix(key) & (index->size - 1);

    while (index->slots[at].key != 0 && index->slots[at].key != key) {
        at = (at + 1) & (index->size - 1);
    }
    return &index->slots[at];
}

static void grow(struct index *index)
{
    struct index old = *index;

    index->size *= 2;
    index->slots = pages_map(index->size * sizeof(struct index_slot));
    for (size_t i = 0; i < old.size; i++) {
        if (old.slots[i].key != 0) {
            *find(index, old.slots[i].key) = old.slots[i];
        }
    }
    index_fini(&old);
}

void index_put(struct index *index, uint64_t key, uint32_t value)
{
    struct index_slot *slot = find(index, key);

    if (slot->key == 0) {
        if (index->used * 2 >= index->size) {
            grow(index);
            slot = find(index, key);
        }
        index->used++;
    }
    *slot = (struct index_slot){ .key = key, .value = value };
}

uint32_t index_get(const struct index *index, uint64_t key)
{
    const struct index_slot *slot = find(index, key);

    return slot->key == 0 ? INDEX_NONE : slot->value;
}
