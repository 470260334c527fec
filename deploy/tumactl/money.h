/*
 * money - amounts as people read them
 */
#ifndef TUMACTL_MONEY_H
#define TUMACTL_MONEY_H

#include "ctl.h"

/* Ten-thousandths of a unit as "KES 8,000.00"; four decimals when two are not exact. In the arena.
 */
const char *money_format(struct ctl *ctl, int64_t amount_e4, const char *currency);

#endif
