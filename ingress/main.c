/*
 * ingress - the HTTP edge: requests in, messages out
 *
 *     ingress                 serve until told to stop (SIGTERM, SIGINT)
 *     ingress --check         settings, database and broker; says all that is wrong
 *     ingress --describe      routes and settings as JSON
 *
 * The main thread keeps the time: it wakes five times a second to settle what is overdue and to
 * start streams that are due, and otherwise waits for a signal. Stopping: take no new connections,
 * finish what is under way, publish what is accepted, exit 0. A second signal exits at once.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "audio/address.h"
#include "audio/folder.h"
#include "base/clock.h"
#include "broker/broker.h"
#include "cache.h"
#include "idempotency.h"
#include "limit.h"
#include "metrics/metrics.h"
#include "provider/at_voice_xml.h"
#include "routes.h"
#include "server.h"
#include "settings.h"
#include "sound.h"
#include "stream.h"
#include "voice_hook.h"

#define EXIT_SETTINGS 78 /* EX_CONFIG */
#define TICK_MS 200
#define DRAIN_MS 10000
#define PURGE_EVERY_MS (10 * 60 * 1000)
#define CHECK_DB_TABLES "SELECT 1 FROM api_keys, idempotency_keys, campaigns WHERE false"

static const char usage[] =
    "usage: ingress [--check | --describe | --help | --version]\n"
    "The HTTP edge. Settings come from the environment; --describe lists them.\n";

static struct log main_log;

/* --- describing
 * ------------------------------------------------------------------------------------ */

static void put_setting(struct str *out, const struct conf_item *item)
{
    static const char *const types[] = {
        [CONF_TYPE_STR] = "text",    [CONF_TYPE_SECRET] = "secret", [CONF_TYPE_INT] = "number",
        [CONF_TYPE_MS] = "duration", [CONF_TYPE_BOOL] = "boolean",
    };

    str_putc(out, '{');
    put_text(out, "name", item->env);
    put_text(out, "type", types[item->type]);
    if (item->fallback != NULL) {
        str_puts(out, ",\"default\":");
        json_put_string(out, item->fallback, strlen(item->fallback));
    } else {
        str_puts(out, ",\"required\":true");
    }
    if (item->type == CONF_TYPE_INT || item->type == CONF_TYPE_MS) {
        put_int(out, "min", item->min);
        put_int(out, "max", item->max);
    }
    put_text(out, "help", item->help);
    str_putc(out, '}');
}

static int describe(void)
{
    struct str out = { 0 };

    str_putc(&out, '{');
    put_text(&out, "name", "ingress");
    put_text(&out, "summary", "the HTTP edge: requests in, messages out");
    put_text(&out, "version", TUMA_VERSION);
    str_puts(&out, ",\"routes\":");
    routes_describe(&out);
    str_puts(&out, ",\"settings\":[");
    for (const struct conf_item *item = settings_items; item->type != CONF_TYPE_END; item++) {
        str_puts(&out, item > settings_items ? "," : "");
        put_setting(&out, item);
    }
    str_puts(&out, "]}");
    puts(out.bytes);
    str_free(&out);
    return EXIT_SUCCESS;
}

/* --- checking
 * -------------------------------------------------------------------------------------- */

static bool check_db(const struct settings *settings, struct err *err)
{
    struct db *db = NULL;
    bool ok;

    if (!db_open(settings->database_url, "ingress --check", &db, err)) {
        return false;
    }
    ok = db_script(db, CHECK_DB_TABLES, err);
    db_close(db);
    return ok;
}

