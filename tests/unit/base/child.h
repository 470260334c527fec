/*
 * child - run a function in a forked child and see how it ended and what it said
 *
 *     char said[CHILD_SAID_BYTES];
 *     int status = run_in_child(allocate_too_much, arena, said);
 *     assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
 *
 * A function that returns makes the child exit with 0.
 */
#ifndef UNIT_BASE_CHILD_H
#define UNIT_BASE_CHILD_H

#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHILD_SAID_BYTES 65536

static inline int run_in_child(void (*function)(void *arg), void *arg, char said[CHILD_SAID_BYTES])
{
    const struct rlimit no_core = { 0 };
    size_t len = 0;
    ssize_t got;
    int ends[2];
    int status;

    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        setrlimit(RLIMIT_CORE, &no_core);
        signal(SIGABRT, SIG_DFL); /* cmocka catches it to report a failed test */
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        function(arg);
        _exit(0);
    }
    close(ends[1]);
    while (len < CHILD_SAID_BYTES - 1 &&
           (got = read(ends[0], said + len, CHILD_SAID_BYTES - 1 - len)) > 0) {
        len += (size_t)got;
    }
    said[len] = '\0';
    close(ends[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static inline void assert_panics(void (*function)(void *arg), void *arg, const char *words)
{
    static char said[CHILD_SAID_BYTES];
    int status = run_in_child(function, arg, said);

    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT || strstr(said, words) == NULL) {
        fail_msg("no panic with '%s': status %d, said '%s'", words, status, said);
    }
}

#endif
