/*
 * poison - preloaded into a stage, makes it die of a message that has the word POISON
 *
 * No message that we know of kills a stage; the tests need one.
 */
#include <dlfcn.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

typedef json_t *loadb(const char *, size_t, size_t, json_error_t *);

json_t *json_loadb(const char *buffer, size_t buflen, size_t flags, json_error_t *error)
{
    static loadb *next;

    if (memmem(buffer, buflen, "POISON", 6) != NULL) {
        abort();
    }
    if (next == NULL) {
        void *symbol = dlsym(RTLD_NEXT, "json_loadb");
        memcpy(&next, &symbol, sizeof next); /* ISO C has no cast from object to function */
    }
    return next(buffer, buflen, flags, error);
}
