/*
 * simulator - the provider's simulator, as a child of the test
 *
 *     simulator_start("ACME");                         // the sender IDs it knows; "" all
 *     setenv("AT_SMS_URL", simulator_url(), 1);
 *     simulator_faults("{\"throttled\":{\"count\":1}}");
 *     assert_int_equal(simulator_count("accepted"), 10);
 *     simulator_stop();
 */
#ifndef STAGE_SIMULATOR_H
#define STAGE_SIMULATOR_H

#include <stdint.h>

void simulator_start(const char *senders);
void simulator_stop(void); /* also when there is none */

/* …/version1 */
const char *simulator_url(void);
/* The same without a path. */
const char *simulator_root(void);

/* Back to the start. */
void simulator_reset(void);
void simulator_faults(const char *json);

/* A number of /_sim/stats: the first member of that name. */
int64_t simulator_count(const char *name);

/* How often a text was accepted for a number; text NULL: any. */
int simulator_messages(int64_t msisdn, const char *text);

/* Any of the simulator's own pages, /_sim/<path>: the answer's body, valid until the next call. */
const char *simulator_get(const char *path);
const char *simulator_post(const char *path, const char *json);

#endif