static int check(const struct settings *settings)
{
    const struct broker_conf broker = { .url = settings->amqp_url, .name = "ingress --check" };
    struct err err;
    bool ok = true;

    if (!check_db(settings, &err)) {
        fprintf(stderr, "ingress: database: %s: %s\n", err.what, err.detail);
        ok = false;
    }
    if (!broker_check(&broker, &err)) {
        fprintf(stderr, "ingress: broker: %s: %s\n", err.what, err.detail);
        ok = false;
    }
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* What a type of setting cannot say. */
static void check_settings(const struct settings *settings, struct str *problems)
{
    enum log_level level;
    struct err err;

    if (!log_parse_level(settings->log_level, &level)) {
        str_printf(problems, "LOG_LEVEL: '%s' is none of error, warn, info, debug\n",
                   settings->log_level);
    }
    size_t token_len = strlen(settings->webhook_token);
    if (token_len == 0 || token_len >= WEBHOOK_TOKEN_BYTES ||
        strpbrk(settings->webhook_token, "/?#&%+ ") != NULL) {
        str_puts(problems, "COMMUNICATIONS_WEBHOOK_TOKEN: 1 to 127 letters, digits or - _ . ~\n");
    }
    struct str scratch = { 0 };
    if (*settings->fallback_audio_url != '\0' &&
        !at_xml_play(&scratch, settings->fallback_audio_url, &err)) {
        str_printf(problems, "AT_VOICE_FALLBACK_AUDIO_URL: %s\n", err.detail);
    }
    str_free(&scratch);
    if (!at_conf_check(&settings->at, &err)) {
        str_printf(problems, "%s\n", err.detail);
    }
    if (*settings->audio.secret != '\0' && !audio_secret_check(settings->audio.secret, &err)) {
        str_printf(problems, "%s\n", err.detail);
    }
    if (*settings->audio.folder != '\0' && !audio_folder_prepare(settings->audio.folder, &err)) {
        str_printf(problems, "%s\n", err.detail);
    }
}

/* --- serving
 * --------------------------------------------------------------------------------------- */

struct purging {
    struct job job;
    const struct settings *settings;
    atomic_bool running;
};

/* What ingresses that were killed left of files that were coming. */
static bool sweep(const struct settings *settings, struct err *err)
{
    int64_t removed;

    if (*settings->audio.folder == '\0') {
        return true;
    }
    if (!audio_folder_sweep(settings->audio.folder, sound_sweep_before_ms(clock_now_ms()), &removed,
                            err)) {
        return false;
    }
    if (removed > 0) {
        log_info(&main_log, "audio_swept", KV_INT("files", removed));
    }
    return true;
}

static void purge(struct job *job, struct worker *worker)
{
    struct purging *purging = job->context;
    struct err err;
    struct db *db = worker_db(worker, &err);

    if (db == NULL || !idempotency_purge(db, &err)) {
        log_warn(&main_log, "purge_failed", KV_STR("why", err.what), KV_STR("detail", err.detail));
    }
    if (!sweep(purging->settings, &err)) {
        log_warn(&main_log, "sweep_failed", KV_STR("why", err.what), KV_STR("detail", err.detail));
    }
    purging->running = false;
}

static void block_signals(sigset_t *out_set)
{
    sigemptyset(out_set);
    sigaddset(out_set, SIGTERM);
    sigaddset(out_set, SIGINT);
    pthread_sigmask(SIG_BLOCK, out_set, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
}

/* Until a signal says stop. */
static void keep_time(struct app *app, const sigset_t *stop)
{
    const struct timespec tick = { .tv_nsec = TICK_MS * 1000000L };
    struct purging purging = { .settings = app->settings };
    int64_t purge_at_ms = clock_mono_ms() + TICK_MS;

    while (sigtimedwait(stop, NULL, &tick) < 0) {
        publish_expire(app->publisher);
        streams_tick(app->streams, false);
        if (!purging.running && clock_mono_ms() >= purge_at_ms) {
            purge_at_ms = clock_mono_ms() + PURGE_EVERY_MS;
            purging.running = true;
            purging.job = (struct job){ .run = purge, .context = &purging };
            (void)work_submit(app->work, &purging.job, true);
        }
    }
    while (purging.running) {
        clock_sleep_ms(TICK_MS / 10);
    }
}

static bool start(struct app *app, struct arena *arena, struct server **out_server, struct err *err)
{
    const struct settings *settings = app->settings;
    const struct publish_conf publish = {
        .url = settings->amqp_url,
        .prefix = settings->amqp_prefix,
        .reports_settled = callbacks_settled,
        .metrics = app->metrics,
    };

    if (!publisher_create(&publish, &app->publisher, err)) {
        return false;
    }
    callbacks_count(app);
    app->auth = auth_create(arena);
    app->cache = cache_create(arena);
    app->streams = streams_create(arena);
    app->key_limit = limit_create(arena, settings->rate_per_key);
    app->address_limit = limit_create(arena, settings->rate_per_address);
    app->work = work_create(settings);
    app->voice = voice_hooks_create(app);
    return server_start(app, out_server, err);
}

/* In the order in which one needs the other: connections, workers, publisher. */
static bool stop(struct app *app, struct server *server)
{
    if (server != NULL && !server_drain(server, DRAIN_MS)) {
        log_error(&main_log, "not_drained", KV_STR("detail", "requests are still under way"));
        return false;
    }
    voice_hooks_stop(app->voice);
    work_destroy(app->work);
    publisher_stop(app->publisher, CONFIRM_MS);
    server_destroy(server);
    publisher_destroy(app->publisher);
    voice_hooks_destroy(app->voice);
    auth_destroy(app->auth);
    if (app->cache != NULL) {
        cache_destroy(app->cache);
    }
    metrics_destroy(app->metrics);
    return true;
}

static int serve(const struct settings *settings, struct arena *arena)
{
    struct app app = { .settings = settings, .metrics = metrics_create("tuma_ingress") };
    struct server *server = NULL;
    struct err err;
    sigset_t stop_set;
    bool ok;

    block_signals(&stop_set);
    ok = start(&app, arena, &server, &err);
    if (!ok) {
        log_error(&main_log, "not_started", KV_STR("why", err.what), KV_STR("detail", err.detail));
    } else {
        printf("listening %d\n", server_port(server));
        fflush(stdout);
        log_info(&main_log, "started", KV_INT("port", server_port(server)),
                 KV_STR("version", TUMA_VERSION));
        keep_time(&app, &stop_set);
        log_info(&main_log, "stopping");
        pthread_sigmask(SIG_UNBLOCK, &stop_set, NULL); /* a second signal ends it at once */
    }
    if (!stop(&app, server)) {
        _exit(EXIT_FAILURE); /* threads still use what would be freed */
    }
    if (ok) {
        log_info(&main_log, "stopped");
    }
    return ok ? EXIT_SUCCESS : EXIT_SETTINGS;
}

/* With the settings, or 78 and all that is wrong with them. */
static int run(bool only_check)
{
    struct arena *arena = arena_create((size_t)16 << 20);
    struct settings settings;
    struct str problems = { 0 };
    enum log_level level;
    int status = EXIT_SETTINGS;

    if (conf_load(settings_items, &settings, arena, &problems)) {
        check_settings(&settings, &problems);
    }
    if (problems.len > 0) {
        fputs(problems.bytes, stderr);
    } else {
        if (log_parse_level(settings.log_level, &level)) {
            log_set_level(level);
        }
        status = only_check ? check(&settings) : serve(&settings, arena);
    }
    str_free(&problems);
    arena_wipe(arena);
    arena_destroy(arena);
    return status;
}

int main(int argc, char **argv)
{
    const char *option = argc > 1 ? argv[1] : "";

    log_context(&main_log, "stage", "ingress");
    if (argc <= 2 && (*option == '\0' || strcmp(option, "--check") == 0)) {
        return run(*option != '\0');
    }
    if (argc == 2 && strcmp(option, "--describe") == 0) {
        return describe();
    }
    if (argc == 2 && strcmp(option, "--version") == 0) {
        puts(TUMA_VERSION);
        return EXIT_SUCCESS;
    }
    bool asked = argc == 2 && strcmp(option, "--help") == 0;
    fputs(usage, asked ? stdout : stderr);
    return asked ? EXIT_SUCCESS : EXIT_SETTINGS;
}
