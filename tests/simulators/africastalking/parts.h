/*
 * parts - how many SMS a text takes
 *
 * Counted from 3GPP TS 23.038 and 23.040 on purpose without the product's own counter, so that the
 * two check each other: GSM-7 160 single, 153 per part, extension characters two septets and never
 * split over parts; else UCS-2 70 single, 67 per part, surrogate pairs never split.
 */
#ifndef SIM_PARTS_H
#define SIM_PARTS_H

#include <stddef.h>

/* At least 1. Bytes that are not UTF-8 count as one UCS-2 unit each. */
int parts_count(const char *text, size_t len);

#endif
