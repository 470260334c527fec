/*
 * cpu - what processes used of the processors
 *
 *     int64_t before = cpu_used_ms(pid);
 *     …
 *     int64_t used = cpu_used_ms(pid) - before;
 *
 * Linux only: reads /proc. Resolution is a clock tick, 10 ms.
 */
#ifndef BENCH_CPU_H
#define BENCH_CPU_H

#include <stdint.h>
#include <sys/types.h>

/*
 * User and system time of a process, its living children, and the ended ones it has waited for: all
 * of a PostgreSQL server by the pid of its postmaster. 0 when there is no such process.
 */
int64_t cpu_used_ms(pid_t pid);

#endif
