/*
 * cpu - user and system time out of /proc
 */
#include "cpu.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATH_BYTES 64
#define STAT_BYTES 1024
#define CHILDREN_BYTES 8192

/* Of /proc/<pid>/stat: utime, stime, cutime, cstime. */
#define FIRST_FIELD 14
#define ENDED_FIELD 16
#define LAST_FIELD 17

/* Ticks of one process; with_ended adds those of its waited-for children. */
static int64_t ticks_of(pid_t pid, bool with_ended)
{
    char path[PATH_BYTES];
    char stat[STAT_BYTES];
    int64_t ticks = 0;
    char *at;
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
    /* The name is in brackets and may hold anything; then come fields 3 and on of proc(5). */
    at = strrchr(stat, ')');
    for (int field = 3; at != NULL && field <= LAST_FIELD; field++) {
        at = strchr(at + 1, ' ');
        if (at != NULL && field >= FIRST_FIELD && (with_ended || field < ENDED_FIELD)) {
            ticks += strtol(at, NULL, 10);
        }
    }
    return ticks;
}

int64_t cpu_used_ms(pid_t pid)
{
    char path[PATH_BYTES];
    char children[CHILDREN_BYTES];
    int64_t ticks = ticks_of(pid, true);
    char *at = children, *end;
    size_t len;
    FILE *file;

    (void)snprintf(path, sizeof path, "/proc/%d/task/%d/children", pid, pid);
    file = fopen(path, "re");
    if (file != NULL) {
        len = fread(children, 1, sizeof children - 1, file);
        (void)fclose(file);
        children[len] = '\0';
        for (long child = strtol(at, &end, 10); end != at; child = strtol(at, &end, 10)) {
            ticks += ticks_of((pid_t)child, false);
            at = end;
        }
    }
    return ticks * 1000 / sysconf(_SC_CLK_TCK);
}
