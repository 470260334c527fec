/*
 * main - how every stage program starts: options, settings, and what was asked for
 *
 * Start-up problems are collected and printed together; the exit status is 78 then (EX_CONFIG),
 * 64 (EX_USAGE) for a wrong command line.
 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/panic.h"
#include "stage/core.h"

#define MEMORY_BYTES (64u << 20)
#define SCRATCH_BYTES (64u << 20)

static const struct option long_options[] = {
    { "describe", no_argument, NULL, 'd' },      { "check", no_argument, NULL, 'c' },
    { "once", no_argument, NULL, 'o' },          { "drain", no_argument, NULL, 'D' },
    { "workers", required_argument, NULL, 'w' }, { "route", required_argument, NULL, 'r' },
    { "lane", required_argument, NULL, 'l' },    { "help", no_argument, NULL, 'h' },
    { "version", no_argument, NULL, 'v' },       { NULL, 0, NULL, 0 },
};

static void print_help(const struct stage_def *def)
{
    printf("%s - %s\n\n"
           "  (no option)    work until SIGTERM\n"
           "  --workers N    worker processes (default: %s%s)\n"
           "  --route R      the one route to serve, for stages with a queue per route\n"
           "  --lane L       high, normal or both (default)\n"
           "  --drain        work until the queues are empty, then exit\n"
           "  --once         one message on stdin: a line \"type [id [account]]\", then the body;\n"
           "                 outputs on stdout; exit 0 done, 111 retry, 100 reject\n"
           "  --check        settings, database, broker, queues: say all that is wrong\n"
           "  --describe     what this stage reads, emits and needs, as JSON\n"
           "  --version\n\n"
           "Settings come from the environment; NAME_FILE names a file with the value:\n",
           def->name, def->summary, def->workers_env != NULL ? def->workers_env : "1",
           def->workers_env != NULL ? " from the environment" : "");
    for (const struct conf_item *item = stage_settings_items; item->type != CONF_TYPE_END; item++) {
        printf("  %-28s %s%s%s%s\n", item->env, item->help, item->fallback != NULL ? " [" : "",
               item->fallback != NULL ? item->fallback : " Required.",
               item->fallback != NULL ? "]" : "");
    }
    for (const struct conf_item *item = def->conf; item != NULL && item->type != CONF_TYPE_END;
         item++) {
        printf("  %-28s %s%s%s%s\n", item->env, item->help, item->fallback != NULL ? " [" : "",
               item->fallback != NULL ? item->fallback : " Required.",
               item->fallback != NULL ? "]" : "");
    }
}

static bool is_lane(const char *word)
{
    return strcmp(word, "high") == 0 || strcmp(word, "normal") == 0 || strcmp(word, "both") == 0;
}

/* The route asked for must exist; without one, the first: supervise() serves the others, too. */
static const char *pick_route(const struct stage_def *def, const struct options *options,
                              struct str *problems)
{
    const char *const *routes = topic_stage_routes(def->name);
    const char *wanted = options->route;

    if (routes == NULL) {
        if (wanted != NULL) {
            str_printf(problems, "--route %s: stage %s has no routes\n", wanted, def->name);
        }
        return NULL;
    }
    if (wanted == NULL && (routes[1] == NULL || !options->once)) {
        return routes[0];
    }
    for (const char *const *route = routes; *route != NULL; route++) {
        if (wanted != NULL && strcmp(*route, wanted) == 0) {
            return *route;
        }
    }
    str_printf(problems, "--route %s: one of", wanted != NULL ? wanted : "is missing");
    for (const char *const *route = routes; *route != NULL; route++) {
        str_printf(problems, " %s", *route);
    }
    str_puts(problems, " is required\n");
    return NULL;
}

/* --workers, else the stage's setting, else its default. */
static long pick_workers(const struct stage_def *def, const char *wanted, struct arena *arena,
                         struct str *problems)
{
    const char *source = "--workers";
    int64_t workers = 1;

    if (wanted == NULL && def->workers_env != NULL) {
        source = def->workers_env;
        wanted = conf_get(def->workers_env, arena);
    }
    if (wanted == NULL) {
        wanted = def->workers_fallback != NULL ? def->workers_fallback : "1";
    }
    if (!str_parse_int(wanted, 1, WORKERS_MAX, &workers)) {
        str_printf(problems, "%s: '%.20s' is not a number from 1 to %d\n", source, wanted,
                   WORKERS_MAX);
    }
    return (long)workers;
}

/* False when there is nothing more to do; *out_status says how that ended. */
static bool read_options(const struct stage_def *def, int argc, char **argv,
                         struct options *options, const char **out_workers, int *out_status)
{
    int option;

    *out_status = EXIT_OK;
    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        switch (option) {
        case 'd':
            options->describe = true;
            break;
        case 'c':
            options->check = true;
            break;
        case 'o':
            options->once = true;
            break;
        case 'D':
            options->drain = true;
            break;
        case 'w':
            *out_workers = optarg;
            break;
        case 'r':
            options->route = optarg;
            break;
        case 'l':
            options->lane = optarg;
            break;
        case 'h':
            print_help(def);
            return false;
        case 'v':
            printf("%s %s\n", def->name, TUMA_VERSION);
            return false;
        default:
            *out_status = EXIT_USAGE;
            return false;
        }
    }
    if (optind < argc || !is_lane(options->lane)) {
        fprintf(stderr, "%s: '%s' is not understood; see --help\n", def->name,
                optind < argc ? argv[optind] : options->lane);
        *out_status = EXIT_USAGE;
        return false;
    }
    return true;
}

static int print_description(const struct stage_def *def)
{
    struct str text = { 0 };

    describe(def, &text);
    fputs(text.bytes, stdout);
    str_free(&text);
    return EXIT_OK;
}

static int run(struct stage *stage, struct options *options, const char *workers)
{
    struct str problems = { 0 };

    settings_load(stage, &problems);
    stage->route = pick_route(stage->def, options, &problems);
    options->workers = pick_workers(stage->def, workers, stage->memory, &problems);
    if (problems.len > 0) {
        fprintf(stderr, "%s does not start:\n%s", stage->def->name, problems.bytes);
        str_free(&problems);
        return EXIT_SETTINGS;
    }
    str_free(&problems);
    if (options->check) {
        return check(stage, options);
    }
    return options->once ? once(stage) : supervise(stage, options);
}

int stage_main(const struct stage_def *def, int argc, char **argv)
{
    struct options options = { .lane = "both" };
    const char *workers = NULL;
    int status;

    def_check(def);
    if (!read_options(def, argc, argv, &options, &workers, &status)) {
        return status;
    }
    if (options.describe) {
        return print_description(def);
    }
    struct stage stage = {
        .def = def,
        .memory = arena_create(MEMORY_BYTES),
        .arena = arena_create(SCRATCH_BYTES),
        .metrics = metrics_create("tuma_stage"),
    };
    log_context(&stage.log, "stage", def->name);
    status = run(&stage, &options, workers);
    metrics_destroy(stage.metrics);
    arena_destroy(stage.arena);
    arena_wipe(stage.memory);
    arena_destroy(stage.memory);
    return status;
}
