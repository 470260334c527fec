#include "voice_watch.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/panic.h"
#include "voice_look.h"

#define LOOK_MS 150
#define LOOK_TIMEOUT_MS 5000
#define OVERLAP_MS 1000       /* a claim is seen only once it is committed */
#define LONG_OVERLAP_MS 30000 /* a call's session is recorded after the provider's answer */
#define LONG_EVERY 16         /* looks */
#define FIRST_BACK_MS 3600000 /* what is still ringing when we start */
#define ASK_TIMEOUT_MS 300
#define AGAIN_MS 1000 /* between tries to reach a database that is away */
#define QUESTIONS_MAX 1024
#define LOOKS "Looks at the database for new calls, by whether it answered."
#define LOOK_ARENA_MAX ((size_t)4 << 20)

struct voice_watch {
    const struct settings *settings;
    struct voice_cache *cache;
    pthread_t looker, asked;
    pthread_mutex_t lock;
    pthread_cond_t more;  /* a question, or the end */
    pthread_cond_t ended; /* the end */
    struct voice_question *head, **tail;
    int queued;
    bool stopping;
    bool asked_well; /* the asked thread's own */
    struct log log;
    struct metric *campaigns, *calls, *looks[2];
};

/* --- both threads -------------------------------------------------------------------------------
 */

static void wait_with_lock(struct voice_watch *watch, pthread_cond_t *what, int64_t ms)
{
    const int64_t until_us = clock_mono_us() + ms * 1000;
    const struct timespec until = { .tv_sec = until_us / 1000000,
                                    .tv_nsec = until_us % 1000000 * 1000 };

    if (!watch->stopping) {
        (void)pthread_cond_timedwait(what, &watch->lock, &until);
    }
}

/* Opened, or brought back. */
static bool connect(struct voice_watch *watch, struct voice_look *look, const char *name,
                    int64_t timeout_ms, struct err *err)
{
    if (look->db == NULL) {
        if (!db_open_by_key(watch->settings->database_url, name, &look->db, err)) {
            look->db = NULL;
            return false;
        }
    } else if (!db_is_down(look->db)) {
        return true;
    } else if (!db_reconnect(look->db, err)) {
        return false;
    }
    return db_set_timeout(look->db, timeout_ms, err);
}

static struct voice_look begin(struct voice_watch *watch)
{
    return (struct voice_look){
        .cache = watch->cache,
        .audio_folder = watch->settings->audio.folder,
        .arena = arena_create(LOOK_ARENA_MAX),
    };
}

static void end(struct voice_look *look)
{
    db_close(look->db);
    arena_destroy(look->arena);
}

/* --- looking on ---------------------------------------------------------------------------------
 */

static bool look_on(struct voice_watch *watch, struct voice_look *look, int64_t back_ms,
                    struct err *err)
{
    int64_t campaigns, calls;

    if (!connect(watch, look, "ingress voice", LOOK_TIMEOUT_MS, err) ||
        !voice_look_campaigns(look, clock_now_ms(), err) || !voice_look_calls(look, back_ms, err)) {
        return false;
    }
    voice_cache_count(watch->cache, &campaigns, &calls);
    metric_set(watch->campaigns, campaigns);
    metric_set(watch->calls, calls);
    return true;
}

static void *run_looker(void *argument)
{
    struct voice_watch *watch = argument;
    struct voice_look look = begin(watch);
    int64_t seen_ms = clock_mono_ms() - FIRST_BACK_MS; /* everything until then is known */
    bool was_well = true;
    struct err err;

    pthread_mutex_lock(&watch->lock);
    for (int64_t count = 0; !watch->stopping; count++) {
        pthread_mutex_unlock(&watch->lock);
        int64_t started_ms = clock_mono_ms();
        int64_t overlap_ms = count % LONG_EVERY == 0 ? LONG_OVERLAP_MS : OVERLAP_MS;
        bool well = look_on(watch, &look, started_ms - seen_ms + overlap_ms, &err);
        if (well) {
            seen_ms = started_ms;
        }
        metric_add(watch->looks[well], 1);
        if (well != was_well) {
            log_at(&watch->log, well ? LOG_INFO : LOG_WARN,
                   well ? "calls_seen_again" : "calls_unseen", KV_STR("why", well ? "" : err.what),
                   KV_STR("detail", well ? "" : err.detail));
        }
        was_well = well;
        pthread_mutex_lock(&watch->lock);
        wait_with_lock(watch, &watch->ended, well ? LOOK_MS : AGAIN_MS);
    }
    pthread_mutex_unlock(&watch->lock);
    end(&look);
    return NULL;
}

/* --- being asked --------------------------------------------------------------------------------
 */

/* All that wait. Called with the lock held. */
static struct voice_question *take_all(struct voice_watch *watch)
{
    struct voice_question *list = watch->head;

    watch->head = NULL;
    watch->tail = &watch->head;
    watch->queued = 0;
    return list;
}

