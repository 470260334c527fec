/*
 * usage - what this process has taken from the machine so far
 */
#ifndef SIM_USAGE_H
#define SIM_USAGE_H

#include <stdint.h>

int64_t usage_cpu_us(void);
long usage_peak_kib(void);

#endif
