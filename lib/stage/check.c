/*
 * check - --check: everything that a start would need, and all that is wrong, in one go
 */
#include <stdio.h>

#include "stage/core.h"

static void note(int *problems, const char *what, const struct err *err)
{
    printf("%s: %s (%s)\n", what, err->detail, err->what);
    ++*problems;
}

static void check_database(const struct stage *stage, int *problems)
{
    static const struct db_statement count_migrations = { "count_migrations",
                                                          "SELECT count(*) FROM schema_migrations",
                                                          0 };
    AUTO_DB_RESULT struct db_result *found = NULL;
    struct db *db = NULL;
    struct err err;

    if (!db_open(stage->settings->database_url, stage->def->name, &db, &err)) {
        note(problems, "database", &err);
        return;
    }
    if (!db_query(db, &count_migrations, NULL, &found, &err)) {
        note(problems, "database schema", &err);
    } else if (db_get_int(found, 0, 0) == 0) {
        printf("database schema: no migration was applied\n");
        ++*problems;
    }
    db_close(db);
}

static void check_queue(const struct broker_conf *conf, const char *queue, int *problems)
{
    int64_t ready = 0;
    int64_t consumers = 0;
    struct err err;

    if (!broker_queue_depth(conf, &queue, 1, &ready, &consumers, &err)) {
        note(problems, queue, &err);
    }
}

static void check_broker(struct stage *stage, const struct options *options, int *problems)
{
    const struct broker_conf conf = { .url = stage->settings->amqp_url, .name = stage->def->name };
    const bool high = options->lane[0] != 'n';
    const bool normal = options->lane[0] != 'h';
    struct lanes lanes;
    struct err err;

    if (!broker_check(&conf, &err)) {
        note(problems, "broker", &err);
        return;
    }
    lanes_pick(stage, high, normal, &lanes);
    for (size_t i = 0; i < lanes.count; i++) {
        check_queue(&conf, lanes.queues[i], problems);
    }
    check_queue(
        &conf,
        arena_printf(stage->memory, "%s.%s.parked", stage->settings->prefix, stage->def->name),
        problems);
}

int check(struct stage *stage, const struct options *options)
{
    int problems = 0;

    check_database(stage, &problems);
    check_broker(stage, options, &problems);
    if (problems == 0) {
        printf("%s: ready\n", stage->def->name);
    }
    return problems == 0 ? EXIT_OK : EXIT_FAILED;
}
