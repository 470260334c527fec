/*
 * bodies - the JSON that M-Pesa posts
 */
#ifndef SIM_BODIES_H
#define SIM_BODIES_H

#include "sim.h"

/* The result of a push: Body.stkCallback. */
void body_put_push(struct sim *sim, uint32_t index, enum result result, struct str *out);

/* The confirmation of a C2B payment: flat, every value a string. */
void body_put_c2b(struct sim *sim, uint32_t index, struct str *out);

/* The Result of a reversal. */
void body_put_reversal(struct sim *sim, uint32_t index, struct str *out);

/* The ids that its acknowledgement and its Result share. */
void body_reversal_ids(const struct sim *sim, uint32_t index, char originator[BOOK_ID_BYTES],
                       char conversation[BOOK_ID_BYTES]);

#endif
