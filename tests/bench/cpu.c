/*
 * cpu - user and system time out of /proc
 */
#include "cpu.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PATH_BYTES 64
#define STAT_BYTES 1024
#define CHILDREN_MAX 1024

/* Ticks of one process; with_ended adds those of its waited-for children. */
static int64_t ticks_of(pid_t pid, bool with_ended)
{
    char path[PATH_BYTES];
    char stat[STAT_BYTES];
    unsigned long own_user, own_system;
    long ended_user, ended_system;
    const char *rest;
    size_t len;
    FILE *file;

    (void)snprintf(path, sizeof path, "/proc/%d/stat", pid);
    file = fopen(path, "re");
    if (file == NULL) {
        return 0;
    }
    len = fread(stat, 1, sizeof stat - 1, file);
    (void)fclose(file);
    stat[len] = '\0';
    /* The name is in brackets and may hold anything; proc(5) counts fields from 1. */
    rest = strrchr(stat, ')');
    if (rest == NULL ||
        sscanf(rest + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %ld %ld", &own_user,
               &own_system, &ended_user, &ended_system) != 4) {
        return 0;
    }
    return (int64_t)(own_user + own_system) + (with_ended ? ended_user + ended_system : 0);
}

int64_t cpu_used_ms(pid_t pid)
{
    char path[PATH_BYTES];
    int64_t ticks = ticks_of(pid, true);
    FILE *file;
    int child;

    (void)snprintf(path, sizeof path, "/proc/%d/task/%d/children", pid, pid);
    file = fopen(path, "re");
    if (file != NULL) {
        for (int i = 0; i < CHILDREN_MAX && fscanf(file, "%d", &child) == 1; i++) {
            ticks += ticks_of(child, false);
        }
        (void)fclose(file);
    }
    return ticks * 1000 / sysconf(_SC_CLK_TCK);
}
