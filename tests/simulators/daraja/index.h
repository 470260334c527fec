/*
 * index - a map from a 64-bit key to the number of a record
 *
 *     index_put(&index, index_hash(receipt), 17);
 *     at = index_get(&index, index_hash(receipt));    // INDEX_NONE when it is not there
 *
 * Grows by itself; nothing is taken out but all at once.
 */
#ifndef SIM_INDEX_H
#define SIM_INDEX_H

#include <stddef.h>
#include <stdint.h>

#define INDEX_NONE UINT32_MAX

struct index_slot {
    uint64_t key; /* 0: free */
    uint32_t value;
};

struct index {
    struct index_slot *slots;
    size_t size, used;
};

void index_init(struct index *index);
void index_fini(struct index *index);
void index_clear(struct index *index);

uint64_t index_hash(const char *text);

/* A later value of the same key replaces the earlier. */
void index_put(struct index *index, uint64_t key, uint32_t value);
uint32_t index_get(const struct index *index, uint64_t key);

#endif
