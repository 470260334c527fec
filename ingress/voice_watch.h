/*
 * voice_watch - the two threads that keep a voice_cache: one looks on, one is asked
 *
 *     watch = voice_watch_create(settings, metrics, cache);
 *     voice_watch_ask(watch, &question)       // question.done(&question) follows, once
 *
 * Each has a database connection of its own, so that neither a long look nor the API's requests
 * delay a question; both come back by themselves when the database does. Questions that come
 * together are answered by one look, and what that does not find by one statement each; one whose
 * time is over is not asked any more.
 */
#ifndef INGRESS_VOICE_WATCH_H
#define INGRESS_VOICE_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "metrics/metrics.h"
#include "settings.h"
#include "voice_cache.h"

struct voice_watch;
struct voice_question;

/* answered: the cache now knows what the database does. On the thread that is asked; never blocks.
 */
typedef void voice_question_fn(struct voice_question *question, bool answered);

/* Kept, with all it points to, until done() is called. */
struct voice_question {
    struct voice_question *next; /* the watch's */
    struct voice_key key;
    int64_t until_us; /* clock_mono_us() */
    voice_question_fn *done;
    void *context;
};

/* Keeps its arguments. Does not wait for the database. */
struct voice_watch *voice_watch_create(const struct settings *settings, struct metrics *metrics,
                                       struct voice_cache *cache);

/* Ends the threads; what is still to be asked is done without an answer. Accepts NULL. */
void voice_watch_destroy(struct voice_watch *watch);

/* False when too many wait; then done() does not follow. */
bool voice_watch_ask(struct voice_watch *watch, struct voice_question *question);

#endif