/* Calls begin in bursts: a look finds most of them at once, the others are asked for one by one. */
static bool answer(struct voice_watch *watch, struct voice_look *look,
                   const struct voice_question *question, bool *looked)
{
    struct err err;

    if (clock_mono_us() >= question->until_us) {
        return false;
    }
    bool well = connect(watch, look, "ingress voice", ASK_TIMEOUT_MS, &err);
    if (well && !*looked) {
        *looked = well = voice_look_calls(look, OVERLAP_MS, &err);
    }
    if (well && !voice_cache_has(watch->cache, &question->key, clock_now_ms())) {
        well = voice_look_up(look, &question->key, clock_now_ms(), &err);
    }
    if (!well && watch->asked_well) {
        log_warn(&watch->log, "call_not_looked_up", KV_STR("why", err.what),
                 KV_STR("detail", err.detail));
    }
    watch->asked_well = well;
    return well;
}

static void answer_all(struct voice_watch *watch, struct voice_look *look,
                       struct voice_question *list, bool given_up)
{
    bool looked = false;

    while (list != NULL) {
        struct voice_question *question = list;
        list = list->next; /* before done(): it is its owner's again then */
        question->done(question, !given_up && answer(watch, look, question, &looked));
    }
}

/* Nobody asks: connects meanwhile, so that the next question need not wait for it. Lock held. */
static void idle(struct voice_watch *watch, struct voice_look *look)
{
    struct err err;

    if (look->db == NULL || db_is_down(look->db)) {
        pthread_mutex_unlock(&watch->lock);
        /* In vain: tried again soon, and said by the one that looks on. */
        (void)connect(watch, look, "ingress voice", ASK_TIMEOUT_MS, &err);
        pthread_mutex_lock(&watch->lock);
    }
    if (watch->head == NULL) {
        wait_with_lock(watch, &watch->more, AGAIN_MS);
    }
}

static void *run_asked(void *argument)
{
    struct voice_watch *watch = argument;
    struct voice_look look = begin(watch);

    pthread_mutex_lock(&watch->lock);
    while (!watch->stopping || watch->head != NULL) {
        if (watch->head == NULL) {
            idle(watch, &look);
            continue;
        }
        struct voice_question *list = take_all(watch);
        bool given_up = watch->stopping;
        pthread_mutex_unlock(&watch->lock);
        answer_all(watch, &look, list, given_up);
        pthread_mutex_lock(&watch->lock);
    }
    pthread_mutex_unlock(&watch->lock);
    end(&look);
    return NULL;
}

bool voice_watch_ask(struct voice_watch *watch, struct voice_question *question)
{
    bool taken;

    question->next = NULL;
    pthread_mutex_lock(&watch->lock);
    taken = !watch->stopping && watch->queued < QUESTIONS_MAX;
    if (taken) {
        *watch->tail = question;
        watch->tail = &question->next;
        watch->queued++;
        pthread_cond_signal(&watch->more);
    }
    pthread_mutex_unlock(&watch->lock);
    return taken;
}

/* --- making and ending --------------------------------------------------------------------------
 */

struct voice_watch *voice_watch_create(const struct settings *settings, struct metrics *metrics,
                                       struct voice_cache *cache)
{
    struct voice_watch *watch = calloc(1, sizeof(*watch));
    pthread_condattr_t monotonic;

    if (watch == NULL) {
        panic("out of memory");
    }
    watch->settings = settings;
    watch->cache = cache;
    watch->tail = &watch->head;
    watch->asked_well = true;
    log_context(&watch->log, "stage", "ingress");
    watch->campaigns = metrics_gauge(metrics, "voice_campaigns_known",
                                     "Voice campaigns whose content is in memory.", "");
    watch->calls =
        metrics_gauge(metrics, "voice_calls_known", "Calls whose callee is in memory.", "");
    watch->looks[false] = metrics_counter(metrics, "voice_looks_total", LOOKS, "well=\"no\"");
    watch->looks[true] = metrics_counter(metrics, "voice_looks_total", LOOKS, "well=\"yes\"");
    pthread_mutex_init(&watch->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&watch->more, &monotonic);
    pthread_cond_init(&watch->ended, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (pthread_create(&watch->looker, NULL, run_looker, watch) != 0 ||
        pthread_create(&watch->asked, NULL, run_asked, watch) != 0) {
        panic("no thread for calls");
    }
    return watch;
}

void voice_watch_destroy(struct voice_watch *watch)
{
    if (watch == NULL) {
        return;
    }
    pthread_mutex_lock(&watch->lock);
    watch->stopping = true;
    pthread_cond_broadcast(&watch->more);
    pthread_cond_broadcast(&watch->ended);
    pthread_mutex_unlock(&watch->lock);
    pthread_join(watch->looker, NULL);
    pthread_join(watch->asked, NULL);
    pthread_cond_destroy(&watch->more);
    pthread_cond_destroy(&watch->ended);
    pthread_mutex_destroy(&watch->lock);
    free(watch);
}
