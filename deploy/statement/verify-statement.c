/*
 * tuma-verify-statement - prove that a statement of tokens is whole and signed
 *
 *     tuma-verify-statement KEY.pem STATEMENT…
 *
 * KEY.pem is the platform's public key: get it once, not with the statement. Several statements
 * must be of one account and each go on where the one before it ended: kept statements prove that
 * the past was not written anew. Exit status: 0 all is right, 1 something is not, 64 wrong usage.
 *
 * Stands alone, so that customers may read and build it: cc verify-statement.c statement.c -lcrypto
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "statement.h"

enum { EXIT_RIGHT = 0, EXIT_WRONG = 1, EXIT_USAGE = 64 };

struct file {
    const char *bytes;
    size_t len;
};

/* Maps a whole file for the life of the process. */
static bool read_file(const char *path, struct file *out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat about;
    void *bytes;

    if (fd < 0 || fstat(fd, &about) != 0) {
        fprintf(stderr, "tuma-verify-statement: %s: %s\n", path, strerror(errno));
        return false;
    }
    if (about.st_size == 0 || !S_ISREG(about.st_mode)) {
        fprintf(stderr, "tuma-verify-statement: %s: is empty, or no file\n", path);
        return false;
    }
    bytes = mmap(NULL, (size_t)about.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (bytes == MAP_FAILED) {
        fprintf(stderr, "tuma-verify-statement: %s: %s\n", path, strerror(errno));
        return false;
    }
    *out = (struct file){ .bytes = bytes, .len = (size_t)about.st_size };
    return true;
}

static void print_result(const char *path, const struct statement *statement)
{
    printf("%s: account %.*s, ", path, (int)statement->name.len, statement->name.at);
    if (statement->closing == statement->opening) {
        printf("no entries after %lld", (long long)statement->opening);
    } else {
        printf("entries %lld to %lld, %.*s to %.*s", (long long)statement->opening + 1,
               (long long)statement->closing, (int)statement->first_time.len,
               statement->first_time.at, (int)statement->last_time.len, statement->last_time.at);
    }
    printf(": whole, and signed by this key\n");
    for (int i = 0; i < STATEMENT_PURSES; i++) {
        if (statement->changes[i] != 0) {
            printf("  %-10s %+lld\n", statement_purses[i], (long long)statement->changes[i]);
        }
    }
}

int main(int argc, char **argv)
{
    struct statement before;
    struct file key;

    if (argc < 3) {
        fprintf(stderr, "usage: tuma-verify-statement KEY.pem STATEMENT...\n");
        return EXIT_USAGE;
    }
    if (!read_file(argv[1], &key)) {
        return EXIT_WRONG;
    }
    for (int i = 2; i < argc; i++) {
        struct statement statement;
        struct file file;

        if (!read_file(argv[i], &file)) {
            return EXIT_WRONG;
        }
        if (!statement_read(file.bytes, file.len, &statement) ||
            !statement_check_signature(&statement, key.bytes, key.len) ||
            (i > 2 && !statement_follows(&statement, &before))) {
            printf("%s: NOT RIGHT: %s\n", argv[i], statement.why);
            return EXIT_WRONG;
        }
        print_result(argv[i], &statement);
        before = statement;
    }
    return EXIT_RIGHT;
}
