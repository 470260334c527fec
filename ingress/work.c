#include "work.h"

#include <pthread.h>
#include <stddef.h>

#include "base/panic.h"
#include "http/http.h"
#include "settings.h"

#define QUEUE_MAX 1024 /* REQUESTS_MAX twice: authentication and handling */
#define STATEMENT_TIMEOUT_MS 10000

struct worker {
    struct work *work;
    pthread_t thread;
    struct db *db;
    struct http *http;
};

struct work {
    const struct settings *settings;
    struct arena *arena;
    struct worker *workers;
    long count;
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct job *head, **tail;
    int queued;
    bool stopping;
};

struct db *worker_db(struct worker *worker, struct err *err)
{
    if (worker->db == NULL) {
        if (!db_open(worker->work->settings->database_url, "ingress", &worker->db, err)) {
            worker->db = NULL;
            return NULL;
        }
    } else if (!db_is_down(worker->db)) {
        return worker->db;
    } else if (!db_reconnect(worker->db, err)) {
        return NULL;
    }
    if (!db_set_timeout(worker->db, STATEMENT_TIMEOUT_MS, err)) {
        return NULL;
    }
    return worker->db;
}

struct http *worker_http(struct worker *worker, struct err *err)
{
    static const struct http_conf conf = { .max_connections = 2 };

    if (worker->http == NULL && !http_create(&conf, &worker->http, err)) {
        return NULL;
    }
    return worker->http;
}

static struct job *take(struct work *work)
{
    struct job *job;

    pthread_mutex_lock(&work->lock);
    while (work->head == NULL && !work->stopping) {
        pthread_cond_wait(&work->more, &work->lock);
    }
    job = work->head;
    if (job != NULL) {
        work->head = job->next;
        work->queued--;
        if (work->head == NULL) {
            work->tail = &work->head;
        }
    }
    pthread_mutex_unlock(&work->lock);
    return job;
}

static void *run(void *argument)
{
    struct worker *worker = argument;
    struct job *job;

    while ((job = take(worker->work)) != NULL) {
        job->run(job, worker);
        if (worker->db != NULL) {
            db_rollback(worker->db); /* of a refused request; otherwise nothing is open */
        }
    }
    http_destroy(worker->http);
    db_close(worker->db);
    return NULL;
}

struct work *work_create(const struct settings *settings)
{
    struct arena *arena = arena_create((size_t)1 << 20);
    struct work *work = arena_alloc(arena, sizeof(*work));

    work->arena = arena;
    work->settings = settings;
    work->tail = &work->head;
    work->count = settings->workers;
    work->workers = arena_array(arena, (size_t)work->count, sizeof(*work->workers));
    pthread_mutex_init(&work->lock, NULL);
    pthread_cond_init(&work->more, NULL);
    for (long i = 0; i < work->count; i++) {
        work->workers[i].work = work;
        if (pthread_create(&work->workers[i].thread, NULL, run, &work->workers[i]) != 0) {
            panic("no thread for a worker");
        }
    }
    return work;
}

void work_destroy(struct work *work)
{
    if (work == NULL) {
        return;
    }
    pthread_mutex_lock(&work->lock);
    work->stopping = true;
    pthread_cond_broadcast(&work->more);
    pthread_mutex_unlock(&work->lock);
    for (long i = 0; i < work->count; i++) {
        pthread_join(work->workers[i].thread, NULL);
    }
    pthread_cond_destroy(&work->more);
    pthread_mutex_destroy(&work->lock);
    arena_destroy(work->arena);
}

bool work_submit(struct work *work, struct job *job, bool forced)
{
    bool taken;

    job->next = NULL;
    pthread_mutex_lock(&work->lock);
    taken = forced || work->queued < QUEUE_MAX;
    if (taken) {
        *work->tail = job;
        work->tail = &job->next;
        work->queued++;
        pthread_cond_signal(&work->more);
    }
    pthread_mutex_unlock(&work->lock);
    return taken;
}
