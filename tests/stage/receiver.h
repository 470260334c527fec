/*
 * receiver - what a provider posts, as it arrives
 *
 *     receiver_start();
 *     setenv("PUBLIC_URL", receiver_url(), 1);
 *     while (receiver_take(2000, &posted)) … posted.path, posted.body …
 *     receiver_stop();
 *
 * Answers everything with 200.
 */
#ifndef STAGE_RECEIVER_H
#define STAGE_RECEIVER_H

#include <stdbool.h>

struct posted {
    char path[200];
    char body[4096];
};

void receiver_start(void);
void receiver_stop(void);
const char *receiver_url(void);

/* The oldest that was not taken, waited for so long at most; false: there is none. */
bool receiver_take(int wait_ms, struct posted *out);
void receiver_forget(void);

#endif
