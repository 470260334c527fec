/*
 * random - the same numbers on every run, so that a failing property test fails again
 *
 *     uint64_t seed = 1;
 *     if (random_below(&seed, 10) == 0) ...
 */
#ifndef TESTS_UNIT_TEXT_RANDOM_H
#define TESTS_UNIT_TEXT_RANDOM_H

#include <stdint.h>

/* xorshift64*; the seed must not be 0. */
static inline uint32_t random_below(uint64_t *seed, uint32_t below)
{
    *seed ^= *seed >> 12;
    *seed ^= *seed << 25;
    *seed ^= *seed >> 27;
    return (uint32_t)((*seed * 0x2545F4914F6CDD1DULL) >> 33) % below;
}

#endif
